"""Instances whose hardware or software fails, or that AWS will stop, as DescribeInstanceStatus tells it.

Works without a queue. Checks that fail for two minutes count; announced events count at once, unless they are over.
Source: Karpenter AWS provider v1.14 pkg/providers/instancestatus. Differs: EC2 goes on listing events that were
completed or cancelled, and the peer drains instances that have just been looked after; here such events are left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from fretsaw.api.times import SECOND, Millis
from fretsaw.engine.events import InterruptionKind
from fretsaw.providers.aws.calls import Asking

LASTING: Millis = 120 * SECOND
"""A check that fails for a shorter time may come right by itself."""
EVENTS = ("instance-reboot", "system-reboot", "system-maintenance", "instance-retirement", "instance-stop")
_FILTERS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("instance-status.status", ("impaired",)),
    ("system-status.status", ("impaired",)),
    ("event.code", EVENTS),
)
"""Asked one after the other: EC2 joins filters of different names with `and`."""
_OVER = ("[Completed]", "[Canceled]")
_CALL = "ec2:DescribeInstanceStatus"


async def impaired(aws: Asking) -> list[dict[str, Any]]:
    """Every instance of the account that one of the filters finds, each once. Raises AwsError."""
    found: dict[str, dict[str, Any]] = {}
    for name, values in _FILTERS:
        filters = [{"Name": name, "Values": list(values)}]
        for one in await aws.pages(_CALL, "InstanceStatuses", Filters=filters, MaxResults=1000):
            found.setdefault(one["InstanceId"], one)
    return list(found.values())


class Watch:
    """Remembers since when checks fail, for those where EC2 does not say, and what has been told."""

    def __init__(self) -> None:
        self._since: dict[tuple[str, str], Millis] = {}
        self._told: frozenset[tuple[str, InterruptionKind]] = frozenset()

    def news(self, entries: list[dict[str, Any]], now: Millis) -> list[tuple[str, InterruptionKind]]:
        """What is to be told of these instances: each thing once, as long as it is so."""
        failing = {(one["InstanceId"], check) for one in entries for check, _ in _failing(one)}
        self._since = {key: since for key, since in self._since.items() if key in failing}
        found = {(one["InstanceId"], kind) for one in entries for kind in self._kinds(one, now)}
        news = sorted(found - self._told, key=lambda pair: (pair[0], pair[1] == "instance_status"))
        self._told = frozenset(found)
        return news

    def forget(self) -> None:
        """Tell everything again."""
        self._told = frozenset()

    def _kinds(self, entry: Mapping[str, Any], now: Millis) -> Iterator[InterruptionKind]:
        if any(_is_ahead(event) for event in _list(entry, "Events")):
            yield "scheduled_change"
        for check, said in _failing(entry):
            since = said if said is not None else self._since.setdefault((entry["InstanceId"], check), now)
            if now - since >= LASTING:
                yield "instance_status"
                return


def _failing(entry: Mapping[str, Any]) -> Iterator[tuple[str, Millis | None]]:
    """The checks that fail, and since when as far as EC2 says. A volume that fails is not the instance's fault."""
    for part in ("InstanceStatus", "SystemStatus"):
        for detail in _list(entry.get(part), "Details"):
            if detail.get("Status") == "failed":
                yield f"{part}/{detail.get('Name')}", _millis(detail.get("ImpairedSince"))


def _is_ahead(event: Mapping[str, Any]) -> bool:
    return event.get("Code") in EVENTS and not str(event.get("Description") or "").startswith(_OVER)


def _list(entry: Any, name: str) -> list[Mapping[str, Any]]:
    """The objects of a list; of anything else none."""
    found = entry.get(name) if isinstance(entry, Mapping) else None
    return [one for one in found if isinstance(one, Mapping)] if isinstance(found, list | tuple) else []


def _millis(time: Any) -> Millis | None:
    if isinstance(time, str):
        try:
            time = datetime.fromisoformat(time)
        except ValueError:
            return None
    if not isinstance(time, datetime):
        return None
    return round((time if time.tzinfo is not None else time.replace(tzinfo=UTC)).timestamp() * 1000)
