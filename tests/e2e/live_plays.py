"""Plays of the tables on a real server: what has to come is waited for, what must not come is looked at once."""

from __future__ import annotations

import time
from typing import Any

from e2e.live_driver import LiveDriver, eventually
from kubernetes.control_play import ControlPlay
from kubernetes.driver import START, Obj
from kubernetes.scheduler_play import SchedulerPlay, Seen
from kubernetes.stage import Stage
from support.controlplane import ApiError

PATIENCE_S = 15.0
"""What has not come after so long will not."""
SLACK_S = 4
"""Times on a real server are whole seconds, and it is never as quick as the virtual one."""


class LiveSchedulerPlay(SchedulerPlay):
    """See SchedulerPlay. The scheduler is idle when it is looked at, so that little more can come."""

    def expect(self, then: Obj) -> None:
        """See SchedulerPlay."""
        seen = Seen(self.driver)
        problems: list[str] = []

        def as_expected() -> bool:
            problems[:] = seen.failures(then)
            return not problems

        assert eventually(as_expected, 2), problems


class LiveStage(Stage):
    """See Stage. A step that does not find its pods yet waits for them."""

    patience_s = PATIENCE_S

    def step(self, word: str, value: Any) -> str:
        """See Stage."""
        problem = self._tried(word, value)
        deadline = time.monotonic() + self.patience_s
        while problem and time.monotonic() < deadline:
            self.driver.linger()
            problem = self._tried(word, value)
        return problem

    def _tried(self, word: str, value: Any) -> str:
        try:
            return super().step(word, value)
        except AssertionError as error:
            return str(error) or "nothing is there for it"


class LiveControlPlay(ControlPlay):
    """See ControlPlay. What is not as expected yet is looked at again for a while."""

    patience_s = 3.0

    def step(self, word: str, value: Any) -> None:
        """See ControlPlay."""
        deadline = time.monotonic() + self.patience_s
        while word in ("then", "count"):
            try:
                return super().step(word, value)
            except AssertionError:
                if time.monotonic() > deadline:
                    raise
            self.driver.linger()
        return super().step(word, value)


class LiveAround:
    """See Around. What a lane does not have is not asked of it."""

    def __init__(self, driver: LiveDriver) -> None:
        self.driver = driver

    def elapsed_s(self) -> float:
        """See Around."""
        return (self.driver.now - START) / 1000

    def evict(self, pod: str, uid: str | None, grace: int | None) -> str:
        """See Around."""
        options: Obj = {} if grace is None else {"gracePeriodSeconds": grace}
        if uid is not None:
            options["preconditions"] = {"uid": self.driver.names.uid(uid)}
        path = self.driver.path("Pod", f"default/{pod}")
        wanted = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": pod}, "deleteOptions": options}
        try:
            self.driver.api("POST", f"{path}/eviction", wanted)
        except ApiError as error:
            return f"{error.status} {error.reason or 'InternalError'}: {error.body.get('message')}"
        return ""

    def measured(self, values: Obj) -> None:
        """See Around."""
        raise NotImplementedError

    def kubelet(self, node: str, *, runs: bool) -> None:
        """See Around."""
        raise NotImplementedError

    def instance_ends(self, provider_id: str) -> None:
        """See Around."""
        raise NotImplementedError
