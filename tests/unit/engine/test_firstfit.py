"""The first-fit pass: queue, order of places, limits and retries."""

from __future__ import annotations

from typing import Any

import pytest

from fretsaw.planner import plan_objects
from support import builders as b
from support.kube import CAPACITY_TYPE, HOSTNAME, ZONE

FAMILY = "x.io/family"
CATALOG = b.catalog(
    b.machine("small", "2", "4Gi", 0.1, labels={FAMILY: ["a"]}),
    b.machine("large", "8", "16Gi", 0.4, labels={FAMILY: ["b"]}),
)
Obj = dict[str, Any]


def plan(*objects: Obj, catalog: Obj = CATALOG, **settings: Any) -> Obj:
    return plan_objects(objects, catalog, packing="first-fit", **settings)


def on_nodes(answer: Obj) -> list[str]:
    """The pods of each new node, joined by spaces."""
    return [" ".join(p.removeprefix("default/") for p in n["pods"]) for n in answer["nodes"]]


def _alone(name: str, cpu: str = "1", **spec: Any) -> Obj:
    """A pod that no other like it may share a host with."""
    return b.pod(
        name, cpu, labels={"app": "shy"}, affinity=b.pod_affinity(b.term(HOSTNAME, app="shy"), anti=True), **spec
    )


def test_larger_pods_go_first_by_cpu_then_memory_then_age_then_uid() -> None:
    pods = [
        b.pod("a", "1", "1Gi"),
        b.pod("b", "1", "2Gi"),
        b.pod("c", "2", "1Gi"),
        b.pod("d", "1", "1Gi"),
        b.pod("e", "1", "1Gi"),
    ]
    pods[0]["metadata"] |= {"creationTimestamp": "2026-01-02T00:00:00Z", "uid": "a"}
    pods[3]["metadata"] |= {"creationTimestamp": "2026-01-01T00:00:00Z", "uid": "z"}
    pods[4]["metadata"] |= {"creationTimestamp": "2026-01-02T00:00:00Z", "uid": "Z"}
    assert on_nodes(plan(b.pool(), *pods)) == ["c b d e a"]


def test_devices_do_not_count_for_the_order() -> None:
    catalog = b.catalog(b.machine("gpu", "8", "16Gi", 1.0, nvidia_com__gpu="4"))
    pods = [b.pod("gpu", "1", requests={"nvidia.com/gpu": "4"}), b.pod("cpu", "2")]
    assert on_nodes(plan(b.pool(), *pods, catalog=catalog)) == ["cpu gpu"]


def test_nodes_with_one_pod_go_by_age_and_those_with_more_by_the_last_to_grow() -> None:
    pods = [_alone(f"s{i}", "3") for i in range(3)]
    pods += [b.pod(f"p{i}", "500m") for i in range(5)]
    assert on_nodes(plan(b.pool(), *pods)) == ["s0 p0", "s1 p1 p4", "s2 p2 p3"]


def test_with_many_open_nodes_the_order_is_the_same() -> None:
    """From four nodes of one height on, the pass looks them up in another way."""
    shy = [_alone(f"s{i}", "3") for i in range(6)]
    first = [b.pod(f"a{i}", "900m") for i in range(6)]
    assert on_nodes(plan(b.pool(), *shy, *first, b.pod("late", "800m"))) == [
        "s0 a0", "s1 a1", "s2 a2", "s3 a3", "s4 a4", "s5 a5 late",
    ]  # fmt: skip
    for mark in (shy[1], shy[4]):
        mark["metadata"]["labels"]["mark"] = "yes"
    picky = b.pod("late", "800m", affinity=b.pod_affinity(b.term(HOSTNAME, mark="yes")))
    assert on_nodes(plan(b.pool(), *shy, *first, picky))[1:5] == ["s1 a1", "s2 a2", "s3 a3", "s4 a4 late"]


def test_existing_nodes_come_first_the_initialised_ones_by_name() -> None:
    ready, other, flying = b.node("b-node"), b.node("a-node"), b.claim("a-claim", "main", "small")
    answer = plan(b.pool(), flying, ready, other, *(b.pod(f"p{i}", "3") for i in range(4)))
    assert [(n["name"], n["pods"]) for n in answer["existing"]] == [
        ("a-node", ["default/p0"]),
        ("b-node", ["default/p1"]),
        ("a-claim", ["default/p2"]),
    ]
    assert on_nodes(answer) == ["p3"]


def test_pools_are_tried_by_weight() -> None:
    answer = plan(b.pool("heavy", weight=10), b.pool("light"), b.pod("p"))
    assert [n["nodePool"] for n in answer["nodes"]] == ["heavy"]


def test_spot_pool_falls_back_to_the_next_pool_when_its_limit_is_used_up() -> None:
    pools = [b.pool("spot", b.need(CAPACITY_TYPE, "In", "spot"), weight=10, limits={"cpu": "8"}), b.pool("on-demand")]
    answer = plan(*pools, *(_alone(f"p{i}") for i in range(3)))
    assert [n["nodePool"] for n in answer["nodes"]] == ["spot", "on-demand", "on-demand"]


def test_a_new_node_is_charged_with_the_largest_type_that_it_could_be() -> None:
    answer = plan(b.pool(limits={"cpu": "10"}), *(_alone(f"p{i}") for i in range(3)))
    assert on_nodes(answer) == ["p0", "p1"], (
        "8 of 10 go to the first, the second may only be a small one, then none is left"
    )
    assert answer["nodes"][1]["instanceTypes"] == ["small"]


