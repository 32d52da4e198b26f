"""What goes over the wire between the fake cloud and its provider: orders, answers, announcements, refusals.

JSON in camelCase; times are milliseconds since 1970.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from fretsaw.api.nodeclaim import NodeClaim
from fretsaw.api.times import Millis
from fretsaw.engine.events import InstanceCreated, InterruptionKind

Offering = tuple[str, str, str]
"""(instance type, zone, capacity type)."""
Operation = Literal["launch", "terminate", "list", "interruptions"]


class Order(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """A launch: one instance of any offering of `catalog`, all of them of one capacity type."""

    token: str
    """Of the same token there is one instance, ever."""
    claim: NodeClaim
    catalog: msgspec.Raw
    """A Catalog with nothing in it but what may be launched. Raw, since orders of one shape share one."""
    node_class: str = ""
    class_hash: str = ""
    """What the node class asked for when this was ordered: `drift` compares it."""
    images: dict[str, str] = {}
    """Id of the image by architecture."""


class Launched(msgspec.Struct, frozen=True, rename="camel"):
    """A launch's answer."""

    created: InstanceCreated
    failed: tuple[Offering, ...] = ()
    """Offerings that were cheaper and could not be had."""


class Listed(msgspec.Struct, frozen=True, rename="camel"):
    """One instance in a list."""

    provider_id: str
    claim: str
    launched: Millis
    state: str
    offering: Offering
    token: str = ""
    node_class: str = ""
    class_hash: str = ""
    image_id: str = ""
    price_usd_per_hour: float = 0.0
    ended: Millis | None = None
    why_ended: str = ""


class Announcement(msgspec.Struct, frozen=True, rename="camel"):
    """What the cloud says about an instance."""

    number: int
    """Counts up; a reader asks for what comes after the last that it has."""
    at: Millis
    provider_id: str
    kind: InterruptionKind
    offering: Offering


class Announced(msgspec.Struct, frozen=True, rename="camel"):
    """An answer to who listens. epoch: another one after the cloud began anew, with numbers from 1 on."""

    epoch: str
    announcements: tuple[Announcement, ...]


class Refused(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """An answer that says no. error: the name of a class of `fretsaw.errors`."""

    error: str
    message: str
    reason: str = ""
    offerings: tuple[Offering, ...] = ()
    retry_after_s: float | None = None


class Call(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """A line of the log: what was asked, by whom or by itself, and what came of it."""

    number: int
    at: Millis
    call: str
    """`launch`, `terminate`, and what happens by itself: `running`, `ended`, `gone`, `announced`."""
    answer: str
    """`created`, `same`, `ok`, the name of an error, or why an instance ended."""
    claim: str = ""
    token: str = ""
    provider_id: str = ""
