"""Finds the mold of a pod: the same one for all pods that are equal in what the scheduler reads."""

from __future__ import annotations

from typing import Any, Final

import msgspec
from msgspec.structs import replace

from fretsaw.api.meta import LabelSelector, SelectorExpression
from fretsaw.api.pod import Pod, PodSpec
from fretsaw.sim.scheduler.mold import PER_REPLICA, Mold, make, pinned, projection
from fretsaw.sim.store import Store

REMEMBERED: Final = 20_000
"""Specs that are known by identity; more would only keep old objects alive."""
OWNERS: Final = ("ReplicaSet", "StatefulSet", "ReplicationController")
"""Whose pods are spread by default, as those of Services are."""


class Molds:
    """All molds so far."""

    def __init__(self, store: Store, *, default_spread: bool) -> None:
        self._store = store
        self._default_spread = default_spread
        self._molds: dict[tuple[Any, ...], Mold] = {}
        self._specs: dict[int, tuple[PodSpec, bytes, tuple[str, ...] | None]] = {}
        self._asked: set[str] = set()
        """Labels of replicas that some selector asks for."""

    def of(self, pod: Pod) -> tuple[Mold, tuple[str, ...] | None]:
        """The pod's mold, and the nodes that its affinity pins it to (None for any)."""
        _, spec, pin = self._spec(pod.spec)
        defaults = self._defaults(pod)
        labels = pod.metadata.labels
        if labels.keys() & (PER_REPLICA - self._asked):
            labels = {key: value for key, value in labels.items() if key not in PER_REPLICA or key in self._asked}
        own = pod.metadata.name if any(v.ephemeral for v in pod.spec.volumes) else ""
        namespace = pod.metadata.home
        key = (namespace, tuple(labels.items()), spec, defaults and msgspec.msgpack.encode(defaults), own)
        found = self._molds.get(key)
        if found is None:
            found = self._molds[key] = self._made(pod, defaults)
        return found, pin

    def _made(self, pod: Pod, defaults: LabelSelector | None) -> Mold:
        mold = make(len(self._molds), pod, defaults)
        terms = (*mold.company, *mold.apart, *(term for term, _ in mold.wishes))
        selectors = [*(t.selector for t in terms), *(s.selector for s in (*mold.hard, *mold.soft))]
        self._asked.update(key for selector in selectors for key in selector.labels() if key in PER_REPLICA)
        priority = self._store.get("PriorityClass", pod.spec.priority_class_name)
        if not pod.spec.preemption_policy and priority is not None:
            mold = replace(mold, preempts=priority.preemption_policy != "Never")
        return mold

    def _spec(self, spec: PodSpec) -> tuple[PodSpec, bytes, tuple[str, ...] | None]:
        known = self._specs.get(id(spec))
        if known is None:
            if len(self._specs) >= REMEMBERED:
                self._specs.clear()
            known = self._specs[id(spec)] = (spec, msgspec.msgpack.encode(projection(spec)), pinned(spec)[0])
        return known

    def _defaults(self, pod: Pod) -> LabelSelector | None:
        """What the default spread constraints of a pod count: its Services' and its owner's selectors together.

        Source: kube-scheduler v1.36 helper.DefaultSelector; kubernetes.io, Pod Topology Spread Constraints,
        "Cluster-level default constraints".
        """
        if not self._default_spread or pod.spec.topology_spread_constraints:
            return None
        labels: dict[str, str] = {}
        expressions: tuple[SelectorExpression, ...] = ()
        namespace = pod.metadata.home
        for service in self._store.all("Service").values():
            selector = service.spec.selector
            here = service.metadata.home == namespace
            if here and selector and selector.items() <= pod.metadata.labels.items():
                labels |= selector
        owner = pod.metadata.controller
        found = self._store.get(owner.kind, f"{namespace}/{owner.name}") if owner and owner.kind in OWNERS else None
        selector = found.spec.selector if found is not None else None
        if isinstance(selector, LabelSelector):
            labels |= selector.match_labels
            expressions = selector.match_expressions
        elif selector:
            labels |= selector
        return LabelSelector(labels, expressions) if labels or expressions else None
