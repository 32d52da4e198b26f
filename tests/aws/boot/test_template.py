"""Launch template data: whole values for common classes, and a table for each part."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from botocore.session import get_session
from botocore.validate import ParamValidator
from msgspec.structs import replace

from aws.boot.worlds import CLAIMED, CLUSTER, KIND, TAGS, V6, node_class
from fretsaw.api.nodeclass import (
    BlockDevice,
    BlockDeviceMapping,
    ConnectionTracking,
    CPUOptions,
    MetadataOptions,
    NetworkInterface,
)
from fretsaw.errors import NotReady
from fretsaw.providers.aws.boot.template import Kind, boot_of, name_of, template_data
from fretsaw.providers.aws.boot.user_data import user_data
from fretsaw.providers.aws.boot.values import Cluster

GROUPS = ["sg-1", "sg-2"]
NONE = {"CapacityReservationPreference": "none"}


def data(kind: Kind = KIND, cluster: Cluster = CLUSTER, region: str = "eu-west-1", **spec: Any) -> dict[str, Any]:
    return template_data(node_class(**spec), cluster, kind, CLAIMED, TAGS, region=region)


def test_the_data_of_a_plain_class() -> None:
    text = user_data(boot_of(node_class(), CLUSTER, KIND, CLAIMED))
    assert data() == {
        "ImageId": "ami-1",
        "UserData": base64.b64encode(text.encode()).decode(),
        "IamInstanceProfile": {"Name": "dev_profile"},
        "BlockDeviceMappings": [
            {"DeviceName": "/dev/xvda", "Ebs": {"Encrypted": True, "VolumeType": "gp3", "VolumeSize": 20}}
        ],
        "Monitoring": {"Enabled": False},
        "MetadataOptions": {
            "HttpEndpoint": "enabled",
            "HttpProtocolIpv6": "disabled",
            "HttpPutResponseHopLimit": 1,
            "HttpTokens": "required",
            "InstanceMetadataTags": "disabled",
        },
        "NetworkInterfaces": [{"DeviceIndex": 0, "Groups": GROUPS}],
        "Placement": {"Tenancy": "default"},
        "EnclaveOptions": {"Enabled": False},
        "TagSpecifications": [
            {
                "ResourceType": "network-interface",
                "Tags": [
                    {"Key": "eks:eks-cluster-name", "Value": "dev"},
                    {"Key": "karpenter.sh/nodepool", "Value": "gpu"},
                ],
            }
        ],
        "CapacityReservationSpecification": NONE,
    }


_EBS = {"Encrypted": True, "VolumeType": "gp3"}
_FULL = BlockDevice(
    delete_on_termination=True,
    encrypted=False,
    iops=0,
    kms_key_id="key",
    snapshot_id="snap-1",
    throughput=250,
    volume_initialization_rate=200,
    volume_size="100G",
    volume_type="io2",
)


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({"family": "AL2"}, [{"DeviceName": "/dev/xvda", "Ebs": {**_EBS, "VolumeSize": 20}}]),
        (
            {"family": "Bottlerocket"},
            [
                {"DeviceName": "/dev/xvda", "Ebs": {**_EBS, "VolumeSize": 4}},
                {"DeviceName": "/dev/xvdb", "Ebs": {**_EBS, "VolumeSize": 20}},
            ],
        ),
        ({"family": "Windows2019"}, [{"DeviceName": "/dev/sda1", "Ebs": {**_EBS, "VolumeSize": 50}}]),
        ({"family": "Custom"}, None),
        (
            {"block_device_mappings": (BlockDeviceMapping("/dev/xvdc", True, _FULL),)},
            [
                {
                    "DeviceName": "/dev/xvdc",
                    "Ebs": {
                        "DeleteOnTermination": True,
                        "Encrypted": False,
                        "VolumeType": "io2",
                        "Throughput": 250,
                        "KmsKeyId": "key",
                        "SnapshotId": "snap-1",
                        "VolumeInitializationRate": 200,
                        "VolumeSize": 94,
                    },
                }
            ],
        ),
        (
            {
                "family": "Custom",
                "block_device_mappings": (BlockDeviceMapping("/dev/a", None, BlockDevice(volume_size="1Ti")),),
            },
            [{"DeviceName": "/dev/a", "Ebs": {"VolumeSize": 1024}}],
        ),
    ],
)
def test_disks(spec: dict[str, Any], expected: Any) -> None:
    assert data(**spec).get("BlockDeviceMappings") == expected


_OWN = (
    NetworkInterface(0, 0, "interface"),
    NetworkInterface(0, 1, "efa-only"),
    NetworkInterface(1, 1, "efa-only"),
)


@pytest.mark.parametrize(
    ("spec", "efa", "cluster", "expected"),
    [
        ({"associate_public_ip_address": False}, 0, CLUSTER, [{"DeviceIndex": 0, "AssociatePublicIpAddress": False}]),
        ({"ip_prefix_count": 2}, 0, CLUSTER, [{"DeviceIndex": 0, "Ipv4PrefixCount": 2}]),
        ({}, 0, V6, [{"DeviceIndex": 0, "Ipv6AddressCount": 1, "PrimaryIpv6": True}]),
        (
            {"ip_prefix_count": 1},
            0,
            V6,
            [{"DeviceIndex": 0, "Ipv6AddressCount": 1, "PrimaryIpv6": True, "Ipv6PrefixCount": 1}],
        ),
        (
            {"connection_tracking": ConnectionTracking(udp_timeout=40)},
            2,
            CLUSTER,
            [
                {
                    "NetworkCardIndex": i,
                    "DeviceIndex": i and 1,
                    "InterfaceType": "efa",
                    "ConnectionTrackingSpecification": {"UdpTimeout": 40},
                }
                for i in range(2)
            ],
        ),
        (
            {"network_interfaces": _OWN, "associate_public_ip_address": True},
            32,
            CLUSTER,
            [
                {
                    "NetworkCardIndex": 0,
                    "DeviceIndex": 0,
                    "InterfaceType": "interface",
                    "AssociatePublicIpAddress": True,
                },
                {"NetworkCardIndex": 0, "DeviceIndex": 1, "InterfaceType": "efa-only"},
                {"NetworkCardIndex": 1, "DeviceIndex": 1, "InterfaceType": "efa-only"},
            ],
        ),
    ],
)
def test_network_interfaces(spec: dict[str, Any], efa: int, cluster: Cluster, expected: list[dict[str, Any]]) -> None:
    found = data(replace(KIND, efa=efa), cluster, **spec)["NetworkInterfaces"]
    assert found == [{"Groups": GROUPS, **one} for one in expected]


def _reserved(market: str = "") -> dict[str, Any]:
    target = {"CapacityReservationId": "cr-1"}
    found: dict[str, Any] = {
        "CapacityReservationSpecification": {
            "CapacityReservationPreference": "capacity-reservations-only",
            "CapacityReservationTarget": target,
        }
    }
    return {**found, "InstanceMarketOptions": {"MarketType": market}} if market else found


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ({}, {"CapacityReservationSpecification": NONE}),
        ({"reservation": "cr-1"}, _reserved()),
        ({"reservation": "cr-1", "market": "capacity-block"}, _reserved("capacity-block")),
        ({"tenancy": "dedicated"}, {"Placement": {"Tenancy": "dedicated"}}),
        (
            {"placement_group": "pg-1", "partition": 3},
            {"Placement": {"Tenancy": "default", "GroupId": "pg-1", "PartitionNumber": 3}},
        ),
        ({"enclave": True}, {"EnclaveOptions": {"Enabled": True}}),
    ],
)
def test_how_it_is_bought_and_placed(kind: dict[str, Any], expected: dict[str, Any]) -> None:
    found = data(replace(KIND, **kind))
    assert {key: found.get(key) for key in expected} == expected
    if "market" not in kind:
        assert "InstanceMarketOptions" not in found


def test_without_the_gate_reservations_are_left_to_ec2() -> None:
    found = template_data(node_class(), CLUSTER, KIND, CLAIMED, TAGS, reservations=False)
    assert "CapacityReservationSpecification" not in found


def test_spot_requests_are_tagged() -> None:
    kinds = [one["ResourceType"] for one in data(replace(KIND, capacity_type="spot"))["TagSpecifications"]]
    assert kinds == ["network-interface", "spot-instances-request"]


def test_options_of_the_class() -> None:
    found = data(
        cpu_options=CPUOptions("enabled"),
        detailed_monitoring=True,
        metadata_options=MetadataOptions("enabled", "enabled", 2, "optional"),
    )
    assert found["CpuOptions"] == {"NestedVirtualization": "enabled"}
    assert found["Monitoring"] == {"Enabled": True}
    assert found["MetadataOptions"]["HttpPutResponseHopLimit"] == 2
    assert "HttpProtocolIpv6" not in data(region="us-iso-east-1")["MetadataOptions"]


def test_the_name_changes_with_anything_and_with_nothing_else() -> None:
    names = [
        name_of(one)
        for one in (
            data(),
            data(replace(KIND, pods=59)),
            data(replace(KIND, reservation="cr-1")),
            data(user_data="#!/bin/bash"),
            template_data(node_class(), CLUSTER, KIND, CLAIMED, {**TAGS, "a": "b"}, region="eu-west-1"),
        )
    ]
    assert len(set(names)) == 5
    assert name_of(data()) == names[0]
    assert all(name.startswith("karpenter.k8s.aws/") and len(name) <= 128 for name in names)


def test_a_class_without_a_spec_makes_nothing() -> None:
    with pytest.raises(NotReady, match="has no spec"):
        template_data(replace(node_class(), spec=None), CLUSTER, KIND, CLAIMED, TAGS)


@pytest.mark.parametrize(
    "spec",
    [
        {"family": "AL2", "network_interfaces": _OWN, "cpu_options": CPUOptions("enabled")},
        {"connection_tracking": ConnectionTracking(60, 60, 30), "ip_prefix_count": 1},
        {"block_device_mappings": (BlockDeviceMapping("/dev/xvdc", True, _FULL),)},
    ],
)
def test_the_data_has_the_shape_of_awss_model(spec: dict[str, Any]) -> None:
    model = get_session().get_service_model("ec2").operation_model("CreateLaunchTemplate")
    kind = replace(KIND, reservation="cr-1", market="capacity-block", placement_group="pg-1", partition=2, efa=2)
    parameters = {"LaunchTemplateName": "x", "LaunchTemplateData": data(kind, V6, **spec)}
    report = ParamValidator().validate(parameters, model.input_shape)
    assert not report.has_errors(), report.generate_report()


@pytest.mark.parametrize(
    ("cidr", "told", "expected"),
    [
        ("10.100.0.0/16", "", "10.100.0.10"),
        ("172.20.0.0/16", "", "172.20.0.10"),
        ("fd30:1c53:5f8a::/108", "", "fd30:1c53:5f8a::a"),
        ("10.100.0.0/16", "10.100.0.53", "10.100.0.53"),
        ("", "", ""),
        ("nonsense", "", ""),
    ],
)
def test_the_dns_of_a_cluster_is_the_tenth_address_of_its_services(cidr: str, told: str, expected: str) -> None:
    assert Cluster("dev", cidr=cidr, dns_ip=told).with_dns().dns_ip == expected
