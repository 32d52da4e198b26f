"""Each law of the audit with a run that breaks it, and its neighbour that does not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from fretsaw.api.meta import Condition, LabelSelector, ObjectMeta, OwnerReference
from fretsaw.api.node import Node
from fretsaw.api.nodeclaim import NodeClaim
from fretsaw.api.nodepool import NodePool
from fretsaw.api.pod import Container, Pod, PodSpec, PodStatus, ResourceRequirements
from fretsaw.api.policy import PodDisruptionBudget
from fretsaw.api.times import HOUR, MINUTE, SECOND, millis, rfc3339
from fretsaw.api.workload import ReplicaSet, ReplicaSetSpec
from fretsaw.engine import events as e
from fretsaw.engine.turn import Turn
from fretsaw.sim.audit import MOST, Audit
from fretsaw.sim.world import World

START = millis("2026-01-05T00:00:00Z")
Fields = dict[str, Any]


class Bench:
    """A world that is audited, and short ways to fill it."""

    def __init__(self) -> None:
        self.world = World(START)
        self.audit = Audit(self.world)
        self.store = self.world.store

    @property
    def told(self) -> list[str]:
        """The violations without their times."""
        return [text.partition(": ")[2] for text in self.audit.told()]

    def later(self, span: int) -> None:
        self.world.loop.run(self.world.loop.now + span)

    def pool(self, **spec: Any) -> None:
        body = {"template": {"spec": {"nodeClassRef": {"group": "g", "kind": "k", "name": "n"}, "requirements": []}}}
        found = {"metadata": {"name": "main"}, "spec": {**body, **spec}}
        self.store.put(msgspec.convert(found, NodePool))

    def claim(
        self, name: str, *, launched: bool = True, grace: str | None = None, capacity: Fields | None = None, **more: Any
    ) -> None:
        spec: Fields = {"nodeClassRef": {"group": "g", "kind": "k", "name": "n"}, "requirements": []}
        spec |= {"terminationGracePeriod": grace} if grace else {}
        head = {"name": name, "labels": {"karpenter.sh/nodepool": "main"}, "finalizers": ["f"], **more}
        self.store.put(msgspec.convert({"metadata": head, "spec": spec}, NodeClaim))
        if launched:
            self.launch(name, capacity or {"cpu": "4"})

    def launch(self, name: str, capacity: Fields) -> None:
        claim: NodeClaim = self.store.get("NodeClaim", name)
        status = replace(claim.status, provider_id=f"i-{name}", capacity=capacity)
        self.store.put(replace(claim, status=status))

    def machine(
        self, name: str, *, ready: bool = True, used: bool = True, notes: Fields | None = None, **more: Any
    ) -> None:
        """A claim with its node, in use."""
        self.claim(name, **more)
        labels = {"karpenter.sh/nodepool": "main", "karpenter.sh/initialized": "true" if used else "false"}
        head = {"name": f"n-{name}", "labels": labels, "annotations": notes or {}}
        head["ownerReferences"] = [{"kind": "NodeClaim", "name": name, "uid": "u", "apiVersion": "v1"}]
        amounts = {"cpu": "4", "memory": "8Gi", "pods": "10", "nvidia.com/gpu": "2"}
        status = {"capacity": amounts, "allocatable": amounts, "conditions": [{"type": "Ready", "status": str(ready)}]}
        found = {"metadata": head, "spec": {"providerID": f"i-{name}"}, "status": status}
        self.store.put(msgspec.convert(found, Node))
        claim: NodeClaim = self.store.get("NodeClaim", name)
        self.store.put(replace(claim, status=replace(claim.status, node_name=f"n-{name}")))

    def pod(
        self, name: str, node: str = "", *, ready: bool = True, owner: str = "", phase: str = "", **fields: Any
    ) -> str:
        """A pod that runs where it has a node, else one that waits."""
        requests = fields.pop("requests", {"cpu": "1"})
        owners = (
            (OwnerReference(owner.partition("/")[0], owner.partition("/")[2], f"uid-{owner}", "v1", controller=True),)
            if owner
            else ()
        )
        head = ObjectMeta(name=name, namespace="default", owner_references=owners, **fields)
        status = PodStatus(
            phase or ("Running" if node else "Pending"),
            (Condition("Ready", str(ready)),) if node else (),
            start_time=rfc3339(START),
        )
        spec = PodSpec(containers=(Container("c", resources=ResourceRequirements(requests)),), node_name=node)
        self.store.put(Pod(head, spec, status))
        return f"default/{name}"

    def bind(self, key: str, node: str) -> None:
        pod: Pod = self.store.get("Pod", key)
        self.store.put(replace(pod, spec=replace(pod.spec, node_name=node)))

    def budget(self, name: str = "pdb", *, allowed: int | None = 1, app: str = "a", **spec: Any) -> None:
        body = {"selector": {"matchLabels": {"app": app}}, **spec}
        status = {} if allowed is None else {"disruptionsAllowed": allowed}
        found = {"metadata": {"name": name, "namespace": "default"}, "spec": body, "status": status}
        self.store.put(msgspec.convert(found, PodDisruptionBudget))

    def scale(self, replicas: int, name: str = "web") -> None:
        head = ObjectMeta(name=name, namespace="default", uid=f"uid-ReplicaSet/{name}")
        self.store.put(ReplicaSet(head, ReplicaSetSpec(replicas, LabelSelector({"app": "a"}))))

    def evict(self, key: str) -> None:
        """What the eviction API does once it has granted one."""
        self.world.journal.note("pod-evicted", f"Pod/{key}", node="", budget="")
        self.store.delete("Pod", key)

    def start(self, *names: str, reason: str = "Empty", method: str = "emptiness", at: int = START) -> None:
        """A turn that starts a command."""
        command = e.Command(f"{method}/{names[0]}", method, reason, names)  # type: ignore[arg-type]
        self.audit.turn(at, Turn(notes=(e.CommandStarted(command, at),)))

    def end(self, name: str, why: str = "") -> None:
        """A turn that ends the command of this first machine."""
        self.audit.turn(START, Turn(notes=(e.CommandEnded(f"emptiness/{name}", why),)))

    def instance(self, what: str, name: str, **data: Any) -> None:
        facts = {"claim": name, "pool": "main", "type": "m", "zone": "z", "capacity_type": "spot", "price": 1.8}
        self.world.journal.note(f"instance-{what}", f"Instance/i-{name}", **facts | data)


@pytest.fixture
def bench() -> Bench:
    return Bench()


# Pods and nodes


def test_a_pod_that_fits_may_be_bound(bench: Bench) -> None:
    bench.machine("a")
    bench.bind(bench.pod("p", requests={"cpu": "4"}), "n-a")
    assert bench.told == []


def test_a_node_may_not_hold_more_than_it_has(bench: Bench) -> None:
    bench.machine("a")
    bench.bind(bench.pod("p", requests={"cpu": "3"}), "n-a")
    bench.bind(bench.pod("q", requests={"cpu": "2"}), "n-a")
    assert bench.told == ["node n-a holds 5000 cpu of 4000 after pod default/q"]


def test_pods_that_have_ended_hold_nothing(bench: Bench) -> None:
    bench.machine("a")
    bench.bind(bench.pod("p", requests={"cpu": "3"}), "n-a")
    pod: Pod = bench.store.get("Pod", "default/p")
    bench.store.put(replace(pod, status=PodStatus("Succeeded")))
    bench.bind(bench.pod("q", requests={"cpu": "3"}), "n-a")
    bench.store.remove("Pod", "default/q")
    bench.bind(bench.pod("r", requests={"cpu": "4"}), "n-a")
    assert bench.told == []


def test_a_gpu_that_breaks_under_its_pod_is_no_violation_for_others(bench: Bench) -> None:
    bench.machine("a")
    bench.bind(bench.pod("p", requests={"nvidia.com/gpu": "2"}), "n-a")
    node: Node = bench.store.get("Node", "n-a")
    left = {**node.status.allocatable, "nvidia.com/gpu": "1"}
    bench.store.put(replace(node, status=replace(node.status, allocatable=left)))
    bench.bind(bench.pod("q", requests={"cpu": "1"}), "n-a")
    assert bench.told == []
    bench.bind(bench.pod("r", requests={"nvidia.com/gpu": "1"}), "n-a")
    assert bench.told == ["node n-a holds 3 nvidia.com/gpu of 1 after pod default/r"]


def test_a_pod_is_bound_to_a_node_that_is_there(bench: Bench) -> None:
    bench.bind(bench.pod("p"), "n-a")
    assert bench.told == ["pod default/p is bound to node n-a, which does not exist"]


def test_a_pod_that_somebody_makes_with_a_node_is_its_makers_business(bench: Bench) -> None:
    bench.pod("p", "n-a")
    assert bench.told == []


def test_a_pod_stays_on_its_node(bench: Bench) -> None:
    bench.pod("p", "n-a")
    bench.bind("default/p", "n-b")
    assert bench.told == ["pod default/p moved from node n-a to n-b"]


def test_an_end_is_final(bench: Bench) -> None:
    bench.pod("p", "n-a", phase="Succeeded")
    pod: Pod = bench.store.get("Pod", "default/p")
    bench.store.put(replace(pod, status=PodStatus("Failed")))
    assert bench.told == ["pod default/p was Succeeded and is Failed now"]


def test_a_pod_without_a_node_does_not_run(bench: Bench) -> None:
    key = bench.pod("p")
    bench.store.put(replace(bench.store.get("Pod", key), status=PodStatus("Running")))
    assert bench.told == ["pod default/p runs on no node"]


# Limits


def test_a_launch_beyond_a_limit(bench: Bench) -> None:
    bench.pool(limits={"cpu": "6"})
    bench.claim("a")
    assert bench.told == []
    bench.claim("b")
    assert bench.told == ["pool main has 8000 cpu of its limit 6000 with b"]


def test_claims_that_were_ordered_together_count_when_the_last_has_launched(bench: Bench) -> None:
    bench.pool(limits={"cpu": "6"})
    bench.claim("a", launched=False)
    bench.claim("b", launched=False)
    bench.launch("b", {"cpu": "4"})
    assert bench.told == []
    bench.launch("a", {"cpu": "4"})
    assert bench.told == ["pool main has 8000 cpu of its limit 6000 with b"]


def test_what_goes_or_will_be_replaced_does_not_count(bench: Bench) -> None:
    bench.pool(limits={"cpu": "4"})
    bench.machine("a")
    bench.start("a")
    bench.claim("b")
    bench.store.delete("NodeClaim", "b")
    bench.claim("c")
    assert bench.told == []


def test_machines_that_come_back_break_no_limit_but_the_next_order_does(bench: Bench) -> None:
    bench.pool(limits={"cpu": "8"})
    bench.machine("a")
    bench.start("a")
    bench.claim("b")
    bench.end("a", "replacement was deleted")
    bench.claim("c")  # of the same turn, which still counted on the room
    assert bench.told == []
    bench.audit.turn(START, Turn())
    bench.claim("d")
    assert bench.told == ["pool main has 16000 cpu of its limit 8000 with d"]


def test_a_limit_that_shrinks_after_the_order_is_not_broken(bench: Bench) -> None:
    bench.pool(limits={"cpu": "4"})
    bench.claim("a", launched=False)
    bench.pool(limits={"cpu": "2"})
    bench.launch("a", {"cpu": "4"})
    assert bench.told == []


def test_a_machine_in_use_counts_as_what_its_node_says(bench: Bench) -> None:
    bench.pool(limits={"nvidia.com/gpu": "3"})
    bench.machine("a", capacity={"nvidia.com/gpu": "8"})
    bench.claim("b", launched=False)
    bench.launch("b", {"nvidia.com/gpu": "1"})
    assert bench.told == ["pool main has 8 nvidia.com/gpu of its limit 3 with a"]


def test_a_limit_of_nodes(bench: Bench) -> None:
    bench.pool(limits={"nodes": "1"})
    bench.claim("a", launched=False)
    bench.claim("b", launched=False)
    assert bench.told == ["claim b is node 2 of pool main, of 1"]


def test_a_static_pool_orders_its_replicas_and_no_more(bench: Bench) -> None:
    bench.pool(replicas=1)
    bench.claim("a")
    assert bench.told == []
    bench.claim("b")
    assert bench.told == ["claim b is one of 2 of pool main, which wants 1"]


def test_a_static_pools_limit_counts_what_goes(bench: Bench) -> None:
    bench.pool(replicas=1, limits={"nodes": "1"})
    bench.claim("a")
    bench.store.delete("NodeClaim", "a")
    bench.claim("b")
    assert bench.told == ["claim b is node 2 of static pool main, of 1"]


# Disruptions


@pytest.mark.parametrize(
    ("made", "why"),
    [
        ({"used": False}, "takes node n-a, which is not in use yet"),
        ({"notes": {"karpenter.sh/do-not-disrupt": "true"}}, "takes node n-a, which says do-not-disrupt"),
    ],
)
def test_machines_that_may_not_be_taken(bench: Bench, made: Fields, why: str) -> None:
    bench.machine("a", **made)
    bench.start("a")
    assert [text for text in bench.told if "takes node" in text] == [f"emptiness/a {why}"]


def test_a_machine_that_is_not_there_cannot_be_taken(bench: Bench) -> None:
    bench.claim("b")
    bench.start("a", "b")
    assert bench.told == ["emptiness/a takes a, which has no claim", "emptiness/a takes b, which has no node"]


def test_a_machine_that_goes_already_is_not_taken_again(bench: Bench) -> None:
    bench.machine("a")
    bench.machine("b")
    bench.start("a")
    bench.store.delete("NodeClaim", "b")
    bench.start("b", "a", method="drift", reason="Drifted")
    assert bench.told == [
        "drift/b takes claim b, which is on its way out",
        "drift/b takes claim a, which is on its way out",
    ]


@pytest.mark.parametrize(
    ("text", "at", "protects"),
    [
        ("true", START, True),
        ("10m", START + 9 * MINUTE, True),
        ("10m", START + 10 * MINUTE, False),
        ("never", START, False),
    ],
)
def test_protected_pods_keep_their_node(bench: Bench, text: str, at: int, protects: bool) -> None:
    bench.machine("a")
    bench.pod("p", "n-a", annotations={"karpenter.sh/do-not-disrupt": text})
    bench.start("a", reason="Underutilized", method="single", at=at)
    assert bench.told == (["single/a takes node n-a, with the protected pod default/p"] if protects else [])


def test_drift_with_a_termination_grace_period_takes_protected_pods(bench: Bench) -> None:
    bench.machine("a", grace="1h")
    bench.pod("p", "n-a", annotations={"karpenter.sh/do-not-disrupt": "true"})
    bench.start("a", reason="Drifted", method="drift")
    assert bench.told == []


@pytest.mark.parametrize(
    ("allowed", "spec", "ready", "kept"),
    [(1, {}, True, False), (0, {}, True, True), (0, {"unhealthyPodEvictionPolicy": "AlwaysAllow"}, False, False)],
)
def test_a_budget_that_allows_nothing_keeps_a_node(
    bench: Bench, allowed: int, spec: Fields, ready: bool, kept: bool
) -> None:
    bench.machine("a")
    bench.budget(allowed=allowed, **spec)
    bench.pod("p", "n-a", labels={"app": "a"}, ready=ready)
    bench.start("a", reason="Underutilized", method="single")
    assert bench.told == (["single/a takes node n-a, with pod default/p, which budget pdb keeps"] if kept else [])


def test_several_budgets_of_a_pod_keep_its_node(bench: Bench) -> None:
    bench.machine("a")
    bench.budget("one")
    bench.budget("two")
    bench.pod("p", "n-a", labels={"app": "a"})
    bench.start("a", reason="Underutilized", method="single")
    assert bench.told == ["single/a takes node n-a, with pod default/p, which several budgets protect"]


@pytest.mark.parametrize(
    ("spec", "why"),
    [
        ({"replicas": 1}, "of a static pool"),
        ({"disruption": {"consolidateAfter": "Never"}}, "of a pool that is never consolidated"),
        (
            {"disruption": {"consolidateAfter": "0s", "consolidationPolicy": "WhenEmpty"}},
            "of a pool that is consolidated only when empty",
        ),
    ],
)
def test_a_pool_that_does_not_want_it_is_not_consolidated(bench: Bench, spec: Fields, why: str) -> None:
    bench.pool(**spec)
    bench.machine("a")
    bench.start("a", reason="Underutilized", method="single")
    assert f"single/a takes node n-a, {why}" in bench.told


@pytest.mark.parametrize(
    ("fields", "empty"),
    [
        ({}, False),
        ({"owner": "DaemonSet/agent"}, True),
        ({"phase": "Succeeded"}, True),
        ({"annotations": {"controller.kubernetes.io/pod-deletion-cost": "-134217728"}}, True),
        ({"annotations": {"controller.kubernetes.io/pod-deletion-cost": "-134217727"}}, False),
        ({"annotations": {"controller.kubernetes.io/pod-deletion-cost": "much"}}, False),
    ],
)
def test_what_is_taken_as_empty_is_empty(bench: Bench, fields: Fields, empty: bool) -> None:
    bench.pool()
    bench.machine("a")
    bench.pod("p", "n-a", **fields)
    bench.start("a")
    assert bench.told == ([] if empty else ["emptiness/a takes node n-a, which is not empty: default/p"])


HALF = {"nodes": "50%"}
CLOSED = {"nodes": "0", "schedule": "0 0 * * *", "duration": "1h"}


@pytest.mark.parametrize(
    ("budgets", "at", "allowed"),
    [
        ([], START, 4),
        ([HALF], START, 2),
        ([{"nodes": "26%"}], START, 2),
        ([{"nodes": "3"}, {"nodes": "1", "reasons": ["Drifted"]}], START, 3),
        ([{"nodes": "3"}, {"nodes": "1", "reasons": ["Empty"]}], START, 1),
        ([CLOSED], START, 0),
        ([CLOSED], START + HOUR - 1, 0),
        ([CLOSED], START + HOUR, 4),
        ([CLOSED, HALF], START + 2 * HOUR, 2),
    ],
)
def test_budgets_hold_at_the_instant_of_the_start(bench: Bench, budgets: list[Fields], at: int, allowed: int) -> None:
    names = ("a", "b", "c", "d")
    bench.pool(disruption={"consolidateAfter": "0s", "budgets": budgets})
    for name in names:
        bench.machine(name)
    if allowed:
        bench.start(*names[:allowed], at=at)
    assert bench.told == []
    if allowed < len(names):
        bench.end("a")
        bench.audit.turn(at, Turn())
        bench.start(*names[: allowed + 1], at=at)
        assert bench.told == [
            f"emptiness/a takes {allowed + 1} nodes of pool main while 0 are going; its budgets allow {allowed}"
        ]


def _deleted(bench: Bench) -> None:
    bench.store.delete("NodeClaim", "b")


def _unready(bench: Bench) -> None:
    node: Node = bench.store.get("Node", "n-b")
    bench.store.put(replace(node, status=replace(node.status, conditions=(Condition("Ready", "Unknown"),))))


def _marked(bench: Bench) -> None:
    bench.start("b", reason="Drifted", method="drift")


@pytest.mark.parametrize("happens", [_deleted, _unready, _marked])
def test_machines_that_go_anyway_use_the_budget_up(bench: Bench, happens: Callable[[Bench], None]) -> None:
    bench.pool(disruption={"consolidateAfter": "0s", "budgets": [{"nodes": "1"}]})
    bench.machine("a")
    bench.machine("b")
    happens(bench)
    bench.start("a")
    assert bench.told == ["emptiness/a takes 1 nodes of pool main while 1 are going; its budgets allow 1"]


def test_a_command_that_is_over_uses_no_budget(bench: Bench) -> None:
    bench.pool(disruption={"consolidateAfter": "0s", "budgets": [{"nodes": "1"}]})
    bench.machine("a")
    bench.machine("b")
    bench.start("b")
    bench.end("b", "replacement was deleted")
    bench.audit.turn(START, Turn())
    bench.start("a")
    assert bench.told == []


def test_machines_that_are_not_in_use_make_no_percentage_larger(bench: Bench) -> None:
    bench.pool(disruption={"consolidateAfter": "0s", "budgets": [HALF]})
    for name in ("a", "b"):
        bench.machine(name)
    for name in ("c", "d"):
        bench.machine(name, used=False)
    bench.start("a", "b")
    assert bench.told == ["emptiness/a takes 2 nodes of pool main while 0 are going; its budgets allow 1"]


# Evictions


def serving(bench: Bench, number: int, **budget: Any) -> None:
    """Ready pods of a ReplicaSet under a budget, all of it long known to the budget's controller."""
    bench.machine("a")
    bench.scale(number)
    for index in range(number):
        bench.pod(f"p{index}", "n-a", labels={"app": "a"}, owner="ReplicaSet/web")
    bench.budget(**budget)
    bench.later(MINUTE)


