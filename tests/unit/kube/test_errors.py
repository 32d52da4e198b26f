"""A refusal says what, why and how long to wait, whatever its body looks like."""

from __future__ import annotations

import json

import pytest

from fretsaw.kube.errors import (
    LONGEST_RETRY_AFTER_S,
    AlreadyExists,
    ApiError,
    Conflict,
    Denied,
    Expired,
    Invalid,
    NotFound,
    NotUnderstood,
    TooManyRequests,
    Unreachable,
    of_answer,
    of_event,
)
from support.api_store import encoded, status

DATE = "Sun, 06 Nov 1994 08:49:37 GMT"


@pytest.mark.parametrize(
    ("code", "reason", "expected"),
    [
        (400, "BadRequest", Invalid),
        (401, "Unauthorized", Denied),
        (403, "Forbidden", Denied),
        (404, "NotFound", NotFound),
        (409, "Conflict", Conflict),
        (409, "AlreadyExists", AlreadyExists),
        (410, "Expired", Expired),
        (422, "Invalid", Invalid),
        (429, "TooManyRequests", TooManyRequests),
        (302, "", ApiError),
        (503, "ServiceUnavailable", ApiError),
    ],
)
def test_status_becomes_an_error_of_its_kind(code: int, reason: str, expected: type[ApiError]) -> None:
    error = of_answer("GET /x", code, encoded(status(code, reason, "why")))
    assert (type(error), error.status, error.reason, error.message) == (expected, code, reason, "why")


@pytest.mark.parametrize(
    "body",
    [
        b"<html>Bad\n Gateway</html>",
        b"[]",
        b'"text"',
        b"\xff\xfe",
        b'{"reason": 5}',
        b'{"details": "x"}',
        b"{",
        b'{"reason":"\xff"}',
    ],
)
def test_body_that_is_no_status_is_quoted(body: bytes) -> None:
    error = of_answer("GET /x", 502, body)
    assert (type(error), error.status, error.reason) == (ApiError, 502, "")
    assert error.message == " ".join(body.decode("utf-8", "replace").split())


def test_status_may_have_nulls() -> None:
    body = json.dumps({"kind": "Status", "reason": None, "message": None, "details": None}).encode()
    assert str(of_answer("GET /x", 500, body)) == "GET /x: 500: without a word"


@pytest.mark.parametrize(
    ("header", "date", "seconds"),
    [
        (None, None, None),
        ("1", None, 1.0),
        (" 7 ", None, 7.0),
        ("0", None, None),
        ("-3", None, None),
        ("1.5", None, None),
        ("soon", DATE, None),
        ("²", None, None),
        ("", None, None),
        ("99999999999999999999", None, LONGEST_RETRY_AFTER_S),
        ("Sun, 06 Nov 1994 08:49:40 GMT", DATE, 3.0),
        ("Sun, 06 Nov 1994 08:49:30 GMT", DATE, None),
        ("Sun, 06 Nov 2094 08:49:30 GMT", DATE, LONGEST_RETRY_AFTER_S),
        ("Sun, 06 Nov 1994 08:49:40 GMT", None, None),
        ("Sun, 06 Nov 1994 08:49:40 GMT", "yesterday", None),
        ("Sun, 06 Nov 1994 08:49:40 GMT", "Sun, 06 Nov 1994 08:49:37 -0000", None),
    ],
)
def test_retry_after_is_a_number_or_a_date_and_never_absurd(
    header: str | None, date: str | None, seconds: float | None
) -> None:
    assert of_answer("GET /x", 429, b"{}", header, date).retry_after_s == seconds


@pytest.mark.parametrize(
    ("told", "seconds"), [(2, 2.0), (10**9, LONGEST_RETRY_AFTER_S), (-1, None), ("5", None), (None, None)]
)
def test_status_may_say_how_long_to_wait_itself(told: object, seconds: float | None) -> None:
    body = encoded(status(429, retryAfterSeconds=told))
    assert of_answer("GET /x", 429, body).retry_after_s == seconds
    assert of_answer("GET /x", 429, body, "1").retry_after_s == 1.0


@pytest.mark.parametrize(
    ("tree", "kind", "code"),
    [
        (encoded(status(410)), Expired, 410),
        (encoded(status(500)), ApiError, 500),
        (b"{}", ApiError, 500),
        (b"[1]", ApiError, 500),
    ],
)
def test_error_of_a_watch(tree: bytes, kind: type[ApiError], code: int) -> None:
    error = of_event("watch Pod", tree)
    assert (type(error), error.status) == (kind, code)


def test_errors_are_sentences() -> None:
    assert str(Unreachable("https://h", "reset")) == "https://h: the Kubernetes API does not answer: reset"
    assert str(NotUnderstood("GET /x", "no JSON")) == "GET /x: not an answer of a Kubernetes API: no JSON"
    gone = of_answer("GET /x", 404, encoded(status(404, message="no pod p")))
    assert str(gone) == "GET /x: 404 NotFound: no pod p"
