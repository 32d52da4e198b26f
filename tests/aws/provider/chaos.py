"""A cluster in small that keeps its NodeClaims with the AWS provider while everything goes wrong.

`Keeper` does what `controllers.performer` and `controllers.cloud` do with answers and lists, and no more; `Chaos` lets
calls fail and the process die. Everything that is random comes from the seed.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from random import Random
from typing import Any

from msgspec.structs import replace

from aws.launch.worlds import BOTH, ZONES, named
from aws.provider.worlds import applied, provider
from fretsaw.api.nodeclaim import NodeClaim
from fretsaw.api.nodeclass import EC2NodeClass
from fretsaw.engine.events import InstanceCreated
from fretsaw.errors import InstanceNotFound, LaunchFailed, NotReady, OutOfCapacity, ProviderError, Throttled
from fretsaw.providers.aws.calls import Asking, AwsError
from fretsaw.providers.aws.launch.batcher import Window
from fretsaw.providers.aws.launch.launcher import Patience, Windows
from fretsaw.providers.aws.launch.marks import OPEN
from fretsaw.providers.aws.provider import AwsProvider
from support.aws import Moto
from support.aws.world import CURRENT, World
from support.virtual_ec2 import capacity

ROUND_S = 130
"""Between two lists of instances; so that what is nobody's has grown old."""
LEAKED_MS = 60_000
SETTLED = 12
"""Rounds without faults after which everything has to be as it should be."""
_SHORT = Window(0.003, 0.1, 199)
WINDOWS = Windows(_SHORT, _SHORT, _SHORT, _SHORT)
PATIENCE = Patience(settle_s=0.0, tag_pauses=(0.0, 0.0, 0.0))
KINDS = (capacity("spot", "on-demand"), capacity("on-demand"), capacity("spot"))
Script = tuple[str, ...]
FAULTS = (
    "out", "partial", "hidden", "dying", "no addresses", "no image", "template gone", "quota",
    "throttled", "lost", "unauthorized", "expired", "crash", "crash", "deleted",
)  # fmt: skip


class Chaos(Asking):
    """Calls of one process. rates: how likely each way to fail is; dies: at which call the process ends, if at all."""

    def __init__(self, inner: Asking, random: Random) -> None:
        self.region = inner.region
        self.rates: dict[str, float] = {}
        self.dies: int | None = None
        self.dead = asyncio.Event()
        self._inner, self._random = inner, random

    async def ask(self, call: str, /, **parameters: Any) -> dict[str, Any]:
        """See Asking."""
        return await self._go(call, lambda: self._inner.ask(call, **parameters))

    async def pages(self, call: str, field: str, /, **parameters: Any) -> list[dict[str, Any]]:
        """See Asking."""
        return await self._go(call, lambda: self._inner.pages(call, field, **parameters))

    async def close(self) -> None:
        """The session is everybody's."""

    async def _go(self, call: str, work: Callable[[], Awaitable[Any]]) -> Any:
        after = self._random.random() < 0.5
        if self.dead.is_set():
            await asyncio.Event().wait()
        if self.dies is not None:
            self.dies -= 1
            if self.dies <= 0:
                if after:
                    await work()
                self.dead.set()
                await asyncio.Event().wait()
        if self._hits("throttled"):
            raise AwsError(call, "RequestLimitExceeded", "Request limit exceeded.", retry=True)
        if self._hits("expired"):
            raise AwsError(call, "ExpiredToken", "The security token is expired", retry=True)
        if self._hits("unauthorized"):
            raise AwsError(call, "UnauthorizedOperation", "You are not authorized to perform this operation.")
        answer = await work()
        if self._hits("lost"):
            raise AwsError(call, "NoAnswer", "Connection was closed", retry=True)
        return answer

    def _hits(self, fault: str) -> bool:
        return self._random.random() < self.rates.get(fault, 0.0)


