"""The filter plugins: where a pod may go, and in the words of the plugins why not elsewhere.

A pod's question goes through all nodes at once (`passing`, `verdict`) or to one node with some pods imagined away or
added (`refuses`), as for nominated nodes and preemption. Both ask the plugins in the same order.
Differs: all nodes are examined, where kube-scheduler looks at a sample of clusters with more than 100 nodes.
Source: kube-scheduler v1.36 framework/plugins; kubernetes.io, Scheduler Configuration, "Scheduling plugins".
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Final

import msgspec
import numpy as np

from fretsaw.api.pod import Pod
from fretsaw.sim.scheduler.census import NOTHING, Census, Delta
from fretsaw.sim.scheduler.columns import Columns, Ints, Mask
from fretsaw.sim.scheduler.company import Company
from fretsaw.sim.scheduler.mold import Mold, Port, conflicts
from fretsaw.sim.scheduler.nominations import Nominations
from fretsaw.sim.scheduler.spreading import Spreading
from fretsaw.sim.scheduler.views import AffinityView, FitView, TaintView
from fretsaw.sim.scheduler.volumes import Volumes

SPREAD: Final = "node(s) didn't match pod topology spread constraints"
COMPANY: Final = {
    "company": "node(s) didn't match pod affinity rules",
    "apart": "node(s) didn't match pod anti-affinity rules",
    "existing": "node(s) didn't satisfy existing pods anti-affinity rules",
}
ONE_POD: Final = "node has pod using PersistentVolumeClaim with the same name and ReadWriteOncePod access mode"


class Ask(msgspec.Struct, eq=False):
    """One pod's question."""

    key: str
    pod: Pod
    mold: Mold
    pin: tuple[str, ...] | None = None
    """The only nodes that its affinity names; None for any."""


class Refusal(msgspec.Struct, frozen=True):
    """Why a node will not do. resolvable: whether taking pods away could help."""

    plugin: str
    reasons: tuple[str, ...]
    resolvable: bool = True


class Step(msgspec.Struct, eq=False):
    """One rule: the slots where it holds."""

    plugin: str
    reason: str
    passes: Mask
    resolvable: bool = True


class Verdict(msgspec.Struct, eq=False):
    """Why no node will do."""

    nodes: int
    reasons: dict[str, int]
    plugins: frozenset[str]
    resolvable: tuple[int, ...] = ()
    """Slots where taking pods away could help, in their order."""
    whole: str = ""
    """Why the pod can go nowhere, whatever the node."""


