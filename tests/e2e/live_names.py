"""What the objects of a table are called on a real server, and when they are: there and back.

A table lives in the namespace `default`, in the first minutes of 2026, and alone. On a server that others share it lives
in a namespace of its own, its nodes and classes carry that name before theirs, and its beginning is now.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from fretsaw.api.times import millis, rfc3339
from kubernetes.driver import START, Obj

_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")
_MINUTE = re.compile(r"-(\d{8})\b")
_REFERENCES = ("priorityClassName", "runtimeClassName", "nodeName", "nominatedNodeName")
"""Fields that name an object without a namespace."""


class Names:
    """The translation of one case."""

    def __init__(self, own: str, begun: int) -> None:
        """own: a word that occurs nowhere else; empty where the server has no other case. begun: ms, a whole second."""
        self.own = own
        self.begun = begun
        self.namespace = own or "default"
        self._prefix = f"{own}-" if own else ""
        self._uids: dict[str, str] = {}

    def of_namespace(self, name: str) -> str:
        """A namespace on the server."""
        return self.namespace if name == "default" else self._prefix + name

    def of_cluster(self, name: str) -> str:
        """An object without a namespace on the server."""
        return self._prefix + name

    def owns(self, name: str) -> bool:
        """Whether an object without a namespace is this case's."""
        return name.startswith(self._prefix)

    def met(self, asked: str, given: str) -> None:
        """The server gave an object another uid than the table asked for."""
        self._uids[asked] = given

    def uid(self, asked: str) -> str:
        """The server's uid of an object."""
        return self._uids.get(asked, asked)

    def time(self, when: int) -> int:
        """When something of the table is on the server."""
        return when + self.begun - START

    def to_server(self, tree: Any) -> Any:
        """Fields of an object as the server has to see them."""
        return _walked(tree, self._there, self._referred)

    def from_server(self, tree: Any) -> Any:
        """An object as the table means it; what is empty is left out, as in the virtual cluster."""
        return _pruned(_walked(tree, self._back, lambda _, value: value))

    def _referred(self, key: str, value: str) -> str:
        if key in _REFERENCES:
            return self.of_cluster(value)
        return self.uid(value) if key == "uid" else value

    def _there(self, text: str) -> str:
        if _TIME.fullmatch(text):
            return rfc3339(self.time(millis(text)))
        return _MINUTE.sub(lambda found: self._minute(found, START, self.begun), text)

    def _back(self, text: str) -> str:
        if _TIME.fullmatch(text):
            return rfc3339(millis(text) - self.begun + START)
        if self.own and self.own in text:
            text = text.replace(self._prefix, "").replace(self.own, "default")
        return _MINUTE.sub(lambda found: self._minute(found, self.begun, START), text)

    def _minute(self, found: re.Match[str], since: int, to: int) -> str:
        """CronJobs name their jobs by the minute of the epoch: as far from one beginning as from the other."""
        after = int(found[1]) - since // 60_000
        return f"-{to // 60_000 + after}" if abs(after) < 10_000 else found[0]


def _walked(tree: Any, change: Callable[[str], str], field: Callable[[str, str], str]) -> Any:
    """A copy of a tree with every text changed, by the name of its field first."""
    if isinstance(tree, dict):
        return {
            key: change(field(key, value)) if isinstance(value, str) else _walked(value, change, field)
            for key, value in tree.items()
        }
    if isinstance(tree, list):
        return [_walked(item, change, field) for item in tree]
    return change(tree) if isinstance(tree, str) else tree


def _pruned(tree: Any) -> Any:
    if isinstance(tree, dict):
        kept: Obj = {key: _pruned(value) for key, value in tree.items()}
        return {key: value for key, value in kept.items() if value not in ({}, [], None)}
    return [_pruned(item) for item in tree] if isinstance(tree, list) else tree
