"""Reasons: each names the hurdle, what was seen, and the field to change; the nearest miss comes first."""

from __future__ import annotations

from typing import Any

import pytest

from fretsaw.planner import plan_objects
from support import builders as b
from support.kube import HOSTNAME, ZONE

FAMILY, GPU = "x.io/family", "nvidia.com/gpu"
CATALOG = b.catalog(
    b.machine("small", "2", "4Gi", 0.1, labels={FAMILY: ["a"]}),
    b.machine("large", "8", "16Gi", 0.4, labels={FAMILY: ["b"]}),
    b.machine("gpu", "8", "16Gi", 1.0, labels={FAMILY: ["b"]}, nvidia_com__gpu="1"),
)


def reasons(
    pools: list[dict[str, Any]], pod: dict[str, Any], *more: dict[str, Any], catalog: dict[str, Any] = CATALOG
) -> list[tuple[str, str, str]]:
    """(pool, reason, field) for pod `p`."""
    plan = plan_objects([*pools, pod, *more], catalog, packing="first-fit")
    (why,) = (u["reasons"] for u in plan["unschedulable"] if u["pod"] == "default/p")
    return [(r["nodePool"], r["reason"], r["field"]) for r in why]


_REQUIREMENTS = "nodepool/main spec.template.spec.requirements"
_SIZE = "pod spec.containers[].resources.requests"


@pytest.mark.parametrize(
    ("pool", "pod", "reason", "field"),
    [
        pytest.param({"taints": [b.taint("team")]}, {}, "taint team=true:NoSchedule not tolerated", "pod spec.tolerations", id="taint"),
        pytest.param({}, {"nodeSelector": {"team": "red"}}, 'no node of this pool has a label "team"', "pod spec.nodeSelector[team]", id="unknown label"),
        pytest.param({}, {"nodeSelector": {"family": "a"}}, '(did you mean "x.io/family"?)', "pod spec.nodeSelector[family]", id="misspelt label"),
        pytest.param({}, {"nodeSelector": {FAMILY: "q"}}, f"no instance type of this pool has {FAMILY} In [q] (there are: a, b)", f"pod spec.nodeSelector[{FAMILY}]", id="unknown value"),
        pytest.param({}, {"affinity": b.node_affinity([b.need(FAMILY, "In", "q")])}, "(there are: a, b)", "pod spec.affinity.nodeAffinity", id="the field is the one that asks"),
        pytest.param({"needs": [b.need(ZONE, "In", "z-a")]}, {"nodeSelector": {ZONE: "z-b"}}, f"the pod asks for {ZONE} In [z-b], the pool allows In [z-a]", f"pod spec.nodeSelector[{ZONE}]", id="another zone"),
        pytest.param({}, {"affinity": b.node_affinity([b.need(FAMILY, "In", "a"), b.need(FAMILY, "NotIn", "a")])}, f"the pod's own requirements for the label {FAMILY} contradict each other", "pod spec.affinity.nodeAffinity", id="contradiction"),
        pytest.param({}, {"cpu": "64"}, "asks cpu 64, the most that a fitting type offers is cpu 7900m", f"{_SIZE}[cpu]", id="too large"),
        pytest.param({}, {"nodeSelector": {FAMILY: "a"}, "cpu": "4"}, "the most that a fitting type offers is cpu 1900m", f"{_SIZE}[cpu]", id="for the types that match"),
        pytest.param({}, {"requests": {GPU: "2"}}, "asks 2 nvidia.com/gpu, the most that a fitting type offers is 1 nvidia.com/gpu", f"{_SIZE}[{GPU}]", id="too many devices"),
        pytest.param({"limits": {"cpu": "1"}}, {}, "the smallest fitting type exceeds what is left of its limit: cpu 1 of 1", "nodepool/main spec.limits[cpu]", id="limit"),
        pytest.param({"limits": {"nodes": "0"}}, {}, "nodes 0 of 0", "nodepool/main spec.limits[nodes]", id="node limit"),
        pytest.param({"needs": [b.need(FAMILY, "Exists", minValues=2)]}, {"cpu": "4"}, f"minValues 2 for {FAMILY} cannot be met: 1 left that fit the pod", f"{_REQUIREMENTS}[{FAMILY}].minValues", id="minValues"),
        pytest.param({}, {"topologySpreadConstraints": [b.spread("rack", "web")]}, 'no node of this pool has the topology label "rack"', "pod spec.topologySpreadConstraints", id="unknown topology"),
        pytest.param({}, {"affinity": b.pod_affinity(b.term(ZONE, app="db"))}, "leaves no domain (pods per domain z-a: 0, z-b: 0)", "pod spec.affinity.podAffinity", id="nobody to join"),
        pytest.param({}, {"affinity": b.pod_affinity(b.term(HOSTNAME, app="db"))}, f"pod affinity over {HOSTNAME}", "pod spec.affinity.podAffinity", id="nobody to join on one host"),
    ],
)  # fmt: skip
def test_a_reason_names_the_hurdle_and_the_field(
    pool: dict[str, Any], pod: dict[str, Any], reason: str, field: str
) -> None:
    spec = dict(pool)
    (found,) = reasons([b.pool("main", *spec.pop("needs", ()), **spec)], b.pod("p", labels={"app": "web"}, **pod))
    assert reason in found[1]
    assert found[2] == field


