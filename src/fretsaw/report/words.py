"""Figures and reasons in the words that people read: money, spans, shares, points in time, why a node came and went.

Used by the page and by the terminal alike, so that both say the same.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

NONE = "–"

CAME = {
    "": "ordered by its static pool",
    "provisioned": "pods had no place",
    "empty": "replaces nodes that were empty",
    "underutilized": "replaces dearer nodes",
    "drifted": "replaces nodes that had drifted",
}
WENT = {
    "empty": "empty",
    "underutilized": "underutilized: its pods fit elsewhere for less",
    "drifted": "drifted from its NodePool or node class",
    "expired": "expired: older than its NodePool allows",
    "unhealthy": "unhealthy",
    "node_deleted": "its Node was deleted",
    "scaled_down": "its static pool was scaled down",
    "garbage_collected": "its instance was gone",
    "insufficient_capacity": "never launched: insufficient capacity",
    "terminated": "terminated on request",
    "spot-reclaim": "spot instance taken back",
    "spot_interrupted": "spot interruption notice",
    "reservation-end": "its capacity reservation ended",
    "dies-at-boot": "died while it booted",
    "leaked": "left over without a claim",
}
TAKEN = frozenset({"spot-reclaim", "spot_interrupted", "reservation-end", "dies-at-boot"})
"""Reasons that are the cloud's, not the autoscaler's."""


def usd(amount: float) -> str:
    """`$1,234.56`; amounts below a cent keep what says more than zero: `$0.0042`."""
    sign = "-" if amount < 0 else ""
    size = abs(amount)
    if 0 < size < 0.005:
        return f"{sign}$0.0000" if size < 0.00005 else f"{sign}${size:.4f}"
    return f"{sign}${size:,.2f}"


def rate(usd_per_hour: float) -> str:
    """`$1.234/h`: three decimals below ten dollars, two above, as in the plan."""
    sign = "-" if usd_per_hour < 0 else ""
    size = abs(usd_per_hour)
    return f"{sign}${size:,.3f}/h" if size < 10 else f"{sign}${size:,.2f}/h"


def span(seconds: float) -> str:
    """`12m 30s`, `2h 5m`, `3d 4h`: the two greatest units; `0.4s` below a second."""
    if seconds < 0:
        return "-" + span(-seconds)
    if 0 < seconds < 0.95:
        return f"{max(seconds, 0.1):.1f}s"
    left = round(seconds)
    parts: list[str] = []
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60), ("s", 1)):
        number, left = divmod(left, size)
        if number or parts:
            parts.append(f"{number}{unit}" if number else "")
    return " ".join(part for part in parts[:2] if part) or "0s"


def length(seconds: float) -> str:
    """`7 days`, `12 hours`; `2d 10h` where neither is whole."""
    for unit, size in (("day", 86400), ("hour", 3600), ("minute", 60)):
        if seconds and seconds % size == 0 and seconds / size <= 48:
            return counted(round(seconds / size), unit)
    return span(seconds)


def share(part: float) -> str:
    """`41.2%`; whole percents stand alone."""
    text = f"{part * 100:,.1f}"
    return f"{text.removesuffix('.0')}%"


def ratio(part: float, whole: float) -> float | None:
    """part / whole; None where there is no whole."""
    return part / whole if whole else None


def number(value: float) -> str:
    """`1,234`; below a thousand a fraction has one digit: `234.5`."""
    return f"{value:,.0f}" if value == int(value) or abs(value) >= 1000 else f"{value:,.1f}"


def counted(count: int, noun: str) -> str:
    """`1 node`, `2 nodes`, `1,000 nodes`."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def came(why: str | None) -> str:
    """Why a node was ordered."""
    return CAME.get(why or "", _plain(why or ""))


def went(why: str | None) -> str:
    """Why a node went; empty where nothing took it."""
    return WENT.get(why, _plain(why)) if why else ""


def _plain(word: str) -> str:
    return word.replace("_", " ")


def natural(name: str) -> tuple[tuple[int, int, str], ...]:
    """Sort key that puts `web-2` before `web-10`."""
    return tuple((0, int(p), "") if p.isdecimal() else (1, 0, p) for p in re.split(r"(\d+)", name))


class Calendar:
    """The run's clock: seconds from its start as days and hours, in UTC."""

    def __init__(self, start: str) -> None:
        """start: RFC 3339."""
        when = datetime.fromisoformat(start)
        self.start = (when if when.tzinfo else when.replace(tzinfo=UTC)).astimezone(UTC)

    def at(self, seconds: float) -> datetime:
        """The point in time."""
        return self.start + timedelta(seconds=seconds)

    def day(self, seconds: float) -> str:
        """`Mon 5 Jan`."""
        when = self.at(seconds)
        return f"{DAYS[when.weekday()]} {when.day} {MONTHS[when.month - 1]}"

    def clock(self, seconds: float) -> str:
        """`14:30`."""
        return self.at(seconds).strftime("%H:%M")

    def moment(self, seconds: float | None) -> str:
        """`Mon 5 Jan 14:30`; a dash where it never came."""
        return NONE if seconds is None else f"{self.day(seconds)} {self.clock(seconds)}"


# Names of our own: strftime would take the language of the machine, and equal results have to give equal bytes.
DAYS: Sequence[str] = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
MONTHS: Sequence[str] = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
