"""What goes wrong, and what operators do, at the times that the scenario says."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from fnmatch import fnmatchcase
from typing import Any

import msgspec
from msgspec.structs import replace

from fretsaw.api.labels import CAPACITY_TYPE, INSTANCE_TYPE, NODEPOOL, ZONE
from fretsaw.api.meta import LabelSelector, Object, SelectorExpression
from fretsaw.api.node import Node
from fretsaw.api.nodeclaim import NodeClaim
from fretsaw.api.times import Millis
from fretsaw.engine import events as e
from fretsaw.engine.state import key_of
from fretsaw.sim.cloud import Cloud, Throttle
from fretsaw.sim.kubelet import NodeFault, Nodes
from fretsaw.sim.scenario.faults import Drift, Fault, Interrupt, Patch, Target
from fretsaw.sim.scenario.known import full
from fretsaw.sim.told import where
from fretsaw.sim.world import World

Admit = Callable[[Object], Object]


class Timetable:
    """Performs the faults of a scenario."""

    def __init__(self, world: World, cloud: Cloud, nodes: Nodes, end: Millis, admit: Admit) -> None:
        self._world = world
        self._cloud = cloud
        self._nodes = nodes
        self._end = end
        self._admit = admit

    def start(self, faults: tuple[Fault, ...], applied: Mapping[int, tuple[Object, ...]]) -> None:
        """Plan all of them. applied: the objects that the fault of a number applies."""
        for number, fault in enumerate(faults):
            self._world.loop.at(
                self._world.loop.start + fault.at, self._begin, number, fault, applied.get(number, ()), priority=-10
            )

    def _begin(self, number: int, fault: Fault, objects: tuple[Object, ...]) -> None:
        until = self._end + 1 if fault.for_ is None else self._world.loop.now + fault.for_
        self._world.journal.note("fault", f"Fault/{number}", kind=fault.kind, why=fault.why, until=until)
        self._perform(f"{number}/{self._world.loop.now}", fault, objects, until)
        if fault.repeat is not None and self._world.loop.now + fault.repeat <= self._end:
            self._world.loop.after(fault.repeat, self._begin, number, fault, objects, priority=-10)

    def _perform(self, name: str, fault: Fault, objects: tuple[Object, ...], until: Millis) -> None:
        if fault.out is not None:
            self._cloud.set_out(where(fault.out), until)
        for kind, target in self._node_faults(fault):
            self._hold(kind, target, fault, until)
        if fault.not_ready is not None:
            for node in self._running(name, fault.not_ready):
                self._nodes.not_ready(node.metadata.name, until - self._world.loop.now, silent=True)
        if fault.xid is not None:
            for node in self._running(name, fault.xid):
                self._nodes.xid(node.metadata.name, fault.xid.code)
        if fault.drift is not None:
            self._drift(fault.drift)
        if fault.reclaim is not None:
            self._reclaim(name, fault.reclaim)
        if fault.interrupt is not None:
            self._interrupt(name, fault.interrupt)
        if fault.api_throttle is not None:
            self._cloud.throttle(Throttle(burst=fault.api_throttle.burst, per_second=fault.api_throttle.rate), until)
        self._operate(fault, objects)

    # Nodes

    def _node_faults(self, fault: Fault) -> Iterator[tuple[str, Target]]:
        for kind, target in (
            ("gpu-never-registers", fault.gpu_never_registers),
            ("gpu-missing", fault.gpu_missing),
            ("slow-pulls", fault.slow_pulls),
            ("never-registers", fault.never_registers),
        ):
            if target is not None:
                yield kind, target

    def _hold(self, kind: Any, target: Target, fault: Fault, until: Millis) -> None:
        """A fault that hits nodes which start while it holds."""
        found = NodeFault(
            kind=kind,
            chance=target.share,
            selector=self._selector(target),
            missing=fault.gpu_missing.missing if fault.gpu_missing is not None else 1,
            factor=fault.slow_pulls.times if fault.slow_pulls is not None else 1.0,
        )
        self._nodes.begin(found)
        if until <= self._end:
            self._world.loop.at(until, self._nodes.end, found)

    def _selector(self, target: Target) -> LabelSelector:
        """Nodes by the labels that they have before there is a node object; patterns become the names that they fit."""
        names = {
            INSTANCE_TYPE: (target.types, self._cloud.catalogs.types()),
            ZONE: (target.zones, self._cloud.catalogs.zones()),
            NODEPOOL: (target.pools, tuple(self._world.store.all("NodePool"))),
        }
        found = [
            SelectorExpression(key, "In", tuple(name for name in known if _fits(patterns, name)))
            for key, (patterns, known) in names.items()
            if patterns is not None
        ]
        if target.capacity_types:
            found.append(SelectorExpression(CAPACITY_TYPE, "In", target.capacity_types))
        return LabelSelector(match_expressions=tuple(found))

    def _running(self, name: str, target: Target) -> list[Node]:
        """The nodes that a target means, by name; a share or a number of them by chance."""
        nodes = [node for _, node in sorted(self._world.store.all("Node").items()) if self._is_meant(target, node)]
        random = self._world.dice.once("fault", name)
        chosen = [node for node in nodes if target.share >= 1 or random.random() < target.share]
        if target.count is not None and len(chosen) > target.count:
            chosen = sorted(random.sample(chosen, target.count), key=lambda node: node.metadata.name)
        return chosen

    def _is_meant(self, target: Target, node: Node) -> bool:
        labels = node.metadata.labels
        claim = next((o.name for o in node.metadata.owner_references if o.kind == "NodeClaim"), "")
        return (
            _fits(target.types, labels.get(INSTANCE_TYPE, ""))
            and _fits(target.zones, labels.get(ZONE, ""))
            and (not target.capacity_types or labels.get(CAPACITY_TYPE, "") in target.capacity_types)
            and _fits(target.pools, labels.get(NODEPOOL, ""))
            and (_fits(target.nodes, node.metadata.name) or _fits(target.nodes, claim))
        )

    # The cloud

    def _reclaim(self, name: str, target: Target) -> None:
        for node in self._running(name, target):
            self._cloud.take_back(node.spec.provider_id)

    def _interrupt(self, name: str, target: Interrupt) -> None:
        for node in self._running(name, target):
            self._cloud.announce(node.spec.provider_id, target.kind)

    def _drift(self, drift: Drift) -> None:
        """Instances of the class that run now are not what it asks for any more; later ones are."""
        for claim in list(self._world.store.all("NodeClaim").values()):
            if isinstance(claim, NodeClaim) and claim.spec.node_class_ref.name == drift.node_class:
                self._world.report(e.DriftFound(claim.metadata.name, drift.reason))

    # Operators

    def _operate(self, fault: Fault, objects: tuple[Object, ...]) -> None:
        for obj in objects:
            self._apply(self._admit(obj))
        for patch in fault.patch:
            self._patch(patch)
        for name in fault.delete:
            kind, key = _named(self._world, name)
            self._world.store.delete(kind, key)
        for name, replicas in fault.scale.items():
            kind, key = _named(self._world, name)
            obj = self._world.store.get(kind, key)
            if obj is not None:
                self._world.store.put(replace(obj, spec=replace(obj.spec, replicas=replicas)))

    def _apply(self, obj: Object) -> None:
        """As `kubectl apply` of a whole object: what the cluster says of it stays."""
        old = self._world.store.get(type(obj).__name__, key_of(obj))
        if old is not None and hasattr(obj, "status"):
            obj = replace(obj, status=old.status)
        self._world.store.put(obj)

    def _patch(self, patch: Patch) -> None:
        kind, key = _named(self._world, patch.object)
        old = self._world.store.get(kind, key)
        if old is None:
            return
        merged = _merged(msgspec.to_builtins(old), patch.merge)
        self._world.store.put(msgspec.convert(merged, type(old)))


def _fits(patterns: tuple[str, ...] | None, text: str) -> bool:
    return patterns is None or any(fnmatchcase(text, pattern) for pattern in patterns)


def _named(world: World, name: str) -> tuple[str, str]:
    """(kind, key) of `kind/namespace/name` or `kind/name`, in any case."""
    kind, _, key = full(name).partition("/")
    return next((known for known in world.store.kinds() if known.lower() == kind.lower()), kind), key


def _merged(old: Any, patch: Any) -> Any:
    """RFC 7386: maps are merged, null removes, everything else replaces."""
    if not isinstance(patch, dict):
        return patch
    found = dict(old) if isinstance(old, dict) else {}
    for key, value in patch.items():
        if value is None:
            found.pop(key, None)
        else:
            found[key] = _merged(found.get(key), value)
    return found
