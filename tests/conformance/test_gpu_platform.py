"""The GPU platform example against the shipped catalog: the outcomes E1–E20 of its page, one test each.

E16–E18 are about disruption at run time. What the manifests decide by themselves is tested here: the budgets, policies
and selectors that any disruption engine has to obey; that it obeys them is tested where that engine is.
"""

from __future__ import annotations

import copy
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml

from fretsaw.api.nodepool import NodePool
from fretsaw.api.policy import PodDisruptionBudget
from fretsaw.planner import from_objects, plan, plan_objects, to_json
from fretsaw.providers.aws.instance_types import catalog as shipped_catalog
from support import kube
from support.builders import offering, pod
from support.checker import check

Obj = dict[str, Any]
EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "gpu-platform"
WORKLOADS = {"Pod", "Deployment", "Job"}
GPU = {"nvidia.com/gpu": "1"}
TOLERATES = [{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}]
ONE_GPU_TYPES = {"g4dn.2xlarge", "g4dn.4xlarge", "g5.2xlarge", "g5.4xlarge", "g6.2xlarge", "g6.4xlarge", "gr6.4xlarge"}
PACKINGS = pytest.mark.parametrize("packing", ["first-fit", "cost"])


@cache
def files() -> dict[int, list[Obj]]:
    """Objects of the example by the number of their file."""
    found = {}
    for path in sorted(EXAMPLE.glob("*.yaml")):
        documents = yaml.load_all(path.read_text(encoding="utf-8"), yaml.CSafeLoader)
        found[int(path.name[:2])] = [one for one in documents if one]
    return found


@cache
def catalog() -> Obj:
    """The shipped catalog as a catalog file has it."""
    return msgspec.to_builtins(shipped_catalog("us-east-1"))  # type: ignore[no-any-return]


class Outcome:
    """A plan for some workloads on the whole platform."""

    def __init__(
        self,
        *workloads: int | Obj,
        packing: str,
        without: tuple[int, ...] = (),
        prices: Obj | None = None,
        by_class: bool = False,
    ) -> None:
        platform = [
            one for n, many in files().items() for one in many if n not in without and one["kind"] not in WORKLOADS
        ]
        extra = [one for w in workloads for one in (files()[w] if isinstance(w, int) else [w])]
        self.objects = copy.deepcopy([*platform, *extra])
        self.catalog = prices or catalog()
        if by_class:  # as the command does it: a catalog for each node class
            self.plan = to_json(plan(from_objects(self.objects), packing=packing))
        else:
            self.plan = plan_objects(self.objects, self.catalog, packing=packing)
        assert check(self.objects, self.catalog, self.plan, packing=packing, pessimistic=packing == "first-fit") == []

    @property
    def nodes(self) -> list[tuple[str, str, str]]:
        """(pool, type, capacity type) of each node, sorted."""
        return sorted((one["nodePool"], one["instanceType"], one["capacityType"]) for one in self.plan["nodes"])

    @property
    def types(self) -> set[str]:
        """Every type that some node may become."""
        return {name for node in self.plan["nodes"] for name in node["instanceTypes"]}

    @property
    def reasons(self) -> str:
        """All reasons of all pods that stay pending."""
        return " | ".join(r["reason"] for entry in self.plan["unschedulable"] for r in entry["reasons"])


def gpu_pod(name: str = "p", **spec: Any) -> Obj:
    """A pod of one GPU, one CPU and 2Gi that tolerates the GPU taint."""
    return pod(name, "1", "2Gi", requests=GPU, **{"tolerations": TOLERATES, **spec})


@PACKINGS
def test_e1_each_model_server_gets_a_one_gpu_spot_node(packing: str) -> None:
    outcome = Outcome(8, packing=packing)
    assert outcome.nodes == [("gpu-inference", "g4dn.2xlarge", "spot")] * 3
    assert outcome.types == ONE_GPU_TYPES


@PACKINGS
def test_e2_each_language_model_server_gets_one_too(packing: str) -> None:
    outcome = Outcome(22, packing=packing)
    assert outcome.nodes == [("gpu-inference", "g4dn.2xlarge", "spot")] * 2
    assert outcome.types == ONE_GPU_TYPES


@PACKINGS
def test_e3_both_deployments_take_five_nodes(packing: str) -> None:
    assert [pool for pool, _, _ in Outcome(8, 22, packing=packing).nodes] == ["gpu-inference"] * 5


@PACKINGS
def test_e4_four_workers_share_one_machine_of_four_gpus(packing: str) -> None:
    assert Outcome(21, packing=packing).nodes == [("gpu-training", "g5.12xlarge", "on-demand")]


