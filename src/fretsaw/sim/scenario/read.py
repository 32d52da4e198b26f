"""A scenario file in, the scenario and all its problems out, each with file and line."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from fretsaw.api import admission, yamltext
from fretsaw.api.catalog import Catalog
from fretsaw.api.document import Located
from fretsaw.api.manifest import Manifests, load
from fretsaw.api.meta import Object
from fretsaw.api.problem import Problem
from fretsaw.api.yamltext import Chunk, TextError
from fretsaw.errors import UserError
from fretsaw.sim.scenario import check_catalog, check_events, check_work
from fretsaw.sim.scenario.context import Context, Page
from fretsaw.sim.scenario.decode import Decoder
from fretsaw.sim.scenario.expect import Expectation
from fretsaw.sim.scenario.known import Known, spelled
from fretsaw.sim.scenario.model import Scenario
from fretsaw.sim.scenario.shape import shape_of


class Reading:
    """What came of a file. `scenario` may be used only where there are no `errors`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        """Where the scenario's paths begin."""
        self.scenario: Scenario | None = None
        self.manifests = Manifests(())
        """All that stands in the cluster at the start. An inline object takes the place of a manifest's."""
        self.models: dict[int, Object] = {}
        """What the entry of a number in `work` makes copies of."""
        self.applied: dict[int, tuple[Object, ...]] = {}
        """What the fault of a number applies."""
        self.expectations: tuple[Expectation, ...] = ()
        self.problems: tuple[Located, ...] = ()
        self.context: Context | None = None
        """What later checks need."""

    @property
    def errors(self) -> tuple[Located, ...]:
        """The problems that make it unusable."""
        return tuple(problem for problem in self.problems if problem.severity == "error")

    @property
    def objects(self) -> Iterator[Object]:
        """The typed objects of the cluster, those of kinds that are not read left out."""
        return (document.obj for document in self.manifests.documents if document.obj is not None)

    def against(self, catalog: Catalog) -> tuple[Located, ...]:
        """What the scenario says of instance types and zones that a catalog lacks."""
        if self.context is None:
            return ()
        check_catalog.check(self.context, catalog, self.expectations)
        return self.context.told()

    def usable(self) -> Scenario:
        """The scenario. Raises UserError with all its errors."""
        if self.scenario is None or self.errors:
            raise UserError("", "\n".join(str(problem) for problem in self.errors) or "no scenario")
        return self.scenario


def read(path: str | Path, manifests: Sequence[str | Path] = ()) -> Reading:
    """The scenario of a file. Never raises for what it reads: everything wrong is in `problems`.

    manifests: files and folders that stand in the cluster beside the scenario's own.
    """
    try:
        with open(path, "rb") as stream:
            data = stream.read(yamltext.MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        return _broken(Path(), str(path), 1, f"cannot be read: {reason[:1].lower()}{reason[1:]}")
    return parse(data, str(path), Path(path).parent, manifests)


def parse(
    text: str | bytes, file: str = "<text>", folder: Path | str = ".", manifests: Sequence[str | Path] = ()
) -> Reading:
    """The scenario of a text. folder: where its paths begin. manifests: as for `read`."""
    folder = Path(folder)
    first = 1
    try:
        chunks = list(yamltext.chunks(yamltext.decode(text.encode() if isinstance(text, str) else text)))
        if not chunks:
            return _broken(folder, file, 1, "the file holds no scenario")
        if len(chunks) > 1:
            return _broken(folder, file, chunks[1].line, "more than one document", "one scenario a file")
        first = chunks[0].line
        duplicates: list[tuple[int, int, str]] = []
        trees = chunks[0].documents(duplicates)
    except TextError as error:
        return _broken(folder, file, error.line + first - 1, error.message, error.right)
    if len(trees) != 1 or not isinstance(trees[0], dict):
        return _broken(folder, file, first, "not a scenario", "a map with scenario, cluster, work …")
    return _scenario(trees[0], file, folder, chunks[0], duplicates, manifests)


def _broken(folder: Path, file: str, line: int, message: str, right: str = "") -> Reading:
    reading = Reading(folder)
    reading.problems = (Located(file, line, "", "", message, by="file", right=right),)
    return reading


def _scenario(
    raw: dict[str, Any],
    file: str,
    folder: Path,
    chunk: Chunk,
    duplicates: list[tuple[int, int, str]],
    manifests: Sequence[str | Path],
) -> Reading:
    """What the tree says, and what the parts of it say of each other."""
    reading = Reading(folder)
    page = Page(file, raw, chunk)
    page.kind = "Scenario"
    page.name = raw["scenario"] if isinstance(raw.get("scenario"), str) else ""
    decoder = Decoder()
    decoder.problems.extend(
        Problem("", f'the key "{key}" stands twice in one map, in lines {first} and {second}', by="file")
        for second, first, key in duplicates
    )
    scenario = decoder.read(raw, shape_of(Scenario))
    elsewhere: list[Located] = []
    if isinstance(scenario, Scenario):
        reading.scenario = scenario
        elsewhere = _references(reading, scenario, decoder, page, manifests)
    own = sorted(page.told(decoder), key=lambda located: located.line)
    reading.problems = (*own, *elsewhere)
    return reading


def _references(
    reading: Reading, scenario: Scenario, decoder: Decoder, page: Page, manifests: Sequence[str | Path]
) -> list[Located]:
    """Fills the reading; the problems that are not the scenario's own."""
    known = Known(())
    context = reading.context = Context(scenario, reading.folder, decoder, known, page)
    reading.manifests = _manifests(context, page, manifests)
    for document in reading.manifests.documents:
        if document.obj is not None:
            known.add(document.obj)
    if scenario.cluster.catalog:
        context.file(context.path(scenario.cluster, "catalog"), scenario.cluster.catalog, "catalog")
    check_events.check_cloud(context)
    check_events.check_faults(context)
    check_work.check(context)
    reading.expectations = check_events.check_expectations(context)
    reading.models, reading.applied = context.models, context.applied
    return [*reading.manifests.problems, *context.elsewhere]


def _manifests(context: Context, page: Page, more: Sequence[str | Path]) -> Manifests:
    """The manifests with the inline objects, which take the place of those of the same name."""
    cluster = context.scenario.cluster
    paths = []
    for index, name in enumerate(cluster.manifests):
        path = Path(os.path.normpath(context.folder / name))
        if _exists(path):
            paths.append(path)
        else:
            where = context.path(cluster, f"manifests[{index}]")
            context.report(where, "no such file or folder", name, f"paths begin at {context.folder}")
    inline = [page.inside(raw, ("cluster", "objects", index)) for index, raw in enumerate(cluster.objects)]
    admission.across(inline)
    own = {spelled(document.obj) for document in inline if document.obj is not None}
    loaded = (
        document
        for document in load([*paths, *more]).documents
        if document.obj is None or spelled(document.obj) not in own
    )
    return Manifests((*loaded, *inline))


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):  # a circle of links, or a name with a null character
        return False
