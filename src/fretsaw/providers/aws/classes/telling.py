"""What a call that failed means for whoever reads a condition: what failed, and what to do about it.

A text is the same for every call that failed alike: request ids and encoded details would make the class another one
at each look, and a class that has changed is looked at again.
"""

from __future__ import annotations

import re

from fretsaw.providers.aws.calls.asking import AwsError
from fretsaw.providers.aws.calls.refusals import (
    NO_ANSWER,
    NO_CREDENTIALS,
    THROTTLED,
    UNAUTHORIZED,
    WRONG_CREDENTIALS,
)

_PASSING = re.compile(
    r"\s*Encoded authorization failure message: \S+"
    r"|\s*\(?\brequest ?id:? ?[0-9a-f-]{8,}\)?"
    r"|\s*\(Service: [^)]*\)",
    re.IGNORECASE,
)
_POLICY = "the policy of the role that fretsaw runs as; `fretsaw aws iam-policy` prints what it needs"


def told(error: AwsError) -> str:
    """One sentence, with what is to be done where somebody has to do something."""
    if error.code in UNAUTHORIZED:
        return f"not allowed to call {error.call}{_denied_by(error.message)}"
    if error.code == NO_CREDENTIALS or error.code in WRONG_CREDENTIALS:
        return f"{error.call}: AWS knows no credentials of ours ({error.code}): give fretsaw's service account a role"
    if error.code in THROTTLED:
        return f"{error.call}: AWS takes no more calls for now ({error.code}); asked again soon"
    if error.code == NO_ANSWER:
        return f"{error.call}: no answer; in a network without internet, the service needs a VPC endpoint"
    return f"{error.call}: {error.code}: {lasting(error.message)}"


def lasting(message: str) -> str:
    """A message without what differs from call to call."""
    return " ".join(_PASSING.sub("", message).split())


def _denied_by(message: str) -> str:
    if "explicit deny in a service control policy" in message:
        return ": a service control policy of the organization denies it (allow it there)"
    if "explicit deny in a permissions boundary" in message:
        return ": the permissions boundary of fretsaw's role denies it (allow it there)"
    if "explicit deny" in message:
        return ": a policy denies it (take the denial back)"
    return f": no policy allows it (add it to {_POLICY})"
