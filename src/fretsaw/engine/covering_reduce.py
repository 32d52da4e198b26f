"""From the covering problem as asked to the smaller one that is solved: exact steps only.

Called by `covering_solver`. Items that no rule tells apart become one, resource columns that cannot bind are dropped,
dominated configurations go, and a configuration with restricted openers becomes one *cell* per opener: the pattern
holds one pod of it by construction, and a row says that an item cannot open more nodes than it has pods. With that row
a cover (≥ demand) can always be trimmed to an exact one, so bound and plan need nothing else for openers.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import gcd

import numpy as np
import numpy.typing as npt

from fretsaw.engine.covering import Config, FreeBin, Problem

IntArray = npt.NDArray[np.int64]
LARGEST = 2**50  # sizes and capacities stay exact in float64, with room for sums
MOST_FREE_KINDS = 40  # more kinds of free room are pooled per allowed mask, which only lowers the bound


@dataclass(frozen=True)
class Merged:
    """Items of the problem that no rule tells apart, as one."""

    demand: int
    size: tuple[int, ...]
    members: tuple[int, ...]


@dataclass(frozen=True)
class Cell:
    """A configuration (index into the problem, -1 for free room) with the pod that opens it (-1: any may)."""

    config: int
    price: int
    capacity: tuple[int, ...]
    allowed: int
    opener: int
    uses: tuple[tuple[int, int], ...]
    exclusive: tuple[int, ...]


@dataclass(frozen=True)
class Reduced:
    """The instance to solve; sizes are divided by each column's common divisor."""

    items: tuple[Merged, ...]
    cells: tuple[Cell, ...]
    limits: tuple[int, ...]
    price_step: int
    stuck: tuple[int, ...] = field(default=())
    """Merged items that no cell can hold once the limits are kept: there is no plan."""


def check(problem: Problem) -> None:
    """Raises ValueError naming the first malformed field."""
    columns = len(problem.items[0].size) if problem.items else None
    for i, item in enumerate(problem.items):
        if len(item.size) != columns:
            raise ValueError(f"item {i}: {len(item.size)} resource columns, {columns} expected")
        if item.demand < 0 or min(item.size, default=0) < 0:
            raise ValueError(f"item {i}: negative demand or size")
    for config in problem.configs:
        _check_room(f"config {config.key}", config.capacity, columns)
        if config.price < 0:
            raise ValueError(f"config {config.key}: negative price {config.price}")
        for row, units in config.limit_use:
            if not 0 <= row < len(problem.limits) or units < 0:
                raise ValueError(f"config {config.key}: limit row {row} with {units} units does not exist")
    for i, room in enumerate(problem.free):
        _check_room(f"free bin {i}", room.capacity, columns)


def _check_room(where: str, capacity: tuple[int, ...], columns: int | None) -> None:
    if columns is not None and len(capacity) != columns:
        raise ValueError(f"{where}: {len(capacity)} resource columns, {columns} expected")
    if min(capacity, default=0) < 0:
        raise ValueError(f"{where}: negative capacity")


def reduce(problem: Problem, *, free: bool) -> Reduced:
    """The smaller problem; with `free`, free room counts as configurations that cost nothing, each once."""
    check(problem)
    wanted = [i for i, item in enumerate(problem.items) if item.demand > 0]
    if not wanted:
        return Reduced((), (), (), 1)
    configs = [_Node.of_config(i, c) for i, c in enumerate(problem.configs)]
    limits = list(problem.limits)
    if free:
        configs += _free_nodes(problem.free, limits)
    sizes = _Sizes(problem, wanted)
    configs = [node for c in configs if (node := _fit(sizes, c)) is not None]
    _require_home(wanted, configs)
    configs = [c for c in configs if all(units <= limits[row] for row, units in c.uses)]
    merged, configs = _merge(problem, wanted, configs)
    merged, configs = _drop_columns(merged, configs)
    configs = _undominated(configs)
    rows = _used_rows(configs)
    configs = [c.with_uses(tuple((rows[row], n) for row, n in c.uses)) for c in configs]
    kept = [limits[row] for row in rows]
    cells = _cells(merged, configs, kept)
    stuck = tuple(i for i in range(len(merged)) if not any(c.allowed >> i & 1 for c in cells))
    step = gcd(*(c.price for c in problem.configs)) or 1
    return Reduced(tuple(merged), tuple(cells), tuple(kept), step, stuck)


