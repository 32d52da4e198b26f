"""A machine as the disruption loop would judge it: which reasons could take it away, and what keeps it."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from fretsaw import planner
from fretsaw.api.catalog import Catalog
from fretsaw.api.times import millis
from fretsaw.live.judgement import Finding, Judge, state_of
from support.builders import catalog, claim, machine, named, node, pod, pool, running

NOW = millis("2026-06-03T12:00:00Z")
SOLD = catalog(machine("small", "2", "4Gi", 0.5), machine("large", "8", "16Gi", 2.0))
POOL = "karpenter.sh/nodepool"
OPEN = {"budgets": [{"nodes": "100%"}], "consolidateAfter": "0s"}


def stands(name: str, kind: str = "large", *true: str, of_pool: str = "main") -> list[dict[str, Any]]:
    """A claim and its node, ready for pods. true: further conditions of the claim."""
    cpu, memory = ("8", "16Gi") if kind == "large" else ("2", "4Gi")
    own = claim(f"c-{name}", of_pool, kind, cpu, memory)
    conditions = [
        {"type": one, "status": "True", "reason": one, "message": "", "lastTransitionTime": "2026-06-03T11:00:00Z"}
        for one in ("Launched", "Registered", "Initialized", *true)
    ]
    own["status"]["conditions"] = conditions
    labels = {
        **own["metadata"]["labels"],
        "karpenter.sh/registered": "true",
        "karpenter.sh/initialized": "true",
    }
    return [own, node(name, cpu, memory, labels=labels, providerID=own["status"]["providerID"])]


def judge(*objects: dict[str, Any], disruption: dict[str, Any] | None = None, **spec: Any) -> Judge:
    """A judge of a cluster with one pool."""
    own = pool(disruption={**OPEN, **(disruption or {})}, **spec)
    manifests = planner.from_objects([own, *objects])
    assert manifests.errors == ()
    return Judge(state_of(planner.cluster_of(manifests, msgspec.convert(SOLD, Catalog))), NOW)


def findings(judge: Judge, name: str = "c-n") -> Any:
    """`{reason: (could, why)}`, or the text."""
    found = judge.findings(judge.state.machines[name])
    return found if isinstance(found, str) else {one.reason: (one.could, one.why) for one in found}


def test_an_empty_node_could_go() -> None:
    found = findings(judge(*stands("n", "large", "Consolidatable")))
    assert found == {
        "Empty": (True, "no pod on it needs another place"),
        "Drifted": (False, "its claim is not marked as drifted"),
        "Underutilized": (False, "it is empty"),
    }


def test_a_node_whose_pods_a_cheaper_one_holds_could_be_replaced() -> None:
    found = findings(judge(*stands("n", "large", "Consolidatable"), running("p", "n", "1")))
    assert found["Empty"] == (False, "pods on it need another place")
    assert found["Underutilized"] == (True, "a cheaper node holds its pods and saves $1.850/h")


def test_a_node_whose_pods_have_room_elsewhere_could_be_deleted() -> None:
    objects = [*stands("n", "small", "Consolidatable"), *stands("m"), running("p", "n"), running("q", "m")]
    assert findings(judge(*objects))["Underutilized"] == (True, "its pods have room on other nodes")


def test_a_node_for_whose_pods_nothing_is_cheaper_stays() -> None:
    objects = [*stands("n", "small", "Consolidatable"), running("p", "n", "1500m")]
    own = pool_of_on_demand()
    assert findings(judge(*objects, **own))["Underutilized"] == (False, "Can't replace with a cheaper node")


def pool_of_on_demand() -> dict[str, Any]:
    """The spec of a pool without spot."""
    requirement = {"key": "karpenter.sh/capacity-type", "operator": "In", "values": ["on-demand"]}
    reference = {"group": "karpenter.k8s.aws", "kind": "EC2NodeClass", "name": "default"}
    return {"template": {"spec": {"nodeClassRef": reference, "requirements": [requirement]}}}


def test_a_node_that_was_busy_a_moment_ago_waits() -> None:
    why = "the time of consolidateAfter since its last pod came or went is not over"
    assert findings(judge(*stands("n")))["Empty"] == (False, why)


def test_a_pool_that_only_lets_empty_nodes_go_says_so() -> None:
    objects = [*stands("n", "large", "Consolidatable"), running("p", "n", "1")]
    found = findings(judge(*objects, disruption={"consolidationPolicy": "WhenEmpty"}))
    assert found["Underutilized"] == (
        False,
        'NodePool "main" has consolidation policy WhenEmpty, but node is not empty',
    )


def test_a_budget_that_lets_nothing_go_is_named() -> None:
    found = findings(judge(*stands("n", "large", "Consolidatable"), disruption={"budgets": [{"nodes": "0"}]}))
    assert found["Empty"] == (
        False,
        "no pod on it needs another place; but the budgets of nodepool/main let none go now (of 1)",
    )


def test_a_pod_that_may_not_be_disturbed_keeps_its_node() -> None:
    held = running("p", "n")
    held["metadata"]["annotations"] = {"karpenter.sh/do-not-disrupt": "true"}
    found = findings(judge(*stands("n", "large", "Consolidatable"), held))
    assert found == 'pod has "karpenter.sh/do-not-disrupt" annotation (Pod=default/p)'


def test_such_a_pod_does_not_keep_a_drifted_node_whose_end_comes_all_the_same() -> None:
    held = running("p", "n")
    held["metadata"]["annotations"] = {"karpenter.sh/do-not-disrupt": "true"}
    own, its_node = stands("n", "large", "Drifted")
    own["spec"]["terminationGracePeriod"] = "1h"
    found = findings(judge(own, its_node, held))
    assert {reason: could for reason, (could, _) in found.items()} == {
        "Empty": False,
        "Drifted": True,
        "Underutilized": False,
    }
    assert found["Drifted"] == (True, "Drifted")


def test_a_budget_for_pods_keeps_their_node() -> None:
    held = running("p", "n", labels={"app": "web"})
    budget = named("PodDisruptionBudget", "policy/v1", "web", {"maxUnavailable": 0, "selector": {"matchLabels": {"app": "web"}}}, namespace="default")  # fmt: skip
    assert "pdb" in findings(judge(*stands("n"), held, budget)).lower()


@pytest.mark.parametrize(
    ("objects", "name", "why"),
    [
        ([node("n")], "n", "node isn't managed by karpenter"),
        ([claim("c", "main", "large")], "c", "nodeclaim does not have an associated node"),
    ],
)
def test_what_is_no_whole_machine_cannot_go(objects: list[dict[str, Any]], name: str, why: str) -> None:
    assert findings(judge(*objects), name) == why


def test_a_claim_that_is_being_deleted_is_on_its_way() -> None:
    own, its_node = stands("n")
    own["metadata"] |= {"deletionTimestamp": "2026-06-03T11:59:00Z", "finalizers": ["karpenter.sh/termination"]}
    assert findings(judge(own, its_node)) == "it is being taken away already"


def test_prices_are_those_of_the_pools_catalog() -> None:
    found = judge(*stands("n"), node("other"))
    assert found.price(found.state.machines["c-n"]) == 2.0
    assert found.price(found.state.machines["other"]) is None


def test_room_is_what_budgets_leave_of_the_nodes_there_are() -> None:
    broken = stands("m")
    broken[1]["status"]["conditions"][0]["status"] = "False"
    found = judge(*stands("n"), *broken, disruption={"budgets": [{"nodes": "1"}]})
    assert (found.room("main", "Empty"), found.share("main").nodes, found.share("main").disrupting) == (0, 2, 1)
    assert judge(*stands("n")).room("main", "Empty") == 1
    assert judge().room("main", "Drifted") == 0


def test_a_pool_that_cannot_be_used_says_why() -> None:
    own = pool("late") | {"status": {"conditions": [{"type": "Ready", "status": "False", "reason": "No", "message": "no class", "lastTransitionTime": "2026-06-03T11:00:00Z"}]}}  # fmt: skip
    assert judge(own, pod("p")).state.unusable == {"late": "it is not ready: no class"}


def test_a_finding_is_a_value() -> None:
    assert Finding("Empty", True, "x") == Finding("Empty", True, "x")
