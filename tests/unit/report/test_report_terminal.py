"""The summary and the comparison on a terminal: figures of the JSON, any width, any character set, no colour needed."""

from __future__ import annotations

import io
from typing import Any

import pytest
from rich.console import Console

from fretsaw.cli.render import console
from fretsaw.report import comparison, summary, words
from support import results


def summed(result: dict[str, Any], width: int = 80, *, wide: bool = False) -> str:
    file = io.StringIO()
    summary.draw(console(file, width), result, wide=wide)
    return file.getvalue()


def compared(given: dict[str, Any], width: int = 80) -> str:
    file = io.StringIO()
    comparison.draw(console(file, width), given)
    return file.getvalue()


@pytest.mark.parametrize("width", [80, 120])
@pytest.mark.parametrize("name", sorted(results.ALL.keys() - {"hostile"}))
def test_lines_fit_and_end_without_spaces(name: str, width: int) -> None:
    for line in summed(results.ALL[name](), width).splitlines():
        assert len(line) <= width
        assert line == line.rstrip()


def test_the_figures_are_the_json_s() -> None:
    result = results.week()
    cost, waits, hours = result["cost"], result["pods"]["waitSeconds"], result["gpuHours"]
    text = summed(result, 120)
    for wanted in (
        f"cost         {words.usd(cost['total'])} · spot {words.usd(cost['spot'])} · on-demand {words.usd(cost['onDemand'])}",
        f"on demand    {words.usd(cost['allOnDemand'])} · {words.share(1 - cost['total'] / cost['allOnDemand'])} saved",
        f"GPU hours    {words.number(hours['bought'])} bought · {words.number(hours['requested'])} requested",
        f"waits        p50 {words.span(waits['p50'])} · p90 {words.span(waits['p90'])} · p99 {words.span(waits['p99'])}",
        f"{result['nodes']['launched']} launched · {result['nodes']['terminated']} terminated",
        f"spot         {result['interruptions']} interruptions",
        f"EC2          {result['insufficientCapacity']} refusals for want of capacity",
        "Expectations: 4 of 5 met",
        "and 21 more workloads",
    ):
        assert wanted in text
    for pool, row in cost["byPool"].items():
        assert pool in text
        assert words.usd(row["total"]) in text


def test_wide_has_all_workloads_and_disruptions() -> None:
    result = results.week()
    text = summed(result, 160, wide=True)
    for row in result["pods"]["byWorkload"]:
        assert row["workload"].partition("/")[2] in text
    assert text.count("failed: a replacement never came") == sum(
        r["outcome"].startswith("failed") for r in result["disruptionList"]
    )
    assert "spot instance taken back" in text


def test_violations_come_first() -> None:
    assert summed(results.partial()).startswith(
        "2 violations: do not trust these figures\n  pod ml-training/fine-tune-3-0"
    )
    assert "violation" not in summed(results.week())


def test_many_violations_are_counted() -> None:
    text = summed({**results.week(), "violations": [f"broken {i}" for i in range(25)]})
    assert "broken 9" in text
    assert "broken 10" not in text
    assert "and 15 more" in text


def test_nothing_happened() -> None:
    text = summed(results.nothing())
    assert text.startswith("quiet: 1 day cost $0.00. No pod was created.\n")
    assert "nan" not in text


@pytest.mark.parametrize("name", results.ALL)
def test_colour_changes_no_letter(name: str) -> None:
    result = results.ALL[name]()
    file = io.StringIO()
    coloured = Console(
        file=file, width=80, highlight=False, force_terminal=True, color_system="truecolor", record=True, emoji=False
    )
    summary.draw(coloured, result)
    assert "\x1b[" in file.getvalue()
    assert coloured.export_text() == summed(result)


def test_no_color_is_obeyed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    file = io.StringIO()
    out = Console(file=file, width=80, highlight=False, force_terminal=True, color_system="truecolor", emoji=False)
    summary.draw(out, results.week())
    assert "\x1b[3" not in file.getvalue()


def test_a_terminal_without_unicode_gets_ascii_in_the_same_columns() -> None:
    raw = io.BytesIO()
    file = io.TextIOWrapper(raw, encoding="ascii")
    out = console(file, 80)
    summary.draw(out, results.week(), wide=True)
    comparison.draw(out, results.comparison())
    file.flush()
    text = raw.getvalue().decode("ascii")
    assert "#####" in text
    assert "! GPU use >= 80%" in text
    plain = summed(results.week(), wide=True) + compared(results.comparison())
    assert list(map(len, text.splitlines())) == list(map(len, plain.splitlines()))


def test_names_cannot_steer_the_terminal() -> None:
    result = results.week(4, 10, 1)
    result["scenario"] = result["expectations"][0]["text"] = "a\x1b[2Jb\x9bc"
    result["violations"] = ["x\x1b]0;title\x07y"]
    text = summed(result)
    assert not [sign for sign in text if (ord(sign) < 32 and sign != "\n") or 127 <= ord(sign) < 160]


def test_square_brackets_are_no_colours() -> None:
    result = {**results.week(4, 10, 1), "scenario": "[red]week[/red]"}
    assert summed(result).startswith("[red]week[/red]: ")


def test_a_comparison_tells_chance_from_change() -> None:
    lines = compared(results.comparison(), 130).splitlines()
    assert lines[0] == "A  gpu-platform-week  20 seeds"
    row = {line[:24].strip(): line[24:].split() for line in lines[3:]}
    assert row["cost"] == [
        "$12,345.67",
        "$10,876.50",
        "-$1,469.17",
        "-11.9%",
        "-$1,520.30",
        "to",
        "-$1,418.04",
        "lower",
    ]
    assert row["p50 wait"][-3:] == ["may", "be", "chance"]
    assert row["p99 wait"][-1] == "higher"
    assert row["saving against on-demand"][2:4] == ["+7.9", "points"]
    assert row["violations"][-2:] == ["the", "same"]


@pytest.mark.parametrize("width", [80, 130])
def test_a_comparison_fits(width: int) -> None:
    assert max(map(len, compared(results.comparison(), width).splitlines())) <= width


def test_failed_conditions_are_told() -> None:
    text = compared({**results.comparison(), "failures": ["cost > +5%: 12 against 10"]})
    assert "Failed: 1 condition\n  cost > +5%: 12 against 10" in text
    assert "Nothing could be compared." in compared({**results.comparison(), "metrics": []})


def test_the_page_of_a_comparison_has_all_its_figures() -> None:
    given = results.comparison()
    made = comparison.html(given)
    for metric in given["metrics"]:
        for key in ("a", "b", "difference", "low"):
            assert f'data-v="{metric[key]}"' in made
        assert f">{comparison.written(metric['a'], metric['unit'])}<" in made
    assert "5 of 8 figures differ clearly." in made
    assert "Nothing could be compared." in comparison.html({**given, "metrics": []})
    assert "seed 7" in comparison.html({**given, "failures": ["seed 7"]})


@pytest.mark.parametrize(
    ("value", "unit", "shown"),
    [
        (3.5, "money", "$3.50"),
        (3.5, "money/h", "$3.500/h"),
        (90, "duration", "1m 30s"),
        (0.25, "share", "25%"),
        (2, "count", "2"),
        (2, "", "2"),
        (7.5, "hours", "7.5 h"),
        (4, "pods", "4 pods"),
    ],
)
def test_units(value: float, unit: str, shown: str) -> None:
    assert comparison.written(value, unit) == shown
