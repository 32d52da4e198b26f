"""The stream of what AWS announces: from queue and status to events, whatever AWS and its messages do."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from typing import Any

import pytest

from fretsaw.engine.events import Interrupted
from fretsaw.providers.aws.calls import Aws, AwsError
from fretsaw.providers.aws.interruption import Interruptions, Pace
from support.aws import Moto
from support.aws.asking import Hand, Scripted
from support.virtual_time import run

NOW = 1_767_225_660_000
OURS, OTHER, STRANGER = "i-00000000000000001", "i-00000000000000002", "i-0000000000000ffff"
ZONE = "us-east-1a"
QUIET = {"InstanceStatuses": []}


def provider_id(instance: str) -> str:
    return f"aws:///{ZONE}/{instance}"


def said(instance: str, detail_type: str = "EC2 Spot Instance Interruption Warning", **detail: Any) -> str:
    return json.dumps(
        {
            "version": "0",
            "source": "aws.ec2",
            "detail-type": detail_type,
            "time": "2026-01-01T00:00:00Z",
            "detail": {"instance-id": instance, **detail},
        }
    )


class Mailbox:
    """A queue of the test's: gives what was put in until it is deleted, as SQS does."""

    def __init__(self, aws: Scripted, *bodies: str) -> None:
        self.there: dict[str, str] = {str(n): body for n, body in enumerate(bodies)}
        self.given: list[str] = []
        aws.put("sqs:GetQueueUrl", {"QueueUrl": "https://queue"})
        aws.put("sqs:ReceiveMessage", self._receive)
        aws.put("sqs:DeleteMessageBatch", self._delete)

    def put(self, body: str) -> None:
        self.there[str(len(self.there) + 1000)] = body

    async def _receive(self, asked: dict[str, Any]) -> dict[str, Any]:
        if not self.there:
            await asyncio.sleep(asked["WaitTimeSeconds"])
        found = list(self.there.items())[: asked["MaxNumberOfMessages"]]
        self.given += [name for name, _ in found]
        return {"Messages": [{"MessageId": name, "ReceiptHandle": name, "Body": body} for name, body in found]}

    def _delete(self, asked: dict[str, Any]) -> dict[str, Any]:
        assert len(asked["Entries"]) <= 10
        for entry in asked["Entries"]:
            del self.there[entry["ReceiptHandle"]]
        return {"Successful": asked["Entries"]}


def described(asked: dict[str, Any]) -> dict[str, Any]:
    """The instances of the account that a filter by id finds; only ours have the cluster's tags."""
    wanted = next(one["Values"] for one in asked["Filters"] if one["Name"] == "instance-id")
    found = [one for one in wanted if one in (OURS, OTHER)]
    return {
        "Reservations": [{"Instances": [{"InstanceId": one, "Placement": {"AvailabilityZone": ZONE}} for one in found]}]
    }


def account() -> Scripted:
    aws = Scripted()
    aws.put("ec2:DescribeInstances", described)
    aws.put("ec2:DescribeInstanceStatus", QUIET)
    return aws


def listening(aws: Scripted, queue: str = "test", **more: Any) -> Interruptions:
    hand = Hand(NOW)
    return Interruptions(aws, "test", queue, hand, **{"seconds": hand, **more})


async def first(events: AsyncIterator[Interrupted], count: int, within_s: float = 600) -> list[Interrupted]:
    """So many events. Raises TimeoutError, after virtual time, where they do not come."""
    found = []
    async with asyncio.timeout(within_s):
        while len(found) < count:
            found.append(await anext(events))
    return found


def hear(heard: Interruptions, count: int, within_s: float = 600) -> list[Interrupted]:
    async def act() -> list[Interrupted]:
        async with aclosing(heard.interruptions()) as events:  # type: ignore[type-var]
            found = await first(events, count, within_s)
            with pytest.raises(TimeoutError):
                await first(events, 1, 30)  # nothing more; and the consumer came back, so messages go
            return found

    return run(act())