@dataclass(frozen=True)
class _Node:
    """A configuration on its way through the reduction."""

    config: int
    key: str
    price: int
    capacity: tuple[int, ...]
    allowed: int
    openers: int
    uses: tuple[tuple[int, int], ...]
    exclusive: tuple[int, ...]

    @classmethod
    def of_config(cls, index: int, c: Config) -> _Node:
        """The configuration with its cap on pods as one more resource column (-1: none)."""
        capacity = (*c.capacity, -1 if c.cap_items is None else c.cap_items)
        uses: dict[int, int] = {}
        for row, units in c.limit_use:
            uses[row] = uses.get(row, 0) + units
        used = tuple(sorted((row, units) for row, units in uses.items() if units))
        return cls(index, c.key, c.price, capacity, c.allowed, c.openers, used, tuple(sorted(set(c.exclusive))))

    def with_uses(self, uses: tuple[tuple[int, int], ...]) -> _Node:
        """The same node with other limit rows."""
        return _Node(self.config, self.key, self.price, self.capacity, self.allowed, self.openers, uses, self.exclusive)

    def changed(self, capacity: tuple[int, ...], allowed: int, openers: int, exclusive: tuple[int, ...]) -> _Node:
        """The same node with another capacity and other masks."""
        return _Node(self.config, self.key, self.price, capacity, allowed, openers, self.uses, exclusive)


def _free_nodes(free: tuple[FreeBin, ...], limits: list[int]) -> list[_Node]:
    """Free room as nodes of price 0 with a limit row for their number, appended to `limits`."""
    kinds: dict[tuple[int, tuple[int, ...]], int] = {}
    for room in free:
        kinds[room.allowed, room.capacity] = kinds.get((room.allowed, room.capacity), 0) + room.count
    if len(kinds) > MOST_FREE_KINDS:
        pooled: dict[int, tuple[int, ...]] = {}
        for (allowed, capacity), count in kinds.items():
            before = pooled.get(allowed, (0,) * len(capacity))
            pooled[allowed] = tuple(a + count * b for a, b in zip(before, capacity, strict=True))
        kinds = dict.fromkeys(pooled.items(), 1)
    nodes = []
    for (allowed, capacity), count in sorted(kinds.items()):
        nodes.append(_Node(-1, "", 0, (*capacity, -1), allowed, allowed, ((len(limits), 1),), ()))
        limits.append(count)
    return nodes


class _Sizes:
    """Sizes of the wanted items with the pod itself as last column, as exact integers."""

    def __init__(self, problem: Problem, wanted: list[int]) -> None:
        self.wanted = wanted
        self.size = np.array([(*problem.items[i].size, 1) for i in wanted], dtype=object)
        self.demand = np.array([problem.items[i].demand for i in wanted], dtype=object)
        self.total = self.size * self.demand[:, None]

    def fitting(self, room: npt.NDArray[np.object_], mask: int) -> int:
        """The items of `mask` that fit into the room alone; a negative room is no limit."""
        fits = ((self.size <= room) | (room < 0)).all(axis=1)
        inside = np.flatnonzero(np.asarray(fits, dtype=bool)).tolist()
        return sum(1 << self.wanted[place] for place in inside if mask >> self.wanted[place] & 1)


def _fit(sizes: _Sizes, node: _Node) -> _Node | None:
    """The node with masks cut to what fits alone or beside an opener, and no more capacity than could be used."""
    room = np.array(node.capacity, dtype=object)
    single = sizes.fitting(room, node.allowed)
    openers, allowed = single & node.openers, single
    if openers != single:
        allowed = openers
        for place, o in enumerate(sizes.wanted):
            if openers >> o & 1 and allowed != single:
                left = np.where(room < 0, -1, room - sizes.size[place])
                beside = sizes.fitting(left, single & ~allowed)
                allowed |= sum(1 << i for i in sizes.wanted if beside >> i & 1 and not _apart(node, i, o))
    if not openers:
        return None
    inside = [place for place, i in enumerate(sizes.wanted) if allowed >> i & 1]
    most = sizes.total[inside].sum(axis=0).tolist()
    capacity = tuple(total if cap < 0 else min(cap, total) for cap, total in zip(node.capacity, most, strict=True))
    exclusive = tuple(sorted({m & allowed for m in node.exclusive if (m & allowed).bit_count() > 1}))
    return node.changed(capacity, allowed, openers, exclusive)


