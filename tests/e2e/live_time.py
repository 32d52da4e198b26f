"""How long a case may take in real time: in full, with its long waits cut short, or not at all."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from kubernetes.driver import Obj, VirtualDriver

SHORT_S = 20.0
"""A case that waits no longer in all is played in full."""
CUT_S = 5.0
"""What is left of a longer wait where only its having been matters: in the virtual cluster the case holds so too."""
PATIENCE_S = 250.0
"""The longest wait for anything: the whole run should not take much longer."""


class Pace(NamedTuple):
    """How a case is played."""

    longest_wait_s: float
    seconds: float
    """In all."""
    skip: str = ""
    """Why it cannot be played."""


def waits(case: Obj) -> list[float]:
    """How long the steps wait, `at` counted from the beginning."""
    found, now = [1.0], 1.0
    for step in case.get("steps", []):
        for word, value in step.items():
            if word in ("wait", "at"):
                found.append(value if word == "wait" else max(value - now, 0))
                now += found[-1]
    return found


def pace_of(case: Obj, rehearse: Callable[[float], object], patience_s: float = PATIENCE_S) -> Pace:
    """rehearse: plays the case in the virtual cluster with waits of at most so many seconds; AssertionError if not."""
    seconds = sum(waits(case))
    if seconds <= SHORT_S:
        return Pace(SHORT_S, seconds)
    if _holds(rehearse):
        return Pace(CUT_S, sum(min(wait, CUT_S) for wait in waits(case)))
    if seconds <= patience_s:
        return Pace(patience_s, seconds)
    return Pace(0, 0, f"hangs on {seconds:g} s of passing time, more than {patience_s:g} s")


def _holds(rehearse: Callable[[float], object]) -> bool:
    try:
        rehearse(CUT_S)
    except AssertionError:
        return False
    return True


class CutDriver(VirtualDriver):
    """The virtual cluster with its waits cut short."""

    longest_wait_s = CUT_S

    def advance(self, seconds: float) -> None:
        """See Driver."""
        super().advance(min(seconds, self.longest_wait_s))
