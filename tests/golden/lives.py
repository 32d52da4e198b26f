"""A trace by hand in which two nodes come and go, for the stories that are printed.

A pool on spot gets a node for two pods; the first launch is refused. A pod of a batch comes later and fits. The node is
found too dear and would be replaced by a second one, whose readiness is waited for; before that, its spot instance is
taken back. One pod refuses to leave for a while.
"""

from __future__ import annotations

import msgspec
from msgspec.structs import replace

from fretsaw.api.catalog import Catalog, InstanceType, Offering
from fretsaw.api.labels import CAPACITY_TYPE, INSTANCE_TYPE, NODEPOOL, ZONE
from fretsaw.api.meta import Condition, ObjectMeta, OwnerReference
from fretsaw.api.node import Node, NodeSpec
from fretsaw.api.nodeclaim import NodeClaim, NodeClaimSpec, NodeClaimStatus
from fretsaw.api.nodepool import NodePool
from fretsaw.api.pod import Container, Pod, PodSpec, PodStatus
from fretsaw.api.selection import NodeClassRef, NodeSelectorRequirement
from fretsaw.engine import actions as a
from fretsaw.engine import events as e
from support.builders import pool as pool_tree
from support.traces import Script

TYPES = ("g5.xlarge", "g6.xlarge", "g5.2xlarge", "g6.2xlarge", "g4dn.xlarge")
IDS = {"gpu-a1": "aws:///us-east-1a/i-0a1", "gpu-b2": "aws:///us-east-1b/i-0b2"}
NODES = {"gpu-a1": "ip-10-0-0-1", "gpu-b2": "ip-10-0-0-2"}
SPEC = PodSpec(containers=(Container(name="main", image="img"),))
REFUSED = "Cannot evict pod as it would violate the pod's disruption budget."


def claim(name: str, *conditions: str, gone: str | None = None) -> NodeClaim:
    """A claim with these conditions True."""
    requirements = (
        NodeSelectorRequirement(INSTANCE_TYPE, "In", TYPES),
        NodeSelectorRequirement(CAPACITY_TYPE, "In", ("spot",)),
        NodeSelectorRequirement(ZONE, "In", ("us-east-1a", "us-east-1b")),
    )
    spec = NodeClaimSpec(NodeClassRef("karpenter.k8s.aws", "EC2NodeClass", "default"), requirements)
    status = NodeClaimStatus(
        provider_id=IDS[name] if "Launched" in conditions else "",
        conditions=tuple(Condition(type=one, status="True", message=one) for one in conditions),
    )
    return NodeClaim(
        metadata=ObjectMeta(name=name, labels={NODEPOOL: "gpu"}, deletion_timestamp=gone), spec=spec, status=status
    )


def pod(name: str, node: str = "", phase: str = "Pending", owner: str = "ReplicaSet") -> Pod:
    """A pod of `ml`."""
    owners = (OwnerReference(kind=owner, name=name.rpartition("-")[0], uid="o", controller=True),)
    metadata = ObjectMeta(name=name, namespace="ml", uid=f"uid-{name}", owner_references=owners)
    return Pod(metadata=metadata, spec=replace(SPEC, node_name=node), status=PodStatus(phase=phase))


def node(name: str) -> Node:
    """The node of a claim."""
    return Node(metadata=ObjectMeta(name=NODES[name]), spec=NodeSpec(provider_id=IDS[name]))


def created(name: str, price: float, type_: str) -> e.InstanceCreated:
    """EC2's answer."""
    labels = {INSTANCE_TYPE: type_, CAPACITY_TYPE: "spot", ZONE: IDS[name].split("/")[3]}
    return e.InstanceCreated(name, IDS[name], labels, {}, {}, price_usd_per_hour=price)


def instance(script: Script, what: str, name: str, **data: object) -> None:
    """A fact about an instance."""
    script.fact(what, f"Instance/{IDS[name]}", claim=name, **data)


