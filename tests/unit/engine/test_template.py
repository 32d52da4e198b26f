"""Pools as sources of nodes: requirements, the room that daemon pods leave, minValues, and which pools are usable."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from fretsaw.api.catalog import Catalog
from fretsaw.api.nodepool import NodePool
from fretsaw.api.pod import Pod
from fretsaw.api.workload import DaemonSet
from fretsaw.engine.ports import HostPort
from fretsaw.engine.requirement import Requirement
from fretsaw.engine.requirements import Requirements
from fretsaw.engine.settings import Settings
from fretsaw.engine.template import Daemon, Template, any_prefers, min_values_unmet, templates, with_lowered_min_values
from fretsaw.engine.universe import Universe, bits
from support import builders as b
from support.kube import ZONE

FAMILY = "x.io/family"
UNIVERSE = Universe(
    msgspec.convert(
        b.catalog(
            b.machine("small", "2", "4Gi", 0.1, labels={FAMILY: ["a"]}),
            b.machine("large", "8", "16Gi", 0.4, labels={FAMILY: ["b"]}),
            b.machine("gpu", "8", "16Gi", 1.0, labels={FAMILY: ["b"], "x.io/gpu": ["l4"]}, nvidia_com__gpu="1"),
        ),
        Catalog,
    )
)


def pool(*needs: dict[str, Any], name: str = "main", **spec: Any) -> NodePool:
    return msgspec.convert(b.pool(name, *needs, **spec), NodePool)


def daemon(cpu: str = "500m", *, name: str = "agent", pods: tuple[dict[str, Any], ...] = (), **spec: Any) -> Daemon:
    raw = b.daemon(name, cpu, **spec)
    return Daemon.of(msgspec.convert(raw, DaemonSet), [msgspec.convert(p, Pod) for p in pods])


def made(*daemons: Daemon, needs: tuple[dict[str, Any], ...] = (), **spec: Any) -> Template:
    return Template(pool(*needs, **spec), UNIVERSE, daemons)


def names(types: int) -> list[str]:
    return [UNIVERSE.names[t] for t in bits(types)]


def cpu_taken(template: Template) -> dict[str, int]:
    return {name: template.overhead(t).get("cpu", 0) for t, name in enumerate(UNIVERSE.names)}


def test_a_pools_requirements_include_its_labels_its_name_and_its_class() -> None:
    template = made(needs=(b.need(ZONE, "In", "z-a"),), labels={"team": "red", "beta.kubernetes.io/arch": "amd64"})
    assert template.requirements.texts() == (
        "karpenter.k8s.aws/ec2nodeclass In [default]",
        "karpenter.sh/nodepool In [main]",
        "kubernetes.io/arch In [amd64]",
        "team In [red]",
        f"{ZONE} In [z-a]",
    )


@pytest.mark.parametrize(
    ("spec", "taken"),
    [
        pytest.param({}, [500, 500, 500], id="every node gets one"),
        pytest.param({"nodeSelector": {FAMILY: "b"}}, [0, 500, 500], id="on the types that it selects"),
        pytest.param({"nodeSelector": {"x.io/gpu": "l4"}}, [0, 0, 500], id="by a label that only some carry"),
        pytest.param({"nodeSelector": {"team": "blue"}}, [0, 0, 0], id="none in a pool without the label"),
        pytest.param({"affinity": b.node_affinity([b.need(FAMILY, "In", "a")], [b.need("x.io/gpu", "Exists")])}, [500, 0, 500], id="any term will do, for each type anew"),
        pytest.param({"nodeSelector": {ZONE: "z-b"}}, [500, 500, 500], id="a zone that a node may still get"),
        pytest.param({"nodeSelector": {"karpenter.sh/initialized": "true"}}, [500, 500, 500], id="a label that every node will have"),
        pytest.param({"resourceClaims": [{"name": "gpu", "resourceClaimName": "c"}]}, [0, 0, 0], id="device claims are left out"),
    ],
)  # fmt: skip
def test_the_room_that_a_daemon_pod_takes(spec: dict[str, Any], taken: list[int]) -> None:
    template = made(daemon(**spec))
    assert list(cpu_taken(template).values()) == taken
    for t, amount in enumerate(taken):
        room = UNIVERSE.allocatable[t]["cpu"] - amount
        assert template.room.holding("cpu", room) >> t & 1
        assert not template.room.holding("cpu", room + 1) >> t & 1


def test_daemon_pods_add_up() -> None:
    assert cpu_taken(made(daemon("500m"), daemon("250m", name="other", nodeSelector={FAMILY: "a"})))["small"] == 750


def test_a_type_that_daemon_pods_fill_is_no_type_of_the_pool() -> None:
    assert names(made(daemon("3")).types) == ["large", "gpu"]


@pytest.mark.parametrize(
    ("taint", "tolerations", "taken"),
    [
        pytest.param(b.taint("team"), [], 0, id="not tolerated"),
        pytest.param(b.taint("team"), [{"operator": "Exists"}], 500, id="tolerated"),
        pytest.param(b.taint("team", effect="PreferNoSchedule"), [], 500, id="daemon pods do not respect preferences"),
    ],
)
def test_a_daemon_pod_lands_where_it_tolerates_the_taints(
    taint: dict[str, Any], tolerations: list[Any], taken: int
) -> None:
    assert cpu_taken(made(daemon(tolerations=tolerations), taints=[taint]))["small"] == taken


def test_startup_taints_keep_no_daemon_pod_away() -> None:
    raw = b.pool()
    raw["spec"]["template"]["spec"]["startupTaints"] = [b.taint("driver")]
    assert cpu_taken(Template(msgspec.convert(raw, NodePool), UNIVERSE, [daemon()]))["small"] == 500


def _daemon_pod(name: str, cpu: str, born: str, owner: str = "agent") -> dict[str, Any]:
    one = b.running(
        name, "n", cpu, namespace="kube-system", affinity=b.node_affinity([b.need("metadata.name", "In", "n")])
    )
    one["metadata"] |= {"creationTimestamp": born, "ownerReferences": [{"kind": "DaemonSet", "name": owner}]}
    return one


def test_the_newest_running_pod_tells_the_requests_and_the_set_tells_the_affinity() -> None:
    pods = (
        _daemon_pod("old", "2", "2026-01-01T00:00:00Z"),
        _daemon_pod("new", "1", "2026-02-01T00:00:00Z"),
        _daemon_pod("stranger", "3", "2026-03-01T00:00:00Z", owner="other"),
    )
    template = made(daemon("100m", pods=pods, affinity=b.node_affinity([b.need(FAMILY, "In", "b")])))
    assert cpu_taken(template) == {"small": 0, "large": 1000, "gpu": 1000}


def test_a_daemon_pods_host_port_is_taken_where_it_lands() -> None:
    raw = b.daemon("agent", nodeSelector={FAMILY: "a"})
    raw["spec"]["template"]["spec"]["containers"][0]["ports"] = [{"containerPort": 9100, "hostPort": 9100}]
    template = made(Daemon.of(msgspec.convert(raw, DaemonSet), []))
    assert names(template.port_blocked([HostPort(9100, "TCP", "10.0.0.1")])) == ["small"]
    assert template.port_blocked([HostPort(9101, "TCP", "10.0.0.1")]) == 0


@pytest.mark.parametrize(
    ("wanted", "tolerant", "why"),
    [
        pytest.param([], False, "taint team=true:NoSchedule not tolerated", id="taints come first"),
        pytest.param([], True, None, id="nothing in the way"),
        pytest.param(
            [Requirement(ZONE, ("z-b",))],
            True,
            f"key {ZONE}, {ZONE} In [z-b] not in {ZONE} In [z-a]",
            id="another zone",
        ),
        pytest.param(
            [Requirement("owner", ("me",))],
            True,
            'label "owner" does not have known values',
            id="a label that the pool lacks",
        ),
        pytest.param([Requirement(FAMILY, ("z",))], True, None, id="a label of types is left to the types"),
    ],
)
def test_why_a_pool_refuses_by_taints_and_labels(wanted: list[Requirement], tolerant: bool, why: str | None) -> None:
    template = made(needs=(b.need(ZONE, "In", "z-a"),), taints=[b.taint("team")])
    tolerations = daemon(tolerations=[{"operator": "Exists"}]).tolerations if tolerant else ()
    found = template.refusal(Requirements(wanted), tolerations)
    assert (None if found is None else str(found)) == why


def test_min_values_count_distinct_values_on_the_types_that_are_left() -> None:
    wanted = Requirements([Requirement.of(FAMILY, "Exists", (), 2), Requirement.of(ZONE, "In", ("z-a",), 2)])
    assert min_values_unmet(UNIVERSE, wanted, 0b111) == {}, "zones count as the types offer them"
    assert min_values_unmet(UNIVERSE, wanted, 0b110) == {FAMILY: (1, 2)}
    assert min_values_unmet(UNIVERSE, wanted, 0) == {FAMILY: (0, 2), ZONE: (0, 2)}
    unheard = Requirements([Requirement.of("x.io/unheard-of", "Exists", (), 1)])
    assert min_values_unmet(UNIVERSE, unheard, 0b111) == {"x.io/unheard-of": (0, 1)}
    lowered = with_lowered_min_values(wanted, {FAMILY: (1, 2)})
    assert str(lowered) == f"{ZONE} In [z-a] minValues 2, {FAMILY} Exists minValues 1"


def usable(*pools: NodePool, **settings: Any) -> tuple[list[str], dict[str, str]]:
    found, unusable = templates(pools, {p.metadata.name: UNIVERSE for p in pools}, (), Settings(**settings))
    return [t.name for t in found], unusable


def test_pools_are_tried_by_weight_then_by_name_from_the_end_of_the_alphabet() -> None:
    order = [
        pool(name=n, **({"weight": w} if w else {})) for n, w in (("a", 0), ("c", 0), ("b", 5), ("d", 5), ("e", 100))
    ]
    assert usable(*order)[0] == ["e", "d", "b", "c", "a"]


@pytest.mark.parametrize(
    ("one", "why"),
    [
        pytest.param(pool(replicas=3), "static pool", id="static"),
        pytest.param(
            pool(b.need(FAMILY, "In", "z")),
            f"no instance type of the catalog has {FAMILY} In [z]; there are: a, b",
            id="no such type",
        ),
        pytest.param(
            pool(b.need(FAMILY, "In", "a"), b.need("x.io/gpu", "Exists")),
            "its requirements together leave no instance type",
            id="not all at once",
        ),
        pytest.param(pool(b.need("karpenter.sh/capacity-type", "In", "reserved")), "reserved", id="nothing on sale"),
        pytest.param(
            pool(b.need(FAMILY, "Exists", minValues=3)),
            f"its minValues 3 for {FAMILY} cannot be met: 2 left",
            id="too few families",
        ),
    ],
)
def test_why_a_pool_is_not_usable(one: NodePool, why: str) -> None:
    order, unusable = usable(one)
    assert order == []
    assert why in unusable["main"]


def test_with_best_effort_too_few_values_are_no_reason() -> None:
    assert usable(pool(b.need(FAMILY, "Exists", minValues=3)), best_effort_min_values=True) == (["main"], {})


def test_whether_any_pool_prefers_to_be_left_alone() -> None:
    soft = pool(taints=[b.taint("a", effect="PreferNoSchedule")])
    assert any_prefers([pool(), soft])
    assert not any_prefers([pool(), pool(taints=[b.taint("a")])])
