"""The catalog of a region under a node class: labels and offerings."""

from __future__ import annotations

import time
from typing import Any

import pytest

from fretsaw.api.catalog import Catalog, InstanceType, Offering
from fretsaw.errors import UserError
from fretsaw.providers.aws.instance_types import catalog, regions

K8A = "karpenter.k8s.aws/instance-"


@pytest.fixture(scope="module")
def shipped() -> Catalog:
    return catalog()


def type_of(found: Catalog, name: str) -> InstanceType:
    return next(item for item in found.instance_types if item.name == name)


def offerings(found: Catalog, name: str, capacity: str = "on-demand") -> list[Offering]:
    return [item for item in type_of(found, name).offerings if item.capacity_type == capacity]


def device_labels(item: InstanceType) -> dict[str, str]:
    marks = ("gpu-", "accelerator-")
    return {k.removeprefix(K8A): v[0] for k, v in item.labels.items() if k.removeprefix(K8A).startswith(marks)}


def test_labels_of_a_gpu_type_are_complete(shipped: Catalog) -> None:
    assert type_of(shipped, "g5.xlarge").labels == {
        "karpenter.k8s.aws/instance-capability-flex": ["false"],
        "karpenter.k8s.aws/instance-category": ["g"],
        "karpenter.k8s.aws/instance-cpu": ["4"],
        "karpenter.k8s.aws/instance-cpu-manufacturer": ["amd"],
        "karpenter.k8s.aws/instance-cpu-sustained-clock-speed-mhz": ["3300"],
        "karpenter.k8s.aws/instance-ebs-bandwidth": ["3500"],
        "karpenter.k8s.aws/instance-encryption-in-transit-supported": ["true"],
        "karpenter.k8s.aws/instance-family": ["g5"],
        "karpenter.k8s.aws/instance-generation": ["5"],
        "karpenter.k8s.aws/instance-gpu-count": ["1"],
        "karpenter.k8s.aws/instance-gpu-manufacturer": ["nvidia"],
        "karpenter.k8s.aws/instance-gpu-memory": ["22888"],
        "karpenter.k8s.aws/instance-gpu-name": ["a10g"],
        "karpenter.k8s.aws/instance-hypervisor": ["nitro"],
        "karpenter.k8s.aws/instance-local-nvme": ["250"],
        "karpenter.k8s.aws/instance-memory": ["16384"],
        "karpenter.k8s.aws/instance-network-bandwidth": ["2500"],
        "karpenter.k8s.aws/instance-size": ["xlarge"],
        "karpenter.k8s.aws/instance-tenancy": ["default", "dedicated"],
        "karpenter.k8s.aws/nitro-sandbox": ["true"],
        "kubernetes.io/arch": ["amd64"],
        "kubernetes.io/os": ["linux"],
        "node.kubernetes.io/instance-type": ["g5.xlarge"],
        "topology.kubernetes.io/region": ["us-east-1"],
    }


@pytest.mark.parametrize(
    ("name", "category", "generation", "family", "size"),
    [
        ("p6-b200.48xlarge", "p", "6", "p6-b200", "48xlarge"),
        ("gr6f.4xlarge", "gr", "6", "gr6f", "4xlarge"),
        ("u7i-12tb.224xlarge", "u", "7", "u7i-12tb", "224xlarge"),
        ("trn1n.32xlarge", "trn", "1", "trn1n", "32xlarge"),
        ("g5g.metal", "g", "5", "g5g", "metal"),
        ("m7i-flex.large", "m", "7", "m7i-flex", "large"),
    ],
)
def test_names_are_taken_apart(
    shipped: Catalog, name: str, category: str, generation: str, family: str, size: str
) -> None:
    labels = type_of(shipped, name).labels
    found = [labels[K8A + key] for key in ("category", "generation", "family", "size")]
    assert found == [[category], [generation], [family], [size]]
    assert labels[K8A + "capability-flex"] == ["true" if "-flex" in name else "false"]


@pytest.mark.parametrize(
    ("name", "labels"),
    [
        ("g6f.large", {"gpu-name": "l4", "gpu-manufacturer": "nvidia", "gpu-count": "0", "gpu-memory": "2861"}),
        (
            "g4ad.xlarge",
            {"gpu-name": "radeon-pro-v520", "gpu-manufacturer": "amd", "gpu-count": "1", "gpu-memory": "8192"},
        ),
        (
            "inf2.48xlarge",
            {"accelerator-name": "inferentia2", "accelerator-manufacturer": "aws", "accelerator-count": "12"},
        ),
        (
            "dl2q.24xlarge",
            {"accelerator-name": "qualcomm-ai100", "accelerator-manufacturer": "qualcomm", "accelerator-count": "8"},
        ),
        ("vt1.3xlarge", {}),
        ("m5.large", {}),
    ],
)
def test_device_labels(name: str, labels: dict[str, str]) -> None:
    region = "us-west-2" if name == "dl2q.24xlarge" else "us-east-1"
    assert device_labels(type_of(catalog(region), name)) == labels


