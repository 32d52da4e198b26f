"""What autoscalers scale: the replicas and the pods of a workload, as its `scale` subresource shows them."""

from __future__ import annotations

from typing import Any, Final

from msgspec.structs import replace

from fretsaw.api.autoscaling import ObjectReference
from fretsaw.api.meta import LabelSelector
from fretsaw.sim.store import Store

PLURALS: Final = {
    "Deployment": "deployments.apps",
    "ReplicaSet": "replicasets.apps",
    "StatefulSet": "statefulsets.apps",
    "ReplicationController": "replicationcontrollers",
}
"""Kinds that can be scaled, with the words that messages have for them."""


def find(store: Store, namespace: str, ref: ObjectReference) -> Any:
    """The workload, None where there is none of a kind that can be scaled."""
    return store.get(ref.kind, f"{namespace}/{ref.name}") if ref.kind in PLURALS else None


def unknown(ref: ObjectReference) -> str:
    """Why a workload cannot be scaled."""
    if ref.kind in PLURALS:
        return f'{PLURALS[ref.kind]} "{ref.name}" not found'
    group = ref.api_version.rpartition("/")[0]
    return f'no matches for kind "{ref.kind}" in group "{group}"'


def made(workload: Any, pods: int) -> int:
    """How many replicas there are, by the workload's status; `pods` where it has none."""
    found: int | None = getattr(getattr(workload, "status", None), "replicas", None)
    return pods if found is None else found


def selector(workload: Any) -> LabelSelector | None:
    """Which pods belong to it; None where it does not say."""
    selector = workload.spec.selector
    if isinstance(selector, dict):
        return LabelSelector(match_labels=selector) if selector else None
    empty = selector is None or not (selector.match_labels or selector.match_expressions)
    return None if empty else selector


def scaled(workload: Any, number: int) -> Any:
    """The workload with another number of replicas."""
    return replace(workload, spec=replace(workload.spec, replicas=number))
