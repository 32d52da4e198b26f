"""`--set path=value`: a scenario with some values changed before it is read, in its own file or in its manifests.

Paths: `cluster.settings.packing`, `work[0].runs.high`, `nodepool/gpu-spot.spec.disruption.consolidateAfter`;
`[a.b/c]` for a key with dots. What a manifest says is changed by writing its object out in the scenario, where it takes
the manifest's place.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

from fretsaw.api import yamltext
from fretsaw.api.document import Document, Located
from fretsaw.api.rules_text import near
from fretsaw.errors import UserError
from fretsaw.sim.many.place import NoPlace, place, place_inside, steps
from fretsaw.sim.scenario.read import Reading, parse, read

Tree = dict[str, Any]
_NO_FIELD: Final = ("unknown field", "no such field")
"""How warnings begin that would make a setting one without effect."""


class Setting(msgspec.Struct, frozen=True):
    """A value at a path."""

    path: str
    text: str
    """As the user wrote it."""

    @property
    def value(self) -> Any:
        """What a scenario file would have there. Raises UserError where that is no YAML."""
        return value_of(self.text, str(self))

    def __str__(self) -> str:
        return f"{self.path}={self.text}"


def value_of(text: str, where: str) -> Any:
    """The YAML value of a text. where: how the user gave it. Raises UserError."""
    if not text:
        raise UserError(f"--set {where}", "an empty value", "", 'write null to take a field out, "" for an empty text')
    try:
        (tree,) = yamltext.Chunk(text, 1).documents([])
    except (yamltext.TextError, ValueError) as error:
        if text[0] in "[{\"'":
            raise UserError(f"--set {where}", "not a YAML value", text) from error
        return text  # such as the schedule */5 * * * *, which begins as an alias would
    return tree


def changed(path: str | Path, settings: Sequence[Setting] = ()) -> Reading:
    """The scenario of a file with the settings in place of what it says.

    Raises UserError where the file is not readable or not right, where a path leads nowhere, and, in the scenario
    reader's own words, for values that it refuses.
    """
    reading = read(path)
    if not settings:
        reading.usable()
        return reading
    text = json.dumps(_tree(path, settings, reading), ensure_ascii=False)
    found = parse(text, str(path), Path(path).parent)
    _blame(settings, found, reading)
    return found


def _tree(path: str | Path, settings: Iterable[Setting], reading: Reading) -> Tree:
    """The raw tree of the file with the settings in it."""
    reading.usable()
    with open(path, "rb") as stream:
        (chunk,) = yamltext.chunks(yamltext.decode(stream.read()))
    (tree,) = chunk.documents([])
    documents = _Objects(reading.manifests.documents)
    for setting in settings:
        try:
            if "/" in _first(setting.path):
                tree = documents.place(tree, setting)
            else:
                tree = place(tree, steps(setting.path), setting.value)
        except NoPlace as error:
            raise UserError(f"--set {setting.path}", error.wrong, error.seen, error.right) from error
    return dict(tree)


def _first(path: str) -> str:
    return path.partition(".")[0].partition("[")[0]


class _Objects:
    """The objects that can be changed, by the names that users give them."""

    def __init__(self, documents: Iterable[Document]) -> None:
        self._named: dict[str, list[Document]] = {}
        for document in documents:
            for name in _names(document):
                self._named.setdefault(name, []).append(document)

    def place(self, tree: Tree, setting: Setting) -> Tree:
        """The tree with the object's field set. Raises NoPlace."""
        document, rest = self._find(setting.path)
        if not rest.strip(".[]"):
            raise NoPlace("names no field", "", f"such as {setting.path}.spec.weight")
        cluster = dict(tree["cluster"])
        objects = list(cluster.get("objects") or ())
        inline = next((i for i, raw in enumerate(objects) if _same(raw, document.raw)), None)
        if inline is None:
            inline = len(objects)
            objects.append(document.raw)
        objects[inline] = place_inside(objects[inline], steps(rest), setting.value)
        return {**tree, "cluster": {**cluster, "objects": objects}}

    def _find(self, path: str) -> tuple[Document, str]:
        """(the object, what is left of the path). Names may hold dots, so the longest that fits counts."""
        kind, _, after = path.partition("/")
        text = f"{kind.lower()}/{after}"
        fitting = [
            name for name in self._named if text.startswith(name) and text[len(name) : len(name) + 1] in ("", ".", "[")
        ]
        if not fitting:
            asked = text.partition(".spec")[0].partition(".metadata")[0].partition("[")[0]
            meant = near(asked, tuple(self._named))
            own = sorted(name for name in self._named if name.startswith(f"{kind.lower()}/"))
            right = f"did you mean {meant}?" if meant else f"known: {', '.join(own)}" if own else "kind/name.field"
            raise NoPlace("no such object in the scenario's manifests", asked, right)
        name = max(fitting, key=len)
        if len(self._named[name]) > 1:
            raise NoPlace("several objects have this name", name, "kind/namespace/name.field")
        return self._named[name][0], text[len(name) :]


def _names(document: Document) -> Iterator[str]:
    """kind/name, and kind/namespace/name where it can have one."""
    if document.obj is not None and document.name:
        kind = document.kind.lower()
        yield f"{kind}/{document.name}"
        yield f"{kind}/{document.namespace or 'default'}/{document.name}"


def _same(one: Any, other: Any) -> bool:
    return isinstance(one, dict) and _identity(one) == _identity(other)


def _identity(raw: Tree) -> tuple[Any, ...]:
    metadata = raw.get("metadata") or {}
    return raw.get("kind"), metadata.get("namespace") or "default", metadata.get("name")


def _blame(settings: Sequence[Setting], found: Reading, before: Reading) -> None:
    """Raise what the reader says of the settings. A field that it does not know is wrong even where it only warns."""
    known = {said(problem) for problem in before.problems}
    new = [problem for problem in found.problems if said(problem) not in known]
    wrong = [problem for problem in new if problem.severity == "error" or problem.message.startswith(_NO_FIELD)]
    if wrong:
        lines = [f"--set {_cause(settings, problem)}: {said(problem)}" for problem in wrong]
        raise UserError("", "\n".join(lines))


def said(problem: Located) -> str:
    """The problem without file and line: its value stands in neither."""
    kind, slash, name = problem.object.partition("/")
    where = "" if kind == "Scenario" else f"{kind.lower()}{slash}{name} "
    text = f"{where}{problem.path}: {problem.message}".lstrip(": ")
    text += f": {problem.seen}" if problem.seen else ""
    return text + (f" ({problem.right})" if problem.right else "")


def _cause(settings: Sequence[Setting], problem: Located) -> str:
    """The setting whose path has most in common with the problem's; all where none has."""

    def shared(setting: Setting) -> int:
        mine = steps(setting.path.partition("/")[2].partition(".")[2] if "/" in _first(setting.path) else setting.path)
        theirs = steps(problem.path)
        return next(
            (i for i, (a, b) in enumerate(zip(mine, theirs, strict=False)) if a != b), min(len(mine), len(theirs))
        )

    best = max(settings, key=shared)
    return str(best) if shared(best) or len(settings) == 1 else " ".join(map(str, settings))
