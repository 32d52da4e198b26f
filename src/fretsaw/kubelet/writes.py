"""What kubelets write: nodes, leases, status. Conditions are merged by their type, so that others keep theirs.

Source: kubernetes.io, Update API Objects in Place Using kubectl patch (strategic merge: conditions by `type`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from fretsaw.api.meta import Condition
from fretsaw.api.node import Taint
from fretsaw.api.times import Millis, rfc3339
from fretsaw.kube.client import Client, path_of
from fretsaw.kube.errors import AlreadyExists, Conflict, NotFound

STRATEGIC = "application/strategic-merge-patch+json"
LEASES = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases"
LEASE_S = 40
"""Source: kubelet, nodeLeaseDurationSeconds."""


async def patch_status(client: Client, kind: str, key: str, status: Mapping[str, Any], uid: str = "") -> bool:
    """Write a status; whether the object is there. uid: of that object only."""
    patch: dict[str, Any] = {"status": status}
    if uid:
        patch["metadata"] = {"uid": uid}
    try:
        await client.http.request("PATCH", path_of(kind, key, "status"), body=patch, content=STRATEGIC)
    except (NotFound, Conflict):  # a conflict can only be another uid
        return False
    return True


async def patch_labels(client: Client, node: str, labels: Mapping[str, str]) -> None:
    """More labels of a Node; nothing where it is not there."""
    try:
        await client.patch("Node", node, {"metadata": {"labels": dict(labels)}})
    except NotFound:
        return


async def put_taints(client: Client, node: str, taints: Iterable[Taint], version: str) -> None:
    """A Node's taints, all of them. Raises Conflict where the Node has changed since `version`."""
    tree = [_taint(taint) for taint in taints]
    await client.patch("Node", node, {"metadata": {"resourceVersion": version}, "spec": {"taints": tree or None}})


async def end_pod(client: Client, key: str, uid: str) -> None:
    """Take a pod away that has ended."""
    try:
        await client.delete("Pod", key, uid=uid, grace_s=0)
    except (NotFound, Conflict):
        return


async def renew_lease(client: Client, node: str, uid: str, now: Millis, *, first: bool) -> None:
    """A node's heartbeat. first: the lease is made."""
    stamp = datetime.fromtimestamp(now / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    if first:
        try:
            await client.http.request("POST", LEASES, body=_lease(node, uid, stamp), again=True)
        except AlreadyExists:
            pass
        else:
            return
    body = {"spec": {"holderIdentity": node, "renewTime": stamp}}
    await client.http.request("PATCH", f"{LEASES}/{node}", body=body, content="application/merge-patch+json")


def conditions(found: Iterable[Condition], now: Millis | None = None) -> list[dict[str, str]]:
    """Conditions for a merge: every field is said, since one that is left out keeps what it was. now: a heartbeat."""
    beat = {} if now is None else {"lastHeartbeatTime": rfc3339(now)}
    return [
        {
            "type": one.type,
            "status": one.status,
            "reason": one.reason,
            "message": one.message,
            "lastTransitionTime": one.last_transition_time or "",
            **beat,
        }
        for one in found
    ]


def _taint(taint: Taint) -> dict[str, str]:
    added = {"timeAdded": taint.time_added} if taint.time_added else {}
    return {"key": taint.key, "value": taint.value, "effect": taint.effect, **added}


def _lease(node: str, uid: str, stamp: str) -> dict[str, Any]:
    owner = {"apiVersion": "v1", "kind": "Node", "name": node, "uid": uid}
    return {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {"name": node, "namespace": "kube-node-lease", "ownerReferences": [owner] if uid else []},
        "spec": {"holderIdentity": node, "leaseDurationSeconds": LEASE_S, "renewTime": stamp},
    }
