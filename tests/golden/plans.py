"""Plans made by hand, for the tests of what is printed."""

from __future__ import annotations

from fretsaw.engine.plan import Bound, Candidate, Filled, Launch, Plan, Refusal, Unplaced

GI = 1024**3


def launch(
    name: str,
    *pods: str,
    on: str = "g5.xlarge",
    zone: str = "us-east-1a",
    capacity: str = "spot",
    price: float = 0.4,
    on_demand: float | None = 1.0,
    gpus: int = 1,
    asked: int | None = None,
    source: str = "",
    others: tuple[str, ...] = (),
) -> Launch:
    """A node of pool `name` less its number, with one GPU for each pod unless `asked` says otherwise."""
    first = Candidate(on, zone, capacity, price, source)
    return Launch(
        name=name,
        node_pool=name.rpartition("-")[0],
        candidates=(first, *(Candidate(other, zone, capacity, price * 2, source) for other in others)),
        pods=pods,
        requests=(("cpu", 4000 * len(pods)), ("memory", 16 * GI * len(pods))),
        allocatable=(("cpu", 7910), ("memory", 29 * GI)),
        gpus=gpus,
        gpus_requested=len(pods) if asked is None else asked,
        on_demand_usd_per_hour=on_demand,
    )


def unplaced(pod: str, *refusals: tuple[str, str, str]) -> Unplaced:
    """A pending pod with (pool, reason, field) for each refusal."""
    return Unplaced(pod, tuple(Refusal(*refusal) for refusal in refusals))


LIMIT = ("gpu-od", "8 GPUs asked, 4 left of its limit 16", "nodepool/gpu-od spec.limits[nvidia.com/gpu]")
TAINT = "taint nvidia.com/gpu=true:NoSchedule not tolerated"

PLATFORM = Plan(
    launches=(
        *(
            launch(
                f"gpu-inference-{n}",
                f"ml-serving/infer-{n}",
                on="g4dn.2xlarge",
                price=0.2256,
                on_demand=0.752,
                source="modelled",
                others=("g5.2xlarge", "g6.2xlarge"),
            )
            for n in range(5)
        ),
        launch(
            "gpu-training-1",
            *(f"ml-training/job-{n}" for n in range(4)),
            on="g5.12xlarge",
            zone="us-east-1b",
            capacity="on-demand",
            price=5.672,
            on_demand=5.672,
            gpus=4,
        ),
        launch(
            "gpu-tier1-g5-spot-1",
            "default/long-training-job",
            on="g5.12xlarge",
            price=1.7016,
            on_demand=5.672,
            gpus=4,
            asked=4,
            source="modelled",
        ),
        launch(
            "gpu-tier1-g5-spot-2",
            "default/training-job",
            on="g5.2xlarge",
            zone="us-east-1c",
            price=0.3636,
            on_demand=1.212,
            source="modelled",
        ),
        launch(
            "gpu-general-1",
            "default/gpu-debug",
            on="g4ad.xlarge",
            price=0.1136,
            on_demand=0.37853,
            asked=0,
            source="modelled",
        ),
    ),
    filled=(),
    unplaced=(),
    packing="cost",
    pods=12,
    bound=Bound(8.95, "linear programme over 971 patterns"),
    first_fit_usd_per_hour=9.41,
)

MIXED = Plan(
    launches=(
        launch(
            "gpu-od-1",
            "ml/train-0",
            "ml/train-1",
            on="p5.48xlarge",
            capacity="on-demand",
            price=55.04,
            on_demand=55.04,
            gpus=8,
            asked=8,
            source="estimated",
        ),
        launch(
            "general-purpose-with-a-long-name-1", "web/api-0", on="m7g.medium", price=0.0123, on_demand=None, gpus=0
        ),
    ),
    filled=(Filled("node-a", ("ml/infer-1", "ml/infer-0")), Filled("node-b", ("ml/infer-2",))),
    unplaced=(
        *(unplaced(f"ml/wide-{n}", LIMIT, ("general", TAINT, ""), ("spot", TAINT, "")) for n in (10, 9, 0)),
        unplaced("default/lost", ("", "persistentvolumeclaim default/data does not exist", "pod spec.volumes[0]")),
        unplaced("default/no-pool"),
    ),
    packing="first-fit",
    pods=11,
)

EMPTY = Plan(launches=(), filled=(), unplaced=(), packing="cost", pods=0)
