"""A model that does not fit the memory of the GPU that it gets

A model server's model, in its number format and over its GPUs, needs more memory than the cheapest GPU has that the
pod can get. The model's size is read from its name.

Why: The node is bought, the image of many gigabytes is pulled, the weights are loaded, and the server dies for want
of memory; then again, every few minutes, on a GPU that is paid for.

Example:
    apiVersion: apps/v1
    kind: Deployment
    metadata: {name: llm}
    spec:
      selector: {matchLabels: {app: llm}}
      template:
        metadata: {labels: {app: llm}}
        spec:
          containers:
            - name: vllm
              image: vllm/vllm-openai:v0.11.0
              args: [--model, meta-llama/Llama-3.1-70B-Instruct]
              resources: {limits: {nvidia.com/gpu: '1'}}

Fix: Require enough memory (`karpenter.k8s.aws/instance-gpu-memory Gt N`, MiB for each GPU) in the pool or in the
pod's node affinity; or divide the model (`--tensor-parallel-size`), or take a quantised one.

Source: vLLM documentation, conserving memory; EC2 instance types (GPU memory); weights take parameters × bytes.
"""

from __future__ import annotations

from collections.abc import Iterator

from fretsaw.api.labels import INSTANCE_TYPE
from fretsaw.engine.requirement import Requirement
from fretsaw.lint.found import Found
from fretsaw.lint.given import Input
from fretsaw.lint.market import AWS_LABEL
from fretsaw.lint.models import Model, model_of
from fretsaw.lint.rule import rule
from fretsaw.lint.work import Work

_MEMORY = AWS_LABEL + "gpu-memory"
_SMALLEST_MIB = 16384
"""Of the GPUs that are sold: the T4's."""


@rule("GPU107", "error", on=Work)
def model_too_big(work: Work, given: Input) -> Iterator[Found]:
    """Servers whose model is larger than the first GPU that they would get."""
    if not work.gpus or work.kind in ("LeaderWorkerSet", "RayService", "RayCluster", "RayJob"):
        return
    for number, container in enumerate(work.spec.containers):
        model = model_of(work, container)
        if model is None or model.gpus > work.gpus:
            continue
        needs = f"{model.weights_gib:.0f} GiB of weights ({model.billions:g}B, {model.numbers})"
        over = f" over {model.gpus} GPUs" if model.gpus > 1 else ""
        message = f"{model.name} has {needs}: {model.needed_mib} MiB or more on each GPU{over}"
        path = work.container_path(number, model.argument)
        if given.pools:
            yield from _in_pools(work, given, model, path, message)
        elif model.needed_mib > _SMALLEST_MIB and not _chooses(work):
            fix = f"let a pool or the pod require {_MEMORY} Gt [{model.needed_mib}]"
            yield Found(path, f"{message}, and nothing requires that much", fix=fix, severity="info")


def _chooses(work: Work) -> bool:
    """Whether the pods say themselves which GPU they want."""
    keys = {one.key for alternative in work.alternatives for one in alternative}
    return bool(keys & {_MEMORY, AWS_LABEL + "gpu-name", AWS_LABEL + "family", INSTANCE_TYPE})


def _in_pools(work: Work, given: Input, model: Model, path: str, message: str) -> Iterator[Found]:
    for landing in given.landing(work)[:1]:
        first = landing.offer.cheapest
        has = int(landing.offer.label(first.type, "gpu-memory") or 0)
        if not has or has >= model.needed_mib:
            continue
        enough = landing.pool.offer_with(Requirement(_MEMORY, complement=True, gte=model.needed_mib))
        enough = enough.holding(work.requests)
        yield Found(
            path,
            f"{message}; the pod gets {first.type} with {has} MiB",
            fix=f"require {_MEMORY} Gt [{model.needed_mib}] in pool {landing.pool.name} or in the pod's node affinity",
            proof=f"pool {landing.pool.name} would buy {first}; with that requirement {enough} are left",
            usd_per_hour=first.usd * work.copies,
        )
