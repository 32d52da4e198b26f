"""One pod's life on its node: containers that start, run, end, are started again, or are stopped.

Time comes in: `advance` brings the life to a time and says when it goes on; what it then looks like is `look`.
Source: kubernetes.io, Pod Lifecycle.
"""

from __future__ import annotations

from typing import Literal

from fretsaw.api.pod import Pod
from fretsaw.api.times import SECOND, Millis
from fretsaw.engine.requests import Amounts
from fretsaw.kubelet.machine import Machine
from fretsaw.kubelet.settings import Told
from fretsaw.sim.kubelet.admission import Rejection
from fretsaw.sim.kubelet.backoff import Backoff
from fretsaw.sim.kubelet.pod_status import CRASH_LOOP, CREATING, Exit, Look, Phase

Stage = Literal["creating", "running", "waiting", "stopping", "over"]
SIGTERM, SIGKILL = 143, 137
DEFAULT_GRACE_S = 30


class Life:
    """A pod that a kubelet has taken."""

    def __init__(self, pod: Pod, machine: Machine, requests: Amounts, told: Told, now: Millis, address: str) -> None:
        self.uid = pod.metadata.uid
        self.machine = machine
        self.requests = requests
        self.address = address
        self.stage: Stage = "creating"
        self.published: Look | None = None
        """What was last written."""
        self._told = told
        self._since = now
        self._policy = pod.spec.restart_policy or "Always"
        self._starts: Millis = now
        self._began: Millis | None = None
        self._phase: Phase = "Pending"
        self._last: Exit | None = None
        self._restarts = 0
        self._backoff = Backoff()
        self._rejected: Rejection | None = None
        self._stop_began: Millis | None = None

    def begin(self, starts: Millis) -> None:
        """It was admitted; its containers run from `starts` on."""
        self._starts = starts

    def reject(self, why: Rejection) -> None:
        """It was refused: it holds nothing."""
        self._rejected, self._phase, self.stage = why, "Failed", "over"
        self.requests = {}

    @property
    def holds(self) -> bool:
        """Whether it takes room and devices of its node."""
        return self.stage != "over"

    def advance(self, now: Millis) -> Millis | None:
        """Let happen what is due by now; when the next thing is."""
        while True:
            due = self._due()
            if due is None or due > now:
                return due
            if self.stage == "running":
                self._exit(due)
            else:
                self._start(due)

    def _due(self) -> Millis | None:
        if self.stage in ("creating", "waiting"):
            return self._starts
        if self.stage == "running" and self._told.runs_for is not None and self._began is not None:
            return self._began + self._told.runs_for
        return None

    def _start(self, when: Millis) -> None:
        self._restarts += self.stage == "waiting"
        self.stage, self._phase, self._began = "running", "Running", when

    def _exit(self, when: Millis) -> None:
        code, began = self._told.exit_code, self._began or when
        self._last = Exit(code, "Error" if code else "Completed", began, when)
        self._began = None
        if self._policy == "Always" or (self._policy == "OnFailure" and code):
            # A program that ends at once would else be started again and again within one moment.
            self.stage, self._starts = "waiting", when + max(self._backoff.wait(when - began), SECOND)
        else:
            self.stage, self._phase = "over", "Failed" if code else "Succeeded"

    def stop(self, grace_s: int | None, stops_in: Millis, now: Millis) -> Millis | None:
        """It is told to stop; when its containers have ended, None for now. A later call can only shorten the grace."""
        if self._stop_began is None:
            self._stop_began = now
        needs = self._told.stops_in if self._told.stops_in is not None else stops_in
        grace = (DEFAULT_GRACE_S if grace_s is None else grace_s) * SECOND
        until = self._stop_began + (min(needs, grace) if self._began is not None else 0)
        if until > now:
            self.stage = "stopping"
            return until
        if self.stage != "over":
            code = SIGTERM if needs <= grace else SIGKILL
            self._last = Exit(code, "Error", self._began or now, now)
            self._began, self.stage, self._phase = None, "over", "Failed"
        return None

    def look(self) -> Look:
        """What there is to tell."""
        return Look(
            phase=self._phase,
            since=self._since,
            ready=self._began is not None,
            running_since=self._began,
            waits=CRASH_LOOP if self.stage == "waiting" else CREATING,
            last=self._last,
            restarts=self._restarts,
            reason=self._rejected.reason if self._rejected is not None else "",
            message=self._rejected.message if self._rejected is not None else "",
        )
