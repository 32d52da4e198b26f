"""Capacity and overhead: the published table of accelerated types, the worked example, and what a node class changes."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import pytest

from fretsaw.api.resources import render, units
from fretsaw.errors import UserError
from fretsaw.providers.aws import formulas, snapshot
from fretsaw.providers.aws.nodeclass_view import NodeClassView
from fretsaw.providers.aws.settings import DEFAULT, Settings

GI, MI = 2**30, 2**20

TABLE = list(csv.DictReader((Path(__file__).parent / "gpu_instances.csv").read_text().splitlines()))
"""Documented types: devices, machine, us-east-1 price, and the allocatable that Karpenter v1.14 predicts (empty: not
documented). Source: Karpenter v1.14 instance type reference and price table, EC2 instance data."""


def capacity_of(name: str, spec: dict[str, Any] | None = None, settings: Settings = DEFAULT) -> dict[str, int]:
    return formulas.capacity(snapshot.load_types()[name], NodeClassView(spec), settings)


def overhead_of(name: str, spec: dict[str, Any] | None = None) -> dict[str, int]:
    return formulas.overhead(snapshot.load_types()[name], NodeClassView(spec), capacity_of(name, spec))


def allocatable_of(name: str, spec: dict[str, Any] | None = None) -> dict[str, str]:
    kept_back = overhead_of(name, spec)
    return {key: render(key, amount - kept_back.get(key, 0)) for key, amount in capacity_of(name, spec).items()}


def kubelet(**fields: Any) -> dict[str, Any]:
    return {"amiFamily": "AL2023", "kubelet": fields}


@pytest.mark.parametrize("row", [row for row in TABLE if row["cpu"]], ids=lambda row: row["type"])
def test_allocatable_is_what_the_peer_documents(row: dict[str, str]) -> None:
    found = allocatable_of(row["type"])
    assert (found["cpu"], found["memory"], found["pods"]) == (row["cpu"], row["memory"], row["pods"])


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row["type"])
def test_machine_and_devices_are_as_documented(row: dict[str, str]) -> None:
    found = snapshot.load_types()[row["type"]]
    (device,) = found.gpus or found.neuron or found.accelerators or found.other_devices
    seen = (device.count, device.memory_mib, found.vcpus, found.memory_mib // 1024, found.efa_interfaces or 0)
    assert seen == tuple(int(row[name]) for name in ("count", "device_mib", "vcpus", "memory_gib", "efa"))


def test_the_worked_example_of_m5_large() -> None:
    assert (capacity_of("m5.large")["memory"], overhead_of("m5.large")["memory"]) == (
        (8192 - 615) * MI,
        (574 + 100) * MI,
    )
    found = allocatable_of("m5.large")
    assert (found["cpu"], found["memory"], found["ephemeral-storage"]) == ("1930m", "6903Mi", "17Gi")


@pytest.mark.parametrize(
    ("name", "pods"), [("m5.large", 29), ("g5.xlarge", 58), ("p4d.24xlarge", 737), ("p5.48xlarge", 100)]
)
def test_pods_count_the_addresses_of_the_default_card_only(name: str, pods: int) -> None:
    assert capacity_of(name)["pods"] == pods


@pytest.mark.parametrize(("vcpus", "kept"), [(1, 60), (2, 70), (4, 80), (96, 310)])
def test_cpu_kept_for_the_kubelet_shrinks_by_band(vcpus: int, kept: int) -> None:
    assert formulas.kube_reserved_cpu(vcpus) == kept


@pytest.mark.parametrize(
    ("name", "resource", "amount"),
    [
        ("g5.12xlarge", "nvidia.com/gpu", 4),
        ("g4ad.16xlarge", "amd.com/gpu", 4),
        ("g6f.large", "nvidia.com/gpu", 0),
        ("trn1.32xlarge", "aws.amazon.com/neuron", 16),
        ("trn1.32xlarge", "aws.amazon.com/neuroncore", 32),
        ("inf1.6xlarge", "aws.amazon.com/neuroncore", 16),
        ("p5.48xlarge", "vpc.amazonaws.com/efa", 32),
        ("g4dn.xlarge", "vpc.amazonaws.com/pod-eni", 39),
        ("g5.xlarge", "vpc.amazonaws.com/pod-eni", 4),
        ("p5.48xlarge", "vpc.amazonaws.com/pod-eni", 120),
        ("vt1.24xlarge", "nvidia.com/gpu", 0),
        ("dl2q.24xlarge", "aws.amazon.com/neuron", 0),
    ],
)
def test_devices_become_extended_resources(name: str, resource: str, amount: int) -> None:
    assert capacity_of(name).get(resource, 0) == amount


def test_max_pods_replaces_the_formula_but_not_the_memory_reserve() -> None:
    spec = kubelet(maxPods=20)
    assert capacity_of("g5.xlarge", spec)["pods"] == 20
    assert overhead_of("g5.xlarge", spec)["memory"] == overhead_of("g5.xlarge")["memory"]


def test_bottlerocket_sizes_the_memory_reserve_by_max_pods_and_ignores_pods_per_core() -> None:
    spec = {"amiFamily": "Bottlerocket", "kubelet": {"maxPods": 20, "podsPerCore": 2}}
    assert capacity_of("g5.xlarge", spec)["pods"] == 20
    assert overhead_of("g5.xlarge", spec)["memory"] == (11 * 20 + 255 + 100) * MI


def test_windows_has_a_fixed_number_of_pods_and_its_own_addresses() -> None:
    found = capacity_of("m5.large", {"amiSelectorTerms": [{"alias": "windows2022@latest"}]})
    assert (found["pods"], found["vpc.amazonaws.com/PrivateIPv4Address"], found["ephemeral-storage"]) == (
        110,
        9,
        50 * GI,
    )


def test_pods_per_core_caps_and_an_expression_for_max_pods_is_ignored() -> None:
    assert capacity_of("g5.xlarge", kubelet(podsPerCore=5))["pods"] == 20
    assert capacity_of("g5.xlarge", kubelet(podsPerCore=50))["pods"] == 58
    assert capacity_of("g5.xlarge", kubelet(maxPods="vcpus * 4"))["pods"] == 58


def test_reserved_enis_cost_pods_but_no_reserve() -> None:
    settings = Settings(reserved_enis=1)
    assert capacity_of("m5.large", settings=settings)["pods"] == 2 * 9 + 2
    assert capacity_of("p5.48xlarge", settings=Settings(reserved_enis=2))["pods"] == 0


def test_the_memory_share_of_the_hypervisor_can_be_set() -> None:
    assert capacity_of("m5.large", settings=Settings(vm_memory_overhead_percent=0.0))["memory"] == 8192 * MI


def test_reserves_are_overridden_by_key_and_system_reserves_added() -> None:
    found = overhead_of("m5.large", kubelet(kubeReserved={"cpu": "1"}, systemReserved={"memory": "1Gi", "pid": "100"}))
    assert found == {"cpu": 1000, "memory": (574 + 100 + 1024) * MI, "ephemeral-storage": 3 * GI}


@pytest.mark.parametrize(
    ("hard", "memory_mib"),
    [({"memory.available": "5%"}, 379), ({"memory.available": "100%"}, 0), ({"memory.available": "250Mi"}, 250)],
)
def test_hard_eviction_thresholds_are_amounts_or_shares(hard: dict[str, str], memory_mib: int) -> None:
    kept = overhead_of("m5.large", kubelet(evictionHard=hard))["memory"]
    assert -(-kept // MI) == 574 + memory_mib


def test_soft_eviction_does_not_reduce_what_pods_get() -> None:
    assert overhead_of("m5.large", kubelet(evictionSoft={"memory.available": "2Gi"})) == overhead_of("m5.large")


DATA_VOLUME = {"deviceName": "/dev/xvdb", "ebs": {"volumeSize": "100Gi"}}
ROOT = {"deviceName": "/dev/xvda", "ebs": {"volumeSize": "40Gi"}}


@pytest.mark.parametrize(
    ("spec", "size"),
    [
        ({"amiFamily": "AL2023"}, 20 * GI),
        ({"amiFamily": "AL2023", "blockDeviceMappings": [ROOT, DATA_VOLUME]}, 40 * GI),
        ({"amiFamily": "Bottlerocket", "blockDeviceMappings": [ROOT, DATA_VOLUME]}, 100 * GI),
        ({"amiFamily": "AL2023", "blockDeviceMappings": [ROOT, {**DATA_VOLUME, "rootVolume": True}]}, 100 * GI),
        ({"amiFamily": "Custom", "blockDeviceMappings": [ROOT, DATA_VOLUME]}, 100 * GI),
        ({"amiFamily": "Custom"}, 20 * GI),
        (
            {"amiFamily": "AL2023", "blockDeviceMappings": [{"deviceName": "/dev/xvda", "ebs": {"snapshotID": "s"}}]},
            20 * GI,
        ),
        ({"amiFamily": "AL2023", "instanceStorePolicy": "RAID0", "blockDeviceMappings": [ROOT]}, 250 * 10**9),
    ],
)
def test_the_kubelets_disk_is_the_first_that_the_node_class_names(spec: dict[str, Any], size: int) -> None:
    assert capacity_of("g5.xlarge", spec)["ephemeral-storage"] == size


def test_raid0_without_instance_storage_keeps_the_volume() -> None:
    assert (
        capacity_of("m5.large", {"instanceStorePolicy": "RAID0", "amiFamily": "AL2023"})["ephemeral-storage"] == 20 * GI
    )


def test_efa_only_interfaces_replace_the_maximum_and_cost_pods_on_card_0() -> None:
    interfaces = [
        {"networkCardIndex": 0, "deviceIndex": 0, "interfaceType": "interface"},
        {"networkCardIndex": 0, "deviceIndex": 1, "interfaceType": "efa-only"},
        {"networkCardIndex": 1, "deviceIndex": 1, "interfaceType": "efa-only"},
    ]
    found = capacity_of("p5.48xlarge", {"amiFamily": "AL2023", "networkInterfaces": interfaces})
    assert (found["vpc.amazonaws.com/efa"], found["pods"]) == (2, 51)


@pytest.mark.parametrize(
    ("spec", "where"),
    [
        (kubelet(kubeReserved={"cpu": "lots"}), "spec.kubelet.kubeReserved.cpu"),
        (kubelet(evictionHard={"memory.available": "x%"}), "spec.kubelet.evictionHard[memory.available]"),
        (
            {"amiFamily": "AL2", "blockDeviceMappings": [{"deviceName": "/dev/xvda", "ebs": {"volumeSize": "big"}}]},
            "spec.blockDeviceMappings[0].ebs.volumeSize",
        ),
    ],
)
def test_a_value_that_cannot_be_read_names_its_field(spec: dict[str, Any], where: str) -> None:
    with pytest.raises(UserError) as caught:
        overhead_of("m5.large", spec)
    assert caught.value.where == f"EC2NodeClass {where}"


def test_no_type_reserves_more_memory_than_makes_sense() -> None:
    for name in snapshot.load_types():
        found = allocatable_of(name)
        assert units("cpu", found["cpu"]) > 0, name
        assert set(overhead_of(name)) <= set(capacity_of(name)), name
