"""Pods that wait for a node of their own: their room counts as taken for pods of lower or equal priority.

Source: kube-scheduler v1.36 RunFilterPluginsWithNominatedPods; KEP-5278 (nominatedNodeName for expectation).
"""

from __future__ import annotations

from collections import defaultdict

import msgspec
import numpy as np

from fretsaw.sim.scheduler.columns import Columns, Ints, Placed, longer


class Nominee(msgspec.Struct, eq=False):
    """A waiting pod with a node in mind."""

    placed: Placed
    """The pod as if it were on the node; its slot is only right once the node is there."""
    node: str
    by_us: bool
    """Whether preemption chose the node; else somebody else did."""


class Nominations:
    """All nominees, by pod and by node, and the room that they hold."""

    def __init__(self, columns: Columns) -> None:
        self.of: dict[str, Nominee] = {}
        self.on: dict[str, dict[str, Nominee]] = defaultdict(dict)
        self._columns = columns
        self._held: dict[int, dict[str, Ints]] = {}
        """Room held by priority and resource, on nodes that are there."""
        self._holders: dict[int, int] = defaultdict(int)
        columns.on_growth(self)

    def grow(self, size: int) -> None:
        """Follow the columns."""
        for held in self._held.values():
            held.update({name: longer(column, size) for name, column in held.items()})

    def set(self, nominee: Nominee) -> None:
        """A pod is meant for a node."""
        key = nominee.placed.pod.key
        self.drop(key)
        self.of[key] = nominee
        self.on[nominee.node][key] = nominee
        self._hold(nominee, 1)

    def drop(self, key: str) -> Nominee | None:
        """A pod is meant for no node any more."""
        nominee = self.of.pop(key, None)
        if nominee is not None:
            there = self.on[nominee.node]
            del there[key]
            if not there:
                del self.on[nominee.node]
            self._hold(nominee, -1)
        return nominee

    def arrived(self, node: str) -> list[str]:
        """A node is there now; the pods that waited for it."""
        for nominee in (there := self.on.get(node, {})).values():
            self._hold(nominee, 1)
        return list(there)

    def leaves(self, node: str) -> list[str]:
        """A node is about to go; the pods that are meant for it, and stay so until they are tried again."""
        for nominee in (there := self.on.get(node, {})).values():
            self._hold(nominee, -1)
        return list(there)

    def _hold(self, nominee: Nominee, sign: int) -> None:
        row = self._columns.by_name.get(nominee.node)
        if row is None:
            return
        nominee.placed.slot = row.slot
        priority = nominee.placed.mold.priority
        self._holders[priority] += sign
        held = self._held.setdefault(priority, {})
        for name, amount in nominee.placed.amounts:
            if name not in held:
                held[name] = np.zeros(self._columns.size, np.int64)
            held[name][row.slot] += sign * amount

    def ahead(self, node: str, priority: int, but: str) -> tuple[Placed, ...]:
        """The nominees of a node that a pod of this priority has to leave room for, itself left out."""
        there = self.on.get(node)
        if not there:
            return ()
        return tuple(n.placed for key, n in there.items() if key != but and n.placed.mold.priority >= priority)

    def held(self, resource: str, priority: int, but: str) -> Ints | None:
        """Of a resource what is held against a pod of this priority, by slot; itself left out. None for nothing."""
        total: Ints | None = None
        for other, held in self._held.items():
            if other >= priority and self._holders[other] and resource in held:
                total = held[resource].copy() if total is None else total + held[resource]
        own = self.of.get(but)
        if total is not None and own is not None and own.placed.mold.priority >= priority:
            row = self._columns.by_name.get(own.node)
            if row is not None:
                total[row.slot] -= dict(own.placed.amounts).get(resource, 0)
        return total

    def any_ahead(self, priority: int) -> bool:
        """Whether room is held against pods of this priority anywhere."""
        return any(count and other >= priority for other, count in self._holders.items())
