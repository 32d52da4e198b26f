"""How the virtual EC2 behaves, one docstring each with unit, default and reason.

The defaults are a cloud that never lacks anything and never takes anything back, in which things take as long as they
do; a scenario adds shortages, reclaims, quotas and throttling.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import msgspec

from fretsaw.api.times import HOUR, MINUTE, SECOND, Millis
from fretsaw.providers.fleet.offerings import Selector
from fretsaw.sim.spread import Spread

BAND_SHARES = (0.025, 0.075, 0.125, 0.175, 0.30)
"""Share of a type's spot instances that are interrupted in a month, by the Spot Instance Advisor's bands: the middle of
each; 30 % for the open band above 20 %, which nothing published narrows down."""
QUOTA_CLASSES: Mapping[str, tuple[str, ...]] = {
    "Standard": ("a", "c", "d", "h", "i", "im", "is", "m", "r", "t", "z"),
    "G and VT": ("g", "gr", "vt"),
    "P": ("p",),
    "Inf": ("inf",),
    "Trn": ("trn",),
    "DL": ("dl",),
    "F": ("f",),
    "X": ("x",),
    "High Memory": ("u",),
    "HPC": ("hpc",),
}
"""EC2's vCPU quotas by the letters that their instance types begin with. Source: EC2 User Guide, EC2 quotas."""


class StockRule(msgspec.Struct, frozen=True, kw_only=True):
    """How much there is of the offerings that `where` selects. Of several rules for an offering the last one counts,
    separately for the number and for the process."""

    where: Selector = Selector()
    count: int | None = None
    """Instances that can be had of each offering at once; None: as many as are asked for."""
    available: Millis | None = None
    """Mean time for which there is any, exponentially distributed; None: always."""
    out: Millis | None = None
    """Mean time for which there is none in between."""
    together: Literal["offering", "zone", "all"] = "offering"
    """Who shares one such process: nobody, the selected offerings of one zone, or all of them."""


class Quota(msgspec.Struct, frozen=True, kw_only=True):
    """vCPUs that may run at once of one class and way of buying. Reserved instances do not count here."""

    classes: tuple[str, ...]
    """Names of QUOTA_CLASSES, or letters of types such as `g`."""
    capacity_type: Literal["on-demand", "spot"]
    vcpus: int


class Hazard(msgspec.Struct, frozen=True):
    """Reclaims an hour of one spot instance of `where`; the last rule that matches counts, before the bands."""

    where: Selector
    per_hour: float


class Bursts(msgspec.Struct, frozen=True, kw_only=True):
    """Reclaims that come together: now and then a share of the spot instances of `where` is taken at once."""

    where: Selector = Selector(capacity_type="spot")
    every: Millis
    """Mean time between two, exponentially distributed."""
    share: float
    """Chance of each instance to be among them."""
    out: Millis = 0
    """For how long there is nothing to be had of `where` afterwards."""


class Replay(msgspec.Struct, frozen=True, kw_only=True):
    """Reclaims in the shape of a recorded trace, over and over: its gaps, and each burst's share of the fleet."""

    gaps: tuple[Millis, ...]
    """Time before each burst, from the one before."""
    shares: tuple[float, ...]
    """Share of the running instances that each burst took."""
    where: Selector = Selector(capacity_type="spot")
    mean_gap: Millis | None = None
    """Stretches or squeezes the gaps to this mean: a trace of old hardware has the right shape, not the right rate."""
    out: Millis = 0
    """For how long there is nothing to be had of `where` after a burst."""


class Rebalance(msgspec.Struct, frozen=True, kw_only=True):
    """Recommendations to leave an instance before it is reclaimed."""

    chance: float = 0.5
    """Share of single reclaims that one precedes; EC2 promises none. Bursts come without."""
    lead: Spread = Spread(2 * MINUTE, 5 * MINUTE, 30 * MINUTE)
    """Time before the notice; not before the instance's own beginning."""


class SpotPath(msgspec.Struct, frozen=True, kw_only=True):
    """How spot prices move around the catalog's: from hour to hour, back towards it, never above on-demand."""

    volatility: float = 0.02
    """Standard deviation of an hour's change, relative."""
    reversion: float = 0.03
    """Share of the distance that an hour takes back; with the default volatility two of three hours lie within 8 %
    of the catalog's price."""
    refresh: Millis | None = 12 * HOUR
    """The autoscaler reads prices anew so often (providers.pricing); None: never."""


