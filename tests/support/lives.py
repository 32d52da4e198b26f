"""Lifecycle cases: claims, nodes and pods in a line each, what a look at them wants, and what comes of it.

A text `@5m` is the time 5 minutes after the beginning. See `tests/lifecycle` for the words of the cases.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from fretsaw.api.meta import Condition, Object
from fretsaw.api.node import Node, VolumeAttachment
from fretsaw.api.nodeclaim import NodeClaim
from fretsaw.api.nodeclass import EC2NodeClass
from fretsaw.api.nodepool import NodePool
from fretsaw.api.pod import Pod
from fretsaw.api.storage import PersistentVolumeClaim
from fretsaw.api.times import Millis, rfc3339, span
from fretsaw.engine import actions as a
from fretsaw.engine import events as e
from fretsaw.engine.options import Options
from support.performer import CAPACITY, START, Performer

Obj = dict[str, Any]
KINDS: dict[str, type[Object]] = {
    kind.__name__: kind
    for kind in (Node, NodeClaim, NodePool, EC2NodeClass, Pod, VolumeAttachment, PersistentVolumeClaim)
}
STAGES = ("created", "launched", "registered", "initialized")
_CONDITIONS = ("Launched", "Registered", "Initialized")
_MESSAGES = {"NodeNotFound": "Node not registered with cluster", "NodeNotReady": "Node is False for Ready"}
_TERMINATION = "karpenter.sh/termination"
_CLASS = {"group": "karpenter.k8s.aws", "kind": "EC2NodeClass", "name": "default"}


def moment(text: str) -> Millis:
    """`@5m` as a time."""
    length = span(text.removeprefix("@"))
    assert length is not None
    return START + length


def dated(tree: Any) -> Any:
    """A tree with its `@` texts as RFC 3339 texts."""
    if isinstance(tree, str) and tree.startswith("@"):
        return rfc3339(moment(tree))
    if isinstance(tree, dict):
        return {key: dated(value) for key, value in tree.items()}
    return [dated(item) for item in tree] if isinstance(tree, list) else tree


def provider_id(claim: str) -> str:
    """The id of a claim's instance."""
    return f"aws:///z-a/i-{claim}"


def claim_of(short: Obj) -> Obj:
    """`{name, stage, pool, deleted, finalizer, conditions: {Type: 'Status Reason @when'}, …}` as a NodeClaim."""
    stage = STAGES.index(short.get("stage", "initialized"))
    conditions = {
        type_: f"True {type_} @{index + 1}s" if index < stage else "Unknown AwaitingReconciliation @0s"
        for index, type_ in enumerate(_CONDITIONS)
    }
    conditions["Ready"] = "True Ready @3s" if stage == len(STAGES) - 1 else "Unknown ReconcilingDependents @0s"
    if stage == len(STAGES) - 1:
        conditions["ConsistentStateFound"] = "True ConsistentStateFound @3s"
    conditions |= short.get("conditions", {})
    status: Obj = {"conditions": [_condition(type_, text) for type_, text in conditions.items()]}
    if stage:
        status |= {"providerID": provider_id(short["name"]), "capacity": CAPACITY, "allocatable": CAPACITY}
    labels = {"karpenter.k8s.aws/ec2nodeclass": "default"}
    if short.get("pool", "main"):
        labels["karpenter.sh/nodepool"] = short.get("pool", "main")
    return {
        "kind": "NodeClaim",
        "metadata": {
            **_head(short),
            "uid": f"uid-{short['name']}",
            "finalizers": [_TERMINATION] if short.get("finalizer", True) else [],
            "labels": labels | short.get("labels", {}),
        },
        "spec": {"nodeClassRef": _CLASS, "requirements": [], **short.get("spec", {})},
        "status": {**status, **short.get("status", {})},
    }


