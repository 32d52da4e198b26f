"""How a DaemonSet's pods are replaced by those of its newest template, node by node.

Source: Kubernetes v1.36 pkg/controller/daemon/update.go; kubernetes.io, Perform a Rolling Update on a DaemonSet.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from fretsaw.api.meta import scaled
from fretsaw.api.pod import Pod
from fretsaw.api.times import Millis
from fretsaw.api.workload import DaemonSet
from fretsaw.sim.conditions import is_ready
from fretsaw.sim.workloads.pods import is_available
from fretsaw.sim.workloads.statefulset import revision_of


class Steps(msgspec.Struct):
    """What is to be done on the nodes."""

    make: list[str]
    """Nodes that need a pod."""
    delete: list[Pod]


def limits(found: DaemonSet, nodes: int) -> tuple[int, int]:
    """How many nodes may have two pods at a time, and how many none that is available; 0 and 1 by default."""
    rolling = found.spec.update_strategy.rolling_update
    surge = rolling.max_surge if rolling is not None and rolling.max_surge is not None else 0
    missing = rolling.max_unavailable if rolling is not None and rolling.max_unavailable is not None else 1
    most, unavailable = scaled(surge, nodes, up=True), scaled(missing, nodes, up=True)
    return most, unavailable if most or unavailable else 1


def surges(found: DaemonSet) -> bool:
    """Whether a new pod comes before the old one goes."""
    rolling = found.spec.update_strategy.rolling_update
    return (
        found.spec.update_strategy.type != "OnDelete"
        and rolling is not None
        and rolling.max_surge not in (None, 0, "0%")
    )


def replaced(
    found: DaemonSet, revision: str, pods: Iterable[tuple[str, Sequence[Pod]]], nodes: int, now: Millis
) -> Steps:
    """The next step of a rolling update. pods: by node; nodes: how many shall run a pod."""
    surge, unavailable = limits(found, nodes)
    if surge:
        return _surging(found, revision, pods, surge, now)
    return _in_place(found, revision, pods, unavailable, now)


def _in_place(
    found: DaemonSet, revision: str, pods: Iterable[tuple[str, Sequence[Pod]]], limit: int, now: Millis
) -> Steps:
    """Delete old pods: those that are not available at once, others as long as enough nodes have an available pod.

    Source: Kubernetes v1.37 update.go (an old pod that is not available counts as missing).
    """
    broken: list[Pod] = []
    candidates: list[Pod] = []
    missing = 0
    for _, here in pods:
        new, old, clear = newest_and_oldest(here, revision)
        if not clear or (new is None) == (old is None):
            missing += 1
        elif new is not None:
            missing += not _available(found, new, now)
        elif old is not None and not _available(found, old, now):
            broken.append(old)
            missing += 1
        elif old is not None:
            candidates.append(old)
    return Steps([], broken + candidates[: max(0, limit - missing)])


def _surging(
    found: DaemonSet, revision: str, pods: Iterable[tuple[str, Sequence[Pod]]], limit: int, now: Millis
) -> Steps:
    """Make new pods beside old ones as far as the surge allows; delete an old one when its successor is available."""
    broken: list[str] = []
    candidates: list[str] = []
    steps = Steps([], [])
    used = 0
    for node, here in pods:
        new, old, clear = newest_and_oldest(here, revision)
        if not clear:
            used += 1
        elif old is not None and new is None:
            (candidates if _available(found, old, now) else broken).append(node)
        elif old is not None and new is not None:
            if _available(found, new, now):
                steps.delete.append(old)
            else:
                used += 1
    steps.make = broken + candidates[: max(0, limit - used)]
    return steps


def newest_and_oldest(pods: Iterable[Pod], revision: str) -> tuple[Pod | None, Pod | None, bool]:
    """The pod of the newest template, that of an earlier one, and whether there is at most one of each."""
    new = old = None
    for pod in pods:
        if pod.metadata.deletion_timestamp:
            continue
        if revision_of(pod) == revision:
            if new is not None:
                return None, None, False
            new = pod
        elif old is not None:
            return None, None, False
        else:
            old = pod
    return new, old, True


def excess(found: DaemonSet, revision: str, running: Sequence[Pod], now: Millis) -> list[Pod]:
    """The pods of one node that are one too many: all but the oldest; with a surge, but the oldest of each kind.

    With a surge the old one goes too, once it is not ready or the new one is available.
    """
    by_age = sorted(running, key=lambda p: (not p.spec.node_name, p.metadata.creation_timestamp or "", p.metadata.uid))
    if not surges(found):
        return by_age[1:]
    if len(by_age) < 2:
        return []
    new = next((pod for pod in by_age if revision_of(pod) == revision), None)
    old = next((pod for pod in by_age if revision_of(pod) != revision), None)
    gone = [pod for pod in by_age if pod is not new and pod is not old]
    if new is not None and old is not None and (not is_ready(old) or _available(found, new, now)):
        gone.append(old)
    return gone


def _available(found: DaemonSet, pod: Pod, now: Millis) -> bool:
    return is_available(pod, found.spec.min_ready_seconds, now)