@pytest.mark.parametrize(
    ("spec", "granted"),
    [
        ({"maxUnavailable": 1}, 1),
        ({"maxUnavailable": "50%"}, 2),
        ({"maxUnavailable": "100%"}, 3),
        ({"minAvailable": 2}, 1),
        ({"minAvailable": "34%"}, 1),
        ({"minAvailable": 0}, 3),
    ],
)
def test_an_eviction_beyond_a_budget(bench: Bench, spec: Fields, granted: int) -> None:
    serving(bench, 3, **spec)
    for index in range(granted):
        bench.evict(f"default/p{index}")
    assert bench.told == []
    if granted < 3:
        bench.evict(f"default/p{granted}")
        left, needed = 2 - granted, 3 - granted
        assert bench.told == [f"evicting default/p{granted} leaves budget pdb {left} healthy pods of {needed}"]


def test_pods_that_are_not_ready_are_not_among_the_healthy_ones(bench: Bench) -> None:
    serving(bench, 3, maxUnavailable=1)
    pod: Pod = bench.store.get("Pod", "default/p0")
    bench.store.put(replace(pod, status=replace(pod.status, conditions=(Condition("Ready", "False"),))))
    bench.later(MINUTE)
    bench.evict("default/p1")
    assert bench.told == ["evicting default/p1 leaves budget pdb 1 healthy pods of 2"]


