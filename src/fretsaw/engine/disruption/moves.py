"""A move: machines to take away, and what replaces them, with its savings and its words.

Source: Karpenter v1.14 pkg/controllers/disruption types.go (Command, EstimatedSavings, StringForNode).
"""

from __future__ import annotations

from typing import Literal

import msgspec

from fretsaw.engine.disruption.ask import Outcome
from fretsaw.engine.disruption.candidates import Candidate
from fretsaw.engine.finish import Node
from fretsaw.engine.universe import NANO

Method = Literal["emptiness", "static-drift", "drift", "multi", "single"]
METHODS: tuple[Method, ...] = ("emptiness", "static-drift", "drift", "multi", "single")
"""In the order in which they are tried; the first that starts something ends the look."""


class Move(msgspec.Struct, frozen=True, eq=False):
    """What a method found. Not carried out yet."""

    candidates: tuple[Candidate, ...]
    nodes: tuple[Node, ...] = ()
    """Replacements that are planned for pods."""
    copies: int = 0
    """Replacements that are made from a static pool's template, for no pod in particular."""
    outcome: Outcome = Outcome()

    @property
    def names(self) -> tuple[str, ...]:
        """The machines, in the order of the method."""
        return tuple(c.name for c in self.candidates)

    @property
    def pools(self) -> tuple[str, ...]:
        """The pools of the candidates, each once, in their order."""
        return tuple(dict.fromkeys(c.pool_name for c in self.candidates))

    @property
    def price(self) -> int:
        """What the candidates cost in nano-USD an hour."""
        return sum(c.price for c in self.candidates)

    @property
    def savings(self) -> int:
        """Nano-USD an hour, when each replacement turns out to be its cheapest type."""
        return self.price - sum(node.price_nano for node in self.nodes if node.candidates)

    @property
    def savings_usd(self) -> float:
        """The same in USD an hour."""
        return self.savings / NANO

    @property
    def replacements(self) -> int:
        """How many machines replace the candidates."""
        return len(self.nodes) + self.copies

    def text(self) -> str:
        """`replace: [a, b] -> [1 replacement]`, or `delete: [a]`."""
        nodes = ", ".join(c.node.metadata.name for c in self.candidates)
        if not self.replacements:
            return f"delete: [{nodes}]"
        plural = "" if self.replacements == 1 else "s"
        return f"replace: [{nodes}] -> [{self.replacements} replacement{plural}]"

    def text_for(self, candidate: Candidate) -> str:
        """The same as an event of one of its nodes tells it, without listing all others."""
        if len(self.candidates) == 1:
            return self.text()
        decision = "replace" if self.replacements else "delete"
        return f"{decision}: [{candidate.node.metadata.name}] (part of {len(self.candidates)}-node consolidation)"


class Found(msgspec.Struct, frozen=True, eq=False):
    """What a method's run came to."""

    moves: tuple[Move, ...] = ()
    held_back: bool = False
    """A budget kept a candidate out, so that another time may find more although nothing changed."""
    cut: bool = False
    """It ran out of time."""
    unseen: tuple[str, ...] = ()
    """Pools none of whose candidates it got to."""
