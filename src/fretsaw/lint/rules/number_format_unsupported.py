"""A number format that the GPU does not have

The server is told to compute in bfloat16 or FP8, and the cheapest GPU that the pod can get is older than that format.

Why: vLLM refuses to start: bfloat16 needs compute capability 8.0 (not T4, V100), FP8 needs 8.9 (not A10G, A100). The
node is paid for while the pod restarts for ever.

Example:
    apiVersion: karpenter.sh/v1
    kind: NodePool
    metadata: {name: gpu}
    spec:
      template:
        spec:
          requirements:
            - {key: karpenter.k8s.aws/instance-gpu-name, operator: In, values: [t4, l4]}
          nodeClassRef: {group: karpenter.k8s.aws, kind: EC2NodeClass, name: gpu}
    ---
    apiVersion: v1
    kind: Pod
    metadata: {name: llm}
    spec:
      containers:
        - name: vllm
          image: vllm/vllm-openai:v0.11.0
          args: [--model, Qwen/Qwen2.5-1.5B, --dtype, bfloat16]
          resources: {limits: {nvidia.com/gpu: '1'}}

Fix: Leave the old GPUs out of the pool's `instance-gpu-name`, or write `--dtype half`.

Source: vLLM documentation, supported hardware; NVIDIA, compute capabilities.
"""

from __future__ import annotations

from collections.abc import Iterator

from fretsaw.lint.found import Found
from fretsaw.lint.given import Input
from fretsaw.lint.market import listed
from fretsaw.lint.rule import rule
from fretsaw.lint.work import Work

_OLDER_THAN_BF16 = ("t4", "t4g", "v100")
_OLDER_THAN_FP8 = (*_OLDER_THAN_BF16, "a10g", "a100")


@rule("GPU108", "error", on=Work)
def number_format_unsupported(work: Work, given: Input) -> Iterator[Found]:
    """Servers with a number format that is newer than their GPU."""
    landing = given.landing(work)
    if not work.gpus or not landing:
        return
    first = landing[0].offer.cheapest
    gpu = landing[0].offer.label(first.type, "gpu-name")
    for number, container in enumerate(work.spec.containers):
        dtype = work.argument(container, "--dtype") or ""
        eight = work.argument(container, "--quantization", "-q") == "fp8"
        eight = eight or (work.argument(container, "--kv-cache-dtype") or "").startswith("fp8")
        for wanted, is_wanted, lacking in (
            ("bfloat16", dtype in ("bfloat16", "bf16"), _OLDER_THAN_BF16),
            ("fp8", eight, _OLDER_THAN_FP8),
        ):
            if not is_wanted or gpu not in lacking:
                continue
            newer = [name for name in landing[0].offer.values("gpu-name") if name not in lacking]
            yield Found(
                work.container_path(number, "args"),
                f"computes in {wanted}, which the {gpu} of its node does not have",
                fix=f"leave {gpu} out of the pool ({listed(newer)} have it)"
                if newer
                else f"choose a GPU with {wanted}",
                proof=f"pool {landing[0].pool.name} would buy {first} for it",
                usd_per_hour=first.usd * work.copies,
            )
