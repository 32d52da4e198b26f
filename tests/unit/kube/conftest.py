"""Clients that lose no time."""

from __future__ import annotations

import pytest

from fretsaw.kube import http, reflector


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Waits of milliseconds, in the same proportions."""
    monkeypatch.setattr(http, "FIRST_WAIT_S", 0.002)
    monkeypatch.setattr(http, "LONGEST_WAIT_S", 0.02)
    monkeypatch.setattr(reflector, "FIRST_WAIT_S", 0.002)
    monkeypatch.setattr(reflector, "LONGEST_WAIT_S", 0.04)
    monkeypatch.setattr(reflector, "MISSING_WAIT_S", 0.02)
