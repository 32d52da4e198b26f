"""Points in time: RFC 3339 texts as objects carry them, and milliseconds since 1970 as decisions compare them."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache

from fretsaw.api.resources import duration_ns

Millis = int
"""A point in time, or a span of it, in milliseconds; points count from 1970-01-01T00:00:00Z."""

SECOND: Millis = 1000
MINUTE: Millis = 60 * SECOND
HOUR: Millis = 60 * MINUTE
DAY: Millis = 24 * HOUR


@lru_cache(maxsize=65536)
def millis(text: str) -> Millis:
    """The point in time that an RFC 3339 text names. Raises ValueError for anything else."""
    when = datetime.fromisoformat(text)
    if when.tzinfo is None:
        raise ValueError(f"no time zone: {text}")
    whole = int(when.replace(microsecond=0).timestamp())
    return whole * SECOND + when.microsecond // 1000


@lru_cache(maxsize=65536)
def rfc3339(when: Millis) -> str:
    """The text that an API server stores: whole seconds, UTC; what is beyond a second is cut off."""
    return datetime.fromtimestamp(when // SECOND, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def span(text: str) -> Millis | None:
    """A Go duration such as `1h30m` as a span; None for `Never`. Raises BadDuration."""
    return None if text == "Never" else duration_ns(text) // 1_000_000
