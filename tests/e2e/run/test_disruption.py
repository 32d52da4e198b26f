"""How nodes are taken away, by whom, and what stands against it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from support.live import CLAIMS, Live, eventually_never

NEVER = {"karpenter.sh/do-not-disrupt": "true"}


def test_an_empty_node_goes_when_its_pods_have_gone(live: Live, namespace: str, pool: str) -> None:
    live.pool(pool, types=["m5.large"], consolidate="0s", policy="WhenEmpty")
    live.deployment("web", replicas=1, namespace=namespace, pool=pool)
    live.until_running(namespace, 1)
    live.scale("web", namespace, 0)
    live.until_no_claims(pool)


def test_a_pool_that_was_edited_has_its_nodes_replaced_before_they_go(live: Live, namespace: str, pool: str) -> None:
    live.pool(pool, types=["m5.large"])
    live.deployment("web", replicas=1, namespace=namespace, pool=pool)
    live.until_running(namespace, 1)
    (old,) = live.claims(pool)
    live.pool(pool, types=["m5.large"], annotations={"example.com/edition": "2"})
    live.until(lambda: _named(live, pool) and old["metadata"]["name"] not in _named(live, pool), "another node", 90)
    live.until_running(namespace, 1)
    (new,) = live.claims(pool)
    assert new["metadata"]["annotations"]["example.com/edition"] == "2"
    assert live.events("DisruptionTerminating", old["metadata"]["name"])


def test_a_budget_of_none_keeps_drifted_nodes(live: Live, namespace: str, pool: str) -> None:
    live.pool(pool, types=["m5.large"], budgets=[{"nodes": "0"}])
    live.deployment("web", replicas=1, namespace=namespace, pool=pool)
    live.until_running(namespace, 1)
    (old,) = live.claims(pool)
    live.pool(pool, types=["m5.large"], budgets=[{"nodes": "0"}], annotations={"example.com/edition": "2"})
    live.until(lambda: live.condition(live.claims(pool)[0], "Drifted") == "True", "the node has drifted")
    eventually_never(lambda: _named(live, pool) != [old["metadata"]["name"]], 6, "the node was touched")
    live.pool(pool, types=["m5.large"], annotations={"example.com/edition": "2"})
    live.until(lambda: _named(live, pool) and old["metadata"]["name"] not in _named(live, pool), "another node", 90)


def test_a_window_of_a_budget_holds_while_it_is_open(live: Live, namespace: str, pool: str) -> None:
    now = datetime.now(UTC)
    closed = {"nodes": "0", "schedule": f"{now.minute} {now.hour} * * *", "duration": "1h"}
    live.pool(pool, types=["m5.large"], budgets=[closed], consolidate="0s")
    live.deployment("web", replicas=1, namespace=namespace, pool=pool)
    live.until_running(namespace, 1)
    live.scale("web", namespace, 0)
    live.until(lambda: not live.running(namespace), "the pod is gone")
    eventually_never(lambda: not live.claims(pool), 8, "the node went inside the window")
    then = now + timedelta(hours=3)
    over = {"nodes": "0", "schedule": f"{then.minute} {then.hour} * * *", "duration": "1h"}
    live.pool(pool, types=["m5.large"], budgets=[over], consolidate="0s")
    live.until_no_claims(pool)


def test_a_pod_that_must_not_be_disrupted_keeps_its_drifted_node(live: Live, namespace: str, pool: str) -> None:
    live.pool(pool, types=["m5.large"])
    live.deployment("web", replicas=1, namespace=namespace, pool=pool, annotations=NEVER)
    live.until_running(namespace, 1)
    (old,) = live.claims(pool)
    live.pool(pool, types=["m5.large"], annotations={"example.com/edition": "2"})
    live.until(lambda: live.events("DisruptionBlocked", old["metadata"]["name"]), "a DisruptionBlocked event")
    assert _named(live, pool) == [old["metadata"]["name"]]
    (pod,) = live.running(namespace)
    path = f"/api/v1/namespaces/{namespace}/pods/{pod['metadata']['name']}"
    live.api("PATCH", path, {"metadata": {"annotations": {"karpenter.sh/do-not-disrupt": None}}})
    live.until(lambda: _named(live, pool) and old["metadata"]["name"] not in _named(live, pool), "another node", 90)


def test_a_pod_budget_holds_a_drain_until_it_allows_it(live: Live, namespace: str, pool: str) -> None:
    live.pool(pool, types=["m5.large"])
    live.deployment("web", replicas=1, namespace=namespace, pool=pool)
    (pod,) = live.until_running(namespace, 1)
    budget = _budget(live, namespace, {"minAvailable": 1})
    (claim,) = live.claims(pool)
    live.api("DELETE", f"{CLAIMS}/{claim['metadata']['name']}")
    live.until(lambda: live.events("FailedDraining"), "a FailedDraining event")
    eventually_never(lambda: not _alive(live, pod), 4, "the pod was evicted against its budget")
    live.api.delete(budget)
    live.until(lambda: not _alive(live, pod), "the pod is evicted")
    live.until(lambda: claim["metadata"]["name"] not in _named(live, pool), "the claim is gone", 60)
    live.until_running(namespace, 1)


def test_a_node_that_is_too_old_is_ended_and_its_pods_get_another(live: Live, namespace: str, pool: str) -> None:
    live.pool(pool, types=["m5.large"], expire="25s")
    live.deployment("web", replicas=1, namespace=namespace, pool=pool)
    live.until_running(namespace, 1)
    (old,) = live.claims(pool)
    live.until(lambda: old["metadata"]["name"] not in _named(live, pool), "the node has expired", 90)
    live.until_running(namespace, 1)


def test_a_termination_grace_period_ends_a_drain_that_nothing_else_would(live: Live, namespace: str, pool: str) -> None:
    live.pool(pool, types=["m5.large"], template={"terminationGracePeriod": "8s"})
    live.pod("stubborn", namespace=namespace, pool=pool, annotations=NEVER)
    (pod,) = live.until_running(namespace, 1)
    (claim,) = live.claims(pool)
    live.api("DELETE", f"{CLAIMS}/{claim['metadata']['name']}")
    eventually_never(lambda: not _alive(live, pod), 3, "the pod was deleted before its time")
    live.until(lambda: not _alive(live, pod), "the pod is deleted at the deadline", 20)
    live.until_no_claims(pool)


def test_nodes_that_are_half_empty_become_one(live: Live, namespace: str, pool: str) -> None:
    live.pool(pool, types=["m5.xlarge"], consolidate="2s")
    live.deployment("web", replicas=6, namespace=namespace, pool=pool)
    live.until_running(namespace, 6)
    assert len(live.claims(pool)) >= 2
    live.scale("web", namespace, 2)
    live.until(lambda: len(live.claims(pool)) == 1 and len(live.nodes(pool)) == 1, "one node is left", 90)
    live.until_running(namespace, 2)


def test_a_node_becomes_a_cheaper_one(live: Live, namespace: str, pool: str) -> None:
    live.pool(pool, types=["m5.large", "m5.4xlarge"], consolidate="2s")
    live.deployment("big", replicas=1, namespace=namespace, pool=pool, cpu="9")
    live.deployment("small", replicas=1, namespace=namespace, pool=pool, cpu="1")
    live.until_running(namespace, 2)
    live.scale("big", namespace, 0)
    cheap = lambda: [c for c in live.claims(pool) if _type(c) == "m5.large"] and len(live.claims(pool)) == 1  # noqa: E731
    live.until(cheap, "the small pod is on a small node", 90)
    live.until_running(namespace, 1, "small")


def test_a_spot_interruption_moves_the_pods_before_the_end(live: Live, namespace: str, pool: str) -> None:
    live.pool(pool, types=["m5.large"], capacity=["spot"])
    live.deployment("web", replicas=1, namespace=namespace, pool=pool)
    live.until_running(namespace, 1)
    (old,) = live.claims(pool)
    live.cloud.interrupt(old["status"]["providerID"], notice_s=20)
    live.until(lambda: old["metadata"]["name"] not in _named(live, pool), "the claim is gone", 60)
    live.until_running(namespace, 1)


def test_a_claim_that_is_deleted_is_drained_and_its_instance_ended(live: Live, namespace: str, pool: str) -> None:
    live.pool(pool, types=["m5.large"])
    live.pod("one", namespace=namespace, pool=pool)
    live.until_running(namespace, 1)
    (claim,) = live.claims(pool)
    live.api("DELETE", f"{CLAIMS}/{claim['metadata']['name']}")
    live.until_no_claims(pool)
    assert claim["status"]["providerID"] not in [one["providerId"] for one in live.cloud.instances()]


def test_a_node_that_is_deleted_takes_its_claim_with_it(live: Live, namespace: str, pool: str) -> None:
    live.pool(pool, types=["m5.large"])
    live.pod("one", namespace=namespace, pool=pool)
    live.until_running(namespace, 1)
    (node,) = live.nodes(pool)
    live.api("DELETE", f"/api/v1/nodes/{node['metadata']['name']}")
    live.until_no_claims(pool)


def test_a_pool_that_is_deleted_takes_its_nodes_with_it(live: Live, namespace: str, pool: str) -> None:
    live.pool(pool, types=["m5.large"])
    live.pod("one", namespace=namespace, pool=pool)
    live.until_running(namespace, 1)
    live.api("DELETE", f"/apis/karpenter.sh/v1/nodepools/{pool}")
    live.until_no_claims(pool)


def test_an_instance_that_dies_is_noticed_and_replaced(live: Live, namespace: str, pool: str) -> None:
    live.pool(pool, types=["m5.large"])
    live.deployment("web", replicas=1, namespace=namespace, pool=pool)
    live.until_running(namespace, 1)
    (old,) = live.claims(pool)
    live.cloud.interrupt(old["status"]["providerID"], "instance_terminated", 0)
    # Nobody stops the pods there: they are given up, or the node is once it has been silent for long enough.
    live.until(lambda: old["metadata"]["name"] not in _named(live, pool), "the claim is gone", 150)
    live.until_running(namespace, 1, timeout_s=60)


def _named(live: Live, pool: str) -> list[str]:
    return [claim["metadata"]["name"] for claim in live.claims(pool)]


def _type(claim: dict[str, Any]) -> str:
    found: str = claim["metadata"]["labels"].get("node.kubernetes.io/instance-type", "")
    return found


def _alive(live: Live, pod: dict[str, Any]) -> bool:
    """Whether that very pod is there and is not being stopped."""
    namespace, uid = pod["metadata"]["namespace"], pod["metadata"]["uid"]
    return any(
        one["metadata"]["uid"] == uid and "deletionTimestamp" not in one["metadata"] for one in live.pods(namespace)
    )


def _budget(live: Live, namespace: str, spec: dict[str, Any]) -> dict[str, Any]:
    """A PodDisruptionBudget for the pods of `web`, once the server has counted them."""
    selector = {"selector": {"matchLabels": {"app": "web"}}}
    metadata = {"name": "web", "namespace": namespace}
    tree = {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": metadata,
        "spec": {**spec, **selector},
    }
    live.api.apply(tree)
    path = f"/apis/policy/v1/namespaces/{namespace}/poddisruptionbudgets/web"
    live.until(lambda: live.api("GET", path).get("status", {}).get("expectedPods"), "the budget has counted its pods")
    return tree
