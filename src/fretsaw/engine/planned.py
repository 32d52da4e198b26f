"""What a pass has planned stays planned: a pod that is meant for a machine on its way is not planned anew.

The peer forgets its plan after every pass and makes a new one while the nodes boot. Pods that fit on several nodes then
change places from pass to pass, and one that finds its place taken gets another node. Here a pod's place is kept for it
until it is bound, the machine goes, or the machine has been ready for so long that kube-scheduler must have tried.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from fretsaw.api.pod import Pod
from fretsaw.api.times import Millis, millis
from fretsaw.engine.machines import Machine
from fretsaw.engine.state import ClusterState


def held_until(state: ClusterState, pod: str, patience: Millis) -> tuple[Machine, Millis | None] | None:
    """(the machine that a waiting pod is kept a place on, until when); None where it is to be planned anew.

    No time is given while the machine is not initialised. patience: how long after that, or after the pass,
    kube-scheduler may take to bind the pod.
    """
    planned = state.planned.get(pod)
    machine = state.machines.get(planned[0]) if planned is not None else None
    if planned is None or machine is None or state.leaving(machine):
        return None
    if not machine.initialized or machine.claim is None:
        return machine, None if machine.claim is not None else planned[1] + patience
    ready = machine.claim.condition("Initialized")
    since = millis(ready.last_transition_time) if ready is not None and ready.last_transition_time else 0
    return machine, max(planned[1], since) + patience


def held(state: ClusterState, now: Millis, patience: Millis) -> Iterator[tuple[Pod, Machine, Millis | None]]:
    """(pod, its machine, until when) for the waiting pods that have a place."""
    for name in state.planned:
        pod, found = state.waiting.get(name), held_until(state, name, patience)
        if pod is not None and found is not None and (found[1] is None or now < found[1]):
            yield pod, *found


def held_by_machine(state: ClusterState, now: Millis, patience: Millis) -> dict[str, tuple[Pod, ...]]:
    """The same by the machine's name."""
    places: dict[str, list[Pod]] = defaultdict(list)
    for pod, machine, _ in held(state, now, patience):
        places[machine.name].append(pod)
    return {name: tuple(pods) for name, pods in places.items()}


def likeness(pod: Pod) -> str:
    """The same for pods that may take each other's places: those of one ReplicaSet; else the pod's own key.

    Pods of other owners may differ by their volumes, or by what they are told they are.
    """
    owner = pod.metadata.controller
    return owner.uid if owner is not None and owner.kind == "ReplicaSet" and owner.uid else pod.key