def test_unknown_values_are_absent_and_bare_metal_has_an_empty_hypervisor(shipped: Catalog) -> None:
    assert K8A + "network-bandwidth" not in type_of(shipped, "t2.large").labels
    assert K8A + "local-nvme" not in type_of(shipped, "m5.large").labels
    assert type_of(shipped, "m5.metal").labels[K8A + "hypervisor"] == [""]


def test_zone_and_capacity_type_are_no_labels_of_the_type(shipped: Catalog) -> None:
    keys = {key for item in shipped.instance_types for key in item.labels}
    assert not keys & {"topology.kubernetes.io/zone", "karpenter.sh/capacity-type", "topology.k8s.aws/zone-id"}


def test_types_are_sorted_and_mac_is_left_out(shipped: Catalog) -> None:
    names = [item.name for item in shipped.instance_types]
    assert names == sorted(set(names))
    assert len(names) > 1300
    assert not [name for name in names if name.startswith("mac")]


def test_offerings_are_by_zone_with_published_and_modelled_prices(shipped: Catalog) -> None:
    on_demand, spot = offerings(shipped, "g5.xlarge"), offerings(shipped, "g5.xlarge", "spot")
    assert [(item.price, item.price_source) for item in on_demand] == [(1.006, "")] * 5
    assert {item.price_source for item in spot} == {"modelled"}
    assert len({item.price for item in spot}) == 5, "zones must differ"
    assert all(0.37 < item.price / 1.006 < 0.45 for item in spot)
    assert on_demand[0].labels == {"topology.k8s.aws/zone-id": "use1-az2"}
    assert any("modelled" in note for note in shipped.notes)


def test_the_price_cut_of_2025_is_in(shipped: Catalog) -> None:
    p5, p5en = offerings(shipped, "p5.48xlarge")[0], offerings(shipped, "p5en.48xlarge")[0]
    assert (p5.price, p5en.price) == (55.04, 63.296)
    assert offerings(catalog("us-west-2"), "p5.48xlarge")[0].price == 55.04


def test_types_without_a_public_price_or_without_zones_have_no_offerings(shipped: Catalog) -> None:
    assert type_of(catalog("us-west-2"), "p5e.48xlarge").offerings == []
    assert type_of(shipped, "g4ad.xlarge").offerings == []
    assert type_of(catalog("us-east-2"), "trn2.48xlarge").offerings == []


def test_accelerated_types_that_the_advisor_lacks_have_no_spot(shipped: Catalog) -> None:
    assert offerings(shipped, "g7e.2xlarge", "spot") == []
    assert offerings(shipped, "p6-b200.48xlarge", "spot") == []
    assert offerings(shipped, "p5.48xlarge", "spot")


def test_a_region_with_estimates_says_so() -> None:
    seoul = catalog("ap-northeast-2")
    assert [offer.price_source for offer in offerings(seoul, "g5.xlarge")] == [""] * 3
    assert {offer.price_source for offer in offerings(seoul, "p5.48xlarge")} == {"estimated"}
    assert any("on-demand prices are estimated" in note for note in seoul.notes)
    assert type_of(seoul, "g5.xlarge").labels["topology.kubernetes.io/region"] == ["ap-northeast-2"]


def test_subnets_limit_the_zones_and_give_their_ids() -> None:
    status = {"subnets": [{"zone": "us-east-1a", "zoneID": "use1-az9"}, {"zone": "us-east-1b"}, {"id": "subnet-1"}]}
    found = offerings(catalog(node_class_spec={"amiFamily": "AL2023"}, node_class_status=status), "g5.xlarge")
    assert [(item.zone, item.labels["topology.k8s.aws/zone-id"]) for item in found] == [
        ("us-east-1a", "use1-az9"),
        ("us-east-1b", "use1-az4"),
    ]


def reservation(**fields: Any) -> dict[str, Any]:
    base = {"id": "cr-1", "instanceType": "p5.48xlarge", "availabilityZone": "us-east-1a", "state": "active"}
    return {**base, "reservationType": "capacity-block", "interruptible": False, **fields}


def test_reservations_become_offerings_that_cost_next_to_nothing() -> None:
    status = {"capacityReservations": [reservation(availableInstanceCount=3)]}
    (found,) = offerings(catalog(node_class_status=status), "p5.48xlarge", "reserved")
    assert found == Offering(
        zone="us-east-1a",
        capacity_type="reserved",
        price=55.04 / 10_000_000,
        reservation_capacity=3,
        labels={
            "topology.k8s.aws/zone-id": "use1-az2",
            "karpenter.k8s.aws/capacity-reservation-id": "cr-1",
            "karpenter.k8s.aws/capacity-reservation-type": "capacity-block",
            "karpenter.k8s.aws/capacity-reservation-interruptible": "false",
        },
    )


