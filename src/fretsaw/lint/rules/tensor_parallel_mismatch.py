"""A model divided over more, or fewer, GPUs than the pod has

`--tensor-parallel-size` is not the number of GPUs that the container asks for.

Why: With too few GPUs the server does not start. With too many the rest stand idle, and are the dearest part of the
node.

Example:
    apiVersion: v1
    kind: Pod
    metadata: {name: llm}
    spec:
      tolerations: [{key: nvidia.com/gpu, operator: Exists}]
      containers:
        - name: vllm
          image: vllm/vllm-openai:v0.11.0
          args: [--model, Qwen/Qwen2.5-32B, --tensor-parallel-size, '4']
          resources: {limits: {nvidia.com/gpu: '1'}}

Fix: Ask for as many GPUs as `--tensor-parallel-size` times `--pipeline-parallel-size`, or change those.

Source: vLLM documentation, parallelism and scaling.
"""

from __future__ import annotations

from collections.abc import Iterator

from fretsaw.api.resources import units
from fretsaw.lint.found import Found
from fretsaw.lint.given import Input
from fretsaw.lint.market import NVIDIA, counted
from fretsaw.lint.rule import rule
from fretsaw.lint.work import Work


@rule("GPU116", "error", on=Work)
def tensor_parallel_mismatch(work: Work, given: Input) -> Iterator[Found]:
    """Servers whose parallelism is not their number of GPUs; those over several pods left out."""
    if work.kind.startswith(("LeaderWorkerSet", "Ray", "MPIJob", "PyTorchJob")):
        return
    for number, container in enumerate(work.spec.containers):
        gpus = int(units(NVIDIA, container.resources.requests.get(NVIDIA, 0)))
        across = work.argument(container, "--tensor-parallel-size", "-tp", "--tp", "--tp-size", "--num-shard")
        along = work.argument(container, "--pipeline-parallel-size", "-pp", "--pp-size") or "1"
        copies = work.argument(container, "--data-parallel-size", "-dp") or "1"
        if not gpus or across is None or not (across + along + copies).isdigit():
            continue
        wanted = int(across) * int(along) * int(copies)
        if wanted == gpus:
            continue
        landing = given.landing(work)
        usd = landing[0].offer.usd_per_device() * (gpus - wanted) * work.copies if landing and gpus > wanted else None
        yield Found(
            work.container_path(number, "args"),
            f"the model is divided over {counted(wanted, 'GPU')} and the container has {gpus}: "
            + ("it does not start" if wanted > gpus else f"{gpus - wanted} stand idle"),
            fix=f"write nvidia.com/gpu: '{wanted}', or --tensor-parallel-size {gpus}",
            usd_per_hour=usd,
            severity="error" if wanted > gpus else "warning",
        )
