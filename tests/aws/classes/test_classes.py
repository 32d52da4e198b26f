"""A class as it should be: what is found, each condition with its reasons, and what a failing call leaves alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from aws.classes.worlds import (
    AL2023,
    CALLS,
    CLUSTER,
    CONDITION_OF,
    NOW,
    TAGS,
    Account,
    account,
    condition,
    denied,
    few_types,
    image,
    node_class,
    run,
    shown,
    throttled,
    whole,
)
from fretsaw.api.nodeclass import EC2NodeClass
from fretsaw.api.times import HOUR, MINUTE, SECOND, Millis
from fretsaw.providers.aws.calls.asking import AwsError
from fretsaw.providers.aws.classes.classes import Classes, Options
from fretsaw.providers.aws.classes.status import CONDITIONS, FINALIZER, problem
from fretsaw.providers.fleet.class_hash import HASH, HASH_VERSION, VERSION, class_hash

Step = tuple[EC2NodeClass, Millis]


def classes(aws: Account, **options: Any) -> Classes:
    return Classes(aws, CLUSTER, Options(**options), types=few_types)


def look(aws: Account, found: EC2NodeClass, now: Millis = NOW, **options: Any) -> EC2NodeClass:
    """What a new process makes of a class."""
    return run(classes(aws, **options).as_it_should_be(found, now)).node_class


def newer(found: EC2NodeClass, **spec: Any) -> EC2NodeClass:
    """The class after its spec was changed."""
    generation = (found.metadata.generation or 0) + 1
    return replace(found, spec=node_class(**spec).spec, metadata=replace(found.metadata, generation=generation))


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


# Faults


def other_code(call: str) -> AwsError:
    return AwsError(call, "InvalidParameterValue", "what is this? (RequestId: 0123abcd-45)")


@pytest.mark.parametrize("call", CALLS)
def test_a_denied_call_of_a_new_class_is_named_and_hides_nothing_else(call: str) -> None:
    aws = account()
    aws.faults[call] = denied(call)
    looked = run(classes(aws).as_it_should_be(whole(), NOW))
    found = looked.node_class
    sufferers = [CONDITION_OF[call]] if call in CONDITION_OF else ["AMIsReady"]
    if "Validation" not in sufferers[0]:
        sufferers += (
            [] if sufferers[0] in ("PlacementGroupReady", "CapacityReservationsReady") else ["ValidationSucceeded"]
        )
    assert [c.type for c in found.status.conditions if c.status != "True"] == [*sufferers, "Ready"]
    told = condition(found, sufferers[0]).message
    assert call in told
    assert "iam-policy" in told
    assert "Encoded" not in told
    assert call in problem(found)
    assert looked.troubles or sufferers == ["ValidationSucceeded"]
    # Repaired, all is well, and nothing is left behind.
    aws.faults.clear()
    assert set(shown(look(aws, found, NOW + MINUTE)).values()) == {"True"}
    assert aws.templates == {}
    assert len(aws.profiles) == 1


@pytest.mark.parametrize("fault", [denied, throttled, other_code])
@pytest.mark.parametrize("call", CALLS)
def test_a_call_that_fails_later_leaves_what_was_found(call: str, fault: Callable[[str], AwsError]) -> None:
    aws = account()
    first = look(aws, whole())
    aws.faults[call] = fault(call)
    second = look(aws, first, NOW + MINUTE)
    kept = replace(second.status, conditions=first.status.conditions)
    assert replace(second, status=kept) == first
    states = {c.type: c.status for c in second.status.conditions if c.status != "True"}
    if call == "ec2:DescribePlacementGroups" and fault is not throttled:
        assert states == {"PlacementGroupReady": "False", "Ready": "False"}
    elif call == "eks:DescribeCluster" and fault is not throttled:
        # A new process that does not know the range of services can launch no AL2023.
        assert condition(second, "ValidationSucceeded").reason == "ClusterCIDRResolutionFailed"
        assert states == {"ValidationSucceeded": "False", "Ready": "False"}
    elif fault is denied and CONDITION_OF.get(call) == "ValidationSucceeded":
        assert states == {"ValidationSucceeded": "False", "Ready": "False"}
    else:
        assert states == {}
        assert [c.last_transition_time for c in second.status.conditions] == ["2026-11-24T12:00:00Z"] * 8
        messages = [c.message for c in second.status.conditions if c.message]
        assert messages == [] if fault is throttled else all(call in text for text in messages)
    # It is the same at every further look, and goes when the call works again.
    assert look(aws, second, NOW + 2 * MINUTE) == second
    aws.faults.clear()
    third = look(aws, second, NOW + 3 * MINUTE)
    assert set(shown(third).values()) == {"True"}
    assert {c.message for c in third.status.conditions} == {""}


@pytest.mark.parametrize("call", CALLS)
def test_a_throttled_call_of_a_new_class_is_waited_for(call: str) -> None:
    aws = account()
    aws.faults[call] = throttled(call)
    found = look(aws, whole())
    states = {c.type: c.status for c in found.status.conditions if c.status != "True"}
    assert states["Ready"] == "Unknown"
    assert set(states.values()) == {"Unknown"}
    assert any("asked again soon" in c.message for c in found.status.conditions)


def test_a_changed_spec_that_cannot_be_looked_up_makes_nothing_ready_of_the_old() -> None:
    aws = account()
    first = look(aws, node_class())
    aws.faults["ec2:DescribeSubnets"] = denied("ec2:DescribeSubnets")
    found = look(aws, newer(first, subnetSelectorTerms=[{"id": "subnet-a"}]), NOW + MINUTE)
    old = condition(found, "SubnetsReady")
    assert (old.status, old.observed_generation) == ("True", 1)
    assert "ec2:DescribeSubnets" in old.message
    assert shown(found)["Ready"] == "Unknown: ReconcilingDependents"
    assert shown(found)["ValidationSucceeded"] == "Unknown: DependenciesNotReady"
    assert "ec2:DescribeSubnets" in problem(found)


def test_one_denied_parameter_leaves_the_other_images_and_its_own_of_before() -> None:
    aws = account()
    neuron = f"{AL2023}/x86_64/neuron/recommended/image_id"

    class Picky(Account):
        def _ssm_GetParameter(self, call: str, Name: str) -> Any:  # noqa: N802, N803
            if Name == neuron:
                raise denied(call)
            return super()._ssm_GetParameter(call, Name)

    picky = Picky()
    found = look(picky, node_class())
    assert {one.id for one in found.status.amis} == {"ami-standard", "ami-nvidia", "ami-arm", "ami-armnvidia"}
    assert condition(found, "AMIsReady").status == "True"
    assert "ssm:GetParameter" in condition(found, "AMIsReady").message
    before = look(aws, node_class())
    picky.profiles = aws.profiles
    picky.images += [image("ami-new", created="2026-11-01")]
    picky.parameters[f"{AL2023}/x86_64/standard/recommended/image_id"] = "ami-new"
    after = look(picky, before, NOW + MINUTE)
    ids = {one.id for one in after.status.amis}
    assert ids == {"ami-new", "ami-nvidia", "ami-neuron", "ami-arm", "ami-armnvidia"}
    assert look(picky, after, NOW + 2 * MINUTE) == after


def test_a_deprecated_image_is_better_than_none_and_its_parameter_is_asked_for_again() -> None:
    aws = account()
    for one in aws.images:
        one["DeprecationTime"] = "2026-11-01T00:00:00.000Z"
    looking = classes(aws)

    async def later() -> list[tuple[set[str], int]]:
        found, seen = node_class(), []
        for offset in (0, 31 * MINUTE, 33 * MINUTE):
            found = (await looking.as_it_should_be(found, NOW + offset)).node_class
            assert condition(found, "AMIsReady").status == "True"
            seen.append(({one.id for one in found.status.amis if not one.deprecated}, aws.count("ssm:GetParameter")))
            aws.parameters[f"{AL2023}/x86_64/nvidia/recommended/image_id"] = "ami-fresh"
            aws.images = [one for one in aws.images if one["ImageId"] != "ami-fresh"] + [image("ami-fresh")]
        return seen

    assert run(later()) == [(set(), 5), (set(), 5), ({"ami-fresh"}, 10)]


# Caches


def test_answers_count_for_as_long_as_they_should() -> None:
    aws = account()
    looking = classes(aws)
    calls = (
        "ec2:DescribeSubnets",
        "ec2:DescribeImages",
        "ssm:GetParameter",
        "eks:DescribeCluster",
        "iam:GetInstanceProfile",
    )

    async def asked() -> list[dict[str, int]]:
        found, seen = whole(), []
        for offset in (0, 59 * SECOND, MINUTE, 5 * MINUTE, 16 * MINUTE, 25 * HOUR):
            aws.asked.clear()
            found = (await looking.as_it_should_be(found, NOW + offset)).node_class
            seen.append({call.partition(":")[2]: count for call in calls if (count := aws.count(call))})
        return seen

    assert run(asked()) == [
        {"DescribeSubnets": 1, "DescribeImages": 1, "GetParameter": 5, "DescribeCluster": 1, "GetInstanceProfile": 1},
        {},
        {"DescribeSubnets": 1, "DescribeImages": 1},
        {"DescribeSubnets": 1, "DescribeImages": 1, "DescribeCluster": 1},
        {"DescribeSubnets": 1, "DescribeImages": 1, "DescribeCluster": 1, "GetInstanceProfile": 1},
        {"DescribeSubnets": 1, "DescribeImages": 1, "GetParameter": 5, "DescribeCluster": 1, "GetInstanceProfile": 1},
    ]


def test_classes_with_the_same_selectors_share_answers_and_a_failure_is_not_repeated_at_once() -> None:
    aws = account()
    aws.faults["ec2:DescribeSecurityGroups"] = denied("ec2:DescribeSecurityGroups")
    looking = classes(aws)

    async def work() -> None:
        for offset in range(0, 5000, 1000):
            for name in ("one", "two"):
                await looking.as_it_should_be(node_class(name), NOW + offset)

    run(work())
    assert aws.count("ec2:DescribeSubnets") == 1
    assert aws.count("ec2:DescribeSecurityGroups") == 1


def test_what_the_status_has_no_place_for_is_kept_with_its_time() -> None:
    aws = account()
    looking = classes(aws)

    async def work() -> None:
        await looking.as_it_should_be(whole(), NOW)
        await looking.as_it_should_be(whole(), NOW + 30 * SECOND)

    run(work())
    assert looking.looking.free_addresses == {"subnet-a": (10, NOW), "subnet-b": (200, NOW)}
    assert looking.looking.instances_left == {"cr-1": (4, NOW)}


def test_a_placement_group_is_still_known_for_a_day_where_ec2_does_not_say() -> None:
    aws = account()
    looking = classes(aws)
    spec = whole().spec
    assert spec is not None

    async def known() -> list[str | None]:
        found = []
        for offset in (0, HOUR, 25 * HOUR):
            group = await looking.looking.group(spec, NOW + offset)
            found.append(None if group is None else group.id)
            aws.faults["ec2:DescribePlacementGroups"] = denied("ec2:DescribePlacementGroups")
        return found

    assert run(known()) == ["pg-1", "pg-1", None]


def test_the_cluster_is_not_asked_for_where_all_is_told() -> None:
    aws = account()
    told = replace(CLUSTER, endpoint="https://x", ca="Y2E=", cidr="10.0.0.0/16")
    found = run(
        Classes(aws, told, Options(kubernetes="1.34"), types=few_types).as_it_should_be(node_class(), NOW)
    ).node_class
    assert shown(found)["Ready"] == "True"
    assert aws.count("eks:DescribeCluster") == 0


@pytest.mark.parametrize(
    ("network", "version", "expected"),
    [
        ({"serviceIpv6Cidr": "fd00::/108"}, "1.34+", {}),
        ({}, "1.34", {"ValidationSucceeded": "False: ClusterCIDRResolutionFailed"}),
        ({"serviceIpv4Cidr": "172.20.0.0/16"}, "", {"AMIsReady": "Unknown: AwaitingReconciliation"}),
    ],
)
def test_what_eks_does_not_say(network: dict[str, str], version: str, expected: dict[str, str]) -> None:
    aws = account()
    aws.cluster |= {"kubernetesNetworkConfig": network, "version": version}
    found = shown(look(aws, node_class()))
    assert {key: found[key] for key in expected} == expected
    assert (found["Ready"] == "True") == (not expected)


# Laws

STATES = st.fixed_dictionaries(
    {
        "faults": st.dictionaries(st.sampled_from(CALLS), st.sampled_from([denied, throttled, other_code]), max_size=4),
        "subnets": st.integers(0, 2),
        "groups": st.integers(0, 2),
        "lost": st.integers(0, 5),
        "alias": st.sampled_from(["al2023@latest", "al2@latest", "bottlerocket@latest"]),
        "tags": st.sampled_from([{}, {"a": "b"}, {"karpenter.sh/nodepool": "x"}]),
    }
)


def shaped(aws: Account, state: dict[str, Any]) -> dict[str, Any]:
    """The account as a state says; the fields of the spec that go with it."""
    fresh = Account()
    aws.faults = {call: fault(call) for call, fault in state["faults"].items()}
    aws.subnets, aws.groups = fresh.subnets[: state["subnets"]], fresh.groups[: state["groups"]]
    aws.parameters = dict(list(fresh.parameters.items())[state["lost"] :])
    return {"amiSelectorTerms": [{"alias": state["alias"]}], "tags": state["tags"]}


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(STATES, st.booleans()), min_size=1, max_size=4))
def test_a_second_look_at_the_same_account_changes_nothing(story: list[tuple[dict[str, Any], bool]]) -> None:
    aws, now = account(), NOW
    found = whole()
    for state, edited in story:
        spec = shaped(aws, state)
        if edited:
            same = {"capacityReservationSelectorTerms": [{"tags": TAGS}], "placementGroupSelector": {"name": "ring"}}
            found = newer(found, **same, **spec)
        now += MINUTE
        once = look(aws, found, now)
        assert look(aws, once, now) == once
        assert look(aws, once, now + MINUTE) == once
        assert [c.type for c in once.status.conditions] == [*CONDITIONS, "Ready"]
        unhealthy = [c for c in once.status.conditions[:-1] if c.status != "True"]
        current = {c.observed_generation for c in once.status.conditions[:-1]} == {once.metadata.generation}
        assert (condition(once, "Ready").status == "True") == (not unhealthy and current)
        assert bool(problem(once)) == (condition(once, "Ready").status != "True")
        before = {c.type: c for c in found.status.conditions}
        for c in once.status.conditions:
            old = before.get(c.type)
            moved = old is None or old.status != c.status
            assert old is None or moved == (old.last_transition_time != c.last_transition_time)
        found = once
    assert aws.templates == {} or "ec2:DeleteLaunchTemplate" in aws.faults
