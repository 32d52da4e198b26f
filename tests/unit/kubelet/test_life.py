"""A pod's life on a fake node, without an API server."""

from __future__ import annotations

from typing import Any

import pytest

from fretsaw.api.meta import ObjectMeta
from fretsaw.api.pod import Pod, PodSpec
from fretsaw.errors import UserError
from fretsaw.kubelet import KubeletSettings
from fretsaw.kubelet.life import Life
from fretsaw.kubelet.machine import Machine
from fretsaw.kubelet.settings import EXIT_CODE, RUNS_FOR, STOPS_IN, Told, told
from unit.providers.fake.worlds import Time, cloud, order

START = Time().now


def a_life(policy: str = "Never", **asked: Any) -> Life:
    """A pod whose containers run a second after it was taken, at START."""
    found = cloud()
    found.launch(order())
    machine = Machine(found.everything()[0], (), KubeletSettings(), START)
    pod = Pod(metadata=ObjectMeta(name="p", uid="u"), spec=PodSpec(restart_policy=policy))
    life = Life(pod, machine, {"cpu": 100}, Told(**asked), START, "10.128.0.1")
    life.begin(START + 1000)
    return life


def seen(life: Life, *seconds: float) -> list[tuple[str, bool, int]]:
    """(phase, ready, restarts) at each of some times after START."""
    found = []
    for second in seconds:
        life.advance(START + round(second * 1000))
        look = life.look()
        found.append((look.phase, look.ready, look.restarts))
    return found


def test_containers_run_until_they_are_told_to_stop() -> None:
    life = a_life()
    assert life.advance(START) == START + 1000
    assert seen(life, 0, 1) == [("Pending", False, 0), ("Running", True, 0)]
    assert life.advance(START + 10**9) is None


@pytest.mark.parametrize(("code", "phase", "reason"), [(0, "Succeeded", "Completed"), (3, "Failed", "Error")])
def test_containers_end_by_themselves(code: int, phase: str, reason: str) -> None:
    life = a_life(runs_for=5000, exit_code=code)
    assert seen(life, 5.9, 6) == [("Running", True, 0), (phase, False, 0)]
    last = life.look().last
    assert last is not None
    assert (last.code, last.reason, last.began, last.ended) == (code, reason, START + 1000, START + 6000)
    assert not life.holds


def test_containers_are_started_again_later_and_later() -> None:
    life = a_life("Always", runs_for=5000, exit_code=1)
    # At once (a second later) after the first end, ten seconds after the second one.
    assert seen(life, 6, 7, 12, 21.9, 22) == [
        ("Running", False, 0),
        ("Running", True, 1),
        ("Running", False, 1),
        ("Running", False, 1),
        ("Running", True, 2),
    ]
    assert life.holds


def test_a_container_that_succeeded_is_not_started_again_on_failure() -> None:
    assert seen(a_life("OnFailure", runs_for=1000), 2)[0][0] == "Succeeded"
    assert seen(a_life("OnFailure", runs_for=1000, exit_code=1), 2)[0][0] == "Running"


def test_a_program_that_ends_at_once_does_not_stop_time() -> None:
    life = a_life("Always", runs_for=0)
    again = life.advance(START + 60_000)
    assert again is not None
    assert again > START + 60_000


@pytest.mark.parametrize(
    ("stops_in", "grace_s", "after", "code"),
    [
        (None, 30, 100, 143),
        (5000, 30, 5000, 143),
        (60_000, 30, 30_000, 137),
        (5000, None, 5000, 143),
        (5000, 0, 0, 137),
    ],
)
def test_a_pod_stops_in_its_own_time_or_at_the_end_of_its_grace(
    stops_in: int | None, grace_s: int | None, after: int, code: int
) -> None:
    life = a_life(stops_in=stops_in)
    life.advance(START + 2000)
    now = START + 10_000
    assert life.stop(grace_s, 100, now) == (now + after if after else None)
    assert life.stop(grace_s, 100, now + after) is None
    look = life.look()
    assert look.last is not None
    assert (look.phase, look.ready, look.last.code) == ("Failed", False, code)


def test_a_later_call_can_shorten_the_grace() -> None:
    life = a_life(stops_in=3_600_000)
    life.advance(START + 2000)
    assert life.stop(600, 100, START + 2000) == START + 602_000
    assert life.stop(5, 100, START + 4000) == START + 7000
    assert life.stop(5, 100, START + 7000) is None


def test_a_pod_that_never_ran_stops_at_once() -> None:
    assert a_life(stops_in=60_000).stop(30, 100, START) is None


def test_annotations_are_read() -> None:
    annotations = {RUNS_FOR: "1m30s", EXIT_CODE: "3", STOPS_IN: "500ms"}
    assert told(Pod(metadata=ObjectMeta(annotations=annotations))) == Told(90_000, 3, 500)
    assert told(Pod()) == Told()


@pytest.mark.parametrize(("name", "value"), [(RUNS_FOR, "soon"), (EXIT_CODE, "256"), (EXIT_CODE, "x"), (STOPS_IN, "")])
def test_annotations_that_cannot_be_read_are_named(name: str, value: str) -> None:
    with pytest.raises(UserError, match=name):
        told(Pod(metadata=ObjectMeta(name="p", annotations={name: value})))
