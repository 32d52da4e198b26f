"""One pod's life on its node: volumes, image, containers, readiness, work, restarts, and its end.

Every end goes through `_over`, which gives back what the pod held and writes `pod-ended` exactly once.
Source: kubernetes.io, Pod Lifecycle.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any, Literal

from msgspec.structs import replace

from fretsaw.api.pod import Pod
from fretsaw.api.times import SECOND, Millis
from fretsaw.engine.requests import Amounts
from fretsaw.sim import gpu_facts
from fretsaw.sim.behavior import Behavior
from fretsaw.sim.kubelet.admission import Rejection
from fretsaw.sim.kubelet.backoff import Backoff
from fretsaw.sim.kubelet.devices import devices_of
from fretsaw.sim.kubelet.host import Ground, Host, slot_of
from fretsaw.sim.kubelet.image_pull import time_to_image
from fretsaw.sim.kubelet.pod_status import CRASH_LOOP, CREATING, Exit, Look, Phase, status
from fretsaw.sim.kubelet.probes import outlook
from fretsaw.sim.kubelet.progress import Run
from fretsaw.sim.loop import Timer

Result = Literal["succeeded", "failed", "rejected", "deleted", "killed"]
Stage = Literal["creating", "running", "waiting", "stopping", "over"]
SIGTERM, SIGKILL = 143, 137
"""Exit codes of a program that a signal ends: 128 and the signal's number."""


