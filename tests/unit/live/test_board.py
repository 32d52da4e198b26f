"""What a board makes of objects: nodes by pool, how full, at what price; who waits and why."""

from __future__ import annotations

from typing import Any

import msgspec

from fretsaw import planner
from fretsaw.api.catalog import Catalog
from fretsaw.api.times import millis
from fretsaw.live.board import NO_POOL, Board, Boards, Waiting
from fretsaw.live.prices import Prices
from fretsaw.live.told import Told
from support.builders import catalog, claim, machine, node, pod, pool, running

NOW = millis("2026-06-03T12:00:00Z")
SOLD = msgspec.convert(catalog(machine("m", "4", "8Gi", 1.0)), Catalog)
KINDS = ("NodePool", "NodeClaim", "Node", "Pod")
GPU = "nvidia.com/gpu"


def board(*objects: dict[str, Any], told: tuple[Told, ...] = (), prices: Prices | None = None) -> Board:
    """A board of these objects at noon."""
    manifests = planner.from_objects(objects)
    held = {
        kind: {obj.metadata.key if kind == "Pod" else obj.name: obj for obj in manifests.objects(kind)}
        for kind in KINDS
    }
    return Boards(prices or Prices(SOLD)).board(held, told, NOW)


def aged(obj: dict[str, Any], created: str = "2026-06-03T11:00:00Z") -> dict[str, Any]:
    """The object as one that was made at that time."""
    return {**obj, "metadata": {**obj["metadata"], "creationTimestamp": created}}


def stands(name: str, **node_spec: Any) -> list[dict[str, Any]]:
    """A claim and its node."""
    own = claim(f"c-{name}", "main", "m")
    own["status"]["conditions"] = [{"type": "Launched", "status": "True"}]
    labels = {
        **own["metadata"]["labels"],
        "karpenter.sh/registered": "true",
        "karpenter.sh/initialized": "true",
        **node_spec.pop("labels", {}),
    }
    return [own, node(name, labels=labels, providerID=own["status"]["providerID"], **node_spec)]


def test_a_node_is_one_line_with_its_claim_and_its_pods() -> None:
    found = board(
        pool(),
        *[aged(obj) for obj in stands("n", room={GPU: "2"})],
        running("p", "n", "1", "2Gi", requests={GPU: "1"}),
        running("q", "n", "1", "2Gi"),
        {**running("done", "n"), "status": {"phase": "Succeeded"}},
    )
    (group,) = found.groups
    (line,) = group.lines
    assert (line.name, line.pool, line.instance_type, line.zone, line.capacity_type) == ("n", "main", "m", "z-a", "on-demand")  # fmt: skip
    assert (line.gpus, line.pods, line.price, line.age, line.state) == ((1, 2), 2, 1.0, 3_600_000, "")
    assert (line.fill("cpu"), line.fill("memory"), line.fill("missing")) == (0.5, 0.5, None)
    assert (group.gpus, group.price, group.fill("cpu")) == ((1, 2), 1.0, 0.5)
    assert (found.bound, found.pending) == (2, 0)


def test_nodes_are_by_pool_and_those_of_none_are_kept_apart() -> None:
    found = board(pool("idle"), pool("main"), *stands("n"), node("own"))
    assert [(group.pool, [line.name for line in group.lines]) for group in found.groups] == [
        (NO_POOL, ["own"]),
        ("idle", []),
        ("main", ["n"]),
    ]
    assert found.whole.price == 1.0


def test_the_state_says_what_is_special() -> None:
    def state(*objects: dict[str, Any]) -> str:
        return board(*objects).groups[0].lines[0].state

    own, its_node = stands("n")
    ordered = {**own, "status": {}}
    broken = {**its_node, "status": {**its_node["status"], "conditions": [{"type": "Ready", "status": "Unknown"}]}}
    fresh = {**its_node, "metadata": {**its_node["metadata"], "labels": {}}}
    going = {**own, "metadata": {**own["metadata"], "deletionTimestamp": "2026-06-03T11:00:00Z", "finalizers": ["f"]}}
    closed = {**its_node, "spec": {**its_node["spec"], "unschedulable": True}}
    assert state(own, its_node) == ""
    assert state(ordered) == "ordered"
    assert state(own) == "booting"
    assert state(own, broken) == "not ready"
    assert state(own, fresh) == "starting"
    assert state(own, closed) == "cordoned"
    assert state(going, its_node) == "going"


def test_a_claim_without_a_node_says_what_it_will_have() -> None:
    line = board(claim("c", "main", "m")).groups[0].lines[0]
    assert (line.name, line.price, line.room["cpu"]) == ("c", 1.0, 4000)


def pending(
    name: str, said: str, owner: str = "", created: str = "2026-06-03T11:59:00Z", **more: Any
) -> dict[str, Any]:
    """A pod that waits, as the scheduler says for a reason."""
    one = aged(pod(name, **more), created)
    one["status"] = {"conditions": [{"type": "PodScheduled", "status": "False", "message": said}]}
    if owner:
        one["metadata"]["ownerReferences"] = [{"kind": "ReplicaSet", "name": owner, "uid": "u", "controller": True}]
    return one


def test_pods_of_one_owner_that_wait_for_the_same_are_together() -> None:
    found = board(
        pending("web-a", "full", "web", requests={GPU: "1"}),
        pending("web-b", "full", "web", "2026-06-03T11:58:00Z", requests={GPU: "1"}),
        pending("web-c", "tainted", "web"),
        pending("alone", "full"),
    )
    assert found.pending == 4
    assert found.waiting == (
        Waiting("default/web", 2, 120_000, "full", 2),
        Waiting("default/alone", 1, 60_000, "full", 0),
        Waiting("default/web-c", 1, 60_000, "tainted", 0),
    )


def test_the_autoscalers_last_word_counts_more_than_the_schedulers() -> None:
    told = (
        Told(NOW, "Pod default/p", "FailedScheduling", "no pool\nfits"),
        Told(NOW - 1, "Pod default/p", "Nominated", "older"),
        Told(NOW, "Node p", "Other", "not about the pod"),
    )
    said = "0/4 nodes are available: 4 had taints. preemption: 0/4 nodes are available."
    found = board(pending("p", said), pending("q", said), told=told)
    assert {one.name: one.why for one in found.waiting} == {
        "default/p": "no pool fits",
        "default/q": "0/4 nodes are available: 4 had taints.",
    }
    assert found.told == told


def test_pods_that_go_do_not_wait() -> None:
    going = pending("p", "")
    going["metadata"]["deletionTimestamp"] = "2026-06-03T11:00:00Z"
    assert board(going, {**pending("q", ""), "status": {"phase": "Failed"}}).waiting == ()


def test_shipped_prices_are_those_of_the_machines_region() -> None:
    def price(zone: str) -> float | None:
        own = claim("c", "main", "g5.xlarge", zone=zone)
        return board(own, prices=Prices()).groups[0].lines[0].price

    america, europe = price("us-east-1a"), price("eu-west-1a")
    assert america is not None
    assert europe is not None
    assert america < europe
    assert price("mars-1a") is None
