"""The fake cloud: one instance for a token, scripted stock, faults, ends, interruptions, the bill and the log."""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from fretsaw.api.times import HOUR
from fretsaw.errors import InstanceNotFound, LaunchFailed, OutOfCapacity, ProviderError, Throttled
from fretsaw.providers.fake.cloud import AnswerLostError
from fretsaw.providers.fake.faults import CallFault, NodeFault
from fretsaw.providers.fleet.offerings import Selector
from support.virtual_ec2 import START
from unit.providers.fake.worlds import Time, cloud, order


def test_the_cheapest_is_launched_and_described() -> None:
    created = cloud().launch(order()).created
    assert created.claim == "c-0"
    assert created.provider_id.startswith("aws:///z-")
    assert created.labels["node.kubernetes.io/instance-type"] == "g6.xlarge"
    assert created.labels["karpenter.sh/capacity-type"] == "on-demand"
    assert created.labels["karpenter.sh/nodepool"] == "gpu"
    assert created.capacity["nvidia.com/gpu"] == "1"
    assert created.price_usd_per_hour == 0.8


def test_a_token_has_one_instance_also_after_it_has_ended() -> None:
    time = Time()
    found = cloud(time)
    first = found.launch(order())
    assert found.launch(order()) == first
    found.terminate(first.created.provider_id)
    time.pass_(60)
    assert found.launch(order()).created == first.created
    assert found.instances() == []
    assert [call.answer for call in found.log if call.call == "launch"] == ["created", "same", "same"]


def test_an_instance_runs_after_a_while_and_is_known_a_while_after_its_end() -> None:
    time = Time()
    found = cloud(time)
    ran: list[str] = []
    found.on_running.append(lambda one: ran.append(one.id))
    id_ = found.launch(order()).created.provider_id
    assert found.settle() == START + 10_000
    time.pass_(10)
    found.settle()
    assert ran == [found.instance(id_).id]
    found.terminate(id_)
    assert found.instance(id_).state == "shutting-down"
    assert found.instances() == []
    found.terminate(id_)  # asked again while it takes its time
    time.pass_(30)
    with pytest.raises(InstanceNotFound):
        found.terminate(id_)
    with pytest.raises(InstanceNotFound):
        found.instance(id_)


def test_an_instance_that_ends_before_it_runs_costs_nothing() -> None:
    time = Time()
    found = cloud(time)
    found.terminate(found.launch(order()).created.provider_id)
    time.pass_(3600)
    found.settle()
    assert found.cost_usd() == 0


def test_the_bill_is_seconds_times_price_from_running_to_the_end() -> None:
    time = Time()
    found = cloud(time)
    id_ = found.launch(order()).created.provider_id
    time.pass_(10)
    found.settle()
    time.pass_(1800)
    found.terminate(id_)
    time.pass_(3600)
    assert found.cost_usd() == pytest.approx(0.4)


def test_an_instance_ends_once_however_often_that_is_asked() -> None:
    time = Time()
    found = cloud(time)
    ended: list[str] = []
    found.on_ended.append(lambda one: ended.append(one.why_ended))
    id_ = found.launch(order()).created.provider_id
    time.pass_(10)
    found.settle()
    time.pass_(1800)
    found.terminate(id_)
    time.pass_(20)
    found.terminate(id_)
    time.pass_(10)
    assert found.settle() is None
    assert found.cost_usd() == pytest.approx(0.4)
    assert ended == ["terminated"]


def test_stock_runs_out_by_pattern_and_the_next_price_is_taken() -> None:
    found = cloud()
    found.set_stock(Selector.of("g6.xlarge/*/on-demand"), 1)
    launched = [found.launch(order(f"c-{i}")) for i in range(3)]
    assert [one.created.labels["node.kubernetes.io/instance-type"] for one in launched] == [
        "g6.xlarge",
        "g6.xlarge",
        "g5.xlarge",
    ]
    assert {offering[:2] for offering in launched[2].failed} == {("g6.xlarge", "z-a"), ("g6.xlarge", "z-b")}
    found.set_stock(Selector.of("*"), 0)
    with pytest.raises(OutOfCapacity) as refused:
        found.launch(order("c-9"))
    assert len(refused.value.offerings) == 4
    found.set_stock(Selector.of("*"), None)
    assert found.launch(order("c-9")).created.claim == "c-9"


