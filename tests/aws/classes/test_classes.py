"""A class as it should be: what is found, and each condition with its reasons."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from msgspec.structs import replace

from aws.classes.accounts import AL2023, Account, image
from aws.classes.worlds import NOW, account, classes, condition, look, newer, node_class, run, shown, whole
from fretsaw.api.nodeclass import EC2NodeClass
from fretsaw.api.times import HOUR, MINUTE, SECOND
from fretsaw.providers.aws.classes.status import CONDITIONS, FINALIZER, problem
from fretsaw.providers.fleet.class_hash import HASH, HASH_VERSION, VERSION, class_hash

# What is found


def test_a_class_gets_finalizer_hash_status_and_conditions_and_then_stays() -> None:
    aws, new = account(), whole()
    found = look(aws, new)
    assert found.metadata.finalizers == (FINALIZER,)
    assert found.metadata.annotations == {HASH: class_hash(new), HASH_VERSION: VERSION}
    status = found.status
    assert [one.id for one in status.subnets] == ["subnet-b", "subnet-a"]
    assert [one.id for one in status.security_groups] == ["sg-1", "sg-2"]
    assert {one.id for one in status.amis} == {"ami-standard", "ami-nvidia", "ami-neuron", "ami-arm", "ami-armnvidia"}
    assert status.amis[0].id == "ami-nvidia"
    assert [one.id for one in status.capacity_reservations] == ["cr-1"]
    assert [status.instance_profile] == list(aws.profiles)
    assert [(c.type, c.status, c.reason, c.message, c.observed_generation) for c in status.conditions] == [
        (type_, "True", type_, "", 1) for type_ in (*CONDITIONS, "Ready")
    ]
    assert {c.last_transition_time for c in status.conditions} == {"2026-11-24T12:00:00Z"}
    assert look(aws, found, NOW + HOUR) == found
    assert aws.templates == {}
    assert problem(found) == ""


def test_a_pinned_alias_and_terms_without_alias() -> None:
    aws = account()
    aws.parameters["/mine"] = "ami-mine"
    aws.images += [image("ami-mine", "arm64"), image("ami-other", Name="gpu-7", Tags=[{"Key": "team", "Value": "ml"}])]
    terms = [{"ssmParameter": "/mine"}, {"ssmParameter": "/not-there"}, {"name": "gpu-*"}, {"tags": {"team": "ml"}}]
    found = look(aws, node_class(amiFamily="AL2023", amiSelectorTerms=terms))
    assert {one.id: [r.key for r in one.requirements] for one in found.status.amis} == {
        "ami-mine": ["kubernetes.io/arch"],
        "ami-other": ["kubernetes.io/arch"],
    }


def test_a_missing_parameter_only_leaves_its_types_without_an_image() -> None:
    aws = account()
    del aws.parameters[f"{AL2023}/x86_64/nvidia/recommended/image_id"]
    found = look(aws, node_class())
    assert {one.id for one in found.status.amis} == {"ami-standard", "ami-neuron", "ami-arm", "ami-armnvidia"}
    assert shown(found)["AMIsReady"] == "True"


def test_without_the_gate_nobody_looks_for_reservations() -> None:
    aws = account()
    found = look(aws, whole(), reserved_capacity=False)
    assert "CapacityReservationsReady" not in shown(found)
    assert shown(found)["Ready"] == "True"
    assert aws.count("ec2:DescribeCapacityReservations") == 0
    # Turned off later, the condition goes.
    assert "CapacityReservationsReady" not in shown(look(account(), look(account(), whole()), reserved_capacity=False))


def test_without_the_dry_run_nothing_is_tried() -> None:
    aws = account()
    assert shown(look(aws, node_class(), dry_run=False))["ValidationSucceeded"] == "True"
    assert aws.count("ec2:CreateLaunchTemplate") == 0


# Conditions


def nothing_to_change(_: Account) -> None:
    """As it is."""


CASES: list[tuple[str, Callable[[Account], Any], dict[str, Any], dict[str, tuple[str, str, str]]]] = [
    (
        "no image",
        lambda aws: aws.parameters.clear(),
        {},
        {"AMIsReady": ("False", "AMINotFound", "AMISelector did not match any AMIs")},
    ),
    (
        "AL2 on a version that has none",
        nothing_to_change,
        {"amiSelectorTerms": [{"alias": "al2@latest"}]},
        {
            "AMIsReady": (
                "False",
                "UnsupportedAlias",
                "AL2 has no images for Kubernetes 1.33 and later; the cluster has 1.34",
            )
        },
    ),
    (
        "Windows2025 on a version that has none yet",
        nothing_to_change,
        {"amiSelectorTerms": [{"alias": "windows2025@latest"}]},
        {
            "AMIsReady": (
                "False",
                "UnsupportedAlias",
                "Windows2025 has images for Kubernetes 1.35 and later; the cluster has 1.34",
            )
        },
    ),
    (
        "no subnet",
        lambda aws: aws.subnets.clear(),
        {},
        {"SubnetsReady": ("False", "SubnetsNotFound", "SubnetSelector did not match any Subnets")},
    ),
    (
        "no security group",
        lambda aws: aws.groups.clear(),
        {},
        {
            "SecurityGroupsReady": (
                "False",
                "SecurityGroupsNotFound",
                "SecurityGroupSelector did not match any SecurityGroups",
            )
        },
    ),
    (
        "no placement group",
        nothing_to_change,
        {"placementGroupSelector": {"name": "square"}},
        {"PlacementGroupReady": ("False", "PlacementGroupNotFound", 'Placement group "square" not found')},
    ),
]


@pytest.mark.parametrize(("change", "spec", "expected"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_what_is_not_found_is_said_by_its_condition(
    change: Callable[[Account], Any], spec: dict[str, Any], expected: dict[str, tuple[str, str, str]]
) -> None:
    aws = account()
    change(aws)
    found = look(aws, node_class(**spec))
    false = {c.type: (c.status, c.reason, c.message) for c in found.status.conditions if c.status != "True"}
    ready = false.pop("Ready")
    valid = false.pop("ValidationSucceeded", None)
    assert false == expected
    assert ready[:2] == ("False", "UnhealthyDependents")
    if "PlacementGroupReady" in expected:
        assert valid is None  # no launch is tried with it, and none needs it
    else:
        awaited = "Awaiting AMI, Instance Profile, Security Group, and Subnet resolution"
        assert valid == ("False", "DependenciesNotReady", awaited)
        assert aws.count("ec2:CreateLaunchTemplate") == 0
    (why,) = [f"{c}={s}: {reason}: {message}" for c, (s, reason, message) in expected.items()]
    assert why in problem(found)


def test_what_is_no_longer_found_leaves_the_status_and_comes_back() -> None:
    aws = account()
    nets = aws.subnets
    first = look(aws, node_class())
    aws.subnets = []
    second = look(aws, first, NOW + MINUTE)
    assert second.status.subnets == ()
    assert condition(second, "SubnetsReady").last_transition_time == "2026-11-24T12:01:00Z"
    assert condition(second, "Ready").message == "SubnetsReady=False, ValidationSucceeded=False"
    assert condition(second, "AMIsReady") == condition(first, "AMIsReady")
    aws.subnets = nets
    third = look(aws, second, NOW + 2 * MINUTE)
    assert third.status.subnets == first.status.subnets
    assert condition(third, "Ready").last_transition_time == "2026-11-24T12:02:00Z"


def test_a_class_without_a_spec_finds_nothing() -> None:
    found = look(account(), replace(node_class(), spec=None))
    assert shown(found) == {
        "AMIsReady": "False: AMINotFound",
        "CapacityReservationsReady": "True",
        "PlacementGroupReady": "True",
        "SubnetsReady": "False: SubnetsNotFound",
        "SecurityGroupsReady": "False: SecurityGroupsNotFound",
        "InstanceProfileReady": "Unknown: AwaitingReconciliation",
        "ValidationSucceeded": "False: DependenciesNotReady",
        "Ready": "False: UnhealthyDependents",
    }


def test_conditions_of_others_are_kept_and_ready_stays_last() -> None:
    first = look(account(), node_class())
    theirs = replace(first.status.conditions[0], type="Theirs", message="hands off")
    mixed = replace(first, status=replace(first.status, conditions=(theirs, *reversed(first.status.conditions))))
    found = look(account(), mixed)
    assert [c.type for c in found.status.conditions] == [*CONDITIONS, "Theirs", "Ready"]
    assert condition(found, "Theirs") == theirs


def test_a_changed_spec_is_seen_at_once_and_every_condition_tells_its_generation() -> None:
    aws = account()
    looking = classes(aws)

    async def both() -> tuple[EC2NodeClass, EC2NodeClass]:
        first = (await looking.as_it_should_be(node_class(), NOW)).node_class
        changed = newer(first, subnetSelectorTerms=[{"id": "subnet-a"}])
        return first, (await looking.as_it_should_be(changed, NOW + SECOND)).node_class

    first, second = run(both())
    assert [one.id for one in second.status.subnets] == ["subnet-a"]
    assert {c.observed_generation for c in second.status.conditions} == {2}
    assert [c.last_transition_time for c in second.status.conditions] == [
        c.last_transition_time for c in first.status.conditions
    ]
