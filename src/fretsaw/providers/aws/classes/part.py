"""One thing that was looked at for a class: what came of it, as a condition and as fields of the status."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import msgspec

from fretsaw.providers.aws.calls.asking import AwsError
from fretsaw.providers.aws.classes.telling import told

AMIS = "AMIsReady"
RESERVATIONS = "CapacityReservationsReady"
PLACEMENT = "PlacementGroupReady"
SUBNETS = "SubnetsReady"
GROUPS = "SecurityGroupsReady"
PROFILE = "InstanceProfileReady"
VALID = "ValidationSucceeded"


class Trouble(msgspec.Struct, frozen=True):
    """Something that could not be done. passing: whether it may go by itself."""

    text: str
    passing: bool = False

    @classmethod
    def of(cls, error: AwsError) -> Trouble:
        """That of a call."""
        return cls(told(error), error.retry)


class Part(msgspec.Struct, frozen=True):
    """What one look found. An empty status leaves the condition, and the fields, as they were; troubles beside a status
    say that some of the questions had no answer."""

    condition: str
    status: Literal["True", "False", "Unknown", ""] = ""
    reason: str = ""
    message: str = ""
    fields: Mapping[str, Any] = {}
    """Of the status."""
    troubles: tuple[Trouble, ...] = ()


def holds(condition: str, troubles: tuple[Trouble, ...] = (), **fields: Any) -> Part:
    """A part that is as it should be."""
    return Part(condition, "True", fields=fields, troubles=troubles)


def fails(condition: str, reason: str, message: str, **fields: Any) -> Part:
    """A part that the user has to mend."""
    return Part(condition, "False", reason, message, fields)


def open_(condition: str, *troubles: Trouble) -> Part:
    """A part of which nothing is known now."""
    return Part(condition, troubles=troubles)
