"""What-if the plain way: a whole new cluster for each question, as if the machines in question were being deleted.

Slow, short, and without anything kept between questions. The pass itself is the engine's, which has a plain twin of its own.
"""

from __future__ import annotations

import msgspec

from fretsaw.api.affinity import Toleration
from fretsaw.api.node import Taint
from fretsaw.api.pod import Pod
from fretsaw.api.times import Millis
from fretsaw.engine.cluster import Cluster
from fretsaw.engine.disruption.ask import Outcome
from fretsaw.engine.disruption.settling import settling
from fretsaw.engine.finish import Node, finished
from fretsaw.engine.firstfit import FirstFit
from fretsaw.engine.passes import cluster_of
from fretsaw.engine.pdbs import DO_NOT_DISRUPT, is_protected
from fretsaw.engine.prepare import Prepared
from fretsaw.engine.settings import Settings
from fretsaw.engine.state import ClusterState
from fretsaw.engine.universe import Universe

replace = msgspec.structs.replace
SETTLING = Taint("settling", "NoSchedule")


class PlainWhatIf:
    """Answers for one state at one moment."""

    def __init__(self, state: ClusterState, now: Millis, settings: Settings | None = None) -> None:
        self.state = state
        self.now = now
        self.settings = replace(settings or Settings(), strict_reservations=False)
        self.asked: list[frozenset[str]] = []
        """All questions, in their order."""

    def universe(self, pool: str) -> Universe | None:
        """What a pool can launch."""
        return Prepared(cluster_of(self.state), self.settings).universes.get(pool)

    def free(self, machine: str) -> None:
        """It does not say."""

    def waiting(self) -> bool:
        """As if there always were some: then nothing is remembered from look to look."""
        return True

    def __call__(self, without: frozenset[str], *, consolidating: bool = True, cheapest: bool = False) -> Outcome:
        """Where the pods of these machines would go."""
        self.asked.append(without)
        state = self.state
        leaving = {m.name for m in state.machines.values() if state.leaving(m)}
        assert not leaving & without, "a machine in question is leaving already"
        closed = settling(state, self.now) if consolidating else frozenset()
        placed = FirstFit(Prepared(self._cluster(without, leaving, closed), self.settings))
        placed.run()
        good, failed = finished(placed.open, self.settings)
        cut = {pod: "minValues cannot be met" for node in failed for pod in node.pods}
        nodes: list[Node] = []
        for node in good:
            name = node.open.template.name
            opened = sum(other.open.template.name == name for other in nodes)
            if opened < placed.prepared.remaining[name].get("nodes", 10**9):
                nodes.append(node)
            else:
                cut |= dict.fromkeys(node.open.pods, f"{name}: the limit on its nodes is used up")
        lost = dict.fromkeys(placed.unplaced, "no place") | cut
        lost |= {u.pod: u.refusals[0].reason for u in placed.prepared.refused}
        virtual = placed.prepared.virtual
        machine_of = {p.bit: s.machine for p, s in ((p, placed.prepared.ground.target_of[p.bit]) for p in placed.nodes)}
        filled = [(pod, machine_of[p.bit]) for p in placed.nodes for pod in p.pods if pod not in virtual]
        return Outcome(
            launches=tuple(nodes),
            filled=tuple(filled),
            unplaced=tuple((pod, why) for pod, why in sorted(lost.items()) if self._moves(pod, without | leaving)),
            unready=tuple(
                (pod, name)
                for pod, name in filled
                if not state.machines[name].initialized and self._moves(pod, without)
            ),
        )

    def _moves(self, key: str, machines: frozenset[str] | set[str]) -> bool:
        pod = self.state.pods.get(key)
        return pod is not None and any(pod in self.state.machines[name].pods for name in machines)

    def _cluster(self, without: frozenset[str], leaving: set[str], closed: frozenset[str]) -> Cluster:
        """The cluster in which both kinds go. Machines that are closed have a taint that only running pods mind."""
        found = cluster_of(self.state)
        shut = {self.state.machines[name].node_name for name in closed}
        moving = {pod.key for name in without for pod in self.state.machines[name].pods}
        pods = {pod.key: self._seen(pod, moving) for pod in found.pods}
        on_nodes = {node: tuple(pods[p.key] for p in held) for node, held in (found.on_nodes or {}).items()}
        nodes = tuple(
            replace(n, spec=replace(n.spec, taints=(*n.spec.taints, SETTLING))) if n.metadata.name in shut else n
            for n in found.nodes
        )
        return replace(
            found,
            pods=tuple(pods.values()),
            waiting=None,
            on_nodes=on_nodes,
            nodes=nodes,
            leaving=frozenset(leaving) | without,
        )

    def _seen(self, pod: Pod, moving: set[str]) -> Pod:
        """The pod without a do-not-disrupt that is over, as the pass has no clock; one that does not come from a machine
        in question minds no machine that is closed."""
        if DO_NOT_DISRUPT in pod.metadata.annotations and not is_protected(pod, self.now):
            kept = {key: value for key, value in pod.metadata.annotations.items() if key != DO_NOT_DISRUPT}
            pod = replace(pod, metadata=replace(pod.metadata, annotations=kept))
        if pod.key in moving:
            return pod
        tolerations = (*pod.spec.tolerations, Toleration(key=SETTLING.key, operator="Exists"))
        return replace(pod, spec=replace(pod.spec, tolerations=tolerations))
