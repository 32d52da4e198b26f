"""What is decided before a pass: room on nodes, limits, kinds of pods and their order."""

from __future__ import annotations

from typing import Any

import msgspec

from fretsaw.api.catalog import Catalog
from fretsaw.engine.prepare import Prepared
from fretsaw.engine.settings import Settings
from fretsaw.planner import cluster_of, from_objects
from support import builders as b

CATALOG = msgspec.convert(b.catalog(b.machine("m", "4", "8Gi", 0.1)), Catalog)


def prepared(*objects: dict[str, Any], **settings: Any) -> Prepared:
    return Prepared(cluster_of(from_objects(list(objects)), CATALOG), Settings(**settings))


def free_cpu(*objects: dict[str, Any]) -> dict[str, int]:
    return {n.name: n.free["cpu"] for n in prepared(b.pool(), *objects).existing()}


def _daemon_pod(cpu: str) -> dict[str, Any]:
    one = b.running("agent-x", "n", cpu, namespace="kube-system")
    one["metadata"]["ownerReferences"] = [{"apiVersion": "apps/v1", "kind": "DaemonSet", "name": "agent", "uid": "u"}]
    return one


def test_running_pods_take_room_and_finished_ones_do_not() -> None:
    done = b.running("done", "n", "1")
    done["status"]["phase"] = "Succeeded"
    assert free_cpu(b.node("n"), b.running("r", "n", "1"), done, b.running("else", "other")) == {"n": 3000}


def test_daemon_pods_to_come_take_room_once() -> None:
    assert free_cpu(b.node("n"), b.daemon("agent", "500m")) == {"n": 3500}
    assert free_cpu(b.node("n"), b.daemon("agent", "500m"), _daemon_pod("500m")) == {"n": 3500}
    assert free_cpu(b.node("n"), b.daemon("agent", "500m"), _daemon_pod("700m")) == {"n": 3300}, (
        "never less than nothing"
    )


def test_daemon_pods_that_will_not_come_take_none() -> None:
    assert free_cpu(b.node("n", taints=[b.taint("x")]), b.daemon("agent")) == {"n": 4000}
    assert free_cpu(b.node("n"), b.daemon("agent", nodeSelector={"team": "red"})) == {"n": 4000}


def test_nodes_that_leave_are_no_places_and_their_pods_are_placed_anew() -> None:
    leaving = b.node("n")
    leaving["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    known = prepared(b.pool(), leaving, b.running("r", "n"), b.node("stay"))
    assert [n.name for n in known.existing()] == ["stay"]
    assert [pod for _, pod in known.queue] == ["default/r"]


def test_limits_are_less_what_the_pools_nodes_have() -> None:
    labels = {"karpenter.sh/nodepool": "main", "node.kubernetes.io/instance-type": "m"}
    objects = [b.node("n", labels=labels, providerID="i-1"), b.node("alien")]
    known = prepared(
        b.pool(limits={"cpu": "10", "nodes": "3", "nvidia.com/gpu": "2"}), *objects, b.claim("c", "main", "m")
    )
    assert known.remaining == {"main": {"cpu": 2000, "nodes": 1, "nvidia.com/gpu": 2}}


def test_equal_pods_are_one_kind() -> None:
    pods = [b.pod("a"), b.pod("b"), b.pod("c", "2"), b.pod("d", labels={"x": "y"}), b.pod("e", namespace="other")]
    known = prepared(b.pool(), *pods)
    assert [[p.metadata.name for p in k.pods] for k in known.kinds] == [["a", "b", "d"], ["c"], ["e"]]


def test_labels_make_a_difference_where_a_pod_minds_which_others_are_near() -> None:
    spread = {"maxSkew": 1, "topologyKey": "topology.kubernetes.io/zone", "whenUnsatisfiable": "DoNotSchedule"}
    spread["labelSelector"] = {"matchLabels": {"x": "y"}}
    pods = [b.pod("a"), b.pod("d", labels={"x": "y"}), b.pod("s", topologySpreadConstraints=[spread])]
    known = prepared(b.pool(), *pods)
    assert [[p.metadata.name for p in k.pods] for k in known.kinds] == [["a"], ["d"], ["s"]]


def test_pods_with_volumes_of_their_own_are_kinds_of_their_own() -> None:
    disk = {**b.named("StorageClass", "storage.k8s.io/v1", "d", {}), "provisioner": "ebs.csi.aws.com"}
    disk["volumeBindingMode"] = "WaitForFirstConsumer"
    del disk["spec"]
    claim = {"storageClassName": "d", "accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    claims = [b.named("PersistentVolumeClaim", "v1", f"{name}-v", claim, namespace="default") for name in "ab"]
    volume = [{"name": "v", "ephemeral": {"volumeClaimTemplate": {"spec": claim}}}]
    known = prepared(b.pool(), disk, *claims, b.pod("a", volumes=volume), b.pod("b", volumes=volume))
    assert known.refused == []
    assert [[p.metadata.name for p in k.pods] for k in known.kinds] == [["a"], ["b"]]


def test_a_kind_gives_up_its_wishes_link_by_link_and_links_without_a_difference_share_a_mold() -> None:
    wish = {"weight": 1, "podAffinityTerm": b.term("topology.kubernetes.io/zone", app="db")}
    one = b.pod("a", affinity={"podAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [wish]}})
    known = prepared(b.pool(), one)
    (kind,) = known.kinds
    first, second = known.shape(kind, 0), known.shape(kind, 1)
    assert first is not None
    assert second is not None
    assert known.shape(kind, 2) is None
    assert first.mold is second.mold, "what only other pods decide is no part of the mold"
    assert (first.free, second.free) == (False, True)


def test_without_a_dynamic_pool_nothing_is_planned() -> None:
    known = prepared(b.pool(replicas=2), b.node("n"), b.pod("p"))
    assert known.queue == []
    assert [u.pod for u in known.refused] == ["default/p"]
