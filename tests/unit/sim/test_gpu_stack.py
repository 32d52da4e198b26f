"""The device stack's steps and times, GFD's labels, sharing, XIDs: tables with their sources."""

from __future__ import annotations

from pathlib import Path
from random import Random
from typing import Any

import pytest
import yaml

from fretsaw.api.affinity import Toleration
from fretsaw.api.node import Taint
from fretsaw.api.times import SECOND
from fretsaw.errors import UserError
from fretsaw.sim.durations import Durations, Rates, seconds
from fretsaw.sim.gpu_facts import discovered, memory_bytes, model
from fretsaw.sim.gpu_sharing import Sharing
from fretsaw.sim.gpu_stack import NEURON, NVIDIA, OPERAND_TOLERATIONS, keeps_off, steps, timeline, vendor
from fretsaw.sim.xid import xid
from support.kubelets import fixed

TABLE = yaml.safe_load(Path(__file__).with_name("gpu_stack_timelines.yaml").read_text())


@pytest.mark.parametrize("case", TABLE["cases"], ids=lambda case: case["name"])
def test_devices_come_in_the_time_of_their_image(case: dict[str, Any]) -> None:
    found = steps(case["vendor"], case["image"])
    assert timeline(found, fixed(), Random(0))[case["registers"]] == case["each"] * SECOND
    drawn = [timeline(found, Durations(), Random(seed))[case["registers"]] for seed in range(300)]
    assert case["low"] * SECOND <= min(drawn) < max(drawn) <= case["high"] * SECOND


@pytest.mark.parametrize("table", [NVIDIA, NEURON], ids=["nvidia", "neuron"])
def test_each_step_comes_after_what_it_waits_for_and_has_a_time(table: Any) -> None:
    for of_image in table.values():
        seen: set[str] = set()
        for step in of_image:
            assert set(step.after) <= seen
            assert hasattr(Durations(), step.name)
            seen.add(step.name)
        assert seen & {"plugin", "host_plugin"}


def test_plugin_labels_and_exporter_start_together_after_the_toolkit() -> None:
    """Source: gpu-operator, all three wait for toolkit-ready alone."""
    ends = timeline(steps("nvidia", "al2023-operator"), fixed(plugin=1, gfd=2, dcgm=7), Random(0))
    assert (ends["plugin"], ends["gfd"], ends["dcgm"]) == (5 * SECOND, 6 * SECOND, 11 * SECOND)


@pytest.mark.parametrize(
    ("family", "bottlerocket", "spread"),
    [
        ("g5", False, seconds(25, 40, 75)),
        ("g6", True, seconds(15, 25, 40)),
        ("p5", False, seconds(60, 120, 240)),
        ("p4d", True, seconds(60, 120, 240)),
        ("p3dn", False, seconds(25, 40, 75)),
    ],
)
def test_boot_time_by_family_and_image(family: str, bottlerocket: bool, spread: Any) -> None:
    """Source: model: boot and join 25-40-75 s, Bottlerocket 15-25-40, p4 and p5 60-120-240."""
    assert Durations().to_join(family, bottlerocket=bottlerocket) == spread


@pytest.mark.parametrize(
    ("soci", "bottlerocket", "took"), [(False, False, 130.8), (True, False, 39.6), (True, True, 23.2)]
)
def test_the_rates_are_those_of_the_measured_vllm_image(soci: bool, bottlerocket: bool, took: float) -> None:
    """Source: AWS Karpenter blueprint soci-snapshotter: 9.35 GB."""
    assert 9.35e9 / Rates().of(soci=soci, bottlerocket=bottlerocket) == pytest.approx(took, rel=0.03)


@pytest.mark.parametrize(
    ("taint", "kept_off"),
    [
        (Taint("nvidia.com/gpu", "NoSchedule", "true"), False),
        (Taint("aws.amazon.com/neuron", "NoSchedule", "true"), False),
        (Taint("team", "NoSchedule", "ml"), True),
        (Taint("team", "PreferNoSchedule", "ml"), False),
        (Taint("nvidia.com/gpu", "NoExecute"), True),
        (Taint("karpenter.sh/unregistered", "NoExecute"), True),
        (Taint("ebs.csi.aws.com/agent-not-ready", "NoExecute"), True),
        (Taint("node.kubernetes.io/unschedulable", "NoSchedule"), False),
        (Taint("node.kubernetes.io/not-ready", "NoExecute"), False),
    ],
    ids=str,
)
def test_taints_that_keep_the_operands_off(taint: Taint, kept_off: bool) -> None:
    """Source: gpu-operator chart, daemonsets.tolerations; kubernetes.io, DaemonSet, Taints and tolerations."""
    assert keeps_off([taint], OPERAND_TOLERATIONS) == (taint if kept_off else None)
    assert keeps_off([taint], [Toleration(operator="Exists")]) is None


