"""CreateFleet as a call: equal launches sent together, a bucket of tokens, backoff, and the time until the answer.

Source: Karpenter AWS provider v1.14 pkg/batcher (create_fleet: 35 ms idle, 1 s at most, equal input); EC2 Developer
Guide, Request throttling for the Amazon EC2 API.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable

from fretsaw.api.nodeclaim import NodeClaim
from fretsaw.api.times import SECOND, Millis
from fretsaw.sim.cloud.settings import CloudSettings, Throttle
from fretsaw.sim.loop import Timer
from fretsaw.sim.world import World


class Bucket:
    """Tokens that come back by and by; whole thousandths, so that no rounding adds up."""

    def __init__(self, throttle: Throttle, now: Millis) -> None:
        self._most = throttle.burst * 1000
        self._per_second = round(throttle.per_second * 1000)
        self._tokens = self._most * SECOND
        self._at = now

    def take(self, now: Millis) -> bool:
        """Whether there was a token; it is gone then."""
        self._tokens = min(self._most * SECOND, self._tokens + (now - self._at) * self._per_second)
        self._at = now
        if self._tokens < 1000 * SECOND:
            return False
        self._tokens -= 1000 * SECOND
        return True


class _Batch:
    """Claims that go into one call."""

    def __init__(self, opened: Millis) -> None:
        self.opened = opened
        self.claims: list[NodeClaim] = []
        self.timer: Timer | None = None


class Calls:
    """Sends launches to EC2. `answer` is called with the claims of one call when EC2 has looked at it."""

    def __init__(self, world: World, settings: CloudSettings, answer: Callable[[list[NodeClaim]], None]) -> None:
        self._world = world
        self._settings = settings
        self._answer = answer
        self._open: dict[Hashable, _Batch] = {}
        self.limit(settings.throttle)

    def limit(self, throttle: Throttle | None) -> None:
        """From now on this bucket counts, full at first; None: calls are never refused."""
        self._bucket = Bucket(throttle, self._world.loop.now) if throttle is not None else None

    def ask(self, claim: NodeClaim, kind: Hashable) -> None:
        """Launch an instance for a claim; claims of equal `kind` may share a call."""
        loop = self._world.loop
        batch = self._open.get(kind)
        if batch is None:
            batch = self._open[kind] = _Batch(loop.now)
        batch.claims.append(claim)
        if batch.timer is not None:
            batch.timer.cancel()
        when = min(loop.now + self._settings.batch_idle, batch.opened + self._settings.batch_max)
        batch.timer = loop.at(when, self._close, kind)

    def _close(self, kind: Hashable) -> None:
        self._send(self._open.pop(kind).claims, 0)

    def _send(self, claims: list[NodeClaim], refused: int) -> None:
        name = claims[0].metadata.name
        if self._bucket is None or self._bucket.take(self._world.loop.now):
            latency = self._settings.create.draw(self._world.dice.once("create-fleet", name))
            self._world.loop.after(latency, self._answer, claims)
            return
        wait = self._backoff(name, refused)
        for claim in claims:
            about = f"NodeClaim/{claim.metadata.name}"
            self._world.journal.note("throttled", about, call="CreateFleet", wait=wait, refused=refused + 1)
        self._world.loop.after(wait, self._send, claims, refused + 1)

    def _backoff(self, name: str, refused: int) -> Millis:
        throttle = self._settings.throttle or Throttle()
        most = min(throttle.backoff << min(refused, 30), throttle.backoff_max)
        chance = self._world.dice.once("backoff", name, str(refused)).random()
        return max(1, round(most * (1 - chance / 2)))