@pytest.mark.parametrize(
    ("policy", "healthy", "allowed"),
    [("IfHealthyBudget", True, True), ("IfHealthyBudget", False, False), ("AlwaysAllow", False, True)],
)
def test_a_pod_that_is_not_ready(bench: Bench, policy: str, healthy: bool, allowed: bool) -> None:
    serving(bench, 3, maxUnavailable=1 if healthy else 0, unhealthyPodEvictionPolicy=policy)
    pod: Pod = bench.store.get("Pod", "default/p0")
    bench.store.put(replace(pod, status=replace(pod.status, conditions=(Condition("Ready", "False"),))))
    bench.later(MINUTE)
    bench.evict("default/p0")
    assert bench.told == ([] if allowed else ["evicting default/p0 leaves budget pdb 2 healthy pods of 3"])


def test_what_a_budgets_controller_cannot_have_seen_is_no_violation(bench: Bench) -> None:
    serving(bench, 3, maxUnavailable=1)
    bench.scale(9)
    bench.evict("default/p0")
    assert bench.told == []
    bench.later(MINUTE)
    bench.evict("default/p1")
    assert bench.told == ["evicting default/p1 leaves budget pdb 1 healthy pods of 8"]


@pytest.mark.parametrize("ready", [True, False])
def test_pods_whose_controller_has_no_scale_cannot_be_counted(bench: Bench, ready: bool) -> None:
    """For one that is not ready the API goes by what the budget's status says of a better time."""
    bench.machine("a")
    bench.budget(maxUnavailable=1)
    bench.pod("p", "n-a", labels={"app": "a"}, owner="Job/train", ready=ready)
    bench.later(MINUTE)
    bench.evict("default/p")
    text = "evicting default/p, although nobody can say how many pods budget pdb expects"
    assert bench.told == ([text] if ready else [])


