"""From pods that wait to pods that run, and back to nothing."""

from __future__ import annotations

from support.live import Live


def test_pods_that_wait_get_a_node_and_run(live: Live, namespace: str, pool: str) -> None:
    live.pool(pool, types=["m5.xlarge"])
    live.deployment("web", replicas=3, namespace=namespace, pool=pool)
    live.until_running(namespace, 3)
    (claim,) = live.claims(pool)
    assert live.condition(claim, "Ready") == "True"
    (node,) = live.nodes(pool)
    assert node["metadata"]["labels"]["karpenter.sh/initialized"] == "true"
    assert not [taint for taint in node["spec"].get("taints", []) if taint["key"].startswith("karpenter.sh/")]
    assert "karpenter.sh/termination" in node["metadata"]["finalizers"]


def test_an_empty_node_goes_when_its_pods_have_gone(live: Live, namespace: str, pool: str) -> None:
    live.pool(pool, types=["m5.xlarge"], consolidate="0s", policy="WhenEmpty")
    live.deployment("web", replicas=1, namespace=namespace, pool=pool)
    live.until_running(namespace, 1)
    live.scale("web", namespace, 0)
    live.until_no_claims(pool)
    assert not [one for one in live.cloud.instances() if one.get("pool") == pool]
