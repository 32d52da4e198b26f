"""Claims, instances, nodes and money.

Laws: a claim has one instance, and an instance one claim · an instance runs once, after it was asked for, and ends once
· only an instance that ran is on the bill, with its seconds at its price · what was divided among workloads, and what
is idle, is the bill · no instance, node or finalizer is left behind for long after what it belongs to has gone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import msgspec

from fretsaw.api.node import Node
from fretsaw.api.nodeclaim import NodeClaim
from fretsaw.api.times import HOUR, MINUTE, SECOND, Millis, millis
from fretsaw.sim.journal import Fact
from fretsaw.sim.world import World

LEFT: Millis = 20 * MINUTE
"""What is there so long after its reason has gone, nobody will take away. Launches time out after 15 minutes at most,
listings come every 2, volumes of a lost machine are let go after 6."""
LEAST: Millis = 1 * MINUTE
"""What is charged at least."""
NANO = 1_000_000_000


class _Run(msgspec.Struct):
    """An instance by the journal."""

    claim: str
    asked: Millis
    since: Millis | None = None
    price: int = 0
    """Nano-USD an hour."""
    ended: Millis | None = None
    why: str = ""
    rebought: bool = False


class Machines:
    """Hears of all instances."""

    def __init__(self, world: World, violated: Callable[[str], None]) -> None:
        self._store = world.store
        self._violated = violated
        self._runs: dict[str, _Run] = {}
        """By provider id."""
        self._instances: dict[str, str] = {}
        """By claim."""
        self._unclaimed: dict[str, Millis] = {}
        """When the claim of an instance went."""
        self._loop = world.loop
        world.store.watch("NodeClaim", self._claim)
        world.journal.listen(self._fact)

    def _claim(self, old: NodeClaim | None, new: NodeClaim | None) -> None:
        if new is None and old is not None and old.metadata.name in self._instances:
            self._unclaimed[self._instances[old.metadata.name]] = self._loop.now
        if new is not None and new.status.provider_id:
            run = self._runs.get(new.status.provider_id)
            if run is not None and run.claim != new.metadata.name:
                self._violated(f"claim {new.metadata.name} names the instance of claim {run.claim}")

    def _fact(self, fact: Fact) -> None:
        if not fact.what.startswith("instance-"):
            return
        provider_id = fact.about.removeprefix("Instance/")
        run = self._runs.get(provider_id)
        match fact.what:
            case "instance-asked":
                self._asked(provider_id, fact)
            case "instance-running":
                if run is None or run.since is not None or run.ended is not None:
                    self._violated(f"instance {provider_id} runs, although it {_state(run)}")
                    return
                run.since, run.price = fact.at, round(fact.data["price"] * NANO)
            case "instance-ended":
                if run is None or run.ended is not None:
                    self._violated(f"instance {provider_id} ends, although it {_state(run)}")
                    return
                run.ended, run.why = fact.at, fact.data["why"]
            case "instance-rebought" if run is not None:
                run.rebought = True

    def _asked(self, provider_id: str, fact: Fact) -> None:
        claim = fact.data["claim"]
        if claim in self._instances:
            self._violated(f"claim {claim} has two instances: {self._instances[claim]} and {provider_id}")
        self._instances[claim] = provider_id
        self._runs[provider_id] = _Run(claim, fact.at)

    # What is asked at the end

    def bill(self, billed: Mapping[str, int], now: Millis, *, free_first_hour: bool) -> Iterator[str]:
        """See `Audit.bill`."""
        for provider_id in sorted(billed):
            run = self._runs.get(provider_id)
            if billed[provider_id] and (run is None or run.since is None):
                yield f"instance {provider_id} is on the bill and never ran"
        for provider_id, run in self._runs.items():
            if run.since is None or run.rebought:
                continue
            cost, expected = billed.get(provider_id, 0), _cost(run, now, free_first_hour=free_first_hour)
            if cost != expected:
                yield f"instance {provider_id} is billed {cost / NANO} USD, not {expected / NANO}"

    def leaks(self, now: Millis) -> Iterator[str]:
        """See `Audit.leaks`."""
        for provider_id, run in self._runs.items():
            gone = self._unclaimed.get(provider_id)
            if run.ended is None and gone is not None and now - gone > LEFT:
                yield f"instance {provider_id} runs on without its claim {run.claim}"
        for what, provider_id in (*self._objects("NodeClaim"), *self._objects("Node")):
            known = self._runs.get(provider_id)
            if known is not None and known.ended is not None and now - known.ended > LEFT:
                yield f"{what} is there, although instance {provider_id} ended long ago"
        for claim in self._store.all("NodeClaim").values():
            if not claim.status.provider_id and now - millis(claim.metadata.creation_timestamp or "") > LEFT:
                yield f"claim {claim.metadata.name} waits for its instance, although its time is over"

    def _objects(self, kind: str) -> Iterator[tuple[str, str]]:
        """(the object, its instance's provider id)."""
        for name, obj in self._store.all(kind).items():
            found: Node | NodeClaim = obj
            provider_id = found.spec.provider_id if isinstance(found, Node) else found.status.provider_id
            if provider_id:
                yield f"{kind} {name}", provider_id


def _state(run: _Run | None) -> str:
    if run is None:
        return "was never asked for"
    return "has ended" if run.ended is not None else "runs already"


def _cost(run: _Run, now: Millis, *, free_first_hour: bool) -> int:
    """Nano-USD of an instance at the price of its launch: begun seconds count, a minute is the least."""
    since = run.since or 0
    ran = (now if run.ended is None else run.ended) - since
    if free_first_hour and run.why == "spot-reclaim" and ran < HOUR:
        return 0
    return max(-(-ran // SECOND) * SECOND, LEAST) * run.price // HOUR


def shares(billed: Mapping[str, int], divided: Mapping[str, int], total: int) -> Iterator[str]:
    """See `Audit.shares`."""
    for provider_id in sorted(set(billed) | set(divided)):
        cost, part = billed.get(provider_id, 0), divided.get(provider_id, 0)
        if cost != part:
            yield f"of instance {provider_id}, {part / NANO} USD are divided, not {cost / NANO}"
    if sum(billed.values()) != total:
        yield f"the bill is {total / NANO} USD, its instances cost {sum(billed.values()) / NANO}"
