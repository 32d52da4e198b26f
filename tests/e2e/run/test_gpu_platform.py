"""The example of the documentation, from an empty cluster to running pods, and back to nothing."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from support.controlplane import ControlPlane
from support.live import POOLS, Live, cluster, eventually_never
from support.live_laws import nothing_leaked

Json = dict[str, Any]
EXAMPLE = Path(__file__).parents[3] / "examples" / "gpu-platform"
WORKLOADS = ("Pod", "Deployment", "Job")
LEFT_OUT = {"ServiceMonitor", "PrometheusRule"}
"""Of the Prometheus operator: this server does not have them, as `fretsaw plan` does not need them."""
GPU_S = 3
"""From a node that is ready to its GPUs."""
GPU = "nvidia.com/gpu"
PODS = 12
SELECTS = {
    "gpu-inference-server": "gpu-inference",
    "llm-inference": "gpu-inference",
    "distributed-training": "gpu-training",
    "gpu-debug": "gpu-general",
}
"""The pool of each workload that names one. The others may go wherever a GPU is free, and kube-scheduler has the last
word: it may give them the place of one that names its pool, which then gets another node."""
NODEPOOL = "karpenter.sh/nodepool"
CLAIMS = "/apis/karpenter.sh/v1/nodeclaims"


@pytest.fixture
def platform(stage: Live, control_plane: ControlPlane, tmp_path: Path) -> Iterator[Live]:
    """A cloud and kubelets of its own, whose GPUs are late, and an operator that sees all workloads at once."""
    stage.stop_operators()
    with cluster(control_plane, tmp_path, "--gpu", f"{GPU_S}s") as live:
        live.operator("--batch-idle-duration=3s", "--batch-max-duration=30s")
        try:
            yield live
        finally:
            for manifest in [*reversed(_manifests()), *live.api.items("/api/v1/persistentvolumes")]:
                live.api.delete({"apiVersion": "v1", "kind": "PersistentVolume", **manifest})
            live.until(lambda: not live.api.items(CLAIMS), "no claim is left", 120)
            live.stop_operators()
    stage.node_class()
    stage.operator()


def test_the_example_grows_as_planned_and_shrinks_to_nothing(platform: Live) -> None:
    live, manifests = platform, _manifests()
    for manifest in manifests:
        if manifest["kind"] not in WORKLOADS:
            live.api.apply(manifest)
    pools = [manifest["metadata"]["name"] for manifest in manifests if manifest["kind"] == "NodePool"]
    ready = lambda: all(live.condition(pool, "Ready") == "True" for pool in live.api.items(POOLS))  # noqa: E731
    live.until(ready, "all pools are ready")
    for manifest in manifests:
        if manifest["kind"] in WORKLOADS:
            live.api.apply(manifest)
    late: set[str] = set()
    live.until(lambda: _watched(live, late), "all pods run", 120)
    planned = _planned()
    assert _ordered(live, planned.total()) == planned
    for workload, pool in SELECTS.items():
        assert _pools_under(live, workload) == {pool}
    with_gpus = {claim["metadata"]["name"] for claim in live.api.items(CLAIMS) if _asks_for_gpus(claim)}
    assert with_gpus <= late, "each of them was seen ready without its GPUs, and was not taken for initialized"
    assert all(live.condition(claim, "Ready") == "True" for claim in live.api.items(CLAIMS))
    nothing_leaked(live, pools)
    _shrinks(live, manifests, pools)


def _shrinks(live: Live, manifests: list[Json], pools: list[str]) -> None:
    """Take the workloads away; nodes go as their pools allow."""
    for manifest in manifests:
        if manifest["kind"] in WORKLOADS:
            live.api.delete(manifest)
    live.until(lambda: not _pods(live), "the pods are gone", 60)
    for pool in pools:  # the example waits for minutes, which a test has not got
        live.api("PATCH", f"{POOLS}/{pool}", {"spec": {"disruption": {"consolidateAfter": "1s"}}})
    live.until(lambda: set(_pools_of(live).values()) == {"gpu-training"}, "all nodes are gone but one", 120)
    eventually_never(lambda: not _pools_of(live), 6, "its budget of none was not kept")
    live.api("PATCH", f"{POOLS}/gpu-training", {"spec": {"disruption": {"budgets": [{"nodes": "1"}]}}})
    live.until(lambda: not live.api.items(CLAIMS) and not _pools_of(live), "the last node is gone", 60)
    live.until(lambda: not live.cloud.instances(), "no instance is left")


def _watched(live: Live, late: set[str]) -> bool:
    """Whether all pods run. late: gets the claims whose node is ready and has no GPU yet."""
    _provision(live)
    claims = {claim.get("status", {}).get("nodeName", ""): claim for claim in live.api.items(CLAIMS)}
    for node in live.api.items("/api/v1/nodes"):
        claim = claims.get(node["metadata"]["name"])
        waits = live.condition(node, "Ready") == "True" and GPU not in node["status"]["allocatable"]
        if claim is not None and _asks_for_gpus(claim) and waits:
            assert live.condition(claim, "Initialized") != "True"
            late.add(claim["metadata"]["name"])
    return sum(pod["status"].get("phase") == "Running" for pod in _pods(live)) == PODS


def _provision(live: Live) -> None:
    """Be the EFS driver: make a volume for each claim for which kube-scheduler has chosen a node."""
    for claim in live.api.items("/api/v1/persistentvolumeclaims"):
        chosen = claim["metadata"].get("annotations", {}).get("volume.kubernetes.io/selected-node")
        if claim["spec"].get("storageClassName") != "efs" or claim["spec"].get("volumeName") or not chosen:
            continue
        metadata = claim["metadata"]
        owner = {"kind": "PersistentVolumeClaim", "apiVersion": "v1"}
        owner |= {key: metadata[key] for key in ("name", "namespace", "uid")}
        spec = {
            "accessModes": claim["spec"]["accessModes"],
            "capacity": claim["spec"]["resources"]["requests"],
            "storageClassName": "efs",
            "claimRef": owner,
            "persistentVolumeReclaimPolicy": "Retain",
            "csi": {"driver": "efs.csi.aws.com", "volumeHandle": metadata["name"]},
        }
        volume = {"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": f"efs-{metadata['name']}"}}
        live.api.apply({**volume, "spec": spec})


def _manifests() -> list[Json]:
    """The example's objects in the order of its files."""
    found = [one for path in sorted(EXAMPLE.glob("*.yaml")) for one in yaml.safe_load_all(path.read_text()) if one]
    assert {one["kind"] for one in found} >= LEFT_OUT
    return [one for one in found if one["kind"] not in LEFT_OUT]


