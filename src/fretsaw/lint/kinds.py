"""Small questions that several rules ask of the views."""

from __future__ import annotations

from fretsaw.lint.found import Append, Edit, Set
from fretsaw.lint.work import Work


def tolerating(work: Work, key: str) -> tuple[Edit, ...]:
    """The edit that lets a pod tolerate a taint's key."""
    toleration = {"key": key, "operator": "Exists", "effect": "NoSchedule"}
    path = work.path("spec.tolerations")
    if work.raw_spec.get("tolerations"):
        return (Append(path, toleration),)
    return (Set(path, [toleration]),)
