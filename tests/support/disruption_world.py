"""A cluster for disruption cases in a few words, and a world that performs what a look asks for.

Times in cases are spans: `10m` before now for what has happened, after the start for what is expected.
"""

from __future__ import annotations

from typing import Any

import msgspec

from fretsaw.api.capacitybuffer import CapacityBuffer, CapacityBufferSpec
from fretsaw.api.catalog import Catalog, InstanceType, Offering
from fretsaw.api.meta import Condition, ObjectMeta
from fretsaw.api.node import Node, NodeSpec, NodeStatus, Taint
from fretsaw.api.nodeclaim import NodeClaim, NodeClaimSpec, NodeClaimStatus
from fretsaw.api.nodepool import NodePool
from fretsaw.api.pod import Pod
from fretsaw.api.policy import PodDisruptionBudget
from fretsaw.api.selection import NodeClassRef
from fretsaw.api.times import Millis, millis, rfc3339, span
from fretsaw.engine import actions as a
from fretsaw.engine import events as e
from fretsaw.engine.disruption.ask import WhatIf
from fretsaw.engine.disruption.loop import Disruption, disrupt
from fretsaw.engine.options import Options
from fretsaw.engine.pool_hash import HASH, HASH_VERSION, VERSION, pool_hash
from fretsaw.engine.settings import Settings
from fretsaw.engine.state import ClusterState
from fretsaw.engine.taints import DISRUPTED
from support.plain_whatif import PlainWhatIf

replace = msgspec.structs.replace
Obj = dict[str, Any]
START = millis("2026-06-03T12:00:00Z")
"""A Wednesday noon."""
CLASS = NodeClassRef("karpenter.k8s.aws", "EC2NodeClass", "default")
ZONES = ("z-a", "z-b")


def ago(text: str | None, now: Millis = START) -> str | None:
    """The time so long before now."""
    return None if text is None else rfc3339(now - (span(text) or 0))


def instance_type(name: str, cpu: int, price: float, spot: float | None = None, **more: Any) -> InstanceType:
    """A type with 4 GiB a core, on sale in both zones. more: `reserved` (a price), `out` (capacity types not on sale),
    `dearer` (by how much more it costs in z-b)."""
    prices = {"on-demand": price, "spot": spot, "reserved": more.get("reserved")}
    out = more.get("out", ())
    offerings = [
        Offering(zone, capacity, float(cost) + (more.get("dearer", 0.0) if zone == "z-b" else 0.0), available=capacity not in out, reservation_capacity=1 if capacity == "reserved" else None)
        for zone in ZONES
        for capacity, cost in prices.items()
        if cost is not None
    ]  # fmt: skip
    labels = {"kubernetes.io/arch": ["amd64"], "kubernetes.io/os": ["linux"]}
    return InstanceType(name, {"cpu": str(cpu), "memory": f"{4 * cpu}Gi", "pods": "30"}, {}, labels, offerings)


FLEET = Catalog([instance_type(n, c, c / 20, c / 50) for n, c in (("s", 2), ("m", 4), ("l", 8), ("xl", 16))])
"""s, m, l and xl with 2, 4, 8 and 16 cores: 0.05 USD a core and hour on demand, 0.02 as spot."""
MANY = Catalog([instance_type(f"t{i:02}", 4, 0.1 + i / 100, 0.02 + i / 1000) for i in range(30)])
"""Thirty types of the same size, each a little dearer than the one before: 0.10 to 0.39, spot 0.02 to 0.049."""
CATALOGS = {"fleet": FLEET, "many": MANY}


def catalog(given: Any) -> Catalog:
    """A named catalog, or one of `{name: {cpu, price, spot, …}}`."""
    if isinstance(given, str):
        return CATALOGS[given]
    return Catalog([instance_type(name, **fields) for name, fields in given.items()])


