"""Where runs happen: in this process, or on all cores. Answers come as they are ready, each with its task."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from typing import Protocol, TypeVar

from fretsaw.errors import ProviderError

T = TypeVar("T")
R = TypeVar("R")


class Executor(Protocol):
    """Does work on tasks, somewhere."""

    def run(self, work: Callable[[T], R], tasks: Sequence[T]) -> Generator[tuple[T, R], None, None]:
        """(task, answer) of all tasks, in the order in which they are done.

        The first exception of a task, or an interrupt, is raised at once and ends what is still going on; so does
        closing the iterator. `work` and the tasks can be pickled.
        """


def cores() -> int:
    """How many runs this process may do at once."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class Local:
    """This machine."""

    def __init__(self, jobs: int = 0) -> None:
        """jobs: runs at once; 0 for one on each core. With one, nothing but this process is needed."""
        self.jobs = jobs or cores()

    def run(self, work: Callable[[T], R], tasks: Sequence[T]) -> Generator[tuple[T, R], None, None]:
        """As `Executor`. Raises ProviderError where a process is killed from outside."""
        if self.jobs == 1 or len(tasks) < 2:
            return ((task, work(task)) for task in tasks)
        return _spread(work, tasks, min(self.jobs, len(tasks)))


def _spread(work: Callable[[T], R], tasks: Sequence[T], jobs: int) -> Generator[tuple[T, R], None, None]:
    """All tasks on so many processes."""
    before = set(multiprocessing.active_children())
    # Spawned, not forked: a fork copies locks of threads that it does not have, and takes over the parent's memory.
    pool = ProcessPoolExecutor(jobs, multiprocessing.get_context("spawn"))
    done = False
    try:
        with _interrupts_for_us_only():
            asked: dict[Future[R], T] = {pool.submit(work, task): task for task in tasks}
        for future in as_completed(list(asked)):
            yield asked.pop(future), future.result()
        done = True
    except BrokenProcessPool as error:
        raise ProviderError("a process that simulated was killed; was there memory enough? Try fewer --jobs") from error
    finally:
        pool.shutdown(wait=done, cancel_futures=True)
        if not done:
            for process in set(multiprocessing.active_children()) - before:
                process.terminate()


@contextmanager
def _interrupts_for_us_only() -> Iterator[None]:
    """Processes that start meanwhile ignore Ctrl-C, which a terminal sends to all: whoever started them ends them."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    ours = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, ours)
