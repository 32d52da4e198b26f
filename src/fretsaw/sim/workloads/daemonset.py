"""DaemonSets: a pod on every node that suits it.

Each set remembers what every node is to it, so that a change of one node or pod is a look at that node only.
Source: Kubernetes v1.36 pkg/controller/daemon (daemon_controller.go).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from msgspec.structs import replace

from fretsaw.api.meta import OwnerReference
from fretsaw.api.node import Node
from fretsaw.api.pod import Pod, PodSpec
from fretsaw.api.times import MINUTE, SECOND, Millis
from fretsaw.api.workload import DaemonSet, DaemonSetSpec, DaemonSetStatus
from fretsaw.engine.state import key_of
from fretsaw.sim.conditions import is_ready
from fretsaw.sim.controller import WorkQueue, asks_anew
from fretsaw.sim.workloads.daemon_nodes import NOWHERE, Verdict, node_of, pinned_to, tolerant, verdict
from fretsaw.sim.workloads.daemon_update import excess, replaced, surges
from fretsaw.sim.workloads.making import Mold, Workshop, owner_key
from fretsaw.sim.workloads.pods import available_from, said_something
from fretsaw.sim.workloads.revision import REVISION_HASH, template_hash
from fretsaw.sim.workloads.statefulset import revision_of

KIND: Final = "DaemonSet"
GENERATION: Final = "pod-template-generation"
_FIRST_BACKOFF: Final[Millis] = 1 * SECOND
_LAST_BACKOFF: Final[Millis] = 15 * MINUTE
_Figures = tuple[int, int, int, int, int, int]
"""Desired, current, misscheduled, ready, updated, available; of one node or of all."""
_NONE: Final[_Figures] = (0, 0, 0, 0, 0, 0)


class Daemons:
    """What one DaemonSet knows of nodes and of its pods. The controller alone writes to it."""

    def __init__(self) -> None:
        self.spec: DaemonSetSpec | None = None
        """The spec that the verdicts are of."""
        self.template: PodSpec = PodSpec()
        """The pods' spec with the automatic tolerations."""
        self.revision = ""
        self.verdicts: dict[str, Verdict] = {}
        """By node, but for nodes that the set has nothing to do with."""
        self.pods: dict[str, dict[str, Pod]] = {}
        """By node and key."""
        self.old: dict[str, None] = {}
        """Pods of earlier templates, by key."""
        self.dirty: dict[str, None] = {}
        """Nodes to look at in the next sync."""
        self.later: dict[str, Millis] = {}
        """Nodes to look at once it is that time."""
        self.failures: dict[str, tuple[Millis, Millis]] = {}
        """By node: until when a failed pod is left alone, and how long that was."""
        self.figures: dict[str, _Figures] = {}
        self.total: list[int] = list(_NONE)

    def see(self, pod: Pod, *, gone: bool) -> None:
        """Take note of a pod."""
        node = node_of(pod)
        here = self.pods.setdefault(node, {})
        if gone:
            here.pop(pod.key, None)
        else:
            here[pod.key] = pod
        if not here:
            del self.pods[node]
        if gone or revision_of(pod) == self.revision:
            self.old.pop(pod.key, None)
        else:
            self.old[pod.key] = None
        self.dirty[node] = None

    def learn(self, found: DaemonSet, nodes: Iterable[str]) -> None:
        """Take the set's spec in: every node is looked at anew."""
        self.spec = found.spec
        self.template = tolerant(found.spec.template.spec)
        self.revision = template_hash(found.spec.template)
        everywhere = [pod for here in self.pods.values() for pod in here.values()]
        self.old = {pod.key: None for pod in everywhere if revision_of(pod) != self.revision}
        self.dirty |= dict.fromkeys((*nodes, *self.pods))

    def figure(self, node: str, now: _Figures) -> None:
        """Count a node anew."""
        before = self.figures.pop(node, _NONE)
        self.total = [total - old + new for total, old, new in zip(self.total, before, now, strict=True)]
        if any(now):
            self.figures[node] = now


