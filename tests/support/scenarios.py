"""Small scenarios and results for tests of scenario files."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import Any

from fretsaw.sim.scenario.read import Reading, parse

CLUSTER = """
cluster:
  objects:
    - apiVersion: karpenter.sh/v1
      kind: NodePool
      metadata: {name: gpu}
      spec:
        template:
          spec:
            nodeClassRef: {group: karpenter.k8s.aws, kind: EC2NodeClass, name: al2023}
            requirements: [{key: karpenter.sh/capacity-type, operator: In, values: [spot]}]
            startupTaints: [{key: cni/not-ready, effect: NoSchedule}]
    - apiVersion: karpenter.k8s.aws/v1
      kind: EC2NodeClass
      metadata: {name: al2023}
      spec:
        amiSelectorTerms: [{alias: al2023@latest}]
        role: node
        subnetSelectorTerms: [{tags: {a: b}}]
        securityGroupSelectorTerms: [{tags: {a: b}}]
    - apiVersion: apps/v1
      kind: Deployment
      metadata: {name: web, namespace: serving}
      spec:
        selector: {matchLabels: {app: web}}
        template:
          metadata: {labels: {app: web}}
          spec: {containers: [{name: main, image: web, resources: {requests: {cpu: "2", memory: 1Gi}}}]}
    - apiVersion: batch/v1
      kind: Job
      metadata: {name: train, namespace: ml}
      spec:
        template:
          spec: {restartPolicy: Never, containers: [{name: main, image: train}]}
"""
JOB = "{apiVersion: batch/v1, kind: Job, metadata: {name: tune, namespace: ml}, spec: {template: {spec: {restartPolicy: Never, containers: [{name: a, image: a}]}}}}"


def scenario(more: str = "", folder: Path | str = ".") -> Reading:
    """A scenario with one pool, a service `serving/web`, a job `ml/train`, and what `more` says."""
    return parse("scenario: small\n" + textwrap.dedent(more) + CLUSTER, "small.yaml", folder)


def problems(more: str, folder: Path | str = ".") -> list[str]:
    """What is wrong with it, without the file's name and the lines."""
    found = scenario(more, folder).problems
    return [str(problem).partition(" scenario/small ")[2] or str(problem).partition(" ")[2] for problem in found]


def result(**more: Any) -> dict[str, Any]:
    """A run of ten hours from a Monday's midnight on: two workloads, two nodes, three disruptions."""

    def row(
        workload: str, wait: float, lost: float, interruptions: int, succeeded: int, pending: int
    ) -> dict[str, Any]:
        waits = {"p50": wait / 4, "p90": wait / 2, "p99": wait, "max": wait}
        return {
            "workload": workload, "created": 4, "succeeded": succeeded, "failed": 0, "pendingAtEnd": pending,
            "waitSeconds": waits, "interruptions": interruptions, "lostWorkSeconds": lost,
        }  # fmt: skip

    def node(name: str, pool: str, type_: str, capacity: str, running: float, ended: float | None) -> dict[str, Any]:
        return {
            "name": name, "nodePool": pool, "instanceType": type_, "capacityType": capacity, "running": running,
            "ended": ended, "deleted": ended, "whyGone": "" if ended is None else "expired",
        }  # fmt: skip

    costs = {"total": 60.0, "spot": 20.0, "onDemand": 40.0, "reserved": 0.0, "idleGpu": 5.0}
    return {
        "scenario": "small", "seed": 1, "start": "2026-01-05T00:00:00Z", "virtualSeconds": 36000.0,
        "cost": {**costs, "total": 100.0, "allOnDemand": 200.0,
                 "byPool": {"gpu-a": costs, "gpu-b": {**costs, "total": 40.0}},
                 "byWorkload": [{"workload": "Deployment/serving/web", "total": 30.0, "gpuHours": 3.0},
                                {"workload": "Job/ml/train", "total": 50.0, "gpuHours": 5.0}]},
        "nodes": {"launched": 2, "terminated": 1, "peak": 2,
                  "list": [node("a-1", "gpu-a", "g5.xlarge", "spot", 0.0, 18000.0),
                           node("b-1", "gpu-b", "p4d.24xlarge", "on-demand", 17000.0, None)]},
        "pods": {"created": 8, "succeeded": 4, "failed": 0, "pendingAtEnd": 1,
                 "waitSeconds": {"p50": 30.0, "p90": 120.0, "p99": 600.0, "max": 900.0},
                 "byWorkload": [row("Deployment/serving/web", 120.0, 0.0, 2, 0, 1),
                                row("Job/ml/train", 600.0, 1800.0, 1, 4, 0)]},
        "gpuHours": {"bought": 50.0, "requested": 40.0, "used": 20.0},
        "interruptions": 3, "insufficientCapacity": 7,
        "disruptions": {"Empty": 2, "Underutilized": 0, "Drifted": 1, "Expired": 1},
        "disruptionList": [{"at": 3600.0, "reason": "Empty", "nodes": ["a-1"], "outcome": "done"},
                           {"at": 30000.0, "reason": "Empty", "nodes": ["b-1"], "outcome": "done"},
                           {"at": 31000.0, "reason": "Drifted", "nodes": ["b-1"], "outcome": "failed: replacement was deleted"},
                           {"at": 33000.0, "reason": "Drifted", "nodes": ["b-1"], "outcome": "running"}],
        "planned": {"pods": 10, "landed": 9}, "violations": [], **more,
    }  # fmt: skip
