"""The runs of a sweep as a table for other programs: CSV always, Parquet where pyarrow is installed."""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any, Final

from fretsaw.errors import UserError
from fretsaw.sim.many.figures import FIGURES
from fretsaw.sim.many.rows import Figures
from fretsaw.sim.many.sweep import Sweep
from fretsaw.sim.many.task import Task

Columns = dict[str, list[Any]]


def columns(sweep: Sweep, done: Mapping[Task, Figures]) -> Columns:
    """One row for each finished run, by point and seed: what was set, the seed, and every figure with its unit."""
    tasks = [task for point in sweep.points for seed in sweep.seeds if (task := sweep.task(point, seed)) in done]
    found: Columns = {path: [] for path in sweep.paths}
    for task in tasks:
        for setting in task.settings:
            found[setting.path].append(setting.value)
    found = {path: _alike(values, path, tasks) for path, values in found.items()}
    found["seed"] = [task.seed for task in tasks]
    for figure in FIGURES:
        found[figure.column] = [done[task].get(figure.name) for task in tasks]
    return found


def _alike(values: list[Any], path: str, tasks: list[Task]) -> list[Any]:
    """Values of one type: numbers or truths where all are, else the texts that the user wrote."""
    for kind in (bool, int, float):
        if all(isinstance(value, kind | int) if kind is float else type(value) is kind for value in values):
            return [kind(value) for value in values]
    return [setting.text for task in tasks for setting in task.settings if setting.path == path]


def write_csv(found: Columns, file: Path) -> None:
    """A header and a row for each run; what could not be measured is empty."""
    with file.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(found)
        writer.writerows(zip(*found.values(), strict=True))


def write_parquet(found: Columns, file: Path) -> None:
    """The same with types; what could not be measured is null."""
    arrow, parquet = _arrow()
    floats = {figure.column for figure in FIGURES}
    arrays = {name: arrow.array(values, arrow.float64() if name in floats else None) for name, values in found.items()}
    parquet.write_table(arrow.table(arrays), file)


def _arrow() -> tuple[Any, Any]:
    try:
        return import_module("pyarrow"), import_module("pyarrow.parquet")
    except ImportError as error:
        raise UserError(
            "--format parquet", "pyarrow is not installed", right="pip install 'fretsaw[sweep]', or --format csv"
        ) from error


WRITERS: Final[dict[str, Callable[[Columns, Path], None]]] = {"parquet": write_parquet, "csv": write_csv}


def check(format: str) -> None:
    """Raises UserError where results could not be written in a format: before hours of work, not after."""
    if format == "parquet":
        _arrow()


def write(sweep: Sweep, done: Mapping[Task, Figures], folder: Path, format: str) -> Path:
    """The file that the runs were written to. Raises UserError where it cannot be."""
    file = folder / f"results.{format}"
    try:
        WRITERS[format](columns(sweep, done), file)
    except OSError as error:
        raise UserError(str(file), "cannot be written", error.strerror or str(error)) from error
    return file
