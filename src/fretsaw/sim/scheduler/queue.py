"""Who is tried next: active pods by priority and time, pods that back off, and pods that wait for an event.

Pods of one mold that failed together are a bundle. What refuses one refuses the others, so the first that fails sets
the whole bundle back: its pods count an attempt each and back off as they would one by one, at the cost of one attempt.
Source: kube-scheduler v1.36 backend/queue (scheduling_queue.go, backoff_queue.go).
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from typing import Final, Literal

import msgspec

from fretsaw.api.times import MINUTE, SECOND, Millis
from fretsaw.sim.loop import Loop, Timer
from fretsaw.sim.scheduler.mold import Mold

FIRST_BACKOFF: Final = 1 * SECOND
LONGEST_BACKOFF: Final = 10 * SECOND
CAPPED: Final = 5
"""Attempts from which on the backoff grows no more."""
FLUSH_EVERY: Final = 30 * SECOND
WAITS_AT_MOST: Final = 5 * MINUTE
Kin = tuple[int, tuple[str, ...] | None, str]
"""(mold, nodes that the pod is pinned to, node that it is nominated for): pods with one answer."""
State = Literal["active", "backoff", "waiting"]


class Bundle(msgspec.Struct, eq=False):
    """Pods that are tried one after another, and fail together."""

    kin: Kin
    mold: Mold
    pods: dict[str, None]
    """Keys in their order."""
    number: int
    order: int
    """Among bundles of the same time."""
    attempts: int = 0
    since: Millis = 0
    """When it entered the active queue first, or failed last."""
    state: State = "active"
    rejected_by: frozenset[str] = frozenset()
    """Plugins of which one has to change its mind."""
    timer: Timer | None = None

    @property
    def backs_off_until(self) -> Millis:
        """When it may be tried again at the earliest."""
        return self.since + backoff(self.attempts)


def backoff(attempts: int) -> Millis:
    """How long a pod waits after so many failed attempts: 1, 2, 4, 8 and then 10 seconds."""
    return min(FIRST_BACKOFF << min(attempts - 1, 8), LONGEST_BACKOFF) if attempts else 0


class Queue:
    """All waiting pods. ready: called whenever there is something to try."""

    def __init__(self, loop: Loop, ready: Callable[[], None]) -> None:
        self._loop = loop
        self._ready = ready
        self._heap: list[tuple[int, Millis, int, int, Bundle]] = []
        self._of: dict[str, Bundle] = {}
        self._waiting: dict[str, dict[int, Bundle]] = {}
        """Bundles that wait, by rejecting plugin and number."""
        self._joinable: dict[tuple[Kin, int, frozenset[str]], list[Bundle]] = {}
        self._numbers = 0
        self._flush: Timer | None = None

    def __contains__(self, key: str) -> bool:
        return key in self._of

    def bundle(self, key: str) -> Bundle | None:
        """The bundle of a pod."""
        return self._of.get(key)

    def add(self, key: str, kin: Kin, mold: Mold, after: Bundle | None = None) -> None:
        """A pod is to be tried. after: the bundle that it left, whose attempts and place in time it keeps."""
        self._numbers += 1
        bundle = Bundle(kin, mold, {key: None}, self._numbers, self._numbers, since=self._loop.now)
        if after is not None:
            bundle.attempts, bundle.since, bundle.rejected_by = after.attempts, after.since, after.rejected_by
            bundle.order = after.order
        self._of[key] = bundle
        if after is not None and after.state == "waiting":
            self._wait(bundle)
        elif after is not None and after.state == "backoff":
            self._back_off(bundle)
        else:
            self._awake(bundle)

    def drop(self, key: str) -> Bundle | None:
        """Forget a pod; the bundle that it was in."""
        bundle = self._of.pop(key, None)
        if bundle is not None:
            del bundle.pods[key]
            if not bundle.pods:
                self._leave(bundle)
        return bundle

    def next(self) -> tuple[str, Bundle] | None:
        """The pod to try, and its bundle, which stays at the head; None where there is none."""
        while self._heap:
            _, since, _, _, bundle = self._heap[0]
            # An entry from before the bundle's last failure is no longer its place.
            if bundle.pods and bundle.state == "active" and bundle.since == since:
                return next(iter(bundle.pods)), bundle
            heapq.heappop(self._heap)
        return None

    def failed(self, bundle: Bundle, rejected_by: frozenset[str]) -> Bundle:
        """The head of a bundle failed, and so all of it; the bundle that its pods are in now."""
        bundle.attempts += 1
        bundle.since = self._loop.now
        bundle.rejected_by = rejected_by
        return self._wait(bundle)

    def postpone(self, bundle: Bundle) -> None:
        """Try a bundle again after its backoff, whatever happens: its attempt was lost and nothing refused it."""
        bundle.attempts += 1
        bundle.since = self._loop.now
        self._back_off(bundle)

    def helped(self, plugins: tuple[str, ...], helps: Callable[[Mold, Kin, str], bool]) -> None:
        """Something happened that these plugins care about: let those go on whom it may help."""
        for plugin in plugins:
            for bundle in list(self._waiting.get(plugin, {}).values()):
                if bundle.state == "waiting" and helps(bundle.mold, bundle.kin, plugin):
                    self._move(bundle)

    def move(self, bundle: Bundle) -> None:
        """Let a bundle that waits go on."""
        if bundle.state == "waiting":
            self._move(bundle)

    # States

    def _move(self, bundle: Bundle) -> None:
        self._unwait(bundle)
        if bundle.backs_off_until > self._loop.now:
            self._back_off(bundle)
        else:
            self._awake(bundle)

    def _back_off(self, bundle: Bundle) -> None:
        bundle.state = "backoff"
        bundle.timer = self._loop.at(bundle.backs_off_until, self._awake, bundle)

    def _awake(self, bundle: Bundle) -> None:
        bundle.state, bundle.timer = "active", None
        # By the time of its last failure: that is when kube-scheduler stamps what it puts back.
        heapq.heappush(self._heap, (-bundle.mold.priority, bundle.since, bundle.order, bundle.number, bundle))
        self._ready()

    def _wait(self, bundle: Bundle) -> Bundle:
        """Put a bundle among those that wait, or its pods into one that is as far as it is."""
        question = (bundle.kin, min(bundle.attempts, CAPPED), bundle.rejected_by)
        others = [b for b in self._joinable.get(question, ()) if b.state == "waiting" and b.pods and b is not bundle]
        now = self._loop.now
        for other in others:
            if other.since == bundle.since or self._both_over(other, bundle, now):
                pair = sorted((other, bundle), key=lambda one: one.order)
                other.pods = pair[0].pods | pair[1].pods
                other.order = pair[0].order
                self._of.update(dict.fromkeys(bundle.pods, other))
                bundle.pods = {}
                bundle.state = "waiting"
                return other
        bundle.state = "waiting"
        self._joinable[question] = [*others, bundle]
        for plugin in sorted(bundle.rejected_by):
            self._waiting.setdefault(plugin, {})[bundle.number] = bundle
        self._plan_flush()
        return bundle

    def _both_over(self, one: Bundle, other: Bundle, now: Millis) -> bool:
        return one.backs_off_until <= now and other.backs_off_until <= now

    def _unwait(self, bundle: Bundle) -> None:
        for plugin in bundle.rejected_by:
            self._waiting.get(plugin, {}).pop(bundle.number, None)

    def _leave(self, bundle: Bundle) -> None:
        """A bundle has no pod left."""
        self._unwait(bundle)
        if bundle.timer is not None:
            bundle.timer.cancel()
            bundle.timer = None

    # The flush of those that wait for too long

    def _plan_flush(self) -> None:
        if self._flush is not None:
            return
        oldest = min((b.since for group in self._waiting.values() for b in group.values()), default=None)
        if oldest is not None:
            due = oldest + WAITS_AT_MOST - self._loop.start
            self._flush = self._loop.at(self._loop.start + -(-due // FLUSH_EVERY) * FLUSH_EVERY, self._flushed)

    def _flushed(self) -> None:
        self._flush = None
        waiting = {b.number: b for group in self._waiting.values() for b in group.values()}
        for _, bundle in sorted(waiting.items()):
            if self._loop.now - bundle.since >= WAITS_AT_MOST:
                self._move(bundle)
        self._plan_flush()
