"""Every mix by name: what is in it and how often the peer runs it.

A mix is a document {"catalog": …, "objects": […]} that both planners read. The same name gives the same bytes.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

from bench import diverse, gpu
from bench.objects import Json

REGION = "us-east-1"
GPU_SIZES = (20, 50, 200, 1000, 2000, 5000)
DIVERSE_SIZES = (100, 500, 1000, 2000, 5000, 10000, 20000)


@dataclass(frozen=True)
class Mix:
    """One input of the benchmark."""

    name: str
    pods: int
    about: str
    make: Callable[[], Json]
    peer_runs: int = 5
    """Fewer where one run of the peer takes most of a minute."""


class MissingDataError(Exception):
    """The mix needs data that is not here; the text says which."""


@cache
def real_catalog(path: Path | None = None) -> Json:
    """The catalog in `path`, or the shipped one; raises MissingDataError where there is neither."""
    if path is not None:
        return dict(json.loads(path.read_text()))
    try:
        import msgspec

        from fretsaw.providers.aws.instance_types import catalog
    except ImportError as error:
        raise MissingDataError(f"the shipped EC2 catalog cannot be read: {error}") from error
    return dict(msgspec.to_builtins(catalog(REGION)))


def all_mixes(catalog_path: Path | None = None) -> list[Mix]:
    """Every mix, smallest first within its kind."""
    return [*_diverse(), *_gpu(catalog_path), _openb(catalog_path)]


def _diverse() -> list[Mix]:
    about = "the peer's own mix, 400 types"
    runs = {5000: 3, 10000: 2, 20000: 1}
    mixes = [Mix(f"diverse-{n}", n, about, partial(diverse.diverse, n), runs.get(n, 5)) for n in DIVERSE_SIZES]
    wishes = partial(diverse.preferences, 4000)
    return [*mixes, Mix("preferences-4000", 4000, "the peer's preference pods, 400 types", wishes, 1)]


def _gpu(path: Path | None) -> list[Mix]:
    def spot(catalog: Json, count: int) -> Json:
        return gpu.shapes(catalog, count, ("spot", "on-demand"))

    runs = {2000: 2, 5000: 1}
    kinds: list[tuple[str, str, Callable[[Json, int], Json]]] = [
        ("gpu-shapes", "8 shapes, 1 to 8 GPUs, on-demand", gpu.shapes),
        ("gpu-shapes-spot", "the same, spot and on-demand", spot),
        ("gpu-cpu-heavy", "1 to 4 GPUs with much CPU, on-demand", gpu.cpu_heavy),
        ("gpu-memory-heavy", "1 to 4 GPUs with much memory, spot and on-demand", gpu.memory_heavy),
        ("gpu-inference", "mostly small servers, a spot pool before an on-demand pool", gpu.inference),
        ("gpu-models", "GPU models and GPU memory asked for, two pools, on-demand", gpu.models),
    ]
    return [
        Mix(f"{name}-{n}", n, about, partial(_on_real_catalog, make, path, n), runs.get(n, 5))
        for name, about, make in kinds
        for n in GPU_SIZES
        if n < 5000 or name in ("gpu-shapes", "gpu-models")
    ]


def _on_real_catalog(make: Callable[[Json, int], Json], path: Path | None, count: int) -> Json:
    return make(real_catalog(path), count)


def _openb(path: Path | None) -> Mix:
    def make() -> Json:
        try:
            return gpu.openb(real_catalog(path))
        except FileNotFoundError as error:
            raise MissingDataError(f"the openb trace is not here: {error.filename}") from error

    about = "pods of a real GPU cluster; parts of a GPU rounded up to one, on-demand"
    return Mix("openb", 8152, about, make, 1)
