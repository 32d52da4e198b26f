"""The bound is below the price of every plan, found by trying all of them on tiny clusters."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fretsaw.api.catalog import Catalog
from fretsaw.engine.plan import Plan
from fretsaw.engine.schedule import schedule
from fretsaw.planner import cluster_of, from_objects, plan_objects
from support import builders as b
from support.kube import CAPACITY_TYPE, HOSTNAME, ZONE

_EPS = 1e-6
SIZES = {"s": (2000, 0.1), "m": (4000, 0.17), "l": (8000, 0.4)}
"""Types by name: millicores before the 100m that the machine takes, and the on-demand price in z-a."""
_PODS = {"tiny": 400, "third": 1200, "half": 1900, "most": 3000, "huge": 6000}
_NODE = 2000
"""Millicores of a node that exists."""


def _cluster(pods: list[dict[str, Any]], pools: list[dict[str, Any]], nodes: int) -> list[dict[str, Any]]:
    objects = [b.node(f"n{i}", f"{_NODE}m", "64Gi") for i in range(nodes)]
    for one in pools:
        needs = [
            b.need(CAPACITY_TYPE, "In", one["kind"]),
            b.need("node.kubernetes.io/instance-type", "In", *one["types"]),
        ]
        objects.append(
            b.pool(one["name"], *needs, taints=one["taints"], **({"weight": one["weight"]} if one["weight"] else {}))
        )
    for i, one in enumerate(pods):
        spec: dict[str, Any] = {"tolerations": [{"operator": "Exists"}]} if one["tolerant"] else {}
        if one["shy"]:
            spec["affinity"] = b.pod_affinity(b.term(HOSTNAME, app="shy"), anti=True)
        if one["zone"]:
            spec["nodeSelector"] = {ZONE: one["zone"]}
        objects.append(
            b.pod(f"p{i}", f"{_PODS[one['size']]}m", "64Mi", labels={"app": "shy" if one["shy"] else "plain"}, **spec)
        )
    return objects


CATALOG = b.catalog(*(b.machine(name, f"{cpu}m", "64Gi", price) for name, (cpu, price) in SIZES.items()))


def _planned(objects: list[dict[str, Any]]) -> Plan:
    return schedule(cluster_of(from_objects(objects), msgspec.convert(CATALOG, Catalog)))


def _price(name: str, kind: str, zones: set[str]) -> float:
    return min(
        o["price"]
        for t in CATALOG["instanceTypes"]
        if t["name"] == name
        for o in t["offerings"]
        if o["capacityType"] == kind and o["zone"] in zones
    )


def _node_price(pods: list[dict[str, Any]], pool: dict[str, Any]) -> float:
    """The cheapest node of one pool for these pods together; infinite where there is none."""
    zones = {"z-a", "z-b"}
    for one in pods:
        zones &= {one["zone"]} if one["zone"] else zones
    together = sum(_PODS[p["size"]] for p in pods)
    if not zones or sum(p["shy"] for p in pods) > 1 or (pool["taints"] and not all(p["tolerant"] for p in pods)):
        return math.inf
    prices = [_price(name, pool["kind"], zones) for name in pool["types"] if together <= SIZES[name][0] - 100]
    return min(prices, default=math.inf)


def _opened(pods: list[dict[str, Any]], pools: list[dict[str, Any]]) -> float:
    """The cheapest new node: of a pool that is the first to take one of the pods alone."""
    order = sorted(sorted(pools, key=lambda p: p["name"], reverse=True), key=lambda p: -p["weight"])
    first = {next((p["name"] for p in order if _node_price([one], p) < math.inf), "") for one in pods}
    return min((_node_price(pods, p) for p in pools if p["name"] in first), default=math.inf)


def _fits_for_nothing(pods: list[dict[str, Any]]) -> bool:
    return (
        sum(_PODS[p["size"]] for p in pods) <= _NODE
        and sum(p["shy"] for p in pods) <= 1
        and all(p["zone"] in ("", "z-a") for p in pods)
    )


def _partitions(items: list[int]) -> Iterator[list[list[int]]]:
    if not items:
        yield []
        return
    for rest in _partitions(items[1:]):
        yield [[items[0]], *rest]
        for i, block in enumerate(rest):
            yield [*rest[:i], [items[0], *block], *rest[i + 1 :]]


def _optimum(pods: list[dict[str, Any]], pools: list[dict[str, Any]], nodes: int) -> float:
    """The cheapest plan of all: every way to share out the pods, with the dearest sets that fit on the nodes for free."""
    best = math.inf
    for blocks in _partitions(list(range(len(pods)))):
        groups = [[pods[i] for i in block] for block in blocks]
        costs = [_opened(group, pools) for group in groups]
        spared = sorted((c for c, g in zip(costs, groups, strict=True) if _fits_for_nothing(g)), reverse=True)[:nodes]
        paid = list(costs)
        for cost in spared:
            paid.remove(cost)
        best = min(best, sum(paid))
    return best


_pod = st.fixed_dictionaries(
    {
        "size": st.sampled_from(sorted(_PODS)),
        "shy": st.sampled_from((False, False, True)),
        "tolerant": st.booleans(),
        "zone": st.sampled_from(("", "", "z-a", "z-b")),
    }
)
_pool = st.fixed_dictionaries(
    {
        "kind": st.sampled_from((b.ON_DEMAND, b.ON_DEMAND, b.SPOT)),
        "types": st.lists(st.sampled_from(sorted(SIZES)), min_size=1, max_size=3, unique=True),
        "taints": st.sampled_from(((), (), (b.taint("own"),))),
        "weight": st.integers(0, 2),
    }
)


@settings(max_examples=60, derandomize=True, deadline=None, database=None)
@given(st.lists(_pod, min_size=1, max_size=5), st.lists(_pool, min_size=1, max_size=3), st.integers(0, 2))
def test_no_plan_is_cheaper_than_the_bound(pods: list[dict[str, Any]], pools: list[dict[str, Any]], nodes: int) -> None:
    pools = [{**pool, "name": f"pool-{i}"} for i, pool in enumerate(pools)]
    plan = _planned(_cluster(pods, pools, nodes))
    waiting = {u.pod for u in plan.unplaced}
    placed = [pod for i, pod in enumerate(pods) if f"default/p{i}" not in waiting]
    optimum = _optimum(placed, pools, nodes)
    assert plan.bound is not None
    assert plan.bound.usd_per_hour <= plan.bound.tightest <= optimum + _EPS
    assert plan.usd_per_hour >= optimum - _EPS, "the enumeration has missed a plan"


@pytest.mark.parametrize(
    ("sizes", "nodes", "bound"),
    [
        pytest.param(["half"] * 4, 0, 0.34, id="two nodes of the cheaper size for four pods"),
        pytest.param(["half"], 0, 0.1, id="one pod, the smallest node"),
        pytest.param(["half"] * 3, 2, 0.1, id="room that is there is free"),
        pytest.param(["half"] * 2, 2, 0.0, id="and may be enough"),
        pytest.param(["huge"], 2, 0.4, id="but not for what does not fit there"),
    ],
)
def test_the_bound_is_the_optimum_where_it_is_known(sizes: list[str], nodes: int, bound: float) -> None:
    pods = [{"size": s, "shy": False, "tolerant": False, "zone": ""} for s in sizes]
    pools = [{"name": "main", "kind": b.ON_DEMAND, "types": list(SIZES), "taints": (), "weight": 0}]
    plan = plan_objects(_cluster(pods, pools, nodes), CATALOG)
    assert plan["lowerBoundPerHour"] == pytest.approx(bound, abs=_EPS)
    assert plan["pricePerHour"] == pytest.approx(bound, abs=_EPS)


def test_pods_that_shun_each_other_need_a_node_each() -> None:
    pods = [{"size": "tiny", "shy": True, "tolerant": False, "zone": ""}] * 3
    pools = [{"name": "main", "kind": b.ON_DEMAND, "types": list(SIZES), "taints": (), "weight": 0}]
    plan = plan_objects(_cluster(pods, pools, 0), CATALOG)
    assert plan["lowerBoundPerHour"] == pytest.approx(0.3, abs=_EPS)


def test_a_pool_with_a_limit_may_be_passed_over() -> None:
    """The second pod falls back to the cheaper pool behind, so the bound may not charge both for the first pool."""
    large = b.need("node.kubernetes.io/instance-type", "In", "l")
    pools = [
        b.pool("heavy", large, b.need(CAPACITY_TYPE, "In", b.ON_DEMAND), weight=9, limits={"cpu": "8"}),
        b.pool("light", large, b.need(CAPACITY_TYPE, "In", b.SPOT)),
    ]
    plan = _planned([*pools, *(b.pod(f"p{i}", "6", "64Mi") for i in range(2))])
    assert sorted(launch.node_pool for launch in plan.launches) == ["heavy", "light"]
    assert plan.usd_per_hour == pytest.approx(0.52, abs=1e-5)
    assert plan.bound is not None
    assert plan.bound.usd_per_hour <= plan.bound.tightest <= plan.usd_per_hour + _EPS
