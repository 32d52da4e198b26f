"""The page about simulations says what is true: its examples parse, its tables have what there is, and no more."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import fields

from fretsaw import planner
from fretsaw.cli.simulate_cmd import simulate
from fretsaw.sim.durations import Durations
from fretsaw.sim.scenario import expect, shape
from fretsaw.sim.scenario.measures import MEASURES
from fretsaw.sim.scenario.model import Scenario
from fretsaw.sim.scenario.read import parse, read
from fretsaw.sim.simulation import Simulation
from fretsaw.sim.spread import Spread

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "simulate.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"^```yaml scenario\n(.*?)^```", PAGE, re.S | re.M)
LEFT_OUT = {"scenario": "scenario: example", "cluster": "cluster: {manifests: [examples/gpu-platform]}"}
RECORDINGS = {
    "requests.csv": "TIMESTAMP,ContextTokens,GeneratedTokens\n2023-11-16 18:00:00.0,10,5\n2023-11-16 18:05:00.0,10,5\n",
    "pods.csv": "name,cpu_milli,memory_mib,num_gpu,gpu_milli,gpu_spec,qos,pod_phase,creation_time,deletion_time,"
    "scheduled_time\na,4000,2048,1,1000,T4,LS,Succeeded,100,400,200\n",
}
NAMES = {"byPool", "byType", "byCapacityType"}
"""Maps of the result whose keys are names."""
ONLY_IN_TRACES = {"instance-billed", "run-ended"}


def part(name: str) -> str:
    """What stands between a mark and its end."""
    found = re.search(rf"^<!-- {name} -->\n(.*?)^<!-- end -->", PAGE, re.S | re.M)
    assert found, f"no part {name} in docs/simulate.md"
    return found[1]


def first_cells(name: str) -> list[str]:
    """The code in the first column of a part's table."""
    return [code for cell in re.findall(r"^\| ([^|]+)\|", part(name), re.M) for code in re.findall(r"`([^`]+)`", cell)]


# Scenario files


@pytest.mark.parametrize("example", EXAMPLES)
def test_examples_are_scenarios_without_problems(example: str, tmp_path: Path) -> None:
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    for name, text in RECORDINGS.items():
        (tmp_path / name).write_text(text)
    missing = [line for key, line in LEFT_OUT.items() if not re.search(rf"^{key}:", example, re.M)]
    reading = parse("\n".join((*missing, example)), "example.yaml", tmp_path)
    assert [str(problem) for problem in reading.problems if problem.file == "example.yaml"] == []
    assert not reading.errors


def test_every_field_of_a_scenario_is_named() -> None:
    names = {name for name in _fields(shape.shape_of(Scenario)) if not re.search(rf"\b{name}\b", PAGE)}
    assert names == set()


def _fields(of: Any) -> Iterator[str]:
    match of:
        case shape.Parts(fields=parts):
            for field in parts:
                yield field.name
                yield from _fields(field.shape)
        case shape.Many(item=item):
            yield from _fields(item)
        case shape.Map(value=value):
            yield from _fields(value)
        case shape.OneOf(parts=parts):
            for one in parts:
                yield from _fields(one)


def test_options_are_those_of_the_command() -> None:
    known = {param.opts[-1] for param in simulate.params if param.opts[-1].startswith("--")}
    short = {"--filename": "-f", "--output": "-o", "--help": ""}
    wanted = {short.get(name, name) for name in known} - {""}
    assert set(re.findall(r"^\| `(--?\w+)", PAGE, re.M)) == wanted


# Expectations

SENTENCES = [text for text in re.findall(r"`([^`]+)`", part("expectations")) if text not in MEASURES]


@pytest.mark.parametrize("text", SENTENCES)
def test_expectations_are_understood(text: str) -> None:
    assert expect.parse(text)


def test_every_measure_has_an_example_beside_it() -> None:
    rows = dict(re.findall(r"^\| `([^`]+)` \|[^|]*\| `([^`]+)`", part("expectations"), re.M))
    assert set(rows) == set(MEASURES)
    assert {name: expect.parse(text).query.measure for name, text in rows.items()} == {name: name for name in MEASURES}


def test_every_sentence_and_every_operator_has_an_example() -> None:
    unseen = [form.pattern for form, _ in expect._KNOWN if not any(form.fullmatch(text) for text in SENTENCES)]
    assert unseen == []
    used = {found["op"] for text in SENTENCES if (found := expect._COMPARISON.fullmatch(text))}
    assert used == set(expect.OPERATORS)


# Figures


def test_times_are_those_of_the_simulator() -> None:
    told = dict(re.findall(r"^\| `(\w+)` \| ([\d. /]+) \|", part("durations"), re.M))
    known = {field.name: getattr(Durations(), field.name) for field in fields(Durations)}
    assert told == {name: _three(spread) for name, spread in known.items() if isinstance(spread, Spread)}


def _three(spread: Spread) -> str:
    return " / ".join(f"{time / 1000:g}" for time in (spread.low, spread.typical, spread.high))


# Results


@cache
def run() -> Simulation:
    """A run in which a good deal happens."""
    simulation = planner.simulation(read(ROOT / "scenarios" / "tiered-fallback.yaml"), length=10 * 3600 * 1000)
    simulation.run()
    return simulation


def test_every_key_of_a_result_is_in_the_table_and_nothing_else() -> None:
    found = _paths(run().result())
    there = {path for path in found if not any(other.startswith(f"{path}[]") for other in found)}  # no empty lists
    assert sorted(there) == sorted(first_cells("result"))


def _paths(value: Any, path: str = "") -> set[str]:
    if isinstance(value, dict):
        named = path.rpartition(".")[2] in NAMES
        return {
            found
            for key, item in value.items()
            for found in _paths(item, f"{path}.{'{}' if named else key}".removeprefix("."))
        }
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return {found for item in value for found in _paths(item, f"{path}[]")}
    return {path}


def test_every_fact_of_a_run_is_in_the_table() -> None:
    assert {fact.what for fact in run().world.journal.facts} <= set(first_cells("facts"))


def test_the_facts_in_the_table_are_those_that_the_simulator_notes() -> None:
    source = "\n".join(file.read_text(encoding="utf-8") for file in sorted((ROOT / "src/fretsaw/sim").rglob("*.py")))
    noted = set(re.findall(r"note\(\s*\"([a-z]+(?:-[a-z]+)*)\"", source))
    told = set(first_cells("facts"))
    assert noted <= told
    assert {word for word in told - ONLY_IN_TRACES if f'"{word}"' not in source} == set()


# The page about disruption


def test_every_difference_from_the_peer_is_in_the_page() -> None:
    page = (ROOT / "docs" / "disruption.md").read_text(encoding="utf-8")
    source = ROOT / "src" / "fretsaw"
    told = set(re.findall(r"`(engine/[\w/]+\.py)` \|$", page, re.M))
    assert {name for name in told if not (source / name).is_file()} == set()
    noted = (file for file in (source / "engine").rglob("*.py") if "Differs:" in file.read_text(encoding="utf-8"))
    assert {file.relative_to(source).as_posix() for file in noted} <= told