def test_a_zone_without_room_for_one_more_is_shown_with_its_count() -> None:
    known = b.node("n", "1", zone="z-a", labels={"app": "x"}), b.running("r", "n", "900m", labels={"app": "web"})
    far = b.pod(
        "p",
        labels={"app": "web"},
        affinity=b.pod_affinity(b.term(ZONE, app="web"), anti=True),
        nodeSelector={ZONE: "z-a"},
    )
    ((_, reason, field),) = reasons([b.pool()], far, *known)
    assert "pod anti-affinity" in reason
    assert "z-a: 1" in reason
    assert field == "pod spec.affinity.podAntiAffinity"


def test_what_is_sold_out_is_said_with_its_places() -> None:
    one = b.machine("m", "4", "8Gi", 0.1)
    one["offerings"] = [b.offering("z-a", b.SPOT, 0.1, available=False), b.offering("z-b", b.ON_DEMAND, 0.2)]
    ((_, reason, field),) = reasons([b.pool()], b.pod("p", nodeSelector={ZONE: "z-a"}), catalog=b.catalog(one))
    assert reason.startswith("no fitting instance type is on sale in z-a")
    assert field == _REQUIREMENTS


def test_a_volume_out_of_reach_names_the_volumes() -> None:
    head = {"namespace": "default"}
    claim = b.named(
        "PersistentVolumeClaim",
        "v1",
        "data",
        {"storageClassName": "d", "accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
        **head,
    )
    topology = [{"matchLabelExpressions": [{"key": ZONE, "values": ["z-b"]}]}]
    disk = {
        **b.named("StorageClass", "storage.k8s.io/v1", "d", {}),
        "provisioner": "ebs.csi.aws.com",
        "volumeBindingMode": "WaitForFirstConsumer",
        "allowedTopologies": topology,
    }
    del disk["spec"]
    pod = b.pod("p", volumes=[{"name": "v", "persistentVolumeClaim": {"claimName": "data"}}])
    ((_, reason, field),) = reasons([b.pool("main", b.need(ZONE, "In", "z-a"))], pod, claim, disk)
    assert reason.startswith("its volumes are out of reach: key topology.kubernetes.io/zone")
    assert field == "pod spec.volumes"


def test_a_host_port_that_a_daemon_pod_has() -> None:
    agent = b.daemon("agent")
    ports = [{"containerPort": 80, "hostPort": 80}]
    agent["spec"]["template"]["spec"]["containers"][0]["ports"] = ports
    ((_, reason, field),) = reasons([b.pool()], b.pod("p", container={"ports": ports}), agent)
    assert reason == "host port 0.0.0.0:80/TCP is taken by a daemon pod on every fitting type"
    assert field == "pod spec.containers[].ports"


def test_the_nearest_miss_comes_first_and_unusable_pools_last() -> None:
    pools = [
        b.pool("a-label", b.need(ZONE, "In", "z-c")),
        b.pool("b-limit", limits={"cpu": "1"}),
        b.pool("c-static", replicas=1),
        b.pool("d-size", b.need(FAMILY, "In", "a")),
    ]
    found = reasons(pools, b.pod("p", "3", nodeSelector={ZONE: "z-b"}))
    assert [name for name, _, _ in found] == ["b-limit", "d-size", "a-label", "c-static"]


def test_without_any_pool_the_reason_is_that() -> None:
    assert reasons([], b.pod("p")) == [
        ("", "there is no NodePool that could make a node, so nothing is planned", "nodepool")
    ]


def test_equal_pods_have_equal_reasons_and_wishes_are_no_reason() -> None:
    wish = {"weight": 1, "preference": {"matchExpressions": [b.need("team", "In", "red")]}}
    spec = {"affinity": {"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [wish]}}}
    plan = plan_objects([b.pool(), *(b.pod(f"p{i}", "64", **spec) for i in range(3))], CATALOG, packing="first-fit")
    texts = {r["reason"] for u in plan["unschedulable"] for r in u["reasons"]}
    assert texts == {"asks cpu 64, the most that a fitting type offers is cpu 7900m"}
    assert len(plan["unschedulable"]) == 3
