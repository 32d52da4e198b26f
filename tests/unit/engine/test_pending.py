"""Which pods a pass has to place."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from fretsaw.api.pod import Pod
from fretsaw.api.policy import PodDisruptionBudget
from fretsaw.engine.pending import is_leaving, is_pending, refusal
from fretsaw.engine.volumes import Storage
from support import builders as b
from support.kube import HOSTNAME

NOW = "2026-01-01T00:00:00Z"


def pod(
    *, status: dict[str, Any] | None = None, owner: str = "", head: dict[str, Any] | None = None, **spec: Any
) -> Pod:
    raw = b.pod("p", labels={"app": "web"}, **spec)
    raw["metadata"] |= head or {}
    if owner:
        raw["metadata"]["ownerReferences"] = [{"kind": owner, "name": "o", "apiVersion": "v1", "uid": "u"}]
    return msgspec.convert({**raw, "status": status or {}}, Pod)


def _unscheduled(reason: str) -> dict[str, Any]:
    return {"conditions": [{"type": "PodScheduled", "status": "False", "reason": reason}]}


@pytest.mark.parametrize(
    ("given", "answer"),
    [
        pytest.param({}, True, id="a pod from a file"),
        pytest.param({"status": _unscheduled("Unschedulable")}, True, id="one that the scheduler has refused"),
        pytest.param({"status": _unscheduled("SchedulerError")}, False, id="one that failed for another reason"),
        pytest.param({"nodeName": "n"}, False, id="one that has a node"),
        pytest.param({"status": {"nominatedNodeName": "n"}}, False, id="one that is about to get one"),
        pytest.param({"status": {"phase": "Succeeded"}}, False, id="one that is done"),
        pytest.param({"status": {"phase": "Failed"}}, False, id="one that failed"),
        pytest.param({"head": {"deletionTimestamp": NOW}}, False, id="one that goes"),
        pytest.param({"owner": "DaemonSet"}, False, id="a daemon pod"),
        pytest.param({"owner": "Node"}, False, id="a mirror pod"),
        pytest.param({"owner": "ReplicaSet"}, True, id="a workload's pod"),
        pytest.param({"schedulerName": "volcano"}, True, id="whoever schedules it"),
    ],
)
def test_what_waits_for_a_node(given: dict[str, Any], answer: bool) -> None:
    assert is_pending(pod(**given)) is answer


def budget(**spec: Any) -> PodDisruptionBudget:
    selector = {"matchLabels": {"app": spec.pop("app", "web")}}
    head = {"name": "b", "namespace": spec.pop("namespace", "default")}
    return msgspec.convert({"metadata": head, "spec": {"selector": selector, **spec}}, PodDisruptionBudget)


_UNREADY = {"conditions": [{"type": "Ready", "status": "False"}]}
_KEEP = {"annotations": {"karpenter.sh/do-not-disrupt": "true"}}
_DISRUPTED = [{"key": "karpenter.sh/disrupted", "operator": "Exists"}]


@pytest.mark.parametrize(
    ("given", "budgets", "answer"),
    [
        pytest.param({}, [], True, id="a plain pod"),
        pytest.param({"status": {"phase": "Succeeded"}}, [], False, id="done"),
        pytest.param({"owner": "DaemonSet"}, [], False, id="a daemon pod goes with its node"),
        pytest.param({"owner": "Node"}, [], False, id="so does a mirror pod"),
        pytest.param({"head": {"deletionTimestamp": NOW}}, [], False, id="a pod that goes will not come back"),
        pytest.param({"head": {"deletionTimestamp": NOW}, "owner": "StatefulSet"}, [], True, id="but that of a stateful set will"),
        pytest.param({"head": _KEEP}, [], False, id="do not disrupt"),
        pytest.param({"head": {"annotations": {"karpenter.sh/do-not-disrupt": "1h"}}}, [], False, id="not for an hour"),
        pytest.param({"head": {"annotations": {"karpenter.sh/do-not-disrupt": "soon"}}}, [], True, id="an annotation that means nothing"),
        pytest.param({}, [budget(maxUnavailable=1)], True, id="a budget with room"),
        pytest.param({}, [budget(maxUnavailable=0)], False, id="none may be missing"),
        pytest.param({}, [budget(maxUnavailable="0%")], False, id="in percent"),
        pytest.param({}, [budget(minAvailable="100%")], False, id="all have to be there"),
        pytest.param({}, [budget(minAvailable=5)], True, id="a number may leave room"),
        pytest.param({}, [budget(maxUnavailable=1), budget(maxUnavailable=1)], False, id="two budgets block each other"),
        pytest.param({}, [budget(maxUnavailable=0, app="db")], True, id="a budget for others"),
        pytest.param({}, [budget(maxUnavailable=0, namespace="other")], True, id="a budget elsewhere"),
        pytest.param({"status": _UNREADY}, [budget(maxUnavailable=0, unhealthyPodEvictionPolicy="AlwaysAllow")], True, id="an unready pod may always go"),
        pytest.param({"status": _UNREADY}, [budget(maxUnavailable=0)], False, id="if the budget says so"),
        pytest.param({}, [budget(maxUnavailable=0, unhealthyPodEvictionPolicy="AlwaysAllow")], False, id="a ready one may not"),
        pytest.param({"tolerations": _DISRUPTED}, [budget(maxUnavailable=0)], True, id="a pod that is not evicted asks no budget"),
    ],
)  # fmt: skip
def test_what_leaves_a_node_that_goes(given: dict[str, Any], budgets: list[PodDisruptionBudget], answer: bool) -> None:
    assert is_leaving(pod(**given), budgets) is answer


@pytest.mark.parametrize(
    ("given", "reason", "field"),
    [
        pytest.param({}, None, None, id="a plain pod"),
        pytest.param({"schedulingGates": [{"name": "quota"}]}, "scheduling gates hold the pod back: quota", "pod spec.schedulingGates", id="a gate"),
        pytest.param({"resourceClaims": [{"name": "gpu"}]}, "ResourceClaims", "pod spec.resourceClaims", id="device claims"),
        pytest.param({"affinity": b.node_affinity([b.need("karpenter.sh/nodepool", "DoesNotExist")])}, "not to run on nodes of a NodePool", "pod spec.affinity.nodeAffinity", id="off limits"),
        pytest.param({"nodeSelector": {HOSTNAME: "n"}}, HOSTNAME, f"pod spec.nodeSelector[{HOSTNAME}]", id="one host"),
        pytest.param({"affinity": b.node_affinity([b.need(HOSTNAME, "NotIn", "n")])}, HOSTNAME, "pod spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution[0].matchExpressions[0]", id="any host but one"),
        pytest.param({"affinity": b.node_affinity([b.need("a", "Exists")], [b.need("b", "Exists"), b.need("n", "Gt", "-1")])}, "", "pod spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution[1].matchExpressions[1]", id="the second term"),
        pytest.param({"volumes": [{"name": "v", "persistentVolumeClaim": {"claimName": "gone"}}]}, "does not exist", "pod spec.volumes[0]", id="a claim that is not there"),
    ],
)  # fmt: skip
def test_what_cannot_be_planned_whatever_the_pools(
    given: dict[str, Any], reason: str | None, field: str | None
) -> None:
    why = refusal(pod(**given), Storage.of((), (), ()), frozenset())
    if reason is None:
        assert why is None
    else:
        assert why is not None
        assert reason in why.reason
        assert (why.field, why.node_pool) == (field, "")


def test_fields_of_nodes_cannot_be_matched() -> None:
    one = b.pod("p", affinity=b.node_affinity([]))
    (term,) = one["spec"]["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"][
        "nodeSelectorTerms"
    ]
    term["matchFields"] = [b.need("metadata.name", "In", "n")]
    why = refusal(msgspec.convert(one, Pod), Storage.of((), (), ()), frozenset())
    assert why is not None
    assert why.reason == "node affinity with matchFields is not supported"


def test_preferences_are_not_checked() -> None:
    wish = {"weight": 1, "preference": {"matchExpressions": [b.need(HOSTNAME, "In", "n")]}}
    one = pod(affinity={"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [wish]}})
    assert refusal(one, Storage.of((), (), ()), frozenset()) is None