class Filters:
    """All filter plugins over all nodes."""

    def __init__(self, columns: Columns, census: Census, volumes: Volumes, nominations: Nominations) -> None:
        self.columns = columns
        self.census = census
        self.volumes = volumes
        self.nominations = nominations
        self.spreading = Spreading(columns, census)
        self.company = Company(columns, census)
        self._taints: dict[bytes, TaintView] = {}
        self._affinities: dict[bytes, AffinityView] = {}
        self._fits: dict[bytes, FitView] = {}
        self._of: dict[int, tuple[TaintView, AffinityView, FitView]] = {}

    def views(self, mold: Mold) -> tuple[TaintView, AffinityView, FitView]:
        """The mold's masks of taints, affinity and room, as of now."""
        found = self._of.get(mold.number)
        if found is None:
            found = self._of[mold.number] = self._views_of(mold)
        for view in found:
            view.refresh()
        return found

    def _views_of(self, mold: Mold) -> tuple[TaintView, AffinityView, FitView]:
        """Molds that ask the same share a view."""
        columns = self.columns
        affinity = (mold.node_selector, mold.required, mold.preferred)
        fit = (mold.amounts, mold.scored, mold.balanced)
        asked = msgspec.msgpack.encode(mold.tolerations), msgspec.msgpack.encode(affinity), msgspec.msgpack.encode(fit)
        if asked[0] not in self._taints:
            self._taints[asked[0]] = TaintView(columns, mold.tolerations)
        if asked[1] not in self._affinities:
            self._affinities[asked[1]] = AffinityView(columns, *affinity)
        if asked[2] not in self._fits:
            self._fits[asked[2]] = FitView(columns, *fit)
        return self._taints[asked[0]], self._affinities[asked[1]], self._fits[asked[2]]

    def pinned(self, ask: Ask) -> Mask | None:
        """The slots of the nodes that a pod is pinned to."""
        if ask.pin is None:
            return None
        out = np.zeros(self.columns.size, np.bool_)
        for name in ask.pin:
            row = self.columns.by_name.get(name)
            if row is not None:
                out[row.slot] = True
        return out

    # All nodes at once

    def passing(self, ask: Ask) -> Mask:
        """The slots where every plugin lets the pod through."""
        mold = ask.mold
        taints, affinity, fit = self.views(mold)
        passes = taints.passes & affinity.passes & fit.passes
        if (pinned := self.pinned(ask)) is not None:
            passes &= pinned
        if self.nominations.any_ahead(mold.priority):
            for name, amount in mold.amounts:
                passes &= self._free(ask, name) >= amount
        if mold.ports or mold.claims or mold.hard or mold.company or mold.apart or self.census.speaking_of(mold):
            if mold.claims and self.volumes.wanted(mold).refusal:
                return np.zeros(self.columns.size, np.bool_)
            for step in self._rarer(ask, taints, affinity, pinned):
                passes &= step.passes
        return passes

    def _free(self, ask: Ask, resource: str) -> Ints:
        """What a pod finds free of a resource, by slot, without what nominees hold against it."""
        free: Ints = self.columns.free[self.columns.number(resource)]
        held = self.nominations.held(resource, ask.mold.priority, ask.key)
        return free if held is None else free - held

    def verdict(self, ask: Ask) -> Verdict:
        """Why no node will do, counted by the first plugin that refuses each node.

        What nominees forbid beside the room that they hold is asked last, of the nodes that no plugin refused.
        """
        nodes = len(self.columns)
        if ask.mold.claims and (whole := self.volumes.wanted(ask.mold).refusal):
            return Verdict(nodes, {}, frozenset({"VolumeBinding"}), whole=whole)
        left = self.columns.valid.copy()
        reasons: Counter[str] = Counter()
        plugins: set[str] = set()
        resolvable: list[int] = []
        pinned = self.pinned(ask)
        if pinned is not None:
            left = left & pinned
            if elsewhere := nodes - int(left.sum()):
                reasons["node(s) didn't satisfy plugin(s) [NodeAffinity]"] += elsewhere
                plugins.add("NodeAffinity")
        for step in self._steps(ask, pinned):
            failing = left & ~step.passes
            count = int(failing.sum())
            if not count:
                continue
            plugins.add(step.plugin)
            left &= step.passes
            if step.plugin == "NodeResourcesFit":
                resolvable += self._shortages(ask, failing, reasons)
                continue
            reasons[step.reason] += count
            if step.resolvable:
                resolvable += np.flatnonzero(failing).tolist()
        for slot in np.flatnonzero(left).tolist():
            if (refusal := self.refuses(ask, slot, self.ahead(ask, slot))) is not None:
                reasons.update(refusal.reasons)
                plugins.add(refusal.plugin)
                resolvable += [slot] if refusal.resolvable else []
        return Verdict(nodes, {r: n for r, n in reasons.items() if n}, frozenset(plugins), tuple(sorted(resolvable)))

    def _shortages(self, ask: Ask, failing: Mask, reasons: Counter[str]) -> list[int]:
        """Count what is short on nodes without room; the slots where pods and not the node's size are in the way."""
        columns = self.columns
        resolvable = failing.copy()
        for name, amount in ask.mold.amounts:
            short = failing & (self._free(ask, name) < amount)
            reasons["Too many pods" if name == "pods" else f"Insufficient {name}"] += int(short.sum())
            resolvable &= columns.room[columns.number(name)] >= amount
        return [int(slot) for slot in np.flatnonzero(resolvable)]

    def _steps(self, ask: Ask, pinned: Mask | None) -> Iterator[Step]:
        """All rules in the order of the plugins."""
        taints, affinity, _ = self.views(ask.mold)
        yield Step("NodeUnschedulable", "node(s) were unschedulable", ~taints.cordoned, resolvable=False)
        yield Step("TaintToleration", "node(s) had untolerated taint(s)", ~taints.tainted, resolvable=False)
        yield Step("NodeAffinity", "node(s) didn't match Pod's node affinity/selector", affinity.passes, False)
        if ask.mold.ports:
            yield self._ports(ask.mold)
        fits = self.columns.valid.copy()
        for name, amount in ask.mold.amounts:
            fits &= self._free(ask, name) >= amount
        yield Step("NodeResourcesFit", "", fits)
        yield from (s for s in self._rarer(ask, taints, affinity, pinned) if s.plugin != "NodePorts")

    def _rarer(self, ask: Ask, taints: TaintView, affinity: AffinityView, pinned: Mask | None) -> Iterator[Step]:
        """The rules that few pods are subject to."""
        mold = ask.mold
        if mold.ports:
            yield self._ports(mold)
        if mold.claims:
            yield from self._on_volumes(mold)
        for tally in self.spreading.tallies(mold, taints, affinity, ask.pin, pinned) if mold.hard else ():
            keyed = tally.of >= 0
            yield Step("PodTopologySpread", f"{SPREAD} (missing required label)", keyed, resolvable=False)
            yield Step("PodTopologySpread", SPREAD, tally.passes() & keyed)
        for rule, passes in self.company.checks(mold):
            yield Step("InterPodAffinity", COMPANY[rule], passes, resolvable=rule != "company")

    def _ports(self, mold: Mold) -> Step:
        passes = self.columns.valid.copy()
        for row in self.columns.by_name.values():
            passes[row.slot] = not conflicts(mold.ports, self._used_ports(row.slot, NOTHING))
        return Step("NodePorts", "node(s) didn't have free ports for the requested pod ports", passes)

    def _used_ports(self, slot: int, delta: Delta) -> Iterator[Port]:
        row = self.columns.rows[slot]
        assert row is not None
        gone = {placed.pod.key for placed in delta.minus}
        for key, placed in row.pods.items():
            if placed.mold.ports and key not in gone:
                yield from placed.mold.ports
        for placed in delta.plus:
            yield from placed.mold.ports

    def _on_volumes(self, mold: Mold) -> Iterator[Step]:
        wanted = self.volumes.wanted(mold)
        if self.volumes.taken(wanted, NOTHING):
            yield Step("VolumeRestrictions", ONE_POD, np.zeros(self.columns.size, np.bool_))
        full = self.volumes.full(mold)
        if full is not None:
            yield Step("NodeVolumeLimits", "node(s) exceed max volume count", ~full)
        reached = self.volumes.reaches_bound(wanted)
        yield Step("VolumeBinding", "node(s) didn't match PersistentVolume's node affinity", reached, False)
        reached = self.volumes.reaches_open(wanted)
        yield Step("VolumeBinding", "node(s) didn't find available persistent volumes to bind", reached, False)
        yield Step("VolumeZone", "node(s) had no available volume zone", self.volumes.in_zone(wanted), False)

    # One node

    def ahead(self, ask: Ask, slot: int) -> Delta:
        """The nominees of a node that the pod has to leave room for."""
        row = self.columns.rows[slot]
        assert row is not None
        return Delta(plus=self.nominations.ahead(row.name, ask.mold.priority, ask.key))

    def refuses(self, ask: Ask, slot: int, delta: Delta = NOTHING) -> Refusal | None:
        """Why one node will not do with some pods imagined away or added; None where it will."""
        taints, affinity, _ = self.views(ask.mold)
        row = self.columns.rows[slot]
        if row is None or (ask.pin is not None and row.name not in ask.pin):
            return Refusal("NodeName", ("node(s) didn't match the requested node name",), resolvable=False)
        if taints.cordoned[slot]:
            return Refusal("NodeUnschedulable", ("node(s) were unschedulable",), resolvable=False)
        if taints.tainted[slot]:
            return Refusal("TaintToleration", ("node(s) had untolerated taint(s)",), resolvable=False)
        if not affinity.passes[slot]:
            return Refusal("NodeAffinity", ("node(s) didn't match Pod's node affinity/selector",), resolvable=False)
        if ask.mold.ports and conflicts(ask.mold.ports, self._used_ports(slot, delta)):
            return Refusal("NodePorts", ("node(s) didn't have free ports for the requested pod ports",))
        return self._short_of(ask.mold, slot, delta) or self._breaks(ask, slot, delta, taints, affinity)

    def _short_of(self, mold: Mold, slot: int, delta: Delta) -> Refusal | None:
        moved: dict[str, int] = {}
        for sign, pods in ((-1, delta.minus), (1, delta.plus)):
            for placed in pods:
                for name, amount in placed.amounts:
                    moved[name] = moved.get(name, 0) + sign * amount
        columns = self.columns
        for name, amount in mold.amounts:
            number = columns.number(name)
            if columns.free[number, slot] - moved.get(name, 0) < amount:
                reason = "Too many pods" if name == "pods" else f"Insufficient {name}"
                return Refusal("NodeResourcesFit", (reason,), resolvable=bool(amount <= columns.room[number, slot]))
        return None

    def _breaks(self, ask: Ask, slot: int, delta: Delta, taints: TaintView, affinity: AffinityView) -> Refusal | None:
        """As `refuses`, for the rules that few pods are subject to."""
        mold = ask.mold
        if mold.claims and (refusal := self._volume_refusal(mold, slot, delta)) is not None:
            return refusal
        if mold.hard:
            tallies = self.spreading.tallies(mold, taints, affinity, ask.pin, self.pinned(ask))
            if (why := self.spreading.refuses(tallies, slot, delta)) is not None:
                return Refusal("PodTopologySpread", (SPREAD,), resolvable=why != "key")
        if mold.company or mold.apart or delta.plus or self.census.speaking_of(mold):
            why = self.company.refuses(mold, slot, delta)
            if why is not None:
                return Refusal("InterPodAffinity", (COMPANY[why],), resolvable=why != "company")
        return None

    def _volume_refusal(self, mold: Mold, slot: int, delta: Delta) -> Refusal | None:
        wanted = self.volumes.wanted(mold)
        if wanted.refusal:
            return Refusal("VolumeBinding", (wanted.refusal,), resolvable=False)
        if self.volumes.taken(wanted, delta):
            return Refusal("VolumeRestrictions", (ONE_POD,))
        if self.volumes.is_full(mold, slot, delta):
            return Refusal("NodeVolumeLimits", ("node(s) exceed max volume count",))
        reached = self.volumes.reaches_bound(wanted) & self.volumes.reaches_open(wanted)
        if not (reached & self.volumes.in_zone(wanted))[slot]:
            return Refusal("VolumeBinding", ("node(s) didn't match PersistentVolume's node affinity",), False)
        return None
