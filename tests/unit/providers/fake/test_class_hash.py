"""The node class's hash: another number when nodes ought to be replaced, and only then."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from fretsaw.api.nodeclass import AMISelectorTerm, BlockDevice, BlockDeviceMapping, EC2NodeClass, SubnetSelectorTerm
from fretsaw.providers.fleet.class_hash import class_hash
from unit.providers.fake.worlds import node_class

DISKS = tuple(BlockDeviceMapping(device_name=f"/dev/xvd{x}", ebs=BlockDevice(volume_size="20Gi")) for x in "ab")


def with_spec(**changes: Any) -> EC2NodeClass:
    """The class of all tests with another spec."""
    made = node_class()
    assert made.spec is not None
    return replace(made, spec=replace(made.spec, **changes))


@pytest.mark.parametrize(
    "changes",
    [
        {"subnet_selector_terms": (SubnetSelectorTerm(id="subnet-1"),)},
        {"ami_selector_terms": (AMISelectorTerm(alias="al2023@v20260101"),)},
        {"ami_family": "AL2023"},
        {"ip_prefix_count": 2},
        {"tags": {}},
        {"detailed_monitoring": False},
        {"kubelet": {}},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_selectors_and_zero_values_do_not_count(changes: dict[str, Any]) -> None:
    assert class_hash(with_spec(**changes)) == class_hash(node_class())


@pytest.mark.parametrize(
    "changes",
    [
        {"role": "others"},
        {"tags": {"team": "ml"}},
        {"user_data": "echo"},
        {"ami_selector_terms": (AMISelectorTerm(alias="bottlerocket@latest"),)},
        {"kubelet": {"maxPods": 20}},
        {"block_device_mappings": DISKS[:1]},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_what_nodes_are_made_of_counts(changes: dict[str, Any]) -> None:
    assert class_hash(with_spec(**changes)) != class_hash(node_class())


def test_the_order_of_a_list_does_not_count() -> None:
    assert class_hash(with_spec(block_device_mappings=DISKS)) == class_hash(
        with_spec(block_device_mappings=DISKS[::-1])
    )


def test_it_is_the_same_number_in_every_process() -> None:
    assert class_hash(node_class()) == "17226873651738062826"
