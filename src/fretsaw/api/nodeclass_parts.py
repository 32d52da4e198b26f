"""The parts of an EC2NodeClass spec: selector terms, disks, interfaces and options.

Source: AWS provider v1.14 pkg/apis/v1 (EC2NodeClass) as the API server enforces it.
"""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, field

from fretsaw.api.meta import Value
from fretsaw.api.nodeclass_rules import ALIAS_RULES, EBS_RULES, TERM_TAG_RULE
from fretsaw.api.resources import Quantity
from fretsaw.api.schema import doc, replaced

_Tags = Annotated[
    dict[str, str], Meta(max_length=20), doc("Tags and their values; the value * means any.", TERM_TAG_RULE)
]
_Switch = Literal["enabled", "disabled"]

_VOLUME_SIZE = (
    "^(([1-9][0-9]{0,3}|[1-4][0-9]{4}|5[0-8][0-9]{3}|59000)Gi"
    "|([1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-3][0-9]{3}|64000)G"
    "|([1-9]|[1-5][0-7]|58)?Ti|([1-9]|[1-5][0-9]|6[0-4])?T)$"
)
"""The peer's set, slips included: no number at all passes before Ti and T, and 18Ti, 19Ti, 28Ti … do not."""


class SubnetSelectorTerm(Value, frozen=True):
    """Subnets by tags or id; all of a term has to hold. `tags` None is absent, `{}` is every subnet."""

    tags: _Tags | None = None
    id: Annotated[str, Meta(pattern="subnet-[0-9a-z]+"), doc("Id of the subnet.")] | None = None


class SecurityGroupSelectorTerm(Value, frozen=True):
    """Security groups by tags, id or name (the group's own name, not its tag Name)."""

    tags: _Tags | None = None
    id: Annotated[str, Meta(pattern="sg-[0-9a-z]+"), doc("Id of the group.")] | None = None
    name: Annotated[str, doc("The group's own name, not its tag Name.")] | None = None


class CapacityReservationSelectorTerm(Value, frozen=True):
    """Capacity reservations by id, or by tags, owner and match criteria together."""

    tags: _Tags | None = None
    id: Annotated[str, Meta(pattern="^cr-[0-9a-z]+$"), doc("Id of the reservation.")] | None = None
    owner_id: Annotated[str, Meta(pattern="^[0-9]{12}$"), doc("Account that owns it.")] | None = field(
        default=None, name="ownerID"
    )
    instance_match_criteria: (
        Annotated[Literal["open", "targeted"], doc("Whether instances have to ask for the reservation.")] | None
    ) = None


class AMISelectorTerm(Value, frozen=True):
    """Images by alias (`family@version`), id, name, tags or SSM parameter."""

    alias: (
        Annotated[str, Meta(max_length=30), doc("A family of EKS images and a version: family@version.", *ALIAS_RULES)]
        | None
    ) = None
    tags: _Tags | None = None
    id: Annotated[str, Meta(pattern="ami-[0-9a-z]+"), doc("Id of the image.")] | None = None
    name: Annotated[str, doc("Name of the image; * and ? are wildcards.")] | None = None
    owner: Annotated[str, doc("Account that owns the image, or self or amazon.")] | None = None
    ssm_parameter: Annotated[str, doc("Name or ARN of the SSM parameter that holds the image's id.")] | None = None


class PlacementGroupSelector(Value, frozen=True):
    """A placement group by name or id."""

    name: Annotated[str, Meta(min_length=1), doc("Name of the placement group.")] | None = None
    id: Annotated[str, Meta(pattern="^pg-[0-9a-z]+$"), doc("Id of the placement group.")] | None = None


class BlockDevice(Value, frozen=True):
    """An EBS volume. `volume_size` is a text such as 100Gi."""

    delete_on_termination: Annotated[bool, doc("Whether the volume goes with the instance.")] | None = None
    encrypted: Annotated[bool, doc("Whether the volume is encrypted.")] | None = None
    iops: Annotated[int, doc("IO operations a second.", format="int64")] | None = None
    kms_key_id: Annotated[str, doc("Key that encrypts the volume.")] | None = field(default=None, name="kmsKeyID")
    snapshot_id: Annotated[str, doc("Snapshot that the volume is made from.")] | None = field(
        default=None, name="snapshotID"
    )
    throughput: Annotated[int, doc("MiB a second; gp3 only.", format="int64")] | None = None
    volume_initialization_rate: (
        Annotated[int, Meta(ge=100, le=300), doc("MiB a second at which the snapshot is copied.", format="int32")]
        | None
    ) = None
    volume_size: (
        Annotated[
            Quantity,
            replaced({"type": "string", "pattern": _VOLUME_SIZE, "description": "Size: whole Gi, G, Ti or T."}),
        ]
        | None
    ) = None
    volume_type: (
        Annotated[Literal["standard", "io1", "io2", "gp2", "sc1", "st1", "gp3"], doc("Kind of EBS volume.")] | None
    ) = None


class BlockDeviceMapping(Value, frozen=True):
    """A disk under a device name; `root_volume` marks the one that holds the kubelet's data."""

    device_name: Annotated[str, doc("Such as /dev/xvda.")] | None = None
    root_volume: Annotated[bool, doc("Whether the kubelet's data is on this disk.")] | None = None
    ebs: Annotated[BlockDevice | None, doc("The EBS volume.", *EBS_RULES)] = None


class NetworkInterface(Value, frozen=True):
    """A network interface by its place: card and device."""

    network_card_index: Annotated[int, Meta(ge=0), doc("The network card, from 0.", format="int32")]
    device_index: Annotated[int, Meta(ge=0), doc("The device on the card, from 0.", format="int32")]
    interface_type: Annotated[
        Literal["interface", "efa-only"], doc("interface for IP traffic, efa-only for a fabric adapter.")
    ]


class MetadataOptions(Value, frozen=True):
    """The instance metadata service; the defaults are the CRD's."""

    http_endpoint: Annotated[_Switch, doc("Whether the service answers.")] = "enabled"
    http_protocol_ipv6: Annotated[_Switch, doc("Whether it answers over IPv6.")] = field(
        default="disabled", name="httpProtocolIPv6"
    )
    http_put_response_hop_limit: Annotated[
        int, Meta(ge=1, le=64), doc("Network hops an answer may take; pods are one further.", format="int64")
    ] = 1
    http_tokens: Annotated[Literal["required", "optional"], doc("Whether IMDSv2 tokens are required.")] = "required"


class ConnectionTracking(Value, frozen=True):
    """Seconds after which idle connections are forgotten; at least one of them."""

    tcp_established_timeout: (
        Annotated[int, Meta(ge=60, le=432000), doc("Idle TCP connections, in seconds.", format="int32")] | None
    ) = None
    udp_stream_timeout: (
        Annotated[int, Meta(ge=60, le=180), doc("UDP flows with more than one exchange, in seconds.", format="int32")]
        | None
    ) = None
    udp_timeout: (
        Annotated[int, Meta(ge=30, le=60), doc("UDP flows with one exchange, in seconds.", format="int32")] | None
    ) = None


class CPUOptions(Value, frozen=True):
    """Features of the processors."""

    nested_virtualization: (
        Annotated[Literal["enabled", "disabled"], doc("Whether virtual machines may run on the instance.")] | None
    ) = None
