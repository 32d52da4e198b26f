"""The session with moto that these tests share is closed at their end."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from aws.launch.worlds import SHARED


@pytest.fixture(scope="session", autouse=True)
def shared_session(moto_server: object) -> Iterator[None]:
    yield
    SHARED.close()