class PodLife:
    """A pod that a kubelet has taken. `begin` starts it, `stop` and `kill` end it."""

    def __init__(self, ground: Ground, host: Host, pod: Pod, requests: Amounts) -> None:
        self.key = pod.key
        self.uid = pod.metadata.uid
        self.requests = requests
        self.gpus = host.gpus(requests)
        self.behavior: Behavior = ground.works.behavior(pod)
        self.slot = slot_of(ground.works, pod)
        self.since: Millis = ground.world.loop.now
        """When the kubelet took it: from then on it holds its devices."""
        self.stage: Stage = "creating"
        self.ready = False
        self.began: Millis | None = None
        """When its containers last started; None while they do not run."""
        self.restarts = 0
        self._pod = pod
        self._ground = ground
        self._world = ground.world
        self._host = host
        self._timers: list[Timer] = []
        self._backoff = Backoff()
        self._run: Run | None = None
        self._run_began: Millis = 0
        self._works_since: Millis | None = None
        self._worked: Millis = 0
        self._last: Exit | None = None
        self._phase: Phase = "Pending"
        self._rejection: Rejection | None = None
        self._told: Millis = 0
        """When it was told to stop."""
        self._saves = False
        self._remove = False

    # What others ask

    @property
    def working(self) -> bool:
        """Whether it does what it is for: it runs, has loaded, and was not told to stop."""
        return self._works_since is not None

    def worked(self, now: Millis) -> Millis:
        """Time that it has worked so far."""
        return self._worked + (now - self._works_since if self._works_since is not None else 0)

    # Start

    def begin(self) -> None:
        """The kubelet takes the pod."""
        self._note("pod-admitted", devices=devices_of(self.requests))
        self.publish()
        volumes = self._ground.attachments.of_pod(self._pod)
        self._ground.attachments.mount(self.key, self._host.name, volumes, self._mounted)

    def reject(self, why: Rejection) -> None:
        """The kubelet refuses the pod."""
        self._rejection = why
        self._over("rejected", "Failed", reason=why.reason)

    def _mounted(self) -> None:
        if self.stage == "creating":
            size, random = self.behavior.image_bytes, self._random("pull")
            self._after(time_to_image(self._ground, self._host, self._pod, size, random), self._create)

    def _create(self) -> None:
        self._after(self._ground.settings.durations.container_start.draw(self._random("start")), self._started)

    def _started(self) -> None:
        """The containers run: plan what they will come to."""
        first = self._phase == "Pending"
        self.stage, self._phase, self.began = "running", "Running", self._world.loop.now
        self.restarts += not first
        self._note("pod-running" if first else "container-restarted", restarts=self.restarts)
        loaded = self.behavior.loads.draw(self._random("loads"))
        if why := self._cannot_work():
            self._after(loaded, self._exit, 1, "Error", why)
        else:
            self._plan(loaded)
        self.publish()

    def _plan(self, loaded: Millis) -> None:
        unprobed = 0 if self._ground.settings.ready_without_probe == "started" else loaded
        found = outlook(self._pod.spec.containers, loaded, unprobed=unprobed)
        if found.ready is None:
            self._after(found.killed or 0, self._exit, SIGKILL, "Error", "startup-probe")
            return
        self._now_or_after(loaded, self._work)
        if found.ready:
            self._after(found.ready, self._become_ready)
        else:
            self._be_ready()

    def _cannot_work(self) -> str:
        """Why the program cannot use its devices; empty where it can."""
        host, need = self._host, self.behavior.gpu_memory_bytes
        if host.devices.holds_broken(self.key):
            return "device-lost"
        for resource in devices_of(self.requests) if need else ():
            if resource.startswith("nvidia.com/"):
                has = gpu_facts.memory_bytes(host.labels, host.sharing, resource)
                if has is not None and has < need:
                    self._note("gpu-out-of-memory", needs=need, has=has)
                    return "gpu-out-of-memory"
        return ""

    def _be_ready(self) -> None:
        self.ready = True
        self._note("pod-ready")

    def _become_ready(self) -> None:
        self._be_ready()
        self.publish()

    # Work

    def _work(self) -> None:
        self._works_since = self._run_began = self._world.loop.now
        self._note("pod-working")
        self._run = self._ground.progress.begin(self.slot, self.behavior)
        if self._run is not None:
            self._after(self._run.ends_after, self._done)

    def _done(self) -> None:
        run = self._run
        if run is not None and run.fails_at is None:
            run.finish()
            self._run = None
            self._exit(0, "Completed", "")
        else:
            self._exit(self.behavior.exit_code, "Error", "failed")

    def _rest(self) -> None:
        """It works no longer, whatever comes next."""
        now = self._world.loop.now
        self._worked = self.worked(now)
        self._works_since = None

    def _lose(self, why: str, when: Millis, *, saves: bool = False) -> None:
        """The work ended at `when` before it was done; what was not saved is gone."""
        run, self._run = self._run, None
        if run is None:
            return
        lost = run.stop(when - self._run_began, saves=saves)
        if lost:
            seconds = lost / SECOND
            self._note("work-lost", why=why, slot=self.slot, seconds=seconds, gpu_seconds=seconds * self.gpus)

    # Ends and restarts

    def crash(self, why: str) -> None:
        """The program ends badly now; nothing where it does not run."""
        if self.stage == "running":
            self._exit(self.behavior.exit_code or 1, "Error", why)

    def _exit(self, code: int, reason: str, why: str) -> None:
        """The containers have ended by themselves."""
        now, began = self._world.loop.now, self.began or 0
        self._clear()
        self._lose(why, now)
        self._rest()
        self._last = Exit(code, reason, began, now)
        policy = self._pod.spec.restart_policy or "Always"
        if policy == "Always" or (policy == "OnFailure" and code):
            self._restart(code, why, now - began)
        else:
            self._over("failed" if code else "succeeded", "Failed" if code else "Succeeded", why=why)

    def _restart(self, code: int, why: str, ran: Millis) -> None:
        wait = self._backoff.wait(ran)
        self.stage, self.began, self.ready = "waiting", None, False
        self._note("container-ended", exit_code=code, why=why, wait_ms=wait)
        self.publish()
        self._after(wait, self._create)

    def stop(self, grace_s: int) -> None:
        """SIGTERM now, SIGKILL after the grace; a later call can only shorten it."""
        now = self._world.loop.now
        if self.stage == "over":
            return
        if self.stage != "stopping":
            self._told, self.stage = now, "stopping"
            self._clear()
            self._rest()
        stops = self.behavior.stops if self.began is not None else 0
        deadline = now + grace_s * SECOND
        self._saves = self.behavior.checkpoint is not None and self._told + stops <= deadline
        code = SIGTERM if self._told + stops <= deadline else SIGKILL
        self._clear()
        self._after(max(0, min(self._told + stops, deadline) - now), self._stopped, code)

    def _stopped(self, code: int) -> None:
        self._lose("deleted", self._told, saves=self._saves)
        self._last = Exit(code, "Error", self.began or self._world.loop.now, self._world.loop.now)
        self._remove = True
        self._over("deleted", "Failed")

    def kill(self, why: str, *, node_gone: bool = False) -> None:
        """It is gone this instant: its machine is, or the API server no longer has it. Nobody writes a status."""
        if self.stage == "over":
            return
        now = self._world.loop.now
        self._clear()
        self._lose(why, self._told if self.stage == "stopping" else now)
        self._last = Exit(SIGKILL, "Error", self.began or now, now)
        self._note("pod-killed", why=why)
        self._over("killed", self._phase, why=why, node_gone=node_gone, tells=False)

    def _over(self, result: Result, phase: Phase, *, node_gone: bool = False, tells: bool = True, **data: Any) -> None:
        self._rest()
        now = self._world.loop.now
        self.stage, self._phase, self.ready = "over", phase, False
        self._host.release(self.key, {} if result == "rejected" else self.requests)
        self._ground.attachments.release(self.key, lost=node_gone)
        code = self._last.code if self._last is not None else None
        held = 0 if result == "rejected" else now - self.since
        self._note("pod-ended", result=result, exit_code=code, held_ms=held, worked_ms=self._worked, **data)
        if tells:
            self.publish()

    # Telling

    def publish(self) -> None:
        """Write the pod's status as it is now, and take the pod away if it was told to go; later if nobody hears."""
        if self._host.silent:
            self._host.unsent[self.key] = self
            return
        store = self._world.store
        pod = store.get("Pod", self.key)
        if pod is None or pod.metadata.uid != self.uid:
            return
        pod = store.put(replace(pod, status=status(pod, self._look(), self._world.loop.now)))
        # One that ended by itself, and was told to go before anybody heard of that, goes too.
        leaves = self._remove or (self.stage == "over" and bool(pod.metadata.deletion_timestamp))
        if leaves and not pod.metadata.finalizers:
            store.remove("Pod", self.key)

    def _look(self) -> Look:
        why = self._rejection
        return Look(
            phase=self._phase,
            since=self.since,
            ready=self.ready,
            running_since=self.began,
            waits=CRASH_LOOP if self.stage == "waiting" else CREATING,
            last=self._last,
            restarts=self.restarts,
            reason=why.reason if why else "",
            message=why.message if why else "",
        )

    def _note(self, what: str, **data: Any) -> None:
        node = self._host.name
        self._world.journal.note(what, f"Pod/{self.key}", uid=self.uid, node=node, gpus=self.gpus, **data)

    # Time

    def _random(self, what: str) -> Random:
        return self._world.dice.once(what, self.key, str(self.restarts))

    def _after(self, wait: Millis, call: Callable[..., None], *args: Any) -> None:
        self._timers.append(self._world.loop.after(wait, call, *args))

    def _now_or_after(self, wait: Millis, call: Callable[[], None]) -> None:
        if wait:
            self._after(wait, call)
        else:
            call()

    def _clear(self) -> None:
        for timer in self._timers:
            timer.cancel()
        self._timers.clear()
