"""Runs on a Ray cluster. Ray is imported only here, and only when it is asked for (`fretsaw[ray]`)."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from importlib import import_module
from typing import Any, TypeVar

from fretsaw.errors import UserError

T = TypeVar("T")
R = TypeVar("R")


class Ray:
    """The cluster that RAY_ADDRESS names, or Ray on this machine. Every node needs fretsaw and the same files."""

    def __init__(self, jobs: int = 0) -> None:
        """jobs: runs at once; 0 leaves it to Ray. Raises UserError where Ray is not installed."""
        self.jobs = jobs
        try:
            self._ray: Any = import_module("ray")
        except ImportError as error:
            raise UserError(
                "--executor ray", "Ray is not installed", right="pip install 'fretsaw[ray]', or --executor process"
            ) from error

    def run(self, work: Callable[[T], R], tasks: Sequence[T]) -> Generator[tuple[T, R], None, None]:
        """As `pool.Executor`."""
        ray = self._ray
        if not ray.is_initialized():
            ray.init(log_to_driver=False)
        remote = ray.remote(_perform)
        left = list(reversed(tasks))
        asked: dict[Any, T] = {}
        try:
            while left or asked:
                while left and (not self.jobs or len(asked) < self.jobs):
                    task = left.pop()
                    asked[remote.remote(work, task)] = task
                ready, _ = ray.wait(list(asked), num_returns=1)
                for reference in ready:
                    answer: R = self._answer(reference)
                    yield asked.pop(reference), answer
        finally:
            for reference in asked:
                ray.cancel(reference, force=True)

    def _answer(self, reference: Any) -> Any:
        """The answer, or the task's own exception out of Ray's wrapping."""
        try:
            return self._ray.get(reference)
        except self._ray.exceptions.RayTaskError as error:
            raise (error.cause if error.cause is not None else error) from error


def _perform(work: Callable[[T], R], task: T) -> R:
    """Ray takes functions, and no objects that can be called."""
    return work(task)
