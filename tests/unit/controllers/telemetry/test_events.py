"""Kubernetes Events: what they look like, and what is told beside what the engine tells itself."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from fretsaw.api.times import MINUTE, SECOND
from fretsaw.controllers.telemetry import Recorder, event_of
from fretsaw.controllers.telemetry.events import LONGEST
from fretsaw.engine import actions as a
from fretsaw.engine import events as e
from fretsaw.engine.state import ClusterState
from fretsaw.engine.turn import Turn
from support.lives import objects_of
from support.performer import START


class Desk:
    """A state and a recorder that hears of it."""

    def __init__(self, **more: Any) -> None:
        self.state = ClusterState()
        self.recorder = Recorder(**more)
        self.now = START

    def put(self, *objects: Any) -> list[dict[str, Any]]:
        """Objects are as these are; what is told of that."""
        return self.happens(*(e.Changed(obj) for obj in objects))

    def happens(self, *events: e.Event) -> list[dict[str, Any]]:
        """Apply events; what is told of them."""
        found = []
        for event in events:
            self.state.apply(event)
            found += self.recorder.heard(self.now, event, self.state)
        return found

    def turns(self, turn: Turn) -> list[dict[str, Any]]:
        """A turn is taken; what is told of it."""
        found = self.recorder.heard(self.now, turn, self.state)
        for note in turn.notes:
            self.state.apply(note)
        return found


def reasons(events: list[dict[str, Any]]) -> list[str]:
    """The reasons alone."""
    return [event["reason"] for event in events]


def pods(*names: str) -> list[Any]:
    """Pods that wait."""
    return list(objects_of({"pods": [{"name": name, "phase": "Pending"} for name in names]}))


def test_an_event_about_a_pod_is_a_core_event_in_its_namespace() -> None:
    (pod,) = pods("p")
    tell = a.Tell("Pod/default/p", "FailedScheduling", "Failed to schedule pod, no room", "Warning")
    event = event_of(tell, pod, START + 1500)
    name = event["metadata"].pop("name")
    stem, _, digest = name.rpartition(".")
    assert stem == "p"
    assert len(digest) == 16
    assert int(digest, 16) >= 0
    assert event == {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"namespace": "default"},
        "involvedObject": {
            "apiVersion": "v1", "kind": "Pod", "name": "p", "namespace": "default", "uid": "uid-p",
        },
        "reason": "FailedScheduling",
        "message": "Failed to schedule pod, no room",
        "type": "Warning",
        "source": {"component": "karpenter"},
        "reportingComponent": "karpenter",
        "reportingInstance": "",
        "firstTimestamp": "2026-01-05T00:00:01Z",
        "lastTimestamp": "2026-01-05T00:00:01Z",
        "count": 1,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("about", "api_version"),
    [("NodeClaim/g", "karpenter.sh/v1"), ("NodePool/g", "karpenter.sh/v1"), ("Node/g", "v1")],
)
def test_an_event_about_a_kind_without_namespaces_is_in_default(about: str, api_version: str) -> None:
    event = event_of(a.Tell(about, "R", "m"), None, START)
    assert event["metadata"]["namespace"] == "default"
    assert event["involvedObject"] == {"apiVersion": api_version, "kind": about.partition("/")[0], "name": "g"}


def test_the_name_depends_on_what_is_told_and_when_alone() -> None:
    tell = a.Tell("Node/n", "R", "m")

    def name(tell: a.Tell, at: int, **more: Any) -> str:
        return str(event_of(tell, None, at, **more)["metadata"]["name"])

    assert name(tell, START) == name(tell, START) == name(tell, START + 5, first=START, count=2)
    others = {
        name(replace(tell, message="other"), START),
        name(tell, START + 1),
        name(replace(tell, reason="S"), START),
    }
    assert len({name(tell, START), *others}) == 4


def test_a_long_message_is_cut() -> None:
    event = event_of(a.Tell("Node/n", "R", "m" * 5000), None, START)
    assert len(event["message"]) == LONGEST
    assert event["message"].endswith("…")


# Of turns


def test_what_the_engine_tells_is_passed_on_with_the_objects_uid() -> None:
    desk = Desk()
    desk.put(*objects_of({"claims": [{"name": "g"}]}))
    (event,) = desk.turns(Turn((a.Tell("NodeClaim/g", "DisruptionLaunching", "Launching NodeClaim: Drifted"),)))
    assert event["involvedObject"]["uid"] == "uid-g"
    assert (event["reason"], event["type"], event["count"]) == ("DisruptionLaunching", "Normal", 1)


def test_the_same_again_within_ten_minutes_of_the_last_is_the_same_event() -> None:
    desk, turn = Desk(), Turn((a.Tell("Node/n", "FailedDraining", "Failed to drain node, 1 pods", "Warning"),))
    (first,) = desk.turns(turn)
    desk.now += 9 * MINUTE
    (second,) = desk.turns(turn)
    desk.now += 9 * MINUTE
    (third,) = desk.turns(turn)
    desk.now += 10 * MINUTE
    (fourth,) = desk.turns(turn)
    assert [event["count"] for event in (first, second, third, fourth)] == [1, 2, 3, 1]
    assert first["metadata"] == second["metadata"] == third["metadata"] != fourth["metadata"]
    assert third["firstTimestamp"] == first["firstTimestamp"]
    assert third["lastTimestamp"] == "2026-01-05T00:18:00Z"


def test_a_plan_nominates_pods_and_leaves_virtual_ones_out() -> None:
    desk = Desk()
    desk.put(*pods("a", "b"), *objects_of({"claims": [{"name": "g"}], "nodes": [{"name": "n", "of": "g"}]}))
    places = (("default/a", "g"), ("default/b", "new"), ("default/virtual", "g"))
    found = desk.turns(Turn(notes=(e.Planned(places, desk.now),)))
    assert [(event["involvedObject"]["name"], event["message"]) for event in found] == [
        ("a", "Pod should schedule on: nodeclaim/g, node/n"),
        ("b", "Pod should schedule on: nodeclaim/new"),
    ]


def test_a_pod_is_nominated_every_two_minutes_at_most_whoever_tells() -> None:
    desk = Desk()
    desk.put(*pods("a"))
    planned = Turn(notes=(e.Planned((("default/a", "g"),), desk.now),))
    told = Turn((a.Tell("Pod/default/a", "Nominated", "Pod should schedule on: nodeclaim/h"),))
    assert len(desk.turns(planned)) == 1
    desk.now += 119 * SECOND
    assert desk.turns(planned) == desk.turns(told) == []
    desk.now += SECOND
    assert len(desk.turns(told)) == 1
    assert desk.turns(planned) == []


def test_nominations_of_many_pods_are_limited() -> None:
    desk = Desk()
    names = [f"p{i}" for i in range(100)]
    desk.put(*pods(*names))
    plan = Turn(notes=(e.Planned(tuple((f"default/{name}", "g") for name in names), desk.now),))
    assert len(desk.turns(plan)) == 10
    desk.now += 2 * MINUTE + SECOND
    assert len(desk.turns(plan)) == 10


def failing(desk: Desk, *tells: a.Tell, unplaced: tuple[str, ...] = ("default/a",)) -> list[dict[str, Any]]:
    """A pass after which these pods still wait."""
    done = e.BatchDone(desk.now, frozenset({"default/a"}), frozenset(unplaced))
    return desk.turns(Turn(tells, (done,)))


def test_why_a_pod_waits_is_told_every_five_minutes_while_it_waits() -> None:
    desk = Desk()
    desk.put(*pods("a"))
    tell = a.Tell("Pod/default/a", "FailedScheduling", "Failed to schedule pod, no room", "Warning")
    assert reasons(failing(desk, tell)) == ["FailedScheduling"]
    told = []
    for _ in range(100):
        desk.now += 10 * SECOND
        told += failing(desk)
    assert reasons(told) == ["FailedScheduling"] * 3
    assert [event["count"] for event in told] == [2, 3, 4]
    assert failing(desk, unplaced=()) == []
    desk.now += 10 * MINUTE
    assert failing(desk, unplaced=()) == []


def test_a_pod_that_finds_and_loses_its_place_is_not_told_of_each_time() -> None:
    desk = Desk()
    desk.put(*pods("a"))
    tell = a.Tell("Pod/default/a", "FailedScheduling", "Failed to schedule pod, no room", "Warning")
    assert len(failing(desk, tell)) == 1
    desk.now += MINUTE
    failing(desk, unplaced=())
    assert failing(desk, tell) == []
    desk.now += 4 * MINUTE
    (again,) = failing(desk)
    assert again["count"] == 2


# Of changes


def test_a_condition_that_changes_is_told_of_objects_that_were_known() -> None:
    desk = Desk()
    assert desk.put(*objects_of({"claims": [{"name": "g", "stage": "created"}]})) == []
    (event,) = desk.put(*objects_of({"claims": [{"name": "g", "stage": "launched"}]}))
    assert event["reason"] == "Launched"
    assert event["type"] == "Normal"
    assert event["message"] == (
        "Status condition transitioned, Type: Launched, Status: Unknown -> True, Reason: Launched"
    )
    given = {"name": "g", "stage": "launched", "conditions": {"Registered": "False NodeNotFound @1m"}}
    (event,) = desk.put(*objects_of({"claims": [given]}))
    assert event["message"].endswith("Reason: NodeNotFound, Message: Node not registered with cluster")


def test_pools_and_nodes_tell_their_conditions_too() -> None:
    desk = Desk()
    for ready in (True, False):
        last = desk.put(
            *objects_of({"pools": [{"name": "main", "ready": ready}], "nodes": [{"name": "n", "ready": ready}]})
        )
    assert [(event["involvedObject"]["kind"], event["reason"]) for event in last] == [
        ("Node", "Ready"), ("NodePool", "Ready"),
    ]  # fmt: skip


def test_a_finalizer_that_goes_is_told_once() -> None:
    desk = Desk()
    (claim,) = objects_of({"claims": [{"name": "g", "deleted": "@1m"}]})
    desk.put(claim)
    (event,) = desk.happens(e.Gone("NodeClaim", "g"))
    assert (event["reason"], event["message"]) == ("Finalized", "Finalized karpenter.sh/termination")
    assert event["involvedObject"]["uid"] == "uid-g"
    assert desk.happens(e.Gone("NodeClaim", "g")) == []


def test_without_observability_conditions_and_finalizers_are_not_told() -> None:
    desk = Desk(observability=False)
    for stage in ("created", "launched"):
        assert desk.put(*objects_of({"claims": [{"name": "g", "stage": stage, "deleted": "@1m"}]})) == []
    assert desk.happens(e.Gone("NodeClaim", "g")) == []
    assert len(desk.turns(Turn((a.Tell("Node/n", "R", "m"),)))) == 1


@pytest.mark.parametrize(("text", "told"), [("true", 0), ("30m", 0), ("false", 0), ("yes", 1), ("-5m", 1), ("0s", 1)])
def test_an_annotation_that_cannot_be_read_is_told_to_its_writer(text: str, told: int) -> None:
    desk = Desk()
    given = {"pods": [{"name": "p", "protected": text}]}
    found = desk.put(*objects_of(given)) + desk.put(*objects_of(given))
    assert reasons(found) == ["InvalidDoNotDisruptAnnotation"] * told
    if told:
        assert found[0]["type"] == "Warning"
        assert f'"{text}" is ignored' in found[0]["message"]


def test_what_is_remembered_is_forgotten_in_time() -> None:
    desk = Desk()
    for i in range(50):
        desk.now += MINUTE
        desk.turns(Turn((a.Tell(f"Node/n{i}", "R", "m"), a.Tell(f"Pod/ns/p{i}", "FailedScheduling", "m"))))
        desk.turns(Turn(notes=(e.BatchDone(desk.now, frozenset()),)))
    assert len(desk.recorder._series) < 60
    assert len(desk.recorder._told) < 30
    assert desk.recorder._failed == {}
