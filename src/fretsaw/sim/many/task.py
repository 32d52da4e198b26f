"""One run of many: what it takes to do it anywhere, and doing it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from fretsaw.api.manifest import no_collection
from fretsaw.api.times import Millis
from fretsaw.errors import BrokenInvariant, FretsawError, UserError
from fretsaw.sim.many.override import Setting, changed
from fretsaw.sim.simulation import Simulation

Build = Callable[..., Simulation]
"""Makes a run of (reading, seed=…, length=…), such as `planner.simulation`: it knows catalogs, which is not for here.
Has to be a function of a module, so that another process can import it."""


class Task(msgspec.Struct, frozen=True):
    """A run that is to be done. Can be pickled; two equal tasks give equal results."""

    scenario: str
    """The file."""
    seed: int
    settings: tuple[Setting, ...] = ()
    """What differs from the file."""
    length: Millis | None = None
    """In place of the scenario's own."""
    side: str = ""
    """What the run is for, where one scenario has several uses."""

    def __str__(self) -> str:
        given = "".join(f" {setting}" for setting in self.settings)
        return f"{self.scenario}{given} with seed {self.seed}"


class Simulate:
    """Does tasks; can be sent to another process."""

    def __init__(self, build: Build) -> None:
        self.build = build

    def __call__(self, task: Task) -> dict[str, Any]:
        """The result of a run. Raises UserError where the scenario is wrong, BrokenInvariant for everything else."""
        try:
            reading = changed(task.scenario, task.settings)
            with no_collection():
                run = self.build(reading, seed=task.seed, length=task.length)
                run.run()
                return run.result()
        except UserError:
            raise
        except Exception as error:
            kind = "" if isinstance(error, FretsawError) else f"{type(error).__name__}: "
            raise BrokenInvariant(f"the run of {task} failed: {kind}{error}") from error
