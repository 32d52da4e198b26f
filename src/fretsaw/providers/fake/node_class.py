"""What a node class says of itself where every selector finds something: finalizer, hash, status and conditions.

A class with the annotation `fretsaw.dev/fake-not-ready: <reason>` is not ready for that reason; one with
`fretsaw.dev/fake-drift: AMIDrift` has drifted nodes.
Source: AWS provider v1.14 pkg/controllers/nodeclass (conditions, their reasons and messages).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import msgspec
from msgspec.structs import replace

from fretsaw.api.labels import ARCH, AWS_DOMAIN
from fretsaw.api.meta import ObjectMeta
from fretsaw.api.nodeclass import EC2NodeClass, EC2NodeClassSpec
from fretsaw.api.nodeclass_status import EC2NodeClassStatus, ResolvedAMI, ResolvedSecurityGroup, ResolvedSubnet
from fretsaw.api.selection import NodeSelectorRequirement
from fretsaw.api.times import Millis
from fretsaw.engine.conditions import by_type, put, rooted
from fretsaw.providers.fleet.class_hash import HASH, HASH_VERSION, VERSION, class_hash

FINALIZER = f"{AWS_DOMAIN}/termination"
NOT_READY = "fretsaw.dev/fake-not-ready"
DRIFT = "fretsaw.dev/fake-drift"
CONDITIONS = (
    "AMIsReady",
    "CapacityReservationsReady",
    "PlacementGroupReady",
    "SubnetsReady",
    "SecurityGroupsReady",
    "InstanceProfileReady",
    "ValidationSucceeded",
)
"""In the order in which the provider looks; `Ready` is made of them."""
_REASONS: Mapping[str, tuple[str, str]] = {
    "AMINotFound": ("AMIsReady", "AMISelector did not match any AMIs"),
    "UnsupportedAlias": ("AMIsReady", "the alias is not supported by this version of Kubernetes"),
    "SubnetsNotFound": ("SubnetsReady", "SubnetSelector did not match any Subnets"),
    "SecurityGroupsNotFound": ("SecurityGroupsReady", "SecurityGroupSelector did not match any SecurityGroups"),
    "PlacementGroupNotFound": ("PlacementGroupReady", "Placement group not found"),
    "PlacementGroupResolutionFailed": ("PlacementGroupReady", "Failed to resolve placement group"),
}
"""Reason → (the condition that has it, its message); any other reason is one of ValidationSucceeded."""


def problem(node_class: EC2NodeClass) -> str:
    """Why nothing can be launched with this class; empty where something can."""
    name = node_class.metadata.name
    if node_class.metadata.deletion_timestamp:
        return f"EC2NodeClass {name} is being deleted"
    reason = _not_ready(node_class)
    return f"EC2NodeClass {name} is not ready: {reason}: {_about(reason)[1]}" if reason else ""


def _not_ready(node_class: EC2NodeClass) -> str:
    return node_class.metadata.annotations.get(NOT_READY, "") or ("" if node_class.spec is not None else "AMINotFound")


def _about(reason: str) -> tuple[str, str]:
    return _REASONS.get(reason, ("ValidationSucceeded", f"the annotation {NOT_READY} says so"))


def as_it_should_be(node_class: EC2NodeClass, zones: Mapping[str, str], now: Millis) -> EC2NodeClass:
    """The class with everything found. zones: name → id of the zones that there are."""
    status = _status(node_class, zones)
    conditions = by_type(node_class.status.conditions)
    reason, generation = _not_ready(node_class), node_class.metadata.generation
    wrong, message = _about(reason)
    for type_ in CONDITIONS:
        if reason and type_ == wrong:
            conditions = put(conditions, type_, "False", now, reason=reason, message=message, generation=generation)
        else:
            conditions = put(conditions, type_, "True", now, generation=generation)
    conditions = rooted(conditions, CONDITIONS, now, generation)
    return replace(
        node_class,
        metadata=_metadata(node_class),
        status=replace(status, conditions=tuple(conditions.values())),
    )


def released(node_class: EC2NodeClass) -> EC2NodeClass:
    """The class without our finalizer: nothing is left that it is needed for."""
    metadata = node_class.metadata
    kept = tuple(one for one in metadata.finalizers if one != FINALIZER)
    return (
        node_class if kept == metadata.finalizers else replace(node_class, metadata=replace(metadata, finalizers=kept))
    )


def images(node_class: EC2NodeClass) -> dict[str, str]:
    """Image id by architecture. Another selector finds other images."""
    spec = node_class.spec
    terms = spec.ami_selector_terms if spec is not None else ()
    named = next((term.id for term in terms if term.id), None)
    text = msgspec.json.encode(terms)
    return {arch: named or f"ami-{_digest(text, arch)}" for arch in ("amd64", "arm64")}


def drift(node_class: EC2NodeClass, class_hash_then: str, image_then: str) -> str:
    """Why an instance is not what the class asks for now; empty if it is."""
    if said := node_class.metadata.annotations.get(DRIFT, ""):
        return said
    if class_hash_then and class_hash_then != class_hash(node_class):
        return "NodeClassDrift"
    return "AMIDrift" if image_then and image_then not in images(node_class).values() else ""


def _metadata(node_class: EC2NodeClass) -> ObjectMeta:
    metadata = node_class.metadata
    finalizers = metadata.finalizers if FINALIZER in metadata.finalizers else (*metadata.finalizers, FINALIZER)
    annotations = {**metadata.annotations, HASH: class_hash(node_class), HASH_VERSION: VERSION}
    return replace(metadata, finalizers=finalizers, annotations=annotations)


def _status(node_class: EC2NodeClass, zones: Mapping[str, str]) -> EC2NodeClassStatus:
    """Reservations are left as they are: whoever wants some writes them there."""
    spec, status = node_class.spec, node_class.status
    if spec is None:
        return replace(status, subnets=(), security_groups=(), amis=(), instance_profile="")
    name = node_class.metadata.name
    requirement = {arch: (NodeSelectorRequirement(ARCH, "In", (arch,)),) for arch in ("amd64", "arm64")}
    return replace(
        status,
        subnets=tuple(ResolvedSubnet(f"subnet-{_digest(b'', zone)}", zone, id_) for zone, id_ in sorted(zones.items())),
        security_groups=(ResolvedSecurityGroup(f"sg-{_digest(b'', name)}", name),),
        amis=tuple(ResolvedAMI(id_, requirement[arch], f"fake-{arch}") for arch, id_ in images(node_class).items()),
        instance_profile=_profile(spec, name),
    )


def _profile(spec: EC2NodeClassSpec, name: str) -> str:
    return spec.instance_profile or f"fake_{name}"


def _digest(text: bytes, more: str) -> str:
    return hashlib.sha256(text + more.encode()).hexdigest()[:17]
