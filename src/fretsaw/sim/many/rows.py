"""The finished runs of a sweep, in a folder: one line of JSON each, found again by what they depend on."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Final, TextIO

from fretsaw.api import yamltext
from fretsaw.errors import UserError
from fretsaw.sim.many.task import Task
from fretsaw.sim.scenario.read import Reading

ROWS: Final = "rows.jsonl"
Figures = dict[str, float | None]
"""Values of a run by the figures' names."""


def fingerprint(path: str | Path, reading: Reading) -> str:
    """What the file, its manifests and the other files that it names say, as a hash."""
    digest = hashlib.sha256(Path(path).read_bytes())
    for document in reading.manifests.documents:
        digest.update(json.dumps(document.raw, sort_keys=True, default=str).encode())
    for name in sorted(set(_texts(_trees(path)))):
        file = reading.folder / name
        if len(name) < 4096 and _is_file(file):
            digest.update(f"\0{name}\0".encode() + file.read_bytes())
    return digest.hexdigest()


def key(task: Task, scenario: str, version: str) -> str:
    """What a run depends on, as a short hash. scenario: its fingerprint. version: of the package."""
    settings = [(setting.path, setting.value) for setting in task.settings]
    told = json.dumps([version, scenario, settings, task.seed, task.length], sort_keys=True, default=str)
    return hashlib.sha256(told.encode()).hexdigest()[:20]


class Rows:
    """The rows of a folder. `with Rows(folder) as rows: rows.add(…)`; what was added is safe from then on."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / ROWS
        self._stream: TextIO | None = None
        self.known: dict[str, Figures] = {}
        """Figures of finished runs by their keys, those of earlier times included."""

    def __enter__(self) -> Rows:
        """Raises UserError where the folder cannot be used."""
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            self._stream = self._file.open("a+", encoding="utf-8")
            self._stream.seek(0)
            text = self._stream.read()
        except (OSError, UnicodeDecodeError) as error:
            raise UserError(str(self._file.parent), "cannot keep results here", str(error)) from error
        for line in text.splitlines():
            self._take(line)
        if text and not text.endswith("\n"):
            self._stream.write("\n")  # whoever wrote the last line was killed in the middle of it
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._stream is not None:
            self._stream.close()

    def add(self, key: str, task: Task, figures: Figures) -> None:
        """A run is done."""
        assert self._stream is not None
        settings = {setting.path: setting.text for setting in task.settings}
        row = {"key": key, "scenario": task.scenario, "set": settings, "seed": task.seed, "figures": figures}
        self._stream.write(json.dumps(row, ensure_ascii=False) + "\n")
        self._stream.flush()
        self.known[key] = figures

    def _take(self, line: str) -> None:
        try:
            row = json.loads(line)
            self.known[row["key"]] = {str(name): value for name, value in row["figures"].items()}
        except (ValueError, KeyError, TypeError, AttributeError):
            return  # torn: its run is done again


def _trees(path: str | Path) -> list[Any]:
    text = yamltext.decode(Path(path).read_bytes())
    return [tree for chunk in yamltext.chunks(text) for tree in chunk.documents([])]


def _texts(tree: Any) -> Iterator[str]:
    """All texts of a tree, among which are the names of the files that it needs."""
    if isinstance(tree, dict):
        tree = list(tree.values())
    if isinstance(tree, list):
        for item in tree:
            yield from _texts(item)
    elif isinstance(tree, str):
        yield tree


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):  # a text that can be no file's name
        return False
