"""One object of a file, with everything that is known and wrong about it, and where its fields are."""

from __future__ import annotations

import re
from typing import Any

import msgspec

from fretsaw.api.kinds import Kind
from fretsaw.api.meta import Object
from fretsaw.api.problem import By, Problem, Severity
from fretsaw.api.yamltext import Chunk, Path

_INDEX = re.compile(r"\[(\d+)\]")
_BRACKETED = re.compile(r"\[([^\]]*)\]")


class Located(msgspec.Struct, frozen=True):
    """A problem with the place it has in the user's files."""

    file: str
    line: int
    object: str
    """`Kind/name`; empty where the text is no object."""
    path: str
    message: str
    severity: Severity = "error"
    by: By = "schema"
    seen: str = ""
    right: str = ""

    def __str__(self) -> str:
        kind, slash, name = self.object.partition("/")
        where = " ".join(part for part in (f"{self.file}:{self.line}", kind.lower() + slash + name, self.path) if part)
        text = f"{where}: {self.message}"
        if self.seen:
            text += f": {self.seen}"
        return f"{text} ({self.right})" if self.right else text


class Document:
    """An object as it stands in a file. `obj` is None for kinds that are not read and for objects of wrong types."""

    __slots__ = (
        "_chunk",
        "_index",
        "_prefix",
        "api_version",
        "file",
        "kind",
        "known",
        "name",
        "namespace",
        "obj",
        "problems",
        "raw",
    )

    def __init__(self, file: str, raw: Any, chunk: Chunk, index: int = 0, prefix: Path = ()) -> None:
        self.file = file
        self.raw = raw
        self.api_version = _text(raw, "apiVersion")
        self.kind = _text(raw, "kind")
        metadata = raw.get("metadata") if isinstance(raw, dict) else None
        self.name = _text(metadata, "name") or _text(metadata, "generateName")
        self.namespace = _text(metadata, "namespace")
        self.obj: Object | None = None
        self.known: Kind | None = None
        self.problems: tuple[Problem, ...] = ()
        self._chunk = chunk
        self._index = index
        self._prefix = prefix

    def __repr__(self) -> str:
        return f"Document({self.file}:{self.line} {self.object})"

    @property
    def object(self) -> str:
        """`Kind/name`, or what there is of it."""
        return f"{self.kind}/{self.name}" if self.name else self.kind

    @property
    def chunk(self) -> Chunk:
        """The text that it stands in, between two `---` lines."""
        return self._chunk

    @property
    def place(self) -> tuple[int, Path]:
        """Where in that text: the number of the YAML document, and the path within a List."""
        return self._index, self._prefix

    @property
    def line(self) -> int:
        """The line where the object begins."""
        return self._chunk.line_of(self._index, self._prefix)

    def line_of(self, path: str) -> int:
        """The line of a field written like `spec.taints[0].key`; the nearest field around it where it is absent."""
        return self._chunk.line_of(self._index, self._prefix + steps(path, self.raw)) if path else self.line

    @property
    def has_errors(self) -> bool:
        """Whether any of its problems is an error."""
        return any(problem.severity == "error" for problem in self.problems)

    def located(self) -> tuple[Located, ...]:
        """Its problems with file and line."""
        return tuple(
            Located(
                self.file,
                self.line_of(problem.path),
                self.object,
                problem.path,
                problem.message,
                problem.severity,
                problem.by,
                problem.seen,
                problem.right,
            )
            for problem in self.problems
        )


def _text(tree: Any, key: str) -> str:
    value = tree.get(key) if isinstance(tree, dict) else None
    return value if isinstance(value, str) else ""


def steps(path: str, tree: Any) -> Path:
    """A path as keys and indices, as far as the tree has them; keys may hold dots, in brackets or not."""
    found: list[str | int] = []
    rest = path
    while rest:
        step, rest = _step(rest.removeprefix("."), tree)
        if step is None:
            break
        found.append(step)
        tree = tree[step]
    return tuple(found)


def _step(path: str, tree: Any) -> tuple[str | int | None, str]:
    """The first key or index of a path, and what is left of it."""
    if isinstance(tree, list):
        index = _INDEX.match(path)
        if index and int(index.group(1)) < len(tree):
            return int(index.group(1)), path[index.end() :]
    if isinstance(tree, dict):
        bracketed = _BRACKETED.match(path)
        if bracketed and bracketed.group(1) in tree:
            return bracketed.group(1), path[bracketed.end() :]
        keys = [key for key in tree if path.startswith(key) and path[len(key) : len(key) + 1] in ("", ".", "[") and key]
        if keys:
            key = max(keys, key=len)
            return key, path[len(key) :]
    return None, ""


def value_at(path: str, tree: Any) -> Any:
    """The value of a field; None where there is none."""
    before = ""
    for step in (found := steps(path, tree)):
        tree = tree[step]
        before = str(step)
    return tree if found and path.rstrip("]").endswith(before) else None
