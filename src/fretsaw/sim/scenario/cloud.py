"""What a scenario says of EC2 and of starting nodes."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from msgspec import Meta

from fretsaw.api.times import HOUR, MINUTE, SECOND
from fretsaw.sim.scenario.part import Count, Part, Positive
from fretsaw.sim.scenario.units import Duration, Hazard, Rate, Share, Speed, Spreads, Texts
from fretsaw.sim.spread import Spread

CapacityType = Literal["spot", "on-demand", "reserved"]


class Where(Part, frozen=True, kw_only=True):
    """Offerings: those that every given field matches."""

    types: Texts | None = None
    """Instance types, such as `g5.*`."""
    zones: Texts | None = None
    """Zones, such as us-east-1a."""
    capacity_types: tuple[CapacityType, ...] = ()
    """Capacity types; without it all."""


# Spot


class ReclaimRate(Where, frozen=True, kw_only=True):
    """How often some offerings are reclaimed."""

    rate: Hazard
    """Chance that an instance is reclaimed, such as 5%/h."""


class Burst(Where, frozen=True, kw_only=True):
    """Now and then, many of some spot instances are taken at once."""

    every: Duration
    """Mean time between two."""
    share: Share
    """Chance of each instance to be among them."""
    out: Duration = 0
    """How long there is nothing of these offerings afterwards."""


class Reclaims(Part, frozen=True, kw_only=True):
    """How spot instances are reclaimed."""

    SHORT: ClassVar[str] = "by"
    ONE_OF: ClassVar[tuple[str, ...]] = ("by", "rate", "trace")

    by: Literal["off", "advisor"] | None = None
    """off: never; advisor: as often as the Spot Instance Advisor's range for the type says."""
    rate: Hazard | None = None
    """The same chance for all instances."""
    trace: str = ""
    """A recording of instances added and removed, played again and again; removals hit the running instances."""
    rates: tuple[ReclaimRate, ...] = ()
    """Other rates for some offerings; the last that matches counts."""
    bursts: tuple[Burst, ...] = ()
    """Reclaims that come together."""
    mean_gap: Duration | None = None
    """trace: the recording's gaps are stretched or squeezed to this mean."""
    out: Spreads = Spread(0, 0, 0)
    """How long EC2 has nothing of an offering after it took an instance back."""


class Rebalance(Part, frozen=True, kw_only=True):
    """Rebalance recommendations before reclaims."""

    SHORT: ClassVar[str] = "share"

    share: Share = 0.5
    """How many reclaims are announced by one."""
    before: Spreads = Spread(2 * MINUTE, 5 * MINUTE, 30 * MINUTE)
    """How long before the notice it comes."""


class PriceStep(Where, frozen=True, kw_only=True):
    """From when on some offerings cost something else."""

    at: Duration
    """When."""
    times: Annotated[float, Meta(ge=0, le=1000)] | None = None
    """The catalog's price is multiplied by this."""
    price: Annotated[float, Meta(ge=0, le=10_000)] | None = None
    """Or the price, in USD an hour."""

    ONE_OF: ClassVar[tuple[str, ...]] = ("times", "price")


class Prices(Part, frozen=True, kw_only=True):
    """How spot prices move."""

    SHORT: ClassVar[str] = "path"

    path: Literal["flat", "walk"] = "flat"
    """flat: the catalog's prices; walk: they wander from hour to hour, and back to the catalog's."""
    volatility: Annotated[float, Meta(ge=0, le=1)] = 0.02
    """walk: standard deviation of an hour's change, relative."""
    reversion: Annotated[float, Meta(ge=0, le=1)] = 0.03
    """walk: share of the distance that an hour takes back."""
    refresh: Duration = 12 * HOUR
    """How often the autoscaler reads prices anew."""
    steps: tuple[PriceStep, ...] = ()
    """Prices that change at given times."""


class Spot(Part, frozen=True, kw_only=True):
    """The spot market."""

    reclaims: Reclaims = Reclaims(by="advisor")
    """How instances are taken back."""
    free_first_hour: bool = False
    """Instances that are taken back in their first hour cost nothing."""
    rebalance: Rebalance = Rebalance()
    """Recommendations before it."""
    prices: Prices = Prices()
    """How prices move."""


# Capacity


class OnOff(Part, frozen=True, kw_only=True):
    """Stock that comes and goes at random."""

    available: Duration
    """How long there is some, on average."""
    out: Duration
    """How long there is none, on average."""
    together: Literal["offering", "zone", "all"] = "offering"
    """Who has it at the same time: nobody else, the offerings of one zone, or all of the entry."""


class StockStep(Part, frozen=True, kw_only=True):
    """From when on there are so many."""

    at: Duration
    """When."""
    count: Count
    """Instances that can be launched from then on."""


