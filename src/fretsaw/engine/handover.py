"""Hands the plan over to kube-scheduler: planned pods are nominated for the nodes that were bought for them.

A nominee's room counts as taken for pods of no higher priority, so that a pod that could go anywhere does not take the
place of one that cannot. But kube-scheduler clears a nomination whenever it tries the pod and fails, and then tries
other pods again. So a pod is nominated when its node is about to let it in, not before, and a nomination that was
cleared is made again only after a while: never is there a quarrel.
Source: Kubernetes KEP-5278, NominatedNodeName for an expected pod placement; kube-scheduler v1.37 schedule_one.go.
"""

from __future__ import annotations

from collections.abc import Iterator

from fretsaw.api.node import Taint
from fretsaw.api.pod import Pod
from fretsaw.api.times import SECOND, Millis
from fretsaw.engine import actions as a
from fretsaw.engine import events as e
from fretsaw.engine.machines import Machine
from fretsaw.engine.options import Options
from fretsaw.engine.planned import held_until, likeness
from fretsaw.engine.provision import Step
from fretsaw.engine.state import ClusterState
from fretsaw.engine.taints import PREFER_NO_SCHEDULE, UNREGISTERED, same, untolerated

AGAIN: Millis = 5 * SECOND
"""A nomination that kube-scheduler has cleared is made again after that long at the earliest."""
AT_ONCE = 100
"""Nominations of one turn at most: those that follow must not wait for thousands of writes."""
NOMINATION = "nomination"
_NOT_READY = (Taint("node.kubernetes.io/not-ready", "NoSchedule"), Taint("node.kubernetes.io/not-ready", "NoExecute"))
_PASSING = (UNREGISTERED, *_NOT_READY)
"""Taints that a ready node is about to lose: the first is taken off by us, the others by the node lifecycle."""


def hand_over(state: ClusterState, options: Options, now: Millis) -> Step:
    """Nominate pods whose nodes are about to let them in; withdraw what no longer holds."""
    places = dict(_places(state, options, now))
    wanted, wakes = [], []
    if len({likeness(pod) for pod, _ in places.values()}) > 1:  # else it is all one which of them goes where
        for name, (pod, machine) in places.items():
            if not pod.status.nominated_node_name and _lets_in(machine, pod):
                last = state.checked.get((NOMINATION, name))
                if last is None or now - last >= AGAIN:
                    wanted.append((name, machine.node_name))
                else:
                    wakes.append(last + AGAIN)
    if len(wanted) > AT_ONCE:
        wakes.append(now)
    nominated = tuple(a.NominatePod(name, node) for name, node in wanted[:AT_ONCE])
    return Step(
        (*_withdrawn(state, places), *nominated),
        tuple(e.Checked(NOMINATION, action.pod, now) for action in nominated),
        min(wakes, default=None),
    )


def _places(state: ClusterState, options: Options, now: Millis) -> Iterator[tuple[str, tuple[Pod, Machine]]]:
    """The pods that wait for a machine of their own, with it, by the pod's key."""
    for name in state.planned:
        pod, place = state.waiting.get(name), held_until(state, name, options.nomination)
        if pod is not None and place is not None and (place[1] is None or now < place[1]):
            yield name, (pod, place[0])


def _withdrawn(state: ClusterState, places: dict[str, tuple[Pod, Machine]]) -> Iterator[a.NominatePod]:
    for name in state.planned:
        pod = state.waiting.get(name)
        if pod is not None and pod.status.nominated_node_name and name not in places:
            yield a.NominatePod(name, "")


def _lets_in(machine: Machine, pod: Pod) -> bool:
    """Whether nothing but room, or a device that is still to be announced, keeps the pod from its node."""
    if not machine.ready:
        return False
    lasting = [
        taint
        for taint in machine.taints
        if taint.effect != PREFER_NO_SCHEDULE and not any(same(taint, passing) for passing in _PASSING)
    ]
    return untolerated(lasting, pod.spec.tolerations) is None
