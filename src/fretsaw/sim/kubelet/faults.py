"""Which faults hold at the moment, and which of them hit a node."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from fretsaw.sim.dice import Dice
from fretsaw.sim.kubelet.settings import FaultKind, NodeFault


class Faults:
    """The faults that hold now. A node is hit or not by its name, however often that is asked."""

    def __init__(self, dice: Dice, faults: Iterable[NodeFault] = ()) -> None:
        self._dice = dice
        self._now = list(faults)

    def begin(self, fault: NodeFault) -> None:
        """From now on it holds."""
        self._now.append(fault)

    def end(self, fault: NodeFault) -> None:
        """It holds no longer; nothing where it did not."""
        if fault in self._now:
            self._now.remove(fault)

    def hitting(self, kind: FaultKind, node: str, labels: Mapping[str, str]) -> list[NodeFault]:
        """The faults of a kind that hit this node."""
        return [
            fault
            for fault in self._now
            if fault.kind == kind and fault.selector.matches(labels) and self._falls(fault, node)
        ]

    def _falls(self, fault: NodeFault, node: str) -> bool:
        name = msgspec.json.encode(fault).decode()
        return self._dice.once("fault", name, node).random() < fault.chance
