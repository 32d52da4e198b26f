"""Drift: every reason by each field, and what is no drift."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from aws.classes.accounts import TAGS, Account
from aws.classes.worlds import CLUSTER, NOW, account, denied, few_types, node_class, of_region, run, whole
from fretsaw.api.meta import ObjectMeta
from fretsaw.api.nodeclaim import NodeClaim, NodeClaimSpec, NodeClaimStatus, NodeClassRef
from fretsaw.api.nodeclass import EC2NodeClass
from fretsaw.api.times import HOUR, MINUTE
from fretsaw.providers.aws.classes.classes import Classes
from fretsaw.providers.aws.classes.images import of_type
from fretsaw.providers.aws.launch.instances import Instance
from fretsaw.providers.fleet.class_hash import HASH, HASH_VERSION, VERSION, class_hash

REF = NodeClassRef("karpenter.k8s.aws", "EC2NodeClass", "gpu")


def claim(of: EC2NodeClass, type_: str = "g5.xlarge", **status: Any) -> NodeClaim:
    """As it is once launched."""
    labels = {key: values[0] for key, values in of_region()[type_].labels.items() if len(values) == 1}
    stamp = {HASH: class_hash(of), HASH_VERSION: VERSION}
    metadata = ObjectMeta(
        name="c-0", labels={**labels, "karpenter.k8s.aws/placement-group-id": "pg-1"}, annotations=stamp
    )
    fields = {"image_id": "ami-nvidia", "provider_id": "aws:///us-east-1a/i-1", **status}
    return NodeClaim(metadata=metadata, spec=NodeClaimSpec(REF, ()), status=NodeClaimStatus(**fields))


def instance(**more: Any) -> Instance:
    usual = {
        "image_id": "ami-nvidia",
        "subnet_id": "subnet-a",
        "security_groups": ("sg-1", "sg-2"),
        "reservation": "cr-1",
        "placement_group": "pg-1",
    }
    return Instance("i-1", "g5.xlarge", "us-east-1a", "running", NOW, **(usual | more))


def ready(aws: Account, **spec: Any) -> EC2NodeClass:
    return run(Classes(aws, CLUSTER, types=few_types).as_it_should_be(whole(**spec), NOW)).node_class


def judged(
    aws: Account, now: EC2NodeClass, then: NodeClaim, one: Instance, *, labels: bool = False, at: int = HOUR
) -> str:
    machine = None if labels else of_type(of_region()[one.type])
    return run(Classes(aws, CLUSTER, types=few_types).drift(then, now, one, NOW + at, machine))


def test_a_new_instance_has_not_drifted() -> None:
    aws = account()
    found = ready(aws)
    assert judged(aws, found, claim(found), instance()) == ""
    assert judged(aws, found, claim(found), instance(), labels=True) == ""


@pytest.mark.parametrize(
    ("field", "value", "drifts"),
    [
        ("role", "other", True),
        ("userData", "#!/bin/sh", True),
        ("tags", {"a": "b"}, True),
        ("kubelet", {"maxPods": 20}, True),
        ("blockDeviceMappings", [{"deviceName": "/dev/xvda", "ebs": {"volumeSize": "100Gi"}}], True),
        ("instanceStorePolicy", "RAID0", True),
        ("detailedMonitoring", True, True),
        ("metadataOptions", {"httpPutResponseHopLimit": 2}, True),
        ("associatePublicIPAddress", True, True),
        ("context", "x", True),
        ("connectionTracking", {"udpTimeout": 40}, True),
        ("cpuOptions", {"nestedVirtualization": "enabled"}, True),
        ("placementGroupSelector", {"id": "pg-1"}, True),
        (
            "networkInterfaces",
            [{"networkCardIndex": 0, "deviceIndex": 0, "interfaceType": "interface"}],
            True,
        ),
        ("ipPrefixCount", 2, False),
        ("subnetSelectorTerms", [{"id": "subnet-a"}], False),
        ("securityGroupSelectorTerms", [{"id": "sg-1"}], False),
        ("capacityReservationSelectorTerms", [{"id": "cr-1"}], False),
        ("amiSelectorTerms", [{"alias": "al2023@v20260101"}], False),
        ("amiFamily", "AL2023", False),
        ("amiFamily", "Custom", True),
    ],
)
def test_a_changed_field_is_static_drift_or_none(field: str, value: Any, drifts: bool) -> None:
    aws = account()
    found = ready(aws)
    spec = {
        "capacityReservationSelectorTerms": [{"tags": TAGS}],
        "placementGroupSelector": {"name": "ring"},
        field: value,
    }
    now = replace(found, spec=node_class(**spec).spec)
    assert judged(aws, now, claim(found), instance()) == ("NodeClassDrift" if drifts else "")


def test_the_hash_may_be_a_tag_of_the_instance_and_that_of_another_version_says_nothing() -> None:
    aws = account()
    found = ready(aws)
    now = replace(found, spec=node_class(role="other", placementGroupSelector={"name": "ring"}).spec)
    bare = replace(claim(found), metadata=replace(claim(found).metadata, annotations={}))
    tags = {HASH: class_hash(found), HASH_VERSION: VERSION}
    assert judged(aws, now, bare, instance(tags=tags)) == "NodeClassDrift"
    assert judged(aws, now, bare, instance()) == ""
    assert judged(aws, now, bare, instance(tags={**tags, HASH_VERSION: "v6"})) == ""


@pytest.mark.parametrize(
    ("then", "one", "expected"),
    [
        ({"image_id": "ami-old"}, {}, "AMIDrift"),
        ({"image_id": ""}, {"image_id": "ami-old"}, "AMIDrift"),
        ({"image_id": ""}, {"image_id": ""}, ""),
        # An image of the class, but not the one that this type gets.
        ({"image_id": "ami-standard"}, {}, "AMIDrift"),
        ({}, {"security_groups": ("sg-1",)}, "SecurityGroupDrift"),
        ({}, {"security_groups": ("sg-1", "sg-2", "sg-3")}, "SecurityGroupDrift"),
        ({}, {"security_groups": ("sg-2", "sg-1")}, ""),
        ({}, {"subnet_id": "subnet-z"}, "SubnetDrift"),
        ({}, {"subnet_id": "subnet-b"}, ""),
        ({}, {"reservation": "cr-gone"}, "CapacityReservationDrift"),
        ({}, {"reservation": ""}, ""),
        # The first that is found is told.
        ({"image_id": "ami-old"}, {"security_groups": (), "subnet_id": "x", "reservation": "cr-x"}, "AMIDrift"),
        ({}, {"security_groups": ("sg-x",), "subnet_id": "x", "reservation": "cr-x"}, "SecurityGroupDrift"),
        ({}, {"subnet_id": "x", "reservation": "cr-x"}, "SubnetDrift"),
    ],
)
def test_what_an_instance_has_and_its_class_no_longer_finds(
    then: dict[str, Any], one: dict[str, Any], expected: str
) -> None:
    aws = account()
    found = ready(aws)
    assert judged(aws, found, claim(found, **then), instance(**one)) == expected
    assert judged(aws, found, claim(found, **then), instance(**one), labels=True) == expected


def without_group(found: NodeClaim) -> NodeClaim:
    labels = {key: value for key, value in found.metadata.labels.items() if "placement" not in key}
    return replace(found, metadata=replace(found.metadata, labels=labels))


def test_placement_groups() -> None:
    aws = account()
    found = ready(aws)
    stray = without_group(claim(found))
    assert judged(aws, found, stray, instance(placement_group="")) == "PlacementGroupDrift"
    assert judged(aws, found, stray, instance()) == ""
    aws.placement_groups[0]["GroupId"] = "pg-2"
    assert judged(aws, found, claim(found), instance()) == "PlacementGroupDrift"
    plain = run(Classes(aws, CLUSTER, types=few_types).as_it_should_be(node_class(), NOW)).node_class
    bare = instance(placement_group="", reservation="")
    assert judged(aws, plain, without_group(claim(plain)), bare) == ""
    assert judged(aws, plain, claim(plain), bare) == "PlacementGroupDrift"


def test_what_cannot_be_asked_is_no_drift() -> None:
    aws = account()
    found = ready(aws)
    for call in ("ec2:DescribePlacementGroups", "ec2:DescribeCapacityReservations"):
        aws.faults[call] = denied(call)
    assert judged(aws, found, without_group(claim(found)), instance(placement_group="")) == ""
    assert judged(aws, found, claim(found), instance(reservation="cr-gone")) == ""


def test_a_reservation_is_asked_for_anew_before_it_counts_as_lost() -> None:
    aws = account()
    found = ready(aws)
    classes = Classes(aws, CLUSTER, types=few_types)

    async def work() -> list[str]:
        seen = await classes.as_it_should_be(found, NOW + MINUTE)
        aws.reservations.append({**aws.reservations[0], "CapacityReservationId": "cr-new"})
        return [
            await classes.drift(claim(found), seen.node_class, instance(reservation=name), NOW + MINUTE + 1)
            for name in ("cr-new", "cr-gone")
        ]

    assert run(work()) == ["", "CapacityReservationDrift"]


def test_nothing_that_was_found_and_classes_that_go_are_no_reason() -> None:
    aws = account()
    found = ready(aws)
    empty = replace(found, status=replace(found.status, amis=(), subnets=(), security_groups=()))
    assert judged(aws, empty, claim(found, image_id="ami-old"), instance()) == ""
    gone = replace(found, metadata=replace(found.metadata, deletion_timestamp="2026-11-24T12:00:00Z"))
    assert judged(aws, gone, claim(found, image_id="ami-old"), instance()) == ""


def test_a_claim_that_says_nothing_of_its_type_gets_no_image_drift() -> None:
    aws = account()
    found = ready(aws)
    old = claim(found, image_id="ami-old")
    bare = replace(old, metadata=replace(old.metadata, labels={"node.kubernetes.io/instance-type": "g5.xlarge"}))
    assert judged(aws, found, bare, instance(), labels=True) == ""
    assert judged(aws, found, bare, instance()) == "AMIDrift"


def test_an_image_for_other_types_alone_is_no_drift() -> None:
    aws = account()
    found = ready(aws)
    arm = replace(found, status=replace(found.status, amis=tuple(a for a in found.status.amis if "arm" in a.id)))
    assert judged(aws, arm, claim(found, image_id="ami-old"), instance()) == ""
