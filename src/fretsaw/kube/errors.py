"""What an API server, or the way to it, answers instead of what was asked for.

    ProviderError
    └── KubeError
        ├── Unreachable        no answer: refused, reset, timed out, cut off
        ├── NotUnderstood      an answer that is not what a Kubernetes API says: no JSON, the wrong shape, endless
        └── ApiError           an answer that says no (`status`, `reason`)
            ├── NotFound · Conflict · AlreadyExists · Expired
            └── TooManyRequests · Invalid · Denied

Source: kubernetes apimachinery, StatusReason.
"""

# ruff: noqa: N818 (named for what happened, as users would say it)

from __future__ import annotations

from email.utils import parsedate_to_datetime
from typing import Any

import msgspec

from fretsaw.errors import ProviderError

LONGEST_RETRY_AFTER_S = 30.0
"""A server, or a proxy before it, that asks for more is asked again by then: it may not silence us for hours."""
BUSY = frozenset({429, 500, 502, 503, 504})
"""Statuses that another try may change."""

NO_JSON = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What the reader of JSON raises for text that is none, or of another shape."""


class KubeError(ProviderError):
    """The Kubernetes API could not do it."""


class Unreachable(KubeError):
    """There was no answer in time, or only a part of one. Whether the request took effect is not known."""

    def __init__(self, server: str, why: str) -> None:
        super().__init__(server, why)
        self.server = server
        self.why = why

    def __str__(self) -> str:
        return f"{self.server}: the Kubernetes API does not answer: {self.why}"


class NotUnderstood(KubeError):
    """Something answered that does not speak like a Kubernetes API, such as a proxy with a page of its own."""

    def __init__(self, what: str, why: str) -> None:
        super().__init__(what, why)
        self.what = what
        """Verb and path, as they were asked for."""
        self.why = why

    def __str__(self) -> str:
        return f"{self.what}: not an answer of a Kubernetes API: {self.why}"


class ApiError(KubeError):
    """The server's Status. retry_after_s: what it asks to wait, None where it does not say."""

    def __init__(
        self, what: str, status: int, reason: str, message: str, retry_after_s: float | None = None, body: bytes = b""
    ) -> None:
        super().__init__(what, status, reason, message)
        self.what = what
        """Verb and path, as they were asked for."""
        self.status = status
        self.reason = reason
        self.message = message
        self.retry_after_s = retry_after_s
        self.body = body

    @property
    def busy(self) -> bool:
        """Whether another try may change the answer."""
        return self.status in BUSY

    def __str__(self) -> str:
        reason = f" {self.reason}" if self.reason else ""
        return f"{self.what}: {self.status}{reason}: {self.message or 'without a word'}"


class NotFound(ApiError):
    """There is no such object, or no such kind."""


class Conflict(ApiError):
    """The object has changed meanwhile, or another one has its uid."""


class AlreadyExists(ApiError):
    """There is an object of that name."""


class Expired(ApiError):
    """The resource version is too old to watch from, or the page's token to continue with: list anew."""


class TooManyRequests(ApiError):
    """The server is busy, or a PodDisruptionBudget says no."""


class Invalid(ApiError):
    """The object is not one that the server takes."""


class Denied(ApiError):
    """We are not known, or may not do that."""


_BY_STATUS: dict[int, type[ApiError]] = {
    400: Invalid,
    401: Denied,
    403: Denied,
    404: NotFound,
    409: Conflict,
    410: Expired,
    422: Invalid,
    429: TooManyRequests,
}


class _Status(msgspec.Struct):
    """The part of a Status object that is read."""

    reason: str | None = None
    message: str | None = None
    code: int | None = None
    details: dict[str, Any] | None = None


def of_answer(what: str, status: int, body: bytes, retry_after: str | None = None, date: str | None = None) -> ApiError:
    """The error of a refused request. A body that is no Status object is quoted.

    retry_after, date: the headers of these names; a Retry-After that is a date counts from the server's own.
    """
    try:
        told = msgspec.json.decode(body, type=_Status)
    except NO_JSON:
        told = _Status(message=" ".join(body[:200].decode("utf-8", "replace").split()))
    return _built(what, status, told, _seconds(retry_after, date), body)


def of_event(what: str, tree: bytes) -> ApiError:
    """The error that a watch tells in the place of an object."""
    try:
        told = msgspec.json.decode(tree, type=_Status)
    except NO_JSON:
        told = _Status(message="a watch ended with an error that is no Status")
    return _built(what, told.code or 500, told, None, tree)


def _built(what: str, status: int, told: _Status, asked_s: float | None, body: bytes) -> ApiError:
    found = AlreadyExists if told.reason == "AlreadyExists" else _BY_STATUS.get(status, ApiError)
    if asked_s is None:
        asked_s = _capped((told.details or {}).get("retryAfterSeconds"))
    return found(what, status, told.reason or "", told.message or "", asked_s, body)


def _seconds(text: str | None, date: str | None) -> float | None:
    """Of a Retry-After header. Source: RFC 9110, 10.2.3 (a number of seconds, or a date)."""
    if text is None:
        return None
    if text.strip().isdecimal():
        return _capped(int(text))
    try:
        return _capped((parsedate_to_datetime(text) - parsedate_to_datetime(date or "")).total_seconds())
    except (ValueError, TypeError):
        return None


def _capped(seconds: object) -> float | None:
    if not isinstance(seconds, int | float) or seconds <= 0:
        return None
    return min(float(seconds), LONGEST_RETRY_AFTER_S)
