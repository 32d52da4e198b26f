"""How long a container waits before it is started again.

Source: kubernetes.io, Pod Lifecycle, "How Pods handle problems with containers": at once after the first crash, then
10 s, doubled each time up to 300 s; ten minutes of running begin anew.
"""

from __future__ import annotations

from fretsaw.api.times import MINUTE, SECOND, Millis

FIRST: Millis = 10 * SECOND
MOST: Millis = 300 * SECOND
FORGIVEN: Millis = 10 * MINUTE


class Backoff:
    """The restarts of one container."""

    def __init__(self) -> None:
        self._next: Millis = 0

    def wait(self, ran: Millis) -> Millis:
        """Time from a container's end to its next start; ran: how long it had run."""
        if ran >= FORGIVEN:
            self._next = 0
        wait = self._next
        self._next = min(2 * wait, MOST) if wait else FIRST
        return wait
