"""Reading plain trees of which nothing is known: what is missing or of another type is simply not there."""

from __future__ import annotations

from typing import Any


def at(tree: Any, *steps: str | int) -> Any:
    """The value at keys and indices; None where there is none."""
    for step in steps:
        if isinstance(step, int):
            tree = tree[step] if isinstance(tree, list) and -len(tree) <= step < len(tree) else None
        else:
            tree = tree.get(step) if isinstance(tree, dict) else None
    return tree


def a_map(value: Any) -> dict[str, Any]:
    """The value if it is a map, else an empty one."""
    return value if isinstance(value, dict) else {}


def a_list(value: Any) -> list[Any]:
    """The value if it is a list, else an empty one."""
    return value if isinstance(value, list) else []


def maps(value: Any) -> list[tuple[int, dict[str, Any]]]:
    """The items of a list that are maps, with their numbers."""
    return [(number, item) for number, item in enumerate(a_list(value)) if isinstance(item, dict)]


def a_text(value: Any) -> str:
    """The value if it is text, else an empty one."""
    return value if isinstance(value, str) else ""


def texts(value: Any) -> dict[str, str]:
    """The entries of a map whose values are texts."""
    return {key: item for key, item in a_map(value).items() if isinstance(item, str)}