class DaemonSets:
    """Keeps the pods of each DaemonSet."""

    def __init__(self, workshop: Workshop) -> None:
        self._shop = workshop
        self._store = workshop.store
        self._loop = workshop.loop
        self._daemons: dict[str, Daemons] = {}
        """By key of the set."""
        self.queue = WorkQueue(workshop.loop, self.sync)
        workshop.store.watch(KIND, self._changed)
        workshop.store.watch("Node", self._node)
        workshop.family.listen(KIND, self._pod)
        for found in workshop.store.all(KIND).values():
            self._changed(None, found)

    def _changed(self, old: DaemonSet | None, new: DaemonSet | None) -> None:
        if new is None:
            if old is not None:
                known = self._daemons.pop(key_of(old), None)
                self._shop.forget(old, (known.revision,) if known is not None else ())
            return
        key = key_of(new)
        if key not in self._daemons:
            daemons = self._daemons[key] = Daemons()
            for pod in self._store.owned_by(new, "Pod"):
                daemons.see(pod, gone=False)
        if asks_anew(old, new):
            self.queue.add(key)

    def _node(self, old: Node | None, new: Node | None) -> None:
        node = new if new is not None else old
        if node is None or (old is not None and new is not None and _alike(old, new)):
            return
        for key, daemons in self._daemons.items():
            daemons.dirty[node.name] = None
            self.queue.add(key)

    def _pod(self, owner: OwnerReference, old: Pod | None, new: Pod | None) -> None:
        pod = new if new is not None else old
        if pod is None:
            return
        key = owner_key(owner, pod.metadata.namespace)
        daemons = self._daemons.get(key)
        if daemons is None:
            return
        daemons.see(pod, gone=new is None)
        if said_something(old, new):
            self.queue.add(key)

    def sync(self, key: str) -> None:
        """Look at the nodes where something changed, update pods, and write the status."""
        found: DaemonSet | None = self._store.get(KIND, key)
        if found is None:
            return
        daemons, now = self._daemons[key], self._loop.now
        if daemons.spec is not found.spec:
            before = daemons.revision
            daemons.learn(found, self._store.all("Node"))
            if before and before != daemons.revision:
                self._shop.forget(found, (before,))
        for node in [node for node, when in daemons.later.items() if when <= now]:
            daemons.dirty[node] = None
        dirty = list(daemons.dirty)
        daemons.dirty.clear()
        for node in dirty:
            daemons.later.pop(node, None)
            self._judge(daemons, node)
        if not found.metadata.deletion_timestamp:
            self._manage(found, daemons, dirty)
            self._update(found, daemons)
        for node in dict.fromkeys((*dirty, *daemons.dirty)):
            self._figure(found, daemons, node)
        self._write(found, daemons)
        if daemons.later:
            self.queue.add(key, after=max(0, min(daemons.later.values()) - now))

    def _judge(self, daemons: Daemons, name: str) -> None:
        node = self._store.get("Node", name)
        found = verdict(daemons.template, node) if node is not None else NOWHERE
        if found.stay:
            daemons.verdicts[name] = found
        else:
            daemons.verdicts.pop(name, None)

    # Pods

    def _manage(self, found: DaemonSet, daemons: Daemons, nodes: Iterable[str]) -> None:
        """Make pods where one is missing, delete those that ended, are too many or do not belong there."""
        for node in nodes:
            verdict_, pods = daemons.verdicts.get(node, NOWHERE), list(daemons.pods.get(node, {}).values())
            if not pods:
                if verdict_.run:
                    self._make(found, daemons, node)
            elif verdict_.stay:
                self._tidy(found, daemons, node, pods)
            else:
                for pod in pods:
                    # Pods on a node that is gone are the pod garbage collector's; one that waits for it is ours.
                    if not pod.spec.node_name or self._store.get("Node", node) is not None:
                        self._delete(pod)

    def _tidy(self, found: DaemonSet, daemons: Daemons, node: str, pods: Iterable[Pod]) -> None:
        running: list[Pod] = []
        for pod in pods:
            if pod.metadata.deletion_timestamp:
                continue
            if pod.status.phase == "Succeeded" or (pod.status.phase == "Failed" and self._may_retry(daemons, node)):
                self._delete(pod)
            elif pod.status.phase != "Failed":
                running.append(pod)
        for pod in excess(found, daemons.revision, running, self._loop.now):
            self._delete(pod)
        if surges(found) and not running and daemons.verdicts[node].run:
            self._make(found, daemons, node)

    def _may_retry(self, daemons: Daemons, node: str) -> bool:
        """Whether a failed pod may be replaced now: at once the first time, then after 1 s, 2 s … 15 min.

        A node that has been fine for twice the longest wait is forgiven.
        """
        now = self._loop.now
        until, wait = daemons.failures.get(node, (0, 0))
        if now < until:
            daemons.later[node] = min(until, daemons.later.get(node, until))
            return False
        forgiven = not wait or now - until > 2 * _LAST_BACKOFF
        wait = _FIRST_BACKOFF if forgiven else min(2 * wait, _LAST_BACKOFF)
        daemons.failures[node] = (now + wait, wait)
        return True

    def _delete(self, pod: Pod) -> None:
        if not pod.metadata.deletion_timestamp:
            self._store.delete("Pod", pod.key)

    def _make(self, found: DaemonSet, daemons: Daemons, node: str) -> None:
        key, revision = key_of(found), daemons.revision
        labels = {REVISION_HASH: revision, GENERATION: str(found.metadata.generation or 1)}
        mold = self._shop.mold(found, found.spec.template, revision=revision, labels=labels, adapt=tolerant)
        if not isinstance(mold, Mold):
            daemons.later[node] = self._loop.now + self._shop.retry(KIND, key)
            return
        self._shop.calm(KIND, key)
        name = self._shop.name("Pod", mold.namespace, f"{found.name}-")
        self._store.put(mold.pod(name, spec=pinned_to(mold.spec, node)))

    def _update(self, found: DaemonSet, daemons: Daemons) -> None:
        """Replace pods of earlier templates, if there are any."""
        if found.spec.update_strategy.type == "OnDelete" or not daemons.old:
            return
        here = [(node, list(daemons.pods.get(node, {}).values())) for node in daemons.verdicts]
        nodes = sum(known.run for known in daemons.verdicts.values())
        steps = replaced(found, daemons.revision, here, nodes, self._loop.now)
        for pod in steps.delete:
            self._delete(pod)
        for node in steps.make:
            self._make(found, daemons, node)

    # Status

    def _figure(self, found: DaemonSet, daemons: Daemons, node: str) -> None:
        """Count one node, and remember when its pod becomes available."""
        pods = daemons.pods.get(node, {}).values() if self._store.get("Node", node) is not None else ()
        if not daemons.verdicts.get(node, NOWHERE).run:
            daemons.figure(node, (0, 0, int(bool(pods)), 0, 0, 0))
            return
        oldest = min(pods, key=lambda p: (p.metadata.creation_timestamp or "", p.metadata.uid), default=None)
        if oldest is None:
            daemons.figure(node, (1, 0, 0, 0, 0, 0))
            return
        since, now = available_from(oldest, found.spec.min_ready_seconds), self._loop.now
        if since is not None and since > now:
            daemons.later[node] = min(since, daemons.later.get(node, since))
        ready, updated = is_ready(oldest), revision_of(oldest) == daemons.revision
        daemons.figure(node, (1, 1, 0, int(ready), int(updated), int(since is not None and since <= now)))

    def _write(self, found: DaemonSet, daemons: Daemons) -> None:
        desired, current, astray, ready, updated, available = daemons.total
        status = DaemonSetStatus(
            observed_generation=found.metadata.generation,
            desired_number_scheduled=desired,
            current_number_scheduled=current,
            number_misscheduled=astray,
            number_ready=ready,
            updated_number_scheduled=updated,
            number_available=available,
            number_unavailable=desired - available,
            conditions=found.status.conditions,
        )
        if status != found.status:
            self._store.put(replace(found, status=status))


def _alike(old: Node, new: Node) -> bool:
    """Whether a change of a node means nothing to any DaemonSet."""
    return old.spec.taints == new.spec.taints and old.metadata.labels == new.metadata.labels
