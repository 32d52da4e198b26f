"""The log: what is notable, in which form, and what never stands in it."""

from __future__ import annotations

import io
import json
import logging
from pathlib import Path
from typing import Any

import pytest

from fretsaw import planner
from fretsaw.api.times import SECOND, Millis
from fretsaw.controllers.telemetry import Log
from fretsaw.controllers.telemetry.log import FIRST, Handler, iso, wants_colour
from fretsaw.engine import actions as a
from fretsaw.engine import events as e
from fretsaw.engine.state import ClusterState
from fretsaw.engine.turn import Turn
from fretsaw.errors import LaunchFailed
from fretsaw.sim.scenario.read import read
from support.lives import objects_of
from support.performer import START

FOLDER = Path(__file__).parents[4] / "scenarios"


class Lines(list[str]):
    """What was written; read as JSON."""

    @property
    def read(self) -> list[dict[str, Any]]:
        """Each line's object."""
        assert all(line.endswith("\n") and "\n" not in line[:-1] for line in self)
        return [json.loads(line) for line in self]


def a_log(**more: Any) -> tuple[Log, Lines]:
    """A log whose clock stands still, and what it writes."""
    lines = Lines()
    return Log(lines.append, clock=lambda: START / SECOND + 0.25, **more), lines


def test_a_json_line_has_karpenters_keys() -> None:
    log, lines = a_log(commit="abc")
    log.info("provisioner", "did it", Pods="ns/p", count=2, ratio=0.5, empty="", Pod="ns/p", Node="n")
    assert lines.read == [
        {
            "level": "INFO", "time": "2026-01-05T00:00:00.250Z", "logger": "provisioner", "message": "did it",
            "commit": "abc", "Pods": "ns/p", "count": 2, "ratio": 0.5, "empty": "",
            "Pod": {"namespace": "ns", "name": "p"}, "Node": {"name": "n"},
        }
    ]  # fmt: skip


def test_a_line_of_text_reads_from_left_to_right() -> None:
    log, lines = a_log(form="text")
    log.info("provisioner", "did it", Pods="ns/p, ns/q", count=2, requests={"cpu": "4"}, nodes=["a", "b"])
    assert lines == [
        '2026-01-05T00:00:00.250Z INFO  provisioner: did it  Pods="ns/p, ns/q" count=2 requests="cpu 4" nodes="a, b"\n'
    ]


@pytest.mark.parametrize(("level", "written"), [("debug", 4), ("info", 3), ("warn", 2), ("error", 1)])
def test_levels_below_the_chosen_one_are_left_out(level: Any, written: int) -> None:
    log, lines = a_log(level=level)
    log.debug("x", "1")
    log.info("x", "2")
    log.warn("x", "3")
    log.error("x", "4")
    assert len(lines.read) == written


def failure() -> Exception:
    """An error that was raised."""
    try:
        raise LaunchFailed("LaunchTemplateNotFound", "no such\ntemplate")
    except LaunchFailed as error:
        return error


@pytest.mark.parametrize("form", ["json", "text"])
def test_an_error_is_one_line_without_its_trace(form: Any) -> None:
    log, lines = a_log(form=form)
    log.error("cloud", "could not\nlaunch", failure(), NodeClaim="g1")
    (line,) = lines
    assert "Traceback" not in line
    assert line.count("\n") == 1
    if form == "json":
        (found,) = lines.read
        assert found["message"] == "could not launch"
        assert found["error"] == "LaunchTemplateNotFound: no such template"
        assert (found["reason"], found["NodeClaim"]) == ("LaunchTemplateNotFound", {"name": "g1"})


def test_at_debug_an_error_says_where_it_came_from_in_one_line_still() -> None:
    log, lines = a_log(level="debug")
    log.error("cloud", "could not launch", failure())
    (found,) = lines.read
    assert found["trace"].startswith("Traceback")


def test_an_error_without_a_text_is_told_by_its_kind() -> None:
    log, lines = a_log()
    log.error("cloud", "could not launch", TimeoutError())
    assert lines.read[0]["error"] == "TimeoutError"


def test_records_of_libraries_become_lines() -> None:
    log, lines = a_log()
    logger = logging.Logger("aiohttp.access")
    logger.addHandler(Handler(log))
    logger.warning("slow: %s", "/metrics")
    logger.debug("not written")
    try:
        raise ValueError("odd")
    except ValueError:
        logger.exception("failed")
    told = [(f["level"], f["logger"], f["message"], f.get("error")) for f in lines.read]
    assert told == [("WARN", "aiohttp.access", "slow: /metrics", None), ("ERROR", "aiohttp.access", "failed", "odd")]


def test_equal_messages_of_one_second_are_thinned_out() -> None:
    now = [0.0]
    lines = Lines()
    log = Log(lines.append, clock=lambda: now[0])
    for _ in range(FIRST + 250):
        log.info("x", "again")
    log.info("x", "another")
    assert len(lines) == FIRST + 2 + 1
    now[0] = 1.0
    log.info("x", "again")
    assert len(lines) == FIRST + 4


