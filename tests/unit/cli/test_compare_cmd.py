"""`fretsaw compare`: what it prints, what it exits with, and what it says of wrong input."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from fretsaw.cli.main import run
from fretsaw.sim.many import pool
from support import tiny

A_KEYS = ["name", "unit", "a", "b", "difference", "low", "high", "relative", "clear"]


@pytest.fixture
def a(tmp_path: Path) -> Path:
    return tiny.files(tmp_path)


@pytest.fixture
def b(a: Path) -> Path:
    """The same, but nodes stay ten minutes after their last pod."""
    (a.parent / "later.yaml").write_text(tiny.POOL.replace("consolidateAfter: 1m", "consolidateAfter: 10m"))
    file = a.parent / "b.yaml"
    file.write_text(a.read_text().replace("pool.yaml", "later.yaml").replace("scenario: tiny", "scenario: later"))
    return file


def compare(capsys: pytest.CaptureFixture[str], *arguments: object, code: int = 0) -> dict[str, Any]:
    assert run(["compare", *map(str, arguments), "-j", "1", "-o", "json"]) == code
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def test_differences_of_the_second_from_the_first(a: Path, b: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = compare(capsys, a, b, "--runs", 8)
    assert found["a"] == {"scenario": "tiny", "seeds": 8, "firstSeed": 1}
    assert found["b"] == {"scenario": "later", "seeds": 8, "firstSeed": 1}
    assert (found["runs"], found["failures"]) == (8, [])
    assert [list(metric) for metric in found["metrics"]] == [A_KEYS] * len(found["metrics"])
    by_name = {metric["name"]: metric for metric in found["metrics"]}
    hours, empty = by_name["GPU hours"], by_name["disruptions for Empty"]
    assert hours["clear"] is empty["clear"] is True
    assert hours["low"] > 0
    assert hours["difference"] == pytest.approx(hours["b"] - hours["a"])
    assert hours["relative"] == pytest.approx(hours["difference"] / hours["a"])
    assert empty["high"] < 0
    # The same jobs came on both sides: the same seeds, met by the same chance.
    assert by_name["violations"] == {
        **dict.fromkeys(A_KEYS, 0.0),
        "name": "violations",
        "unit": "count",
        "clear": False,
    }


def test_a_scenario_does_not_differ_from_itself(a: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = compare(capsys, a, a, "--runs", 2, "--seed", 7, "--for", "30m")
    assert found["a"]["firstSeed"] == 7
    assert {metric["difference"] for metric in found["metrics"]} == {0.0}
    assert not any(metric["clear"] for metric in found["metrics"])


def test_equal_calls_give_equal_bytes(a: Path, b: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert compare(capsys, a, b, "--runs", 2) == compare(capsys, a, b, "--runs", 2)


def test_a_condition_that_holds_is_a_failure_and_exit_code_one(
    a: Path, b: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    conditions = ("--fail-if", "cost > +5%", "--fail-if", "p99 wait of ml > 1h", "--fail-if", "GPU hours > +0.1")
    found = compare(capsys, a, b, "--runs", 4, *conditions, code=1)
    cost, hours = found["failures"]
    assert cost.startswith("cost > +5%: ")
    assert hours.startswith("GPU hours > +0.1: ")
    assert "statistically clear" in hours
    assert found["metrics"][-1]["name"] == "p99 wait of ml"
    compare(capsys, b, a, "--runs", 4, "--fail-if", "cost > +5%", code=0)


def test_the_table_and_the_page(a: Path, b: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = tmp_path / "compared.html"
    assert run(["compare", str(a), str(b), "--runs", "2", "-j", "1", "--html", str(page), "--fail-if", "cost > 0"]) == 1
    out, err = capsys.readouterr()
    assert "tiny" in out
    assert "later" in out
    assert "cost > 0: " in out
    assert f"Report: {page}" in out
    assert err == ""
    assert "cost &gt; 0: " in page.read_text()
    assert run(["compare", str(a), str(b), "--runs", "2", "-j", "1", "--html", str(tmp_path / "no" / "x.html")]) == 2
    assert "cannot be written" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["A"], "Missing argument"),
        (["A", "none.yaml"], "none.yaml:1: cannot be read: no such file or directory"),
        (["A", "A", "--runs", "1"], "1 is not in the range x>=2"),
        (
            ["A", "A", "--fail-if", "cots > +5%"],
            'error: --fail-if "cots > +5%": "cots" is nothing that can be measured',
        ),
        (["A", "A", "--for", "soon"], "not a duration"),
    ],
)
def test_wrong_input_is_told(a: Path, arguments: list[str], told: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["compare", *(str(a) if argument == "A" else argument for argument in arguments)]) == 2
    out, err = capsys.readouterr()
    assert told in err
    assert out == ""


def test_scenarios_of_different_lengths_are_refused_unless_both_get_one(
    a: Path, b: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    b.write_text(b.read_text().replace("for: 1h", "for: 90m"))
    assert run(["compare", str(a), str(b)]) == 2
    told = f"error: {b}: the scenarios are not equally long: 90m, and {a} 1h (give --for to both)\n"
    assert capsys.readouterr().err == told
    compare(capsys, a, b, "--runs", 2, "--for", "20m")


@pytest.mark.parametrize(("runs", "pairs"), [(5, 2), (3, 1)])
def test_an_interrupt_shows_the_pairs_that_are_complete(
    a: Path, runs: int, pairs: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    ordinary = pool.Local.run

    def interrupted(self: pool.Local, work: Any, tasks: Any) -> Any:
        yield from ordinary(self, work, tasks[:runs])
        raise KeyboardInterrupt

    monkeypatch.setattr(pool.Local, "run", interrupted)
    assert run(["compare", str(a), str(a), "--runs", "4", "-j", "1", "-o", "json"]) == 130
    out, err = capsys.readouterr()
    assert f"warning: interrupted after {runs} of 8 runs" in err
    assert (json.loads(out)["runs"] if out else 1) == pairs