def test_several_budgets_forbid_an_eviction(bench: Bench) -> None:
    serving(bench, 3, maxUnavailable=1)
    bench.budget("more", maxUnavailable=1)
    bench.evict("default/p0")
    assert bench.told == ["pod default/p0 is evicted, although 2 budgets protect it"]


def test_pods_that_do_not_serve_need_no_budget(bench: Bench) -> None:
    serving(bench, 2, maxUnavailable=0)
    bench.pod("waits", labels={"app": "a"})
    bench.pod("done", "n-a", labels={"app": "a"}, phase="Succeeded")
    bench.later(MINUTE)
    bench.evict("default/waits")
    bench.evict("default/done")
    assert bench.told == []


def test_a_pod_whose_protection_holds_is_not_evicted(bench: Bench) -> None:
    for name, text in (("long", "1h"), ("short", "1s")):
        bench.pod(name, "n-a", annotations={"karpenter.sh/do-not-disrupt": text})
    bench.later(MINUTE)
    bench.evict("default/short")
    bench.evict("default/long")
    assert bench.told == ["pod default/long is evicted, although its do-not-disrupt holds"]


@pytest.mark.parametrize(("left", "allowed"), [(None, False), (31 * SECOND, False), (29 * SECOND, True)])
def test_a_deletion_by_force_needs_a_deadline(bench: Bench, left: int | None, allowed: bool) -> None:
    notes = {} if left is None else {"karpenter.sh/nodeclaim-termination-timestamp": rfc3339(START + left)}
    bench.machine("a", annotations=notes)
    bench.pod("p", "n-a")
    bench.world.journal.note("pod-deleted", "Pod/default/p", reason="x")
    text = "pod default/p is deleted by force, although its node has the time that it needs"
    assert bench.told == ([] if allowed else [text])


