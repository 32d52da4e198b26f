"""From pods that wait to pods that run."""

from __future__ import annotations

from support.live import CASE, Live, eventually_never


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


def test_a_gpu_pod_waits_for_the_late_gpu_and_runs_then(live: Live, namespace: str, pool: str) -> None:
    live.pool(pool, types=["g5.xlarge"], template={"taints": [{"key": "nvidia.com/gpu", "effect": "NoSchedule"}]})
    tolerated = [{"key": "nvidia.com/gpu", "operator": "Exists"}]
    live.deployment("train", replicas=1, namespace=namespace, pool=pool, gpus=1, tolerations=tolerated)
    live.until_running(namespace, 1)
    (node,) = live.nodes(pool)
    assert node["status"]["allocatable"]["nvidia.com/gpu"] == "1"
    (claim,) = live.claims(pool)
    assert live.condition(claim, "Initialized") == "True"
    assert claim["spec"]["resources"]["requests"]["nvidia.com/gpu"] == "1"


def test_a_limit_on_nodes_holds_and_the_pods_beyond_it_are_told_why(live: Live, namespace: str, pool: str) -> None:
    live.pool(pool, types=["m5.large"], limits={"nodes": "1"})
    live.deployment("web", replicas=2, namespace=namespace, pool=pool, cpu="1500m")
    live.until_running(namespace, 1)
    waiting = live.until(
        lambda: [pod for pod in live.pods(namespace) if not pod["spec"].get("nodeName")], "one of two pods waits"
    )
    name = waiting[0]["metadata"]["name"]
    told = live.until(lambda: _ours(live.events("FailedScheduling", name)), "a FailedScheduling event of ours")
    assert "limit" in told[0]["message"]
    assert len(live.claims(pool)) == 1


def test_a_pod_that_nothing_fits_gets_no_node(live: Live, namespace: str, pool: str) -> None:
    live.pool(pool, types=["m5.large"])
    live.pod("huge", namespace=namespace, pool=pool, cpu="64")
    live.until(lambda: _ours(live.events("FailedScheduling", "huge")), "a FailedScheduling event of ours")
    eventually_never(lambda: live.claims(pool), 3, "a node was ordered")


def test_a_pod_that_does_not_tolerate_the_pools_taint_gets_no_node(live: Live, namespace: str, pool: str) -> None:
    live.pool(pool, types=["m5.large"], template={"taints": [{"key": "team", "value": "a", "effect": "NoSchedule"}]})
    live.pod("stranger", namespace=namespace, pool=pool)
    told = live.until(lambda: _ours(live.events("FailedScheduling", "stranger")), "a FailedScheduling event of ours")
    assert "team=a" in told[0]["message"]
    live.pod("own", namespace=namespace, pool=pool, tolerations=[{"key": "team", "operator": "Exists"}])
    live.until_running(namespace, 1, "own")


def test_startup_taints_are_waited_for(live: Live, namespace: str, pool: str) -> None:
    taint = {"key": "example.com/starting", "effect": "NoSchedule"}
    live.pool(pool, types=["m5.large"], template={"startupTaints": [taint]})
    live.pod("one", namespace=namespace, pool=pool)
    live.until_running(namespace, 1)
    (node,) = live.nodes(pool)
    assert taint not in node["spec"].get("taints", [])


def test_the_pool_of_the_higher_weight_is_taken_first(live: Live, namespace: str, pool: str) -> None:
    second = f"{pool}-b"
    label = {"metadata": {"labels": {CASE: pool}}}
    live.pool(pool, types=["m5.large"], weight=1)
    live.pool(second, types=["m5.2xlarge"], weight=50)
    body = {"spec": {"template": label}}
    live.api("PATCH", f"/apis/karpenter.sh/v1/nodepools/{second}", body)
    try:
        live.pod("one", namespace=namespace, pool=pool)
        live.until_running(namespace, 1)
        assert not live.claims(pool)
        assert len(live.claims(second)) == 1
    finally:
        live.api("DELETE", f"/api/v1/namespaces/{namespace}/pods/one", {"gracePeriodSeconds": 0})
        live.remove([second])


def test_on_demand_is_taken_where_spot_is_out(live: Live, namespace: str, pool: str) -> None:
    live.cloud("PUT", "/stock", {"m5.large/*/spot": 0})
    live.pool(pool, types=["m5.large"], capacity=["spot", "on-demand"])
    live.pod("one", namespace=namespace, pool=pool)
    live.until_running(namespace, 1)
    (claim,) = live.claims(pool)
    assert claim["metadata"]["labels"]["karpenter.sh/capacity-type"] == "on-demand"


def test_without_any_capacity_the_claim_is_given_up_and_told_of(live: Live, namespace: str, pool: str) -> None:
    live.cloud("PUT", "/stock", {"c5.large/*/*": 0})
    live.pool(pool, types=["c5.large"])
    live.pod("one", namespace=namespace, pool=pool)
    told = live.until(
        lambda: [e for e in live.events("InsufficientCapacityError") if e["involvedObject"]["name"].startswith(pool)],
        "an InsufficientCapacityError event",
    )
    assert told[0]["type"] == "Warning"
    live.until(lambda: not live.claims(pool), "the claim is given up")
    assert not live.running(namespace)