class Terminal(io.StringIO):
    """A stream that somebody looks at."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("stream", "environment", "painted"),
    [
        (Terminal(), {}, True),
        (Terminal(), {"NO_COLOR": "1"}, False),
        (Terminal(), {"NO_COLOR": ""}, True),
        (io.StringIO(), {}, False),
    ],
)
def test_colour_is_for_terminals_of_those_who_want_it(
    stream: io.StringIO, environment: dict[str, str], painted: bool
) -> None:
    assert wants_colour(stream, environment) is painted
    log, lines = a_log(form="text", colour=wants_colour(stream, environment))
    log.error("x", "went wrong", error=None, where="here")
    assert ("\x1b[" in lines[0]) is painted


def test_times_are_iso_8601_with_milliseconds() -> None:
    assert iso(START + 7) == "2026-01-05T00:00:00.007Z"


# What is notable


@pytest.fixture(scope="module")
def told() -> list[dict[str, Any]]:
    """The log of a run with drift, replacements, drains and ends."""
    simulation = planner.simulation(read(FOLDER / "disruption-budgets.yaml"))
    lines = Lines()
    log = Log(lines.append)
    simulation.autoscaler.listen(lambda at, what: log.heard(at, what, simulation.autoscaler.state))
    simulation.run()
    assert log._ordered == {}
    result = simulation.result()
    found = lines.read
    found.append({"result": result, "claims": len(simulation.ledger.nodes)})
    return found


def of(told: list[dict[str, Any]], message: str) -> list[dict[str, Any]]:
    """The lines with a message."""
    return [line for line in told[:-1] if line["message"] == message]


def test_a_run_tells_each_claim_at_each_stage_once(told: list[dict[str, Any]]) -> None:
    result, claims = told[-1]["result"], told[-1]["claims"]
    for message, count in (
        ("created nodeclaim", claims),
        ("launched nodeclaim", result["nodes"]["launched"]),
        ("deleted nodeclaim", result["nodes"]["terminated"]),
        ("deleted node", result["nodes"]["terminated"]),
    ):
        lines = of(told, message)
        assert len(lines) == count
        names = [line.get("NodeClaim", line.get("Node"))["name"] for line in lines]
        assert len(set(names)) == len(names)
    assert len(of(told, "initialized nodeclaim")) == sum(n["initialized"] is not None for n in result["nodes"]["list"])


def test_a_run_tells_its_passes_and_disruptions(told: list[dict[str, Any]]) -> None:
    first = of(told, "computed new nodeclaim(s) to fit pod(s)")[0]
    assert (first["logger"], first["controller"]) == ("controller", "provisioner")
    assert first["nodeclaims"] >= 1
    assert "/" in of(told, "found provisionable pod(s)")[0]["Pods"]
    rows = told[-1]["result"]["disruptionList"]
    lines = of(told, "disrupting node(s)")
    assert [(line["decision"], line["reason"]) for line in lines] == [
        (row["decision"], row["reason"].lower()) for row in rows
    ]
    assert [line["replacement-nodes"] for line in lines] == [row["replacements"] for row in rows]
    tainted = {line["Node"]["name"] for line in of(told, "tainted node")}
    assert {node for line in lines for node in line["disrupted-nodes"]} <= tainted


def test_a_launched_claim_says_what_it_became(told: list[dict[str, Any]]) -> None:
    line = of(told, "launched nodeclaim")[0]
    assert line["controller"] == "nodeclaim.lifecycle"
    assert line["provider-id"].startswith("aws:///")
    assert {"NodePool", "NodeClaim", "instance-type", "zone", "capacity-type"} <= set(line)


def heard(log: Log, *what: e.Event | Turn, at: Millis = START) -> None:
    """Have something heard, on a state that knows only the events."""
    state = ClusterState()
    for one in what:
        if isinstance(one, e.Event):
            state.apply(one)
        log.heard(at, one, state)


def test_a_line_of_text_names_the_controller_in_front() -> None:
    log, lines = a_log(form="text")
    heard(log, Turn(notes=(e.Planned((("ns/p", "g"),), START),)))
    assert lines == ["2026-01-05T00:00:00.000Z INFO  provisioner: found provisionable pod(s)  Pods=ns/p\n"]


def test_many_pods_are_named_only_in_part() -> None:
    log, lines = a_log()
    pods = tuple((f"ns/p{i}", "g") for i in range(8))
    heard(log, Turn(notes=(e.Planned(pods, START),)))
    assert lines.read[0]["Pods"] == "ns/p0, ns/p1, ns/p2, ns/p3, ns/p4 and 3 other(s)"


def test_what_the_engine_tells_the_cluster_is_written_at_debug_only() -> None:
    turn = Turn((a.Tell("Node/n", "FailedDraining", "Failed to drain node, 2 pods", "Warning"),))
    log, lines = a_log()
    heard(log, turn)
    assert lines == []
    log, lines = a_log(level="debug")
    heard(log, turn)
    assert lines.read[0]["object"] == "Node/n"


def test_who_does_not_lead_writes_nothing_of_what_others_do() -> None:
    log, lines = a_log()
    log.lead(False)
    changes = [
        e.Changed(o) for s in ("created", "launched") for o in objects_of({"claims": [{"name": "g", "stage": s}]})
    ]
    heard(log, *changes)
    assert lines == []
    log.lead(True)
    heard(log, *(e.Changed(o) for o in objects_of({"claims": [{"name": "g", "stage": "registered"}]})))
    assert [line["message"] for line in lines.read] == ["registered nodeclaim"]
