"""Which pods a controller gives up first when it has too many.

Source: Kubernetes v1.36 pkg/controller/controller_utils.go (ActivePods, ActivePodsWithRanks); KEP-2255 (pod deletion
cost); KEP-2185 (ages on a logarithmic scale).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from functools import cmp_to_key
from typing import Final

from fretsaw.api.pod import Pod
from fretsaw.api.times import Millis, millis
from fretsaw.engine.disruption.costs import DELETION_COST
from fretsaw.sim.conditions import is_ready
from fretsaw.sim.workloads.pods import ready_since

_PHASES: Final = {"Pending": 0, "Unknown": 1, "Running": 2}
_NS: Final = 1_000_000
_INT32: Final = range(-(2**31), 2**31)


def replicas_to_delete(pods: Iterable[Pod], related: Iterable[Pod], count: int, now: Millis) -> list[Pod]:
    """The pods that a ReplicaSet deletes to get rid of `count`, first deleted first.

    Rules, each where those before leave a tie: without a node; Pending before Unknown before Running; not ready; lower
    deletion cost; on the node with more of the `related` pods (those of all ReplicaSets of the Deployment); ready for
    a shorter time; more restarts; younger. Of two times whose powers of two are the same, the smaller uid goes first.
    """
    crowd = Counter(pod.spec.node_name for pod in related)

    def order(a: Pod, b: Pod) -> int:
        return (
            _by_state(a, b)
            or _cost(a) - _cost(b)
            or crowd[b.spec.node_name] - crowd[a.spec.node_name]
            or _by_age(a, b, lambda since, other: _by_power(now - since, now - other))
        )

    return sorted(pods, key=cmp_to_key(order))[:count]


def job_pods_to_delete(pods: Iterable[Pod], count: int) -> list[Pod]:
    """The pods that a Job deletes to get rid of `count`: as of a ReplicaSet, without cost and crowd, by exact times."""

    def order(a: Pod, b: Pod) -> int:
        return _by_state(a, b) or _by_age(a, b, lambda since, other: other - since)

    return sorted(pods, key=cmp_to_key(order))[:count]


def _by_state(a: Pod, b: Pod) -> int:
    """Below 0 where `a` has come less far: no node, an earlier phase, not ready."""
    return (
        bool(a.spec.node_name) - bool(b.spec.node_name)
        or _PHASES.get(a.status.phase, 0) - _PHASES.get(b.status.phase, 0)
        or is_ready(a) - is_ready(b)
    )


def _by_age(a: Pod, b: Pod, compared: Callable[[Millis, Millis], int]) -> int:
    """The rules on time and restarts. compared: two points in time, below 0 where the first goes first, 0 by uid."""
    by_uid = -1 if a.metadata.uid < b.metadata.uid else 1
    since, other = ready_since(a), ready_since(b)
    if since is not None and other is not None and since != other:
        return compared(since, other) or by_uid
    born, other_born = _born(a), _born(b)
    restarts = _by_restarts(a, b)
    if restarts or born == other_born:
        return restarts or by_uid
    return compared(born, other_born) or by_uid


def _by_power(age: Millis, other: Millis) -> int:
    """Ages by their powers of two, in nanoseconds as the controller measures them; no age yet is the least."""
    return _power(age) - _power(other)


def _power(age: Millis) -> int:
    return (age * _NS).bit_length() - 1 if age > 0 else -1


def _by_restarts(a: Pod, b: Pod) -> int:
    """Below 0 where `a` has restarted more often: its containers, then its sidecars."""
    mine, others = _restarts(a), _restarts(b)
    return (others > mine) - (others < mine)


def _restarts(pod: Pod) -> tuple[int, int]:
    sidecars = {container.name for container in pod.spec.init_containers if container.is_sidecar}
    return (
        max((status.restart_count for status in pod.status.container_statuses), default=0),
        max((s.restart_count for s in pod.status.init_container_statuses if s.name in sidecars), default=0),
    )


def _cost(pod: Pod) -> int:
    """The pod's deletion cost; 0 where there is none that the API server would take: a 32-bit number without a plus."""
    text = pod.metadata.annotations.get(DELETION_COST, "0")
    digits = text.removeprefix("-")
    if not (digits.isascii() and digits.isdigit()) or (len(digits) > 1 and digits[0] == "0"):
        return 0
    return int(text) if int(text) in _INT32 else 0


def _born(pod: Pod) -> Millis:
    text = pod.metadata.creation_timestamp
    return millis(text) if text else 0