def node_of(short: Obj) -> Obj:
    """`{name, of, stage, ready, since, taints, deleted, finalizer, …}` as the Node of a claim at that stage."""
    stage = STAGES.index(short.get("stage", "initialized"))
    labels = {}
    if stage >= STAGES.index("registered"):
        labels = {"karpenter.sh/registered": "true", "karpenter.k8s.aws/ec2nodeclass": "default"}
        labels |= {"karpenter.sh/nodepool": "main"}
    if stage == len(STAGES) - 1:
        labels["karpenter.sh/initialized"] = "true"
    taints = [*short.get("taints", [])]
    if stage < STAGES.index("registered") and short.get("unregistered", True):
        taints.append("karpenter.sh/unregistered:NoExecute")
    ready = {"type": "Ready", "status": str(short.get("ready", True)), "lastTransitionTime": short.get("since", "@2s")}
    finalizers = [_TERMINATION] if short.get("finalizer", stage >= STAGES.index("registered")) else []
    return {
        "kind": "Node",
        "metadata": {**_head(short), "labels": labels | short.get("labels", {}), "finalizers": finalizers},
        "spec": {"providerID": provider_id(short.get("of", "")), "taints": [_taint(text) for text in taints]},
        "status": {
            "capacity": short.get("capacity", CAPACITY),
            "allocatable": short.get("capacity", CAPACITY),
            "conditions": [ready, *short.get("conditions", [])],
        },
    }


def pod_of(short: Obj) -> Obj:
    """`{name, node, owner, grace, protected, critical, tolerates, deleted, phase, volume, started}` as a Pod."""
    tolerations = {
        "all": [{"operator": "Exists"}],
        "disrupted": [{"key": "karpenter.sh/disrupted", "operator": "Exists"}],
    }
    owner = short.get("owner", "ReplicaSet")
    head: Obj = {
        **_head(short),
        "namespace": "default",
        "uid": f"uid-{short['name']}",
        "ownerReferences": [{"kind": owner, "name": "owner", "uid": "uid-owner", "controller": True}],
    }
    if "protected" in short:
        head["annotations"] = {"karpenter.sh/do-not-disrupt": short["protected"]}
    if "given" in short:
        head["deletionGracePeriodSeconds"] = short["given"]
    spec: Obj = {"nodeName": short.get("node", ""), "tolerations": tolerations.get(short.get("tolerates", ""), [])}
    spec["terminationGracePeriodSeconds"] = short.get("grace", 30)
    if short.get("critical"):
        spec["priorityClassName"] = "system-cluster-critical"
    if "volume" in short:
        spec["volumes"] = [{"name": "data", "persistentVolumeClaim": {"claimName": short["volume"]}}]
    status = {"phase": short.get("phase", "Running"), "startTime": short.get("started", "@0s")}
    return {"kind": "Pod", "metadata": head, "spec": spec, "status": status}


def pool_of(short: Obj) -> Obj:
    """`{name, after, replicas, limits, ready, status, generation, …}` as a NodePool."""
    spec: Obj = {
        "template": {"spec": {"nodeClassRef": _CLASS, "requirements": [], **short.get("template", {})}},
        "disruption": {"consolidateAfter": short.get("after", "0s")},
    }
    spec |= {key: short[key] for key in ("replicas", "limits") if key in short}
    conditions = {"Ready": f"{short.get('ready', True)} Ready @0s"} | short.get("conditions", {})
    status = {"conditions": [_condition(t, text) for t, text in conditions.items()], **short.get("status", {})}
    head = {**_head(short), "uid": f"uid-{short['name']}", "generation": short.get("generation", 1)}
    return {"kind": "NodePool", "metadata": head, "spec": spec, "status": status}


_SHORT = {"claims": claim_of, "nodes": node_of, "pods": pod_of, "pools": pool_of}


def objects_of(given: Obj) -> Iterator[Object]:
    """The objects of a case."""
    trees = [make(short) for kind, make in _SHORT.items() for short in given.get(kind, [])]
    for tree in [*trees, *given.get("objects", [])]:
        tree = dated(tree)
        yield msgspec.convert(tree, KINDS[tree.pop("kind")])