def test_an_instance_comes_back_to_the_stock_that_it_was_taken_from_alone() -> None:
    time = Time()
    found = cloud(time)
    found.set_stock(Selector.of("*"), 1)
    first = found.launch(order("c-0")).created.provider_id
    found.terminate(first)
    time.pass_(30)
    found.settle()
    assert [found.stock.left(("g6.xlarge", z, "on-demand")) for z in ("z-a", "z-b")] == [1, 1]
    second = found.launch(order("c-1")).created.provider_id
    found.set_stock(Selector.of("*"), 0)
    found.terminate(second)
    time.pass_(30)
    found.settle()
    assert [found.stock.left(("g6.xlarge", z, "on-demand")) for z in ("z-a", "z-b")] == [0, 0]


@pytest.mark.parametrize(
    ("fault", "raised"),
    [
        (CallFault(what="OutOfCapacity"), OutOfCapacity),
        (CallFault(what="LaunchFailed", reason="UnauthorizedOperation"), LaunchFailed),
        (CallFault(what="Throttled", seconds=3), Throttled),
    ],
    ids=lambda value: getattr(value, "what", ""),
)
def test_a_fault_hits_as_many_calls_as_it_says_and_launches_nothing(
    fault: CallFault, raised: type[ProviderError]
) -> None:
    found = cloud()
    fault.times = 2
    found.inject(fault)
    for _ in range(2):
        with pytest.raises(raised):
            found.launch(order())
    assert found.everything() == []
    assert found.launch(order()).created.claim == "c-0"


def test_an_answer_that_is_lost_leaves_an_instance_that_the_next_call_finds() -> None:
    found = cloud()
    found.inject(CallFault(what="AnswerLost"))
    with pytest.raises(AnswerLostError):
        found.launch(order())
    (there,) = found.instances()
    assert found.launch(order()).created == there.created
    assert Counter(call.answer for call in found.log if call.call == "launch") == {"created": 1, "same": 1}


def test_a_fault_of_one_claim_leaves_others_alone() -> None:
    found = cloud()
    found.inject(CallFault(what="Throttled", claim="c-1"))
    found.launch(order("c-0"))
    with pytest.raises(Throttled):
        found.launch(order("c-1"))


def test_faults_that_are_cleared_hit_nobody() -> None:
    found = cloud()
    found.inject(CallFault(what="Throttled", times=9))
    found.inject(NodeFault(node_fault="never-joins"))
    found.clear_faults()
    found.launch(order())
    assert found.node_faults.take("c-0", "gpu") == []


def test_a_hang_is_told_once_and_refuses_nothing() -> None:
    found = cloud(latency_s=0.5)
    found.inject(CallFault(what="Hang", seconds=4))
    assert [found.hang("launch"), found.hang("launch")] == [4.5, 0.5]


def test_a_spot_instance_ends_after_its_notice() -> None:
    time = Time()
    found = cloud(time)
    ended: list[str] = []
    found.on_ended.append(lambda one: ended.append(one.why_ended))
    id_ = found.launch(order(kind="spot")).created.provider_id
    found.interrupt(id_, notice_s=120)
    time.pass_(119)
    assert [one.kind for one in found.announcements(0)] == ["spot_interrupted"]
    assert ended == []
    time.pass_(1)
    assert [one.kind for one in found.announcements(1)] == ["instance_terminated"]
    assert ended == ["spot-reclaim"]
    assert found.instances() == []


def test_an_announcement_alone_ends_nothing() -> None:
    found = cloud()
    id_ = found.launch(order()).created.provider_id
    found.interrupt(id_, "rebalance_recommendation")
    assert [one.provider_id for one in found.announcements(0)] == [id_]
    assert len(found.instances()) == 1
    found.interrupt(id_, "instance_stopped")
    assert found.instances() == []


def test_old_announcements_are_told_no_more() -> None:
    time = Time()
    found = cloud(time)
    found.interrupt(found.launch(order()).created.provider_id, "scheduled_change")
    time.pass_(600)
    assert found.announcements(0) == ()


