"""The virtual kube-scheduler. `Scheduler(world)` registers itself; everything else here is its inside."""

from __future__ import annotations

from fretsaw.sim.scheduler.scheduler import Scheduler

__all__ = ["Scheduler"]
