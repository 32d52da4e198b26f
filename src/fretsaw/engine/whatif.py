"""The answer to disruption's question: where the pods of some machines would go. See `engine.disruption.ask`.

Source: Karpenter v1.14 pkg/controllers/disruption helpers.go (SimulateScheduling).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property

from fretsaw.api.pod import Pod
from fretsaw.api.times import Millis
from fretsaw.engine.cost import NODES
from fretsaw.engine.disruption.ask import Outcome
from fretsaw.engine.disruption.settling import settling
from fretsaw.engine.finish import Node
from fretsaw.engine.ground import Ground
from fretsaw.engine.passes import Pass, Passes
from fretsaw.engine.pdbs import Limits
from fretsaw.engine.recall import recalled, remember
from fretsaw.engine.state import ClusterState
from fretsaw.engine.universe import Universe

PACKABLE = 24
"""Kinds of pods that the cost packer is asked about in a what-if at most. The engine has no clock to stop it by."""


class Asked:
    """Answers for one state at one time."""

    def __init__(self, passes: Passes, state: ClusterState, now: Millis) -> None:
        self._passes = passes
        self._state = state
        self._now = now
        self._limits = Limits(state.objects["PodDisruptionBudget"].values())
        self._settling: frozenset[str] | None = None

    def __call__(self, without: frozenset[str], *, consolidating: bool = True, cheapest: bool = False) -> Outcome:
        """Where the pods of these machines would go; see `WhatIf`."""
        moving = [pod for name in sorted(without) for pod in self._moving(name)]
        closed = self._closed() if consolidating else frozenset()
        if len(without) == 1 and not cheapest:
            return self._single(next(iter(without)), moving, closed)
        packing = "cost" if cheapest and self._is_packable(moving) else "first-fit"
        return self._outcome(self._pass(without, moving, closed, packing), moving)

    def _single(self, machine: str, moving: list[Pod], closed: frozenset[str]) -> Outcome:
        """The answer for one machine: that of an earlier state, if it still holds."""
        ground = self._ground
        known = recalled(ground, self._state, machine, moving, ground.mask(closed))
        if known is not None:
            return known
        answer = self._pass(frozenset((machine,)), moving, closed, "first-fit")
        outcome = self._outcome(answer, moving)
        remember(ground, machine, moving, answer, outcome)
        return outcome

    def universe(self, pool: str) -> Universe | None:
        """What a pool can launch; None where it is not known."""
        return self._passes.universe(self._state, pool)

    def free(self, machine: str) -> Mapping[str, int] | None:
        """The room on a machine; None where it takes no pods."""
        ground = self._ground
        bit = ground.bit_of.get(machine)
        return None if bit is None else ground.places[bit.bit_length() - 1].free

    @cached_property
    def _ground(self) -> Ground:
        return self._passes.ground(self._state, self._now)

    def waiting(self) -> bool:
        """Whether pods without any place take part in every simulation."""
        return self._passes.waits(self._state, self._now)

    def _moving(self, name: str) -> Iterator[Pod]:
        pods = self._state.machines[name].pods
        return (pod for pod in pods if self._limits.is_currently_reschedulable(pod, self._now))

    def _is_packable(self, pods: list[Pod]) -> bool:
        """Whether the cost packer will be done soon: its work grows with the number of different pods."""
        ground = self._ground
        return len({ground.kind_of(pod).key for pod in pods}) <= PACKABLE

    def _closed(self) -> frozenset[str]:
        if self._settling is None:
            self._settling = settling(self._state, self._now)
        return self._settling

    def _pass(self, without: frozenset[str], moving: list[Pod], closed: frozenset[str], packing: str) -> Pass:
        return self._passes.without(self._state, self._now, without, moving, sorted(closed), packing=packing)

    def _outcome(self, answer: Pass, pods: Iterable[Pod]) -> Outcome:
        moving = {pod.key for pod in pods}
        virtual, waiting = answer.placed.prepared.virtual, self._state.waiting
        launches, cut = within_node_limits(answer)
        lost = (answer.unplaced.keys() | cut.keys()) - waiting.keys() - virtual
        return Outcome(
            launches=launches,
            filled=tuple((pod, name) for name, pods in answer.filled for pod in pods if pod not in virtual),
            unplaced=tuple((pod, cut.get(pod) or _why(answer, pod)) for pod in sorted(lost)),
            unready=tuple(
                (pod, name)
                for name, pods in answer.filled
                if not self._state.machines[name].initialized
                for pod in pods
                if pod in moving
            ),
        )


def within_node_limits(answer: Pass) -> tuple[tuple[Node, ...], dict[str, str]]:
    """(the new nodes that can be ordered, why the pods of the others find no place).

    A pass does not charge its own nodes to `limits.nodes`, and `minValues` may fail at its end.
    """
    left = {name: own[NODES] for name, own in answer.placed.prepared.remaining.items() if NODES in own}
    good, cut = [], {pod: "minValues cannot be met" for node in answer.failed for pod in node.pods}
    for node in answer.nodes:
        pool = node.open.template.name
        if pool in left:
            left[pool] -= 1
        if left.get(pool, 0) < 0:
            cut |= dict.fromkeys(node.open.pods, f"{pool}: the limit on its nodes is used up")
        else:
            good.append(node)
    return tuple(good), cut


def _why(answer: Pass, pod: str) -> str:
    return "; ".join(f"{r.node_pool}: {r.reason}" if r.node_pool else r.reason for r in answer.why(pod))