def test_node_faults_hit_the_machines_that_they_name() -> None:
    found = cloud()
    told: list[NodeFault] = []
    found.on_node_fault.append(told.append)
    now = NodeFault(node_fault="kubelet-dies", node="ip-10-0-0-1.ec2.internal")
    later = NodeFault(node_fault="never-ready", pool="gpu", times=2)
    found.inject(now)
    found.inject(later)
    assert told == [now]
    hits = [found.node_faults.take("c", pool) for pool in ("cpu", "gpu", "gpu", "gpu")]
    assert hits == [[], [later], [later], []]


class CloudMachine(RuleBasedStateMachine):
    """Whatever is launched, ended, refused or taken back, in whatever order."""

    def __init__(self) -> None:
        super().__init__()
        self.time = Time()
        self.cloud = cloud(self.time, pending_s=2, shutdown_s=3)
        self.spent: dict[str, float] = {}
        """Nano-USD of what has been seen to run, second by second."""

    def _call(self, what: Any, *args: Any) -> None:
        with suppress(OutOfCapacity, Throttled, LaunchFailed, InstanceNotFound, AnswerLostError):
            what(*args)

    @rule(number=st.integers(0, 5), kind=st.sampled_from(["spot", "on-demand"]))
    def launch(self, number: int, kind: str) -> None:
        self._call(self.cloud.launch, order(f"c-{number}", kind=kind))

    @rule(number=st.integers(0, 3))
    def terminate(self, number: int) -> None:
        known = self.cloud.everything()
        self._call(self.cloud.terminate, known[number].provider_id if number < len(known) else "aws:///z-a/i-0")

    @rule(
        number=st.integers(0, 3), kind=st.sampled_from(["spot_interrupted", "instance_terminated", "instance_status"])
    )
    def interrupt(self, number: int, kind: Any) -> None:
        known = self.cloud.everything()
        if number < len(known):
            self._call(self.cloud.interrupt, known[number].provider_id, kind, 4)

    @rule(
        what=st.sampled_from(["OutOfCapacity", "Throttled", "LaunchFailed", "AnswerLost"]),
        on=st.sampled_from(["launch", "terminate"]),
        times=st.integers(1, 3),
    )
    def inject(self, what: Any, on: Any, times: int) -> None:
        self.cloud.inject(CallFault(what=what, on=on, times=times))

    @rule(where=st.sampled_from(["*", "g6.xlarge", "g5/z-a/spot"]), count=st.none() | st.integers(0, 2))
    def restock(self, where: str, count: int | None) -> None:
        self.cloud.set_stock(Selector.of(where), count)

    @rule(seconds=st.integers(1, 5))
    def wait(self, seconds: int) -> None:
        for _ in range(seconds):
            self.cloud.settle()
            for one in self.cloud.everything():
                if one.state == "running":
                    self.spent[one.id] = self.spent.get(one.id, 0) + 1000 * one.price_nano
            self.time.pass_(1)
        self.cloud.settle()

    @invariant()
    def one_living_instance_for_a_claim(self) -> None:
        assert all(count == 1 for count in Counter(one.token for one in self.cloud.instances()).values())
        assert all(
            count == 1 for count in Counter(call.token for call in self.cloud.log if call.answer == "created").values()
        )

    @invariant()
    def stock_is_never_negative(self) -> None:
        offerings = [
            (name, zone, kind)
            for name in ("g5.xlarge", "g6.xlarge")
            for zone in ("z-a", "z-b")
            for kind in ("spot", "on-demand")
        ]
        assert all(self.cloud.stock.left(offering) >= 0 for offering in offerings)

    @invariant()
    def the_bill_is_what_ran(self) -> None:
        assert self.cloud.cost_usd() == pytest.approx(sum(self.spent.values()) / HOUR / 1e9)

    @invariant()
    def everything_is_in_the_log(self) -> None:
        assert [call.number for call in self.cloud.log] == list(range(1, len(self.cloud.log) + 1))
        assert len(self.cloud.everything()) == sum(call.answer == "created" for call in self.cloud.log)


TestCloudMachine = CloudMachine.TestCase
TestCloudMachine.settings = settings(max_examples=200, stateful_step_count=40, deadline=None)
