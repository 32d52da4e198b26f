"""Explanations of placed pods: every pool in its order, and counterfactuals with their price."""

from __future__ import annotations

from typing import Any

import msgspec

from fretsaw import planner
from fretsaw.api.catalog import Catalog
from fretsaw.engine.plan import Explanation


def offering(capacity_type: str, price: float) -> dict[str, Any]:
    return {"zone": "z1", "capacityType": capacity_type, "price": price}


def machine(name: str, cpu: int, on_demand: float, spot: float, gpus: int = 0) -> dict[str, Any]:
    capacity = {"cpu": str(cpu), "memory": "64Gi", "pods": "50", **({"nvidia.com/gpu": str(gpus)} if gpus else {})}
    offers = [offering("on-demand", on_demand), offering("spot", spot)]
    return {"name": name, "capacity": capacity, "labels": {"kubernetes.io/arch": ["amd64"]}, "offerings": offers}


CATALOG = {
    "instanceTypes": [machine("small", 4, 1.0, 0.3), machine("large", 8, 2.0, 0.6), machine("gpu", 8, 3.0, 1.0, 1)]
}


def pool(name: str, weight: int, *requirements: dict[str, Any], taint: bool = False) -> dict[str, Any]:
    spec: dict[str, Any] = {
        "nodeClassRef": {"group": "karpenter.k8s.aws", "kind": "EC2NodeClass", "name": "default"},
        "requirements": list(requirements),
    }
    if taint:
        spec["taints"] = [{"key": "dedicated", "effect": "NoSchedule"}]
    body = {"template": {"spec": spec}, "weight": weight}
    return {"apiVersion": "karpenter.sh/v1", "kind": "NodePool", "metadata": {"name": name}, "spec": body}


def only(key: str, *values: str) -> dict[str, Any]:
    return {"key": key, "operator": "In", "values": list(values)}


def pod(cpu: str) -> dict[str, Any]:
    container = {"name": "c", "image": "i", "resources": {"requests": {"cpu": cpu, "memory": "1Gi"}}}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": {"containers": [container]}}


def explained(*objects: dict[str, Any]) -> Explanation:
    catalog = msgspec.convert(CATALOG, Catalog)
    answer = planner.plan(planner.from_objects(objects), catalog, explain="default/p", packing="first-fit")
    assert answer.explanation is not None
    return answer.explanation


ON_DEMAND = only("karpenter.sh/capacity-type", "on-demand")


def test_pools_are_listed_in_the_order_in_which_they_are_tried() -> None:
    found = explained(pool("a", 10), pool("b", 50, taint=True), pool("c", 20), pod("2"))
    assert [(v.node_pool, v.weight, v.outcome) for v in found.verdicts] == [
        ("b", 50, "refused"),
        ("c", 20, "chosen"),
        ("a", 10, "behind"),
    ]
    assert found.verdicts[0].reason == "taint dedicated:NoSchedule not tolerated"
    assert found.verdicts[0].field == "pod spec.tolerations"


def test_the_runner_up_says_by_how_much_the_first_choice_may_rise() -> None:
    assert explained(pool("a", 1), pod("2")).changes[0] == (
        "large spot in z1 at $0.6/h is the runner-up: it wins once the first choice costs more (+100 %)"
    )


def test_a_cheaper_type_that_lacks_a_little_is_named() -> None:
    found = explained(pool("a", 1), pod("4100m"))
    assert "small spot in z1 at $0.3/h is cheaper and lacks 100m of cpu for the pods of this node" in found.changes


def test_spot_is_named_where_the_pool_rules_it_out() -> None:
    found = explained(pool("a", 1, ON_DEMAND), pod("2"))
    assert (
        "small spot in z1 at $0.3/h is cheaper, but nodepool/a or the pod asks for "
        "karpenter.sh/capacity-type In [on-demand]" in found.changes
    )


def test_a_cheaper_pool_behind_is_named_with_both_weights() -> None:
    found = explained(pool("dear", 9, ON_DEMAND), pool("cheap", 3), pod("2"))
    assert (
        "nodepool/cheap would take it on small spot in z1 at $0.3/h, $0.7/h less, "
        "but its weight 3 puts it behind dear (9)" in found.changes
    )


def test_a_pod_that_waits_has_a_verdict_for_each_pool() -> None:
    found = explained(pool("a", 1), pod("40"))
    assert [(v.node_pool, v.outcome) for v in found.verdicts] == [("a", "refused")]
    assert found.verdicts[0].reason == "asks cpu 40, the most that a fitting type offers is cpu 8"
    assert found.changes == ()


def test_a_pod_that_is_not_waiting_has_no_explanation() -> None:
    answer = planner.plan(planner.from_objects([pool("a", 1)]), msgspec.convert(CATALOG, Catalog), explain="default/p")
    assert answer.explanation is None