# Instances and money


def test_a_claim_has_one_instance(bench: Bench) -> None:
    bench.instance("asked", "a")
    bench.world.journal.note("instance-asked", "Instance/i-other", claim="a")
    assert bench.told == ["claim a has two instances: i-a and i-other"]


def test_an_instance_has_one_claim(bench: Bench) -> None:
    bench.instance("asked", "a", claim="b")
    bench.claim("a")
    assert bench.told == ["claim a names the instance of claim b"]


def test_an_instance_runs_once_and_ends_once(bench: Bench) -> None:
    for what in ("running", "asked", "running", "running"):
        bench.instance(what, "a")
    for _ in range(2):
        bench.instance("ended", "a", why="terminated")
    bench.instance("running", "a")
    assert bench.told == [
        "instance i-a runs, although it was never asked for",
        "instance i-a runs, although it runs already",
        "instance i-a ends, although it has ended",
        "instance i-a runs, although it has ended",
    ]


def ran(bench: Bench, span: int, why: str = "") -> int:
    """An instance at 1.80 USD an hour; the time then."""
    bench.instance("asked", "a")
    bench.instance("running", "a")
    bench.later(span)
    if why:
        bench.instance("ended", "a", why=why)
    return bench.world.loop.now


NANO_A_SECOND = 500_000
"""1.80 USD an hour."""