@pytest.mark.parametrize(
    ("resource", "of"),
    [("nvidia.com/gpu", "nvidia"), ("nvidia.com/mig-1g.5gb", "nvidia"), ("aws.amazon.com/neuroncore", "neuron"),
     ("vpc.amazonaws.com/efa", "vpc.amazonaws.com")],
)  # fmt: skip
def test_the_vendor_of_a_resource(resource: str, of: str) -> None:
    """Source: the plugins' resource names."""
    assert vendor(resource) == of


# Sharing. Source: k8s-device-plugin v0.20, Shared Access to GPUs; MIG user guide


@pytest.mark.parametrize(
    ("sharing", "shown"),
    [
        (Sharing(), {"nvidia.com/gpu": 8}),
        (Sharing(mode="time-slicing", replicas=10), {"nvidia.com/gpu": 80}),
        (Sharing(mode="time-slicing", replicas=10, rename=True), {"nvidia.com/gpu.shared": 80}),
        (Sharing(mode="mps", replicas=10), {"nvidia.com/gpu": 80}),
        (Sharing(mode="mps", replicas=1, rename=True), {"nvidia.com/gpu": 8}),
        (Sharing(mode="mig", profiles={"1g.5gb": 7}), {"nvidia.com/gpu": 56}),
        (Sharing(mode="mig", strategy="mixed", profiles={"1g.5gb": 2, "3g.20gb": 1}), {"nvidia.com/mig-1g.5gb": 16, "nvidia.com/mig-3g.20gb": 8}),
        (Sharing(mode="mig", strategy="mixed", profiles={"1g.5gb+me": 1}), {"nvidia.com/mig-1g.5gb.me": 8}),
    ],
)  # fmt: skip
def test_what_a_node_with_8_gpus_shows(sharing: Sharing, shown: dict[str, int]) -> None:
    found = sharing.devices(8)
    assert {name: len(gpus) for name, gpus in found.items()} == shown
    assert all(set(gpus) == set(range(8)) for gpus in found.values())


@pytest.mark.parametrize(
    "wrong",
    [{"mode": "mps", "replicas": 0}, {"mode": "mig"}, {"mode": "mig", "profiles": {"1g.5gb": 1, "2g.10gb": 1}}],
)
def test_sharing_that_cannot_be(wrong: Any) -> None:
    with pytest.raises(UserError, match="sharing"):
        Sharing(**wrong)


@pytest.mark.parametrize(
    ("sharing", "resource", "gib"),
    [
        (Sharing(), "nvidia.com/gpu", 40),
        (Sharing(mode="time-slicing", replicas=4), "nvidia.com/gpu", 40),
        (Sharing(mode="mps", replicas=4), "nvidia.com/gpu", 10),
        (Sharing(mode="mig", profiles={"1g.5gb": 7}), "nvidia.com/gpu", 5),
        (Sharing(mode="mig", strategy="mixed", profiles={"3g.20gb": 2}), "nvidia.com/mig-3g.20gb", 20),
    ],
)
def test_the_memory_that_a_pod_sees(sharing: Sharing, resource: str, gib: int) -> None:
    """Time slices do not divide memory, MPS and MIG do."""
    labels = {"karpenter.k8s.aws/instance-gpu-name": "a100", "karpenter.k8s.aws/instance-gpu-memory": "40960"}
    assert memory_bytes(labels, sharing, resource) == gib * 2**30


# Labels. Source: GFD v0.20; NVML names and sizes


def _ec2(name: str, memory: int) -> dict[str, str]:
    return {
        "karpenter.k8s.aws/instance-gpu-name": name,
        "karpenter.k8s.aws/instance-gpu-memory": str(memory),
        "node.kubernetes.io/instance-type": "x.large",
    }


@pytest.mark.parametrize(
    ("name", "ec2_mib", "product", "mib", "family"),
    [
        ("t4", 16384, "Tesla-T4", 15360, "turing"),
        ("a10g", 22888, "NVIDIA-A10G", 23028, "ampere"),
        ("l4", 22888, "NVIDIA-L4", 23034, "ada-lovelace"),
        ("v100", 32768, "Tesla-V100-SXM2-32GB", 32768, "volta"),
        ("a100", 40960, "NVIDIA-A100-SXM4-40GB", 40960, "ampere"),
        ("a100", 81920, "NVIDIA-A100-SXM4-80GB", 81920, "ampere"),
        ("h100", 81920, "NVIDIA-H100-80GB-HBM3", 81559, "hopper"),
        ("h200", 144384, "NVIDIA-H200", 143771, "hopper"),
        ("l4", 5722, "NVIDIA-L4", 5722, "ada-lovelace"),
    ],
)
def test_the_labels_of_a_model(name: str, ec2_mib: int, product: str, mib: int, family: str) -> None:
    labels = discovered(_ec2(name, ec2_mib), 2, Sharing())
    assert labels["nvidia.com/gpu.product"] == product
    assert labels["nvidia.com/gpu.memory"] == str(mib)
    assert labels["nvidia.com/gpu.family"] == family
    assert labels["nvidia.com/gpu.count"] == "2"
    assert labels["nvidia.com/gpu.machine"] == "x.large"
    assert labels["nvidia.com/gpu.present"] == "true"
    assert labels["nvidia.com/mig.capable"] == str(name in ("a100", "h100", "h200")).lower()
    assert "nvidia.com/mig.strategy" not in labels


