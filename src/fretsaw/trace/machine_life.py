"""The lives of machines: what claims and bare nodes have in common, and a node that nobody ordered."""

from __future__ import annotations

from fretsaw.api.labels import INSTANCE_TYPE
from fretsaw.api.node import Node
from fretsaw.api.times import SECOND, Millis
from fretsaw.engine import actions as a
from fretsaw.trace.codec import Fact
from fretsaw.trace.life import Life, Words, lower

TOLD = {
    "Unconsolidatable": "consolidation leaves it alone",
    "DisruptionBlocked": "it may not be disrupted",
    "ConsolidationRejected": "a consolidation was given up",
    "FailedConsistencyCheck": "it is not what was bought",
    "FailedDraining": "draining does not get on",
    "AwaitingVolumeDetachment": "it waits for volumes",
    "NodeRepairBlocked": "its repair has to wait",
    "TerminationGracePeriodExpiring": "the time to drain is limited",
    "UnregisteredTaintMissing": "it cannot register",
}
"""Events that say more than the trace's other lines, and the sentence's beginning."""


class MachineLife(Life):
    """What claims and bare nodes have in common: pods come and go."""

    def __init__(self, name: str, words: Words) -> None:
        super().__init__(name, words)
        self.node = ""
        self.held: dict[str, None] = {}
        """All pods that ever were on it, but for those of DaemonSets."""
        self.deleted: Millis | None = None
        self.why_gone = ""

    def landed(self, at: Millis, pod: str) -> None:
        """A pod was bound to the node."""
        self.held[pod] = None
        self.say_of(at, f"pod/{pod}", "{} landed on it")

    def left(self, at: Millis, pod: str, how: str) -> None:
        """A pod on it ended or went."""
        self.say_of(at, f"pod/{pod}", f"{{}} {how}")

    def asked_to_leave(self, at: Millis, pod: str) -> None:
        """The autoscaler asked the eviction API to remove a pod."""
        if self._told.get(f"evict {pod}") is None:
            self._told[f"evict {pod}"] = "asked"
            self.say_of(at, f"pod/{pod}", "the autoscaler asked {} to leave")

    def refused(self, at: Millis, pod: str, why: str) -> None:
        """The eviction API said no."""
        self.say_once(at, f"refused {pod}", f"pod/{pod} may not be evicted yet: {lower(why)}")

    def tells(self, at: Millis, tell: a.Tell) -> None:
        """What the autoscaler says of it."""
        begin = TOLD.get(tell.reason)
        if begin is not None:
            self.say_once(at, f"{tell.reason}: {tell.message}", f"{begin}: {lower(tell.message)}")

    def fact(self, at: Millis, fact: Fact) -> None:
        """What happened on the node."""
        match fact.what:
            case "node-unreachable":
                self.say(at, "its node was found unreachable")
            case "kubelet-stopped" if fact.data.get("why") == "silent":
                self.say(at, "its kubelet fell silent")
            case "kubelet-started":
                self.say(at, "its kubelet came back")
            case "startup-taint-removed":
                self.say(at, f"the startup taint {fact.data['taint']} was removed")
            case "xid":
                kind = "a fatal" if fact.data.get("fatal") else "an"
                self.say(at, f"GPU {fact.data['gpu']} reported {kind} error, XID {fact.data['code']}")
            case "gpu-unhealthy":
                self.say(at, f"GPU {fact.data['gpu']} was taken out of service")


class NodeLife(MachineLife):
    """A node without a claim."""

    KIND = "node"

    def __init__(self, name: str, words: Words) -> None:
        super().__init__(name, words)
        self.node = name
        self._since: Millis | None = None
        self._gone: Millis | None = None
        self._type = ""

    def changed(self, at: Millis, node: Node) -> None:
        """The node as it is now."""
        if self._since is None:
            self._since = at
            self._type = node.metadata.labels.get(INSTANCE_TYPE, "")
            self.say(at, "it is there; no nodeclaim belongs to it")
        if node.metadata.deletion_timestamp and self.deleted is None:
            self.deleted = at
            self.say(at, "its deletion was asked for")

    def gone(self, at: Millis) -> None:
        """The object was removed."""
        self._gone = at
        self.say(at, "it is gone", self.deleted)

    def summary(self, now: Millis) -> str:
        """Type, time, pods."""
        parts = [self._type] if self._type else []
        parts.append(f"there for {self.words.span(((self._gone or now) - (self._since or now)) / SECOND)}")
        parts.append(self.words.counted(len(self.held), "pod"))
        return ", ".join([*parts, "gone" if self._gone else "still there"])
