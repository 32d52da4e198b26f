"""The life of a NodePool: what it ordered, what became of that, and what kept it from doing more."""

from __future__ import annotations

from collections import Counter

from fretsaw.api.nodepool import NodePool
from fretsaw.api.times import Millis
from fretsaw.engine import actions as a
from fretsaw.trace.claim_life import ClaimLife
from fretsaw.trace.life import Life, Words, lower

READY = "Ready"


class PoolLife(Life):
    """One pool with all its claims."""

    KIND = "nodepool"

    def __init__(self, name: str, words: Words) -> None:
        super().__init__(name, words)
        self.claims: list[ClaimLife] = []
        self._alive = 0
        self._most = 0
        self._generation: int | None = None
        self._is_known = False
        self._gone = False

    def changed(self, at: Millis, pool: NodePool) -> None:
        """The pool as it is now."""
        generation = pool.metadata.generation
        if not self._is_known:
            self.say(at, f"it is there, with weight {pool.spec.weight or 0}")
        elif generation != self._generation:
            self.say(at, "its spec was changed")
        self._is_known, self._generation = True, generation
        ready = pool.condition(READY)
        if ready is not None and ready.status == "False":
            self.say_once(at, READY, f"it cannot be used: {lower(ready.message or ready.reason)}")
        elif ready is not None and ready.status == "True":
            self.say_once(at, READY, "it is ready")

    def gone(self, at: Millis) -> None:
        """The object was removed."""
        self._gone = True
        self.say(at, "it is gone")

    def unusable(self, at: Millis, why: str) -> None:
        """Its node class cannot launch anything."""
        self.say_once(at, "catalog", f"it can launch nothing: {lower(why)}")

    def catalog(self, at: Millis, types: int) -> None:
        """What its node class can launch."""
        self.say_once(at, "catalog", f"it can choose from {self.words.counted(types, 'instance type')}")

    def ordered(self, at: Millis, claim: ClaimLife, purpose: str) -> None:
        """A claim was made."""
        self.add(claim)
        self.say(at, f"it ordered {claim.object} {purpose}")

    def add(self, claim: ClaimLife) -> None:
        """A claim is one of its own."""
        self.claims.append(claim)
        self._alive += 1
        self._most = max(self._most, self._alive)

    def claim_gone(self, at: Millis, claim: ClaimLife) -> None:
        """Nothing is left of a claim."""
        self._alive -= 1
        self.say(at, f"{claim.object} is gone: {claim.summary(at)}")

    def tells(self, at: Millis, tell: a.Tell) -> None:
        """What the autoscaler says of it, such as that its budgets allow nothing; the same is told once."""
        self.say_once(at, f"{tell.reason}: {tell.message}", lower(tell.message))

    def summary(self, now: Millis) -> str:
        """Nodes, money, and why nodes went."""
        words = self.words
        if not self.claims:
            return "no node" + (", gone" if self._gone else "")
        parts = [words.counted(len(self.claims), "node"), f"{self._most} at once at most"]
        parts.append(words.usd(sum(claim.cost(now) for claim in self.claims)))
        kinds = Counter(claim.what.split(", ")[0] for claim in self.claims if claim.what)
        parts += [
            f"{count} × {name}" for name, count in sorted(kinds.items(), key=lambda item: (-item[1], item[0]))[:3]
        ]
        return ", ".join([*parts, *(["gone"] if self._gone else [])])
