"""Hypothesis strategies for small clusters with much variety: (objects, catalog)."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from support import builders as b
from support.kube import CAPACITY_TYPE, HOSTNAME, ZONE, Obj

ZONES = ("z-a", "z-b", "z-c")
KINDS = (b.ON_DEMAND, b.SPOT)
GPU = "nvidia.com/gpu"
FAMILY = "x.io/family"
_APPS = ("web", "db", "job")
_TAINT = b.taint(GPU)
_SIZES = (("2", "4Gi", 0.1), ("4", "8Gi", 0.2), ("8", "32Gi", 0.45), ("16", "32Gi", 0.75))


def _some(*values: Any, least: int = 0, most: int | None = None) -> st.SearchStrategy[list[Any]]:
    return st.lists(st.sampled_from(values), min_size=least, max_size=most or len(values), unique=True)


def _maybe(strategy: st.SearchStrategy[Any], odds: int = 4) -> st.SearchStrategy[Any]:
    """None more often than not; one in `odds`."""
    rarely = st.sampled_from((False,) * (odds - 1) + (True,))
    return rarely.flatmap(lambda chosen: strategy if chosen else st.none())


@st.composite
def catalogs(draw: st.DrawFn) -> Obj:
    """Two to six types; zones, capacity types and stock vary."""
    types = []
    for number in range(draw(st.integers(2, 6))):
        cpu, memory, price = draw(st.sampled_from(_SIZES))
        gpus = draw(st.sampled_from((0, 0, 0, 1, 4)))
        family = draw(st.sampled_from(("a", "b", "c")))
        labels = {FAMILY: [family], "kubernetes.io/arch": [draw(st.sampled_from(("amd64", "amd64", "arm64")))]}
        labels |= {"x.io/gpu": ["l4"]} if gpus else {}
        one = b.machine(f"{family}{number}.{cpu}", cpu, memory, price, labels=labels)
        if gpus:
            one["capacity"][GPU] = str(gpus)
        one["offerings"] = draw(_offerings(price + 0.9 * gpus))
        types.append(one)
    return b.catalog(*types)


@st.composite
def _offerings(draw: st.DrawFn, price: float) -> list[Obj]:
    offers = []
    for zone in draw(_some(*ZONES, least=1)):
        for kind in draw(_some(*KINDS, least=1)):
            factor = draw(st.sampled_from((1.0, 1.02, 1.1))) * (0.3 if kind == b.SPOT else 1.0)
            offers.append(
                b.offering(
                    zone, kind, round(price * factor, 5), available=draw(st.sampled_from((True,) * 5 + (False,)))
                )
            )
    return offers


@st.composite
def pools(draw: st.DrawFn, number: int) -> Obj:
    """A pool with some of: weight, taint, labels, limits, requirements, minValues."""
    zones = draw(_maybe(_some(*ZONES, least=1)))
    needs = [b.need(ZONE, "In", *zones)] if zones else []
    if draw(st.integers(0, 3)) == 0:
        needs.append(b.need(CAPACITY_TYPE, "In", draw(st.sampled_from(KINDS))))
    least = draw(_maybe(st.integers(1, 2), 6))
    if least:
        needs.append(b.need(FAMILY, "Exists", minValues=least))
    spec: Obj = {}
    if draw(st.booleans()):
        spec["weight"] = draw(st.integers(1, 3))
    limit = draw(_maybe(st.sampled_from(({"cpu": "8"}, {"cpu": "20"}, {GPU: "2"}, {"memory": "40Gi"}))))
    if limit:
        spec["limits"] = limit
    labels = draw(_maybe(st.sampled_from(({"team": "red"}, {"team": "blue"})), 3))
    taints = draw(_maybe(st.just([_TAINT]), 5)) or ()
    return b.pool(f"pool-{number}", *needs, labels=labels, taints=taints, **spec)


@st.composite
def hosts(draw: st.DrawFn, number: int) -> list[Obj]:
    """A running node with a pod, or a launched claim."""
    zone = draw(st.sampled_from(ZONES))
    if draw(st.integers(0, 3)) == 0:
        return [b.claim(f"flying-{number}", "pool-0", "none", zone=zone)]
    labels = draw(_maybe(st.sampled_from(({"team": "red"}, {"team": "blue"})), 3))
    spec: Obj = {"taints": [_TAINT]} if draw(st.integers(0, 5)) == 0 else {}
    host = b.node(f"node-{number}", draw(st.sampled_from(("2", "4", "8"))), zone=zone, labels=labels, **spec)
    shy = draw(_maybe(st.just({"affinity": b.pod_affinity(b.term(HOSTNAME, app="db"), anti=True)}), 6)) or {}
    app = draw(st.sampled_from(_APPS))
    return [host, b.running(f"bound-{number}", f"node-{number}", "500m", labels={"app": app}, **shy)]


def _affinities(app: str) -> st.SearchStrategy[Obj]:
    key = st.sampled_from((HOSTNAME, ZONE))
    other = st.sampled_from(_APPS)
    zone = _some(*ZONES, least=1, most=2).map(lambda zones: [b.need(ZONE, "In", *zones)])
    family = st.sampled_from(("a", "b", "c")).map(lambda f: [b.need(FAMILY, "NotIn", f)])
    team = st.just([b.need("team", "In", "red")])
    return st.one_of(
        st.builds(lambda k: b.pod_affinity(b.term(k, app=app), anti=True), key),
        st.builds(lambda k, o: b.pod_affinity(b.term(k, app=o), anti=True), key, other),
        st.builds(lambda k, o: b.pod_affinity(b.term(k, app=o)), key, other),
        st.lists(st.one_of(zone, family, team), min_size=1, max_size=3).map(lambda terms: b.node_affinity(*terms)),
        zone.map(
            lambda e: {
                "nodeAffinity": {
                    "preferredDuringSchedulingIgnoredDuringExecution": [
                        {"weight": 1, "preference": {"matchExpressions": e}}
                    ]
                }
            }
        ),
    )


def _spreads(app: str) -> st.SearchStrategy[list[Obj]]:
    when = st.sampled_from(("DoNotSchedule", "DoNotSchedule", "ScheduleAnyway"))
    one = st.builds(
        lambda k, s, w: b.spread(k, app, s, w),
        st.sampled_from((HOSTNAME, ZONE, CAPACITY_TYPE)),
        st.integers(1, 2),
        when,
    )
    return st.lists(
        one, min_size=1, max_size=2, unique_by=lambda rule: (rule["topologyKey"], rule["whenUnsatisfiable"])
    )


@st.composite
def groups(draw: st.DrawFn, number: int) -> list[Obj]:
    """One to six equal pods."""
    app = draw(st.sampled_from(_APPS))
    spec: Obj = {}
    if draw(st.integers(0, 4)) == 0:
        spec["requests"] = {GPU: draw(st.sampled_from(("1", "2")))}
    if "requests" in spec or draw(st.integers(0, 2)) == 0:
        spec["tolerations"] = [{"key": GPU, "operator": "Exists"}]
    optional = {
        "nodeSelector": _maybe(
            st.sampled_from(({ZONE: "z-a"}, {"kubernetes.io/arch": "arm64"}, {"team": "red"}, {CAPACITY_TYPE: "spot"})),
            5,
        ),
        "affinity": _maybe(_affinities(app)),
        "topologySpreadConstraints": _maybe(_spreads(app)),
        "volumes": _maybe(st.just([{"name": "v", "persistentVolumeClaim": {"claimName": "data"}}]), 5),
        "container": _maybe(st.just({"ports": [{"containerPort": 80, "hostPort": 8080}]}), 8),
    }
    spec |= {key: value for key, strategy in optional.items() if (value := draw(strategy)) is not None}
    cpu, memory = (
        draw(st.sampled_from(("100m", "500m", "1", "1500m", "3"))),
        draw(st.sampled_from(("64Mi", "1Gi", "3Gi"))),
    )
    count = draw(st.integers(1, 6))
    return [b.pod(f"g{number}-{i}", cpu, memory, labels={"app": app}, **spec) for i in range(count)]


def _storage(zone: str) -> list[Obj]:
    topology = [{"matchLabelExpressions": [{"key": ZONE, "values": [zone]}]}]
    storage = {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": {"name": "disk"},
        "provisioner": "ebs.csi.aws.com",
    }
    claim = {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "data", "namespace": "default"}}
    return [
        {**storage, "volumeBindingMode": "WaitForFirstConsumer", "allowedTopologies": topology},
        {
            **claim,
            "spec": {"storageClassName": "disk", "accessModes": ["ReadWriteMany"]},
            "status": {"phase": "Pending"},
        },
    ]


@st.composite
def clusters(draw: st.DrawFn) -> tuple[list[Obj], Obj]:
    """A cluster with pending pods, and the catalog that it can buy from."""
    objects = [draw(pools(number)) for number in range(draw(st.integers(1, 3)))]
    for number in range(draw(st.integers(0, 2))):
        objects += draw(hosts(number))
    if draw(st.integers(0, 2)) == 0:
        objects.append(b.daemon("agent", draw(st.sampled_from(("100m", "500m"))), tolerations=[{"operator": "Exists"}]))
    objects += _storage(draw(st.sampled_from(ZONES)))
    for number in range(draw(st.integers(1, 5))):
        objects += draw(groups(number))
    return objects, draw(catalogs())
