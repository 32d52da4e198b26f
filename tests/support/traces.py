"""Traces for tests: of small runs in which much happens, and written by hand line by line."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

from fretsaw.api.times import HOUR, Millis
from fretsaw.engine import events as e
from fretsaw.engine.options import Options
from fretsaw.engine.turn import Turn
from fretsaw.planner import simulation
from fretsaw.sim.record import record
from fretsaw.sim.scenario.read import read
from fretsaw.trace.codec import Reader, Writer
from fretsaw.trace.replay import Difference, Replayed, replay

ROOT = Path(__file__).parents[2]
START: Millis = 1_767_571_200_000
"""Monday, 5 January 2026, 0:00 UTC."""
_POOL = """
    - apiVersion: karpenter.sh/v1
      kind: NodePool
      metadata: {{name: {name}}}
      spec:
        weight: {weight}
        template:
          spec:
            expireAfter: {expire}
            nodeClassRef: {{group: karpenter.k8s.aws, kind: EC2NodeClass, name: al2023}}
            requirements: [{{key: karpenter.sh/capacity-type, operator: In, values: [{capacity}]}}]
        disruption: {{consolidationPolicy: WhenEmptyOrUnderutilized, consolidateAfter: 1m, budgets: [{{nodes: "50%"}}]}}"""
_JOB = """
  - arrivals: {{poisson: {rate}}}
    make:
      apiVersion: batch/v1
      kind: Job
      metadata: {{name: {name}, namespace: ml}}
      spec:
        backoffLimit: 4
        template:
          spec:
            restartPolicy: Never
            containers:
              - name: main
                image: tune
                resources: {{requests: {{cpu: "{cpu}", {gpu}}}, limits: {{{gpu}}}}}"""
BUSY = f"""
scenario: busy
start: 2026-01-05T00:00:00Z
for: 6h
cluster:
  catalog: catalog.json
  objects:
    - apiVersion: karpenter.k8s.aws/v1
      kind: EC2NodeClass
      metadata: {{name: al2023}}
      spec:
        amiSelectorTerms: [{{alias: al2023@latest}}]
        role: node
        subnetSelectorTerms: [{{tags: {{a: b}}}}]
        securityGroupSelectorTerms: [{{tags: {{a: b}}}}]
{_POOL.format(name="spot", weight=10, capacity="spot", expire="2h")}
{_POOL.format(name="any", weight=1, capacity="'on-demand', reserved", expire="Never")}
    - apiVersion: apps/v1
      kind: Deployment
      metadata: {{name: web, namespace: shop, labels: {{app: web}}}}
      spec:
        replicas: 6
        selector: {{matchLabels: {{app: web}}}}
        template:
          metadata: {{labels: {{app: web}}}}
          spec: {{containers: [{{name: web, image: web, resources: {{requests: {{cpu: "3"}}}}}}]}}
    - apiVersion: policy/v1
      kind: PodDisruptionBudget
      metadata: {{name: web, namespace: shop}}
      spec: {{maxUnavailable: 1, selector: {{matchLabels: {{app: web}}}}}}
work:
  - {{for: job/ml/tune-*, runs: {{low: 2m, typical: 15m, high: 40m}}, checkpoint: 5m, fails: 10%}}
{_JOB.format(name="tune", rate="4/h", cpu="2", gpu='nvidia.com/gpu: "1"')}
cloud:
  spot: {{reclaims: {{rate: 20%/h}}, prices: {{path: walk, volatility: 0.1, refresh: 1h}}}}
  reservations: [{{id: cr-1, type: g5.xlarge, zone: us-east-1a, count: 1}}]
faults:
  - {{at: 1h, for: 1h, out: {{types: [g5.*], capacityTypes: [spot]}}}}
  - {{at: 90m, scale: {{deployment/shop/web: 2}}}}
  - {{at: 2h, drift: {{nodeClass: al2023}}}}
  - {{at: 3h, scale: {{deployment/shop/web: 9}}}}
"""
"""Everything at once: reclaims, shortage, moving prices, a reservation, drift, expiry, consolidation, a PDB."""
SIZES = (
    ("m5.xlarge", 4, 16, 0, 0.2),
    ("m5.4xlarge", 16, 64, 0, 0.8),
    ("g5.xlarge", 8, 32, 1, 1.0),
    ("g5.4xlarge", 16, 64, 1, 1.7),
)


def catalog() -> dict[str, object]:
    """Two types with a GPU and two without, in two zones, on spot and on demand."""
    return {"region": "us-east-1", "asOf": "2026-01-01", "notes": [], "instanceTypes": [_type(*size) for size in SIZES]}


def _type(name: str, cpu: int, memory: int, gpus: int, price: float) -> dict[str, object]:
    capacity = {
        "cpu": str(cpu),
        "memory": f"{memory}Gi",
        "pods": "58",
        **({"nvidia.com/gpu": str(gpus)} if gpus else {}),
    }
    offerings: list[dict[str, object]] = [
        {"zone": zone, "capacityType": kind, "price": price * times, "available": True, "labels": {}}
        for zone in ("us-east-1a", "us-east-1b")
        for kind, times in (("on-demand", 1.0), ("spot", 0.4))
    ]
    labels = {"kubernetes.io/arch": ["amd64"], "kubernetes.io/os": ["linux"]}
    return {"name": name, "capacity": capacity, "overhead": {"cpu": "100m"}, "labels": labels, "offerings": offerings}


def recorded(folder: Path, text: str = BUSY, *, seed: int = 1, hours: float = 6, name: str = "run.jsonl") -> Path:
    """The trace of a run of a scenario's text."""
    (folder / "catalog.json").write_text(json.dumps(catalog()))
    (folder / "scenario.yaml").write_text(text)
    return recorded_file(folder / "scenario.yaml", folder / name, seed=seed, hours=hours)


def recorded_file(scenario: Path, path: Path, *, seed: int = 1, hours: float = 1) -> Path:
    """The trace of the first hours of a scenario."""
    run = simulation(read(scenario), seed=seed, length=round(hours * HOUR))
    with record(run, path):
        run.run()
    return path


def replayed(lines: list[bytes]) -> tuple[Replayed, list[Difference]]:
    """How a replay of these lines goes."""
    result = Replayed()
    found = [one for one in replay(Reader(lines), result) if isinstance(one, Difference)]
    return result, found


class Script:
    """A trace written by hand: `at` moves the time, the other methods write lines."""

    def __init__(self, **about: Any) -> None:
        self._out = io.BytesIO()
        self.now = START
        known = {"scenario": "by hand", "seed": 1, "start": START, **about}
        self._writer = Writer(self._out.write, Options(), known)

    def at(self, seconds: float) -> Script:
        """So long after the start."""
        self.now = START + round(seconds * 1000)
        return self

    def told(self, *events: e.Event) -> Script:
        """Events."""
        for event in events:
            self._writer.event(self.now, event)
        return self

    def decided(self, *actions: Any, notes: tuple[e.Event, ...] = (), wake: Millis | None = None) -> Script:
        """A turn."""
        self._writer.turn(self.now, Turn(actions, notes, wake))
        return self

    def fact(self, what: str, about: str, **data: Any) -> Script:
        """A fact."""
        self._writer.fact(self.now, what, about, data)
        return self

    def lines(self) -> list[bytes]:
        """All lines, each with its end."""
        return self._out.getvalue().splitlines(keepends=True)

    def save(self, path: Path) -> Path:
        """As a file."""
        path.write_bytes(self._out.getvalue())
        return path
