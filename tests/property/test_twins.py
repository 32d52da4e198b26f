"""The first-fit pass and its plain twin make the same plan of every cluster."""

from __future__ import annotations

import os
from typing import Any

import msgspec
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fretsaw.api.catalog import Catalog
from fretsaw.planner import cluster_of, from_objects, plan_objects
from support import builders as b
from support.clusters import clusters
from support.kube import CAPACITY_TYPE, HOSTNAME, ZONE, Obj
from support.plain_engine import PlainPass

_MORE = int(os.environ.get("FRETSAW_EXAMPLES", "0"))


def bounded(examples: int) -> settings:
    """The same examples each time; FRETSAW_EXAMPLES takes that many fresh ones."""
    return settings(
        max_examples=_MORE or examples,
        derandomize=not _MORE,
        deadline=None,
        database=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )


def fast(objects: list[Obj], catalog: Obj) -> dict[str, Any]:
    """The plan of the engine, cut to what both know."""
    plan = plan_objects(objects, catalog, packing="first-fit")
    return {
        "existing": [(n["name"], n["pods"]) for n in plan["existing"]],
        "nodes": [(n["nodePool"], n["pods"], n["instanceTypes"]) for n in plan["nodes"]],
        "unplaced": sorted(u["pod"] for u in plan["unschedulable"]),
    }


def plain(objects: list[Obj], catalog: Obj) -> dict[str, Any]:
    """The same of the twin."""
    known = PlainPass(cluster_of(from_objects(objects), msgspec.convert(catalog, Catalog)))
    known.run()
    return known.answer()


@bounded(60)
@given(clusters())
def test_clusters_with_a_bit_of_everything(cluster: tuple[list[Obj], Obj]) -> None:
    assert fast(*cluster) == plain(*cluster)


# Few kinds of everything, so that pods meet again and again and ties are common.

_BLUE, _SOFT = b.taint("team", "blue"), b.taint("old", "yes", "PreferNoSchedule")
_KEYS = st.sampled_from((HOSTNAME, ZONE, ZONE, CAPACITY_TYPE, "team"))
_APPS = st.sampled_from(("web", "db"))


def _weighted(body: Obj) -> st.SearchStrategy[Obj]:
    return st.integers(1, 3).map(lambda weight: {"weight": weight, **body})


def _expressions() -> st.SearchStrategy[list[Obj]]:
    return st.lists(
        st.sampled_from(
            (
                b.need(ZONE, "In", "z-a"),
                b.need(ZONE, "NotIn", "z-a"),
                b.need(ZONE, "In", "z-b", "z-c"),
                b.need("team", "In", "red"),
                b.need("team", "NotIn", "red"),
                b.need("team", "Exists"),
                b.need("team", "DoesNotExist"),
                b.need("x.io/size", "Gt", "4"),
                b.need("x.io/size", "Lt", "9"),
                b.need("x.io/disk", "DoesNotExist"),
                b.need("x.io/disk", "In", "fast"),
            )
        ),
        min_size=1,
        max_size=2,
    )


@st.composite
def _affinity(draw: st.DrawFn) -> Obj:
    found: Obj = {}
    for kind in ("podAffinity", "podAntiAffinity"):
        terms = st.lists(st.builds(lambda k, a: b.term(k, app=a), _KEYS, _APPS), max_size=1)
        wished = st.builds(
            lambda k, a, w: {"weight": w, "podAffinityTerm": b.term(k, app=a)}, _KEYS, _APPS, st.integers(1, 2)
        )
        body = {
            "requiredDuringSchedulingIgnoredDuringExecution": draw(terms),
            "preferredDuringSchedulingIgnoredDuringExecution": draw(st.lists(wished, max_size=2)),
        }
        if draw(st.booleans()):
            found[kind] = body
    required = draw(st.lists(_expressions(), max_size=2))
    wished_nodes = draw(
        st.lists(_expressions().map(lambda e: {"weight": 1, "preference": {"matchExpressions": e}}), max_size=2)
    )
    nodes: Obj = {"preferredDuringSchedulingIgnoredDuringExecution": wished_nodes} if wished_nodes else {}
    if required:
        nodes |= b.node_affinity(*required)["nodeAffinity"]
    return {**found, "nodeAffinity": nodes} if nodes else found


@st.composite
def _crowd(draw: st.DrawFn, number: int) -> list[Obj]:
    app = draw(_APPS)
    spec: Obj = {}
    if draw(st.booleans()):
        spec["affinity"] = draw(_affinity())
    spreads = st.builds(
        lambda key, a, skew, when, more: b.spread(key, a, skew, when, **more),
        _KEYS,
        _APPS,
        st.integers(1, 2),
        st.sampled_from(("DoNotSchedule", "ScheduleAnyway")),
        st.sampled_from(({}, {}, {"minDomains": 3}, {"nodeTaintsPolicy": "Honor"}, {"nodeAffinityPolicy": "Ignore"})),
    )
    if draw(st.booleans()):
        rules = draw(st.lists(spreads, max_size=2, unique_by=lambda s: (s["topologyKey"], s["whenUnsatisfiable"])))
        for rule in rules:
            if rule.get("minDomains") and rule["whenUnsatisfiable"] != "DoNotSchedule":
                del rule["minDomains"]
        spec["topologySpreadConstraints"] = rules
    spec["tolerations"] = draw(
        st.sampled_from(((), (), [{"operator": "Exists"}], [{"key": "team", "value": "blue", "effect": "NoSchedule"}]))
    )
    cpu = draw(st.sampled_from(("500m", "1", "1", "3")))
    return [b.pod(f"c{number}-{i}", cpu, "1Gi", labels={"app": app}, **spec) for i in range(draw(st.integers(1, 5)))]


