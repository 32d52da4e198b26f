"""The virtual kube-scheduler: watches pods and nodes, tries one pod at a time, binds it or says why not.

It alone sets `spec.nodeName` and the PodScheduled condition. An attempt takes no virtual time, a bind takes `bind`, and
the next attempt begins when the bind is done. Journal facts: `pod-bound` (node), `pod-unschedulable` (message; the
first time), `pod-preempted` (by, node), `planned-landing` (planned, actual) for pods that others had nominated.
Differs: all nodes are examined, and equal pods that fail for equal reasons share one attempt (see `queue`).
Source: kube-scheduler v1.36 schedule_one.go, eventhandlers.go.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from fretsaw.api.pod import Pod
from fretsaw.api.times import Millis
from fretsaw.sim.loop import Timer
from fretsaw.sim.scheduler import hints, writes
from fretsaw.sim.scheduler.columns import Placed
from fretsaw.sim.scheduler.filters import Ask, Verdict
from fretsaw.sim.scheduler.mold import Mold
from fretsaw.sim.scheduler.molds import Molds
from fretsaw.sim.scheduler.nominations import Nominee
from fretsaw.sim.scheduler.preemption import Candidate, Preemption, text
from fretsaw.sim.scheduler.queue import Bundle, Kin, Queue
from fretsaw.sim.scheduler.scores import scores
from fretsaw.sim.scheduler.snapshot import Snapshot
from fretsaw.sim.world import World

DEFAULT_NAME: Final = "default-scheduler"
BIND: Final[Millis] = 10
REMEMBERED: Final = 4096
"""Refusals that are kept at most; all but the newest are out of date soon."""


class Scheduler:
    """The default scheduler of a virtual cluster.

    bind: virtual time from the choice to the binding. hand_over: whether a `nominatedNodeName` that others write is
    tried first and keeps its room (NominatedNodeNameForExpectation, Kubernetes 1.35 and later); without it only the
    nominations of preemption count. default_spread: whether the cluster's default spread constraints apply.
    """

    def __init__(
        self,
        world: World,
        *,
        bind: Millis = BIND,
        hand_over: bool = True,
        default_spread: bool = True,
        name: str = DEFAULT_NAME,
    ) -> None:
        self._loop, self._store, self._journal = world.loop, world.store, world.journal
        self._random = world.dice.stream("scheduler")
        self._bind_takes, self._hand_over, self._name = bind, hand_over, name
        self._molds = Molds(world.store, default_spread=default_spread)
        self._queue = Queue(world.loop, self._wake)
        self._snapshot = Snapshot(world.store, self._molds, self._queue.helped)
        self._asks: dict[str, Ask] = {}
        """Of the pods that wait for a node, gated ones left out."""
        self._turn: Timer | None = None
        self._binding = ""
        """The pod that is being bound."""
        self._refused: dict[Kin, tuple[int, Verdict, str]] = {}
        """For equal pods the version of the snapshot in which they were refused, and how."""
        self.attempts = 0
        """How many pods were tried, equal ones that failed together as one."""
        self._watch()

    def _watch(self) -> None:
        watched = {
            "Namespace": self._snapshot.namespace,
            "Node": self._node,
            "CSINode": self._snapshot.csi_node,
            "PersistentVolumeClaim": self._claim,
            "PersistentVolume": lambda old, new: self._snapshot.claims(None),
            "StorageClass": lambda old, new: self._snapshot.claims(None),
            "Pod": self._pod,
        }
        for kind, watcher in watched.items():
            for obj in self._store.all(kind).values():
                watcher(None, obj)
            self._store.watch(kind, watcher)

    # What happens

    def _claim(self, old: Any, new: Any) -> None:
        metadata = (new if new is not None else old).metadata
        self._snapshot.claims(metadata.key)

    def _node(self, old: Any, new: Any) -> None:
        if new is None:
            nominees = self._snapshot.nominations.leaves(old.metadata.name)
            self._snapshot.node_gone(old)
            for key in nominees:
                self._sort_anew(key)
            return
        is_new = new.metadata.name not in self._snapshot.columns.by_name
        self._snapshot.node(old, new)
        if is_new:
            for key in self._snapshot.nominations.arrived(new.metadata.name):
                self._sort_anew(key, wake=True)

    def _pod(self, old: Any, new: Any) -> None:
        key = (new if new is not None else old).key
        if new is None or new.is_terminal:
            self._forget(key)
            self._snapshot.displace(key)
        elif new.spec.node_name:
            ask = self._asks.get(key)
            self._forget(key, new.spec.node_name)
            self._snapshot.place(new, ask.mold if ask is not None else None)
        elif self._is_ours(new):
            self._pend(key, old, new)
        else:
            self._forget(key)

    def _is_ours(self, pod: Pod) -> bool:
        """Whether the pod is to be scheduled, and by us."""
        return pod.spec.scheduler_name in ("", self._name) and not pod.metadata.deletion_timestamp

    def _forget(self, key: str, node: str = "") -> None:
        """A pod waits no more. node: the one that it got; room that it held on another is free for others."""
        if self._asks.pop(key, None) is None:
            return
        self._queue.drop(key)
        nominee = self._snapshot.nominations.drop(key)
        if nominee is not None and nominee.node != node:
            self._freed(nominee)

    def _freed(self, nominee: Nominee) -> None:
        """A nominee no longer holds its room."""
        self._snapshot.version += 1
        row = self._snapshot.columns.by_name.get(nominee.node)
        if row is not None:
            left = hints.pod_left(nominee.placed, row.node, self._snapshot.census, self._snapshot.admits)
            self._queue.helped(hints.ON_POD_LEAVING, left)

    # Waiting pods

    def _pend(self, key: str, old: Pod | None, pod: Pod) -> None:
        if pod.spec.scheduling_gates:
            self._forget(key)
            if writes.scheduled_reason(pod) != "SchedulingGated":
                self._loop.after(0, self._gate, key)
            return
        ask = self._asks.get(key)
        if ask is None:
            mold, pin = self._molds.of(pod)
            ask = self._asks[key] = Ask(key, pod, mold, pin)
            self._nominated(ask)
            self._queue.add(key, self._kin(ask), mold)
            return
        before, ask.pod = ask.pod, pod
        if pod.spec is not before.spec or pod.metadata.labels != before.metadata.labels:
            self._remolded(ask)
        if pod.status.nominated_node_name != before.status.nominated_node_name:
            self._nominated(ask)
            self._sort_anew(key)  # that alone is no reason to try it again

    def _remolded(self, ask: Ask) -> None:
        """A waiting pod was changed: it may be tried again once its backoff is over."""
        mold, pin = self._molds.of(ask.pod)
        if (mold, pin) == (ask.mold, ask.pin):
            return
        ask.mold, ask.pin = mold, pin
        nominee = self._snapshot.nominations.of.get(ask.key)
        if nominee is not None:
            self._hold(ask, nominee.node, by_us=nominee.by_us)
        self._sort_anew(ask.key, wake=True)

    def _nominated(self, ask: Ask) -> None:
        """Take in what the pod's status says of its node."""
        node = ask.pod.status.nominated_node_name
        nominee = self._snapshot.nominations.of.get(ask.key)
        if nominee is not None and nominee.node == node:
            return
        if node and self._hand_over:
            self._hold(ask, node, by_us=False)
        elif nominee is not None:
            self._snapshot.nominations.drop(ask.key)
            self._freed(nominee)

    def _hold(self, ask: Ask, node: str, *, by_us: bool) -> None:
        self._snapshot.version += 1
        placed = Placed(ask.pod, ask.mold, ask.mold.amounts, -1)
        self._snapshot.nominations.set(Nominee(placed, node, by_us))

    def _kin(self, ask: Ask) -> Kin:
        """Which pods have the same answer: a nomination for a node that is not there yet makes no difference."""
        nominee = self._snapshot.nominations.of.get(ask.key)
        here = nominee is not None and nominee.node in self._snapshot.columns.by_name
        return ask.mold.number, ask.pin, nominee.node if nominee is not None and here else ""

    def _sort_anew(self, key: str, *, wake: bool = False) -> None:
        """Put a waiting pod among its kin after that changed. wake: it may go on if it waits."""
        ask = self._asks.get(key)
        if ask is None:
            return
        before = self._queue.drop(key)
        self._queue.add(key, self._kin(ask), ask.mold, before)
        bundle = self._queue.bundle(key)
        if wake and bundle is not None:
            self._queue.move(bundle)

    def _gate(self, key: str) -> None:
        pod = self._store.get("Pod", key)
        if pod is not None and pod.spec.scheduling_gates:
            writes.refuse(self._store, pod, "SchedulingGated", writes.GATED, self._loop.now)

    def _withdraw(self, key: str, node: str) -> None:
        """Clear the nomination for a node."""
        pod = self._store.get("Pod", key)
        if pod is not None and not pod.spec.node_name and pod.status.nominated_node_name == node:
            writes.nominate(self._store, pod, "")

    # One pod at a time

    def _wake(self) -> None:
        if self._turn is None and not self._binding:
            self._turn = self._loop.after(0, self._next)

    def _next(self) -> None:
        self._turn = None
        item = self._queue.next()
        if item is None:
            return
        key, bundle = item
        ask = self._asks[key]
        node = self._choose(ask)
        self.attempts += 1
        if node is not None:
            self._binding = key
            self._loop.after(self._bind_takes, self._bind, ask, node, bundle)
            return
        self._fail(ask)
        self._wake()

    def _choose(self, ask: Ask) -> str | None:
        """The node for a pod; None for none."""
        known = self._refused.get(self._kin(ask))
        if known is not None and known[0] == self._snapshot.version:
            return None
        filters = self._snapshot.filters
        nominee = self._snapshot.nominations.of.get(ask.key)
        row = self._snapshot.columns.by_name.get(nominee.node) if nominee is not None else None
        if row is not None and filters.refuses(ask, row.slot, filters.ahead(ask, row.slot)) is None:
            return row.name
        if ask.pin is not None and len(ask.pin) == 1:
            return self._only(ask, ask.pin[0])
        return self._best(ask)

    def _only(self, ask: Ask, name: str) -> str | None:
        """The one node that a pod may go to, if it lets it in."""
        filters = self._snapshot.filters
        row = self._snapshot.columns.by_name.get(name)
        if row is None or filters.refuses(ask, row.slot, filters.ahead(ask, row.slot)) is not None:
            return None
        return name

    def _best(self, ask: Ask) -> str | None:
        """The node with the best score of those that pass; equal ones are drawn from."""
        filters = self._snapshot.filters
        slots = np.flatnonzero(filters.passing(ask))
        while len(slots):
            total = scores(filters, self._snapshot.images, ask, slots)
            top = slots[total == total.max()]
            slot = int(top[self._random.randrange(len(top))] if len(top) > 1 else top[0])
            row = self._snapshot.columns.rows[slot]
            assert row is not None
            ahead = filters.ahead(ask, slot)
            # Room that nominees hold is counted already; what else they would forbid is asked of the chosen node.
            if not ahead.plus or filters.refuses(ask, slot, ahead) is None:
                return row.name
            slots = slots[slots != slot]
        return None

    def _bind(self, ask: Ask, node: str, bundle: Bundle) -> None:
        self._binding = ""
        pod = self._store.get("Pod", ask.key)
        row = self._snapshot.columns.by_name.get(node)
        if pod is not None and self._asks.get(ask.key) is ask and row is not None:
            if not ask.mold.claims or self._snapshot.volumes.bind(ask.mold, row.node):
                self._bound(ask, pod, node)
            else:
                self._queue.postpone(bundle)
        self._wake()

    def _bound(self, ask: Ask, pod: Pod, node: str) -> None:
        planned = pod.status.nominated_node_name
        nominee = self._snapshot.nominations.of.get(ask.key)
        self._store.put(writes.bound(pod, node, self._loop.now))
        self._journal.note("pod-bound", f"Pod/{ask.key}", node=node)
        if planned and not (nominee is not None and nominee.by_us):
            self._journal.note("planned-landing", f"Pod/{ask.key}", planned=planned, actual=node)

    # Pods that find no node

    def _fail(self, ask: Ask) -> None:
        kin = self._kin(ask)
        known = self._refused.get(kin)
        version = self._snapshot.version
        if known is not None and known[0] == version:
            _, verdict, message = known
        else:
            verdict = self._snapshot.filters.verdict(ask)
            message = self._preempt(ask, verdict)
        if version == self._snapshot.version:
            if len(self._refused) >= REMEMBERED:
                self._refused.clear()
            self._refused[kin] = (version, verdict, message)
        # A pod that preempted others has left its bundle: its equals are tried for themselves.
        own = self._queue.bundle(ask.key)
        if own is not None:
            self._queue.failed(own, verdict.plugins or frozenset({hints.NO_NODES}))
        self._say(ask.key, message)

    def _say(self, key: str, message: str) -> None:
        pod = self._store.get("Pod", key)
        if pod is None:
            return
        first = writes.scheduled_reason(pod) != "Unschedulable"
        writes.refuse(self._store, pod, "Unschedulable", message, self._loop.now)
        if first:
            self._journal.note("pod-unschedulable", f"Pod/{key}", message=message)

    def _preempt(self, ask: Ask, verdict: Verdict) -> str:
        """Make room by preemption where that is possible; what the pod's condition says then."""
        if not verdict.nodes:
            self._give_up(ask)
            return "no nodes available to schedule pods"
        said = text(verdict.nodes, verdict.reasons, whole=verdict.whole)
        if not ask.mold.preempts:
            return f"{said} preemption: not eligible due to preemptionPolicy=Never."
        if self._is_under_way(ask):
            return f"{said} preemption: not eligible due to a terminating pod on the nominated node."
        preemption = Preemption(self._snapshot.filters, self._store.all("PodDisruptionBudget").values(), self._random)
        candidate, why = preemption.best(ask, verdict)
        if candidate is None:
            self._give_up(ask)
            return f"{said} preemption: {why}"
        self._make_room(ask, candidate)
        return said

    def _is_under_way(self, ask: Ask) -> bool:
        """Whether victims of an earlier attempt are still on their way out of the nominated node."""
        nominee = self._snapshot.nominations.of.get(ask.key)
        row = self._snapshot.columns.by_name.get(nominee.node) if nominee is not None else None
        return row is not None and any(
            placed.mold.priority < ask.mold.priority and writes.is_preempted(placed.pod) for placed in row.pods.values()
        )

    def _give_up(self, ask: Ask) -> None:
        """Nothing helps: the pod is meant for no node any more, whoever said so."""
        nominee = self._snapshot.nominations.of.get(ask.key)
        if nominee is not None:
            self._loop.after(0, self._withdraw, ask.key, nominee.node)

    def _make_room(self, ask: Ask, candidate: Candidate) -> None:
        row = self._snapshot.columns.rows[candidate.slot]
        assert row is not None
        node = row.name
        self._hold(ask, node, by_us=True)
        self._outrank(ask.mold, node)
        writes.nominate(self._store, self._store.get("Pod", ask.key), node)
        for placed in candidate.victims:
            victim = self._store.get("Pod", placed.pod.key)
            if victim is not None:
                self._journal.note("pod-preempted", f"Pod/{victim.key}", by=ask.key, node=node)
                writes.preempt(self._store, victim, self._name, self._loop.now)

    def _outrank(self, mold: Mold, node: str) -> None:
        """Pods of lower priority lose their nomination for a node, and are tried again."""
        for nominee in list(self._snapshot.nominations.on.get(node, {}).values()):
            if nominee.placed.mold.priority < mold.priority:
                self._loop.after(0, self._withdraw, nominee.placed.pod.key, node)