def test_messages_become_events_and_are_deleted() -> None:
    aws = account()
    box = Mailbox(aws, said(OURS), said(OTHER, "EC2 Instance State-change Notification", state="stopping"))
    heard = listening(aws)
    assert hear(heard, 2) == [
        Interrupted(provider_id(OURS), "spot_interrupted"),
        Interrupted(provider_id(OTHER), "instance_stopped"),
    ]
    assert box.there == {}
    assert heard.counts.deleted == 2
    assert dict(heard.counts.received) == {"spot_interrupted": 1, "instance_stopped": 1}


def test_instances_of_others_are_dropped_and_asked_for_once() -> None:
    aws = account()
    box = Mailbox(aws, *(said(STRANGER, "EC2 Instance Rebalance Recommendation") for _ in range(25)), said(OURS))
    heard = listening(aws)
    assert hear(heard, 1) == [Interrupted(provider_id(OURS), "spot_interrupted")]
    assert box.there == {}
    assert aws.count("ec2:DescribeInstances") == 2
    assert aws.count("sqs:DeleteMessageBatch") == 3
    assert heard.counts.strangers == 3  # in each of three batches


@pytest.mark.parametrize("poison", ["{", "[]", "", '{"version":"0"}', said("no instance"), said(OURS, "Something New")])
def test_a_poison_message_is_dropped_and_stops_nothing(poison: str) -> None:
    aws = account()
    box = Mailbox(aws, poison, said(OURS), poison)
    assert hear(listening(aws), 1) == [Interrupted(provider_id(OURS), "spot_interrupted")]
    assert box.there == {}


def test_unreadable_and_unknown_messages_are_counted() -> None:
    aws = account()
    Mailbox(aws, "{", '{"version":"0"}', said(OURS))
    heard = listening(aws)
    hear(heard, 1)
    assert heard.counts.unreadable == 1
    assert heard.counts.received["no_op"] == 1


def test_a_message_is_kept_until_its_event_was_taken() -> None:
    aws = account()
    box = Mailbox(aws, said(OURS))

    async def act() -> None:
        heard = listening(aws)
        events = heard.interruptions()
        assert (await anext(events)).kind == "spot_interrupted"
        await asyncio.sleep(60)
        assert box.there, "its consumer may have died with it"
        await events.aclose()  # type: ignore[attr-defined]
        assert box.there
        async with aclosing(listening(aws).interruptions()) as again:  # type: ignore[type-var]
            assert (await anext(again)).kind == "spot_interrupted"
            with pytest.raises(TimeoutError):
                await first(again, 1, 30)
        assert not box.there

    run(act())


def test_the_same_message_twice_gives_the_same_event_twice() -> None:
    aws = account()
    Mailbox(aws, said(OURS), said(OURS))
    assert hear(listening(aws), 2) == [Interrupted(provider_id(OURS), "spot_interrupted")] * 2


def refusal(code: str, *, retry: bool = True) -> AwsError:
    return AwsError("sqs:ReceiveMessage", code, "refused", retry=retry)


def test_after_refusals_the_queue_is_asked_later_and_later_and_then_as_before() -> None:
    aws = account()
    box = Mailbox(aws, said(OURS))
    times: list[float] = []
    receive = box._receive

    async def refusing(asked: dict[str, Any]) -> dict[str, Any]:
        times.append(asyncio.get_running_loop().time())
        if len(times) <= 8:
            raise refusal("NoAnswer")
        return await receive(asked)

    aws.put("sqs:ReceiveMessage", refusing)
    heard = listening(aws)
    assert hear(heard, 1) == [Interrupted(provider_id(OURS), "spot_interrupted")]
    pauses = [round(later - sooner, 1) for sooner, later in itertools.pairwise(times)]
    assert pauses[:8] == [1, 2, 4, 8, 16, 32, 60, 60]
    assert heard.counts.refused["NoAnswer"] == 8
    assert heard.last_error is None


def test_a_queue_that_was_made_anew_is_found_again() -> None:
    aws = account()
    box = Mailbox(aws, said(OURS))
    aws.put("sqs:ReceiveMessage", refusal("QueueDoesNotExist", retry=False), box._receive)
    assert len(hear(listening(aws), 1)) == 1
    assert aws.count("sqs:GetQueueUrl") == 2


