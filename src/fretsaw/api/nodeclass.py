"""EC2NodeClass: where and how AWS launches the nodes: images, networks, disks, roles, kubelet settings.

Source: AWS provider v1.14 pkg/apis/v1 (EC2NodeClass) as the API server enforces it.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import Meta, field

from fretsaw.api.meta import Condition, Object, Value
from fretsaw.api.nodeclass_parts import (
    AMISelectorTerm,
    BlockDevice,
    BlockDeviceMapping,
    CapacityReservationSelectorTerm,
    ConnectionTracking,
    CPUOptions,
    MetadataOptions,
    NetworkInterface,
    PlacementGroupSelector,
    SecurityGroupSelectorTerm,
    SubnetSelectorTerm,
)
from fretsaw.api.nodeclass_rules import (
    AMI_TERM_RULES,
    CONNECTION_RULE,
    DEVICE_RULE,
    INTERFACE_RULES,
    PLACEMENT_RULES,
    RESERVATION_RULES,
    SECURITY_GROUP_RULES,
    SPEC_RULES,
    SUBNET_RULES,
    TAG_RULES,
)
from fretsaw.api.nodeclass_status import EC2NodeClassStatus
from fretsaw.api.schema import PRESERVE, doc, replaced, rule

__all__ = [
    "AMISelectorTerm",
    "BlockDevice",
    "BlockDeviceMapping",
    "CPUOptions",
    "CapacityReservationSelectorTerm",
    "ConnectionTracking",
    "EC2NodeClass",
    "EC2NodeClassSpec",
    "EC2NodeClassStatus",
    "MetadataOptions",
    "NetworkInterface",
    "PlacementGroupSelector",
    "SecurityGroupSelectorTerm",
    "SubnetSelectorTerm",
]

AMIFamily = Literal["AL2", "AL2023", "Bottlerocket", "Custom", "Windows2019", "Windows2022", "Windows2025"]

_METADATA_DEFAULT = {
    "httpEndpoint": "enabled",
    "httpProtocolIPv6": "disabled",
    "httpPutResponseHopLimit": 1,
    "httpTokens": "required",
}
_KUBELET = {
    "type": "object",
    "description": "Settings of the kubelet, as in its configuration file; checked by the controller.",
    PRESERVE: True,
}


class EC2NodeClassSpec(Value, frozen=True):
    """How nodes are launched. `kubelet` is the kubelet's own configuration, unread here."""

    subnet_selector_terms: Annotated[
        tuple[SubnetSelectorTerm, ...],
        Meta(max_length=30),
        doc("Subnets that nodes may be launched in; a subnet that meets any term counts.", *SUBNET_RULES),
    ]
    security_group_selector_terms: Annotated[
        tuple[SecurityGroupSelectorTerm, ...],
        Meta(max_length=30),
        doc("Security groups of the nodes; every group that meets any term is attached.", *SECURITY_GROUP_RULES),
    ]
    ami_selector_terms: Annotated[
        tuple[AMISelectorTerm, ...],
        Meta(min_length=1, max_length=30),
        doc("Images of the nodes; the newest that meets any term and fits the architecture is taken.", *AMI_TERM_RULES),
    ]
    capacity_reservation_selector_terms: Annotated[
        tuple[CapacityReservationSelectorTerm, ...],
        Meta(max_length=30),
        doc("Capacity reservations that nodes may be launched into.", *RESERVATION_RULES),
    ] = ()
    placement_group_selector: Annotated[
        PlacementGroupSelector | None, doc("The placement group of the nodes.", *PLACEMENT_RULES)
    ] = None
    associate_public_ip_address: Annotated[bool, doc("Whether nodes get a public address.")] | None = field(
        default=None, name="associatePublicIPAddress"
    )
    ip_prefix_count: (
        Annotated[int, Meta(ge=0), doc("How many address prefixes the first interface gets.", format="int32")] | None
    ) = None
    ami_family: Annotated[AMIFamily, doc("How the image is bootstrapped; told by an alias if absent.")] | None = None
    user_data: Annotated[str, doc("Text that the instance runs or reads at boot, in the family's format.")] | None = (
        None
    )
    role: (
        Annotated[
            str,
            doc("Name of the IAM role of the nodes.", rule("self != ''", "role cannot be empty", "name a role")),
        ]
        | None
    ) = None
    instance_profile: (
        Annotated[
            str,
            doc(
                "Name of the instance profile of the nodes.",
                rule("self != ''", "instanceProfile cannot be empty", "name an instance profile"),
            ),
        ]
        | None
    ) = None
    tags: Annotated[dict[str, str], doc("Tags of everything that is launched.", *TAG_RULES)] = field(
        default_factory=dict
    )
    kubelet: Annotated[dict[str, Any], replaced(_KUBELET)] | None = None
    block_device_mappings: Annotated[
        tuple[BlockDeviceMapping, ...], Meta(max_length=50), doc("Disks, in place of the family's own.", DEVICE_RULE)
    ] = ()
    instance_store_policy: Annotated[Literal["RAID0"], doc("What to do with the instance's own disks.")] | None = None
    network_interfaces: Annotated[
        tuple[NetworkInterface, ...],
        Meta(max_length=150),
        doc("Network interfaces, in place of one.", *INTERFACE_RULES),
    ] = ()
    detailed_monitoring: Annotated[bool, doc("Whether CloudWatch gets figures every minute.")] | None = None
    metadata_options: Annotated[
        MetadataOptions, doc("Who may read the instance metadata service, and how.", default=_METADATA_DEFAULT)
    ] = MetadataOptions()
    connection_tracking: Annotated[
        ConnectionTracking | None, doc("How long idle connections are tracked.", CONNECTION_RULE)
    ] = None
    context: Annotated[str, doc("Passed to CreateFleet as its Context.")] | None = None
    cpu_options: Annotated[CPUOptions | None, doc("Features of the processors.")] = None


class EC2NodeClass(Object, frozen=True, kw_only=True):
    """How AWS launches nodes. `spec` may be absent: such a class is admitted and resolves nothing."""

    spec: Annotated[EC2NodeClassSpec | None, doc("How nodes are launched.", *SPEC_RULES)] = None
    status: EC2NodeClassStatus = EC2NodeClassStatus()

    def condition(self, type_: str) -> Condition | None:
        """The condition of that type, if the class reports it."""
        return next((condition for condition in self.status.conditions if condition.type == type_), None)