@pytest.mark.parametrize(("span", "seconds"), [(0, 60), (59 * SECOND, 60), (60 * SECOND + 1, 61), (HOUR, 3600)])
def test_the_bill_is_seconds_times_price(bench: Bench, span: int, seconds: int) -> None:
    now = ran(bench, span)
    right = {"i-a": seconds * NANO_A_SECOND}
    assert list(bench.audit.bill(right, now)) == []
    wrong = list(bench.audit.bill({"i-a": right["i-a"] + 1}, now))
    assert len(wrong) == 1
    assert wrong[0].startswith("instance i-a is billed")
    assert len(list(bench.audit.bill({}, now))) == 1


def test_an_instance_that_never_ran_costs_nothing(bench: Bench) -> None:
    bench.instance("asked", "a")
    assert list(bench.audit.bill({"i-a": 0, "i-b": 0}, START)) == []
    assert list(bench.audit.bill({"i-a": 1}, START)) == ["instance i-a is on the bill and never ran"]


@pytest.mark.parametrize(
    ("why", "span", "free"),
    [("spot-reclaim", HOUR - 1, True), ("spot-reclaim", HOUR, False), ("terminated", MINUTE, False)],
)
def test_a_first_hour_that_ec2_ends_may_be_free(bench: Bench, why: str, span: int, free: bool) -> None:
    now = ran(bench, span, why)
    assert list(bench.audit.bill({"i-a": 0}, now, free_first_hour=True)) == (
        [] if free else [f"instance i-a is billed 0.0 USD, not {span // SECOND * 0.0005}"]
    )
    assert list(bench.audit.bill({"i-a": 0}, now)) != []


