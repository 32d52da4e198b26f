"""What holds a node's end back, and what brings it about: volumes that are still attached, and conditions that are bad."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from support.live import CLAIMS, Live, eventually_never
from support.live_laws import ended, nothing_leaked

ATTACHMENTS = "/apis/storage.k8s.io/v1/volumeattachments"
GPU_TOLERATION = timedelta(minutes=10)
READY_TOLERATION = timedelta(minutes=30)
"""Source: Karpenter AWS provider v1.14, repair policies."""


@pytest.fixture
def attached(live: Live, namespace: str, pool: str) -> Iterator[dict[str, Any]]:
    """The claim of a node that has a volume attached, and ends after twenty seconds at the latest."""
    live.pool(pool, types=["m5.large"], template={"terminationGracePeriod": "20s"})
    live.pod("one", namespace=namespace, pool=pool)
    live.until_running(namespace, 1)
    (claim,) = live.claims(pool)
    spec = {
        "accessModes": ["ReadWriteOnce"],
        "capacity": {"storage": "1Gi"},
        "csi": {"driver": "ebs.csi.aws.com", "volumeHandle": f"vol-{namespace}"},
        "persistentVolumeReclaimPolicy": "Retain",
        "storageClassName": "none",
    }
    volume = {"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": namespace}, "spec": spec}
    live.api.apply(volume)
    source = {"persistentVolumeName": namespace}
    spec = {"attacher": "ebs.csi.aws.com", "nodeName": claim["status"]["nodeName"], "source": source}
    attachment = {"apiVersion": "storage.k8s.io/v1", "kind": "VolumeAttachment", "metadata": {"name": namespace}}
    live.api.apply({**attachment, "spec": spec})
    yield claim
    live.api.delete(attachment)
    live.api.delete(volume)


def test_an_instance_is_kept_until_its_volumes_are_detached(
    live: Live, namespace: str, pool: str, attached: dict[str, Any]
) -> None:
    before = len(live.cloud.log())
    _deleted(live, attached)
    _says(live, attached, "VolumesDetached", "Unknown", "AwaitingVolumeDetachment")
    assert live.events("AwaitingVolumeDetachment", attached["status"]["nodeName"])
    eventually_never(lambda: ended(live, before), 4, "the instance was ended with its volume attached")
    live.api("DELETE", f"{ATTACHMENTS}/{namespace}")
    live.until(lambda: ended(live, before) == [attached["status"]["providerID"]], "the instance is ended", 8)
    live.until_no_claims(pool)


def test_an_instance_is_ended_with_its_volumes_when_its_time_is_over(
    live: Live, namespace: str, pool: str, attached: dict[str, Any]
) -> None:
    before = len(live.cloud.log())
    asked = datetime.now(UTC)
    _deleted(live, attached)
    _says(live, attached, "VolumesDetached", "False", "TerminationGracePeriodElapsed", 40)
    assert datetime.now(UTC) - asked > timedelta(seconds=18)
    live.until(lambda: ended(live, before) == [attached["status"]["providerID"]], "the instance is ended", 8)
    assert live.api("GET", f"{ATTACHMENTS}/{namespace}")
    live.until_no_claims(pool)


@pytest.fixture
def repairing(stage: Live, pool: str) -> Iterator[Live]:
    """An operator that repairs nodes, alone."""
    stage.stop_operators()
    stage.operator("--feature-gates=NodeRepair=true")
    yield stage
    stage.remove([pool])
    stage.stop_operators()
    stage.operator()


@pytest.mark.parametrize(
    ("type_", "status", "toleration"),
    [("AcceleratedHardwareReady", "False", GPU_TOLERATION), ("NetworkingReady", "False", READY_TOLERATION)],
)
def test_a_node_that_is_sick_for_too_long_is_replaced(
    repairing: Live, namespace: str, pool: str, type_: str, status: str, toleration: timedelta
) -> None:
    """The condition tells since when; nobody has to wait for it."""
    repairing.pool(pool, types=["m5.large"], budgets=[{"nodes": "0"}])
    annotations = {"karpenter.sh/do-not-disrupt": "true"}
    repairing.deployment("web", replicas=1, namespace=namespace, pool=pool, annotations=annotations)
    repairing.until_running(namespace, 1)
    (old,) = repairing.claims(pool)
    _sicken(repairing, old, type_, status, toleration - timedelta(minutes=1))
    eventually_never(lambda: _names(repairing, pool) != [old["metadata"]["name"]], 6, "it was not tolerated")
    _sicken(repairing, old, type_, status, toleration + timedelta(seconds=1))
    repairing.until(lambda: old["metadata"]["name"] not in _names(repairing, pool), "the sick node is gone", 60)
    repairing.until_running(namespace, 1, timeout_s=60)
    nothing_leaked(repairing, [pool])


def test_many_sick_nodes_are_left_alone(repairing: Live, namespace: str, pool: str) -> None:
    """More than a fifth of a pool: it is not the nodes that are at fault."""
    repairing.pool(pool, types=["m5.large"])
    repairing.deployment("web", replicas=3, namespace=namespace, pool=pool, cpu="1500m")
    repairing.until_running(namespace, 3)
    claims = repairing.claims(pool)
    for claim in claims[:2]:
        _sicken(repairing, claim, "KernelReady", "False", READY_TOLERATION - timedelta(minutes=1))
    for claim in claims[:2]:
        _sicken(repairing, claim, "KernelReady", "False", READY_TOLERATION + timedelta(minutes=1))
    node = claims[0]["status"]["nodeName"]
    repairing.until(lambda: repairing.events("NodeRepairBlocked", node), "a NodeRepairBlocked event", 30)
    names = [claim["metadata"]["name"] for claim in claims]
    eventually_never(lambda: _names(repairing, pool) != names, 4, "a node was replaced")


def test_nobody_repairs_while_the_gate_is_closed(live: Live, namespace: str, pool: str) -> None:
    live.pool(pool, types=["m5.large"])
    live.deployment("web", replicas=1, namespace=namespace, pool=pool)
    live.until_running(namespace, 1)
    (claim,) = live.claims(pool)
    _sicken(live, claim, "StorageReady", "False", READY_TOLERATION + timedelta(hours=1))
    eventually_never(lambda: _names(live, pool) != [claim["metadata"]["name"]], 6, "the node was replaced")


def _sicken(live: Live, claim: dict[str, Any], type_: str, status: str, ago: timedelta) -> None:
    """Let the claim's node have this condition since so long ago."""
    since = (datetime.now(UTC) - ago).strftime("%Y-%m-%dT%H:%M:%SZ")
    condition = {"type": type_, "status": status, "reason": "Test", "message": "", "lastTransitionTime": since}
    path = f"/api/v1/nodes/{claim['status']['nodeName']}/status"
    kind = "application/strategic-merge-patch+json"
    live.api("PATCH", path, {"status": {"conditions": [condition]}}, content=kind)


def _deleted(live: Live, claim: dict[str, Any]) -> None:
    live.api("DELETE", f"{CLAIMS}/{claim['metadata']['name']}")


def _says(live: Live, claim: dict[str, Any], type_: str, status: str, reason: str, timeout_s: float = 30) -> None:
    path = f"{CLAIMS}/{claim['metadata']['name']}"
    wanted = {"type": type_, "status": status, "reason": reason}

    def said() -> bool:
        return any(condition.items() >= wanted.items() for condition in live.api("GET", path)["status"]["conditions"])

    live.until(said, f"the claim says {type_} {reason}", timeout_s)


def _names(live: Live, pool: str) -> list[str]:
    return [claim["metadata"]["name"] for claim in live.claims(pool)]