@PACKINGS
def test_e4_a_worker_alone_needs_the_4xlarge(packing: str) -> None:
    job = copy.deepcopy(files()[21][0])
    job["spec"].update(parallelism=1, completions=1)
    assert Outcome(job, packing=packing).nodes == [("gpu-training", "g5.4xlarge", "on-demand")]


@PACKINGS
def test_e5_the_training_pod_lands_on_tier_one_spot(packing: str) -> None:
    assert Outcome(7, packing=packing).nodes == [("gpu-tier1-g5-spot", "g5.2xlarge", "spot")]


@PACKINGS
def test_e5b_without_the_tiers_it_is_the_training_pool(packing: str) -> None:
    outcome = Outcome(7, packing=packing, without=(11, 12, 13))
    assert outcome.nodes == [("gpu-training", "g5.2xlarge", "on-demand")]


@PACKINGS
def test_e6_the_long_training_pod_lands_on_tier_one_spot(packing: str) -> None:
    assert Outcome(16, packing=packing).nodes == [("gpu-tier1-g5-spot", "g5.12xlarge", "spot")]


@PACKINGS
def test_e7_the_debug_pod_gets_the_cheapest_machine_of_the_general_pool(packing: str) -> None:
    assert Outcome(25, packing=packing).nodes == [("gpu-general", "g4dn.xlarge", "spot")]


@PACKINGS
def test_e7_where_amd_machines_are_on_sale_it_is_one_of_them(packing: str) -> None:
    """The shipped catalog has no price for g4ad; here it has one, and `nvidia-smi` would fail on it."""
    prices = copy.deepcopy(catalog())
    [amd] = [one for one in prices["instanceTypes"] if one["name"] == "g4ad.xlarge"]
    amd["offerings"] = [offering("us-east-1a", "on-demand", 0.3785), offering("us-east-1a", "spot", 0.1136)]
    assert Outcome(25, packing=packing, prices=prices).nodes == [("gpu-general", "g4ad.xlarge", "spot")]


@PACKINGS
def test_e8_a_plain_pod_lands_on_the_untainted_pool(packing: str) -> None:
    outcome = Outcome(pod("plain"), packing=packing)
    [(pool, name, _)] = outcome.nodes
    assert pool == "multi-arch"
    labels = next(one["labels"] for one in catalog()["instanceTypes"] if one["name"] == name)
    assert labels["karpenter.k8s.aws/instance-category"][0] in {"c", "m", "r"}
    assert int(labels["karpenter.k8s.aws/instance-generation"][0]) >= 6


@PACKINGS
def test_e8_without_its_node_class_the_pool_is_not_usable(packing: str) -> None:
    outcome = Outcome(pod("plain"), packing=packing, without=(26,), by_class=True)
    assert outcome.nodes == []
    assert "EC2NodeClass" in outcome.reasons
    assert "default" in outcome.reasons


@PACKINGS
def test_e9_a_neuron_pod_gets_an_inferentia_machine(packing: str) -> None:
    wants = pod(
        "neuron",
        requests={"aws.amazon.com/neuron": "1"},
        tolerations=[{"key": "aws.amazon.com/neuron", "operator": "Exists"}],
    )
    assert Outcome(wants, packing=packing).nodes == [("inferentia", "inf2.xlarge", "on-demand")]
    assert Outcome(wants, packing=packing, without=(27,), by_class=True).nodes == []


@PACKINGS
def test_e10_without_the_toleration_a_gpu_pod_stays_pending(packing: str) -> None:
    outcome = Outcome(gpu_pod(tolerations=[]), packing=packing)
    assert outcome.nodes == []
    assert "nvidia.com/gpu" in outcome.reasons


@PACKINGS
def test_e11_without_a10g_spot_the_next_weight_takes_over(packing: str) -> None:
    prices = copy.deepcopy(catalog())
    for one in prices["instanceTypes"]:
        if one["labels"].get("karpenter.k8s.aws/instance-gpu-name") == ["a10g"]:
            for offer in one["offerings"]:
                offer["available"] = offer.get("available", True) and offer["capacityType"] != "spot"
    assert Outcome(7, packing=packing, prices=prices).nodes == [("gpu-training", "g5.2xlarge", "on-demand")]


@PACKINGS
def test_e12_a_small_gpu_pod_gets_the_smallest_tier_one_machine(packing: str) -> None:
    assert Outcome(gpu_pod(), packing=packing).nodes == [("gpu-tier1-g5-spot", "g5.xlarge", "spot")]


