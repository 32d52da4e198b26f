"""TOML that is written reads as what it was made of."""

from __future__ import annotations

import tomllib
from datetime import date, datetime, time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fretsaw.providers.aws.boot.toml import dumps

_TEXT = st.text(st.characters(blacklist_categories=("Cs",)), max_size=8)
_PLAIN = st.one_of(
    st.booleans(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False),
    _TEXT,
    st.dates(),
    st.times(),
    st.datetimes(),
)
_VALUE = st.recursive(
    _PLAIN, lambda inside: st.lists(inside, max_size=3) | st.dictionaries(_TEXT, inside, max_size=3), max_leaves=12
)


@given(st.dictionaries(_TEXT, _VALUE, max_size=4))
def test_it_reads_back(table: dict[str, Any]) -> None:
    assert tomllib.loads(dumps(table)) == table


@pytest.mark.parametrize(
    ("table", "text"),
    [
        ({"b": 1, "a": {"x": {}, "y": 2}}, "b = 1\n\n[a]\ny = 2\n\n[a.x]\n"),
        ({"a": [{"n": 1}, {"n": 2}]}, "[[a]]\nn = 1\n\n[[a]]\nn = 2\n"),
        ({"a": [[{"n": 1}], 2]}, "a = [[{ n = 1 }], 2]\n"),
        ({"a.b": "\x7f\n", "c": date(2026, 1, 2)}, '"a.b" = "\\u007f\\n"\nc = 2026-01-02\n'),
        ({"t": time(1, 2), "d": datetime(2026, 1, 2, 3)}, "d = 2026-01-02T03:00:00\nt = 01:02:00\n"),
        ({}, "\n"),
    ],
)
def test_it_looks_so(table: dict[str, Any], text: str) -> None:
    assert dumps(table) == text
