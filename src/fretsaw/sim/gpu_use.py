"""How busy the GPUs of each pod were: its use while it was ready, added up.

The use of a pod that works is constant, so that its sum is exact; that of a service follows its load, and is read anew
when `look` is called. Sums are whole numbers, so that `settle` may be called at any time and changes no later sum.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable

import msgspec

from fretsaw.api.pod import Pod
from fretsaw.api.times import Millis
from fretsaw.sim.conditions import is_ready
from fretsaw.sim.ledger import Ledger, PodLife
from fretsaw.sim.world import World


class _Span(msgspec.Struct):
    """A pod that is ready, from when on with what use."""

    life: PodLife
    since: Millis
    use: int
    """Millionths of its GPUs."""


MILLION = 1_000_000


class GpuUse:
    """Writes `PodLife.used_gpu_ms`. Make it after the ledger, which it follows, and after what tells the use."""

    def __init__(
        self,
        world: World,
        ledger: Ledger,
        use: Callable[[Pod, Millis], float],
        varies: Callable[[Pod], bool] = lambda pod: True,
    ) -> None:
        """use: share of its GPUs that a pod keeps busy at a time, 0 to 1. varies: whether that may change while the pod
        is ready; else it need not be read again."""
        self._loop, self._store = world.loop, world.store
        self._lives = ledger.pods
        self._use = use
        self._varies = varies
        self._spans: dict[str, _Span] = {}
        """By uid."""
        self._varying: dict[str, None] = {}
        """Those of them whose use may change."""
        self._sums: dict[str, int] = defaultdict(int)
        """Millionths of GPU-milliseconds by uid."""
        world.store.watch("Pod", self._pod)

    def settle(self) -> None:
        """Add up until now."""
        for uid, span in self._spans.items():
            self._add(uid, span)

    def look(self) -> None:
        """Add up until now, and read anew the uses that may have changed."""
        for uid in list(self._varying):
            span = self._spans.get(uid)
            if span is None:
                del self._varying[uid]
                continue
            self._add(uid, span)
            pod: Pod | None = self._store.get("Pod", span.life.key)
            if pod is None or pod.metadata.uid != uid or span.life.ended is not None:
                del self._spans[uid]
            else:
                span.use = self._now(pod)

    def _pod(self, old: Pod | None, new: Pod | None) -> None:
        pod = new if new is not None else old
        if pod is None:
            return
        uid = pod.metadata.uid
        life, span = self._lives[uid], self._spans.get(uid)
        works = new is not None and not new.is_terminal and not new.metadata.deletion_timestamp and is_ready(new)
        if works and span is None and life.gpus and life.ended is None:
            self._spans[uid] = _Span(life, self._loop.now, self._now(pod))
            if self._varies(pod):
                self._varying[uid] = None
        elif not works and span is not None:
            self._add(uid, span)
            del self._spans[uid]

    def _now(self, pod: Pod) -> int:
        return round(self._use(pod, self._loop.now) * MILLION)

    def _add(self, uid: str, span: _Span) -> None:
        """Until now, or until the pod ended with its machine."""
        until = self._loop.now if span.life.ended is None else min(span.life.ended, self._loop.now)
        self._sums[uid] += span.life.gpus * span.use * max(until - span.since, 0)
        span.life.used_gpu_ms = self._sums[uid] / MILLION
        span.since = self._loop.now
