"""The nodes as columns: what each offers and what is taken, as whole numbers in numpy arrays.

A node keeps its slot (an index into every column) while it exists; a slot that became free is used again. Views
follow a `Changes` log, and look again only at the slots that changed since they last did.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

import msgspec
import numpy as np
import numpy.typing as npt

from fretsaw.api.node import Node
from fretsaw.api.pod import Pod
from fretsaw.api.resources import units
from fretsaw.sim.scheduler.mold import Mold

Ints = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]
TOP: Final = 100
"""The best score of a plugin."""
CPU: Final = 0
MEMORY: Final = 1
"""Rows of the two resources that scores are about."""


class Changes:
    """Slots in the order in which they changed."""

    def __init__(self) -> None:
        self._first = 0
        self._slots: list[int] = []

    def __len__(self) -> int:
        return self._first + len(self._slots)

    def add(self, slot: int) -> None:
        """A slot changed."""
        self._slots.append(slot)
        if len(self._slots) > 4096:
            self._first += 2048
            del self._slots[:2048]

    def since(self, seen: int) -> Sequence[int] | None:
        """The slots that changed since `seen` entries, without repeats; None where that is no longer known."""
        if seen < self._first:
            return None
        fresh = self._slots[seen - self._first :]
        return fresh if len(fresh) < 2 else list(dict.fromkeys(fresh))


class Follower:
    """One reader of a log."""

    __slots__ = ("_columns", "_log", "_seen")

    def __init__(self, columns: Columns, log: Changes) -> None:
        self._columns = columns
        self._log = log
        self._seen = -1

    def news(self) -> Sequence[int]:
        """The slots to look at again: all of them the first time, and where the log no longer knows."""
        end = len(self._log)
        if self._seen == end:
            return ()
        changed = self._log.since(self._seen)
        self._seen = end
        return range(self._columns.size) if changed is None else changed


class Placed(msgspec.Struct, eq=False):
    """A pod that takes room on a node."""

    pod: Pod
    mold: Mold
    amounts: tuple[tuple[str, int], ...]
    """What it takes now; more than its mold says while it is being resized."""
    slot: int
    counters: list[Any] = []
    """Where it is counted."""
    volumes: tuple[tuple[str, str], ...] = ()
    """(driver, volume) of its attached volumes."""


class Row(msgspec.Struct, eq=False):
    """A node and the pods on it, finished ones left out."""

    node: Node
    slot: int
    pods: dict[str, Placed] = {}

    @property
    def name(self) -> str:
        """The node's name."""
        return self.node.metadata.name


