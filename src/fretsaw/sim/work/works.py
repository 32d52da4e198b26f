"""How the pods of a scenario behave, by the workload that they belong to."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase

from fretsaw.api.pod import Pod
from fretsaw.sim.behavior import Behavior
from fretsaw.sim.scenario.model import Behaves
from fretsaw.sim.store import Store
from fretsaw.sim.work.slots import Slots

_PLAIN = Behavior()


def behavior_of(entry: Behaves) -> Behavior:
    """What an entry of the scenario says, in the terms of the kubelet."""
    return Behavior(
        runs=entry.runs,
        fails=entry.fails,
        exit_code=entry.exit_code,
        checkpoint=entry.checkpoint,
        restart=entry.restart,
        image_bytes=_PLAIN.image_bytes if entry.starts.image is None else entry.starts.image,
        loads=entry.starts.loads,
        gpu_use=entry.gpu_use,
        gpu_memory_bytes=entry.gpu_memory or 0,
        stops=entry.stops,
    )


class ScenarioWorks:
    """The scenario's entries, and what replayed work is known to do. Implements `sim.behavior.Works`.

    The first entry whose pattern matches a workload of a pod's line of owners counts; without one a pod runs until it
    is deleted. Cost: a look-up for each pod, a walk through the entries for each new owner.
    """

    def __init__(self, store: Store, entries: Sequence[Behaves]) -> None:
        self._store = store
        self._entries = [([pattern.lower().split("/") for pattern in entry.for_], entry) for entry in entries]
        self._behaviors = {id(entry): behavior_of(entry) for entry in entries}
        self._slots = Slots(store)
        self._lines: dict[str, tuple[str, ...]] = {}
        self._found: dict[str, Behaves | None] = {}
        self._replayed: dict[str, Behavior] = {}

    def behavior(self, pod: Pod) -> Behavior:
        """The pod's ways: as recorded for replayed work, else as the scenario says."""
        if self._replayed and (known := self._replayed.get(self.line(pod)[0])) is not None:
            return known
        entry = self.entry(pod)
        return _PLAIN if entry is None else self._behaviors[id(entry)]

    def slot(self, pod: Pod) -> str:
        """Whose progress the pod continues."""
        return self._slots.of(pod)

    def replay(self, workload: str, behavior: Behavior) -> None:
        """Take note of what the pods of a replayed workload do. workload: kind/namespace/name in lower case."""
        self._replayed[workload] = behavior

    def entry(self, pod: Pod) -> Behaves | None:
        """The scenario's entry for a pod."""
        line = self.line(pod)
        if line[0] not in self._found:
            self._found[line[0]] = next((entry for patterns, entry in self._entries if _matches(patterns, line)), None)
        return self._found[line[0]]

    def workload(self, pod: Pod) -> str:
        """The outermost owner, such as `deployment/ml-serving/llm-inference`; the pod itself where it has none."""
        return self.line(pod)[-1]

    def line(self, pod: Pod) -> tuple[str, ...]:
        """The pod's owners as kind/namespace/name in lower case, the nearest first; the pod itself without any."""
        owner = pod.metadata.controller
        namespace = pod.metadata.home
        if owner is None:
            return (f"pod/{namespace}/{pod.metadata.name}",)
        identity = owner.uid or f"{owner.kind}/{namespace}/{owner.name}"
        known = self._lines.get(identity)
        if known is None:
            known = self._lines[identity] = self._owners(owner.kind, namespace, owner.name)
        return known

    def _owners(self, kind: str, namespace: str, name: str) -> tuple[str, ...]:
        line = [f"{kind.lower()}/{namespace}/{name}"]
        while (obj := self._store.get(kind, f"{namespace}/{name}")) is not None and obj.metadata.controller is not None:
            kind, name = obj.metadata.controller.kind, obj.metadata.controller.name
            line.append(f"{kind.lower()}/{namespace}/{name}")
        return tuple(line)


def _matches(patterns: list[list[str]], line: tuple[str, ...]) -> bool:
    """Whether any pattern is of any workload of a line of owners."""
    parts = [workload.split("/") for workload in line]
    return any(
        len(part) == len(pattern) and all(map(fnmatchcase, part, pattern)) for pattern in patterns for part in parts
    )
