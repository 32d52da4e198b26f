"""Sentences and numbers of the printed plan that the golden files do not show."""

from __future__ import annotations

import msgspec
import pytest
from rich.text import Text

from fretsaw.cli.render import Prices, comparisons, footnote, headline, usd, usd_per_month
from fretsaw.engine.plan import Bound, Filled, Plan
from fretsaw.report import table
from golden.plans import EMPTY, LIMIT, PLATFORM, launch, unplaced


def plan(**fields: object) -> Plan:
    return msgspec.structs.replace(EMPTY, **fields)


@pytest.mark.parametrize(
    ("given", "line"),
    [
        (plan(pods=1, launches=(launch("g-1", "a/p"),)), "1 pod placed on 1 new node: $0.400/h, $292/month"),
        (plan(pods=1, filled=(Filled("n", ("a/p",)),)), "1 pod placed on 1 existing node"),
        (plan(pods=1, unplaced=(unplaced("a/p", LIMIT),)), "1 pod stays pending"),
        (plan(pods=2, unplaced=(unplaced("a/p", LIMIT), unplaced("a/q", LIMIT))), "All 2 pods stay pending"),
        (
            plan(pods=2, filled=(Filled("n", ("a/p",)),), unplaced=(unplaced("a/q", LIMIT),)),
            "1 of 2 pods placed on 1 existing node",
        ),
    ],
)
def test_headline_counts_in_whole_sentences(given: Plan, line: str) -> None:
    assert headline(given).plain == line


@pytest.mark.parametrize(
    ("bound", "words"),
    [
        (0.4, "$0.400/h  proven lower bound: no plan is cheaper"),
        (0.32, "$0.320/h  proven lower bound: this plan is within 25.0% of the best"),
    ],
)
def test_bound_is_put_in_words(bound: float, words: str) -> None:
    given = plan(pods=1, launches=(launch("g-1", "a/p", capacity="on-demand"),), bound=Bound(bound))
    assert [line.plain.strip() for line in comparisons(given)] == [words]


def test_a_bound_of_zero_is_not_shown_as_a_proof() -> None:
    assert comparisons(plan(pods=1, launches=(launch("g-1", "a/p", on_demand=None),), bound=Bound(0.0))) == []


@pytest.mark.parametrize(
    ("first_fit", "words"),
    [(0.5, "20% saved"), (0.4, "the same"), (0.38, "5.3% less than here")],
)
def test_first_fit_is_compared(first_fit: float, words: str) -> None:
    given = plan(pods=1, launches=(launch("g-1", "a/p", on_demand=None),), first_fit_usd_per_hour=first_fit)
    assert [line.plain.strip() for line in comparisons(given)] == [
        f"${first_fit:.3f}/h  with first-fit packing: {words}"
    ]


def test_a_first_fit_plan_is_not_compared_with_itself() -> None:
    given = plan(
        pods=1, launches=(launch("g-1", "a/p", on_demand=None),), first_fit_usd_per_hour=0.4, packing="first-fit"
    )
    assert comparisons(given) == []


def test_footnote_names_catalog_and_prices_that_are_not_published() -> None:
    assert (
        footnote(PLATFORM, Prices("us-east-1", "2026-08-01"))
        == "Prices: us-east-1 catalog of 2026-08-01; spot prices are modelled."
    )
    assert footnote(EMPTY, Prices()) == "Prices: catalog without a date."


@pytest.mark.parametrize(
    ("amount", "text"), [(0.1234, "$0.123"), (9.9994, "$9.999"), (10.0, "$10.00"), (1234.5, "$1,234.50")]
)
def test_money_has_the_decimals_that_matter(amount: float, text: str) -> None:
    assert usd(amount) == text


def test_a_month_has_730_hours() -> None:
    assert usd_per_month(10) == "$7,300"


def test_columns_go_one_by_one_the_least_needed_first_and_some_never() -> None:
    columns = [table.Column(title, [Text("x" * 8)], drop=drop) for title, drop in (("a", 0), ("b", 2), ("c", 1))]
    assert ["".join(c.title for c in table.fitting(columns, width)) for width in (28, 27, 17, 3)] == [
        "abc",
        "ac",
        "a",
        "a",
    ]


@pytest.mark.parametrize(("share", "text"), [(0, "░░░░"), (0.01, "█░░░"), (0.5, "██░░"), (1, "████"), (1.2, "████")])
def test_bar_shows_any_use_at_all(share: float, text: str) -> None:
    assert table.bar(share, cells=4).plain == text