def test_a_call_that_is_not_allowed_is_tried_once_an_hour_and_the_rest_goes_on() -> None:
    aws = account()
    Mailbox(aws, said(OURS))
    aws.put("ec2:DescribeInstanceStatus", refusal("UnauthorizedOperation", retry=False))
    heard = listening(aws)

    async def act() -> None:
        async with aclosing(heard.interruptions()) as events:  # type: ignore[type-var]
            await first(events, 1)
            with pytest.raises(TimeoutError):
                await first(events, 1, 3 * 3600 + 60)

    run(act())
    assert aws.count("ec2:DescribeInstanceStatus") == 4
    assert heard.counts.refused["UnauthorizedOperation"] == 4


def test_while_it_cannot_be_told_whose_an_instance_is_its_message_stays() -> None:
    aws = account()
    box = Mailbox(aws, said(OURS))
    aws.put(
        "ec2:DescribeInstances", AwsError("ec2:DescribeInstances", "RequestLimitExceeded", "", retry=True), described
    )
    assert len(hear(listening(aws), 1)) == 1
    assert box.given == ["0", "0"]


def test_an_answer_of_another_shape_does_not_end_the_stream() -> None:
    aws = account()
    box = Mailbox(aws, said(OURS))
    aws.put("sqs:ReceiveMessage", {"Messages": [{"nothing": "known"}]}, box._receive)
    heard = listening(aws)
    assert len(hear(heard, 1)) == 1
    assert heard.counts.refused["Unexpected"] == 1


def test_without_a_queue_only_the_status_is_looked_at() -> None:
    aws = account()
    stop = {"Code": "instance-stop", "Description": "maintenance"}
    aws.put("ec2:DescribeInstanceStatus", {"InstanceStatuses": [{"InstanceId": OURS, "Events": [stop]}]})
    heard = listening(aws, queue="")
    assert hear(heard, 1) == [Interrupted(provider_id(OURS), "scheduled_change")]
    assert not any(call.startswith("sqs:") for call, _ in aws.asked)


def test_observers_learn_how_late_a_message_was_heard() -> None:
    aws = account()
    Mailbox(aws, said(OURS))
    told: list[tuple[str, float]] = []
    hear(listening(aws, observe=lambda kind, late_s: told.append((kind, late_s))), 1)
    assert told == [("spot_interrupted", 60.0)]


# On moto's queue, with real calls


def test_a_spot_warning_goes_from_the_queue_to_the_event(moto: Moto) -> None:
    ec2 = moto.backend("ec2")
    image = next(iter(moto.seeded.images.values())).id
    tags = {"eks:eks-cluster-name": "test", "karpenter.sh/nodepool": "gpu"}
    subnet = moto.seeded.subnets["us-east-1b"]
    [own, other] = [
        ec2.run_instances(
            image_id=image, count=1, user_data=None, security_group_names=[], instance_type="g5.xlarge",
            is_instance_type_default=False, subnet_id=subnet, key_name=None, tags={"instance": given},
        ).instances[0].id
        for given in (tags, {**tags, "eks:eks-cluster-name": "another"})
    ]  # fmt: skip
    for instance in (other, own):
        moto.send(said(instance))
    moto.send("poison")

    async def act(aws: Aws) -> list[Interrupted]:
        heard = Interruptions(aws, "test", "test", Hand(NOW), queue_wait_s=1, pace=Pace(first_wait_s=0.01))
        async with aclosing(heard.interruptions()) as events:  # type: ignore[type-var]
            found = [await anext(events)]
            waiting = asyncio.create_task(anext(events))
            while heard.counts.deleted < 3:
                await asyncio.sleep(0.01)
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)
            return found

    found = on(moto, act)
    assert found == [Interrupted(f"aws:///us-east-1b/{own}", "spot_interrupted")]
    assert moto.backend("sqs").queues["test"].messages == []


def on(moto: Moto, act: Callable[[Aws], Awaitable[Any]]) -> Any:
    async def whole() -> Any:
        async with moto.session() as aws, asyncio.timeout(60):
            return await act(aws)

    return asyncio.run(whole())
