"""The checker passes a good plan, and catches each way in which a plan can be bad."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable
from typing import Any

import pytest

from support import kube
from support.builders import (
    catalog,
    daemon,
    machine,
    need,
    node,
    node_affinity,
    offering,
    pod,
    pod_affinity,
    pool,
    running,
    spread,
    taint,
    term,
)
from support.checker import check

Obj = dict[str, Any]
GPU_TAINT = taint("nvidia.com/gpu")
HOSTNAME, ZONE = kube.HOSTNAME, kube.ZONE
LONE = {"affinity": pod_affinity(term(HOSTNAME, app="lone"), anti=True)}
WEB = {"topologySpreadConstraints": [spread(ZONE, "web")]}


class Bench:
    """A small cluster with a valid plan, to be damaged."""

    def __init__(self) -> None:
        self.catalog = catalog(
            machine("small", "4", "8Gi", 0.2, labels={"x.io/family": ["s"]}),
            machine("large", "8", "16Gi", 0.4, labels={"x.io/family": ["s"]}),
            machine("gpu", "8", "32Gi", 1.4, labels={"x.io/family": ["g"], "x.io/gpu": ["l4"]}, nvidia_com__gpu="1"),
        )
        claim = {
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "metadata": {"name": "data", "namespace": "default"},
        }
        storage = {"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": {"name": "disk"}}
        topology = [{"matchLabelExpressions": [{"key": ZONE, "values": ["z-b"]}]}]
        self.objects: list[Obj] = [
            pool("main", need("kubernetes.io/arch", "In", "amd64"), limits={"cpu": "16"}),
            pool("gpu", need("x.io/gpu", "In", "l4"), taints=[GPU_TAINT], weight=10),
            pool("still", replicas=2),
            node("old", labels={"disk": "ssd"}),
            {
                "kind": "CSINode",
                "metadata": {"name": "old"},
                "spec": {"drivers": [{"name": "ebs", "allocatable": {"count": 1}}]},
            },
            running("bound", "old", "2", labels={"app": "bound"}),
            daemon("agent"),
            {
                **storage,
                "provisioner": "ebs",
                "volumeBindingMode": "WaitForFirstConsumer",
                "allowedTopologies": topology,
            },
            {**claim, "spec": {"storageClassName": "disk"}, "status": {"phase": "Pending"}},
            pod("a", labels={"app": "a"}),
            pod("near", "500m", affinity=pod_affinity(term(HOSTNAME, app="a"))),
            *(pod(f"web-{i}", "500m", labels={"app": "web"}, **WEB) for i in range(2)),
            *(pod(f"lone-{i}", "500m", labels={"app": "lone"}, **LONE) for i in range(2)),
            pod("port", "100m", container={"ports": [{"containerPort": 80, "hostPort": 8080}]}),
            pod("vol", "500m", volumes=[{"name": "v", "persistentVolumeClaim": {"claimName": "data"}}]),
            pod("ml", requests={"nvidia.com/gpu": "1"}, tolerations=[{"key": "nvidia.com/gpu", "operator": "Exists"}]),
            pod("rest", "1500m", nodeSelector={"disk": "ssd"}),
            pod("lost", nodeSelector={"x.io/gpu": "h100"}),
        ]
        self.plan: Obj = {
            "pricePerHour": 0.542,
            "lowerBoundPerHour": 0.5,
            "gap": 0.084,
            "seconds": 0.1,
            "pods": 11,
            "scheduled": 10,
            "nodes": [
                self._node("main-1", "z-a", 0.06, ["a", "near", "web-0", "lone-0"]),
                self._node("main-2", "z-b", 0.062, ["web-1", "lone-1", "port", "vol"]),
                {
                    **self._node("gpu-1", "z-a", 0.42, ["ml"]),
                    "nodePool": "gpu",
                    "instanceType": "gpu",
                    "instanceTypes": ["gpu"],
                },
            ],
            "existing": [{"name": "old", "pods": ["default/rest"]}],
            "unschedulable": [
                {"pod": "default/lost", "reasons": [{"nodePool": "gpu", "reason": "x.io/gpu h100 not in [l4]"}]}
            ],
        }

    @staticmethod
    def _node(name: str, zone: str, price: float, pods: list[str]) -> Obj:
        head = {"name": name, "nodePool": "main", "instanceType": "small", "capacityType": "spot", "zone": zone}
        return {
            **head,
            "pricePerHour": price,
            "pods": [f"default/{one}" for one in pods],
            "instanceTypes": ["small", "large"],
        }

    def node(self, name: str) -> Obj:
        """A new node of the plan."""
        return next(one for one in self.plan["nodes"] if one["name"] == name)

    def object(self, name: str) -> Obj:
        """An object by its name."""
        return next(one for one in self.objects if one["metadata"]["name"] == name)

    def move(self, name: str, source: str, target: str) -> None:
        """Move a pod to another place."""
        for group in (*self.plan["nodes"], *self.plan["existing"]):
            if group["name"] == source:
                group["pods"].remove(f"default/{name}")
            if group["name"] == target:
                group["pods"].append(f"default/{name}")

    def reprice(self, name: str, price: float, **fields: Any) -> None:
        """Change a node's choice, with the sums that follow."""
        one = self.node(name)
        self.plan["pricePerHour"] += price - one["pricePerHour"]
        one.update(pricePerHour=price, **fields)
        self.plan["gap"] = (self.plan["pricePerHour"] - 0.5) / 0.5

    def violations(self, **more: Any) -> list[str]:
        """The checker's answer."""
        return check(self.objects, self.catalog, self.plan, packing="cost", **more)


