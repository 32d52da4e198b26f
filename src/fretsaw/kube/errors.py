"""What an API server, or the way to it, answers instead of what was asked for.

    ProviderError
    └── KubeError
        ├── Unreachable        no answer: refused, reset, timed out
        └── ApiError           an answer that says no (`status`, `reason`)
            ├── NotFound · Conflict · AlreadyExists · Expired
            └── TooManyRequests · Invalid · Denied

Source: kubernetes apimachinery, StatusReason.
"""

# ruff: noqa: N818 (named for what happened, as users would say it)

from __future__ import annotations

from typing import Any

import msgspec

from fretsaw.errors import ProviderError


class KubeError(ProviderError):
    """The Kubernetes API could not do it."""


class Unreachable(KubeError):
    """There was no answer in time, or none that could be read. Whether the request took effect is not known."""

    def __init__(self, server: str, why: str) -> None:
        super().__init__(server, why)
        self.server = server
        self.why = why

    def __str__(self) -> str:
        return f"{self.server}: the Kubernetes API does not answer: {self.why}"


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

    def __str__(self) -> str:
        return f"{self.what}: {self.status} {self.reason}: {self.message}"


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

    reason: str = ""
    message: str = ""
    code: int = 0
    details: dict[str, Any] | None = None


def of_answer(what: str, status: int, body: bytes, retry_after: str | None = None) -> ApiError:
    """The error of a refused request. A body that is no Status object is quoted."""
    try:
        told = msgspec.json.decode(body, type=_Status)
    except msgspec.MsgspecError:
        told = _Status(message=" ".join(body[:200].decode("utf-8", "replace").split()))
    return _built(what, status, told, retry_after, body)


def of_event(what: str, tree: bytes) -> ApiError:
    """The error that a watch tells in the place of an object."""
    try:
        told = msgspec.json.decode(tree, type=_Status)
    except msgspec.MsgspecError:
        told = _Status(message="a watch ended with an error that is no Status")
    return _built(what, told.code or 500, told, None, tree)


def _built(what: str, status: int, told: _Status, retry_after: str | None, body: bytes) -> ApiError:
    found = AlreadyExists if told.reason == "AlreadyExists" else _BY_STATUS.get(status, ApiError)
    return found(what, status, told.reason, told.message, _seconds(retry_after), body)


def _seconds(text: str | None) -> float | None:
    return float(text) if text is not None and text.isdigit() else None