class PriceStep(msgspec.Struct, frozen=True, kw_only=True):
    """From `at` on the offerings of `where` cost something else; the last step that matches counts."""

    at: Millis
    where: Selector = Selector()
    times: float | None = None
    """The price that they would have is multiplied by this."""
    usd_per_hour: float | None = None
    """Or they cost this."""


class ReservationTerms(msgspec.Struct, frozen=True, kw_only=True):
    """What a capacity reservation of the catalog costs, and how long there is one."""

    id: str
    usd_per_hour: float | None = None
    """Of one instance, used or not; None: the on-demand price of its type."""
    count: int | None = None
    """Instances paid for; None: what the catalog says is left at the start."""
    start: Millis | None = None
    """None: before the run."""
    end: Millis | None = None
    """None: after it. What happens then depends on the reservation's type, see `reservations`."""


class Throttle(msgspec.Struct, frozen=True, kw_only=True):
    """The token bucket of CreateFleet. Source: EC2 Developer Guide, Request throttling for the Amazon EC2 API."""

    burst: int = 50
    """Calls that a full bucket allows at once."""
    per_second: float = 5.0
    """Tokens that come back each second."""
    backoff: Millis = 1 * SECOND
    """First wait after a refused call; doubled each time, with a random part of up to half of it."""
    backoff_max: Millis = 20 * SECOND


class CloudSettings(msgspec.Struct, frozen=True, kw_only=True):
    """All of it."""

    stock: tuple[StockRule, ...] = ()
    quotas: tuple[Quota, ...] = ()
    hazards: tuple[Hazard, ...] = ()
    bands: Mapping[str, int] = {}
    """The Spot Instance Advisor's band by instance type, see `advisor`; types that it lacks are never reclaimed."""
    band_shares: tuple[float, ...] = BAND_SHARES
    bursts: tuple[Bursts, ...] = ()
    replays: tuple[Replay, ...] = ()
    out_after_reclaim: Spread = Spread.fixed(0)
    """For how long an offering has nothing after it reclaimed an instance: who takes capacity back needs it."""
    rebalance: Rebalance | None = Rebalance()
    spot_path: SpotPath | None = SpotPath()
    """None: spot costs what the catalog says, always."""
    price_steps: tuple[PriceStep, ...] = ()
    """Prices that change at given times, on-demand as well as spot; the bill of what runs follows."""
    price_refresh: Millis = 12 * HOUR
    """With price steps and without a path, prices are read anew so often (providers.pricing)."""
    free_first_hour: bool = False
    """Spot instances that EC2 interrupts in their first hour cost nothing (EC2 User Guide, Billing for interrupted
    Spot Instances). Off, since it makes reclaims look like savings."""
    reservations: tuple[ReservationTerms, ...] = ()
    throttle: Throttle | None = None
    """None: calls are never refused."""
    batch_idle: Millis = 35
    """Equal launches go in one call when no further one has come for so long (Karpenter's create_fleet batcher)."""
    batch_max: Millis = 1 * SECOND
    """Or so long after the first."""
    create: Spread = Spread(800, 1500, 4000)
    """CreateFleet, from the call to its answer."""
    pending: Spread = Spread(10 * SECOND, 20 * SECOND, 40 * SECOND)
    """From the answer to the state `running`; the boot comes after."""
    shutting_down: Spread = Spread(15 * SECOND, 40 * SECOND, 120 * SECOND)
    """From the end of the machine until EC2 no longer lists it."""
    price_band: float = 0.10
    """price-capacity-optimized takes the deepest stock among offerings at most so much dearer than the cheapest. EC2
    does not publish its weighing; this is a model of it."""
    unavailable: Millis = 3 * MINUTE
    """How long the provider avoids an offering that EC2 could not fill."""
    interruption_queue: bool = True
    """Whether the autoscaler hears of interruptions (Karpenter's INTERRUPTION_QUEUE)."""
    queue_lag: Spread = Spread.fixed(1 * SECOND)
    """From EC2's event to the autoscaler that reads it."""
    listing: Millis = 2 * MINUTE
    """Time between two listings of all instances."""
    collect_leaked: bool = True
    """Instances that no NodeClaim names are terminated at a listing (instance.garbagecollection)."""
