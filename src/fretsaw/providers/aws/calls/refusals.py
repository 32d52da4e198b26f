"""What goes wrong between us and AWS, as AwsErrors: a refusal with AWS's own code, or why there was no answer."""

from __future__ import annotations

from fretsaw.providers.aws.calls.asking import AwsError

NO_ANSWER = "NoAnswer"
NO_CREDENTIALS = "NoCredentials"
NOT_ASKED = "NotAsked"
"""The parameters do not fit the call, or there is no address for it: nothing was sent."""

THROTTLED = frozenset(
    {
        "BandwidthLimitExceeded",
        "EC2ThrottledException",
        "LimitExceededException",
        "PriorRequestNotComplete",
        "RequestLimitExceeded",
        "RequestThrottled",
        "RequestThrottledException",
        "SlowDown",
        "Throttling",
        "ThrottlingException",
        "ThrottledException",
        "TooManyRequestsException",
    }
)
"""Codes of a call that came too soon after too many others."""

EXPIRED = frozenset({"ExpiredToken", "ExpiredTokenException", "RequestExpired", "TokenRefreshRequired"})
"""Codes of credentials that were right once: the next call reads them anew."""

UNAUTHORIZED = frozenset({"AccessDenied", "AccessDeniedException", "UnauthorizedOperation"})
"""Codes of calls that IAM does not allow; each protocol has its own."""

WRONG_CREDENTIALS = frozenset(
    {
        "AuthFailure",
        "IncompleteSignature",
        "InvalidAccessKeyId",
        "InvalidClientTokenId",
        "SignatureDoesNotMatch",
        "UnrecognizedClientException",
    }
)
"""Codes of credentials that AWS does not know."""

DRY_RUN_PASSED = "DryRunOperation"
"""The code of a dry run that would have been allowed."""

_BUSY = frozenset({"InternalError", "InternalFailure", "InternalServerError", "ServiceUnavailable", "Unavailable"})


def refused(call: str, error: Exception) -> AwsError:
    """The AwsError for an exception of botocore or aiohttp."""
    # Imported here: the module is read by commands that ask AWS nothing, and botocore takes long to load.
    from botocore import exceptions  # type: ignore[import-untyped]

    if isinstance(error, exceptions.ClientError):
        return _answer(call, error.response)
    if isinstance(error, _of_the_way()):
        return AwsError(call, NO_ANSWER, _said(error), retry=True)
    if isinstance(error, _of_credentials()):
        return AwsError(call, NO_CREDENTIALS, _said(error), retry=True)
    return AwsError(call, NOT_ASKED, _said(error))


def _answer(call: str, response: object) -> AwsError:
    told = response if isinstance(response, dict) else {}
    said = told.get("Error") or {}
    status = (told.get("ResponseMetadata") or {}).get("HTTPStatusCode") or 0
    code = str(said.get("Code") or status or "Unknown")
    retry = code in THROTTLED or code in EXPIRED or code in _BUSY or status >= 500 or status == 429
    return AwsError(call, code, str(said.get("Message") or "no message"), retry=retry)


def _of_the_way() -> tuple[type[Exception], ...]:
    """What goes wrong with a connection, timeouts and answers of a stranger included."""
    from botocore import exceptions
    from botocore.parsers import ResponseParserError  # type: ignore[import-untyped]

    return (
        exceptions.ConnectionError,
        exceptions.HTTPClientError,
        ResponseParserError,
        OSError,
        TimeoutError,
    )


def _of_credentials() -> tuple[type[Exception], ...]:
    from botocore import exceptions

    return (
        exceptions.CredentialRetrievalError,
        exceptions.InvalidConfigError,
        exceptions.MetadataRetrievalError,
        exceptions.NoCredentialsError,
        exceptions.PartialCredentialsError,
        exceptions.ProfileNotFound,
        exceptions.SSOError,
        exceptions.TokenRetrievalError,
    )


def _said(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