def pool(name: str, given: Obj) -> NodePool:
    """A NodePool. given: after, policy, budgets, replicas, limits, grace, expire, labels, taints, requirements."""
    disruption: Obj = {"consolidateAfter": given.get("after", "0s")}
    disruption |= {"consolidationPolicy": given["policy"]} if "policy" in given else {}
    disruption["budgets"] = given.get("budgets", [{"nodes": "100%"}])
    spec = {
        "nodeClassRef": msgspec.to_builtins(CLASS),
        "requirements": [*map(_requirement, given.get("requirements", ()))],
    }
    spec |= {"expireAfter": given.get("expire", "Never"), "taints": given.get("taints", [])}
    spec |= {"terminationGracePeriod": given["grace"]} if "grace" in given else {}
    body = {"template": {"metadata": {"labels": given.get("labels", {})}, "spec": spec}, "disruption": disruption}
    body |= {key: given[key] for key in ("replicas", "limits", "weight") if key in given}
    made = msgspec.convert({"metadata": {"name": name, "uid": f"uid-{name}"}, "spec": body}, NodePool)
    annotations = {HASH: given.get("hash", pool_hash(made)), HASH_VERSION: VERSION}
    return replace(made, metadata=replace(made.metadata, annotations=annotations))


def _requirement(text: str | Obj) -> Obj:
    """`key In a b` as a requirement."""
    if not isinstance(text, str):
        return text
    key, operator, *values = text.split()
    short = {
        "capacity": "karpenter.sh/capacity-type",
        "type": "node.kubernetes.io/instance-type",
        "zone": "topology.kubernetes.io/zone",
    }
    return {"key": short.get(key, key), "operator": operator, "values": values}


def pod(name: str, given: Obj, node: str = "") -> Pod:
    """A pod of 1 core unless said otherwise. given: cpu, labels, protect, started, priority, cost, owner, phase,
    ready, deleting, tolerate, waiting."""
    annotations = {"karpenter.sh/do-not-disrupt": str(given["protect"])} if "protect" in given else {}
    annotations |= {"controller.kubernetes.io/pod-deletion-cost": str(given["cost"])} if "cost" in given else {}
    owner = given.get("owner", "ReplicaSet")
    head: Obj = {
        "name": name,
        "namespace": "default",
        "uid": f"uid-{name}",
        "labels": given.get("labels", {}),
        "annotations": annotations,
    }
    head["ownerReferences"] = [
        {"kind": owner, "name": "o", "uid": f"o-{owner}", "apiVersion": "apps/v1", "controller": True}
    ]
    if given.get("deleting"):
        head["deletionTimestamp"] = ago("1s")
    requests = {"cpu": str(given.get("cpu", 1)), "memory": "1Gi"}
    spec: Obj = {"containers": [{"name": "main", "resources": {"requests": requests}}], "nodeName": node}
    spec |= {"priority": given["priority"]} if "priority" in given else {}
    spec["tolerations"] = [{"key": "karpenter.sh/disrupted", "operator": "Exists"}] if given.get("tolerate") else []
    spec["tolerations"] += given.get("tolerations", [])
    spec["nodeSelector"] = given.get("selector", {})
    ready = "True" if given.get("ready", True) else "False"
    status: Obj = {
        "phase": given.get("phase", "Running" if node else "Pending"),
        "conditions": [{"type": "Ready", "status": ready}] if node else [],
    }
    if node and given.get("started", "1h") is not None:
        status["startTime"] = ago(given.get("started", "1h"))
    if not node:
        status["conditions"] = [{"type": "PodScheduled", "status": "False", "reason": "Unschedulable"}]
    return msgspec.convert({"metadata": head, "spec": spec, "status": status}, Pod)


def pods(prefix: str, given: list[Obj], node: str = "") -> list[Pod]:
    """Pods of a list; `count` of one entry makes several."""
    found: list[Pod] = []
    for entry in given or ():
        for _ in range(entry.get("count", 1)):
            found.append(pod(entry.get("name", f"{prefix}-{len(found)}"), entry, node))
    return found