def _spec(bench: Bench, name: str) -> Obj:
    return bench.object(name)["spec"]  # type: ignore[no-any-return]


def _requests(bench: Bench, name: str) -> Obj:
    return _spec(bench, name)["containers"][0]["resources"]["requests"]  # type: ignore[no-any-return]


def _type(bench: Bench, name: str) -> Obj:
    return next(one for one in bench.catalog["instanceTypes"] if one["name"] == name)


def _sold_out(bench: Bench) -> None:
    for one in _type(bench, "gpu")["offerings"]:
        one["available"] = one["capacityType"] == "on-demand"


def _duplicate(bench: Bench) -> None:
    bench.node("main-2")["pods"].append("default/a")
    bench.plan["scheduled"] += 1
    bench.plan["pods"] += 1


def _drop_pending(bench: Bench) -> None:
    bench.plan["unschedulable"] = []
    bench.plan["pods"] -= 1


def _bound_target(bench: Bench) -> None:
    bench.move("lone-1", "main-2", "old")
    bench.objects.append(running("twin", "old", "10m", "1Mi", labels={"app": "lone"}))


def _inverse(bench: Bench) -> None:
    bench.objects.append(running("shy", "old", "10m", "1Mi", affinity=pod_affinity(term(ZONE, app="a"), anti=True)))


def _second_volume(bench: Bench) -> None:
    bench.object("disk").pop("allowedTopologies")
    bench.move("vol", "main-2", "old")
    claim = copy.deepcopy(bench.object("data"))
    claim["metadata"]["name"] = "more"
    bench.objects.append(claim)
    volumes = [{"name": "v", "persistentVolumeClaim": {"claimName": "more"}}]
    bench.objects.append(running("disk-user", "old", "10m", "1Mi", volumes=volumes))


