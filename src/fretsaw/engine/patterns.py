"""Ways to fill one node: listed, found by value, and bounded.

Called by `covering_solver` with the reduced problem. All cells are worked on at once as numpy arrays, one item a step:
a *state* is a partly filled node (cell, room left, value so far), and a step gives every state each count of the item
that could still lead to a value above the cell's threshold. What is dropped is dropped with a number: `Found.most` is
an upper bound on the value of every pattern of a cell, listed or not.

Values are integers below 2**53 held in float64 and therefore exact; products with weights are not, so bounds carry
the margin `SAFE`, far above the rounding error of the few dozen operations behind them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from fretsaw.engine.covering_reduce import IntArray, Reduced

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]
SAFE = 1.0 + 1e-9
PIVOTS = 40
MERGE_FROM = 500  # fewer states are not worth sorting
PLENTY = 2**60  # a count that nothing reaches


class Space:
    """The reduced problem as arrays. I items, R columns, C cells, W words of exclusion groups."""

    def __init__(self, reduced: Reduced) -> None:
        items, cells = reduced.items, reduced.cells
        self.demand: IntArray = np.array([i.demand for i in items], dtype=np.int64)
        self.size: IntArray = np.array([i.size for i in items], dtype=np.int64).reshape(len(items), -1)
        self.cap: IntArray = np.array([c.capacity for c in cells], dtype=np.int64).reshape(-1, self.size.shape[1])
        self.opener: IntArray = np.array([c.opener for c in cells], dtype=np.int64)
        self.price: IntArray = np.array([c.price for c in cells], dtype=np.int64)
        self.config: IntArray = np.array([c.config for c in cells], dtype=np.int64)
        self.room = self._room(reduced)
        """(C, I): most pods of an item that one node takes, beside the opener."""
        self.groups, self.active = self._exclusions(reduced)
        """(I, W): exclusion groups of an item; (C, W): groups that hold in a cell."""
        shares = self.size[None, :, :] / np.maximum(self.cap, 1)[:, None, :]
        self.share: FloatArray = np.where(self.room[:, :, None] > 0, shares, np.inf)
        """(C, I, R): part of the cell's capacity that one pod takes; inf where it does not fit."""

    def _room(self, reduced: Reduced) -> IntArray:
        room = np.full((len(reduced.cells), len(reduced.items)), 0, dtype=np.int64)
        for c, cell in enumerate(reduced.cells):
            inside = np.array([cell.allowed >> i & 1 for i in range(len(reduced.items))], dtype=bool)
            most = np.minimum(units_that_fit(self.size, self.cap[c][None, :]), self.demand)
            if cell.opener >= 0:
                most[cell.opener] = min(most[cell.opener], self.demand[cell.opener] - 1)
            room[c] = np.where(inside, most, 0)
        return room

    def _exclusions(self, reduced: Reduced) -> tuple[IntArray, IntArray]:
        masks = sorted({m for cell in reduced.cells for m in cell.exclusive})
        words = -(-len(masks) // 62)
        groups = np.zeros((len(reduced.items), words), dtype=np.int64)
        active = np.zeros((len(reduced.cells), words), dtype=np.int64)
        for g, mask in enumerate(masks):
            word, bit = g // 62, 1 << g % 62
            for i in range(len(reduced.items)):
                groups[i, word] |= bit if mask >> i & 1 else 0
            for c, cell in enumerate(reduced.cells):
                active[c, word] |= bit if mask in cell.exclusive else 0
        return groups, active

    def share_of_largest(self) -> FloatArray:
        """(I,) the largest part that an item takes of any column's largest capacity."""
        result: FloatArray = (self.size / np.maximum(self.cap.max(axis=0, initial=1), 1)).max(axis=1, initial=0.0)
        return result

    def opened(self, cells: IntArray) -> IntArray:
        """(N, I) counts of nodes that hold nothing but their opener."""
        counts = np.zeros((len(cells), len(self.demand)), dtype=np.int64)
        has = self.opener[cells] >= 0
        counts[np.flatnonzero(has), self.opener[cells][has]] = 1
        return counts

    def taken(self, cells: IntArray) -> IntArray:
        """(N, W) exclusion groups that the opener takes in nodes of these cells."""
        opener = self.opener[cells]
        return np.where(opener[:, None] >= 0, self.groups[opener] & self.active[cells], 0)


def units_that_fit(size: IntArray, room: IntArray) -> IntArray:
    """How many times `size` (…, R) goes into `room` (…, R); `PLENTY` where it takes nothing."""
    whole = np.where(size > 0, room // np.maximum(size, 1), PLENTY)
    least: IntArray = whole.min(axis=-1, initial=PLENTY)
    return least


@dataclass(frozen=True)
class Found:
    """Patterns of a search. cells (N,), counts (N, I) with the opener, value (N,) under the search's duals.

    most (C,): no pattern of the cell has a larger value. complete: every maximal pattern whose value exceeds the
    cell's threshold is in the list. states: work done.
    """

    cells: IntArray
    counts: IntArray
    value: FloatArray
    most: FloatArray
    complete: bool
    states: int


def fill(space: Space, cells: IntArray, counts: IntArray, order: IntArray) -> IntArray:
    """`counts` with as many more pods as fit, items in the given order (N, I) per node."""
    counts = counts.copy()
    extra = counts - space.opened(cells)
    left = space.cap[cells] - extra @ space.size
    used = _used_groups(space, cells, counts)
    rows = np.arange(len(cells))
    for item in order.T:
        more = np.minimum(units_that_fit(space.size[item], left), space.room[cells, item] - extra[rows, item])
        clash = ((used & space.groups[item] & space.active[cells]) != 0).any(axis=1) & (counts[rows, item] == 0)
        more = np.where(clash, 0, np.maximum(more, 0))
        counts[rows, item] += more
        extra[rows, item] += more
        left -= more[:, None] * space.size[item]
        used |= np.where(more[:, None] > 0, space.groups[item] & space.active[cells], 0)
    return counts


def _used_groups(space: Space, cells: IntArray, counts: IntArray) -> IntArray:
    used = np.zeros((len(cells), space.groups.shape[1]), dtype=np.int64)
    if used.shape[1]:
        for i in range(counts.shape[1]):
            used |= np.where(counts[:, i, None] > 0, space.groups[i], 0)
    return used & space.active[cells]


def greedy(space: Space, value: FloatArray, weights: FloatArray) -> tuple[IntArray, IntArray]:
    """One pattern per cell: items by value per weighted share of the cell. value (I,), weights (C, R)."""
    cells = np.arange(len(space.cap))
    if not len(cells):
        return cells, np.zeros((0, len(value)), dtype=np.int64)
    cost = np.einsum("cir,cr->ci", np.where(np.isinf(space.share), 1.0, space.share), weights)
    ratio = np.where(space.room > 0, value[None, :] / np.maximum(cost, 1e-12), -1.0)
    order = np.argsort(-ratio, axis=1, kind="stable")
    return cells, fill(space, cells, space.opened(cells), order)


def weigh(space: Space, value: FloatArray, inside: BoolArray) -> FloatArray:
    """(C, R) weights, summing to 1 a cell, under which the best ratio of value to weighted share is least.

    These are the duals of the knapsack's linear relaxation, found by the simplex method on all cells at once: R rows,
    a column per item (`inside`) and per slack. Any weights give a valid bound, so `PIVOTS` may cut it short.
    """
    cells, columns = space.cap.shape
    chosen = np.flatnonzero(inside)
    share = space.share[:, chosen, :]
    gain = np.where(np.isinf(share[:, :, 0]), 0.0, value[chosen]) / max(1.0, float(value.max(initial=0.0)))
    share = np.where(np.isinf(share), 1.0, np.maximum(share, 1e-9))
    matrix = np.concatenate([np.tile(np.eye(columns), (cells, 1, 1)), share], axis=1)  # (C, R + J, R)
    worth = np.concatenate([np.zeros((cells, columns)), gain], axis=1)
    basis = np.tile(np.arange(columns), (cells, 1))
    rows = np.arange(cells)
    dual = np.zeros((cells, columns))
    for _ in range(PIVOTS):
        inverse = np.linalg.inv(matrix[rows[:, None], basis])  # rows of the basis are its members' columns
        dual = (inverse @ worth[rows[:, None], basis][:, :, None])[:, :, 0]
        reduced = worth - (matrix @ dual[:, :, None])[:, :, 0]
        enter = reduced.argmax(axis=1)
        moving = reduced[rows, enter] > 1e-9
        if not moving.any():
            break
        level = inverse.sum(axis=1)  # values of the basic columns: the right-hand side is 1 everywhere
        step = (matrix[rows, enter][:, None, :] @ inverse)[:, 0, :]
        ratio = np.where(step > 1e-10, np.maximum(level, 0.0) / np.where(step > 1e-10, step, 1.0), np.inf)
        leave = ratio.argmin(axis=1)
        moving &= np.isfinite(ratio[rows, leave])
        basis[rows[moving], leave[moving]] = enter[moving]
    weights = np.maximum(dual, 0.0) + 1e-12
    return np.asarray(weights / weights.sum(axis=1, keepdims=True))


def poured(space: Space, value: FloatArray, base: FloatArray) -> FloatArray:
    """(C,) upper bounds on the value of any pattern: the knapsack's linear relaxation. base (C,): the opener's."""
    weights = weigh(space, value, value > 0)
    cost = _weighted(space.share, weights)
    ratio = np.where(np.isinf(cost), 0.0, value / np.maximum(cost, 1e-30)).max(axis=1, initial=0.0)
    return np.asarray(base + np.minimum(ratio, space.room @ value) * SAFE)


def _weighted(share: FloatArray, weights: FloatArray) -> FloatArray:
    """share (C, I, R) · weights (C, R), inf staying inf even at weight 0."""
    total = np.where(np.isinf(share[..., 0]), np.inf, 0.0)
    finite = np.where(np.isinf(share), 0.0, share)
    result: FloatArray = total + np.einsum("cir,cr->ci", finite, weights)
    return result


class Bounds:
    """Upper bounds on what the items from a step on can add to a state: min over weights of ratio × weighted room."""

    def __init__(self, space: Space, value: FloatArray, order: IntArray) -> None:
        self.space = space
        steps = len(order)
        marks = sorted({0, *(steps * k // 5 for k in range(1, 5))})
        candidates = [weigh(space, value, np.isin(np.arange(len(value)), order[mark:])) for mark in marks]
        tables = [self._suffix(value, order, w) for w in candidates]
        ratios = np.stack(tables)  # (M, K + 1, C)
        pick = np.argsort(ratios, axis=0, kind="stable")[:2]  # the two tightest at full room
        self.ratio = np.take_along_axis(ratios, pick, axis=0)
        stacked = np.stack(candidates)  # (M, C, R)
        per_unit = stacked / np.maximum(space.cap, 1)[None, :, :]
        self.weights = per_unit[pick, np.arange(len(space.cap))[None, None, :], :]  # (2, K + 1, C, R)

    def _suffix(self, value: FloatArray, order: IntArray, weights: FloatArray) -> FloatArray:
        """(K + 1, C): best ratio among the items from each step on."""
        cost = _weighted(self.space.share[:, order, :], weights)
        ratio = np.where(np.isinf(cost), 0.0, value[order] / np.maximum(cost, 1e-30))
        table = np.zeros((len(order) + 1, len(ratio)))
        table[:-1] = np.maximum.accumulate(ratio[:, ::-1], axis=1)[:, ::-1].T
        return table

    def worth(self, which: int, step: int, cells: IntArray) -> FloatArray:
        """(N, R): upper bound on the value of one unit of each column, for the items from `step` on."""
        ratio = self.ratio[which, step, cells] * SAFE
        result: FloatArray = ratio[:, None] * self.weights[which, step, cells]
        return result


@dataclass
class _States:
    cell: IntArray
    left: IntArray
    value: FloatArray
    used: IntArray

    def take(self, rows: IntArray | BoolArray) -> _States:
        return _States(self.cell[rows], self.left[rows], self.value[rows], self.used[rows])


class Search:
    """Lists the patterns whose value exceeds a threshold, at most `limit` states wide.

    value (I,): duals, integers; base (C,): value of the opener; above (C,): thresholds.
    zeros: items without value take part as well. strict: list every pattern, or give up at the first state that
    would be dropped; otherwise of states that differ in value alone only the best goes on.
    """

    def __init__(
        self,
        space: Space,
        value: FloatArray,
        base: FloatArray,
        above: FloatArray,
        limit: int,
        *,
        zeros: bool = False,
        strict: bool = False,
    ) -> None:
        self.space, self.value, self.limit, self.strict = space, value, limit, strict
        self.above = np.where(above < 0, -np.inf, above)  # no pattern is worth less than nothing
        useful = np.flatnonzero(space.room.max(axis=0, initial=0) > 0) if zeros else np.flatnonzero(value > 0)
        self.order: IntArray = useful[np.argsort(-value[useful], kind="stable")]
        self.base = base
        self.most = np.array(self.above, dtype=np.float64)
        self.complete = True
        self.work = 0
        self.trail: list[tuple[IntArray, IntArray]] = []
        self.bounds = Bounds(space, value, self.order)
        cells = np.arange(len(space.cap))
        self.states = _States(cells, space.cap.copy(), base.astype(np.float64), space.taken(cells))

    def run(self) -> Found:
        """The search to its end."""
        for step, item in enumerate(self.order):
            self._step(step, int(item))
            if not len(self.states.cell) or (self.strict and not self.complete):
                break
        self.most = np.minimum(self.most, np.maximum(self.above, (self.base + self.space.room @ self.value) * SAFE))
        hit = self.states.value > self.above[self.states.cell]
        cells, value = self.states.cell[hit], self.states.value[hit]
        counts = self._counts(np.flatnonzero(hit)) + self.space.opened(cells)
        np.maximum.at(self.most, cells, value)
        return Found(cells, counts, value, self.most, self.complete, self.work)

    def _step(self, step: int, item: int) -> None:
        """Give each state every count of the item that may still lead above its threshold."""
        space, s = self.space, self.states
        size = space.size[item]
        most = np.minimum(units_that_fit(size, s.left), space.room[s.cell, item])
        clash = ((s.used & space.groups[item] & space.active[s.cell]) != 0).any(axis=1)
        most = np.where(clash & (space.opener[s.cell] != item), 0, most)
        worth = self.bounds.worth(0, step + 1, s.cell)
        reach = s.value + (worth * s.left).sum(axis=1)
        gain = self.value[item] - worth @ size
        low, high = _range(self.above[s.cell], reach, gain, most)
        if step == len(self.order) - 1:
            low = np.where(high >= low, most, low)
            high = np.where(high >= low, most, high)
        number = np.maximum(high - low + 1, 0)
        if number.sum() > 8 * self.limit:
            number = self._narrow(number, reach + np.maximum(gain, 0.0) * most)
        parent = np.repeat(np.arange(len(number)), number)
        count = low[parent] + np.arange(len(parent)) - np.repeat(np.cumsum(number) - number, number)
        self._advance(step, item, parent, count)

    def _advance(self, step: int, item: int, parent: IntArray, count: IntArray) -> None:
        space, new = self.space, self.states.take(parent)
        self.work += len(parent)
        new.left = new.left - count[:, None] * space.size[item]
        new.value = new.value + count * self.value[item]
        new.used = new.used | np.where(count[:, None] > 0, space.groups[item] & space.active[new.cell], 0)
        reach = new.value + np.minimum(
            (self.bounds.worth(0, step + 1, new.cell) * new.left).sum(axis=1),
            (self.bounds.worth(1, step + 1, new.cell) * new.left).sum(axis=1) if len(self.bounds.ratio) > 1 else np.inf,
        )
        keep = np.flatnonzero(reach * SAFE > self.above[new.cell])
        if not self.strict and len(keep) > MERGE_FROM:
            keep = _best_of_equals(new, keep)
        if len(keep) > self.limit:
            keep = self._truncate(keep, reach, new.cell)
        self.states = new.take(keep)
        self.trail.append((parent[keep], count[keep]))

    def _narrow(self, number: IntArray, reach: FloatArray) -> IntArray:
        """Expansions cut to eight times the limit, the most promising states first."""
        ranked = np.argsort(self.above[self.states.cell] - reach, kind="stable")
        total = np.cumsum(number[ranked])
        dropped = ranked[total > 8 * self.limit]
        dropped = dropped[number[dropped] > 0]
        self._give_up(self.states.cell[dropped], reach[dropped])
        number = number.copy()
        number[dropped] = 0
        return number

    def _truncate(self, keep: IntArray, reach: FloatArray, cell: IntArray) -> IntArray:
        """The `limit` states that reach furthest above their thresholds, relative to them."""
        excess = reach[keep] / np.maximum(self.above[cell[keep]], 1.0)
        ranked = keep[np.argsort(-excess, kind="stable")]
        dropped = ranked[self.limit :]
        self._give_up(cell[dropped], reach[dropped])
        return np.sort(ranked[: self.limit])

    def _give_up(self, cells: IntArray, reach: FloatArray) -> None:
        if len(cells):
            self.complete = False
            np.maximum.at(self.most, cells, reach * SAFE)

    def _counts(self, rows: IntArray) -> IntArray:
        """(N, I) counts of final states, read back along the trail."""
        counts = np.zeros((len(rows), len(self.value)), dtype=np.int64)
        for item, (parent, count) in reversed(list(zip(self.order, self.trail, strict=False))):
            counts[:, item] = count[rows]
            rows = parent[rows]
        return counts


def _best_of_equals(states: _States, rows: IntArray) -> IntArray:
    """Of the rows with equal cell, room and exclusions the one of highest value, in order."""
    part = states.take(rows)
    keys = [part.cell, *part.left.T, *part.used.T]
    ranked = np.lexsort([-part.value, *keys])
    fresh = np.zeros(len(rows), dtype=bool)
    fresh[:1] = True
    for key in keys:
        fresh[1:] |= key[ranked][1:] != key[ranked][:-1]
    return np.sort(rows[ranked[fresh]])


def _range(above: FloatArray, reach: FloatArray, gain: FloatArray, most: IntArray) -> tuple[IntArray, IntArray]:
    """Counts n in [low, high] for which reach + n·gain may exceed `above` (a little too many, never too few)."""
    need = np.where(np.isfinite(above), above / SAFE**2 - reach, -np.inf)
    flat = np.abs(gain) < 1e-300
    with np.errstate(divide="ignore", invalid="ignore"):
        turn = np.where(flat, 0.0, need / np.where(flat, 1.0, gain))
    low = np.where((gain > 0) & (need > 0), np.floor(np.clip(turn, 0, 2.0**53)), 0.0)
    high = np.where((gain < 0) & ~flat, np.ceil(np.clip(turn, -1, 2.0**53)), most)
    high = np.where((flat | (gain < 0)) & (need > 0) & (need > np.abs(reach) * 1e-9), -1, np.minimum(high, most))
    return low.astype(np.int64), high.astype(np.int64)


def maximal(space: Space, cells: IntArray, counts: IntArray, items: IntArray | None = None) -> BoolArray:
    """(N,) whether no further pod (of these items) fits."""
    extra = counts - space.opened(cells)
    left = space.cap[cells] - extra @ space.size
    used = _used_groups(space, cells, counts)
    full = np.ones(len(cells), dtype=bool)
    for i in range(counts.shape[1]) if items is None else items.tolist():
        fits = (space.size[i] <= left).all(axis=1) & (extra[:, i] < space.room[cells, i])
        clash = ((used & space.groups[i] & space.active[cells]) != 0).any(axis=1) & (counts[:, i] == 0)
        full &= ~(fits & ~clash)
    return full