def join(script: Script, name: str, since: float) -> None:
    """From the running instance to the node that is ready for pods."""
    instance(script.at(since), "instance-running", name)
    script.at(since + 61).told(e.Changed(node(name))).fact(
        "node-joined", f"Node/{NODES[name]}", claim=name, after_ms=61_000
    )
    script.at(since + 61.1).told(e.Changed(claim(name, "Launched", "Registered")))
    script.at(since + 100).fact(
        "gpu-registered", f"Node/{NODES[name]}", claim=name, resource="nvidia.com/gpu", count=1, physical=1
    )
    script.at(since + 100.1).told(e.Changed(claim(name, "Launched", "Registered", "Initialized")))


def gpu_pool(*conditions: Condition) -> NodePool:
    """The pool."""
    tree = {key: value for key, value in pool_tree("gpu").items() if key in ("metadata", "spec")}
    made = msgspec.convert(tree, NodePool)
    return replace(made, status=replace(made.status, conditions=conditions))


def start(script: Script) -> None:
    """The pool, two pods, the first order and its refusal."""
    catalog = Catalog(
        [InstanceType(name, {"cpu": "4"}, {}, {}, [Offering("us-east-1a", "spot", 0.4)]) for name in TYPES]
    )
    ready = Condition(type="Ready", status="True")
    script.told(e.Changed(gpu_pool()), e.CatalogRead(("gpu",), catalog), e.Changed(gpu_pool(ready)))
    script.at(10).told(e.Changed(pod("web-0")), e.Changed(pod("web-1")))
    script.fact("pod-unschedulable", "Pod/ml/web-0", message="no nodes available to schedule pods")
    order = a.CreateClaim(claim("gpu-a1"), "provisioned", ("ml/web-0", "ml/web-1"))
    seen = frozenset(("ml/web-0", "ml/web-1", "ml/huge-0"))
    done = e.BatchDone(script.now, seen, frozenset(("ml/huge-0",)))
    planned = e.Planned((("ml/web-0", "gpu-a1"), ("ml/web-1", "gpu-a1")), script.now)
    told = a.Tell(
        "Pod/ml/huge-0",
        "FailedScheduling",
        "Failed to schedule pod, gpu: 16 GPUs asked, no type has more than 1",
        "Warning",
    )
    script.told(e.Changed(pod("huge-0", owner="Job")))
    script.at(11).decided(order, told, notes=(planned, done)).told(e.Changed(claim("gpu-a1")))
    script.at(11.1).decided(a.LaunchInstance(claim("gpu-a1")))
    out = [("g5.xlarge", "us-east-1a", "spot", "InsufficientInstanceCapacity")]
    script.at(12).fact("insufficient-capacity", "NodeClaim/gpu-a1", pool="gpu", launched=True, offerings=out)
    script.at(13).told(created("gpu-a1", 0.3824, "g6.xlarge"), e.Changed(claim("gpu-a1", "Launched")))


def work(script: Script) -> None:
    """The first node runs its pods; a batch comes and goes."""
    join(script, "gpu-a1", 30)
    script.at(131).decided(a.NominatePod("ml/web-0", NODES["gpu-a1"]), a.NominatePod("ml/web-1", NODES["gpu-a1"]))
    for name in ("web-0", "web-1"):
        script.told(e.Changed(pod(name, NODES["gpu-a1"])))
    script.at(191).fact(
        "image-pulled",
        "Node/ip-10-0-0-1",
        took_ms=60_000,
        image="img",
        bytes=9_350_000_000,
        pod="ml/web-0",
        waited_ms=0,
    )
    script.at(192).fact("pod-running", "Pod/ml/web-0", uid="uid-web-0", node="ip-10-0-0-1", gpus=1, restarts=0)
    script.at(252).fact("pod-working", "Pod/ml/web-0", uid="uid-web-0", node="ip-10-0-0-1", gpus=1)
    script.at(600).told(e.Changed(pod("tune-0", owner="Job")))
    script.at(601).decided(notes=(e.Planned((("ml/tune-0", "gpu-a1"),), script.now),))
    script.at(602).told(e.Changed(pod("tune-0", NODES["gpu-a1"], owner="Job")))
    script.at(4200).told(e.Changed(pod("tune-0", NODES["gpu-a1"], "Succeeded", owner="Job")))