def _apart(node: _Node, a: int, b: int) -> bool:
    return any(mask >> a & 1 and mask >> b & 1 for mask in node.exclusive)


def _require_home(wanted: list[int], nodes: list[_Node]) -> None:
    held = 0
    for node in nodes:
        held |= node.allowed
    for i in wanted:
        if not held >> i & 1:
            raise ValueError(f"item {i}: no configuration can hold it")


def _merge(problem: Problem, wanted: list[int], nodes: list[_Node]) -> tuple[list[Merged], list[_Node]]:
    """Items of one size that every node treats alike become one; those with exclusions stay apart."""
    groups: dict[tuple[object, ...], list[int]] = {}
    excluded = 0
    for node in nodes:
        for mask in node.exclusive:
            excluded |= mask
    for i in wanted:
        where = tuple(node.allowed >> i & 1 | (node.openers >> i & 1) << 1 for node in nodes)
        alone = i if excluded >> i & 1 else -1
        groups.setdefault((problem.items[i].size, where, alone), []).append(i)
    members = sorted(groups.values())
    merged = [
        Merged(sum(problem.items[i].demand for i in m), (*problem.items[m[0]].size, 1), tuple(m)) for m in members
    ]

    def renumber(mask: int) -> int:
        return sum(1 << new for new, m in enumerate(members) if mask >> m[0] & 1)

    return merged, [
        n.changed(n.capacity, renumber(n.allowed), renumber(n.openers), tuple(sorted(map(renumber, n.exclusive))))
        for n in nodes
    ]