def _planned() -> Counter[tuple[str, str, str]]:
    """(pool, type, capacity) of the nodes that `fretsaw plan` promises for the example."""
    command = [sys.executable, "-m", "fretsaw", "plan", "-f", str(EXAMPLE), "-o", "json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    nodes = json.loads(done.stdout)["nodes"]
    return Counter((node["nodePool"], node["instanceType"], node["capacityType"]) for node in nodes)


def _ordered(live: Live, number: int) -> Counter[tuple[str, str, str]]:
    """(pool, type, capacity) of the first instances that were ever launched."""
    first = sorted(live.cloud("GET", "/instances?all=true"), key=lambda one: one["launched"])[:number]
    return Counter((one["claim"].rsplit("-", 1)[0], one["offering"][0], one["offering"][2]) for one in first)


def _pools_of(live: Live) -> dict[str, str]:
    """The pool of each node that is there, by its name."""
    nodes = [node["metadata"] for node in live.api.items("/api/v1/nodes")]
    return {node["name"]: node["labels"][NODEPOOL] for node in nodes if NODEPOOL in node["labels"]}


def _pools_under(live: Live, workload: str) -> set[str]:
    """The pools on whose nodes a workload's pods run."""
    pools = _pools_of(live)
    return {pools[pod["spec"]["nodeName"]] for pod in _pods(live) if pod["metadata"]["name"].startswith(workload)}


def _pods(live: Live) -> list[Json]:
    return [pod for namespace in ("default", "ml-serving", "ml-training") for pod in live.pods(namespace)]


def _asks_for_gpus(claim: Json) -> bool:
    return GPU in claim["spec"].get("resources", {}).get("requests", {})