def test_a_static_pool_has_the_number_of_nodes_that_it_asks_for(live: Live, pool: str) -> None:
    live.pool(pool, types=["m5.large"], replicas=2)
    ready = lambda: [c for c in live.claims(pool) if live.condition(c, "Ready") == "True"]  # noqa: E731
    live.until(lambda: len(ready()) == 2, "two nodes are ready")
    live.pool(pool, types=["m5.large"], replicas=1)
    live.until(lambda: len(live.claims(pool)) == 1 and len(live.nodes(pool)) == 1, "one node is left")
    live.pool(pool, types=["m5.large"], replicas=0)
    live.until_no_claims(pool)


def test_a_spread_over_zones_is_planned_as_the_scheduler_wants_it(live: Live, namespace: str, pool: str) -> None:
    live.pool(pool, types=["m5.large", "m5.xlarge"])
    spread = {
        "maxSkew": 1,
        "topologyKey": "topology.kubernetes.io/zone",
        "whenUnsatisfiable": "DoNotSchedule",
        "labelSelector": {"matchLabels": {"app": "web"}},
    }
    live.deployment("web", replicas=3, namespace=namespace, pool=pool, topologySpreadConstraints=[spread])
    live.until_running(namespace, 3)
    zones = {node["metadata"]["labels"]["topology.kubernetes.io/zone"] for node in live.nodes(pool)}
    assert len(zones) == 3


def test_a_capacity_buffer_keeps_room(live: Live, namespace: str, pool: str) -> None:
    live.pool(pool, types=["m5.large"])
    spec = {"containers": [{"name": "a", "image": "a", "resources": {"requests": {"cpu": "1"}}}]}
    template = {
        "metadata": {"name": "room", "namespace": namespace},
        "template": {"spec": {**spec, "nodeSelector": {CASE: pool}}},
    }
    live.api.apply({"apiVersion": "v1", "kind": "PodTemplate", **template})
    live.api.apply(
        {
            "apiVersion": "autoscaling.x-k8s.io/v1beta1",
            "kind": "CapacityBuffer",
            "metadata": {"name": "room", "namespace": namespace},
            "spec": {"podTemplateRef": {"name": "room"}, "replicas": 1},
        }
    )
    try:
        live.until(lambda: len(live.nodes(pool)) == 1, "a node for nobody yet")
        assert not live.pods(namespace)
    finally:
        live.api("DELETE", f"/apis/autoscaling.x-k8s.io/v1beta1/namespaces/{namespace}/capacitybuffers/room")


def test_a_daemons_requests_are_counted_on_new_nodes(live: Live, namespace: str, pool: str) -> None:
    live.pool(pool, types=["m5.large", "m5.xlarge"])
    daemon = {"nodeSelector": {CASE: pool}, "tolerations": [{"operator": "Exists"}]}
    daemon["containers"] = [{"name": "a", "image": "a", "resources": {"requests": {"cpu": "800m"}}}]
    live.api.apply(
        {
            "apiVersion": "apps/v1",
            "kind": "DaemonSet",
            "metadata": {"name": "agent", "namespace": namespace},
            "spec": {
                "selector": {"matchLabels": {"app": "agent"}},
                "template": {"metadata": {"labels": {"app": "agent"}}, "spec": daemon},
            },
        }
    )
    live.pod("one", namespace=namespace, pool=pool, cpu="1500m")
    live.until_running(namespace, 1, "one")
    (node,) = live.nodes(pool)
    assert node["metadata"]["labels"]["node.kubernetes.io/instance-type"] == "m5.xlarge"


def test_a_price_overlay_changes_what_is_bought(live: Live, namespace: str, pool: str) -> None:
    live.pool(pool, types=["m5.large", "m5a.large"])
    overlay = {
        "apiVersion": "karpenter.sh/v1alpha1",
        "kind": "NodeOverlay",
        "metadata": {"name": pool},
        "spec": {
            "requirements": [
                {"key": "node.kubernetes.io/instance-type", "operator": "In", "values": ["m5.large"]},
                {"key": "karpenter.sh/nodepool", "operator": "In", "values": [pool]},
            ],
            "price": "0.001",
        },
    }
    live.api.apply(overlay)
    try:
        live.until(lambda: live.condition(live.api("GET", f"/apis/karpenter.sh/v1/nodepools/{pool}"), "Ready"), "ready")
        live.pod("one", namespace=namespace, pool=pool)
        live.until_running(namespace, 1)
        (node,) = live.nodes(pool)
        assert node["metadata"]["labels"]["node.kubernetes.io/instance-type"] == "m5.large"
    finally:
        live.api.delete(overlay)


def test_a_class_that_is_not_ready_launches_nothing_until_it_is(live: Live, namespace: str, pool: str) -> None:
    live.node_class(pool, **{"fretsaw.dev/fake-not-ready": "SubnetsNotFound"})
    live.pool(pool, types=["m5.large"], node_class=pool)
    live.pod("one", namespace=namespace, pool=pool)
    unready = lambda: live.condition(live.api("GET", f"/apis/karpenter.sh/v1/nodepools/{pool}"), "Ready") == "False"  # noqa: E731
    live.until(unready, "the pool says that it is not ready")
    eventually_never(lambda: live.claims(pool), 2, "a node was ordered")
    path = f"/apis/karpenter.k8s.aws/v1/ec2nodeclasses/{pool}"
    live.api("PATCH", path, {"metadata": {"annotations": {"fretsaw.dev/fake-not-ready": None}}})
    live.until_running(namespace, 1)


def _ours(events: list[dict[str, object]]) -> list[dict[str, object]]:
    """Those that kube-scheduler did not write."""
    return [event for event in events if event.get("source", {}).get("component") == "karpenter"]  # type: ignore[attr-defined]
