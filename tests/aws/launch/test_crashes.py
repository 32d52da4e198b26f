"""A process dies at any call of a launch, before or after AWS has carried it out: nothing is launched twice."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from aws.launch.worlds import BOTH, all_of, dying, in_one_loop, living, named, node_class, run
from fretsaw.engine.events import InstanceCreated
from fretsaw.providers.aws.calls import Asking
from fretsaw.providers.aws.launch import marks
from fretsaw.providers.aws.launch.launcher import Launcher
from support.aws import Moto


def check_one_each(moto: Moto, answers: list[Any], claims: list[Any], instances: list[Any] | None = None) -> None:
    """Every claim has an instance of its own, and there is no other."""
    assert all(isinstance(answer, InstanceCreated) for answer in answers), answers
    there = {one.id: {tag["key"]: tag["value"] for tag in one.get_tags()} for one in instances or moto.instances()}
    assert {answer.provider_id.rpartition("/")[2] for answer in answers} == set(there)
    assert sorted(tags[marks.CLAIM] for tags in there.values()) == sorted(one.metadata.name for one in claims)
    for answer in answers:
        tags = there[answer.provider_id.rpartition("/")[2]]
        assert marks.is_of(tags, f"uid-{answer.claim}", answer.claim)


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("count", [1, 4])
def test_a_crash_at_any_call_launches_nothing_twice(moto: Moto, count: int, after: bool) -> None:
    async def crash_at(aws: Asking, at: int) -> bool:
        # Claims and launch templates of their own, so that the account need not be made anew each time.
        claims = [named(f"c-{at}-{i}") for i in range(count)]
        the_class, before = node_class(moto, tags={"round": str(at)}), len(moto.world.launched)
        died = await dying(aws, at, lambda made: all_of(made, claims, the_class), after=after)
        answers = await living(aws, lambda made: all_of(made, claims, the_class))
        launched = moto.world.launched[before:]
        check_one_each(moto, answers, claims, [one for one in moto.instances() if one.id in launched])
        assert len(launched) == count
        return died

    async def everywhere(aws: Asking) -> int:
        at = 1
        while await crash_at(aws, at):
            at += 1
        return at - 1

    calls = in_one_loop(moto, everywhere)
    assert calls == (5 if count == 1 else 9)  # find, templates (2), subnets, fleet, and a tag for each of a batch


@pytest.mark.parametrize("at", [5, 6, 7, 8])
def test_after_a_crash_claims_come_back_one_by_one_and_in_other_company(moto: Moto, at: int) -> None:
    claims = [named(f"c-{i}") for i in range(4)]
    others = [named(f"d-{i}") for i in range(2)]
    the_class = node_class(moto)

    async def in_turn(made: Launcher) -> list[Any]:
        first = [await made.launch(claims[2], the_class, BOTH)]
        mixed = await all_of(made, [claims[0], *others, claims[3]], the_class)
        return [*first, *mixed, await made.launch(claims[1], the_class, BOTH)]

    async def work(aws: Asking) -> list[Any]:
        assert await dying(aws, at, lambda made: all_of(made, claims, the_class), after=True)
        assert len(moto.world.launched) == 4
        return await living(aws, in_turn)

    check_one_each(moto, in_one_loop(moto, work), [*claims, *others])


FLEET_CALL = 5


def test_a_claim_that_is_not_of_the_batch_takes_none_of_its_instances(moto: Moto) -> None:
    claims = [named(f"c-{i}") for i in range(3)]
    the_class = node_class(moto)

    async def work(aws: Asking) -> Any:
        assert await dying(aws, FLEET_CALL, lambda made: all_of(made, claims, the_class), after=True)
        return await living(aws, lambda made: made.launch(named("x"), the_class, BOTH))

    other = in_one_loop(moto, work)
    assert other.provider_id.rpartition("/")[2] == moto.world.launched[3]
    assert [marks.claim_of({t["key"]: t["value"] for t in one.get_tags()}) for one in moto.instances()].count("") == 3


def test_a_partial_batch_that_crashed_is_dealt_to_whom_it_names_and_the_rest_is_ordered(moto: Moto) -> None:
    claims = [named(f"c-{i}") for i in range(4)]
    the_class = node_class(moto)
    moto.sell_out("g5.xlarge")
    moto.sell_out("g6.xlarge")
    moto.stock("g6.xlarge", "us-east-1b", "spot", 3)

    async def work(aws: Asking) -> list[Any]:
        assert await dying(aws, FLEET_CALL, lambda made: all_of(made, claims, the_class), after=True)
        assert len(moto.world.launched) == 3
        moto.world.stock.clear()
        return await living(aws, lambda made: all_of(made, claims, the_class))

    check_one_each(moto, in_one_loop(moto, work), claims)


def test_a_lost_answer_is_asked_for_again_under_the_same_token(moto: Moto) -> None:
    """The instances are hidden, so that only the token can tell."""
    claims = [named(f"c-{i}") for i in range(3)]
    the_class = node_class(moto)
    moto.hide_instances(1000)
    moto.fail("ec2:CreateFleet", "InternalError", status=500, after=True, times=2)  # the session tries twice

    async def work(made: Launcher) -> list[Any]:
        first = await all_of(made, claims, the_class)
        assert {type(one).__name__ for one in first} == {"Throttled"}
        return await all_of(made, claims, the_class)

    answers = run(moto, work, alone=True)
    assert all(isinstance(one, InstanceCreated) for one in answers), answers
    assert len(moto.world.launched) == 3


def test_an_instance_that_cannot_be_tagged_stays_its_claims(moto: Moto) -> None:
    claims = [named(f"c-{i}") for i in range(3)]
    the_class = node_class(moto)
    moto.hide_instances(1000)
    moto.deny("ec2:CreateTags")

    async def work(made: Launcher) -> list[Any]:
        first = await all_of(made, claims, the_class)
        assert ["cannot be tagged" in str(one) for one in first] == [True] * 3
        moto.allow()
        return await all_of(made, claims, the_class)

    check_one_each(moto, run(moto, work), claims)


def test_who_gives_up_waiting_gets_the_same_instance_when_asked_again(moto: Moto) -> None:
    the_class, claim = node_class(moto), named("c-0")

    async def work(made: Launcher) -> Any:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.02):
                await made.launch(claim, the_class, BOTH)
        return await made.launch(claim, the_class, BOTH)

    check_one_each(moto, [run(moto, work)], [claim])
