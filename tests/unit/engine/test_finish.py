"""The end of a pass: what a launch carries."""

from __future__ import annotations

from typing import Any

import pytest

from fretsaw.planner import plan_objects
from support import builders as b
from support.kube import CAPACITY_TYPE, ZONE

FAMILY = "x.io/family"


def many(count: int) -> dict[str, Any]:
    """Types m000, m001 … each a little dearer than the one before; the last is the only one of family z."""
    machines = [b.machine(f"m{i:03}", "4", "8Gi", 0.1 + i / 1000, labels={FAMILY: ["a"]}) for i in range(count)]
    machines[-1]["labels"][FAMILY] = ["z"]
    return b.catalog(*reversed(machines))


def plan(objects: list[dict[str, Any]], catalog: dict[str, Any], **settings: Any) -> dict[str, Any]:
    return plan_objects(objects, catalog, packing="first-fit", **settings)


def test_sixty_types_are_listed_cheapest_first() -> None:
    (node,) = plan([b.pool(), b.pod("p")], many(70))["nodes"]
    assert node["instanceTypes"] == [f"m{i:03}" for i in range(60)]
    assert (node["instanceType"], node["capacityType"], node["zone"]) == ("m000", "spot", "z-a")


@pytest.mark.parametrize(
    ("types", "most", "placed"),
    [
        pytest.param(9, 9, True, id="all types are kept"),
        pytest.param(9, 8, False, id="the cut takes the second family"),
        pytest.param(601, 600, False, id="so does the real limit"),
        pytest.param(600, 600, True, id="which six hundred types do not reach"),
    ],
)
def test_min_values_have_to_hold_after_the_cut(types: int, most: int, placed: bool) -> None:
    objects = [b.pool("main", b.need(FAMILY, "Exists", minValues=2)), b.pod("p")]
    answer = plan(objects, many(types), max_instance_types=most)
    assert len(answer["nodes"]) == placed
    if not placed:
        (unplaced,) = answer["unschedulable"]
        (why,) = unplaced["reasons"]
        assert why["reason"] == "minValues cannot be met with the number of instance types that a launch may carry"
        assert why["field"] == "nodepool/main spec.template.spec.requirements"


def test_with_best_effort_the_cut_is_made_without_a_word() -> None:
    objects = [b.pool("main", b.need(FAMILY, "Exists", minValues=2)), b.pod("p")]
    (node,) = plan(objects, many(9), max_instance_types=8, best_effort_min_values=True)["nodes"]
    assert len(node["instanceTypes"]) == 8


def test_without_min_values_the_cut_takes_the_dearest() -> None:
    (node,) = plan([b.pool(), b.pod("p")], many(9), max_instance_types=3)["nodes"]
    assert node["instanceTypes"] == ["m000", "m001", "m002"]


def test_nodes_are_named_after_their_pool_in_the_order_of_opening() -> None:
    objects = [b.pool("a"), b.pool("b", taints=[b.taint("x")], weight=9)]
    objects += [
        b.pod(f"p{i}", cpu, tolerations=[{"operator": "Exists"}] if i % 2 else [])
        for i, cpu in enumerate(("3900m", "3800m", "3700m"))
    ]
    nodes = plan(objects, many(1))["nodes"]
    assert [(n["name"], n["pods"]) for n in nodes] == [
        ("a-1", ["default/p0"]),
        ("b-1", ["default/p1"]),
        ("a-2", ["default/p2"]),
    ]


def test_the_price_is_that_of_the_cheapest_type_where_the_node_may_be() -> None:
    need = [b.need(ZONE, "In", "z-b"), b.need(CAPACITY_TYPE, "In", "on-demand")]
    (node,) = plan([b.pool(), b.pod("p", affinity=b.node_affinity(need))], many(3))["nodes"]
    assert (node["zone"], node["capacityType"], node["pricePerHour"]) == ("z-b", "on-demand", 0.1 + 0.002)
