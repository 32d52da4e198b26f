"""The page in a real browser: what can be pointed at, switched, filtered and sorted; no complaint, no request, no overflow."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from fretsaw.report import comparison, page
from support import results
from support.browser import Browser, missing

pytestmark = pytest.mark.skipif(bool(missing()), reason=missing())


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pages")
    for name, make in results.ALL.items():
        (folder / f"{name}.html").write_text(page.html(make()), encoding="utf-8")
    (folder / "comparison.html").write_text(comparison.html(results.comparison()), encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def desktop() -> Iterator[Browser]:
    with Browser(1440, 900) as browser:
        yield browser


@pytest.fixture(scope="module")
def phone() -> Iterator[Browser]:
    with Browser(390, 844, phone=True, dark=True) as browser:
        yield browser


EVERY = [*results.ALL, "comparison"]


@pytest.mark.parametrize("name", EVERY)
def test_no_complaint_and_no_request(desktop: Browser, pages: Path, name: str) -> None:
    desktop.requests()
    desktop.open(pages / f"{name}.html")
    assert desktop.complaints() == []
    assert [url for url in desktop.requests() if not url.startswith("chrome:")] == [(pages / f"{name}.html").as_uri()]


@pytest.mark.parametrize("name", EVERY)
def test_a_phone_scrolls_down_only(phone: Browser, pages: Path, name: str) -> None:
    phone.open(pages / f"{name}.html")
    phone.run("document.querySelectorAll('details').forEach((each) => { each.open = true; })")
    assert phone.run("return document.documentElement.scrollWidth") == 390
    assert phone.run("return innerWidth") == 390
    assert phone.complaints() == []


def test_names_keep_their_room_on_a_phone(phone: Browser, pages: Path) -> None:
    phone.open(pages / "week.html")
    phone.run("document.querySelectorAll('details').forEach((each) => { each.open = true; })")
    widths = phone.run(
        "return [...document.querySelectorAll('tbody th')].filter((th) => th.checkVisibility()).map((th) => th.getBoundingClientRect().width)"
    )
    assert len(widths) > 100
    assert min(widths) >= 120


def test_a_name_runs_no_script(desktop: Browser, pages: Path) -> None:
    desktop.open(pages / "hostile.html")
    desktop.click("#open-all")
    desktop.click(".node")
    assert results.HOSTILE in desktop.text(".life")
    assert desktop.run("return document.querySelectorAll('img').length") == 0
    assert desktop.complaints() == []


def test_the_theme_follows_the_system_until_it_is_chosen(desktop: Browser, phone: Browser, pages: Path) -> None:
    colour = "return getComputedStyle(document.body).backgroundColor"
    for browser in (desktop, phone):
        browser.open(pages / "week.html")
        browser.run("localStorage.clear()")
        browser.open(pages / "week.html")
    light, dark = desktop.run(colour), phone.run(colour)
    assert light != dark
    seen = []
    for _ in range(3):
        desktop.click("#theme")
        seen.append((desktop.text("#theme"), desktop.run(colour)))
    assert seen == [("Theme: light", light), ("Theme: dark", dark), ("Theme: auto", light)]
    desktop.click("#theme")
    desktop.click("#theme")
    desktop.open(pages / "week.html")
    assert (desktop.text("#theme"), desktop.run(colour)) == ("Theme: dark", dark)
    desktop.run("localStorage.clear()")


def test_the_stacked_chart_is_switched(desktop: Browser, pages: Path) -> None:
    desktop.open(pages / "week.html")
    visible = (
        "return [...document.querySelectorAll('[data-variant]:not([hidden])')].map((each) => each.dataset.variant)"
    )
    assert desktop.run(visible) == ["cost.hourly", "nodes.byPool"]
    desktop.click('[data-part="gpus"]')
    desktop.click('[data-part="byCapacityType"]')
    desktop.click('[data-part="cost.total"]')
    assert desktop.run(visible) == ["cost.total", "gpus.byCapacityType"]
    pressed = "return [...document.querySelectorAll('[aria-pressed=\"true\"]')].map((each) => each.textContent)"
    assert desktop.run(pressed) == ["so far", "GPUs", "by capacity type"]


def test_pointing_at_a_chart_tells_its_values(desktop: Browser, pages: Path) -> None:
    desktop.open(pages / "week.html")
    assert not desktop.run("return document.querySelector('#tip').checkVisibility()")
    desktop.hover('[data-plot="cost.hourly"] svg')
    series = results.week()["series"]
    middle = series["costPerHour"][len(series["t"]) // 2 - 1 : len(series["t"]) // 2 + 1]
    told = desktop.text("#tip")
    assert told.startswith("Thu 8 Jan ")
    assert any(f"${value:,.2f}/h" in told for value in middle)
    assert desktop.run("return document.querySelectorAll('.cross').length") == 4
    desktop.hover("h1")
    assert not desktop.run("return document.querySelector('#tip').checkVisibility()")
    assert desktop.run("return document.querySelectorAll('.cross').length") == 0


def test_a_chart_is_read_by_keys(desktop: Browser, pages: Path) -> None:
    desktop.open(pages / "week.html")
    plot = '[data-plot="pending"]'
    for key, wanted in (
        ("End", "Sun 11 Jan 23:30"),
        ("ArrowLeft", "Sun 11 Jan 23:00"),
        ("Home", "Mon 5 Jan 00:00"),
        ("ArrowRight", "Mon 5 Jan 00:30"),
    ):
        desktop.type(plot, key)
        assert desktop.text("#tip").startswith(wanted)
    desktop.type(plot, "Escape")
    assert not desktop.run("return document.querySelector('#tip').checkVisibility()")


def test_the_filter_finds_nodes_by_all_that_is_known_of_them(desktop: Browser, pages: Path) -> None:
    nodes = results.week()["nodes"]["list"]
    desktop.open(pages / "week.html")
    assert desktop.text("#found") == "60 nodes"
    for typed, wanted in (
        ("taken back", [n for n in nodes if n["whyGone"] == "spot-reclaim"]),
        ("g6.xlarge us-east-1a", [n for n in nodes if n["instanceType"] == "g6.xlarge" and n["zone"] == "us-east-1a"]),
        (nodes[0]["pods"][0]["pod"], [nodes[0]]),
        ("no such thing", []),
    ):
        desktop.clear("#filter")
        desktop.type("#filter", typed)
        assert desktop.text("#found") == f"{len(wanted)} of 60 nodes"
        shown = desktop.run(
            "return [...document.querySelectorAll('.node')].filter((each) => each.checkVisibility()).map((each) => Number(each.dataset.i))"
        )
        assert sorted(shown) == [nodes.index(n) for n in wanted]
    desktop.clear("#filter")
    assert desktop.text("#found") == "60 nodes"


def test_pools_are_as_they_were_when_the_filter_is_emptied(desktop: Browser, pages: Path) -> None:
    desktop.open(pages / "huge.html")
    is_open = "return [...document.querySelectorAll('.pool')].map((each) => each.open)"
    assert desktop.run(is_open) == [False] * 4
    desktop.type("#filter", "taken back")
    assert True in desktop.run(is_open)
    desktop.clear("#filter")
    assert desktop.run(is_open) == [False] * 4
    desktop.click("#open-all")
    assert desktop.run(is_open) == [True] * 4


def test_pointing_at_a_node_tells_why_it_came_and_went(desktop: Browser, pages: Path) -> None:
    nodes = results.week()["nodes"]["list"]
    index = next(i for i, n in enumerate(nodes) if n["whyGone"] == "spot-reclaim" and n["pods"])
    desktop.open(pages / "week.html")
    desktop.click("#open-all")
    desktop.hover(f'.node[data-i="{index}"]')
    told = desktop.text("#tip")
    for wanted in (
        nodes[index]["name"],
        nodes[index]["instanceType"],
        "why it came",
        "why it went",
        "spot instance taken back",
    ):
        assert wanted in told
    # Over the bar of its first pod the pod is named too.
    pod = nodes[index]["pods"][0]
    share = (pod["from"] + (pod["to"] - pod["from"]) / 2) / results.week()["virtualSeconds"]
    width = desktop.run("return document.querySelector('.node .bar').getBoundingClientRect().width")
    desktop.hover(f'.node[data-i="{index}"] .bar', x=round((share - 0.5) * width))
    assert pod["pod"] in desktop.text("#tip")


def test_a_node_opens_to_its_pods(desktop: Browser, pages: Path) -> None:
    nodes = results.week()["nodes"]["list"]
    desktop.open(pages / "week.html")
    desktop.click("#open-all")
    desktop.click('.node[data-i="0"]')
    told = desktop.text(".life")
    assert all(pod["pod"] in told for pod in nodes[0]["pods"])
    desktop.type('.node[data-i="0"]', "Enter")
    assert desktop.run("return document.querySelectorAll('.life').length") == 0


def test_tables_are_sorted_by_their_titles(desktop: Browser, pages: Path) -> None:
    desktop.open(pages / "week.html")
    column = "return [...document.querySelectorAll('#waits tbody tr')].map((row) => Number(row.cells[1].dataset.v))"
    created = sorted(row["created"] for row in results.week()["pods"]["byWorkload"])
    title = "#waits thead th:nth-child(2) button"
    desktop.click(title)
    assert desktop.run(column) == created[::-1]
    desktop.click(title)
    assert desktop.run(column) == created
    assert desktop.run("return document.querySelector('#waits th[aria-sort]').getAttribute('aria-sort')") == "ascending"
    desktop.click("#waits thead th:nth-child(1) button")
    first = "return document.querySelector('#waits tbody th').textContent"
    assert desktop.run(first) == "cronjob/platform/nightly-report"


def test_long_tables_are_folded_until_asked_for(desktop: Browser, pages: Path) -> None:
    desktop.open(pages / "week.html")
    count = "return [...document.querySelectorAll('#disruptions-table tbody tr')].filter((row) => row.checkVisibility()).length"
    every = desktop.run("return document.querySelectorAll('#disruptions-table tbody tr').length")
    assert desktop.run(count) == 12
    desktop.click("#disruptions .more")
    assert desktop.run(count) == every > 12
    desktop.click("#disruptions .more")
    assert desktop.run(count) == 12


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_text_stands_out_from_its_ground(desktop: Browser, pages: Path, theme: str) -> None:
    """Source: WCAG 2.2, 1.4.3 Contrast (Minimum): 4.5 to 1 for text."""
    desktop.open(pages / "partial.html")
    desktop.run(f"document.documentElement.dataset.theme = '{theme}'")
    colours = desktop.run("""
        const style = getComputedStyle(document.documentElement);
        return Object.fromEntries(["page", "card", "hover", "ink", "soft", "accent", "good", "warn", "bad", "bad-card", "warn-card"]
          .map((name) => [name, style.getPropertyValue("--" + name).trim()]))""")
    for text, grounds in (
        ("ink", ["page", "card", "hover", "bad-card", "warn-card"]),
        ("soft", ["page", "card", "hover"]),
        ("good", ["card"]),
        ("warn", ["card"]),
        ("bad", ["card", "bad-card"]),
    ):
        for ground in grounds:
            assert contrast(colours[text], colours[ground]) >= 4.5, (theme, text, ground)


def contrast(one: str, other: str) -> float:
    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


def luminance(colour: str) -> float:
    digits = colour.lstrip("#")
    digits = digits if len(digits) == 6 else "".join(sign * 2 for sign in digits)
    parts = [int(digits[i : i + 2], 16) / 255 for i in (0, 2, 4)]
    red, green, blue = (p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def test_what_can_be_clicked_has_a_name(desktop: Browser, pages: Path) -> None:
    desktop.open(pages / "week.html")
    unnamed = desktop.run("""
        return [...document.querySelectorAll("button, summary, a, input")]
          .filter((each) => !(each.textContent.trim() || each.labels?.length || each.getAttribute("aria-label")))
          .map((each) => each.outerHTML.slice(0, 80))""")
    assert unnamed == []


def test_it_prints(desktop: Browser, pages: Path) -> None:
    desktop.open(pages / "week.html")
    assert desktop.pdf().startswith(b"%PDF")


def test_a_page_without_script_still_shows_its_figures(pages: Path) -> None:
    with Browser() as browser:
        browser.devtools("Emulation.setScriptExecutionDisabled", value=True)
        browser.open(pages / "week.html")
        assert "$" in browser.text(".tile .great")
        assert "llm-inference" in browser.text("#workloads")
