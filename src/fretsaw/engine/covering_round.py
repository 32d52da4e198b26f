"""From a cover of the merged items to an exact plan of the caller's items.

Called by `covering_solver`. A cover may hold an item too often; trimming takes the surplus off where that lets a
cheaper configuration do, never taking a node's opener. Merged items are then dealt out to their members.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np

from fretsaw.engine.covering import Pattern
from fretsaw.engine.covering_reduce import IntArray, Reduced
from fretsaw.engine.patterns import Space


@dataclass(frozen=True)
class Node:
    """One filled node: its cell and its counts of merged items."""

    cell: int
    counts: tuple[int, ...]


Nodes = Counter[Node]


def nodes_of(cells: IntArray, counts: IntArray, used: IntArray) -> Nodes:
    """The nodes of a MIP's answer."""
    nodes: Nodes = Counter()
    for k in np.flatnonzero(used > 0):
        nodes[Node(int(cells[k]), tuple(counts[k].tolist()))] += int(used[k])
    return nodes


def trim(reduced: Reduced, space: Space, nodes: Nodes) -> Nodes:
    """The cover with every item exactly as often as demanded, on the cheapest cells that then do."""
    trimmer = _Trimmer(reduced, space, nodes)
    while trimmer.save():
        pass
    trimmer.drop_surplus()
    # A node that costs nothing saves nothing when it is emptied, and would be left over without a pod.
    return Counter({node: times for node, times in trimmer.nodes.items() if times and any(node.counts)})


class _Trimmer:
    def __init__(self, reduced: Reduced, space: Space, nodes: Nodes) -> None:
        self.reduced, self.space = reduced, space
        self.nodes: Nodes = Counter(nodes)
        total = np.zeros(len(reduced.items), dtype=np.int64)
        for node, times in nodes.items():
            total += np.array(node.counts, dtype=np.int64) * times
        self.surplus: IntArray = total - space.demand
        self.cheap = np.argsort(space.price, kind="stable")
        self.inside = space.room > 0

    def save(self) -> bool:
        """Empty or shrink nodes where that saves, the largest saving first; whether any did."""
        ranked = sorted((-self._saving(node)[0], node.cell, node.counts) for node in self.nodes)
        saved = False
        for expected, cell, counts in ranked:
            node = Node(cell, counts)
            while expected < 0 and self.nodes[node]:
                saving, target = self._saving(node)
                if saving <= 0:
                    break
                self._swap(node, self._without_surplus(node), target)
                saved = True
        return saved

    def _saving(self, node: Node) -> tuple[int, int | None]:
        """What one such node costs less once its surplus is gone, and the cell that then holds it."""
        rest = self._without_surplus(node)
        if tuple(rest.tolist()) == node.counts:
            return 0, node.cell
        target, price = self._cheapest(node, rest)
        return self.reduced.cells[node.cell].price - price, target

    def _without_surplus(self, node: Node) -> IntArray:
        counts = np.array(node.counts, dtype=np.int64)
        return np.asarray(counts - np.minimum(counts, np.maximum(self.surplus, 0)))

    def _cheapest(self, node: Node, rest: IntArray) -> tuple[int | None, int]:
        """The cheapest cell that holds `rest` with no more of any limit; None when nothing is left to hold."""
        if not rest.any():
            return None, 0
        cell = self.reduced.cells[node.cell]
        cheaper = self.cheap[: np.searchsorted(self.space.price[self.cheap], cell.price)]
        for c in cheaper[self._roomy(cheaper, rest)].tolist():
            other = self.reduced.cells[c]
            if _uses_within(other.uses, cell.uses) and not _clashes(other.exclusive, rest):
                return c, other.price
        return node.cell, cell.price

    def _roomy(self, cells: IntArray, counts: IntArray) -> IntArray:
        """Positions in `cells` of those with room for the counts, their opener among them."""
        extra = counts[None, :] - self.space.opened(cells)
        fits = (extra >= 0).all(axis=1) & (extra @ self.space.size <= self.space.cap[cells]).all(axis=1)
        return np.flatnonzero(fits & ((extra == 0) | self.inside[cells]).all(axis=1))

    def _swap(self, node: Node, rest: IntArray, target: int | None) -> None:
        self.surplus -= np.array(node.counts, dtype=np.int64) - rest
        self.nodes[node] -= 1
        if not self.nodes[node]:
            del self.nodes[node]
        if target is not None:
            self.nodes[Node(target, tuple(rest.tolist()))] += 1

    def drop_surplus(self) -> None:
        """Take what is left of the surplus off any nodes, keeping every opener."""
        for node in sorted(self.nodes, key=lambda n: (n.cell, n.counts)):
            for _ in range(self.nodes[node]):
                if not (self.surplus > 0).any():
                    return
                rest = self._without_surplus(node)
                opener = self.reduced.cells[node.cell].opener
                if opener >= 0 and rest[opener] == 0:
                    rest[opener] = 1
                if tuple(rest.tolist()) != node.counts:
                    self._swap(node, rest, node.cell)


def _clashes(exclusive: tuple[int, ...], counts: IntArray) -> bool:
    present = sum(1 << i for i in np.flatnonzero(counts).tolist())
    return any((mask & present).bit_count() > 1 for mask in exclusive)


def _uses_within(uses: tuple[tuple[int, int], ...], allowance: tuple[tuple[int, int], ...]) -> bool:
    there = dict(allowance)
    return all(units <= there.get(row, 0) for row, units in uses)


def price_of(reduced: Reduced, nodes: Nodes) -> int:
    """Micro-USD an hour."""
    return sum(reduced.cells[node.cell].price * times for node, times in nodes.items())


def deal(reduced: Reduced, nodes: Nodes, demands: tuple[int, ...]) -> tuple[Pattern, ...]:
    """Patterns over the caller's items: each merged item's pods come from its members in their order."""
    queues = [[[i, demands[i]] for i in item.members] for item in reduced.items]
    dealt: Counter[tuple[int, tuple[int, ...]]] = Counter()
    for node in sorted(nodes, key=lambda n: (n.cell, n.counts)):
        left = nodes[node]
        while left:
            run = min([left, *(_run(queues[k], c) for k, c in enumerate(node.counts) if c)])
            counts = [0] * len(demands)
            for k, c in enumerate(node.counts):
                _draw(queues[k], c, run, counts)
            dealt[reduced.cells[node.cell].config, tuple(counts)] += run
            left -= run
    return tuple(Pattern(config, counts, times) for (config, counts), times in sorted(dealt.items()))


def _run(queue: list[list[int]], count: int) -> int:
    """For how many nodes the first member alone gives `count` pods each; 1 where it takes several members."""
    return max(1, queue[0][1] // count)


def _draw(queue: list[list[int]], count: int, run: int, counts: list[int]) -> None:
    need = count * run
    while need:
        member, there = queue[0]
        taken = min(need, there)
        counts[member] += taken if run == 1 else taken // run
        queue[0][1] -= taken
        need -= taken
        if not queue[0][1]:
            queue.pop(0)