@st.composite
def _market(draw: st.DrawFn) -> Obj:
    machines = []
    for name, cpu, memory, price in (
        ("a", "2", "8Gi", 0.1),
        ("b", "4", "8Gi", 0.2),
        ("c", "8", "16Gi", 0.4),
        ("d", "4", "16Gi", 0.2),
    ):
        labels = {"x.io/size": [cpu], "x.io/family": [draw(st.sampled_from(("f", "g")))]}
        if draw(st.booleans()):
            labels["x.io/disk"] = [draw(st.sampled_from(("fast", "slow")))]
        one = b.machine(name, cpu, memory, price, labels=labels)
        zones = draw(st.lists(st.sampled_from(("z-a", "z-b", "z-c")), min_size=1, max_size=3, unique=True))
        one["offerings"] = [
            b.offering(z, kind, price * part, available=draw(st.integers(0, 6)) > 0)
            for z in zones
            for kind, part in ((b.ON_DEMAND, 1.0), (b.SPOT, 0.4))
        ]
        machines.append(one)
    return b.catalog(*machines)


@st.composite
def _sources(draw: st.DrawFn, number: int) -> Obj:
    needs = draw(
        st.lists(
            st.sampled_from(
                (
                    b.need(ZONE, "In", "z-a", "z-b"),
                    b.need(CAPACITY_TYPE, "In", b.SPOT),
                    b.need("x.io/family", "Exists", minValues=2),
                    b.need("x.io/size", "Gt", "2"),
                    b.need("team", "In", "red", "blue"),
                    b.need("team", "NotIn", "blue"),
                    b.need("team", "Exists"),
                )
            ),
            max_size=2,
            unique_by=lambda n: n["key"],
        )
    )
    own = {} if any(n["key"] == "team" for n in needs) else draw(st.sampled_from(({}, {}, {"team": "red"})))
    spec: Obj = draw(
        st.sampled_from(({}, {}, {"limits": {"cpu": "9"}}, {"limits": {"nodes": "2"}}, {"limits": {"memory": "40Gi"}}))
    )
    weight = draw(st.integers(0, 2))
    taints = draw(st.sampled_from(((), (), [_BLUE], [_SOFT])))
    return b.pool(f"p{number}", *needs, labels=own, taints=taints, **spec, **({"weight": weight} if weight else {}))


@st.composite
def _places(draw: st.DrawFn, number: int) -> list[Obj]:
    labels = draw(st.sampled_from(({}, {}, {"team": "red"}, {"karpenter.sh/capacity-type": b.SPOT})))
    taints = draw(st.sampled_from(((), (), [_BLUE], [_SOFT])))
    host = b.node(
        f"n{number}",
        draw(st.sampled_from(("2", "4"))),
        zone=draw(st.sampled_from(("z-a", "z-d"))),
        labels=labels,
        taints=list(taints),
    )
    spec: Obj = {"affinity": draw(_affinity())} if draw(st.booleans()) else {}
    there = b.running(f"r{number}", f"n{number}", "500m", labels={"app": draw(_APPS)}, **spec)
    if draw(st.integers(0, 4)) == 0:
        there["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    return [host, there]


@st.composite
def crowds(draw: st.DrawFn) -> tuple[list[Obj], Obj]:
    """Pods that have to do with each other, on few pools and nodes."""
    objects = [draw(_sources(i)) for i in range(draw(st.integers(1, 3)))]
    for i in range(draw(st.integers(0, 3))):
        objects += draw(_places(i))
    for i in range(draw(st.integers(1, 5))):
        objects += draw(_crowd(i))
    return objects, draw(_market())


@bounded(150)
@given(crowds())
def test_crowds_of_pods_that_mind_each_other(cluster: tuple[list[Obj], Obj]) -> None:
    assert fast(*cluster) == plain(*cluster)


@st.composite
def herds(draw: st.DrawFn) -> tuple[list[Obj], Obj]:
    """Many small pods on many small nodes: at most one of a kind to a host, and others that fill the gaps."""
    pods = []
    for i in range(draw(st.integers(4, 12))):
        labels = {"app": "shy", "mark": draw(st.sampled_from("xy"))}
        pods.append(
            b.pod(f"shy-{i}", "1", labels=labels, affinity=b.pod_affinity(b.term(HOSTNAME, app="shy"), anti=True))
        )
    for i in range(draw(st.integers(4, 16))):
        spec = draw(
            st.sampled_from(
                (
                    {},
                    {"affinity": b.pod_affinity(b.term(HOSTNAME, mark="x"))},
                    {"nodeSelector": {"x.io/size": "4"}},
                    {"topologySpreadConstraints": [b.spread(HOSTNAME, "filler")]},
                    {"topologySpreadConstraints": [b.spread(ZONE, "filler")]},
                )
            )
        )
        pods.append(
            b.pod(f"fill-{i}", draw(st.sampled_from(("300m", "500m"))), "64Mi", labels={"app": "filler"}, **spec)
        )
    limit = draw(st.sampled_from(({}, {"limits": {"cpu": "20"}})))
    return [b.pool("p0", weight=1, **limit), b.pool("p1"), *pods], draw(_market())


@bounded(40)
@given(herds())
def test_herds_of_small_pods_on_many_nodes(cluster: tuple[list[Obj], Obj]) -> None:
    assert fast(*cluster) == plain(*cluster)
