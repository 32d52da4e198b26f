"""Which pods are on which node, kept from state to state, and which machines' places have to be looked at anew.

A pass over a large cluster shall cost what has changed since the last one, not what is there.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence, Set

from fretsaw.api.pod import Pod
from fretsaw.engine.machines import Machine
from fretsaw.engine.state import ClusterState

Held = Mapping[str, tuple[Pod, ...]]
"""Waiting pods that have a place, by machine."""
Changed = Mapping[str, Machine | None]
"""Machines that are, or may be, not as they were; None for one that is there no longer."""


def on_nodes(state: ClusterState, placed: Set[str]) -> dict[str, Sequence[Pod]]:
    """The pods of each node; one that kube-scheduler nominated for a node takes its room already.

    placed: keys of pods that have a place already.
    """
    found: dict[str, Sequence[Pod]] = {m.node_name: m.pods for m in state.machines.values() if m.node is not None}
    for node, pods in guests(state, placed).items():
        if node in found:
            found[node] = (*found[node], *pods)
    return found


def guests(state: ClusterState, placed: Set[str]) -> dict[str, list[Pod]]:
    """The waiting pods that are nominated for a node, by node."""
    found: dict[str, list[Pod]] = defaultdict(list)
    for pod in state.waiting.values():
        if pod.status.nominated_node_name and pod.key not in placed:
            found[pod.status.nominated_node_name].append(pod)
    return found


class Tenants:
    """The same as `on_nodes`, of one state after the other."""

    def __init__(self) -> None:
        self._state: ClusterState | None = None
        self._seen = 0
        self._pods: dict[str, Sequence[Pod]] = {}
        self._node_of: dict[str, str] = {}
        self._machine_of: dict[str, str] = {}
        self._special: frozenset[str] = frozenset()
        """Machines that pods without a node have a place on, or that a command takes away."""

    def renew(self, state: ClusterState, held: Held) -> tuple[dict[str, Sequence[Pod]], Changed | None]:
        """(the pods of each node, what changed since the last time; None for anything).

        The first is for this state alone: the next time the same map may be written to.
        """
        placed = {pod.key for pods in held.values() for pod in pods}
        if state.muddled:
            self._state = None
            return on_nodes(state, placed), None
        machines = state.machines
        known = self._state is state
        names = set(state.changed[self._seen :]) if known else set(machines)
        if not known:
            self._state, self._pods, self._node_of, self._machine_of = state, {}, {}, {}
        self._seen = len(state.changed)
        for name in names:
            self._settle(name, machines.get(name))
        extra = guests(state, placed)
        found = dict(self._pods) if extra else self._pods
        for node in extra.keys() & found.keys():
            found[node] = (*found[node], *extra[node])
        before, self._special = self._special, frozenset(self._specials(state, held, extra))
        names |= before | self._special
        return found, {name: machines.get(name) for name in names} if known else None

    def _settle(self, name: str, machine: Machine | None) -> None:
        """Take note of how one machine is now."""
        node = self._node_of.pop(name, "")
        if self._machine_of.get(node) == name:
            del self._machine_of[node], self._pods[node]
        if machine is not None and machine.node is not None:
            node = machine.node_name
            self._node_of[name], self._machine_of[node], self._pods[node] = node, name, machine.pods

    def _specials(self, state: ClusterState, held: Held, extra: Mapping[str, object]) -> Iterator[str]:
        yield from held
        yield from state.marked
        yield from (self._machine_of[node] for node in extra if node in self._machine_of)
