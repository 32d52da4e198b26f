"""Packing for cost: cheaper than first-fit under the same rules, the caps, the cost of a node, and the fallbacks."""

from __future__ import annotations

from typing import Any

from fretsaw.planner import plan_objects
from support import builders as b
from support.kube import ZONE

Obj = dict[str, Any]
CATALOG = b.catalog(b.machine("small", "4", "16Gi", 1.0), b.machine("large", "8", "32Gi", 3.0))
"""Two small machines are cheaper than a large one, which first-fit grows into."""
GPUS = b.catalog(
    b.machine("one", "8", "32Gi", 4.0, nvidia_com__gpu="1"), b.machine("four", "32", "128Gi", 6.0, nvidia_com__gpu="4")
)
ON_DEMAND = b.need("karpenter.sh/capacity-type", "In", "on-demand")


def plan(*objects: Obj, catalog: Obj = CATALOG, packing: str = "cost", **settings: Any) -> Obj:
    return plan_objects(objects, catalog, packing=packing, **settings)


def pods(count: int, cpu: str = "3", **spec: Any) -> list[Obj]:
    return [b.pod(f"p{i}", cpu, **spec) for i in range(count)]


def sizes(answer: Obj) -> list[tuple[str, int]]:
    return sorted((node["instanceType"], len(node["pods"])) for node in answer["nodes"])


def test_two_small_nodes_are_bought_where_they_cost_less() -> None:
    pool = b.pool("main", ON_DEMAND)
    assert sizes(plan(pool, *pods(2), packing="first-fit")) == [("large", 2)]
    answer = plan(pool, *pods(2))
    assert sizes(answer) == [("small", 1), ("small", 1)]
    assert (answer["pricePerHour"], answer["lowerBoundPerHour"], answer["gap"]) == (2.0, 2.0, 0.0)
    assert answer["firstFitPricePerHour"] == 3.0


def test_a_limit_on_nodes_is_not_strained_for_a_lower_price() -> None:
    assert sizes(plan(b.pool("main", ON_DEMAND, limits={"nodes": "1"}), *pods(2))) == [("large", 2)]


def test_a_limit_on_cpu_is_kept_by_the_cheaper_nodes() -> None:
    answer = plan(b.pool("main", ON_DEMAND, limits={"cpu": "8"}), *pods(2))
    assert sizes(answer) == [("small", 1), ("small", 1)]


def test_tied_pods_profit_from_the_thrifty_pass() -> None:
    spread = b.spread(ZONE, "web", when="ScheduleAnyway")
    tied = pods(2, labels={"app": "web"}, topologySpreadConstraints=[spread], nodeSelector={ZONE: "z-a"})
    assert sizes(plan(b.pool("main", ON_DEMAND), *tied)) == [("small", 1), ("small", 1)]


def test_pods_per_node_are_capped() -> None:
    answer = plan(b.pool("main", ON_DEMAND), *pods(4, "100m"), max_pods_per_node=2)
    assert sizes(answer) == [("small", 2), ("small", 2)]


def test_gpus_per_node_are_capped() -> None:
    single = pods(4, "1", requests={"nvidia.com/gpu": "1"})
    assert sizes(plan(b.pool("main", ON_DEMAND), *single, catalog=GPUS)) == [("four", 4)]
    capped = plan(b.pool("main", ON_DEMAND), *single, catalog=GPUS, max_gpus_per_node=2)
    assert all(size <= 2 for _, size in sizes(capped))


def test_the_cost_of_a_node_buys_fewer_nodes_but_never_a_dearer_plan() -> None:
    dear_to_have = plan(b.pool("main", ON_DEMAND), *pods(2), node_cost_nano=5_000_000_000)
    assert sizes(dear_to_have) == [("large", 2)]
    assert dear_to_have["pricePerHour"] <= dear_to_have["firstFitPricePerHour"]


def test_min_values_that_a_cheaper_node_cannot_meet_leave_first_fits_nodes() -> None:
    flexible = {
        "key": "node.kubernetes.io/instance-type",
        "operator": "In",
        "values": ["small", "large"],
        "minValues": 2,
    }
    answer = plan(b.pool("main", flexible, ON_DEMAND), *pods(2))
    assert all(len(node["instanceTypes"]) == 2 for node in answer["nodes"])
    assert answer["scheduled"] == 2


def test_weights_decide_who_opens_a_node_though_another_pool_is_cheaper() -> None:
    heavy = b.pool("heavy", b.need("node.kubernetes.io/instance-type", "In", "large"), ON_DEMAND, weight=10)
    light = b.pool("light", ON_DEMAND, weight=1)
    answer = plan(heavy, light, *pods(1))
    assert [node["nodePool"] for node in answer["nodes"]] == ["heavy"]
    assert answer["lowerBoundInPoolOrderPerHour"] == 3.0
    assert answer["lowerBoundPerHour"] == 1.0


def test_equal_input_gives_equal_bytes() -> None:
    objects = [b.pool("main"), *pods(5), *[b.pod(f"q{i}", "2", labels={"app": "web"}) for i in range(4)]]
    first, second = plan(*objects), plan(*objects)
    assert {**first, "seconds": 0} == {**second, "seconds": 0}