def _drop_columns(items: list[Merged], nodes: list[_Node]) -> tuple[list[Merged], list[_Node]]:
    """Columns that cannot bind are dropped; the others are divided by their common divisor."""
    if not items:
        return items, nodes
    size = np.array([item.size for item in items], dtype=object)
    cap = np.array([node.capacity for node in nodes], dtype=object).reshape(len(nodes), size.shape[1])
    allowed = np.array([[node.allowed >> i & 1 for i in range(len(items))] for node in nodes], dtype=bool)
    demand = np.array([item.demand for item in items], dtype=object)
    kept = list(range(size.shape[1]))
    for r in sorted(kept, key=lambda r: (r == len(kept) - 1, -r)):  # the number of pods stays if nothing else does
        if len(kept) > 1 and all(_slack(size, cap[n], allowed[n], demand, r, kept) for n in range(len(nodes))):
            kept.remove(r)
    units = [gcd(*size[:, r]) or 1 for r in kept]
    if any(int(cap[n, r]) // unit > LARGEST for n in range(len(nodes)) for r, unit in zip(kept, units, strict=True)):
        raise ValueError(f"a resource column needs more than {LARGEST} units: give sizes in a coarser unit")
    merged = [
        Merged(item.demand, tuple(item.size[r] // u for r, u in zip(kept, units, strict=True)), item.members)
        for item in items
    ]
    return merged, [
        n.changed(
            tuple(n.capacity[r] // u for r, u in zip(kept, units, strict=True)), n.allowed, n.openers, n.exclusive
        )
        for n in nodes
    ]


def _slack(
    size: npt.NDArray[np.object_],
    cap: npt.NDArray[np.object_],
    inside: npt.NDArray[np.bool_],
    demand: npt.NDArray[np.object_],
    r: int,
    kept: list[int],
) -> bool:
    """Whether column r cannot bind in this node: everything fits, or another column is always tighter."""
    sizes = size[inside]
    if (sizes[:, r] * demand[inside]).sum() <= cap[r]:
        return True
    tighter = (q for q in kept if q != r and cap[q] > 0)
    return any(bool(np.all(sizes[:, r] * cap[q] <= sizes[:, q] * cap[r])) for q in tighter)


def _undominated(nodes: list[_Node]) -> list[_Node]:
    """Nodes left when those go for which a cheaper or equal one can hold every pattern of theirs."""
    unique: dict[tuple[object, ...], _Node] = {}
    for node in sorted(nodes, key=lambda n: (n.price, n.key, n.config)):
        unique.setdefault((node.capacity, node.allowed, node.openers, node.uses, node.exclusive), node)
    nodes = list(unique.values())
    if len(nodes) < 2:
        return nodes
    price = np.array([n.price for n in nodes], dtype=np.int64)
    cap = np.array([n.capacity for n in nodes], dtype=np.int64).reshape(len(nodes), -1)
    masks = _words([n.allowed for n in nodes]), _words([n.openers for n in nodes])
    rules = _rule_order(nodes)
    order = np.arange(len(nodes))
    keep = []
    for d in range(len(nodes)):  # one row at a time keeps memory linear
        above = (price <= price[d]) & (cap >= cap[d]).all(axis=1) & rules[:, d]
        below = (price >= price[d]) & (cap <= cap[d]).all(axis=1) & rules[d, :]
        for words in masks:
            above &= (words[d] & ~words == 0).all(axis=1)
            below &= (words & ~words[d] == 0).all(axis=1)
        if not (above & (~below | (order < d))).any():
            keep.append(nodes[d])
    return keep


def _words(masks: list[int]) -> npt.NDArray[np.uint64]:
    """Bit masks as rows of 64-bit words."""
    count = max(1, -(-max(m.bit_length() for m in masks) // 64))
    return np.array([[m >> 64 * w & (2**64 - 1) for w in range(count)] for m in masks], dtype=np.uint64)


def _rule_order(nodes: list[_Node]) -> npt.NDArray[np.bool_]:
    """[a, b]: node a uses no more of any limit than b and excludes nothing that b does not."""
    kinds = sorted({(n.uses, n.exclusive) for n in nodes})
    table = np.array([[_no_stricter(a, b) for b in kinds] for a in kinds], dtype=bool)
    number = {kind: k for k, kind in enumerate(kinds)}
    which = np.array([number[n.uses, n.exclusive] for n in nodes])
    return np.asarray(table[np.ix_(which, which)])


def _no_stricter(
    a: tuple[tuple[tuple[int, int], ...], tuple[int, ...]], b: tuple[tuple[tuple[int, int], ...], tuple[int, ...]]
) -> bool:
    theirs = dict(b[0])
    return all(units <= theirs.get(row, 0) for row, units in a[0]) and set(a[1]) <= set(b[1])


def _used_rows(nodes: list[_Node]) -> dict[int, int]:
    """Limit rows that some node uses, with their new numbers."""
    return {row: k for k, row in enumerate(sorted({row for n in nodes for row, _ in n.uses}))}


def _cells(items: list[Merged], nodes: list[_Node], limits: list[int]) -> list[Cell]:
    """One cell per node, or per node and opener where the openers are restricted; appends the openers' rows."""
    opened: dict[int, int] = {}
    cells = []
    for n in sorted(nodes, key=lambda n: (n.key, n.config, n.capacity)):
        if n.openers == n.allowed:
            cells.append(Cell(n.config, n.price, n.capacity, n.allowed, -1, n.uses, n.exclusive))
            continue
        for o in (i for i in range(len(items)) if n.openers >> i & 1):
            if o not in opened:
                opened[o] = len(limits)
                limits.append(items[o].demand)
            left = tuple(c - s for c, s in zip(n.capacity, items[o].size, strict=True))
            allowed = _beside(items, n, o, left)
            cells.append(Cell(n.config, n.price, left, allowed | 1 << o, o, (*n.uses, (opened[o], 1)), n.exclusive))
    return cells


def _beside(items: list[Merged], node: _Node, opener: int, left: tuple[int, ...]) -> int:
    """What still fits beside the opener."""
    mask = 0
    for i, item in enumerate(items):
        if node.allowed >> i & 1 and all(s <= c for s, c in zip(item.size, left, strict=True)):
            clash = i != opener and _apart(node, i, opener)
            mask |= 0 if clash else 1 << i
    return mask
