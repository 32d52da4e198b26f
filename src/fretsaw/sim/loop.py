"""Virtual time: a heap of what happens next. Nothing here reads a real clock."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from typing import Any

from fretsaw.api.times import Millis
from fretsaw.errors import BrokenInvariant


class Timer:
    """Something that will happen; `cancel` before it does, and it does not."""

    __slots__ = ("args", "call", "when")

    def __init__(self, when: Millis, call: Callable[..., None], args: tuple[Any, ...]) -> None:
        self.when = when
        self.call: Callable[..., None] | None = call
        self.args = args

    def cancel(self) -> None:
        """Let it not happen."""
        self.call, self.args = None, ()


class Loop:
    """Runs what was planned in the order of (time, priority, number of planning): the same every time."""

    def __init__(self, start: Millis = 0) -> None:
        self.start = start
        self.now = start
        self.events = 0
        """How many timers have gone off."""
        self._heap: list[tuple[Millis, int, int, Timer]] = []
        self._planned = 0
        self.stopped = False

    def at(self, when: Millis, call: Callable[..., None], *args: Any, priority: int = 0) -> Timer:
        """Plan a call; the past becomes now. priority: lower goes first among equal times."""
        timer = Timer(max(when, self.now), call, args)
        self._planned += 1
        heapq.heappush(self._heap, (timer.when, priority, self._planned, timer))
        return timer

    def after(self, delay: Millis, call: Callable[..., None], *args: Any, priority: int = 0) -> Timer:
        """Plan a call in a while. Raises BrokenInvariant for a negative delay."""
        if delay < 0:
            raise BrokenInvariant(f"a delay of {delay} ms for {call}")
        return self.at(self.now + delay, call, *args, priority=priority)

    def next_round(self, every: Millis) -> Millis:
        """When a controller that looks at regular times from the start on does so next; later than now."""
        return self.start + ((self.now - self.start) // every + 1) * every

    def run(self, until: Millis) -> None:
        """Go through all that happens up to and including `until`, which is then now; or to `stop`."""
        heap = self._heap
        while heap and heap[0][0] <= until and not self.stopped:
            when, _, _, timer = heapq.heappop(heap)
            if timer.call is None:
                continue
            self.now = when
            self.events += 1
            timer.call(*timer.args)
        if not self.stopped:
            self.now = until

    def stop(self) -> None:
        """Let `run` return before the next event."""
        self.stopped = True