@PACKINGS
def test_e13_the_limit_of_tier_one_sends_the_rest_to_the_training_pool(packing: str) -> None:
    outcome = Outcome(*(gpu_pod(f"p-{i}") for i in range(21)), packing=packing)
    per_pool: dict[str, int] = {}
    for node in outcome.plan["nodes"]:
        per_pool[node["nodePool"]] = per_pool.get(node["nodePool"], 0) + len(node["pods"])
    assert set(per_pool) == {"gpu-tier1-g5-spot", "gpu-training"}
    assert 1 <= per_pool["gpu-training"] <= 21 - 12
    assert sum(per_pool.values()) == 21


@PACKINGS
def test_e14_an_arm_gpu_pod_fits_the_protected_training_pool_only(packing: str) -> None:
    outcome = Outcome(gpu_pod(nodeSelector={"kubernetes.io/arch": "arm64"}), packing=packing)
    assert [(pool, name.split(".")[0], kind) for pool, name, kind in outcome.nodes] == [
        ("gpu-training-protected", "g5g", "on-demand")
    ]


@PACKINGS
@pytest.mark.parametrize("workload", [8, 21])
def test_e15_a_claim_that_does_not_exist_keeps_the_pods_pending(packing: str, workload: int) -> None:
    outcome = Outcome(workload, packing=packing, without=(28,))
    assert outcome.nodes == []
    assert "-pvc" in outcome.reasons


def test_e16_the_budget_leaves_one_of_three_model_servers_to_disruption() -> None:
    budget = msgspec.convert(files()[17][0], PodDisruptionBudget)
    deployment = files()[8][0]
    assert budget.spec.min_available in (2, "2")
    assert kube.selects(files()[17][0]["spec"]["selector"], deployment["spec"]["template"]["metadata"]["labels"])
    assert (budget.namespace, deployment["spec"]["replicas"]) == (deployment["metadata"]["namespace"], 3)


def test_e17_the_training_pool_allows_no_disruption_and_expires_after_thirty_days() -> None:
    pool = _pool(3)
    assert [(b.nodes, b.reasons, b.schedule) for b in pool.spec.disruption.budgets] == [("0", None, None)]
    assert pool.spec.template.spec.expire_after == "720h"


def test_e18_the_protected_pool_closes_all_but_one_hour_for_every_reason() -> None:
    always, hour, drifted = _pool(15).spec.disruption.budgets
    assert (always.nodes, always.reasons, always.schedule, always.duration) == ("0", None, "0 0 * * *", "23h")
    assert (hour.nodes, hour.reasons, hour.schedule, hour.duration) == ("1", None, "0 23 * * *", "1h")
    assert (drifted.nodes, drifted.reasons, drifted.schedule) == ("1", ("Drifted",), None)


@pytest.mark.parametrize("number", [11, 12, 13])
def test_e19_the_tiers_take_every_default_of_disruption(number: int) -> None:
    pool = _pool(number)
    disruption = pool.spec.disruption
    assert [(b.nodes, b.reasons, b.schedule) for b in disruption.budgets] == [("10%", None, None)]
    assert (disruption.consolidation_policy, disruption.consolidate_after) == ("WhenEmptyOrUnderutilized", "0s")
    assert pool.spec.template.spec.expire_after == "720h"


@PACKINGS
def test_e20_a_fraction_of_a_gpu_is_never_chosen_for_a_gpu_pod(packing: str) -> None:
    fractions = {one["name"]: one for one in catalog()["instanceTypes"] if one["name"].startswith(("g6f.", "gr6f."))}
    assert fractions
    assert all("nvidia.com/gpu" not in one["capacity"] for one in fractions.values())
    assert {one["labels"]["karpenter.k8s.aws/instance-gpu-count"][0] for one in fractions.values()} == {"0"}
    pods = [
        gpu_pod(f"p-{t}", nodeSelector={"node-type": t}) for t in ("gpu", "gpu-inference", "gpu-spot", "gpu-training")
    ]
    outcome = Outcome(*pods, gpu_pod("free"), packing=packing)
    assert outcome.plan["scheduled"] == 5
    assert not outcome.types & set(fractions)


@PACKINGS
def test_the_catalogs_of_the_node_classes_give_the_same_nodes(packing: str) -> None:
    """E1–E7 once more as the command plans them, with a catalog for each EC2NodeClass."""
    assert (
        Outcome(8, 22, 21, 7, 16, 25, packing=packing, by_class=True).nodes
        == Outcome(8, 22, 21, 7, 16, 25, packing=packing).nodes
    )


def _pool(number: int) -> NodePool:
    return msgspec.convert(files()[number][0], NodePool)
