"""The data of a launch template: all that the instances of it have in common.

    kind = Kind(image_id="ami-1", pods=58, capacity_type="on-demand")
    data = template_data(node_class, cluster, kind, Claimed(labels=…, taints=…), tags)

Source: Karpenter AWS provider v1.14 pkg/providers/launchtemplate (CreateLaunchTemplate input).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import msgspec

from fretsaw.api.labels import AWS_DOMAIN
from fretsaw.api.node import Taint
from fretsaw.api.nodeclaim import NodeClaim
from fretsaw.api.nodeclass import EC2NodeClass, EC2NodeClassSpec
from fretsaw.errors import NotReady
from fretsaw.providers.aws.boot import devices, kubelet
from fretsaw.providers.aws.boot.interfaces import interfaces
from fretsaw.providers.aws.boot.user_data import encoded, user_data
from fretsaw.providers.aws.boot.values import Boot, Cluster
from fretsaw.providers.aws.nodeclass_view import NodeClassView

PREFIX = f"{AWS_DOMAIN}/"
"""Of names of launch templates."""
SANDBOX = "eks.amazonaws.com/nitro-sandbox"
_NO_IPV6_METADATA = frozenset(
    ["us-iso-east-1", "us-iso-west-1", "us-isob-east-1", "us-isob-west-1", "us-isof-south-1", "us-isof-east-1"]
)


class Kind(msgspec.Struct, frozen=True, order=True):
    """What tells the launch templates of one order apart, and how they are bought."""

    image_id: str
    pods: int
    capacity_type: str
    efa: int = 0
    tenancy: str = "default"
    enclave: bool = False
    reservation: str = ""
    """Id of a capacity reservation."""
    market: str = ""
    """`capacity-block` or `interruptible-capacity-reservation` for reservations of these kinds."""
    placement_group: str = ""
    partition: int = 0


class Claimed(msgspec.Struct, frozen=True):
    """What a NodeClaim adds: what its node says of itself."""

    labels: dict[str, str] = {}
    taints: tuple[Taint, ...] = ()
    startup_taints: tuple[Taint, ...] = ()

    @classmethod
    def of(cls, claim: NodeClaim) -> Claimed:
        """That of a claim."""
        return cls(dict(claim.metadata.labels), claim.spec.taints, claim.spec.startup_taints)


def boot_of(node_class: EC2NodeClass, cluster: Cluster, kind: Kind, claimed: Claimed) -> Boot:
    """What the user data is made of. Raises NotReady for a class without a spec, or a cluster without a range."""
    spec = _spec(node_class)
    family = NodeClassView(msgspec.to_builtins(spec)).family
    if family == "AL2023" and not cluster.cidr:
        raise NotReady("the cluster's range of service addresses is not known, which AL2023 needs")
    return Boot(
        cluster=cluster,
        family=family,
        labels=kubelet.node_labels(claimed.labels, kind.capacity_type, family),
        taints=kubelet.node_taints(claimed.taints, claimed.startup_taints),
        kubelet=kubelet.resolved(spec.kubelet, kind.pods, cluster.dns_ip),
        custom=spec.user_data or "",
        raid0=spec.instance_store_policy == "RAID0",
        image_version=_image_version(node_class),
    )


def template_data(
    node_class: EC2NodeClass,
    cluster: Cluster,
    kind: Kind,
    claimed: Claimed,
    tags: Mapping[str, str],
    *,
    region: str = "",
    reservations: bool = True,
) -> dict[str, Any]:
    """The member LaunchTemplateData. reservations: whether the gate ReservedCapacity is open.

    Raises NotReady, and LaunchFailed for user data that cannot be made.
    """
    spec, status = _spec(node_class), node_class.status
    boot = boot_of(node_class, cluster, kind, claimed)
    groups = [group.id for group in status.security_groups]
    found = {
        "ImageId": kind.image_id,
        "UserData": encoded(user_data(boot)),
        "IamInstanceProfile": {"Name": status.instance_profile} if status.instance_profile else None,
        "BlockDeviceMappings": devices.mappings(spec.block_device_mappings, boot.family),
        "CpuOptions": _cpu(spec),
        "Monitoring": {"Enabled": bool(spec.detailed_monitoring)},
        "MetadataOptions": _metadata(spec, region),
        "NetworkInterfaces": interfaces(spec, groups, kind.efa, cluster.ipv6),
        "Placement": _placement(kind),
        "EnclaveOptions": {"Enabled": kind.enclave},
        "TagSpecifications": _tags(kind, tags),
        **(_reservation(kind) if reservations else {}),
    }
    return {key: value for key, value in found.items() if value is not None}


def name_of(data: Mapping[str, Any]) -> str:
    """A launch template's name: another one for other data."""
    text = msgspec.json.encode(data, order="deterministic")
    return f"{PREFIX}{int.from_bytes(hashlib.sha256(text).digest()[:8], 'big')}"