class Stock(Where, frozen=True, kw_only=True):
    """How many instances EC2 has; the last entry that matches an offering counts, others have no limit."""

    ONE_OF: ClassVar[tuple[str, ...]] = ("count", "onOff", "steps")

    count: Count | None = None
    """How many, those that run included."""
    on_off: OnOff | None = None
    """Sometimes enough, sometimes none."""
    steps: tuple[StockStep, ...] = ()
    """How many, over time."""


class Reservation(Part, frozen=True, kw_only=True):
    """Capacity that is paid for anyway."""

    id: str
    """Such as cr-0123456789abcdef0."""
    type: str
    """Instance type."""
    zone: str
    """Zone."""
    count: Positive
    """Instances."""
    kind: Literal["default", "capacity-block"] = "default"
    """A capacity block ends with all that runs in it."""
    starts: Duration = 0
    """From when."""
    ends: Duration | None = None
    """Until when; without it, beyond the scenario's end."""
    price: Annotated[float, Meta(ge=0, le=10_000)] | None = None
    """USD an hour of one instance, used or not; without it, the on-demand price."""


class Quota(Part, frozen=True, kw_only=True):
    """A vCPU quota of the account."""

    classes: Texts
    """EC2's classes of types that share it, such as `G and VT`, or their letters, such as [g, vt]."""
    capacity_type: Literal["spot", "on-demand"] = "on-demand"
    """Which purchases it counts."""
    vcpus: Count
    """How many vCPUs may run."""


class Throttle(Part, frozen=True, kw_only=True):
    """How many API calls EC2 takes."""

    rate: Rate = 5.0
    """So many fill up again."""
    burst: Positive = 50
    """So many at once."""


class Launching(Part, frozen=True, kw_only=True):
    """How long EC2 takes."""

    answer: Spreads = Spread(800, 1500, 4000)
    """From the call to its answer."""
    runs: Spreads = Spread(10 * SECOND, 20 * SECOND, 40 * SECOND)
    """From the answer to running, when billing starts."""
    ends: Spreads = Spread(15 * SECOND, 40 * SECOND, 120 * SECOND)
    """From the end of the machine until EC2 no longer lists it."""


class Interruptions(Part, frozen=True, kw_only=True):
    """How the autoscaler hears of what EC2 does."""

    queue: bool = True
    """Whether it reads the interruption queue at all."""
    lag: Spreads = Spread(SECOND, SECOND, SECOND)
    """From EC2's event to the autoscaler that reads it."""


class Cloud(Part, frozen=True, kw_only=True):
    """What EC2 is like."""

    spot: Spot = Spot()
    """The spot market."""
    stock: tuple[Stock, ...] = ()
    """How many instances there are."""
    reservations: tuple[Reservation, ...] = ()
    """Capacity that is paid for anyway."""
    quotas: tuple[Quota, ...] = ()
    """vCPU quotas of the account."""
    throttle: Throttle | None = None
    """How many API calls it takes; without it, all."""
    unavailable: Duration = 3 * MINUTE
    """How long the autoscaler avoids an offering that EC2 could not fill."""
    launching: Launching = Launching()
    """How long it takes."""
    interruptions: Interruptions = Interruptions()
    """How the autoscaler hears of what EC2 does."""


# Nodes


class Pull(Part, frozen=True, kw_only=True):
    """How images come to a node."""

    SHORT: ClassVar[str] = "way"

    way: Literal["plain", "soci"] = "plain"
    """soci: containers start before their image is there as a whole."""
    rate: Speed | None = None
    """Compressed bytes a second; without it, as the way usually has."""
    preloaded: tuple[str, ...] = ()
    """Images that are on every node from the start, such as `vllm/*`."""


class StartupTaint(Part, frozen=True, kw_only=True):
    """Who removes a startup taint, and when."""

    key: str
    """The taint's key."""
    after: Spreads | None = None
    """How long after Ready it is removed; without it, never."""


class NodeFailures(Part, frozen=True, kw_only=True):
    """How often nodes do not start well."""

    never_registers: Share = 0.0
    """The node never joins."""
    gpu_never_registers: Share = 0.0
    """The node joins, its GPUs never appear."""
    gpu_missing: Share = 0.0
    """One of its GPUs never appears."""
    xid: Hazard = 0.0
    """Chance that a GPU fails while it runs."""


class Nodes(Part, frozen=True, kw_only=True):
    """What nodes are like while they start; times that are not given are the image's."""

    image: Literal["al2023", "bottlerocket"] = "al2023"
    """The machine image."""
    boot: Spreads | None = None
    """From running to the kubelet's start."""
    join: Spreads | None = None
    """From the kubelet's start to the node object."""
    ready: Spreads | None = None
    """From the node object to Ready."""
    gpu: Spreads | None = None
    """From Ready to the GPUs' appearance."""
    pull: Pull = Pull()
    """How images come to a node."""
    startup_taints: tuple[StartupTaint, ...] = ()
    """Who removes startup taints."""
    fails: NodeFailures = NodeFailures()
    """How often nodes do not start well."""