def test_a_node_that_narrows_gives_nothing_back() -> None:
    pods = [
        _alone("p0"),
        b.pod("small", "500m", nodeSelector={FAMILY: "a"}),
        _alone("p1", "900m"),
        _alone("p2", "900m"),
    ]
    answer = plan(b.pool(limits={"cpu": "11"}), *pods)
    assert on_nodes(answer) == ["p0 small", "p1"]


def test_usage_of_existing_nodes_counts_against_the_limits() -> None:
    used = b.node(
        "n",
        "8",
        labels={"karpenter.sh/nodepool": "main", "node.kubernetes.io/instance-type": "large"},
        providerID="x",
        taints=[b.taint("busy")],
    )
    assert on_nodes(plan(b.pool(limits={"cpu": "9"}), used, b.pod("p"))) == []
    assert on_nodes(plan(b.pool(limits={"cpu": "10"}), used, b.pod("p"))) == ["p"]
    assert on_nodes(plan(b.pool(limits={"nodes": "1"}), used, b.pod("p"))) == []
    assert on_nodes(plan(b.pool(limits={"nodes": "2"}), used, b.pod("p"), _alone("q"))) == ["p q"]


def test_a_node_limit_is_not_charged_within_a_pass() -> None:
    assert len(on_nodes(plan(b.pool(limits={"nodes": "1"}), *(_alone(f"p{i}") for i in range(3))))) == 3


def test_a_pod_that_needs_company_is_tried_again_once_the_company_has_come() -> None:
    needy = b.pod("needy", "2", affinity=b.pod_affinity(b.term(HOSTNAME, app="web")))
    answer = plan(b.pool(), needy, b.pod("web", "1", labels={"app": "web"}))
    assert on_nodes(answer) == ["web needy"]
    assert answer["unschedulable"] == []


def test_two_pods_that_wait_for_each_others_company_in_vain_end_the_pass() -> None:
    one = b.pod("one", labels={"app": "a"}, affinity=b.pod_affinity(b.term(ZONE, app="b")))
    two = b.pod("two", labels={"app": "b"}, affinity=b.pod_affinity(b.term(ZONE, app="a")))
    assert [u["pod"] for u in plan(b.pool(), one, two)["unschedulable"]] == ["default/one", "default/two"]


def test_a_wish_is_given_up_only_by_the_pod_that_cannot_have_it() -> None:
    wish = {"weight": 1, "preference": {"matchExpressions": [b.need(FAMILY, "In", "a")]}}
    spec = {"affinity": {"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [wish]}}}
    answer = plan(b.pool(), b.pod("big", "4", **spec), b.pod("tiny", "1", **spec))
    assert [(n["pods"], n["instanceTypes"]) for n in answer["nodes"]] == [
        (["default/big"], ["large"]),
        (["default/tiny"], ["small"]),
    ]


def test_prefer_no_schedule_taints_are_given_up_last() -> None:
    soft = b.pool("soft", taints=[b.taint("old", "yes", "PreferNoSchedule")], weight=10)
    assert [n["nodePool"] for n in plan(soft, b.pool("plain"), b.pod("p"))["nodes"]] == ["plain"]
    assert [n["nodePool"] for n in plan(soft, b.pod("p"))["nodes"]] == ["soft"]


@pytest.mark.parametrize("count", [3, 6])
def test_pods_spread_over_zones_evenly_with_ties_by_name(count: int) -> None:
    pods = [
        b.pod(f"p{i}", "1", labels={"app": "w"}, topologySpreadConstraints=[b.spread(ZONE, "w")]) for i in range(count)
    ]
    answer = plan(b.pool(), *pods)
    zones = [n["zone"] for n in answer["nodes"] for _ in n["pods"]]
    assert zones.count("z-a") - zones.count("z-b") == count % 2


def test_a_pod_with_host_affinity_to_its_own_kind_starts_a_node_that_the_others_join() -> None:
    pods = [
        b.pod(f"p{i}", "1", labels={"app": "w"}, affinity=b.pod_affinity(b.term(HOSTNAME, app="w"))) for i in range(9)
    ]
    answer = plan(b.pool(), *pods)
    assert [len(n["pods"]) for n in answer["nodes"]] == [7]
    assert len(answer["unschedulable"]) == 2, "a second node would be without company"


def test_min_values_of_a_new_node_may_be_lowered_with_best_effort_only() -> None:
    pool, pod = b.pool("main", b.need(FAMILY, "Exists", minValues=2)), b.pod("p", "4")
    assert on_nodes(plan(pool, pod)) == []
    assert on_nodes(plan(pool, pod, best_effort_min_values=True)) == ["p"]


def test_adding_to_a_node_keeps_min_values_whatever_the_policy() -> None:
    pool, pods = b.pool("main", b.need(FAMILY, "Exists", minValues=2)), [b.pod("a"), b.pod("b")]
    for best_effort in (False, True):
        assert on_nodes(plan(pool, *pods, best_effort_min_values=best_effort)) == ["a", "b"]


def test_a_pods_demand_gives_an_existing_node_no_label() -> None:
    big = b.pod("big", "2", affinity=b.node_affinity([b.need("team", "NotIn", "red")]))
    small = b.pod("small", "1", affinity=b.node_affinity([b.need("team", "In", "blue")]))
    answer = plan(b.pool(), b.node("n"), big, small)
    assert answer["existing"] == [{"name": "n", "pods": ["default/big"]}]
    assert [u["pod"] for u in answer["unschedulable"]] == ["default/small"]