@pytest.mark.parametrize(
    ("item", "available"),
    [
        (reservation(), True),
        (reservation(availableInstanceCount=0), False),
        (reservation(state="expiring"), False),
        (reservation(availabilityZone="us-east-1f"), False),
    ],
)
def test_used_up_expiring_and_unreachable_reservations_are_unavailable(item: dict[str, Any], available: bool) -> None:
    status = {"capacityReservations": [item], "subnets": [{"zone": "us-east-1a"}]}
    (found,) = offerings(catalog(node_class_status=status), "p5.48xlarge", "reserved")
    assert found.available is available


def test_a_reservation_of_a_type_without_a_price_costs_nothing() -> None:
    item = reservation(instanceType="p5e.48xlarge", availabilityZone="us-west-2c")
    (found,) = offerings(
        catalog("us-west-2", node_class_status={"capacityReservations": [item]}), "p5e.48xlarge", "reserved"
    )
    assert found.price == 0


EFA = {"networkCardIndex": 1, "deviceIndex": 1, "interfaceType": "efa-only"}
PRIMARY = {"networkCardIndex": 0, "deviceIndex": 0, "interfaceType": "interface"}


@pytest.mark.parametrize(
    ("spec", "name", "available"),
    [
        ({"amiFamily": "AL2023"}, "a1.large", False),
        ({"amiFamily": "AL2"}, "a1.large", True),
        ({"amiSelectorTerms": [{"alias": "al2023@latest"}]}, "a1.large", False),
        ({"amiFamily": "AL2023", "connectionTracking": {}}, "m5.metal", False),
        ({"amiFamily": "AL2023", "connectionTracking": {}}, "m5.large", True),
        ({"amiFamily": "AL2023", "cpuOptions": {"nestedVirtualization": "enabled"}}, "m5.large", False),
        ({"amiFamily": "AL2023", "networkInterfaces": [PRIMARY, EFA]}, "p5.48xlarge", True),
        ({"amiFamily": "AL2023", "networkInterfaces": [PRIMARY, EFA]}, "g5.xlarge", False),
        ({"amiFamily": "AL2023", "networkInterfaces": [PRIMARY, {**EFA, "networkCardIndex": 0}]}, "m5.large", False),
        ({"amiFamily": "AL2023", "networkInterfaces": [{**PRIMARY, "deviceIndex": 7}]}, "m5.large", False),
    ],
)
def test_a_type_that_the_node_class_cannot_launch_stays_listed_unavailable(
    spec: dict[str, Any], name: str, available: bool
) -> None:
    assert {item.available for item in offerings(catalog(node_class_spec=spec), name)} == {available}


def test_windows_names_its_build_and_never_runs_on_arm64() -> None:
    found = catalog(node_class_spec={"amiSelectorTerms": [{"alias": "windows2022@latest"}]})
    amd64, arm64 = type_of(found, "m5.large").labels, type_of(found, "g5g.xlarge").labels
    assert (amd64["kubernetes.io/os"], amd64["node.kubernetes.io/windows-build"]) == (["windows"], ["10.0.20348"])
    assert arm64["kubernetes.io/os"] == []


def test_an_unknown_region_gets_a_suggestion() -> None:
    with pytest.raises(UserError, match="did you mean us-east-1") as caught:
        catalog("us-esat-1")
    assert caught.value.seen == "us-esat-1"


@pytest.mark.parametrize("region", regions())
def test_every_region_has_prices_above_zero_and_spot_below_on_demand(region: str) -> None:
    for item in catalog(region).instance_types:
        by_zone = {offer.zone: offer.price for offer in item.offerings if offer.capacity_type == "on-demand"}
        for offer in item.offerings:
            assert offer.price > 0, (item.name, offer)
            if offer.capacity_type == "spot":
                assert offer.price <= by_zone[offer.zone] * 1.03, (item.name, offer)


def test_the_catalog_is_quick_to_make_and_the_same_each_time(shipped: Catalog) -> None:
    started = time.process_time()
    again = catalog()
    # 0.1 s on a busy two-core machine; the bound leaves room for slower ones.
    assert time.process_time() - started < 1.0
    assert again == shipped


@pytest.mark.parametrize("wrong", [[], "text", 7, [7], {"a": 7}, None])
def test_a_node_class_of_the_wrong_shape_is_left_to_the_validators(wrong: Any, shipped: Catalog) -> None:
    fields = ("kubelet", "networkInterfaces", "blockDeviceMappings", "amiSelectorTerms", "cpuOptions")
    spec = {"amiFamily": "AL2", **dict.fromkeys(fields, wrong)}
    status = {"subnets": wrong, "capacityReservations": wrong}
    assert len(catalog(node_class_spec=spec, node_class_status=status).instance_types) == len(shipped.instance_types)
