"""NodeClaims → instances: at most one each, whatever is lost or crashes in between.

    find     before an order the account is asked for an instance of the claim, or one of its batch that is nobody's yet
    batch    equal orders are one CreateFleet call, whose instances carry the names of all its claims
    deal     each instance gets the tag of its own claim, and only then the launch is answered

A crash between any two steps leaves the account in a state that `find` reads. What the account does not show yet is
remembered: an order without an answer is sent again as it was, under the same client token, for which EC2 launches
once; an instance that could not be tagged stays its claim's. Claims that are older than this process may have been
ordered by the one before: they wait until what that one did has become visible.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Generic

import msgspec

from fretsaw.api.times import Millis
from fretsaw.errors import ProviderError
from fretsaw.providers.aws.calls.asking import Asking, AwsError
from fretsaw.providers.aws.launch import fleet, marks, refusals
from fretsaw.providers.aws.launch.batcher import FIND, FLEET, Batcher, Window
from fretsaw.providers.aws.launch.dealing import TAG_PAUSES, Dealing, now
from fretsaw.providers.aws.launch.instances import Instance, Instances
from fretsaw.providers.aws.launch.order import Ask, Order, Prepared, Preparer

SETTLE_S = 5.0
"""EC2 shows within seconds what was done; a process that takes over at once waits so long from its start."""
LOST_S = 600.0
"""So long an order without an answer is sent again as it was; EC2 knows a token for longer."""
CLOSE_S = 15.0
_MOST = 4096


class _Sent(msgspec.Struct, Generic[Ask], eq=False):
    """A CreateFleet call as it was, or will be, made."""

    orders: tuple[Order[Ask], ...]
    prepared: Prepared
    parameters: dict[str, Any]
    lost: float | None = None
    """When its answer got lost."""
    task: asyncio.Task[dict[str, Instance | Exception]] | None = None


class Orders(Generic[Ask]):
    """The orders of one cluster. time_of_day: for the age of claims."""

    def __init__(
        self,
        aws: Asking,
        instances: Instances,
        preparer: Preparer[Ask],
        *,
        time_of_day: Callable[[], Millis],
        settle_s: float = SETTLE_S,
        fleets: Window = FLEET,
        find: Window = FIND,
        tag_pauses: Sequence[float] = TAG_PAUSES,
    ) -> None:
        self._aws, self._instances, self._preparer, self._now = aws, instances, preparer, time_of_day
        self._started, self._settle_s = time_of_day(), settle_s
        self.dealing = Dealing(instances, tag_pauses)
        self._fleets: Batcher[Order[Ask], Instance] = Batcher(fleets, self._buy)
        self._finder: Batcher[Order[Ask], Instance | None] = Batcher(find, self._found)
        self._running: dict[str, asyncio.Task[Instance]] = {}
        self._lost: dict[str, _Sent[Ask]] = {}
        self._tries: dict[str, int] = {}
        """By uid: calls that were answered without an instance for it. A new try needs a new token."""

    async def place(self, order: Order[Ask]) -> Instance:
        """The claim's instance. Who is cancelled does not cancel the order: asked again, it gets what became of it.
        Raises OutOfCapacity, LaunchFailed, NotReady, Throttled."""
        return await self._once(order.uid, lambda: self._place(order))

    async def known(self, order: Order[Any]) -> Instance | None:
        """The claim's instance if it has one already; nothing is ordered. Raises what a failed call comes to."""
        try:
            return await self._there(order)
        except AwsError as error:
            raise refusals.of_call(error) from error

    async def close(self) -> None:
        """Wait for orders that are under way, for a while: what is launched now and not dealt costs money."""
        if self._running:
            await asyncio.wait(list(self._running.values()), timeout=CLOSE_S)
        for task in list(self._running.values()):
            task.cancel()
        await asyncio.gather(*self._running.values(), return_exceptions=True)

    # One claim

    async def _once(self, uid: str, work: Callable[[], Any]) -> Instance:
        task = self._running.get(uid)
        if task is None:
            task = self._running[uid] = asyncio.create_task(work())
            task.add_done_callback(lambda done: self._done(uid, done))
        return await asyncio.shield(task)

    def _done(self, uid: str, task: asyncio.Task[Instance]) -> None:
        del self._running[uid]
        if not task.cancelled():
            task.exception()  # whoever wanted it may have gone: it is not forgotten, but found again

    async def _place(self, order: Order[Ask]) -> Instance:
        try:
            if (found := await self._there(order)) is not None:
                return found
            if (sent := self._lost.get(order.uid)) is not None:
                return await self._again(sent, order)
            return await self._fleets.ask(order, order.bucket)
        except AwsError as error:
            raise refusals.of_call(error) from error

    async def _there(self, order: Order[Any]) -> Instance | None:
        """What we remember, or the account shows."""
        if (untagged := self.dealing.untagged(order)) is not None:
            return await self.dealing.give(order, untagged)
        if (recent := self.dealing.recent(order)) is not None:
            return recent
        await self._settled(order.created)
        seen = await self._finder.ask(order)
        if seen is not None:
            self._lost.pop(order.uid, None)
        return seen

    async def _settled(self, created: Millis | None) -> None:
        """Returns at once for claims that no process before us can have seen."""
        if created is None or created < self._started:
            left = self._settle_s - (self._now() - self._started) / 1000
            if left > 0:
                await asyncio.sleep(left)

    # Finding

    async def _found(self, orders: Sequence[Order[Any]]) -> Sequence[Instance | Exception | None]:
        there = await self._instances.of_claims(order.claim for order in orders)
        found: dict[str, Instance] = {}
        for order in sorted(orders, key=lambda one: one.uid):
            if (one := self.dealing.of(order, there)) is not None:
                found[order.uid] = one
                self.dealing.promise(order, one)
        answers = await asyncio.gather(
            *(self._owned(order, found.get(order.uid)) for order in orders), return_exceptions=True
        )
        return [_raised(answer) for answer in answers]

    async def _owned(self, order: Order[Any], found: Instance | None) -> Instance | None:
        if found is None or marks.is_of(found.tags, order.uid, order.claim):
            return found
        return await self.dealing.give(order, found)

    # Buying

    async def _buy(self, orders: Sequence[Order[Ask]]) -> Sequence[Instance | Exception]:
        """Orders of one bucket: as few calls as their names fit into the tags of."""
        ask = orders[0].ask
        tags = self._preparer.tags(ask)
        most = marks.room({**tags, **self._preparer.own(ask)})
        ordered = sorted(orders, key=lambda one: one.uid)
        parts = [ordered[at : at + most] for at in range(0, len(ordered), most)]
        answers = await asyncio.gather(*(self._part(part, tags) for part in parts))
        found = {uid: answer for part in answers for uid, answer in part.items()}
        return [found[order.uid] for order in orders]

    async def _part(self, orders: Sequence[Order[Ask]], tags: Mapping[str, str]) -> dict[str, Instance | Exception]:
        try:
            return await self._first(orders, tags)
        except (AwsError, ProviderError) as error:
            return dict.fromkeys((order.uid for order in orders), error)

    async def _first(self, orders: Sequence[Order[Ask]], tags: Mapping[str, str]) -> dict[str, Instance | Exception]:
        """Once more where a launch template was taken away under our hands."""
        try:
            return await self._send(await self._prepared(orders, tags))
        except AwsError as error:
            if error.code not in refusals.NO_TEMPLATE:
                raise
        return await self._send(await self._prepared(orders, tags))

    async def _prepared(self, orders: Sequence[Order[Ask]], tags: Mapping[str, str]) -> _Sent[Ask]:
        prepared = await self._preparer.prepare(orders[0].ask, len(orders))
        uids = [order.uid for order in orders]
        own = marks.of_one(uids[0], orders[0].claim) if len(orders) == 1 else marks.of_batch(uids)
        own = {**self._preparer.own(orders[0].ask), **own}
        parameters = fleet.request(prepared.buy, prepared.configs, len(orders), tags, own)
        return _Sent(tuple(orders), prepared, {**parameters, "ClientToken": self._token(uids, parameters)})

    def _token(self, uids: Sequence[str], parameters: Mapping[str, Any]) -> str:
        """The same for the same orders, as long as they are not answered. EC2 takes 64 characters."""
        said = [list(uids), [self._tries.get(uid, 0) for uid in uids], parameters]
        return hashlib.sha256(msgspec.json.encode(said, order="deterministic")).hexdigest()

    async def _send(self, sent: _Sent[Ask]) -> dict[str, Instance | Exception]:
        ask = sent.orders[0].ask
        try:
            found = fleet.answer(await self._aws.ask("ec2:CreateFleet", **sent.parameters))
        except AwsError as error:
            if refusals.lost(error):
                sent.lost = sent.lost or now()
                self._lost.update({order.uid: sent for order in sent.orders})
            else:
                self._answered(sent)
                self._preparer.heard(ask, sent.prepared, None, error)
            raise
        self._answered(sent)
        self._preparer.heard(ask, sent.prepared, found, None)
        return await self._deal(sent, found)

    def _answered(self, sent: _Sent[Ask]) -> None:
        for order in sent.orders:
            if self._lost.get(order.uid) is sent:
                del self._lost[order.uid]
            self._tries[order.uid] = self._tries.get(order.uid, 0) + 1
        while len(self._tries) > _MOST:
            del self._tries[next(iter(self._tries))]

    async def _again(self, sent: _Sent[Ask], order: Order[Ask]) -> Instance:
        """Send a lost order once more, for all of its claims."""
        if sent.lost is not None and now() - sent.lost > LOST_S:
            self._lost.pop(order.uid, None)
            return await self._fleets.ask(order, order.bucket)
        if sent.task is None or sent.task.done():
            sent.task = asyncio.create_task(self._send(sent))
        answer = (await asyncio.shield(sent.task))[order.uid]
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def _deal(self, sent: _Sent[Ask], answer: fleet.Answer) -> dict[str, Instance | Exception]:
        """Instances to claims, both in their order; what was dealt before stays so."""
        made = [self._instance(sent, one) for one in answer.made]
        had = {owner: one for one in made if (owner := self.dealing.owner(one.id))}
        free = iter([one for one in made if not self.dealing.owner(one.id)])
        pairs = [(order, had.get(order.uid) or next(free, None)) for order in sent.orders]
        for order, one in pairs:
            if one is not None:
                self.dealing.promise(order, one)
                self._tries.pop(order.uid, None)
        errors = [(one.code, one.message) for one in answer.failed]
        refused = refusals.of_fleet(errors, self._preparer.tried(sent.prepared))
        answers = await asyncio.gather(
            *(self._dealt_to(order, one, len(sent.orders) == 1, refused) for order, one in pairs),
            return_exceptions=True,
        )
        return {order.uid: _raised(answer) for order, answer in zip(sent.orders, answers, strict=True)}

    async def _dealt_to(self, order: Order[Ask], one: Instance | None, alone: bool, refused: ProviderError) -> Instance:
        if one is None:
            raise refused
        return self.dealing.remember(order, one) if alone else await self.dealing.give(order, one)

    def _instance(self, sent: _Sent[Ask], made: fleet.Made) -> Instance:
        buy = sent.prepared.buy
        return Instance(
            id=made.id,
            type=made.type,
            zone=made.zone,
            state="pending",
            launched=self._now(),
            image_id=made.image_id,
            subnet_id=made.subnet_id,
            capacity_type=buy.capacity_type,
            reservation=sent.prepared.reservations.get((made.type, made.zone), ""),
            placement_group=sent.prepared.placement_group,
            partition=sent.prepared.partition or None,
        )


def _raised(answer: Any) -> Any:
    """An answer of `gather`: a cancellation among them is one of ours as a whole."""
    if isinstance(answer, BaseException) and not isinstance(answer, Exception):
        raise answer
    return answer
