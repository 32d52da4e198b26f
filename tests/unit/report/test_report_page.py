"""The page of a result: every figure is the JSON's, nothing is markup that came in as a name, equal results give equal bytes."""

from __future__ import annotations

import ast
import base64
import copy
import hashlib
import json
import math
import re
from collections.abc import Iterator
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

import fretsaw.report
from fretsaw.report import comparison, facts, page, words
from support import results

VOID = {"meta", "input", "br", "col", "hr"}
PAGES = {name: page.html(make()) for name, make in results.ALL.items()}
EVERY = [*PAGES, "comparison"]


def html_of(name: str) -> str:
    return comparison.html(results.comparison()) if name == "comparison" else PAGES[name]


class Reader(HTMLParser):
    """Reads a page as a strict reader would: whatever is opened has to be closed in order."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.faults: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.cells: list[tuple[str, bool, str]] = []
        self.text: list[str] = []
        self.scripts: list[tuple[dict[str, str | None], str]] = []
        self._cell: tuple[str, bool, list[str]] | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = dict(attrs)
        if len(attributes) != len(attrs):
            self.faults.append(f"attribute twice on {tag}")
        self.tags.append((tag, attributes))
        if tag not in VOID:
            self.open.append(tag)
        if tag in ("td", "th") and "data-v" in attributes:
            self._cell = (attributes["data-v"] or "", "data-made" in attributes, [])

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            self.faults.append(f"</{tag}> at {self.getpos()}")
        if tag in ("td", "th") and self._cell is not None:
            value, made, parts = self._cell
            self.cells.append((value, made, "".join(parts)))
            self._cell = None

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] == "script":
            self.scripts.append((self.tags[-1][1], data))
        elif self.open and self.open[-1] != "style":
            self.text.append(data)
        if self._cell is not None:
            self._cell[2].append(data)


@cache
def read(name: str) -> Reader:
    reader = Reader()
    reader.feed(html_of(name))
    reader.close()
    return reader


def shown(name: str) -> str:
    return " ".join("\n".join(read(name).text).split())


def numbers(value: Any) -> Iterator[float]:
    """All numbers that are anywhere in a JSON value."""
    if isinstance(value, bool):
        return
    if isinstance(value, int | float):
        yield value
    elif isinstance(value, dict):
        for part in value.values():
            yield from numbers(part)
    elif isinstance(value, list):
        for part in value:
            yield from numbers(part)


@pytest.mark.parametrize("name", EVERY)
def test_what_is_opened_is_closed(name: str) -> None:
    reader = read(name)
    assert reader.faults == []
    assert reader.open == []


@pytest.mark.parametrize("name", EVERY)
def test_ids_are_unique_and_links_lead_somewhere(name: str) -> None:
    tags = read(name).tags
    ids = [a["id"] for _, a in tags if "id" in a]
    assert len(ids) == len(set(ids))
    assert {a["href"] for tag, a in tags if tag == "a"} <= {f"#{i}" for i in ids}
    assert {a["for"] for _, a in tags if a.get("for")} <= set(ids)


@pytest.mark.parametrize("name", EVERY)
def test_nothing_is_loaded_from_anywhere(name: str) -> None:
    tags = read(name).tags
    assert not [tag for tag, a in tags if a.keys() & {"src", "srcset", "action", "data", "xlink:href"}]
    assert not {tag for tag, _ in tags} & {"link", "img", "iframe", "object", "embed", "base", "form"}
    assert "@import" not in html_of(name)
    assert "url(" not in html_of(name)


@pytest.mark.parametrize("name", EVERY)
def test_only_the_script_that_the_policy_names_may_run(name: str) -> None:
    reader = read(name)
    policy = next(a["content"] for tag, a in reader.tags if a.get("http-equiv") == "Content-Security-Policy")
    script = "".join(text for attributes, text in reader.scripts if "type" not in attributes)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert policy is not None
    assert f"script-src 'sha256-{digest}'" in policy
    assert policy.startswith("default-src 'none'")


@pytest.mark.parametrize("name", results.ALL)
def test_every_figure_in_a_table_is_in_the_json(name: str) -> None:
    known = set(numbers(results.ALL[name]()))
    cells = [(float(v), text) for v, made, text in read(name).cells if not made and re.fullmatch(r"-?[\d.e+-]+", v)]
    assert [(value, text) for value, text in cells if value not in known] == []
    if name == "week":
        assert len(cells) > 500


def test_the_headline_figures_are_the_json_s() -> None:
    result = results.week()
    cost, pods, waits = result["cost"], result["pods"], result["pods"]["waitSeconds"]
    text = shown("week")
    for wanted in (
        f"7 days cost {words.usd(cost['total'])}, {words.share(1 - cost['total'] / cost['allOnDemand'])} less",
        f"Cost {words.usd(cost['total'])}",
        f"spot {words.usd(cost['spot'])}",
        f"of {words.usd(cost['allOnDemand'])}",
        f"bought {words.number(result['gpuHours']['bought'])} h",
        f"used {words.number(result['gpuHours']['used'])} h",
        f"Pods waited, p50 {words.span(waits['p50'])}",
        f"p99 {words.span(waits['p99'])}",
        f"Pods {pods['created']}",
        f"Nodes at the peak {result['nodes']['peak']}",
        f"Spot interruptions {result['interruptions']}",
        f"Insufficient capacity {result['insufficientCapacity']}",
        "Expectations met 4 of 5",
    ):
        assert wanted in text


@pytest.mark.parametrize("name", ["week", "huge", "free", "partial", "nothing"])
def test_parts_add_up_to_the_total(name: str) -> None:
    result = results.ALL[name]()
    cost = result["cost"]
    assert sum(row["total"] for row in cost["byPool"].values()) == pytest.approx(cost["total"])
    parts = sum(row["total"] for row in cost["byWorkload"]) + cost["idleGpu"] + facts.other_idle(result)
    assert parts == pytest.approx(cost["total"])


@pytest.mark.parametrize("name", ["week", "huge", "partial"])
@pytest.mark.parametrize("view", ["byPool", "byType", "byCapacityType"])
def test_gpus_of_all_lines_are_the_gpus_bought(name: str, view: str) -> None:
    result = results.ALL[name]()
    lines = facts.gpu_lines(result, view)
    assert [sum(values) for values in zip(*lines.values(), strict=True)] == result["series"]["gpus"]["bought"]


def test_money_spent_so_far_ends_at_the_total() -> None:
    result = results.week()
    assert facts.spent(result)[-1] == pytest.approx(result["cost"]["total"], rel=1e-4)


def test_names_are_never_markup() -> None:
    reader = read("hostile")
    assert not [tag for tag, _ in reader.tags if tag == "img"]
    assert not [a for _, a in reader.tags if any(key.startswith("on") for key in a)]
    assert len([1 for tag, _ in reader.tags if tag == "script"]) == 2
    assert "".join(reader.text).count(results.HOSTILE) > 30
    embedded = next(text for attributes, text in reader.scripts if attributes.get("id") == "data")
    assert "<" not in embedded
    assert results.HOSTILE in {layer[0] for plot in json.loads(embedded)["plots"].values() for layer in plot["layers"]}


def test_names_in_a_comparison_are_never_markup() -> None:
    given = results.comparison()
    given["a"]["scenario"] = given["metrics"][0]["name"] = given["metrics"][0]["unit"] = results.HOSTILE
    given["failures"] = [results.HOSTILE]
    made = comparison.html(given)
    assert "<img" not in made
    assert made.count("<script") == 2


@pytest.mark.parametrize("name", results.ALL)
def test_equal_results_give_equal_bytes_and_stay_as_they_were(name: str) -> None:
    result = results.ALL[name]()
    before = copy.deepcopy(result)
    assert page.html(result) == PAGES[name]
    assert result == before


@pytest.mark.parametrize(
    ("name", "most"), [("week", 600_000), ("huge", 3_000_000), ("nothing", 120_000), ("comparison", 60_000)]
)
def test_pages_stay_small(name: str, most: int) -> None:
    assert len(html_of(name).encode()) < most


def test_a_thousand_nodes_take_one_bar_each_and_few_paths() -> None:
    made = PAGES["huge"]
    assert made.count('class="bar"') == 1000
    assert made.count("<path") < 7000


def test_a_thousand_nodes_are_folded_by_pool() -> None:
    pools = [a for tag, a in read("huge").tags if a.get("class") == "pool"]
    assert len(pools) == 4
    assert not [a for a in pools if "open" in a]


def test_few_nodes_are_open_at_once() -> None:
    pools = [a for tag, a in read("hostile").tags if a.get("class") == "pool"]
    assert [a for a in pools if "open" in a] == pools


def test_bars_stay_within_the_run() -> None:
    for path in re.findall(r'<path class="(?:ordered|boot|live|drain)" d="M(\d+) \d+h(\d+)', PAGES["week"]):
        left, width = map(int, path)
        assert left >= 0
        assert left + width <= 10_000


def test_charts_stay_within_their_frame() -> None:
    for d in re.findall(r'<path class="area" d="([^"]+)"', PAGES["week"]):
        for axis, value in re.findall(r"([HV])(-?[\d.]+)", d):
            assert -0.01 <= float(value) <= (1000 if axis == "H" else 200)


def test_nothing_happened() -> None:
    text = shown("nothing")
    for wanted in (
        "1 day cost $0.00. No pod was created.",
        "No node was ordered.",
        "No pool bought a node.",
        "No pod was created.",
        "No node was taken away.",
        "the scenario has none",
    ):
        assert wanted in text
    assert "nan" not in text.lower()


def test_a_run_of_no_length_has_a_page() -> None:
    assert "0s cost $0.00" in shown("instant")


def test_nodes_that_cost_nothing_divide_nothing_by_zero() -> None:
    text = shown("free")
    assert "2 days cost $0.00." in text
    assert "Against all on demand – nothing was bought" in text


def test_violations_come_first_and_loud() -> None:
    made = PAGES["partial"]
    assert 'role="alert"' in made
    assert made.index("2 violations: do not trust these figures") < made.index('class="tiles"')
    assert "violation" not in shown("week")


def test_a_part_of_a_run_says_so() -> None:
    assert "Not the whole run. The run was stopped before its end. The figures are those of its first 2d 9h." in shown(
        "partial"
    )
    assert "Not the whole run" not in shown("week")
    told = shown_of({**results.partial(), "partial": "interrupted by Ctrl-C"})
    assert "before its end: interrupted by Ctrl-C." in told


def shown_of(result: dict[str, Any]) -> str:
    reader = Reader()
    reader.feed(page.html(result))
    return " ".join("\n".join(reader.text).split())


def test_notes_and_missed_expectations_are_shown() -> None:
    text = shown("partial")
    assert "GPU use is what the scenario says of its work." in text
    assert "3 of 5 met" in text
    assert text.index("GPU use >= 80%") < text.index("p90 wait of ml-serving <= 10m")


def test_what_the_result_may_leave_out() -> None:
    result = results.week(6, 20, 1)
    for key in ("expectations", "violations", "planned", "packing", "partial", "events"):
        del result[key]
    del result["cost"]["idle"]
    for node in result["nodes"]["list"]:
        del node["node"]
    for row in result["disruptionList"]:
        row.pop("tookSeconds", None)
    text = shown_of(result)
    assert "no pod had a planned node" in text


def test_a_claim_that_never_launched_has_a_row() -> None:
    result = results.week(6, 20, 1)
    node = result["nodes"]["list"][0]
    node.update(
        running=None,
        registered=None,
        initialized=None,
        deleted=node["created"] + 60,
        ended=None,
        pods=[],
        instanceType="",
        zone="",
        capacityType="",
        whyGone="insufficient_capacity",
    )
    text = shown_of(result)
    assert "never launched: insufficient capacity" in text
    assert [row["outcome"] for row in facts.departures(result) if row["nodes"] == [node["name"]]][-1] == "never ran"


@pytest.mark.parametrize("name", ["week", "huge", "free", "partial"])
def test_waits_are_drawn_in_order_and_on_the_scale(name: str) -> None:
    strips = re.findall(
        r'"thin" d="M(\d+) 8H(\d+)"/><path class="thick" d="M(\d+) 8H(\d+)"/><path class="dot" d="M(\d+) ', PAGES[name]
    )
    assert len(strips) == len(results.ALL[name]()["pods"]["byWorkload"]) + 1
    for p50, p99, start, p90, most in (map(int, strip) for strip in strips):
        assert 0 <= p50 == start < p90 <= max(p99, p50 + 8)
        assert p50 <= most <= 1000


def test_expiries_and_reclaims_stand_among_the_disruptions() -> None:
    result = results.week()
    gone = [n for n in result["nodes"]["list"] if n["whyGone"] in ("expired", "spot-reclaim")]
    rows = facts.departures(result)
    assert len(rows) == len(result["disruptionList"]) + len(gone)
    assert [row["at"] for row in rows] == sorted(row["at"] for row in rows)
    assert {row["nodes"][0] for row in rows if row.get("byCloud")} == {
        n["name"] for n in gone if n["whyGone"] == "spot-reclaim"
    }


def test_tables_behind_charts_can_be_read() -> None:
    reader = read("week")
    tables = [tag for tag, _ in reader.tags if tag == "table"]
    captions = [tag for tag, _ in reader.tags if tag == "caption"]
    assert len(tables) == len(captions) == 15
    assert {a.get("scope") for tag, a in reader.tags if tag == "th"} == {"col", "row"}


def test_the_layer_knows_neither_the_simulator_nor_the_engine() -> None:
    folder = Path(fretsaw.report.__file__).parent
    for file in sorted(folder.glob("*.py")):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            modules = (
                [node.module or ""]
                if isinstance(node, ast.ImportFrom)
                else [a.name for a in node.names]
                if isinstance(node, ast.Import)
                else []
            )
            for module in modules:
                assert not module.startswith("fretsaw.") or module.startswith("fretsaw.report"), (
                    f"{file.name}: {module}"
                )


def test_pods_side_by_side_share_a_bar() -> None:
    from fretsaw.report import lives, overtime

    result = results.week()
    node = {
        "pods": [
            {"pod": "a", "from": 0, "to": 100},
            {"pod": "b", "from": 50, "to": None},
            {"pod": "c", "from": 100, "to": 200},
        ]
    }
    path = lives._pods_path(node, overtime.times(result))
    tops = [float(y) for y in re.findall(r"M\d+ ([\d.]+)h", path)]
    assert tops == [2, 8, 2]


@pytest.mark.parametrize("seconds", [1, 59, 3600, 5 * 3600, 86400, 3 * 86400, 7 * 86400, 31 * 86400, 366 * 86400])
@pytest.mark.parametrize("start", ["2026-01-05T00:00:00Z", "2026-03-31T22:17:05Z"])
def test_marks_of_time_are_few_and_within_the_run(start: str, seconds: int) -> None:
    from fretsaw.report import axis

    ticks = axis.time_ticks(words.Calendar(start), seconds)
    assert len(ticks) <= axis.MOST + 1
    assert all(0 <= tick.at < 1 for tick in ticks)
    assert [tick.at for tick in ticks] == sorted(tick.at for tick in ticks)


@pytest.mark.parametrize("most", [0.0, 0.003, 0.9, 1, 7, 19, 101, 2345, 1e6])
def test_marks_of_values_begin_at_zero_and_reach_the_top(most: float) -> None:
    from fretsaw.report import axis

    top = axis.value_top(most)
    marks = axis.value_ticks(top)
    assert top >= most
    assert marks[0] == 0
    assert marks[-1] <= top * (1 + 1e-9)
    assert 3 <= len(marks) <= 6
    assert math.isfinite(top)