def test_what_is_divided_is_the_bill(bench: Bench) -> None:
    assert list(bench.audit.shares({"i-a": 5, "i-b": 2}, {"i-a": 5, "i-b": 2}, 7)) == []
    assert len(list(bench.audit.shares({"i-a": 5}, {"i-a": 4}, 5))) == 1
    assert len(list(bench.audit.shares({"i-a": 5}, {"i-a": 5}, 6))) == 1
    assert len(list(bench.audit.shares({}, {"i-a": 5}, 0))) == 1


# What is left behind


def test_an_instance_that_lost_its_claim_is_left(bench: Bench) -> None:
    bench.claim("a")
    ran(bench, 0)
    bench.store.remove("NodeClaim", "a")
    bench.later(20 * MINUTE)
    assert list(bench.audit.leaks(bench.world.loop.now)) == []
    bench.later(1)
    assert list(bench.audit.leaks(bench.world.loop.now)) == ["instance i-a runs on without its claim a"]


def test_a_claim_and_a_node_without_their_instance_are_left(bench: Bench) -> None:
    bench.machine("a")
    ran(bench, 0, "spot-reclaim")
    bench.later(20 * MINUTE + 1)
    assert list(bench.audit.leaks(bench.world.loop.now)) == [
        "NodeClaim a is there, although instance i-a ended long ago",
        "Node n-a is there, although instance i-a ended long ago",
    ]


def test_a_claim_that_waits_for_ever_is_left(bench: Bench) -> None:
    bench.claim("a", launched=False)
    bench.later(20 * MINUTE + 1)
    assert list(bench.audit.leaks(bench.world.loop.now)) == [
        "claim a waits for its instance, although its time is over"
    ]


# Telling


def test_violations_are_told_with_their_time_and_the_rest_is_counted(bench: Bench) -> None:
    bench.later(1500)
    for number in range(MOST + 2):
        bench.bind(bench.pod(f"p{number}"), "n-a")
    told = bench.audit.told(["at the end"])
    assert told[0] == "at 1.500s: pod default/p0 is bound to node n-a, which does not exist"
    assert told[MOST:] == ["and 2 more", "at the end"]