def _spec(node_class: EC2NodeClass) -> EC2NodeClassSpec:
    if node_class.spec is None:
        raise NotReady(f"EC2NodeClass {node_class.metadata.name} has no spec")
    return node_class.spec


def _cpu(spec: EC2NodeClassSpec) -> dict[str, str] | None:
    nested = spec.cpu_options.nested_virtualization if spec.cpu_options is not None else None
    return {"NestedVirtualization": nested} if nested else None


def _metadata(spec: EC2NodeClassSpec, region: str) -> dict[str, Any]:
    options = spec.metadata_options
    found: dict[str, Any] = {
        "HttpEndpoint": options.http_endpoint,
        "HttpProtocolIpv6": options.http_protocol_ipv6,
        "HttpPutResponseHopLimit": options.http_put_response_hop_limit,
        "HttpTokens": options.http_tokens,
        # Keys of tags with a slash would break every launch where an account turns this on.
        "InstanceMetadataTags": "disabled",
    }
    if region in _NO_IPV6_METADATA:
        del found["HttpProtocolIpv6"]
    return found


def _placement(kind: Kind) -> dict[str, Any]:
    found: dict[str, Any] = {"Tenancy": kind.tenancy}
    if kind.placement_group:
        found["GroupId"] = kind.placement_group
    if kind.partition:
        found["PartitionNumber"] = kind.partition
    return found


def _tags(kind: Kind, tags: Mapping[str, str]) -> list[dict[str, Any]]:
    kinds = ["network-interface", *(["spot-instances-request"] if kind.capacity_type == "spot" else [])]
    own = [{"Key": key, "Value": value} for key, value in sorted(tags.items())]
    return [{"ResourceType": one, "Tags": own} for one in kinds]


def _reservation(kind: Kind) -> dict[str, Any]:
    """Who does not ask for a reservation takes none by luck: it would be somebody else's."""
    if not kind.reservation:
        return {"CapacityReservationSpecification": {"CapacityReservationPreference": "none"}}
    target = {"CapacityReservationId": kind.reservation}
    return {
        "CapacityReservationSpecification": {
            "CapacityReservationPreference": "capacity-reservations-only",
            "CapacityReservationTarget": target,
        },
        "InstanceMarketOptions": {"MarketType": kind.market} if kind.market else None,
    }


def _image_version(node_class: EC2NodeClass) -> str:
    """Bottlerocket's version: of the alias, else of a name, else of any image that was found."""
    for term in _spec(node_class).ami_selector_terms:
        if term.alias:
            return term.alias.partition("@")[2].lstrip("v")
        if term.name and (found := _version_in(term.name)):
            return found
    by_id = {image.id: image.name for image in node_class.status.amis}
    named = [by_id.get(term.id, "") for term in _spec(node_class).ami_selector_terms if term.id]
    return next(filter(None, map(_version_in, (*named, *by_id.values()))), "")


def _version_in(name: str) -> str:
    if "bottlerocket" not in name:
        return ""
    return next((part[1:] for part in name.split("-") if part.startswith("v") and "." in part), "")