def machine(name: str, given: Obj, of: NodePool | None) -> tuple[NodeClaim | None, Node | None]:
    """A claim and its node, initialised and Consolidatable a day ago unless said otherwise.

    given: pool, type, capacity, zone, age, initialized, ready, consolidatable, drifted (since when), deleting,
    terminating, annotations, labels, taints, podEvent, unmanaged, noNode, hash, claimLabels.
    """
    capacity = given.get("capacity", "on-demand")
    labels: Obj = {
        "karpenter.sh/nodepool": given.get("pool", "main"),
        CLASS.label: CLASS.name,
        "kubernetes.io/arch": "amd64",
        "kubernetes.io/os": "linux",
    }
    labels |= {"node.kubernetes.io/instance-type": given.get("type", "m"), "karpenter.sh/capacity-type": capacity}
    labels |= {"topology.kubernetes.io/zone": given.get("zone", "z-a"), **given.get("labels", {})}
    labels = {key: value for key, value in labels.items() if value is not None}
    cores = given.get("cores", {"s": 2, "m": 4, "l": 8, "xl": 16}.get(given.get("type", "m"), 4))
    room: Obj = {"cpu": str(cores), "memory": f"{4 * cores}Gi", "pods": "30"}
    initialized = given.get("initialized", True)
    node_labels = labels | {"kubernetes.io/hostname": f"n-{name}", "karpenter.sh/registered": "true"}
    node_labels |= {"karpenter.sh/initialized": "true"} if initialized else {}
    provider = f"aws:///{given.get('zone', 'z-a')}/i-{name}"
    since, age = ago("24h"), ago(given.get("age", "24h"))
    conditions = [
        Condition("Launched", "True", last_transition_time=since),
        Condition("Registered", "True", last_transition_time=since),
    ]
    if initialized:
        conditions.append(Condition("Initialized", "True", last_transition_time=ago(given.get("readySince", "24h"))))
    if given.get("consolidatable", True):
        conditions.append(Condition("Consolidatable", "True", last_transition_time=since))
    if "drifted" in given:
        conditions.append(Condition("Drifted", "True", "NodePoolDrifted", "NodePoolDrifted", ago(given["drifted"])))
    if given.get("terminating"):
        conditions.append(Condition("InstanceTerminating", "True", last_transition_time=since))
    if given.get("reason"):
        conditions.append(Condition("DisruptionReason", "True", given["reason"], last_transition_time=since))
    template = of.spec.template.spec if of is not None else None
    claim = NodeClaim(
        metadata=ObjectMeta(
            name=name,
            labels=labels,
            annotations={HASH: given.get("hash", of.metadata.annotations[HASH] if of is not None else ""), HASH_VERSION: VERSION},
            creation_timestamp=age,
            deletion_timestamp=ago("1s") if given.get("deleting") else None,
        ),
        spec=NodeClaimSpec(CLASS, (), expire_after=given.get("expire", "Never"), termination_grace_period=template.termination_grace_period if template else None),
        status=NodeClaimStatus(f"n-{name}", provider, capacity=room, allocatable=room, conditions=tuple(conditions), last_pod_event_time=ago(given.get("podEvent"))),
    )  # fmt: skip
    taints = (*((DISRUPTED,) if given.get("tainted") else ()), *(msgspec.convert(given.get("taints", []), list[Taint])))
    node = Node(
        metadata=ObjectMeta(
            name=f"n-{name}",
            labels=node_labels,
            annotations=given.get("annotations", {}),
            creation_timestamp=age,
            deletion_timestamp=ago("1s") if given.get("deleting") else None,
        ),
        spec=NodeSpec(taints=taints, provider_id=provider),
        status=NodeStatus(room, room, (Condition("Ready", "True" if given.get("ready", True) else "False"),)),
    )
    return None if given.get("unmanaged") else claim, None if given.get("noNode") else node


def budget(name: str, given: Obj) -> PodDisruptionBudget:
    """A PodDisruptionBudget over pods with labels. given: match, allowed (its status), and fields of its spec."""
    fields = {key: value for key, value in given.items() if key not in ("match", "allowed")}
    spec = {"selector": {"matchLabels": given.get("match", {})}, **fields}
    status = {"disruptionsAllowed": given["allowed"]} if "allowed" in given else {}
    return msgspec.convert(
        {"metadata": {"name": name, "namespace": "default"}, "spec": spec, "status": status}, PodDisruptionBudget
    )


