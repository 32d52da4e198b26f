"""What a scenario file says, field by field: the cluster, the work in it, the cloud, the faults, what is expected.

The YAML names are the attributes' in camelCase, without the underscore that keeps `for` from being a Python word. The
text below a field is what an editor shows for it. Times without a date count from the scenario's start.
"""

# ruff: noqa: RUF012 (msgspec copies an empty default for every object)

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from msgspec import Meta

from fretsaw.api.times import DAY, SECOND, millis
from fretsaw.engine.options import Options
from fretsaw.sim.scenario.cloud import Cloud, Nodes
from fretsaw.sim.scenario.faults import Fault
from fretsaw.sim.scenario.part import Part, Positive
from fretsaw.sim.scenario.units import (
    AnyObject,
    Clock,
    Cron,
    Duration,
    Rate,
    Share,
    Size,
    Spreads,
    Texts,
    Time,
)
from fretsaw.sim.spread import Spread

# The cluster


class Cluster(Part, frozen=True, kw_only=True):
    """What stands in the cluster when the scenario starts, and how the autoscaler is set."""

    manifests: tuple[str, ...] = ()
    """Files and folders of manifests; paths begin at the scenario's own folder."""
    objects: tuple[AnyObject, ...] = ()
    """Kubernetes objects written out here."""
    catalog: str = ""
    """A catalog file; without one the shipped catalog of the region."""
    region: str = "us-east-1"
    """The region of the shipped catalog."""
    settings: Options = Options()
    """Settings of the autoscaler, such as `packing: first-fit` or `spotToSpot: true`."""


# How pods behave


class Starts(Part, frozen=True, kw_only=True):
    """What a pod needs before it works."""

    image: Size | None = None
    """Compressed size of its image, which a node pulls the first time."""
    loads: Spreads = Spread(0, 0, 0)
    """From the containers' start until it is ready: weights, engine start; probes come on top."""


class Step(Part, frozen=True, kw_only=True):
    """From when on a load has a rate."""

    at: Duration
    """From the start; with `repeat`, from the start of each round."""
    rate: Rate
    """Requests, such as 20/s."""


class Surge(Part, frozen=True, kw_only=True):
    """A time with more load than the profile has, or less."""

    at: Duration
    """When it begins."""
    for_: Duration
    """How long it lasts."""
    times: Annotated[float, Meta(ge=0, le=1000)]
    """The profile's rate is multiplied by this."""


class LoadTrace(Part, frozen=True, kw_only=True):
    """Requests as they were recorded."""

    SHORT: ClassVar[str] = "file"

    file: str
    """The recorded requests; the path begins at the scenario's own folder."""
    format: Literal["azure-llm", "mooncake", "helios"] = "azure-llm"
    """What made the recording. helios: GPUs in demand, minute by minute."""
    counts: Literal["requests", "input-tokens", "output-tokens", "tokens"] = "requests"
    """What the rate counts; capacity then has the same unit."""
    speed: Annotated[float, Meta(gt=0, le=100_000)] = 1.0
    """How much faster than recorded it is played."""
    times: Annotated[float, Meta(ge=0, le=1_000_000)] = 1.0
    """The recorded rate is multiplied by this."""
    repeat: bool = True
    """Begin again at the end; otherwise the load is then 0."""


class Load(Part, frozen=True, kw_only=True):
    """How many requests come, over time."""

    SHORT: ClassVar[str] = "rate"

    profile: Literal["constant", "day-night", "steps", "trace"] | None = None
    """Its shape; where it is missing, the other fields tell."""
    rate: Rate | None = None
    """constant: the rate."""
    low: Rate | None = None
    """day-night: the rate twelve hours from the peak."""
    high: Rate | None = None
    """day-night: the rate at the peak."""
    peak: Clock = 14 * 3600 * SECOND
    """day-night: when the day is busiest, UTC."""
    weekend: Annotated[float, Meta(ge=0, le=100)] = 1.0
    """day-night: rates of Saturday and Sunday are multiplied by this."""
    steps: tuple[Step, ...] = ()
    """steps: rates from some time on, in order."""
    repeat: Duration | None = None
    """steps: begin again after so long."""
    trace: LoadTrace | None = None
    """trace: recorded requests."""
    surges: tuple[Surge, ...] = ()
    """Times with more or less load, on top of any profile."""

    @property
    def shape(self) -> str:
        """The profile, told from the other fields where it is not given."""
        if self.profile is not None:
            return self.profile
        if self.trace is not None:
            return "trace"
        return "steps" if self.steps else "day-night" if self.low is not None or self.high is not None else "constant"


class Serves(Part, frozen=True, kw_only=True):
    """A service: requests spread over its ready pods. Queues are not modelled."""

    capacity: Rate
    """Requests that one pod can bear; its GPUs are then fully used."""
    load: Load
    """Requests for all its pods together."""
    metric: str = "gpu_utilization"
    """The name under which its pods' use, 0 to 100, is served to the HPA."""
    external: str = ""
    """The name under which the whole load, in requests a second, is served as an external metric; empty: not."""


