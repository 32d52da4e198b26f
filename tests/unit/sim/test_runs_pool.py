"""Where runs happen: the same answers in any order and place, exceptions and interrupts at once, Ray by its interface."""

from __future__ import annotations

import multiprocessing
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from fretsaw import planner
from fretsaw.errors import BrokenInvariant, ProviderError, UserError
from fretsaw.sim.many.override import Setting
from fretsaw.sim.many.pool import Executor, Local, cores
from fretsaw.sim.many.ray import Ray
from fretsaw.sim.many.sweep import measured
from fretsaw.sim.many.task import Simulate, Task
from support import jobs, tiny

SIMULATE = Simulate(planner.simulation)


@pytest.fixture
def tasks(tmp_path: Path) -> list[Task]:
    file = str(tiny.files(tmp_path))
    setting = Setting("nodepool/gpu.spec.disruption.consolidateAfter", "5m")
    return [Task(file, seed, settings) for seed in (1, 2) for settings in ((), (setting,))]


def figures(where: Executor, tasks: list[Task]) -> dict[Task, Any]:
    return {task: measured(result) for task, result in where.run(SIMULATE, tasks)}


def test_neither_place_nor_order_changes_a_run(tasks: list[Task]) -> None:
    here = figures(Local(1), tasks)
    there = figures(Local(2), tasks[::-1])
    assert here == there
    assert list(here) == tasks
    assert len({str(found) for found in here.values()}) > 1
    assert multiprocessing.active_children() == []


def test_a_run_is_told_by_scenario_settings_and_seed(tasks: list[Task]) -> None:
    assert str(tasks[1]) == f"{tasks[1].scenario} nodepool/gpu.spec.disruption.consolidateAfter=5m with seed 1"


def test_a_length_is_in_place_of_the_scenarios_own(tasks: list[Task]) -> None:
    assert SIMULATE(Task(tasks[0].scenario, 1, length=600_000))["virtualSeconds"] == 600


# What goes wrong


def _build(reading: Any, **given: Any) -> Any:
    raise ZeroDivisionError("by zero")


def test_a_bug_in_a_run_is_told_with_the_run(tasks: list[Task]) -> None:
    with pytest.raises(BrokenInvariant, match=r"tiny.yaml with seed 1 failed: ZeroDivisionError: by zero"):
        Simulate(_build)(tasks[0])


def test_the_first_exception_ends_all_runs_at_once() -> None:
    began = time.monotonic()
    with pytest.raises(UserError, match=r"tiny.yaml: is wrong: so \(like this\)"):
        list(Local(2).run(jobs.wrong_or_slow, [1, 0, 2, 3]))
    assert time.monotonic() - began < 30
    _none_left()


def test_a_process_that_is_killed_is_the_worlds_fault() -> None:
    with pytest.raises(ProviderError, match="memory") as error:
        list(Local(2).run(jobs.dies, [0, 1, 2]))
    assert isinstance(error.value.__cause__, BrokenProcessPool)


def test_whoever_stops_listening_ends_all_runs() -> None:
    results = Local(2).run(jobs.quick_or_slow, [0, 1, 2, 3])
    assert next(results) == (0, 0)
    results.close()
    _none_left()


def _none_left() -> None:
    until = time.monotonic() + 10
    while multiprocessing.active_children() and time.monotonic() < until:
        time.sleep(0.05)
    assert multiprocessing.active_children() == []


def test_every_core_is_used() -> None:
    assert Local().jobs == cores() >= 1


# Ray


class FakeRay(ModuleType):
    """Ray's functions, as far as they are used: a task runs when somebody waits for it."""

    class RayTaskError(Exception):
        cause: Exception | None = None

    def __init__(self) -> None:
        super().__init__("ray")
        self.exceptions = SimpleNamespace(RayTaskError=self.RayTaskError)
        self.started = 0
        self.most = 0
        self.cancelled: list[Any] = []
        self.open: list[Any] = []

    def is_initialized(self) -> bool:
        return self.started > 0

    def init(self, **given: Any) -> None:
        self.started += 1

    def remote(self, call: Callable[..., Any]) -> Any:
        def submit(*args: Any) -> Any:
            reference = SimpleNamespace(call=call, args=args)
            holder = _Reference(reference)
            self.open.append(holder)
            self.most = max(self.most, len(self.open))
            return holder

        assert getattr(call, "__name__", "") == "_perform"  # Ray takes functions alone
        return SimpleNamespace(remote=submit)

    def wait(self, references: list[Any], num_returns: int) -> tuple[list[Any], list[Any]]:
        return references[-num_returns:], references[:-num_returns]

    def get(self, reference: Any) -> Any:
        self.open.remove(reference)
        try:
            return reference.what.call(*reference.what.args)
        except Exception as error:
            wrapped = self.RayTaskError("remote")
            wrapped.cause = error
            raise wrapped from error

    def cancel(self, reference: Any, *, force: bool) -> None:
        assert force
        self.cancelled.append(reference)


class _Reference:
    def __init__(self, what: Any) -> None:
        self.what = what


@pytest.fixture
def ray(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeRay]:
    fake = FakeRay()
    monkeypatch.setitem(sys.modules, "ray", fake)
    return fake


def test_ray_gives_the_same_runs(ray: FakeRay, tasks: list[Task]) -> None:
    assert figures(Ray(), tasks) == figures(Local(1), tasks)
    assert (ray.started, ray.most, ray.open, ray.cancelled) == (1, 4, [], [])


def test_ray_does_no_more_at_once_than_asked(ray: FakeRay) -> None:
    assert dict(Ray(2).run(str, [1, 2, 3, 4, 5])) == {1: "1", 2: "2", 3: "3", 4: "4", 5: "5"}
    assert ray.most == 2


def test_an_exception_on_ray_is_the_tasks_own_and_ends_the_rest(ray: FakeRay) -> None:
    def wrong(task: int) -> int:
        raise UserError("tiny.yaml", "is wrong")

    with pytest.raises(UserError, match=r"tiny.yaml: is wrong"):
        list(Ray().run(wrong, [1, 2, 3]))
    assert len(ray.cancelled) == 3


def test_without_ray_is_told_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(
        UserError, match=r"Ray is not installed \(pip install 'fretsaw\[ray\]', or --executor process\)"
    ):
        Ray()