class World:
    """A state, the time, and what became of all looks."""

    def __init__(self, given: Obj, now: Millis = START) -> None:
        self.now = now
        self.state = ClusterState()
        self.options = Options(
            placing=Settings(packing="first-fit"),
            spot_to_spot=given.get("spotToSpot", False),
            validation=span(given.get("validation", "15s")) or 0,
        )
        self.all_actions: list[a.Action] = []
        self.all_notes: list[e.Event] = []
        self.questions: list[frozenset[str]] = []
        self._pools = {name: pool(name, fields or {}) for name, fields in given.get("pools", {"main": {}}).items()}
        for name, made in self._pools.items():
            self.state.apply(e.Changed(made))
            fields = given.get("pools", {}).get(name) or {}
            if not fields.get("unresolved"):
                self.state.apply(e.CatalogRead((name,), catalog(fields.get("catalog", given.get("catalog", "fleet")))))
        for name, fields in given.get("pdbs", {}).items():
            self.state.apply(e.Changed(budget(name, fields)))
        for name, fields in given.get("machines", {}).items():
            for one in range(fields.get("count", 1)) if fields else range(1):
                self.add(f"{name}{one}" if fields and "count" in fields else name, fields or {})
        for one_pod in pods("waiting", given.get("waiting", [])):
            self.state.apply(e.Changed(one_pod))
        for name, text in given.get("nominated", {}).items():
            self.state.apply(e.Nominated(name, now + (span(text) or 0)))
        if "buffered" in given:
            self.state.apply(e.Changed(CapacityBuffer(metadata=ObjectMeta(name="room"), spec=CapacityBufferSpec())))
            self.state.apply(e.BatchDone(now, frozenset(), buffered=frozenset(given["buffered"])))

    def add(self, name: str, fields: Obj) -> None:
        """One more machine with its pods."""
        claim, node = machine(name, fields, self._pools.get(fields.get("pool", "main")))
        for obj in (claim, node):
            if obj is not None:
                self.state.apply(e.Changed(obj))
        for one in pods(name, fields.get("pods", []), f"n-{name}"):
            self.state.apply(e.Changed(one))

    def ask(self) -> WhatIf:
        """What-if on the state as it is."""
        return PlainWhatIf(self.state, self.now, self.options.placing)

    def look(self) -> Disruption:
        """One look, performed."""
        ask = self.ask()
        found = disrupt(self.state, self.options, self.now, ask)
        assert disrupt(self.state, self.options, self.now, self.ask()) == found, "the same look differs"
        if isinstance(ask, PlainWhatIf):
            self.questions += ask.asked
        for note in found.notes:
            self.state.apply(note)
        for action in found.actions:
            self._perform(action)
        self.all_notes += found.notes
        self.all_actions += found.actions
        return found

    def settle(self) -> list[Disruption]:
        """Looks until none wants another one now."""
        looks = [self.look()]
        while looks[-1].wake is not None and looks[-1].wake <= self.now:
            assert len(looks) < 50, "the loop does not come to rest"
            looks.append(self.look())
        return looks

    def _perform(self, action: a.Action) -> None:
        match action:
            case a.CreateClaim(claim):
                stamped = replace(claim.metadata, creation_timestamp=rfc3339(self.now))
                self.state.apply(e.Changed(replace(claim, metadata=stamped)))
            case a.UpdateClaim(obj) | a.UpdateNode(obj):
                self.state.apply(e.Changed(obj))
            case a.DeleteClaim(name):
                claim = self.state.claims[name]
                gone = replace(claim.metadata, deletion_timestamp=rfc3339(self.now))
                self.state.apply(e.Changed(replace(claim, metadata=gone)))
            case a.Tell():
                pass
            case _:
                raise AssertionError(f"a disruption does not {action}")

    def boot(self, name: str, *, initialized: bool = True) -> None:
        """Let an ordered claim become a machine of its first type."""
        claim = self.state.claims[name]
        asked = {r.key: r.values for r in claim.spec.requirements}
        fields = {
            "pool": claim.metadata.labels["karpenter.sh/nodepool"],
            "type": next(iter(asked.get("node.kubernetes.io/instance-type", ("m",)))),
            "capacity": next(iter(asked.get("karpenter.sh/capacity-type", ("on-demand",)))),
            "initialized": initialized,
            "consolidatable": False,
        }
        self.add(name, fields)