def replace_it(script: Script) -> None:
    """A cheaper node is found, ordered, and joins."""
    command = e.Command("single/1/gpu-a1", "single", "Underutilized", ("gpu-a1",), (), (("g4dn.xlarge",),), 0.0712)
    script.at(90_000).decided(notes=(e.CommandProposed(command, script.now + 15_000),))
    started = replace(command, replacements=("gpu-b2",))
    order = a.CreateClaim(claim("gpu-b2"), "underutilized", ("ml/web-0", "ml/web-1"))
    script.at(90_015).decided(order, notes=(e.CommandStarted(started, script.now),)).told(e.Changed(claim("gpu-b2")))
    script.decided(a.LaunchInstance(claim("gpu-b2")))
    script.at(90_017).told(created("gpu-b2", 0.3112, "g4dn.xlarge"), e.Changed(claim("gpu-b2", "Launched")))
    join(script, "gpu-b2", 90_030)


def reclaim(script: Script) -> None:
    """EC2 takes the first one back before its disruption is through."""
    phases = ("Launched", "Registered", "Initialized")
    script.at(90_100).told(e.Interrupted(IDS["gpu-a1"], "spot_interrupted"))
    script.at(90_101).decided(a.DeleteClaim("gpu-a1", "spot_interrupted"))
    script.told(e.Changed(claim("gpu-a1", *phases, gone="2026-01-06T01:01:41Z")))
    for seconds in (0.1, 0.3, 0.7):
        for name in ("web-0", "web-1"):
            script.at(90_101 + seconds).decided(
                a.Evict(f"ml/{name}", f"uid-{name}", NODES["gpu-a1"], "spot_interrupted")
            )
            script.told(e.EvictionAnswered(f"ml/{name}", REFUSED if name == "web-1" and seconds < 0.5 else ""))
    for name in ("web-0", "web-1"):
        script.fact("pod-evicted", f"Pod/ml/{name}", node="ip-10-0-0-1", budget="web")
    script.at(90_120).fact(
        "work-lost", "Pod/ml/web-0", uid="uid-web-0", node="ip-10-0-0-1", gpus=1, why="deleted", seconds=754.0
    )
    script.at(90_131).told(e.Gone("Pod", "ml/web-0"), e.Gone("Pod", "ml/web-1"))
    script.at(90_132).told(e.Changed(claim("gpu-a1", *phases, "Drained", gone="2026-01-06T01:01:41Z")))
    script.at(90_133).told(
        e.Changed(claim("gpu-a1", *phases, "Drained", "InstanceTerminating", gone="2026-01-06T01:01:41Z"))
    )
    instance(script, "instance-ended", "gpu-a1", why="terminated")
    script.at(90_160).told(e.Gone("Node", "ip-10-0-0-1"), e.Gone("NodeClaim", "gpu-a1"))
    script.decided(notes=(e.CommandEnded("single/1/gpu-a1"),))


def script() -> Script:
    """The whole."""
    made = Script(scenario="two nodes")
    bare = Node(metadata=ObjectMeta(name="system-1", labels={INSTANCE_TYPE: "m5.large"}))
    made.told(e.Changed(bare), e.Changed(pod("dns-0", "system-1")))
    for part in (start, work, replace_it, reclaim):
        part(made)
    made.at(93_600)
    instance(made, "instance-billed", "gpu-a1", nano_usd=9_567_000_000)
    instance(made, "instance-billed", "gpu-b2", nano_usd=308_600_000)
    return made.fact("run-ended", "Run/two nodes", nano_usd={"total": 9_875_600_000})
