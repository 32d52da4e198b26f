"""What a failing call leaves alone, and what it says; and that a second look changes nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from aws.classes.accounts import AL2023, TAGS, Account, image
from aws.classes.worlds import (
    CALLS,
    CONDITION_OF,
    NOW,
    account,
    classes,
    condition,
    denied,
    look,
    newer,
    node_class,
    run,
    shown,
    throttled,
    whole,
)
from fretsaw.api.times import MINUTE
from fretsaw.providers.aws.calls.asking import AwsError
from fretsaw.providers.aws.classes.status import CONDITIONS, problem

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
