"""Recording a run and deciding it again: the same, and where the trace was changed, otherwise."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fretsaw.api.times import HOUR, MINUTE
from fretsaw.engine import actions as a
from fretsaw.errors import BrokenInvariant
from fretsaw.planner import simulation
from fretsaw.sim.record import record
from fretsaw.sim.scenario.read import read
from fretsaw.trace.apart import apart
from fretsaw.trace.codec import Reader
from fretsaw.trace.files import reading
from fretsaw.trace.replay import Difference, Replayed, replay
from support import tiny
from support.traces import BUSY, ROOT, catalog, recorded, recorded_file, replayed

Edit = Callable[[dict[str, Any]], bool]


@pytest.fixture(scope="module")
def busy(tmp_path_factory: pytest.TempPathFactory) -> list[bytes]:
    """Three hours in which everything happens."""
    return recorded(tmp_path_factory.mktemp("busy"), hours=3).read_bytes().splitlines(keepends=True)


def edited(lines: list[bytes], edit: Edit) -> tuple[list[bytes], int]:
    """The lines with the first one changed that `edit` changes, and its number."""
    for number, line in enumerate(lines, 1):
        value = json.loads(line)
        if edit(value):
            return [*lines[: number - 1], json.dumps(value).encode() + b"\n", *lines[number:]], number
    raise AssertionError("no line to edit")


# The same again


@pytest.mark.parametrize("seed", [1, 2])
def test_a_busy_run_is_decided_again_as_it_was(seed: int, tmp_path: Path) -> None:
    lines = recorded(tmp_path, seed=seed, hours=2).read_bytes().splitlines(keepends=True)
    result, differences = replayed(lines)
    assert differences == []
    assert result.turns > 300
    assert result.decisions > 200


def test_much_happens_in_the_busy_run(busy: list[bytes]) -> None:
    """Else that it is decided again says little."""
    text = b"".join(busy)
    for what in (b'"OfferingsOut"', b'"spot_interrupted"', b'"LaunchRefused"', b'"Drifted"', b'"single"', b'"emptiness"', b'"EvictionAnswered"', b'"reserved"', b'"like"'):  # fmt: skip
        assert what in text, what


@pytest.mark.parametrize(
    ("scenario", "seed"),
    [("gpu-platform-week", 3), ("automatic-scale-in", 1), ("tiered-fallback", 2), ("limits", 1), ("tiered-pools", 4)],
)
def test_the_first_hour_of_a_scenario_is_decided_again_as_it_was(scenario: str, seed: int, tmp_path: Path) -> None:
    path = recorded_file(ROOT / "scenarios" / f"{scenario}.yaml", tmp_path / "run.jsonl.gz", seed=seed, hours=1)
    result = Replayed()
    with reading(str(path)) as reader:
        assert [one for one in replay(reader, result) if isinstance(one, Difference)] == []
    assert result.events > 50


def test_equal_runs_give_equal_bytes_whatever_python_hashes(tmp_path: Path) -> None:
    """Sets have another order in each process."""
    found = set()
    for number in ("1", "2"):
        folder = tmp_path / number
        folder.mkdir()
        script = (
            f"from pathlib import Path; from support.traces import recorded; recorded(Path({str(folder)!r}), hours=1)"
        )
        environment = {**os.environ, "PYTHONHASHSEED": number, "PYTHONPATH": str(ROOT / "tests")}
        subprocess.run([sys.executable, "-c", script], env=environment, check=True)
        found.add((folder / "run.jsonl").read_bytes())
    assert len(found) == 1


# Otherwise


def test_a_notice_that_did_not_come_is_a_difference(busy: list[bytes]) -> None:
    def harmless(line: dict[str, Any]) -> bool:
        found = line.get("event") == "Interrupted" and line["kind"] == "spot_interrupted"
        return found and not line.update(kind="rebalance_recommendation")

    lines, number = edited(busy, harmless)
    result, differences = replayed(lines)
    first = differences[0]
    assert result.differences == len(differences) > 0
    assert first.line > number
    assert any(
        isinstance(action, a.DeleteClaim) and action.reason == "spot_interrupted" for action in first.then.actions
    )
    assert not any(isinstance(action, a.DeleteClaim) for action in first.now.actions)
    assert number in {line.number for line in first.told}


def test_pods_that_ask_for_more_are_a_difference(busy: list[bytes]) -> None:
    def hungry(line: dict[str, Any]) -> bool:
        found = "spec" in line and "containers" in line.get("is", {})
        if found:
            line["is"]["containers"][0]["resources"]["requests"]["cpu"] = "7"
        return found

    lines, _ = edited(busy, hungry)
    _, differences = replayed(lines)
    assert any(isinstance(one, a.CreateClaim) for d in differences for one in (*d.then.actions, *d.now.actions))


def test_a_changed_decision_is_the_only_difference(busy: list[bytes]) -> None:
    """What was recorded is applied: one difference does not cause all that follow."""

    def renamed(line: dict[str, Any]) -> bool:
        deletions = [one for one in line.get("turn", {}).get("actions", ()) if one["action"] == "DeleteClaim"]
        for one in deletions:
            one["reason"] = "boredom"
        return bool(deletions)

    lines, number = edited(busy, renamed)
    _, differences = replayed(lines)
    assert [one.line for one in differences] == [number]
    found = apart(differences[0].then, differences[0].now)
    assert [(one.then, one.rank) for one in found] == [("boredom", 0)]
    assert found[0].what.startswith("delete nodeclaim/")
    assert found[0].what.endswith("(boredom): reason")


def test_an_event_that_is_lost_is_noticed_by_the_turns_that_follow(busy: list[bytes]) -> None:
    lost = next(i for i, line in enumerate(busy) if b'"event":"InstanceCreated"' in line)
    _, differences = replayed(busy[:lost] + busy[lost + 1 :])
    assert differences[0].line > lost


# Recording


def run(tmp_path: Path, hours: float = 1) -> Any:
    return simulation(read(tiny.files(tmp_path)), length=round(hours * HOUR))


def test_recording_changes_nothing(tmp_path: Path) -> None:
    plain, taken = run(tmp_path), run(tmp_path)
    plain.run()
    with record(taken, tmp_path / "a.jsonl"):
        taken.run()
    assert plain.result() == taken.result()


def test_the_last_lines_are_the_bill(tmp_path: Path) -> None:
    (tmp_path / "catalog.json").write_text(json.dumps(catalog()))
    (tmp_path / "s.yaml").write_text(BUSY)
    one = simulation(read(tmp_path / "s.yaml"), length=2 * HOUR)
    with record(one, tmp_path / "a.jsonl"):
        one.run()
    with reading(str(tmp_path / "a.jsonl")) as reader:
        facts = [line.fact for line in reader if line.fact is not None]
    ended = facts[-1]
    billed = sum(fact.data["nano_usd"] for fact in facts if fact.what == "instance-billed")
    assert ended.what == "run-ended"
    sums = ended.data["nano_usd"]
    assert sums["total"] == one.cloud.bill.total(one.world.loop.now).total
    assert sums["total"] == sums["spot"] + sums["on_demand"] + sums["reserved"]
    commitments = sum(c.cost(c.begin, one.world.loop.now) // HOUR for c in one.cloud.bill.commitments)
    assert billed + commitments == sums["total"]


def test_a_run_that_is_stopped_leaves_a_trace_as_far_as_it_went(tmp_path: Path) -> None:
    one = run(tmp_path)

    def stopped() -> None:
        with record(one, tmp_path / "a.jsonl.gz"):
            one.advance(one.start + 20 * MINUTE)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stopped()
    with reading(str(tmp_path / "a.jsonl.gz")) as reader:
        *_, last = reader
    assert last.fact is not None
    assert (last.fact.what, last.at) == ("run-ended", one.start + 20 * MINUTE)


def test_a_run_that_has_begun_cannot_be_recorded(tmp_path: Path) -> None:
    one = run(tmp_path)
    one.advance(one.start + MINUTE)
    with pytest.raises(BrokenInvariant, match="a run that has begun"), record(one, tmp_path / "a.jsonl"):
        pass


def test_a_trace_says_of_which_run_it_is(tmp_path: Path) -> None:
    path = recorded_file(tiny.files(tmp_path), tmp_path / "a.jsonl", seed=5, hours=0.1)
    about = Reader(path.read_bytes().splitlines()).about
    assert (about["scenario"], about["seed"]) == ("tiny", 5)
    assert about["startsAt"].endswith("Z")
