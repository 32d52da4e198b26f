"""The life of a pod, from its creation to its end. One that is made anew under the same name goes on here."""

from __future__ import annotations

from fretsaw.api.pod import Pod
from fretsaw.api.times import SECOND, Millis
from fretsaw.engine import actions as a
from fretsaw.trace.codec import Fact
from fretsaw.trace.life import Life, Words, lower

GB = 1_000_000_000


class PodLife(Life):
    """One pod, by `namespace/name`."""

    KIND = "pod"

    def __init__(self, name: str, words: Words) -> None:
        super().__init__(name, words)
        self.node = ""
        self.created: Millis | None = None
        self.is_daemon = False
        self._uid = ""
        self._planned: Millis | None = None
        self._bound: Millis | None = None
        self._running: Millis | None = None
        self._ended: Millis | None = None
        self._result = ""
        self._waited: Millis = 0
        self._lost_s = 0.0

    @property
    def is_over(self) -> bool:
        """Whether it has ended or is gone."""
        return self._ended is not None

    # Objects

    def changed(self, at: Millis, pod: Pod) -> bool:
        """The pod as it is now; whether it has just been bound to its node."""
        if self.created is None or (pod.metadata.uid and pod.metadata.uid != self._uid):
            self._born(at, pod)
        if pod.metadata.deletion_timestamp and self._told.get("deletion") is None and not pod.is_terminal:
            self.say_once(at, "deletion", "its deletion was asked for")
        if not pod.spec.node_name or self._bound is not None:
            return False
        self.node, self._bound = pod.spec.node_name, at
        self._waited += at - (self.created or at)
        return True

    def _born(self, at: Millis, pod: Pod) -> None:
        again = self.created is not None
        self.created, self._uid = at, pod.metadata.uid
        self.node, self._bound, self._running, self._ended, self._result = "", None, None, None, ""
        self._told.clear()
        owner = pod.metadata.controller
        self.is_daemon = owner is not None and owner.kind == "DaemonSet"
        by = f" by {owner.kind.lower()}/{owner.name}" if owner is not None else ""
        self.say(at, f"it was created {'again' if again else ''}".rstrip() + by)

    def landed(self, at: Millis, machine: str, planned: str) -> None:
        """It was bound. machine: the claim of its node, empty for none. planned: where it was meant to be, likewise."""
        where = f"node/{self.node}" + (f", {machine}" if machine else "")
        fits = ""
        if planned:
            fits = ", as planned" if planned in (machine, f"node/{self.node}") else f", though {planned} was planned"
        self.say(at, f"it landed on {where}{fits}", self.created)

    def ended(self, at: Millis, phase: str) -> None:
        """It is in a terminal phase."""
        if self._ended is None:
            self._ended, self._result = at, phase.lower()
            self.say(at, f"it {phase.lower()}", self._running)

    def gone(self, at: Millis) -> None:
        """The object was removed."""
        if self._ended is None:
            self._ended, self._result = at, "was deleted"
            self.say(at, "it is gone", self._running)

    # Decisions

    def planned(self, at: Millis, machine: str, ordered: bool) -> None:
        """A pass found a place for it. ordered: on a machine that is made for it."""
        how = "which is ordered for it" if ordered else "which has room"
        self.say_once(at, "planned", f"its place will be on {machine}, {how}")

    def nominated(self, at: Millis, node: str) -> None:
        """Its place was handed over to kube-scheduler."""
        told = f"kube-scheduler was told to take node/{node}" if node else "kube-scheduler may take any node again"
        self.say_once(at, "nominated", told)

    def asked_to_leave(self, at: Millis, reason: str) -> None:
        """The autoscaler asked the eviction API to remove it."""
        self.say_once(at, "evict", f"the autoscaler asked it to leave its node: {self.words.went(reason)}")

    def refused(self, at: Millis, why: str) -> None:
        """The eviction API said no."""
        self.say_once(at, "refused", f"it may not be evicted yet: {lower(why)}")

    def tells(self, at: Millis, tell: a.Tell) -> None:
        """Why it has no place."""
        if tell.reason == "FailedScheduling":
            self.say_once(at, tell.reason, f"the autoscaler: {lower(tell.message)}")

    # Facts

    def fact(self, at: Millis, fact: Fact) -> None:
        """What kube-scheduler, kubelet and the controllers did."""
        data = fact.data
        match fact.what:
            case "pod-unschedulable":
                self.say_once(at, fact.what, f"kube-scheduler: {lower(data['message'])}")
            case "pod-running":
                self._running = at
                self.say(at, "its containers run", self._bound)
            case "pod-working":
                self.say(at, "it has loaded and works", self._running)
            case "container-ended":
                self.say(at, f"a container ended with exit code {data['exit_code']}{_because(data)}")
            case "container-restarted":
                self.say(at, f"its containers run again, restart {data['restarts']}")
            case "work-lost":
                self._lost_s += data["seconds"]
                if data["seconds"]:
                    self.say(at, f"{self.words.span(data['seconds'])} of its work are lost{_because(data)}")
            case "pod-killed":
                self.say(at, f"it was killed{_because(data)}")
            case "pod-evicted":
                self.say(at, "it was evicted")
            case "pod-preempted":
                self.say(at, f"kube-scheduler preempted it for pod/{data['by']}")
            case "taint-eviction":
                self.say(at, f"a taint of node/{data['node']} drove it away")
            case "pod-collected":
                self.say(at, "it was cleaned up, as its node is gone")
            case "pod-deleted":
                self.say(at, f"the autoscaler deleted it: {self.words.went(data['reason'])}")
            case "gpu-out-of-memory":
                self.say(at, "its GPU has not the memory that it needs")

    def pulled(self, at: Millis, fact: Fact) -> None:
        """Its image is there."""
        size = fact.data.get("bytes", 0) / GB
        took = fact.data.get("took_ms")
        self.say(at, f"its image was pulled{f', {size:.2f} GB' if size else ''}", None if took is None else at - took)

    # The whole

    def summary(self, now: Millis) -> str:
        """How long it waited, where it was, what became of it."""
        span = self.words.span
        if self.created is None:
            return "never seen"
        if self._bound is None:
            end = self._ended or now
            waited = span((end - self.created) / SECOND)
            return (
                f"waited {waited} without a node, {self._result}" if self._result else f"waits for a node, {waited} now"
            )
        parts = [f"waited {span(self._waited / SECOND)} for node/{self.node}"]
        if self._running is not None:
            parts.append(f"ran {span(((self._ended or now) - self._running) / SECOND)}")
        if self._lost_s >= 1:
            parts.append(f"lost {span(self._lost_s)} of work")
        return ", ".join([*parts, self._result or ("still runs" if self._running is not None else "still starts")])


def _because(data: dict[str, object]) -> str:
    why = str(data.get("why") or "")
    return f" ({why.replace('-', ' ')})" if why else ""