class Keeper:
    """The NodeClaims of a cluster, and the process that keeps them."""

    def __init__(self, moto: Moto, aws: Asking, seed: int, the_class: EC2NodeClass) -> None:
        self.moto, self.random, self._aws, self._ready = moto, Random(seed), aws, the_class
        self.wanted = self.random.choice([1, 2, 3, 3])
        self.the_class: EC2NodeClass = the_class
        self.claims: dict[str, NodeClaim] = {}
        self.story: list[str] = [f"seed {seed}, {self.wanted} wanted"]
        self._passed_s = 0.0
        self._named, self._seed = 0, seed
        self.start()

    # A process

    def start(self) -> None:
        """A new one, which knows what Kubernetes and AWS know."""
        self.calls = Chaos(self._aws, self.random)
        self.provider: AwsProvider = provider(
            self.calls, BOTH, windows=WINDOWS, patience=PATIENCE, now=self.now, monotonic=lambda: self._passed_s
        )

    def now(self) -> int:
        """Milliseconds since 1970; rounds last longer than they take."""
        return round((time.time() + self._passed_s) * 1000)

    async def until_death(self, work: Awaitable[Any]) -> Any:
        """What the work comes to; None if the process died before, and then all that it was doing is over."""
        before = asyncio.all_tasks()
        doing, died = asyncio.ensure_future(work), asyncio.ensure_future(self.calls.dead.wait())
        await asyncio.wait({doing, died}, return_when=asyncio.FIRST_COMPLETED)
        died.cancel()
        if self.calls.dead.is_set():
            own = asyncio.all_tasks() - before
            for task in own:
                task.cancel()
            await asyncio.gather(*own, return_exceptions=True)
            self.story.append("died")
            self.start()
            return None
        return await doing

    # A round, as the controllers do it

    async def round(self) -> None:
        """Order what is missing, list what there is, end what is nobody's."""
        self._passed_s += ROUND_S
        while len(self.claims) < self.wanted:
            self._named += 1
            name = f"s{self._seed}-{self._named}"
            self.claims[name] = named(name, self.random.choice(KINDS), uid=f"uid-{name}")
        missing = [claim for claim in self.claims.values() if not claim.status.provider_id]
        self.random.shuffle(missing)
        at = self.random.randint(0, len(missing))  # not always in the company that they were ordered in before
        for wave in (missing[:at], missing[at:]):
            if wave:
                await self.until_death(asyncio.gather(*(self._launch(claim) for claim in wave)))
        await self.until_death(self._list())

    async def _launch(self, claim: NodeClaim) -> None:
        name = claim.metadata.name
        try:
            created = await self.provider.launch(claim, self.the_class)
        except (OutOfCapacity, NotReady) as error:
            self.story.append(f"{name} {type(error).__name__}: {str(error)[:90]}")
            del self.claims[name]
        except (LaunchFailed, Throttled) as error:
            self.story.append(f"{name} {type(error).__name__}: {str(error)[:90]}")
        else:
            await asyncio.sleep(0)  # the process may die before it has written this down
            self._record(name, created)

    def _record(self, name: str, created: InstanceCreated) -> None:
        self.story.append(f"{name} = {created.provider_id[-6:]}")
        claim = self.claims[name]
        self.claims[name] = replace(claim, status=replace(claim.status, provider_id=created.provider_id))

    async def _list(self) -> None:
        """See controllers.cloud: claims without a machine end, and machines without a claim."""
        try:
            machines = await self.provider.instances()
        except ProviderError as error:
            self.story.append(f"list {type(error).__name__}")
            return
        there = {machine.provider_id for machine in machines}
        for name, claim in list(self.claims.items()):
            if claim.status.provider_id and claim.status.provider_id not in there:
                self.story.append(f"{name} lost {claim.status.provider_id[-6:]}")
                del self.claims[name]
        known = {claim.status.provider_id for claim in self.claims.values()}
        for machine in machines:
            old = self.now() - machine.launched >= LEAKED_MS
            if old and machine.provider_id not in known and machine.claim not in self.claims:
                self.story.append(f"end {machine.provider_id[-6:]}")
                await self._end(machine.provider_id)

    async def _end(self, provider_id: str) -> bool:
        try:
            await self.provider.terminate(provider_id)
        except InstanceNotFound:
            return True
        except ProviderError as error:
            self.story.append(f"end {type(error).__name__}")
        return False

    # Faults

    async def suffer(self, fault: str) -> None:
        """Let something go wrong from now on."""
        self.story.append(f"-- {fault}")
        world, random = self.moto.world, self.random
        match fault:
            case "out":
                self.moto.sell_out(random.choice(["g5.xlarge", "g6.xlarge", "*"]), random.choice([*ZONES, "*"]))
            case "partial":
                self.moto.stock("g6.xlarge", random.choice(ZONES), "*", random.choice([1, 2]))
                self.moto.sell_out("*")
            case "quota":
                self.moto.refuse("*", "*", random.choice(["spot", "on-demand"]), "VcpuLimitExceeded")
            case "hidden":
                self.moto.hide_instances(random.choice([1, 2, 4]))
            case "dying":
                for _ in range(random.choice([1, 3])):
                    self.moto.die_at_boot()
            case "no addresses":
                self.moto.fill_subnet(random.choice(list(self.moto.seeded.subnets.values())))
            case "no image":
                self.the_class = replace(self._ready, status=replace(self._ready.status, amis=()))
            case "template gone":
                ec2 = self.moto.backend("ec2")
                for name in list(ec2.launch_template_name_to_ids):
                    ec2.delete_launch_template(name, None)
            case "crash":
                self.calls.dies = random.randint(1, 10)
            case "deleted":
                if self.claims:
                    claim = self.claims.pop(random.choice(sorted(self.claims)))
                    if claim.status.provider_id:
                        await self.until_death(self._end(claim.status.provider_id))
            case _:
                self.calls.rates[fault] = random.choice([0.1, 0.3, 1.0 if fault == "expired" else 0.6])
        world.stock = dict(sorted(world.stock.items()))

    def recover(self) -> None:
        """Let nothing go wrong any more."""
        self.story.append("-- all is well")
        world = self.moto.world
        world.stock.clear()
        world.refusals.clear()
        world.full_subnets.clear()
        world.dying.clear()
        world.hidden_looks = 0
        self.calls.rates, self.calls.dies = {}, None
        self.the_class = self._ready

    # What has to hold

    def twice(self) -> list[str]:
        """Claims that have more than one instance. Only a process that dies before its instances can be seen may have
        launched one again, unless it waits for them, which it does not here."""
        if "-- hidden" in self.story:
            return []
        tags = [{tag["key"]: tag["value"] for tag in one.get_tags()} for one in self.moto.instances()]
        named = Counter(one["karpenter.sh/nodeclaim"] for one in tags)
        return [f"{name} has {count} instances" for name, count in named.items() if count > 1 and name != OPEN]

    def wrong(self) -> list[str]:
        """What is not as it should be; empty once every claim has an instance, and every instance a claim."""
        alive = {one.id: {tag["key"]: tag["value"] for tag in one.get_tags()} for one in self.moto.instances()}
        found = []
        for name, claim in self.claims.items():
            id_ = claim.status.provider_id.rpartition("/")[2]
            if id_ not in alive:
                found.append(f"{name} has {id_ or 'no instance'}, which does not run")
            elif alive[id_].get("karpenter.sh/nodeclaim") != name:
                found.append(f"{id_} of {name} is tagged {alive[id_].get('karpenter.sh/nodeclaim')}")
        ours = {claim.status.provider_id.rpartition("/")[2] for claim in self.claims.values()}
        if len(ours) != len(self.claims):
            found.append("two claims share an instance")
        return [*found, *(f"{id_} belongs to no claim" for id_ in sorted(alive.keys() - ours))]


async def ready_class(moto: Moto, aws: Asking) -> EC2NodeClass:
    """A class that has found everything."""
    return await provider(aws).class_as_it_should_be(applied(moto))


async def live_through(moto: Moto, aws: Asking, seed: int, the_class: EC2NodeClass) -> Keeper:
    """One script of faults, and what came after. Raises AssertionError with the story where something is left over."""
    CURRENT["now"] = World()
    moto.backend("ec2").reservations.clear()
    keeper = Keeper(moto, aws, seed, the_class)
    for _ in range(keeper.random.choice([1, 2, 3])):
        for fault in keeper.random.sample(FAULTS, keeper.random.choice([0, 1, 1, 2, 3])):
            await keeper.suffer(fault)
        await keeper.round()
        assert not keeper.twice(), "\n".join([*keeper.twice(), *keeper.story])
    keeper.recover()
    for left in reversed(range(SETTLED)):
        await keeper.round()
        wrong = keeper.wrong()
        if not wrong and len(keeper.claims) == keeper.wanted:
            break
        assert left, "\n".join(["after so many quiet rounds:", *wrong, "the story:", *keeper.story])
    await keeper.provider.launcher.close()
    return keeper