def _leaves(bench: Bench) -> None:
    bench.objects.remove(bench.object("bound"))
    bench.object("old")["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"


def _heavier(bench: Bench) -> None:
    """A heavier pool without limits takes every pod that main's first node holds; nothing narrows."""
    for name in ("near", "lone-0", "lone-1", "web-0", "web-1"):
        for key in ("affinity", "topologySpreadConstraints"):
            _spec(bench, name).pop(key, None)
    bench.objects.append(pool("first", weight=100))


def _reserved(bench: Bench) -> None:
    offer = offering("z-a", "reserved", 0.01, reservationCapacity=0)
    _type(bench, "gpu")["offerings"].append(offer)
    bench.plan["lowerBoundPerHour"] = None
    bench.reprice("gpu-1", 0.01, capacityType="reserved")


MUTATIONS: dict[str, tuple[Callable[[Bench], object], str]] = {
    "a sum of prices that is none": (lambda b: b.plan.update(pricePerHour=0.5), "is not the sum"),
    "a count that is none": (lambda b: b.plan.update(scheduled=9), "scheduled: 9 is not 10"),
    "pods that are not all": (lambda b: b.plan.update(pods=10), "is not placed and unschedulable together"),
    "a bound above the price": (lambda b: b.plan.update(lowerBoundPerHour=0.6, gap=-0.1), "is above the price"),
    "a gap that is none": (lambda b: b.plan.update(gap=0.5), "is not the distance"),
    "a pod placed twice": (_duplicate, "default/a: appears 2 times"),
    "a pod forgotten": (_drop_pending, "default/lost: waits for a place and does not appear"),
    "a pod that runs already": (
        lambda b: b.move("bound", "none", "main-1") or b.node("main-1")["pods"].append("default/bound"),
        "bound",
    ),
    "two nodes of one name": (lambda b: b.node("main-2").update(name="main-1"), "is the name of several nodes"),
    "a pool that does not exist": (lambda b: b.node("main-1").update(nodePool="gone"), "nodepool gone does not exist"),
    "a type that does not exist": (
        lambda b: b.node("main-1").update(instanceTypes=["small", "huge"]),
        "['huge'] do not exist",
    ),
    "a host that does not exist": (lambda b: b.plan["existing"][0].update(name="older"), "older: does not exist"),
    "no reason": (lambda b: b.plan["unschedulable"][0].update(reasons=[]), "stays pending without a reason"),
    "a wrong price": (lambda b: b.reprice("gpu-1", 0.4), "is not on sale for 0.4"),
    "a wrong zone": (lambda b: b.node("gpu-1").update(zone="z-b"), "gpu spot in z-b is not on sale for 0.42"),
    "a zone that does not exist": (lambda b: b.node("gpu-1").update(zone="z-q"), "is not on sale"),
    "an offering that is sold out": (_sold_out, "is not on sale"),
    "a dearer offering than needed": (
        lambda b: b.reprice("main-1", 0.2, capacityType="on-demand", instanceTypes=["small", "gpu"]),
        "main-1",
    ),
    "types out of order": (
        lambda b: b.node("main-1").update(instanceTypes=["large", "small"]),
        "is not the first of its types",
    ),
    "a taint that is not tolerated": (
        lambda b: _spec(b, "ml").pop("tolerations"),
        "default/ml does not tolerate nvidia.com/gpu",
    ),
    "requests that grew": (lambda b: _requests(b, "a").update(cpu="3"), "small has not enough cpu"),
    "an init container that is larger": (
        lambda b: _spec(b, "a").update(initContainers=[{"name": "i", "resources": {"requests": {"cpu": "3"}}}]),
        "small has not enough cpu",
    ),
    "pod overhead": (lambda b: _spec(b, "a").update(overhead={"memory": "7Gi"}), "small has not enough memory"),
    "a device that the type lacks": (
        lambda b: _requests(b, "port").update({"nvidia.com/gpu": "1"}),
        "small has not enough nvidia.com/gpu",
    ),
    "daemon pods that take the rest": (lambda b: b.objects.append(daemon("fat", "3")), "small has not enough cpu"),
    "a type too small among the choices": (
        lambda b: _type(b, "large").update(capacity={"cpu": "1", "memory": "16Gi", "pods": "9"}),
        "large has not enough cpu",
    ),
    "more pods than the type takes": (
        lambda b: _type(b, "small")["capacity"].update(pods="3"),
        "small has not enough pods",
    ),
    "a selector that the pool does not meet": (
        lambda b: _spec(b, "port").update(nodeSelector={"team": "red"}),
        "no node satisfies",
    ),
    "a selector that the type does not meet": (
        lambda b: _spec(b, "port").update(nodeSelector={"x.io/family": "g"}),
        "small does not meet the requirements",
    ),
    "OR terms that all fail": (
        lambda b: _spec(b, "port").update(
            affinity=node_affinity([need(ZONE, "In", "z-a")], [need("x.io/family", "In", "g")])
        ),
        "main-2",
    ),
    "two pods that contradict": (
        lambda b: [
            _spec(b, n).update(nodeSelector={"kubernetes.io/arch": a}) for n, a in (("port", "arm64"), ("vol", "amd64"))
        ],
        "no node satisfies",
    ),
    "a volume of another zone": (lambda b: b.move("vol", "main-2", "main-1"), "main-1"),
    "a claim that does not exist": (
        lambda b: b.objects.remove(b.object("data")),
        "default/vol: is placed, and its claim",
    ),
    "a host port taken twice": (
        lambda b: _spec(b, "vol")["containers"][0].update(ports=[{"hostPort": 8080, "hostIP": "10.0.0.1"}]),
        "host port of default/vol is taken",
    ),
    "a limit exceeded": (lambda b: _spec(b, "main")["limits"].update(cpu="7"), "limit of cpu exceeded: 8.0 of 7.0"),
    "a limit used up by running nodes": (
        lambda b: (
            b.object("old")["metadata"]["labels"].update({kube.NODE_POOL: "main"})
            or _spec(b, "main")["limits"].update(cpu="11")
        ),
        "limit of cpu exceeded",
    ),
    "a node limit used up": (
        lambda b: (
            b.object("old")["metadata"]["labels"].update({kube.NODE_POOL: "main"})
            or _spec(b, "main")["limits"].update(nodes="1")
        ),
        "no node left",
    ),
    "minValues that are not there": (
        lambda b: _spec(b, "gpu")["template"]["spec"]["requirements"].append(
            need("x.io/family", "Exists", minValues=2)
        ),
        "1 values of x.io/family, minValues 2",
    ),
    "a static pool as a source": (lambda b: _spec(b, "main").update(replicas=1), "a static pool is no source"),
    "a pool that is not ready": (
        lambda b: b.object("main").update(status={"conditions": [{"type": "Ready", "status": "False"}]}),
        "not ready",
    ),
    "a pod that asks for a host": (
        lambda b: _spec(b, "port").update(nodeSelector={HOSTNAME: "old"}),
        "asks for a host by name",
    ),
    "resource claims": (lambda b: _spec(b, "port").update(resourceClaims=[{"name": "x"}]), "has resource claims"),
    "a spread that leans": (
        lambda b: b.move("web-1", "main-2", "main-1"),
        f"spread over {ZONE}: 2 in z-a, least 0, maxSkew 1",
    ),
    "company that left": (
        lambda b: b.move("near", "main-1", "main-2"),
        "default/near is in main-2 without the pods it needs",
    ),
    "two that shun each other": (lambda b: b.move("lone-1", "main-2", "main-1"), "default/lone-0 shuns default/lone-1"),
    "a running pod that is shunned": (_bound_target, "default/lone-1 shuns default/twin"),
    "a running pod that shuns": (_inverse, "default/shy shuns default/a"),
    "an existing node that is full": (lambda b: _requests(b, "rest").update(cpu="1950m"), "old: has not enough cpu"),
    "an existing node without the label": (
        lambda b: b.object("old")["metadata"]["labels"].pop("disk"),
        "its labels do not suit default/rest",
    ),
    "an existing node with a taint": (
        lambda b: _spec(b, "old").update(taints=[GPU_TAINT]),
        "default/rest does not tolerate nvidia.com/gpu",
    ),
    "an existing node that leaves": (_leaves, "old: is leaving"),
    "more volumes than a node attaches": (_second_volume, "2 volumes of ebs, at most 1"),
    "a pool out of turn": (_heavier, "every pod on it would have opened a node of a heavier pool"),
    "a reservation that is used up": (_reserved, "1 reserved instances in z-a, 0 left"),
}


def test_a_good_plan_has_no_violation() -> None:
    assert Bench().violations() == []
    assert Bench().violations(pessimistic=True) == []


@pytest.mark.parametrize("name", MUTATIONS)
def test_a_damaged_plan_is_caught(name: str) -> None:
    mutate, said = MUTATIONS[name]
    bench = Bench()
    mutate(bench)
    violations = bench.violations()
    assert any(said in text for text in violations), violations


def test_the_pessimistic_charge_counts_the_largest_type() -> None:
    bench = Bench()
    _spec(bench, "main")["limits"]["cpu"] = "15"
    assert bench.violations() == []
    assert any("limit of cpu exceeded: 16.0 of 15.0" in text for text in bench.violations(pessimistic=True))


def _alike(bench: Bench, name: str, operator: str) -> None:
    """Two pods that need each other by zone, in two zones."""
    for one in ("a", "port"):
        bench.object(one)["metadata"]["labels"] = {"app": "ring"}
        _spec(bench, one)["affinity"] = pod_affinity(term(ZONE, app="ring"))
    _spec(bench, "near").pop("affinity")
    if operator:
        _spec(bench, name)["nodeSelector"] = {ZONE: "z-b"}
        _spec(bench, "a")["nodeSelector"] = {ZONE: "z-a"}


@pytest.mark.parametrize(("pinned", "violations"), [("", 1), ("pinned", 0)], ids=["free to meet", "pinned apart"])
def test_a_ring_begins_twice_only_where_its_members_cannot_meet(pinned: str, violations: int) -> None:
    bench = Bench()
    _alike(bench, "port", pinned)
    assert len(bench.violations()) == violations


def test_two_thousand_pods_are_checked_in_two_seconds() -> None:
    machines = catalog(machine("big", "100", "400Gi", 4.0, labels={"x.io/family": ["b"]}))
    machines["instanceTypes"][0]["capacity"]["pods"] = "200"
    pods = [
        pod(f"p-{i}", "500m", labels={"app": "web"}, topologySpreadConstraints=[spread(ZONE, "web")])
        for i in range(2000)
    ]
    nodes = [
        {
            "name": f"main-{n}",
            "nodePool": "main",
            "instanceType": "big",
            "instanceTypes": ["big"],
            "capacityType": "spot",
            "zone": f"z-{'ab'[n % 2]}",
            "pricePerHour": 1.2 + 0.002 * (n % 2),
            "pods": [f"default/p-{i}" for i in range(100 * n, 100 * n + 100)],
        }
        for n in range(20)
    ]
    plan: Obj = {
        "pricePerHour": sum(float(str(one["pricePerHour"])) for one in nodes),
        "lowerBoundPerHour": None,
        "gap": None,
    }
    plan |= {"pods": 2000, "scheduled": 2000, "nodes": nodes, "existing": [], "unschedulable": []}
    began = time.perf_counter()
    assert check([pool(), *pods], machines, plan, packing="cost") == []
    assert time.perf_counter() - began < 2.0
