"""The question that disruption asks of placement: where would these machines' pods go?

Whoever answers prepares the state once and keeps what does not depend on the question; it may also look for cheaper
replacements than first-fit finds, as the settings say. Nothing here places a pod.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import msgspec

from fretsaw.engine.finish import Node
from fretsaw.engine.universe import Universe


class Outcome(msgspec.Struct, frozen=True):
    """The answer for one set of machines.

    `launches` and `filled` count all pods, also those that wait anyway and the buffers' virtual ones. `unplaced` and
    `unready` leave those out: whether they find a place says nothing about the machines in question.
    """

    launches: tuple[Node, ...] = ()
    """Nodes that would have to be bought, in the order of opening."""
    filled: tuple[tuple[str, str], ...] = ()
    """(pod, machine) for real pods that would go to machines that are there."""
    unplaced: tuple[tuple[str, str], ...] = ()
    """(pod, why) for pods of machines that go and that find no place."""
    unready: tuple[tuple[str, str], ...] = ()
    """(pod, machine) for pods of the machines in question that would go to one that is not initialised yet. Pods of
    machines that are leaving already are not listed: somebody has planned that place for them."""

    @property
    def complete(self) -> bool:
        """Whether every pod that has to move would find a place that can be relied upon."""
        return not self.unplaced and not self.unready


class WhatIf(Protocol):
    """Placement of the pods of some machines on what is left, and on new nodes.

    The pods are: all that wait (with the buffers' virtual ones), those of `without` that are currently reschedulable,
    and those of machines that are leaving (deleted, or marked by a running command). Places are all machines but
    `without` and the leaving ones. Reservations are not waited for.
    Source: Karpenter v1.14 pkg/controllers/disruption helpers.go (SimulateScheduling).
    """

    def __call__(self, without: frozenset[str], *, consolidating: bool = True, cheapest: bool = False) -> Outcome:
        """What happens without these machines, named as in `ClusterState.machines`; none of them is leaving.

        consolidating: machines whose pods changed within their pool's consolidateAfter take no running pods, only
        waiting ones and those of leaving machines (`engine.disruption.settling`).
        """
        ...

    def universe(self, pool: str) -> Universe | None:
        """What a pool can launch, overlays and missing offerings applied; None where it is not known."""
        ...

    def free(self, machine: str) -> Mapping[str, int] | None:
        """The room on a machine, base units; None where it takes no pods."""
        ...

    def waiting(self) -> bool:
        """Whether pods without any place take part in every simulation."""
        ...
