"""What the API server does to the pods that controllers make: refuses them, or fills in what they leave open.

Asked once for each template, not for each pod.
Source: kubernetes.io, Pod Priority and Preemption; Runtime Class; Taints and Tolerations (DefaultTolerationSeconds).
"""

from __future__ import annotations

from msgspec.structs import replace

from fretsaw.api.affinity import Toleration
from fretsaw.api.defaults import Defaults
from fretsaw.api.pod import PodSpec
from fretsaw.api.policy import PriorityClass
from fretsaw.sim.store import DEFAULT_GRACE_S, Store

_SYSTEM = ("system-cluster-critical", "system-node-critical")
_NODE_PROBLEMS = ("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable")
_TOLERATED_S = 300


class Admission:
    """Defaults and admission plugins, with the classes that the cluster has at the time."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def refused(self, spec: PodSpec) -> str:
        """Why no pod with this spec is taken; empty where it is."""
        name = spec.priority_class_name
        if name and name not in _SYSTEM and self._store.get("PriorityClass", name) is None:
            return f"no PriorityClass with name {name} was found"
        name = spec.runtime_class_name
        if name and self._store.get("RuntimeClass", name) is None:
            return f'pod rejected: RuntimeClass "{name}" not found'
        return ""

    def spec(self, spec: PodSpec) -> PodSpec:
        """The spec as it is stored: requests, priority, overhead, tolerations and the kubelet's defaults filled in."""
        spec = Defaults(self._store.all("PriorityClass"), self._store.all("RuntimeClass")).spec(spec)
        grace = spec.termination_grace_period_seconds
        return replace(
            spec,
            priority=spec.priority or 0,
            preemption_policy=spec.preemption_policy or self._preemption(spec.priority_class_name),
            tolerations=(*spec.tolerations, *_for_a_while(spec.tolerations)),
            restart_policy=spec.restart_policy or "Always",
            termination_grace_period_seconds=DEFAULT_GRACE_S if grace is None else grace,
        )

    def _preemption(self, name: str) -> str:
        classes: dict[str, PriorityClass] = dict(self._store.all("PriorityClass"))
        if name:
            found = classes.get(name)
        else:
            found = next((item for _, item in sorted(classes.items()) if item.global_default), None)
        return (found.preemption_policy if found else "") or "PreemptLowerPriority"


def _for_a_while(given: tuple[Toleration, ...]) -> tuple[Toleration, ...]:
    """Tolerations of 300 s for nodes that are not ready or not reachable, where the pod says nothing about them."""
    return tuple(
        Toleration(key, "Exists", effect="NoExecute", toleration_seconds=_TOLERATED_S)
        for key in _NODE_PROBLEMS
        if not any(t.key in ("", key) and t.effect in ("", "NoExecute") for t in given)
    )
