"""The scenarios of `scenarios/`: they read, run as they expect, break no law, and are in the table of their page."""

from __future__ import annotations

import importlib.util
import json
import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from fretsaw import planner
from fretsaw.api.times import DAY, SECOND
from fretsaw.sim.scenario.expect import check
from fretsaw.sim.scenario.read import Reading, read
from fretsaw.sim.simulation import Simulation

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "scenarios"
FILES = sorted(FOLDER.rglob("*.yaml"))
NAMES = [path.stem for path in FILES]
PAIRS = [path for path in FILES if path.with_stem(f"{path.stem}-fixed").exists()]
PAGE = (ROOT / "docs" / "scenarios.md").read_text(encoding="utf-8")
SHORTER = {"gpu-platform-week": 3 * DAY, "gpu-platform-week-first-fit": 3 * DAY}
"""What is expected of a week has come by the third day, when the training job has ended and the shortage is over."""

_SPEC = importlib.util.spec_from_file_location("docs_scenarios", ROOT / "docs" / "scenarios.py")
assert _SPEC is not None
assert _SPEC.loader is not None
page = importlib.util.module_from_spec(_SPEC)
"""The page's own script, which is in no package."""
_SPEC.loader.exec_module(page)


@cache
def _read(path: Path) -> Reading:
    return read(path)


@cache
def _run(path: Path) -> tuple[Simulation, dict[str, Any]]:
    """A scenario, run once for all tests of a session."""
    simulation = planner.simulation(_read(path), length=SHORTER.get(path.stem))
    simulation.run()
    return simulation, simulation.result()


@pytest.mark.parametrize("path", FILES, ids=NAMES)
def test_it_reads_without_problems(path: Path) -> None:
    """Of the platform's manifests, two kinds are not read, which is told and no problem of the scenario's."""
    told = [str(problem) for problem in _read(path).problems if "is not read" not in problem.message]
    assert told == []


@pytest.mark.parametrize("path", FILES, ids=NAMES)
def test_it_names_itself_by_its_file_and_says_why(path: Path) -> None:
    scenario = _read(path).usable()
    assert scenario.scenario == path.stem
    assert scenario.why
    assert "no violations" in scenario.expect
    assert path.read_text(encoding="utf-8").startswith("# ")


@pytest.mark.parametrize("path", FILES, ids=NAMES)
def test_it_comes_out_as_expected(path: Path) -> None:
    _, result = _run(path)
    assert [e for e in result["expectations"] if not e["ok"]] == []
    assert result["expectations"]
    assert result["violations"] == []


@pytest.mark.parametrize("path", PAIRS, ids=[path.stem for path in PAIRS])
def test_the_fix_makes_the_problem_go_away(path: Path) -> None:
    """What is expected once it is fixed does not hold before, and the other way round."""
    fixed = path.with_stem(f"{path.stem}-fixed")
    (before, broken), (after, whole) = _run(path), _run(fixed)
    assert not all(check(e, broken, before.world.journal)[0] for e in _read(fixed).expectations)
    assert not all(check(e, whole, after.world.journal)[0] for e in _read(path).expectations)


def test_each_row_of_the_troubleshooting_table_has_a_pair() -> None:
    assert [path.stem[:2] for path in PAIRS] == [f"t{number}" for number in range(1, 8)]


def test_the_same_seed_gives_the_same_bytes() -> None:
    path = FOLDER / "interruption.yaml"
    _, first = _run(path)
    again = planner.simulation(read(path))
    again.run()
    assert json.dumps(again.result()) == json.dumps(first)


def test_another_seed_gives_another_run_of_which_the_same_is_true() -> None:
    path = FOLDER / "interruption.yaml"
    other = planner.simulation(read(path), seed=77)
    other.run()
    result = other.result()
    assert [e for e in result["expectations"] if not e["ok"]] == []
    assert result["cost"]["total"] != _run(path)[1]["cost"]["total"]


def test_both_weeks_are_the_same_but_for_the_rules() -> None:
    ours = _read(FOLDER / "gpu-platform-week.yaml").usable()
    peers = _read(FOLDER / "gpu-platform-week-first-fit.yaml").usable()
    assert peers.cluster.settings != ours.cluster.settings
    cluster = replace(peers.cluster, settings=ours.cluster.settings)
    alike = replace(peers, scenario=ours.scenario, why=ours.why, cluster=cluster, expect=ours.expect)
    assert alike == ours


def test_what_is_expected_of_first_fit_is_expected_of_the_week_too() -> None:
    peers = _read(FOLDER / "gpu-platform-week-first-fit.yaml").usable().expect
    assert set(peers) <= set(_read(FOLDER / "gpu-platform-week.yaml").usable().expect)


@pytest.mark.parametrize("path", FILES, ids=NAMES)
def test_the_page_has_its_row(path: Path) -> None:
    """The same file, reason and length; the cost within a tenth, as every change of the engine moves it a little."""
    (row,) = re.findall(rf"^\| \[`{path.stem}`\].*$", PAGE, re.M)
    link, why, length, _nodes, cost, *_ = (cell.strip() for cell in row.strip("|").split("|"))
    scenario = _read(path).usable()
    assert (ROOT / "docs" / re.search(r"\((.*)\)", link)[1]).resolve() == path  # type: ignore[index]
    assert (why, length) == (scenario.why, page.length(scenario.for_))
    if path.stem not in SHORTER:
        assert float(cost) == pytest.approx(_run(path)[1]["cost"]["total"], rel=0.1, abs=0.5)


def test_the_page_is_made_by_its_script() -> None:
    """Where it is asked for what stands in it, it writes what stands in it."""
    rows = {path: re.findall(rf"^\| \[`{path.stem}`\].*$", PAGE, re.M)[0] for path in page.files()}
    assert page.with_tables(PAGE, rows) == PAGE


def test_a_row_says_what_the_run_did() -> None:
    path = FOLDER / "training-gang.yaml"
    simulation, result = _run(path)
    made = page.row(path, simulation)
    assert made.startswith("| [`training-gang`](../scenarios/training-gang.yaml) | whether a distributed training run")
    assert f"| 8 h | {result['nodes']['launched']} | {result['cost']['total']:.2f} | – |" in made


def test_the_files_are_long_enough_for_what_they_expect() -> None:
    """A scenario that ends before its last fault would expect something of nothing."""
    for path in FILES:
        scenario = _read(path).usable()
        assert all(fault.at + 10 * SECOND < scenario.for_ for fault in scenario.faults), path.stem
