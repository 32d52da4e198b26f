"""Stores of numbers, and the text that they become: read back by the client library."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from fretsaw.api.times import MINUTE, SECOND
from fretsaw.controllers.telemetry.families import (
    DURATIONS,
    OBJECTIVES,
    Counter,
    Family,
    Gauge,
    Histogram,
    Store,
    Summary,
    exposed,
    inner,
    line,
    number,
)


def read(store: Store, now: int = 0) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """A store's numbers as the client library reads them."""
    text = "\n".join(exposed(store.family, store.lines(now))) + "\n"
    (family,) = text_string_to_metric_families(text)
    assert family.type == store.family.type
    return {(s.name, tuple(sorted(s.labels.items()))): s.value for s in family.samples}


def test_a_counter_adds_by_labels() -> None:
    counter = Counter(Family("x_total", "counter", ("a", "b"), "Help."))
    counter.add("1", "2")
    counter.add("1", "2", by=2.5)
    counter.add("1", "3")
    assert read(counter) == {
        ("x_total", (("a", "1"), ("b", "2"))): 3.5,
        ("x_total", (("a", "1"), ("b", "3"))): 1,
    }


def test_a_cleared_counter_is_as_it_began() -> None:
    counter = Counter(Family("x_total", "counter", ("a",), "Help."), ("known",))
    counter.add("known")
    counter.add("other")
    counter.clear()
    assert read(counter) == {("x_total", (("a", "known"),)): 0}


def test_a_family_without_series_is_not_told() -> None:
    counter = Counter(Family("x_total", "counter", ("a",), "Help."))
    assert list(exposed(counter.family, counter.lines(0))) == []


def test_a_histogram_counts_up_to_each_bound_and_the_bound_itself() -> None:
    histogram = Histogram(Family("x_seconds", "histogram", (), "Help.", (0.5, 1, 2_592_000)))
    for value in (0.5, 0.75, 1, 3, 1e9):
        histogram.observe(value)
    assert list(histogram.lines(0)) == [
        'x_seconds_bucket{le="0.5"} 1',
        'x_seconds_bucket{le="1"} 3',
        'x_seconds_bucket{le="2.592e+06"} 4',
        'x_seconds_bucket{le="+Inf"} 5',
        "x_seconds_sum 1000000005.25",
        "x_seconds_count 5",
    ]


def test_a_histogram_with_labels_keeps_them_apart() -> None:
    histogram = Histogram(Family("x_seconds", "histogram", ("pool",), "Help.", (1,)))
    histogram.observe(0.5, "a")
    histogram.observe(2, "b")
    found = read(histogram)
    assert found["x_seconds_bucket", (("le", "1"), ("pool", "a"))] == 1
    assert found["x_seconds_bucket", (("le", "1"), ("pool", "b"))] == 0
    assert found["x_seconds_count", (("pool", "b"),)] == 1


def test_the_duration_buckets_are_sorted() -> None:
    assert list(DURATIONS) == sorted(set(DURATIONS))
    assert len(DURATIONS) == 45


def test_a_summary_ranks_what_its_window_holds() -> None:
    summary = Summary(Family("x_seconds", "summary", (), "Help."))
    for value in range(100, 0, -1):
        summary.observe(0, float(value))
    assert summary.quantiles(SECOND) == (1, 50, 90, 99, 100)
    summary.observe(9 * MINUTE, 1000.0)
    assert summary.quantiles(10 * MINUTE) == (1000,) * 5
    assert all(math.isnan(q) for q in summary.quantiles(30 * MINUTE))
    found = read(summary, 30 * MINUTE)
    assert found["x_seconds_count", ()] == 101
    assert found["x_seconds_sum", ()] == 5050 + 1000
    assert math.isnan(found["x_seconds", (("quantile", "0.99"),)])


def test_a_summary_keeps_only_so_many() -> None:
    summary = Summary(Family("x_seconds", "summary", (), "Help."), most=3)
    for value in range(10):
        summary.observe(0, float(value))
    assert summary.quantiles(1) == (7, 8, 9, 9, 9)
    assert summary.count() == 10


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=50))
def test_a_quantile_is_the_least_value_that_covers_its_share(values: list[float]) -> None:
    summary = Summary(Family("x_seconds", "summary", (), "Help."))
    for value in values:
        summary.observe(0, value)
    for q, found in zip(OBJECTIVES, summary.quantiles(1), strict=True):
        assert found in values
        assert sum(value <= found for value in values) >= q * len(values)
        assert sum(value < found for value in values) < max(q * len(values), 1)


@pytest.mark.parametrize(("value", "text"), [(3, "3"), (0.1, "0.1"), (math.inf, "+Inf"), (math.nan, "NaN")])
def test_numbers_as_prometheus_writes_them(value: float, text: str) -> None:
    assert number(value) == text


@given(st.text(st.characters(exclude_categories=("Cs",)), max_size=20))
def test_any_label_value_is_read_back(value: str) -> None:
    text = line("x", inner(("a",), (value,)), 1)
    (family,) = text_string_to_metric_families(f"# TYPE x gauge\n{text}\n")
    assert family.samples[0].labels == {"a": value}


def test_a_gauge_says_what_was_said_last() -> None:
    gauge = Gauge(Family("x", "gauge", ("a",), "Help."))
    gauge.set(1, "k")
    gauge.set(2, "k")
    assert read(gauge) == {("x", (("a", "k"),)): 2}
