"""Whether an instance is what its class asks for now. Pure.

Source: AWS provider v1.14 pkg/cloudprovider (drift.go): what is compared, and in which order.
"""

from __future__ import annotations

from collections.abc import Mapping

from fretsaw.api.labels import AWS_DOMAIN
from fretsaw.api.nodeclaim import NodeClaim
from fretsaw.api.nodeclass import EC2NodeClass
from fretsaw.engine.requirements import Requirements
from fretsaw.providers.aws.classes.images import image_for
from fretsaw.providers.aws.launch.instances import Instance
from fretsaw.providers.fleet.class_hash import HASH, HASH_VERSION, VERSION, class_hash

PLACEMENT_GROUP = f"{AWS_DOMAIN}/placement-group-id"


def drift(
    claim: NodeClaim, node_class: EC2NodeClass, instance: Instance, machine: Requirements | None, group: str | None
) -> str:
    """The reason, as one word; empty where there is none, and where nobody can tell.

    machine: what is known of the instance's type, as `image_for` wants it; None where nothing is. group: the id of the
    placement group that the class asks for, empty for none; None where nobody knows.
    """
    return (
        _static(claim, node_class, instance)
        or _image(claim, node_class, instance, machine)
        or _groups(node_class, instance)
        or _subnet(node_class, instance)
        or _reservation(node_class, instance)
        or _placement(claim, instance, group)
    )


def stray_reservation(node_class: EC2NodeClass, instance: Instance) -> bool:
    """Whether the instance's reservation is not among those of the class: ask anew before that is believed."""
    return bool(_reservation(node_class, instance))


def _static(claim: NodeClaim, node_class: EC2NodeClass, instance: Instance) -> str:
    """The hash at the launch is the claim's annotation, or the instance's tag."""
    then = _stamp(claim.metadata.annotations) or _stamp(instance.tags)
    return "NodeClassDrift" if then and then != class_hash(node_class) else ""


def _stamp(written: Mapping[str, str]) -> str:
    return written.get(HASH, "") if written.get(HASH_VERSION) == VERSION else ""


def _image(claim: NodeClaim, node_class: EC2NodeClass, instance: Instance, machine: Requirements | None) -> str:
    then = claim.status.image_id or instance.image_id
    now = None if machine is None else image_for(node_class.status.amis, machine)
    # Without an image for the type, nothing could take the instance's place.
    return "AMIDrift" if then and now is not None and now.id != then else ""


def _groups(node_class: EC2NodeClass, instance: Instance) -> str:
    now = {one.id for one in node_class.status.security_groups}
    then = set(instance.security_groups)
    return "SecurityGroupDrift" if now and then and now != then else ""


def _subnet(node_class: EC2NodeClass, instance: Instance) -> str:
    now = {one.id for one in node_class.status.subnets}
    return "SubnetDrift" if now and instance.subnet_id and instance.subnet_id not in now else ""


def _reservation(node_class: EC2NodeClass, instance: Instance) -> str:
    now = {one.id for one in node_class.status.capacity_reservations}
    return "CapacityReservationDrift" if instance.reservation and instance.reservation not in now else ""


def _placement(claim: NodeClaim, instance: Instance, group: str | None) -> str:
    then = claim.metadata.labels.get(PLACEMENT_GROUP, "") or instance.placement_group
    return "PlacementGroupDrift" if group is not None and group != then else ""
