"""Nodes that another controller made: they stay, and are looked after from the first turn on."""

from __future__ import annotations

from typing import Any

from support.live import CLAIMS, POOLS, Live, eventually_never


def test_nodes_of_another_controller_are_kept_and_used(live: Live, namespace: str, pool: str) -> None:
    old = _made_by_another(live, namespace, pool)
    live.operator()
    live.until(lambda: live.condition(_pool(live, pool), "Ready") == "True", "the pool is looked at")
    live.deployment("more", replicas=1, namespace=namespace, pool=pool, cpu="200m")
    live.until_running(namespace, 2)
    eventually_never(
        lambda: [c["metadata"]["uid"] for c in live.claims(pool)] != [old["metadata"]["uid"]], 4, "changed"
    )


def test_nodes_of_another_controller_drift_only_when_their_pool_is_edited(
    live: Live, namespace: str, pool: str
) -> None:
    old = _made_by_another(live, namespace, pool)
    live.operator()
    eventually_never(lambda: live.condition(live.claims(pool)[0], "Drifted") == "True", 6, "it has drifted")
    live.pool(pool, types=["m5.large"], annotations={"example.com/edition": "2"})
    name = old["metadata"]["name"]
    live.until(lambda: live.claims(pool) and name not in [c["metadata"]["name"] for c in live.claims(pool)], "new", 90)
    live.until_running(namespace, 1)


def test_what_was_being_deleted_is_brought_to_its_end(live: Live, namespace: str, pool: str) -> None:
    old = _made_by_another(live, namespace, pool)
    live.api("DELETE", f"{CLAIMS}/{old['metadata']['name']}")
    live.operator()
    live.until(lambda: old["metadata"]["name"] not in [c["metadata"]["name"] for c in live.claims(pool)], "gone", 60)
    live.until_running(namespace, 1, timeout_s=60)
    assert old["status"]["providerID"] not in [one["providerId"] for one in live.cloud.instances()]


def _made_by_another(live: Live, namespace: str, pool: str) -> dict[str, Any]:
    """A claim with node and instance, written by somebody else than us; no operator runs any more.

    An operator of ours makes the node; then its claim is replaced by one of the same name that another client wrote,
    with a uid of its own, as if it had come from a backup or from another controller.
    """
    live.pool(pool, types=["m5.large"])
    live.deployment("web", replicas=1, namespace=namespace, pool=pool)
    live.until_running(namespace, 1)
    for program in live.operators:
        program.stop()
    live.operators.clear()
    (claim,), (node,) = live.claims(pool), live.nodes(pool)
    path, node_path = f"{CLAIMS}/{claim['metadata']['name']}", f"/api/v1/nodes/{node['metadata']['name']}"
    live.api("PATCH", node_path, {"metadata": {"ownerReferences": []}})
    live.api("PATCH", path, {"metadata": {"finalizers": []}})
    live.api("DELETE", path)
    live.until(lambda: not live.claims(pool), "the first claim is gone")
    kept = ("name", "labels", "annotations", "ownerReferences", "finalizers")
    metadata = {name: claim["metadata"][name] for name in kept}
    fresh = {**claim, "metadata": {**metadata, "finalizers": ["karpenter.sh/termination"]}}
    new = live.api.create(fresh)
    live.api("PATCH", f"{path}/status", {"status": claim["status"]})
    owner = {"apiVersion": "karpenter.sh/v1", "kind": "NodeClaim", "blockOwnerDeletion": True}
    owner |= {"name": new["metadata"]["name"], "uid": new["metadata"]["uid"]}
    live.api("PATCH", node_path, {"metadata": {"ownerReferences": [owner]}})
    (found,) = live.claims(pool)
    assert found["metadata"]["uid"] != claim["metadata"]["uid"]
    return found


def _pool(live: Live, name: str) -> dict[str, Any]:
    found: dict[str, Any] = live.api("GET", f"{POOLS}/{name}")
    return found
