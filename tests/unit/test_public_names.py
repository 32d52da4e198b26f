"""What `from fretsaw import …` offers: a change of this list is a change for every user."""

from __future__ import annotations

import inspect

import pytest

import fretsaw


def test_the_public_names() -> None:
    assert sorted(fretsaw.__all__) == ["__version__", "load", "plan"]
    assert set(fretsaw.__all__) <= set(dir(fretsaw))


def test_each_public_name_is_there_and_documented() -> None:
    assert inspect.getdoc(fretsaw.load)
    assert inspect.getdoc(fretsaw.plan)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'fretsaw' has no attribute 'simulate'"):
        _ = fretsaw.simulate  # type: ignore[attr-defined]
