"""What has changed between two states of an object, as JSON merge patches.

The engine says how an object shall be; it may have left out fields that our structs do not have, and others write to
the same object. So only the difference is sent. Lists are replaced as a whole: such a patch names the version that it
was made from, and the server refuses it when somebody was faster.
Source: RFC 7386; kubernetes.io, Update API Objects in Place Using kubectl patch.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import msgspec

from fretsaw.api.meta import Object
from fretsaw.engine.state import key_of
from fretsaw.kube.client import Client

REQUIRED = ("message", "reason")
"""Fields that a condition must have, though they may be empty; our structs leave out what is empty."""


class Patches(msgspec.Struct, frozen=True):
    """Two patches, either may be empty: the object's own, and that of its status."""

    own: dict[str, Any]
    status: dict[str, Any]


def patches(before: Object, after: Object) -> Patches:
    """What makes `after` of `before`. Resource versions are not compared."""
    old, new = _tree(before), _tree(after)
    status = difference({"status": old.pop("status", {})}, {"status": new.pop("status", {})})
    return Patches(difference(old, new), status)


def difference(before: dict[str, Any], after: dict[str, Any]) -> dict[str, Any]:
    """The merge patch between two trees; null removes a field."""
    found: dict[str, Any] = {}
    for name in before.keys() - after.keys():
        found[name] = None
    for name, value in after.items():
        old = before.get(name)
        if isinstance(old, dict) and isinstance(value, dict):
            if inner := difference(old, value):
                found[name] = inner
        elif name not in before or old != value:
            found[name] = value
    return dict(sorted(found.items()))


def locked(patch: dict[str, Any], version: str) -> dict[str, Any]:
    """The patch, to be refused where the object is no longer of this version."""
    if not version:
        return patch
    return {**patch, "metadata": {**patch.get("metadata", {}), "resourceVersion": version}}


async def written(client: Client, before: Object, after: Object, version: str) -> AsyncIterator[Any]:
    """Write what makes `after` of `before`, which is of this version; the object as each answer has it, None where that
    cannot be read. Raises Conflict where somebody was faster."""
    kind, key, found = type(after).__name__, key_of(after), patches(before, after)
    if found.own:
        obj = await client.patch(kind, key, locked(found.own, version))
        version = obj.metadata.resource_version if obj is not None else ""
        yield obj
    if found.status:
        yield await client.patch(kind, key, locked(found.status, version), "status")


def _tree(obj: Object) -> dict[str, Any]:
    tree: dict[str, Any] = msgspec.to_builtins(obj)
    tree.setdefault("metadata", {}).pop("resourceVersion", None)
    for condition in tree.get("status", {}).get("conditions", ()):
        for name in REQUIRED:
            condition.setdefault(name, "")
    return tree
