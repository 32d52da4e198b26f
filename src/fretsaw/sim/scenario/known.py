"""What a scenario can refer to: the objects of its manifests, and those that will be made while it runs."""

from __future__ import annotations

from collections.abc import Iterable
from fnmatch import fnmatchcase
from typing import Final

from fretsaw.api.document import Document
from fretsaw.api.meta import Object
from fretsaw.api.rules_text import near
from fretsaw.engine.state import CLUSTER_WIDE, key_of
from fretsaw.sim.scenario.measures import matches

WORKLOADS: Final = (
    "deployment", "statefulset", "daemonset", "replicaset", "replicationcontroller", "job", "cronjob", "pod",
)  # fmt: skip
"""Kinds that pods belong to, in lower case."""
_CHILDREN: Final = {"deployment": "replicaset", "cronjob": "job"}
_SCALABLE: Final = frozenset({"deployment", "statefulset", "replicaset", "replicationcontroller"})


def spelled(obj: Object) -> str:
    """An object as scenarios name it: kind/namespace/name, or kind/name of a kind without namespaces."""
    return f"{type(obj).__name__.lower()}/{key_of(obj)}"


class Known:
    """Names of objects by what they are."""

    def __init__(self, documents: Iterable[Document]) -> None:
        self.objects: dict[str, Object] = {}
        """By kind/namespace/name."""
        self._made: list[str] = []
        """Patterns of what will be made."""
        for document in documents:
            if document.obj is not None:
                self.add(document.obj)

    def add(self, obj: Object) -> None:
        """Take note of an object, and of what its controller makes of it."""
        name = spelled(obj)
        self.objects.setdefault(name, obj)
        kind, _, key = name.partition("/")
        if kind in _CHILDREN:
            self._made.append(f"{_CHILDREN[kind]}/{key}-*")

    def will_be_made(self, pattern: str) -> None:
        """Take note of names that objects will get."""
        kind, _, key = pattern.partition("/")
        self._made.append(pattern)
        if kind in _CHILDREN:
            self._made.append(f"{_CHILDREN[kind]}/{key}-*")

    def of(self, kind: str) -> tuple[str, ...]:
        """The names of a kind's objects, such as `nodepool`; with namespaces where it has them."""
        return tuple(name.partition("/")[2] for name in self.objects if name.partition("/")[0] == kind)

    @property
    def workloads(self) -> tuple[str, ...]:
        """All that pods can belong to, as kind/namespace/name."""
        return tuple(name for name in self.objects if name.partition("/")[0] in WORKLOADS)

    def matching(self, patterns: Iterable[str]) -> tuple[str, ...]:
        """The workloads that are there and that any of the patterns means."""
        wanted = [pattern.lower() for pattern in patterns]
        return tuple(name for name in self.workloads if any(fnmatchcase(name, pattern) for pattern in wanted))

    def has_workload(self, pattern: str) -> bool:
        """Whether a pattern of kind/namespace/name means any workload that is there or will be made."""
        wanted = pattern.lower()
        return any(fnmatchcase(name, wanted) for name in self.workloads) or any(
            _meet(made, wanted) for made in self._made
        )

    def has_pods_of(self, pattern: str) -> bool:
        """The same for an expectation's pattern: a namespace, namespace/name or kind/namespace/name."""
        return any(matches(pattern, name) for name in self.workloads) or any(
            _meet(made, _whole(pattern.lower())) for made in self._made
        )

    def has_pool(self, pattern: str) -> bool:
        """Whether any NodePool has such a name."""
        return any(fnmatchcase(pool, pattern) for pool in self.of("nodepool"))

    def has(self, name: str) -> bool:
        """Whether an object is there or will be made. name: kind/namespace/name or kind/name."""
        return full(name) in self.objects or any(fnmatchcase(full(name), made) for made in self._made)

    def meant(self, name: str, among: Iterable[str]) -> str:
        """Advice for a name that is not there."""
        known = tuple(among)
        found = near(name.lower(), known)
        if found:
            return f"did you mean {found}?"
        return f"known: {', '.join(known[:8])}{' …' if len(known) > 8 else ''}" if known else "there is none"


def full(name: str) -> str:
    """A name with the kind in lower case, and with its namespace where it was left out."""
    kind, _, rest = name.partition("/")
    cluster_wide = kind.lower() in {known.lower() for known in CLUSTER_WIDE}
    return f"{kind.lower()}/{rest}" if cluster_wide or "/" in rest else f"{kind.lower()}/default/{rest}"


def is_scalable(name: str) -> bool:
    """Whether an object has replicas to set."""
    return name.partition("/")[0].lower() in _SCALABLE


def _whole(pattern: str) -> str:
    parts = pattern.split("/")
    return "/".join({1: ["*", parts[0], "*"], 2: ["*", *parts]}.get(len(parts), parts))


def _meet(made: str, wanted: str) -> bool:
    """Whether two patterns have a name in common, as far as a name tried for each `*` tells."""
    ours, theirs = made.split("/"), wanted.split("/")
    return len(ours) == len(theirs) and all(map(_overlap, ours, theirs))


def _overlap(one: str, other: str) -> bool:
    return any(
        fnmatchcase(one.replace("*", filler), other) or fnmatchcase(other.replace("*", filler), one)
        for filler in ("1", "12", "0", "")
    )
