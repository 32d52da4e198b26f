"""Fixtures of the AWS provider's tests: one moto server for the process, as new for each test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from support.aws import Moto


@pytest.fixture(scope="session")
def moto_server() -> Iterator[Moto]:
    server = Moto.start()
    yield server
    server.stop()


@pytest.fixture
def moto(moto_server: Moto, monkeypatch: pytest.MonkeyPatch) -> Moto:
    """AWS, seeded and with nothing scripted; the process's environment points to it."""
    moto_server.reset()
    for name, value in moto_server.environment.items():
        monkeypatch.setenv(name, value)
    return moto_server
