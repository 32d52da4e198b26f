"""Whose an instance is: what was given to whom, and is not yet to be seen in the account.

An instance of a batch is given by a tag. What we gave is remembered, since EC2 shows tags and new instances late.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from fretsaw.errors import Throttled
from fretsaw.providers.aws.calls.asking import AwsError
from fretsaw.providers.aws.launch import marks, refusals
from fretsaw.providers.aws.launch.instances import Instance, Instances
from fretsaw.providers.aws.launch.order import Order

RECENT_S = 60.0
"""So long what we launched ourselves is known without asking."""
TAG_PAUSES = (0.25, 0.5, 1.0, 2.0, 4.0)
"""Seconds between tries to tag an instance that EC2 does not know yet."""
_TAGGING = 10
"""Instances that are tagged at the same time."""
_MOST = 4096
AnyOrder = Order[Any]


class Dealing:
    """The memory, and the tagging."""

    def __init__(self, instances: Instances, pauses: Sequence[float] = TAG_PAUSES) -> None:
        self._instances, self._pauses = instances, pauses
        self._some = asyncio.Semaphore(_TAGGING)
        self._owner: dict[str, str] = {}
        """Instance → uid of the claim that it was given to."""
        self._untagged: dict[str, Instance] = {}
        """By uid: instances that could not be tagged yet."""
        self._recent: dict[str, tuple[float, Instance]] = {}
        """By uid, with the time until which it is believed."""

    def owner(self, instance: str) -> str:
        """The uid of the claim that an instance was given to; empty for none."""
        return self._owner.get(instance, "")

    def promise(self, order: AnyOrder, one: Instance) -> None:
        """Nobody else gets it from now on."""
        self._owner[one.id] = order.uid

    def untagged(self, order: AnyOrder) -> Instance | None:
        """The claim's instance that still has to be tagged."""
        return self._untagged.get(order.uid)

    def recent(self, order: AnyOrder) -> Instance | None:
        """The claim's instance, launched a moment ago."""
        until, found = self._recent.get(order.uid, (0.0, None))
        return found if now() < until else None

    def launched_lately(self) -> list[Instance]:
        """What EC2 may not list yet."""
        return [one for until, one in self._recent.values() if now() < until]

    def ended(self, instance: str) -> None:
        """An instance that is on its way out is nobody's recent one."""
        for uid in [uid for uid, (_, one) in self._recent.items() if one.id == instance]:
            del self._recent[uid]

    def of(self, order: AnyOrder, there: Iterable[Instance]) -> Instance | None:
        """The claim's among the instances that there are, else one of its batch that is nobody's yet."""
        own = [one for one in there if self._is_of(one, order)]
        free = [one for one in there if one.id not in self._owner and marks.may_take(one.tags, order.uid)]
        return min(own or free, key=lambda one: (one.launched, one.id), default=None)

    def _is_of(self, one: Instance, order: AnyOrder) -> bool:
        return self._owner.get(one.id) == order.uid or marks.is_of(one.tags, order.uid, order.claim)

    async def give(self, order: AnyOrder, one: Instance) -> Instance:
        """Tag an instance of a batch as the claim's own. Raises Throttled where that fails; it stays the claim's."""
        self.promise(order, one)
        self._untagged[order.uid] = one
        async with self._some:
            await self._tag(order, one)
        self._untagged.pop(order.uid, None)
        return self.remember(order, one)

    async def _tag(self, order: AnyOrder, one: Instance) -> None:
        """EC2 may need seconds to know what it has launched."""
        left = list(self._pauses)
        while True:
            try:
                return await self._instances.tag(one.id, {marks.CLAIM: order.claim})
            except AwsError as error:
                unknown = error.code in refusals.NOT_FOUND
                if unknown and left:
                    await asyncio.sleep(left.pop(0))
                    continue
                if unknown:
                    self._untagged.pop(order.uid, None)  # it has ended already: the claim may have another
                raise Throttled(f"{one.id} was launched for {order.claim}, but cannot be tagged: {error}") from error

    def remember(self, order: AnyOrder, one: Instance) -> Instance:
        """The instance with the claim's tag, known for a while."""
        own = msgspec.structs.replace(one, tags={**one.tags, marks.CLAIM: order.claim})
        self._owner[one.id] = order.uid
        self._recent[order.uid] = (now() + RECENT_S, own)
        for memory in (self._recent, self._owner):
            while len(memory) > _MOST:
                del memory[next(iter(memory))]
        return own


def now() -> float:
    """Seconds of the loop."""
    return asyncio.get_running_loop().time()