def test_a_model_that_nobody_knows_has_ec2s_name_and_memory() -> None:
    gpu = model(_ec2("z9", 1000))
    assert gpu is not None
    assert (gpu.product, gpu.memory_mib) == ("NVIDIA-Z9", 1000)


def test_no_labels_without_gpus() -> None:
    assert discovered({}, 2, Sharing()) == {}
    assert discovered(_ec2("t4", 16384), 0, Sharing()) == {}


def test_shared_gpus_are_marked_and_counted_as_physical() -> None:
    labels = discovered(_ec2("t4", 16384), 4, Sharing(mode="time-slicing", replicas=10))
    assert labels["nvidia.com/gpu.product"] == "Tesla-T4-SHARED"
    assert (labels["nvidia.com/gpu.count"], labels["nvidia.com/gpu.replicas"]) == ("4", "10")
    assert labels["nvidia.com/gpu.sharing-strategy"] == "time-slicing"
    renamed = discovered(_ec2("t4", 16384), 4, Sharing(mode="mps", replicas=2, rename=True))
    assert renamed["nvidia.com/gpu.product"] == "Tesla-T4"


def test_mig_single_speaks_of_the_instances_and_mixed_of_both() -> None:
    single = discovered(_ec2("a100", 40960), 8, Sharing(mode="mig", profiles={"1g.5gb": 7}))
    assert single["nvidia.com/gpu.product"] == "NVIDIA-A100-SXM4-40GB-MIG-1g.5gb"
    assert (single["nvidia.com/gpu.count"], single["nvidia.com/gpu.memory"]) == ("56", "5120")
    mixed = discovered(_ec2("a100", 40960), 8, Sharing(mode="mig", strategy="mixed", profiles={"3g.20gb": 2}))
    assert (mixed["nvidia.com/gpu.count"], mixed["nvidia.com/mig-3g.20gb.count"]) == ("8", "16")
    assert mixed["nvidia.com/mig.strategy"] == "mixed"


# XIDs. Source: NVIDIA XID catalogue; k8s-device-plugin's skipped codes; EKS node monitoring agent's reasons


@pytest.mark.parametrize(
    ("code", "action", "fatal", "unhealthy", "reason"),
    [
        (13, "restart-app", False, False, "NvidiaXID13Warning"),
        (31, "restart-app", False, False, "NvidiaXID31Warning"),
        (94, "restart-app", False, True, "NvidiaXID94Warning"),
        (139, "restart-app", False, True, "NvidiaXID139Warning"),
        (43, "ignore", False, False, "NvidiaXID43Warning"),
        (63, "ignore", False, True, "NvidiaXID63Warning"),
        (45, "follow-xid", False, False, "NvidiaXID45Warning"),
        (154, "follow-xid", False, True, "NvidiaXID154Warning"),
        (48, "double-bit", True, True, "NvidiaDoubleBitError"),
        (74, "nvlink", True, True, "NvidiaNVLinkError"),
        (149, "nvlink", True, True, "NvidiaNVLinkError"),
        (79, "replace-instance", True, True, "NvidiaXID79Error"),
        (160, "replace-instance", True, True, "NvidiaXID160Error"),
        (95, "reset-gpu", True, True, "NvidiaXID95Error"),
        (109, "reset-gpu", True, False, "NvidiaXID109Error"),
        (78, "update-software", True, True, "NvidiaXID78Error"),
        (151, "restart-vm", True, True, "NvidiaXID151Error"),
        (54, "check-mechanicals", True, True, "NvidiaXID54Error"),
        (1, "report", True, True, "NvidiaXID1Error"),
        (138, "report", False, True, "NvidiaXID138Warning"),
    ],
)
def test_what_a_code_means(code: int, action: str, fatal: bool, unhealthy: bool, reason: str) -> None:
    found = xid(code)
    assert (found.action, found.fatal, found.unhealthy(), found.reason) == (action, fatal, unhealthy, reason)
    assert found.ends_program == (fatal or action == "restart-app")


def test_zero_is_no_code() -> None:
    with pytest.raises(UserError, match="no XID code"):
        xid(0)
