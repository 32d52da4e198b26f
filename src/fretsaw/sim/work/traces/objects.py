"""The pods and jobs that recordings turn into. Equal pods share one spec, which the engine then takes as one kind."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Final

from fretsaw.api.affinity import (
    Affinity,
    NodeAffinity,
    NodeSelector,
    NodeSelectorRequirement,
    NodeSelectorTerm,
    Toleration,
)
from fretsaw.api.meta import Object, ObjectMeta
from fretsaw.api.pod import Container, Pod, PodSpec, PodTemplateSpec, ResourceRequirements
from fretsaw.api.resources import Quantities
from fretsaw.api.workload import Job, JobSpec
from fretsaw.sim.gpu_stack import NVIDIA_GPU

GPU_NAME: Final = "karpenter.k8s.aws/instance-gpu-name"
GPU_TOLERATION: Final = Toleration(key=NVIDIA_GPU, operator="Exists")
MANY_RETRIES: Final = 1_000_000
"""Back-off limit of replayed jobs: in the recording they went on to their end whatever happened to their machines."""


@lru_cache(maxsize=65536)
def spec(
    requests: tuple[tuple[str, str], ...], gpu_names: tuple[str, ...] = (), selector: tuple[tuple[str, str], ...] = ()
) -> PodSpec:
    """A pod of one container that asks for this, on nodes with one of these GPUs; GPU taints do not matter to it."""
    resources: Quantities = dict(requests)
    limits: Quantities = {name: amount for name, amount in requests if name not in ("cpu", "memory")}
    container = Container("main", image="trace/job", resources=ResourceRequirements(resources, limits))
    return PodSpec(
        (container,),
        node_selector=dict(selector),
        affinity=_on(gpu_names) if gpu_names else None,
        tolerations=(GPU_TOLERATION,) if limits else (),
        restart_policy="Never",
    )


def _on(gpu_names: tuple[str, ...]) -> Affinity:
    requirement = NodeSelectorRequirement(GPU_NAME, "In", gpu_names)
    return Affinity(node_affinity=NodeAffinity(NodeSelector((NodeSelectorTerm((requirement,)),))))


def pod(namespace: str, name: str, of: PodSpec, source: str) -> Pod:
    """A pod without a controller: it is gone when its machine is."""
    return Pod(ObjectMeta(name, namespace, _labels(source)), of)


def job(namespace: str, name: str, of: PodSpec, source: str, size: int = 1) -> Job:
    """A Job of `size` pods that run side by side; pods that are lost are made again."""
    template = PodTemplateSpec(ObjectMeta(labels=_labels(source)), of)
    wanted = JobSpec(parallelism=size, completions=size, backoff_limit=MANY_RETRIES, template=template)
    return Job(ObjectMeta(name, namespace, _labels(source)), wanted)


@lru_cache(maxsize=16)
def _labels(source: str) -> dict[str, str]:
    return {"app.kubernetes.io/part-of": source}


def made(as_: str, namespace: str, name: str, of: PodSpec, source: str, size: int = 1) -> tuple[Object, ...]:
    """Pods, or one Job of them."""
    if as_ == "job":
        return (job(namespace, name, of, source, size),)
    if size == 1:
        return (pod(namespace, name, of, source),)
    return tuple(pod(namespace, f"{name}-{number}", of, source) for number in range(size))


def items(selector: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """A map as a key of `spec`."""
    return tuple(sorted(selector.items()))