def events_of(given: Obj) -> Iterator[e.Event]:
    """The events of a case, each a map with one key."""
    for item in given.get("events", []):
        ((what, body),) = item.items()
        match what:
            case "launched":
                labels = {"topology.kubernetes.io/zone": "z-a"}
                yield e.InstanceCreated(body, provider_id(body), labels, dict(CAPACITY), dict(CAPACITY), "ami-1")
            case "refused":
                yield e.LaunchRefused(body["claim"], body["kind"], body.get("message", ""), body.get("reason", ""))
            case "gone":
                yield e.InstanceGone(provider_id(body))
            case "listed":
                yield e.InstancesListed(frozenset(map(provider_id, body)))
            case "interrupted":
                yield e.Interrupted(provider_id(body["of"]), body["kind"])
            case "checked":
                yield e.Checked(body[0], body[1], moment(body[2]))
            case "evicted":
                yield e.EvictionAnswered(body["pod"], body.get("refused", ""))
            case "health":
                for well in body["results"]:
                    yield e.Registered(body["pool"], well)
            case "command":
                command = e.Command("c", "static-drift", "Drifted", tuple(body))
                yield e.CommandStarted(command, START)
            case _:
                raise AssertionError(f"no such event: {what}")


def world_of(given: Obj, options: Obj) -> Performer:
    """The world of a case, its clock at `at`."""
    world = Performer(Options(**options), START)
    world.loop.run(moment(given["at"]))
    for obj in objects_of(given):
        if isinstance(obj, NodeClaim) and obj.status.provider_id:
            world.instances[obj.status.provider_id] = obj.metadata.name
        world.store.put(obj)
    if not given.get("fresh"):
        world.state.pods_moved.clear()
    world.guarded.update(given.get("guarded", []))
    for event in events_of(given):
        world.state.apply(event)
    return world


def texts(actions: tuple[a.Action, ...]) -> list[str]:
    """Actions in a line each."""
    return [_text(action) for action in actions]


def _text(action: a.Action) -> str:
    name = type(action).__name__
    match action:
        case a.CreateClaim(claim, reason):
            return f"{name} {reason}"
        case a.UpdateClaim(obj) | a.UpdateNode(obj) | a.UpdatePool(obj):
            return f"{name} {obj.metadata.name}"
        case a.LaunchInstance(claim):
            return f"{name} {claim.metadata.name}"
        case a.DeleteClaim(about, reason):
            return f"{name} {about} {reason}"
        case a.DeleteNode(about):
            return f"{name} {about}"
        case a.TerminateInstance(_, claim):
            return f"{name} {claim}"
        case a.Evict(pod, _, _, reason):
            return f"{name} {pod.removeprefix('default/')} {reason}"
        case a.DeletePod(pod, _, grace_s):
            return f"{name} {pod.removeprefix('default/')} {grace_s}s"
        case a.Tell(about, reason):
            return f"{name} {about} {reason}"
    raise AssertionError(f"no such action: {action}")


def condition_texts(conditions: tuple[Condition, ...]) -> dict[str, str]:
    """Conditions as `Status Reason`."""
    return {c.type: f"{c.status} {c.reason}".strip() for c in conditions}


def _condition(type_: str, text: str) -> Obj:
    status, _, rest = text.partition(" ")
    reason, _, when = rest.rpartition(" ")
    return {
        "type": type_,
        "status": status,
        "reason": reason,
        "message": _MESSAGES.get(reason, ""),
        "lastTransitionTime": when or "@0s",
        "observedGeneration": 1,
    }


def _head(short: Obj) -> Obj:
    head: Obj = {"name": short["name"], "creationTimestamp": short.get("created", "@0s"), "generation": 1}
    if "deleted" in short:
        head["deletionTimestamp"] = short["deleted"]
    if "annotations" in short:
        head["annotations"] = short["annotations"]
    if "owners" in short:
        head["ownerReferences"] = short["owners"]
    return head


def _taint(text: str) -> Obj:
    body, _, effect = text.rpartition(":")
    key, _, value = body.partition("=")
    return {"key": key, "value": value, "effect": effect}
