"""An hour of one GPU pool with its own catalog, as files: small enough that a run takes a fraction of a second."""

from __future__ import annotations

import json
from pathlib import Path

POOL = """
apiVersion: karpenter.sh/v1
kind: NodePool
metadata: {name: gpu}
spec:
  template:
    spec:
      nodeClassRef: {group: karpenter.k8s.aws, kind: EC2NodeClass, name: al2023}
      requirements: [{key: karpenter.sh/capacity-type, operator: In, values: [spot, on-demand]}]
  disruption: {consolidationPolicy: WhenEmpty, consolidateAfter: 1m}
"""
SCENARIO = """
scenario: tiny
for: 1h
cluster:
  catalog: catalog.json
  manifests: [pool.yaml]
  objects:
    - apiVersion: karpenter.k8s.aws/v1
      kind: EC2NodeClass
      metadata: {name: al2023}
      spec:
        amiSelectorTerms: [{alias: al2023@latest}]
        role: node
        subnetSelectorTerms: [{tags: {a: b}}]
        securityGroupSelectorTerms: [{tags: {a: b}}]
work:
  - {for: job/ml/tune-*, runs: {low: 2m, typical: 5m, high: 10m}}
  - arrivals: {poisson: 8/h}
    make:
      apiVersion: batch/v1
      kind: Job
      metadata: {name: tune, namespace: ml}
      spec:
        template:
          spec:
            restartPolicy: Never
            containers:
              - name: main
                image: tune
                resources: {requests: {cpu: "2", nvidia.com/gpu: "1"}, limits: {nvidia.com/gpu: "1"}}
cloud: {spot: {reclaims: off}}
expect: [no pod waits longer than 30m]
"""


def catalog() -> dict[str, object]:
    """One type with a GPU in one zone, on demand and on spot."""
    offerings = [
        {"zone": "us-east-1a", "capacityType": kind, "price": price, "available": True, "labels": {}}
        for kind, price in (("on-demand", 1.0), ("spot", 0.4))
    ]
    capacity = {"cpu": "8", "memory": "32Gi", "pods": "58", "nvidia.com/gpu": "1"}
    labels = {"kubernetes.io/arch": ["amd64"], "kubernetes.io/os": ["linux"]}
    one = {"name": "g5.xlarge", "capacity": capacity, "overhead": {}, "labels": labels, "offerings": offerings}
    return {"region": "us-east-1", "asOf": "2026-01-01", "notes": [], "instanceTypes": [one]}


def files(folder: Path) -> Path:
    """Write scenario, pool and catalog; the scenario's path."""
    (folder / "catalog.json").write_text(json.dumps(catalog()))
    (folder / "pool.yaml").write_text(POOL)
    (folder / "tiny.yaml").write_text(SCENARIO)
    return folder / "tiny.yaml"
