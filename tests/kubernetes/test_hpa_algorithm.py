"""The autoscaler's arithmetic as tables, and its laws."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from fretsaw.sim.hpa import algorithm as a
from fretsaw.sim.hpa import behavior as b

TABLE = yaml.safe_load((Path(__file__).parent / "hpa_algorithm.yaml").read_text())


def rows(kind: str) -> Any:
    return pytest.mark.parametrize("row", [pytest.param(row, id=row["name"]) for row in TABLE[kind]])


def milli(value: float) -> int:
    return round(value * 1000)


def tolerance(row: dict[str, Any]) -> a.Tolerance:
    return a.Tolerance(**row.get("tolerance", {}))


def test_each_row_names_its_source() -> None:
    assert all(row["source"] for kind in TABLE.values() for row in kind)


@rows("average")
def test_average(row: dict[str, Any]) -> None:
    pods = a.PodReadings(tuple(map(milli, row["values"])), row.get("unready", 0), row.get("missing", 0))
    found = a.by_average(row["current"], pods, milli(row["target"]), tolerance(row))
    assert found == a.Proposal(row["replicas"], milli(row["shown"]))


@rows("utilization")
def test_utilization(row: dict[str, Any]) -> None:
    used = tuple(map(tuple, row["used"]))
    pods = a.UsageReadings(used, tuple(row.get("unready", ())), tuple(row.get("missing", ())))
    found = a.by_utilization(row["current"], pods, row["target"], tolerance(row))
    assert found == a.Proposal(row["replicas"], row["shown"], row["utilization"])


@rows("value")
def test_value(row: dict[str, Any]) -> None:
    found = a.by_value(row["current"], row["ready"], milli(row["value"]), milli(row["target"]), a.Tolerance())
    assert found == a.Proposal(row["replicas"], milli(row["shown"]))


@rows("share")
def test_share(row: dict[str, Any]) -> None:
    found = a.by_share(row["made"], milli(row["value"]), milli(row["target"]), a.Tolerance())
    assert found == a.Proposal(row["replicas"], milli(row["shown"]))


@rows("largest")
def test_largest(row: dict[str, Any]) -> None:
    proposals = [a.Failure("FailedGetPodsMetric", "no") if n is None else a.Proposal(n, 0) for n in row["proposals"]]
    found = a.largest(row["current"], proposals)
    assert (None if found is None else row["proposals"][found]) == row["picked"]


counts = st.integers(0, 20)
targets = st.integers(1, 200_000)


@given(st.lists(st.integers(0, 300_000), min_size=1, max_size=20), counts, counts, targets, st.integers(1, 40))
def test_pods_that_do_not_count_never_turn_the_direction_round(values, unready, missing, target, current) -> None:
    with_others = a.by_average(current, a.PodReadings(tuple(values), unready, missing), target, a.Tolerance())
    ratio = sum(values) // len(values) / target
    if ratio > 1.0 and (unready or missing):
        assert with_others.replicas >= current
    if ratio < 1.0 and missing:
        assert with_others.replicas <= current


policies = st.builds(b.Policy, st.booleans(), st.integers(1, 150), st.integers(1, 30).map(lambda n: n * 15_000))
rules = st.builds(
    b.Rules,
    st.integers(0, 20).map(lambda n: n * 15_000),
    st.sampled_from(["Max", "Min", "Disabled"]),
    st.lists(policies, min_size=1, max_size=3).map(tuple),
    st.just(0.1),
)
ways = st.builds(lambda least, more, up, down, plain: b.Ways(least, least + more, up, down, plain),
                 st.integers(1, 5), st.integers(0, 40), rules, rules, st.booleans())  # fmt: skip
proposals = st.lists(st.integers(0, 60), min_size=1, max_size=60)


class Twin:
    """Every recommendation and change, and windows read off them as the documentation words it."""

    def __init__(self, current: int) -> None:
        self.recommended = [(current, 0)]
        self.changes: list[tuple[int, int]] = []

    def window(self, length: int, now: int) -> list[int]:
        return [replicas for replicas, when in self.recommended if when > now - length]

    def stable(self, w: b.Ways, current: int, proposed: int, now: int) -> int:
        if w.plain:
            return max([proposed, *self.window(300_000, now)])
        least = min([proposed, *self.window(w.up.window, now)])
        most = max([proposed, *self.window(w.down.window, now)])
        return most if current > most else least if current < least else current

    def start(self, current: int, period: int, now: int) -> int:
        return current - sum(change for when, change in self.changes if when > now - period)


BACK_ABOVE_WHERE_IT_STARTED = b.Ways(
    1,
    4,
    b.Rules(0, "Max", (b.Policy(False, 3, 15_000),), 0.1),
    b.Rules(0, "Min", (b.Policy(False, 1, 15_000), b.Policy(False, 1, 30_000)), 0.1),
    False,
)
"""Up by three and down by one within 30 s: that is no move down from where the 30 s began."""


@example(BACK_ABOVE_WHERE_IT_STARTED, [4, 0], 0)
@given(ways, proposals, st.integers(0, 40))
def test_outcomes_stay_within_bounds_and_rates_and_windows_agree_with_a_plain_list(w, proposed, more) -> None:
    current = min(w.least + more, w.most)
    history, twin = b.History(current, 0), Twin(current)
    for step, wanted in enumerate(proposed):
        now = step * 15_000
        stable = twin.stable(w, current, wanted, now)
        outcome = b.settle(w, history, current, wanted, now)
        assert w.least <= outcome.replicas <= w.most
        assert min(current, stable, w.most) <= max(outcome.replicas, w.least)
        assert outcome.replicas <= max(current, stable, w.least)
        if not w.plain:
            check_rates(w, twin, current, outcome.replicas, now)
        free = outcome.limited == "DesiredWithinRange"
        assert (outcome.replicas == stable) == free
        assert (outcome.able == "ReadyForNewScale") == (stable == wanted)
        twin.recommended.append((wanted, now))
        if outcome.replicas != current and not w.plain:
            history.scaled(outcome.replicas - current, now)
            twin.changes.append((now, outcome.replicas - current))
        current = outcome.replicas


def check_rates(w: b.Ways, twin: Twin, current: int, replicas: int, now: int) -> None:
    """No policy that is to bind (all of them with Min, one of them with Max) is exceeded."""
    side = w.up if replicas > current else w.down
    if replicas == current:
        return
    assert side.select != "Disabled"
    kept = []
    for policy in side.policies:
        start = twin.start(current, policy.period, now)
        change = replicas - start if replicas > current else start - replicas
        if policy.percent:
            kept.append(change <= start * policy.value / 100 + 1)
        else:
            kept.append(change <= policy.value)
    assert all(kept) if side.select == "Min" else any(kept)