class Columns:
    """All nodes."""

    def __init__(self) -> None:
        self.size = 64
        """Length of every column."""
        self.rows: list[Row | None] = [None] * self.size
        self.by_name: dict[str, Row] = {}
        self.valid: Mask = np.zeros(self.size, np.bool_)
        self.resources: dict[str, int] = {"cpu": CPU, "memory": MEMORY}
        """The row of each resource in `room` and `free`."""
        self.room: Ints = np.zeros((2, self.size), np.int64)
        """Allocatable."""
        self.free: Ints = np.zeros((2, self.size), np.int64)
        """Allocatable without what is requested."""
        self.spare: Ints = np.zeros((2, self.size), np.int64)
        """Cpu and memory as `free`, but with what the LeastAllocated score counts as requested."""
        self.even: Ints = np.full(self.size, TOP)
        """How evenly cpu and memory are used."""
        self.labels = Changes()
        """Slots whose node came, went, or changed in labels, taints or cordon."""
        self.usage = Changes()
        """Slots whose room or usage changed."""
        self._free = list(range(self.size - 1, -1, -1))
        self._grown: list[Any] = []
        self._domains: dict[str, Domains] = {}

    def __len__(self) -> int:
        return len(self.by_name)

    def number(self, resource: str) -> int:
        """The row of a resource, made where it is missing."""
        found = self.resources.get(resource)
        if found is None:
            found = self.resources[resource] = len(self.resources)
            blank = np.zeros((1, self.size), np.int64)
            self.room = np.concatenate((self.room, blank))
            self.free = np.concatenate((self.free, blank))
        return found

    def on_growth(self, holder: Any) -> None:
        """Call `holder.grow(size)` when the columns become longer."""
        self._grown.append(holder)

    def domains(self, key: str) -> Domains:
        """Which domain of a topology key each slot is in, as of now."""
        found = self._domains.get(key)
        if found is None:
            found = self._domains[key] = Domains(self, key)
        found.refresh()
        return found

    def put(self, node: Node) -> Row:
        """Take a node in, or its change."""
        row = self.by_name.get(node.metadata.name)
        if row is None:
            row = self._enter(node)
        elif (row.node.metadata.labels, row.node.spec) != (node.metadata.labels, node.spec):
            self.labels.add(row.slot)
        if row.node is node or row.node.status.allocatable != node.status.allocatable:
            self._offer(row.slot, node)
        row.node = node
        return row

    def drop(self, name: str) -> Row | None:
        """Forget a node. Its pods must have been taken away."""
        row = self.by_name.pop(name, None)
        if row is None:
            return None
        slot = row.slot
        self.rows[slot] = None
        self.valid[slot] = False
        for matrix in (self.room, self.free, self.spare):
            matrix[:, slot] = 0
        self.even[slot] = TOP
        self._free.append(slot)
        self.labels.add(slot)
        self.usage.add(slot)
        return row

    def take(self, slot: int, amounts: Iterable[tuple[str, int]], scored: tuple[int, int], sign: int = 1) -> None:
        """Count a pod's requests as taken; sign -1 gives them back."""
        for resource, amount in amounts:
            number = self.number(resource)
            self.free[number, slot] -= sign * amount
        self.spare[CPU, slot] -= sign * scored[CPU]
        self.spare[MEMORY, slot] -= sign * scored[MEMORY]
        self._used(slot)

    def _enter(self, node: Node) -> Row:
        if not self._free:
            self._grow()
        slot = self._free.pop()
        row = self.rows[slot] = self.by_name[node.metadata.name] = Row(node, slot)
        self.valid[slot] = True
        self.labels.add(slot)
        return row

    def _offer(self, slot: int, node: Node) -> None:
        new = {self.number(name): units(name, quantity, up=False) for name, quantity in node.status.allocatable.items()}
        before = self.room[:, slot].copy()
        self.room[:, slot] = 0
        self.room[list(new), slot] = list(new.values())
        more = self.room[:, slot] - before
        self.free[:, slot] += more
        self.spare[:, slot] += more[:2]
        self._used(slot)

    def _used(self, slot: int) -> None:
        """The room or usage of a slot has changed."""
        room = self.room[:2, slot].tolist()
        free = self.free[:2, slot].tolist()
        self.even[slot] = evenness((room[CPU] - free[CPU], room[MEMORY] - free[MEMORY]), room)
        self.usage.add(slot)

    def _grow(self) -> None:
        old, self.size = self.size, self.size * 2
        self.rows += [None] * old
        self._free = list(range(self.size - 1, old - 1, -1))
        self.valid = longer(self.valid, self.size)
        self.even = longer(self.even, self.size, TOP)
        self.room, self.free, self.spare = (wider(matrix, self.size) for matrix in (self.room, self.free, self.spare))
        for holder in self._grown:
            holder.grow(self.size)


def evenness(used: Sequence[int], room: Sequence[int]) -> int:
    """100 where cpu and memory are used alike, 50 where one is full and the other empty; 100 where one is missing."""
    if not (room[0] and room[1]):
        return TOP
    return int((1 - abs(min(used[0] / room[0], 1.0) - min(used[1] / room[1], 1.0)) / 2) * TOP)


def longer(column: npt.NDArray[Any], size: int, fill: int = 0) -> npt.NDArray[Any]:
    """A column with more slots at its end."""
    out = np.full(size, fill, column.dtype)
    out[: len(column)] = column
    return out


def wider(matrix: Ints, size: int) -> Ints:
    """A matrix with more slots at the end of each row."""
    out = np.zeros((len(matrix), size), np.int64)
    out[:, : matrix.shape[1]] = matrix
    return out


class Domains:
    """The domain of each slot under one topology key: a number, -1 where the node lacks the label."""

    def __init__(self, columns: Columns, key: str) -> None:
        self._columns = columns
        self._key = key
        self._changes = Follower(columns, columns.labels)
        self._known: dict[str, int] = {}
        self.of = np.full(columns.size, -1, np.int64)
        columns.on_growth(self)

    @property
    def count(self) -> int:
        """How many numbers are given out; some may have no node any more."""
        return len(self._known)

    def grow(self, size: int) -> None:
        """Follow the columns."""
        self.of = longer(self.of, size, -1)

    def refresh(self) -> None:
        """Look at the nodes that changed."""
        for slot in self._changes.news():
            row = self._columns.rows[slot]
            value = row.node.metadata.labels.get(self._key) if row is not None else None
            self.of[slot] = -1 if value is None else self._known.setdefault(value, len(self._known))
