"""The scheduler's tables on the virtual scheduler (see `scheduler_play.py`)."""

from __future__ import annotations

from typing import Any

import pytest

from fretsaw.sim.scheduler import Scheduler
from fretsaw.sim.world import World
from kubernetes.driver import VirtualDriver
from kubernetes.scheduler_play import SchedulerPlay, tables

_CASES = [pytest.param(case, id=f"{table}::{case['name']}") for table, cases in tables().items() for case in cases]


class Reaper:
    """A kubelet that only stops pods, when their grace is over."""

    def __init__(self, world: World) -> None:
        self._world = world
        world.store.watch("Pod", self._pod)

    def _pod(self, old: Any, new: Any) -> None:
        if new is not None and new.metadata.deletion_timestamp and not old.metadata.deletion_timestamp:
            grace = (new.metadata.deletion_grace_period_seconds or 0) * 1000
            self._world.loop.after(grace, self._world.store.remove, "Pod", new.key)


@pytest.mark.parametrize("case", _CASES)
def test_scheduler(case: dict[str, Any]) -> None:
    driver = VirtualDriver([Reaper, lambda world: Scheduler(world, **case.get("settings", {}))])
    SchedulerPlay(driver).play(case)


def test_every_case_has_a_source_and_an_expectation() -> None:
    cases = [param.values[0] for param in _CASES]
    assert [c["name"] for c in cases if not c.get("source")] == []
    assert [c["name"] for c in cases if not c.get("then") and not any("then" in s for s in c["steps"])] == []
    assert len({c["name"] for c in cases}) == len(cases) >= 60
