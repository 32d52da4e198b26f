"""Masks and scores of all nodes for one question, kept and refreshed for the nodes that changed.

Pods that ask the same share a view: the same tolerations, the same node affinity, the same requests.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import numpy as np

from fretsaw.api.affinity import NodeSelectorRequirement, NodeSelectorTerm, Toleration
from fretsaw.api.node import Node, Taint
from fretsaw.engine.taints import PREFER_NO_SCHEDULE, tolerates, untolerated
from fretsaw.sim.scheduler.columns import TOP, Columns, Follower, Ints, evenness, longer

UNSCHEDULABLE: Final = Taint("node.kubernetes.io/unschedulable", "NoSchedule")
FEW: Final = 8
"""Up to so many changed nodes are looked at one by one."""


class TaintView:
    """Cordons and taints against some tolerations.

    Source: kube-scheduler v1.36 NodeUnschedulable, TaintToleration.
    """

    def __init__(self, columns: Columns, tolerations: tuple[Toleration, ...]) -> None:
        self._columns = columns
        self._tolerations = tolerations
        self._preferring = tuple(t for t in tolerations if t.effect in ("", PREFER_NO_SCHEDULE))
        self._cordons_pass = untolerated((UNSCHEDULABLE,), tolerations) is None
        self._answers: dict[tuple[tuple[Taint, ...], bool], tuple[bool, bool, int]] = {}
        self._changes = Follower(columns, columns.labels)
        self.cordoned = np.zeros(columns.size, np.bool_)
        self.tainted = np.zeros(columns.size, np.bool_)
        self.passes = np.zeros(columns.size, np.bool_)
        self.disliked = np.zeros(columns.size, np.int64)
        """PreferNoSchedule taints that are not tolerated."""
        self.any_disliked = False
        """Whether a node ever had one."""
        columns.on_growth(self)

    def grow(self, size: int) -> None:
        """Follow the columns."""
        self.cordoned, self.tainted = longer(self.cordoned, size), longer(self.tainted, size)
        self.passes, self.disliked = longer(self.passes, size), longer(self.disliked, size)

    def refresh(self) -> None:
        """Look at the nodes that changed."""
        for slot in self._changes.news():
            row = self._columns.rows[slot]
            cordoned, tainted, disliked = (False, False, 0) if row is None else self._of(row.node)
            self.cordoned[slot], self.tainted[slot], self.disliked[slot] = cordoned, tainted, disliked
            self.passes[slot] = row is not None and not cordoned and not tainted
            self.any_disliked |= disliked > 0

    def _of(self, node: Node) -> tuple[bool, bool, int]:
        key = (node.spec.taints, node.spec.unschedulable)
        known = self._answers.get(key)
        if known is None:
            hard = (t for t in node.spec.taints if t.effect in ("NoSchedule", "NoExecute"))
            soft = [t for t in node.spec.taints if t.effect == PREFER_NO_SCHEDULE]
            known = self._answers[key] = (
                node.spec.unschedulable and not self._cordons_pass,
                untolerated(hard, self._tolerations) is not None,
                sum(not any(tolerates(t, taint) for t in self._preferring) for taint in soft),
            )
        return known


class AffinityView:
    """Node selector and node affinity.

    Differs from the engine's requirements, which merge terms into one set: here one term has to hold as a whole, and
    NotIn holds where the label is missing. Source: kube-scheduler v1.36 NodeAffinity, component-helpers nodeaffinity.
    """

    def __init__(
        self,
        columns: Columns,
        selector: dict[str, str],
        required: tuple[NodeSelectorTerm, ...] | None,
        preferred: tuple[tuple[NodeSelectorTerm, int], ...] = (),
    ) -> None:
        self._columns = columns
        self._selector = tuple(selector.items())
        self._required = required
        self._preferred = preferred
        self._changes = Follower(columns, columns.labels)
        self.passes = np.zeros(columns.size, np.bool_)
        self.liked = np.zeros(columns.size, np.int64)
        """Weights of the preferred terms that hold."""
        columns.on_growth(self)

    def grow(self, size: int) -> None:
        """Follow the columns."""
        self.passes, self.liked = longer(self.passes, size), longer(self.liked, size)

    def refresh(self) -> None:
        """Look at the nodes that changed."""
        for slot in self._changes.news():
            row = self._columns.rows[slot]
            self.passes[slot] = row is not None and self.admits(row.node)
            if self._preferred:
                self.liked[slot] = 0 if row is None else self._wish(row.node)

    def admits(self, node: Node) -> bool:
        """Whether the required part holds on a node."""
        labels = node.metadata.labels
        for key, value in self._selector:
            if labels.get(key) != value:
                return False
        return self._required is None or any_term(self._required, node)

    def _wish(self, node: Node) -> int:
        # A preference without any expression is for every node, unlike an empty required term.
        return sum(w for term, w in self._preferred if _is_empty(term) or term_holds(term, node))


def _is_empty(term: NodeSelectorTerm) -> bool:
    return not term.match_expressions and not term.match_fields


def any_term(terms: Iterable[NodeSelectorTerm], node: Node) -> bool:
    """Whether one of the terms holds; an empty term never does."""
    return any(term_holds(term, node) for term in terms)


def term_holds(term: NodeSelectorTerm, node: Node) -> bool:
    """Whether all expressions and fields of a term hold on a node."""
    if _is_empty(term):
        return False
    labels = node.metadata.labels
    return all(_holds(e, labels.get(e.key)) for e in term.match_expressions) and all(
        _holds(f, node.metadata.name if f.key == "metadata.name" else None) for f in term.match_fields
    )


def _holds(asked: NodeSelectorRequirement, value: str | None) -> bool:
    match asked.operator:
        case "In":
            return value in asked.values
        case "NotIn":
            return value is None or value not in asked.values
        case "Exists":
            return value is not None
        case "DoesNotExist":
            return value is None
        case "Gt" | "Lt":
            return _compares(asked, value)
    return False


def _compares(asked: NodeSelectorRequirement, value: str | None) -> bool:
    try:
        have, limit = int(value or ""), int(asked.values[0])
    except (ValueError, IndexError):
        return False
    return have > limit if asked.operator == "Gt" else have < limit


class FitView:
    """Room for some requests, and the scores of NodeResourcesFit (LeastAllocated) and BalancedAllocation.

    The latter is 75 where the pod leaves the used shares of cpu and memory as far from each other as they are, more
    where it brings them nearer. A pod that asks for neither has no such score.
    Source: kube-scheduler v1.36 noderesources: fit.go, least_allocated.go, balanced_allocation.go.
    """

    def __init__(
        self, columns: Columns, amounts: tuple[tuple[str, int], ...], scored: tuple[int, int], balanced: tuple[int, int]
    ) -> None:
        self._columns = columns
        self._asked = tuple((columns.number(name), amount) for name, amount in amounts)
        self._rows = np.array([number for number, _ in self._asked])[:, None]
        self._amounts = np.array([amount for _, amount in self._asked])[:, None]
        self._scored = scored
        self._balanced = balanced if any(balanced) else None
        self._changes = Follower(columns, columns.usage)
        self.passes = np.zeros(columns.size, np.bool_)
        self.score = np.zeros(columns.size, np.int64)
        columns.on_growth(self)

    def grow(self, size: int) -> None:
        """Follow the columns."""
        self.passes, self.score = longer(self.passes, size), longer(self.score, size)

    def refresh(self) -> None:
        """Look at the nodes that changed: one by one while they are few, which is faster than starting numpy."""
        changed = self._changes.news()
        if len(changed) <= FEW:
            for slot in changed:
                self._at(slot)
        else:
            self._among(np.array(changed))

    def _at(self, slot: int) -> None:
        columns = self._columns
        free = columns.free[:, slot].tolist()
        room = columns.room[:2, slot].tolist()
        spare = columns.spare[:, slot].tolist()
        self.passes[slot] = columns.rows[slot] is not None and all(free[n] >= amount for n, amount in self._asked)
        parts = [max(s - a, 0) * TOP // r for s, a, r in zip(spare, self._scored, room, strict=True) if r]
        score = sum(parts) // len(parts) if parts else 0
        if self._balanced is not None:
            after = room[0] - free[0] + self._balanced[0], room[1] - free[1] + self._balanced[1]
            score += TOP // 2 + (TOP // 2 + evenness(after, room) - int(columns.even[slot])) // 2
        self.score[slot] = score

    def _among(self, slots: Ints) -> None:
        columns = self._columns
        self.passes[slots] = columns.valid[slots] & (columns.free[self._rows, slots] >= self._amounts).all(0)
        room = columns.room[:2, slots]
        score = least_allocated(columns.spare[:, slots] - np.array(self._scored)[:, None], room)
        if self._balanced is not None:
            after = room - columns.free[:2, slots] + np.array(self._balanced)[:, None]
            score += TOP // 2 + (TOP // 2 + evennesses(after, room) - columns.even[slots]) // 2
        self.score[slots] = score


def least_allocated(left: Ints, room: Ints) -> Ints:
    """The mean of what stays free of cpu and memory, 0 to 100; what a node does not have is left out.

    left, room: shape (2, nodes): what stays free with the pod, and what there is.
    """
    parts = np.maximum(left, 0) * TOP // np.maximum(room, 1)
    there = room > 0
    found: Ints = (parts * there).sum(0) // np.maximum(there.sum(0), 1)
    return found


def evennesses(used: Ints, room: Ints) -> Ints:
    """As `evenness`, for many nodes."""
    shares = np.minimum(used / np.maximum(room, 1), 1.0)
    apart = np.abs(shares[0] - shares[1]) / 2
    out: Ints = np.where(room.all(0), (1 - apart) * TOP, TOP).astype(np.int64)
    return out
