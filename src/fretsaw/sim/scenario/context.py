"""What the checks of a scenario share: what was read, what it can refer to, and where problems go."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fretsaw.api import admission
from fretsaw.api.decode import seen
from fretsaw.api.document import Document, Located
from fretsaw.api.meta import Object
from fretsaw.api.problem import Problem, Severity
from fretsaw.sim.scenario.decode import Decoder
from fretsaw.sim.scenario.known import Known
from fretsaw.sim.scenario.model import Scenario


class Page(Document):
    """The scenario as a document, which can hold objects as documents of their own."""

    __slots__ = ()

    def told(self, decoder: Decoder) -> tuple[Located, ...]:
        """The problems that were found since the last time, with their lines."""
        self.problems = tuple(decoder.problems)
        decoder.problems.clear()
        return self.located()

    def inside(self, raw: Any, steps: tuple[str | int, ...]) -> Document:
        """An object that stands in it."""
        document = Document(self.file, raw, self._chunk, 0, steps)
        admission.examine(document)
        return document


class Context:
    """One scenario that is being checked."""

    def __init__(self, scenario: Scenario, folder: Path, decoder: Decoder, known: Known, page: Page) -> None:
        self.scenario = scenario
        self.folder = folder
        self.known = known
        self.elsewhere: list[Located] = []
        """Problems in other files, and of the objects that the scenario holds."""
        self.models: dict[int, Object] = {}
        self.applied: dict[int, tuple[Object, ...]] = {}
        self._decoder = decoder
        self._page = page

    def path(self, part: Any, field: str = "") -> str:
        """Where a part stood, or one of its fields."""
        path = self._decoder.path(part)
        return f"{path}.{field}" if path and field else path or field

    def report(self, path: str, message: str, what: Any = "", right: str = "", severity: Severity = "error") -> None:
        """A problem of the scenario."""
        shown = seen(what) if what != "" else ""
        self._decoder.problems.append(Problem(path, message, severity, "rule", shown, right))

    def told(self) -> tuple[Located, ...]:
        """The problems of the scenario itself that were found since the last time."""
        return self._page.told(self._decoder)

    def is_wrong(self, part: Any) -> bool:
        """Whether a part has problems already."""
        path = self.path(part)
        return any(problem.path.startswith(path) for problem in self._decoder.problems)

    def file(self, path: str, name: str, what: str) -> Path | None:
        """A file that the scenario names; None, and a problem, where it is not there."""
        found = self.folder / name
        try:
            there = found.is_file()
        except (OSError, ValueError):
            there = False
        if there:
            return found
        self.report(path, f"no such {what}", name, f"paths begin at {self.folder}")
        return None

    def object(self, raw: Any, steps: tuple[str | int, ...]) -> Object | None:
        """An object that is written out in the scenario; None, and its problems, where it is not a right one."""
        document = self._page.inside(raw, steps)
        self.elsewhere.extend(document.located())
        if document.obj is None and not document.has_errors:
            self.report(_spelled(steps), "a kind that is not read", document.kind)
        return None if document.has_errors else document.obj


def _spelled(steps: tuple[str | int, ...]) -> str:
    path = ""
    for step in steps:
        path += f"[{step}]" if isinstance(step, int) else f".{step}" if path else step
    return path
