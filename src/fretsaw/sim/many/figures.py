"""The figures of a run that comparisons and sweeps keep, by the words that expectations use for them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import msgspec

from fretsaw.api.rules_text import near
from fretsaw.errors import UserError
from fretsaw.sim.scenario.expect import parse
from fretsaw.sim.scenario.measures import MEASURES, REASONS, Query, Unmeasured
from fretsaw.sim.scenario.units import BadText

Result = dict[str, Any]
SUFFIXES: Final = {"money": "_usd", "money/h": "_usd_per_hour", "duration": "_seconds", "share": "_share"}


class Figure(msgspec.Struct, frozen=True):
    """Something that is measured in every run."""

    name: str
    unit: str
    """money (USD), money/h, duration (seconds), share (0 to 1), hours or count."""
    measure: Callable[[Result], float]
    more_is_better: bool = False

    @property
    def column(self) -> str:
        """Its name in tables for programs, unit included."""
        return self.name.lower().replace("-", "_").replace(" ", "_") + SUFFIXES.get(self.unit, "")

    def of(self, result: Result) -> float | None:
        """The value in a run; None where there is nothing to measure, such as the landing of no planned pod."""
        try:
            return self.measure(result)
        except Unmeasured:
            return None


def _measured(name: str, query: Query, *, more_is_better: bool = False) -> Figure:
    measure = MEASURES[query.measure]
    return Figure(name, measure.unit, lambda result: measure.value(query, result, None), more_is_better)


def _failed(result: Result) -> float:
    return float(sum(not expectation["ok"] for expectation in result["expectations"]))


FIGURES: Final[tuple[Figure, ...]] = (
    *(_measured(name, Query(name)) for name in ("cost", "spot cost", "on-demand cost", "idle GPU cost", "GPU hours")),
    *(_measured(name, Query(name)) for name in ("p50 wait", "p90 wait", "p99 wait", "longest wait", "pending pods")),
    _measured("succeeded pods", Query("succeeded pods"), more_is_better=True),
    *(_measured(name, Query(name)) for name in ("interruptions", "lost work")),
    *(_measured(f"disruptions for {reason}", Query("disruptions", reason=reason)) for reason in REASONS),
    *(_measured(name, Query(name)) for name in ("launched nodes", "peak nodes", "insufficient capacity")),
    _measured("planned landing", Query("planned landing"), more_is_better=True),
    Figure("expectations failed", "count", _failed),
    _measured("violations", Query("violations")),
)
"""What every comparison and every sweep has, in this order."""
_BY_NAME: Final = {figure.name: figure for figure in FIGURES}


def known(name: str, where: str) -> Figure:
    """One of FIGURES. where: what the user gave it to. Raises UserError with what was meant."""
    found = _BY_NAME.get(name)
    if found is None:
        meant = near(name, tuple(_BY_NAME))
        right = f"did you mean {meant}?" if meant else f"known: {', '.join(_BY_NAME)}"
        raise UserError(where, "no such figure", f'"{name}"', right)
    return found


def figure(text: str) -> Figure:
    """One of FIGURES, or another measure of expectations, such as `p99 wait of ml-serving`. Raises BadText."""
    name = " ".join(text.split())
    return _BY_NAME.get(name) or _asked(name)


def _asked(name: str) -> Figure:
    try:
        query = parse(f"{name} = 0").query
    except BadText:
        query = parse(f"{name} = 0%").query  # shares want their sign; anything else is told what is wrong with it
    if query.measure == "noted":
        raise BadText("a figure: what the journal notes is not kept of many runs", "a figure of the result")
    return _measured(name, query)
