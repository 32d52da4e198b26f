"""What an API server does to an object before it validates it: unknown fields, nulls, defaults.

Source: kubernetes apiextensions-apiserver, structural schema pruning and defaulting; strict field validation, as
kubectl asks for it, makes unknown fields errors.
"""

from __future__ import annotations

import copy
import difflib
from collections.abc import Iterable
from typing import Any

from fretsaw.api.problem import Problem
from fretsaw.api.schema import PRESERVE, Schema

Path = tuple[str | int, ...]

_MOVED = {
    ("NodePool", "spec.ttlSecondsAfterEmpty"): "spec.disruption.consolidateAfter does this now",
    ("NodePool", "spec.ttlSecondsUntilExpired"): "spec.template.spec.expireAfter does this now",
    ("NodePool", "spec.consolidation"): "spec.disruption does this now",
    ("NodePool", "spec.provider"): "spec.template.spec.nodeClassRef names an EC2NodeClass now",
    ("NodePool", "spec.providerRef"): "spec.template.spec.nodeClassRef names an EC2NodeClass now",
    ("NodePool", "spec.requirements"): "requirements belong in spec.template.spec",
    ("NodePool", "spec.taints"): "taints belong in spec.template.spec",
    ("NodePool", "spec.labels"): "labels belong in spec.template.metadata",
    ("NodePool", "spec.limits.resources"): "write the resources directly under limits",
    ("NodePool", "spec.disruption.expireAfter"): "expireAfter belongs in spec.template.spec",
    ("NodePool", "spec.template.spec.kubelet"): "kubelet belongs in the EC2NodeClass",
    ("NodePool", "spec.template.spec.nodeClassRef.apiVersion"): "write group, without the version",
    ("EC2NodeClass", "spec.subnetSelector"): "subnetSelectorTerms is a list of terms",
    ("EC2NodeClass", "spec.securityGroupSelector"): "securityGroupSelectorTerms is a list of terms",
    ("EC2NodeClass", "spec.amiSelector"): "amiSelectorTerms is a list of terms",
}
"""Fields of earlier APIs, and what took their place."""


def path_text(path: Iterable[str | int]) -> str:
    """`spec.requirements[0].key` from its parts."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else str(part)
    return text


def prepared(raw: Any, schema: Schema) -> Any:
    """A copy as the API server validates it: no null and no unknown fields, whole floats as integers, defaults set."""
    if isinstance(raw, dict):
        return _prepared_map(raw, schema)
    if isinstance(raw, list | tuple):
        items = schema.get("items", {})
        return [prepared(item, items) for item in raw]
    if isinstance(raw, float) and raw.is_integer() and not schema.get(PRESERVE):
        return int(raw)
    return raw


def _prepared_map(raw: dict[Any, Any], schema: Schema) -> dict[str, Any]:
    if schema.get(PRESERVE):
        return copy.deepcopy(raw)
    properties = schema.get("properties")
    if properties is None:
        child = schema.get("additionalProperties")
        if child is None:
            return dict(raw) if schema.get("type") == "object" else raw
        return {str(key): prepared(value, child) for key, value in raw.items() if value is not None}
    made = {name: prepared(raw[name], child) for name, child in properties.items() if raw.get(name) is not None}
    for name, child in properties.items():
        if name not in made and "default" in child:
            made[name] = prepared(copy.deepcopy(child["default"]), child)
    return made


def unknown_fields(raw: Any, schema: Schema, kind: str, path: Path = ()) -> list[Problem]:
    """An error for each field that the schema does not have, with the nearest name that it has."""
    if isinstance(raw, list) and "items" in schema:
        return [
            p for index, item in enumerate(raw) for p in unknown_fields(item, schema["items"], kind, (*path, index))
        ]
    if not isinstance(raw, dict) or schema.get(PRESERVE):
        return []
    found: list[Problem] = []
    properties = schema.get("properties", {})
    for key, value in raw.items():
        child = properties.get(key, schema.get("additionalProperties"))
        here = (*path, str(key))
        if child is not None:
            found += unknown_fields(value, child, kind, here)
        elif "properties" in schema:
            found.append(_unknown(here, list(properties), kind))
    return found


def _unknown(path: Path, known: list[str], kind: str) -> Problem:
    text = path_text(path)
    right = _MOVED.get((kind, text), "")
    if not right:
        lowered = {name.lower(): name for name in known}
        near = difflib.get_close_matches(str(path[-1]).lower(), list(lowered), n=1)
        right = f'did you mean "{lowered[near[0]]}"?' if near else f"known here: {', '.join(sorted(known))}"
    return Problem(text, "unknown field", right=right)
