"""The texts of a scenario's scalars."""

from __future__ import annotations

import re
from typing import Any

import jsonschema
import pytest

from fretsaw.sim.scenario import units as u
from fretsaw.sim.spread import Spread

RIGHT = [
    (u.DURATION, "7d", 604_800_000), (u.DURATION, "1d12h", 129_600_000), (u.DURATION, "1h30m", 5_400_000),
    (u.DURATION, "500ms", 500), (u.DURATION, "1.5h", 5_400_000), (u.DURATION, 0, 0), (u.DURATION, "0s", 0),
    (u.RATE, "2.5/s", 2.5), (u.RATE, "30/m", 0.5), (u.RATE, "3600/h", 1.0), (u.RATE, "86400/d", 1.0),
    (u.HAZARD, "5%/h", 0.05), (u.HAZARD, "24%/d", 0.01), (u.HAZARD, "72%/month", 0.001),
    (u.SHARE, "1%", 0.01), (u.SHARE, "100%", 1.0), (u.SHARE, 0.25, 0.25), (u.SHARE, 1, 1.0),
    (u.SIZE, "9.35GB", 9_350_000_000), (u.SIZE, "512Mi", 512 * 2**20), (u.SIZE, "1GiB", 2**30), (u.SIZE, "7", 7),
    (u.SIZE, "10KB", 10_000), (u.BYTES_PER_SECOND, "300MB/s", 300_000_000),
    (u.CLOCK, "14:30", 52_200_000), (u.CLOCK, "00:00", 0),
    (u.TIME, "2026-01-05T00:00:00Z", 1_767_571_200_000), (u.TIME, "2026-01-05T09:00:00+09:00", 1_767_571_200_000),
    (u.CRON, "0 22 * * *", "0 22 * * *"), (u.CRON, "@daily", "@daily"),
    (u.SPREAD, "2m", Spread.fixed(120_000)), (u.SPREAD, {"mean": "2h"}, Spread(7_200_000, 7_200_000, 7_200_000, 7_200_000)),
    (u.SPREAD, {"low": "1m", "high": "3m"}, Spread(60_000, 120_000, 180_000)),
    (u.SPREAD, {"low": "1m", "typical": "1m", "high": "3m"}, Spread(60_000, 60_000, 180_000)),
    (u.TEXTS, "a", ("a",)), (u.TEXTS, ["a", "b"], ("a", "b")), (u.OBJECT, {"kind": "Pod"}, {"kind": "Pod"}),
]  # fmt: skip


@pytest.mark.parametrize(("unit", "text", "value"), RIGHT, ids=lambda case: getattr(case, "name", repr(case)))
def test_a_text_becomes_a_number_and_fits_the_schema(unit: u.Unit, text: Any, value: Any) -> None:
    assert unit.parse(text) == value
    jsonschema.validate(text, unit.schema)


WRONG = [
    (u.DURATION, 30, "did you mean 30s?"), (u.DURATION, "7 days", "such as 30m"), (u.DURATION, "-1h", "such as 30m"),
    (u.DURATION, "", "such as 30m"), (u.DURATION, "d", "such as 30m"), (u.DURATION, True, "such as 30m"),
    (u.DURATION, "9999d", "such as 7d"), (u.DURATION, None, "such as 30m"), (u.DURATION, "1h2d", "such as 30m"),
    (u.RATE, "2", "such as 2.5/s"), (u.RATE, "-2/s", "such as 2.5/s"), (u.RATE, "2/w", "such as 2.5/s"),
    (u.HAZARD, "5/h", "such as 5%/h"), (u.SHARE, "101%", "at most 100%"), (u.SHARE, 2, "such as 5%"),
    (u.SHARE, True, "such as 5%"), (u.SIZE, "9 GB", "such as 9.35GB"), (u.BYTES_PER_SECOND, "300MB", "such as 300MB/s"),
    (u.CLOCK, "24:00", "14:00"), (u.CLOCK, "9:00", "14:00"), (u.TIME, "2026-01-05", "such as 2026"),
    (u.TIME, "0001-01-01T00:00:00Z", "such as 2026"), (u.TIME, "yesterday", "such as 2026"), (u.TIME, 5, "such as 2026"),
    (u.CRON, "0 22 * *", "4 fields"), (u.CRON, 5, "such as"), (u.CRON, "61 * * * *", "not within"),
    (u.SPREAD, {"low": "3m", "high": "1m"}, "low: 1m"), (u.SPREAD, {"typical": "3m"}, "low: 1m"),
    (u.SPREAD, {"mean": "3m", "low": "1m"}, "low: 1m"), (u.SPREAD, {"low": 3, "high": "4m"}, "did you mean 3s?"),
    (u.TEXTS, [], "g5"), (u.TEXTS, [3], "g5"), (u.TEXTS, {"a": 1}, "g5"), (u.OBJECT, [], "apiVersion"),
]  # fmt: skip


@pytest.mark.parametrize(("unit", "text", "right"), WRONG, ids=lambda case: getattr(case, "name", repr(case)))
def test_a_wrong_text_says_what_would_be_right(unit: u.Unit, text: Any, right: str) -> None:
    with pytest.raises(u.BadText) as error:
        unit.parse(text)
    assert right in error.value.right


def test_a_spread_names_the_part_that_is_wrong() -> None:
    with pytest.raises(u.BadText) as error:
        u.SPREAD.parse({"low": "1m", "high": "soon"})
    assert error.value.path == ".high"


def test_patterns_of_the_schema_are_plain_enough_for_editors() -> None:
    for unit in (u.DURATION, u.RATE, u.HAZARD, u.SIZE, u.CLOCK):
        for part in unit.schema.get("anyOf", [unit.schema]):
            if "pattern" in part:
                re.compile(part["pattern"])
                assert "(?P" not in part["pattern"]