class Behaves(Part, frozen=True, kw_only=True):
    """How the pods of some workloads behave. The first entry that names a workload counts."""

    KEY: ClassVar[str] = "for"

    for_: Texts
    """Workloads as kind/namespace/name, such as `job/ml-training/*`."""
    starts: Starts = Starts()
    """What its pods need before they work."""
    serves: Serves | None = None
    """A service, and its load."""
    runs: Spreads | None = None
    """Time of work until a pod ends well; without it, pods run until they are deleted."""
    checkpoint: Duration | None = None
    """Progress is saved so often; without it, an interrupted pod begins anew."""
    restart: Duration = 0
    """Extra time before work goes on from a checkpoint."""
    fails: Share = 0.0
    """Chance that a run ends badly, at a random point of its work."""
    exit_code: Annotated[int, Meta(ge=1, le=255)] = 1
    """Exit code of a run that ends badly."""
    gpu_use: Share = 1.0
    """Share of its GPUs that a pod keeps busy while it works."""
    gpu_memory: Size | None = None
    """What a pod needs on each of its GPUs; it crashes while it loads where a GPU has less."""
    cpu_use: Share = 0.5
    """Share of its CPU request that a pod uses while it works; a service's at full load."""
    stops: Duration = 1 * SECOND
    """From the signal to the end when a pod is deleted; its grace cuts it short."""


# Work that comes


class Arrivals(Part, frozen=True, kw_only=True):
    """When something comes."""

    ONE_OF: ClassVar[tuple[str, ...]] = ("every", "poisson", "at")

    every: Cron | None = None
    """On a cron schedule, UTC."""
    poisson: Rate | None = None
    """At random, so often on average."""
    at: tuple[Duration, ...] = ()
    """At these times after the start."""
    from_: Duration = 0
    """Not before."""
    until: Duration | None = None
    """Not after."""
    limit: Positive | None = None
    """No more than so many times."""


class Arrives(Part, frozen=True, kw_only=True):
    """Objects that are made while the scenario runs. Each gets the name of its model and a number."""

    KEY: ClassVar[str] = "arrivals"
    ONE_OF: ClassVar[tuple[str, ...]] = ("make", "like")

    arrivals: Arrivals
    """When."""
    make: AnyObject | None = None
    """The object, as in a manifest."""
    like: str = ""
    """Or a workload of the manifests to copy, as kind/namespace/name."""
    count: Positive = 1
    """How many each time."""
    stays: Spreads | None = None
    """The object is deleted so long after it was made; without it, it stays."""


class TraceSource(Part, frozen=True, kw_only=True):
    """Work as it was recorded in a real cluster."""

    format: Literal["openb", "philly", "helios"]
    """openb: pods (Alibaba 2023); philly: gangs (Microsoft, as prepared for Gavel); helios: GPUs in demand by the
    minute (SenseTime 2020), as jobs of one GPU."""
    file: str
    """The recording; the path begins at the scenario's own folder."""
    speed: Annotated[float, Meta(gt=0, le=100_000)] = 1.0
    """How much faster than recorded it is played; times of work shrink too."""
    start: Duration | None = None
    """The recording's time that is the scenario's start. Without it: its beginning; of openb, the end of the last
    silence of over a day, since all but a few of its pods come after it."""
    sort: bool = False
    """openb and philly: put the rows in the order of their times first, which re-sampled recordings need."""
    limit: Positive | None = None
    """No more than so many jobs or pods."""
    namespace: str = "default"
    """Where they are made."""
    as_: Literal["pod", "job"] | None = None
    """What is made. A Job makes a new pod when one is lost. Without it: pods of openb, else jobs."""
    gpu_types: dict[str, str] = {}
    """openb: the value of label `karpenter.k8s.aws/instance-gpu-name` for a GPU model, such as `T4: t4`; constraints
    to models that are not listed are dropped."""
    gpu_share: str = ""
    """openb: the resource that stands for 1/100 of a GPU, for pods that ask for a part; without it they get a whole."""
    runs: Spreads | None = None
    """philly: time of work of a job of its model's middle size; others in proportion to their steps. 1h without it."""
    cpu: Annotated[int, Meta(ge=1, le=1000)] = 4
    """philly and helios: CPUs a GPU, which the recordings do not tell."""
    memory: str = "16Gi"
    """philly and helios: memory a GPU."""
    node_selector: dict[str, str] = {}
    """The pods' node selector."""


class Replays(Part, frozen=True, kw_only=True):
    """Recorded work that is made while the scenario runs."""

    KEY: ClassVar[str] = "trace"

    trace: TraceSource
    """Where it comes from."""


Work = Behaves | Arrives | Replays


class Scenario(Part, frozen=True, kw_only=True):
    """A scenario: what is there, what happens, and what should come of it."""

    scenario: Annotated[str, Meta(min_length=1, max_length=100)]
    """Its name."""
    why: str = ""
    """What it is for, in free text."""
    start: Time = millis("2026-01-05T00:00:00Z")
    """When it begins; a Monday, unless it says otherwise."""
    for_: Duration = 7 * DAY
    """How long it runs."""
    seed: Annotated[int, Meta(ge=0, le=2**53)] = 1
    """The seed of all chance."""
    cluster: Cluster
    """What stands in the cluster."""
    work: tuple[Work, ...] = ()
    """How pods behave, and what work comes."""
    cloud: Cloud = Cloud()
    """What EC2 is like."""
    nodes: Nodes = Nodes()
    """What nodes are like while they start."""
    faults: tuple[Fault, ...] = ()
    """What goes wrong, and what operators do."""
    expect: tuple[str, ...] = ()
    """What should be true of the run; see the documentation for the sentences that are understood."""
