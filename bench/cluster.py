"""Clusters for the benchmarks of the simulator: a state full of machines, and a scenario that fills and churns."""

from __future__ import annotations

import tempfile
from pathlib import Path
from random import Random
from typing import Any

import msgspec

from fretsaw.api.catalog import InstanceType
from fretsaw.api.manifest import parse
from fretsaw.api.meta import Condition, ObjectMeta, OwnerReference
from fretsaw.api.node import Node, NodeSpec, NodeStatus
from fretsaw.api.nodeclaim import NodeClaim, NodeClaimSpec, NodeClaimStatus
from fretsaw.api.pod import Container, Pod, PodSpec, PodStatus, ResourceRequirements
from fretsaw.api.resources import units
from fretsaw.api.times import Millis, millis
from fretsaw.engine import events as e
from fretsaw.engine.state import ClusterState
from fretsaw.planner import cluster_of

POOL = """
apiVersion: karpenter.sh/v1
kind: NodePool
metadata: {name: general}
spec:
  template:
    spec:
      nodeClassRef: {group: karpenter.k8s.aws, kind: EC2NodeClass, name: default}
      requirements:
      - key: node.kubernetes.io/instance-type
        operator: In
        values: [m6i.2xlarge, c6i.2xlarge, r6i.2xlarge, m6i.4xlarge]
      - {key: karpenter.sh/capacity-type, operator: In, values: [on-demand]}
  disruption: {consolidateAfter: 1m, budgets: [{nodes: 10%}]}
"""
TYPES = ("m6i.2xlarge", "c6i.2xlarge", "r6i.2xlarge", "m6i.4xlarge")
PODS = 10
STAMP = "2026-01-05T00:00:00Z"


def state_of(nodes: int, *, spare: bool) -> tuple[ClusterState, Millis]:
    """(a cluster of so many machines with ten pods each, the time). spare: pods ask for half of what there is.

    Full machines are of the cheapest type for their pods, so that no replacement is cheaper either.
    """
    cluster = cluster_of(parse(POOL))
    state = ClusterState()
    state.apply(e.Changed(cluster.pools[0]))
    catalog = cluster.catalogs["general"]
    state.apply(e.CatalogRead(("general",), catalog))
    types = {t.name: t for t in catalog.instance_types}
    random = Random(1)
    for number in range(nodes):
        machine = types[TYPES[number % len(TYPES)]]
        _add(state, number, machine, cluster.pools[0].spec.template.spec.node_class_ref, spare, random)
    return state, millis(STAMP) + 3_600_000


def _add(state: ClusterState, number: int, machine: InstanceType, ref: Any, spare: bool, random: Random) -> None:
    zone = ("us-east-1a", "us-east-1b", "us-east-1c")[number % 3]
    name = f"general-{number:05}"
    labels = {key: values[0] for key, values in machine.labels.items() if len(values) == 1}
    labels |= {
        "karpenter.sh/nodepool": "general",
        "karpenter.sh/capacity-type": "on-demand",
        "karpenter.sh/registered": "true",
        "karpenter.sh/initialized": "true",
        "node.kubernetes.io/instance-type": machine.name,
        "topology.kubernetes.io/zone": zone,
        "kubernetes.io/hostname": name,
    }
    truths = ("Launched", "Registered", "Initialized", "Consolidatable")
    conditions = tuple(Condition(t, "True", t, last_transition_time=STAMP) for t in truths)
    allocatable = {
        r: units(r, q, up=False) - units(r, machine.overhead.get(r, "0")) for r, q in machine.capacity.items()
    }
    provider_id = f"aws:///{zone}/i-{number:017x}"
    shown = {"cpu": f"{allocatable['cpu']}m", "memory": str(allocatable["memory"]), "pods": "58"}
    state.apply(
        e.Changed(
            NodeClaim(
                ObjectMeta(name, labels=labels, uid=f"c{number}", creation_timestamp=STAMP),
                spec=NodeClaimSpec(ref, ()),
                status=NodeClaimStatus(name, provider_id, capacity=shown, allocatable=shown, conditions=conditions),
            )
        )
    )
    ready = (Condition("Ready", "True", last_transition_time=STAMP),)
    state.apply(
        e.Changed(
            Node(ObjectMeta(name, labels=labels), NodeSpec(provider_id=provider_id), NodeStatus(shown, shown, ready))
        )
    )
    share = 0.5 if spare else 0.97
    for k in range(PODS):
        cpu = int(allocatable["cpu"] * share / PODS * random.uniform(0.95, 1.0))
        memory = int(allocatable["memory"] * share / PODS * random.uniform(0.95, 1.0)) >> 20
        asked = ResourceRequirements(requests={"cpu": f"{cpu // 10 * 10}m", "memory": f"{memory // 16 * 16}Mi"})
        spec = PodSpec(containers=(Container("c", resources=asked),), node_name=name)
        owner = OwnerReference("ReplicaSet", "web", "rs", controller=True)
        metadata = ObjectMeta(
            f"web-{number}-{k}", "default", {"app": "web"}, uid=f"p{number}-{k}", owner_references=(owner,)
        )
        state.apply(e.Changed(Pod(metadata, spec, PodStatus("Running"))))


CHURN = """
scenario: growth-{nodes}
start: 2026-01-05T00:00:00Z
for: {minutes}m
cluster:
  objects:
    - {pool}
    - apiVersion: karpenter.k8s.aws/v1
      kind: EC2NodeClass
      metadata: {{name: default}}
      spec:
        amiSelectorTerms: [{{alias: al2023@latest}}]
        role: nodes
        subnetSelectorTerms: [{{tags: {{a: b}}}}]
        securityGroupSelectorTerms: [{{tags: {{a: b}}}}]
work:
  - for: job/default/*
    runs: {{low: 5m, typical: 10m, high: 15m}}
  - arrivals: {{poisson: {rate}/h}}
    make:
      apiVersion: batch/v1
      kind: Job
      metadata: {{name: work}}
      spec:
        template:
          spec:
            restartPolicy: Never
            containers: [{{name: c, image: work:1, resources: {{requests: {{cpu: 700m, memory: 2500Mi}}}}}}]
cloud: {{spot: {{reclaims: off}}}}
"""


def churning(nodes: int, minutes: int = 60) -> Path:
    """A scenario file in which about `nodes` machines of ten pods each come and go: sixty pods an hour each."""
    import json

    pool = msgspec.yaml.decode(POOL.encode())
    need = [
        {"key": "karpenter.k8s.aws/instance-category", "operator": "In", "values": ["m"]},
        {"key": "karpenter.k8s.aws/instance-cpu", "operator": "In", "values": ["8"]},
        {"key": "karpenter.sh/capacity-type", "operator": "In", "values": ["on-demand"]},
    ]
    pool["spec"]["template"]["spec"]["requirements"] = need
    text = CHURN.format(nodes=nodes, minutes=minutes, pool=json.dumps(pool), rate=nodes * 60)
    path = Path(tempfile.mkdtemp()) / f"growth-{nodes}.yaml"
    path.write_text(text)
    return path
