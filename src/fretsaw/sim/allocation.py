"""Who pays for what: each node's cost, divided over time among the pods that were on it, and what nobody used.

On a node with GPUs a pod pays for its share of them, whatever CPU it takes: the GPUs are why the node is there. On any
other node it pays for its share of CPU and memory, half and half. The rest is idle. Amounts are nano-USD; the parts add
up to the node's cost exactly.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from itertools import pairwise

from fretsaw.api.times import Millis
from fretsaw.engine.requests import Amounts
from fretsaw.engine.shape import gpu_count
from fretsaw.sim.ledger import NodeLife, PodLife

IDLE = ""
"""The name under which unused capacity stands."""


def allocate(
    life: NodeLife, capacity: Mapping[str, int], cost: Callable[[Millis, Millis], int], total: int, end: Millis
) -> dict[str, int]:
    """The cost of a node by workload, with what is idle under IDLE.

    cost: nano-USD of a span of time. total: of all of it; what is charged beyond the machine's life is idle.
    """
    found: dict[str, int] = defaultdict(int)
    begin = life.running
    if begin is None:
        return found
    finish = end if life.ended is None else life.ended
    pods = [pod for pod in life.pods if not pod.daemon and pod.bound is not None]
    edges = sorted({begin, finish, *_edges(pods, begin, finish)})
    for low, high in pairwise(edges):
        amount = cost(low, high)
        here = [p for p in pods if p.bound is not None and p.bound <= low and (p.ended is None or p.ended >= high)]
        left = amount
        for pod in here:
            part = int(amount * _share(pod.requests, capacity))
            part = min(part, left)
            found[pod.workload] += part
            left -= part
        found[IDLE] += left
    found[IDLE] += total - sum(found.values())
    return found


def _edges(pods: Iterable[PodLife], begin: Millis, finish: Millis) -> Iterable[Millis]:
    for pod in pods:
        for edge in (pod.bound, pod.ended):
            if edge is not None and begin < edge < finish:
                yield edge


def _share(requests: Amounts, capacity: Mapping[str, int]) -> float:
    """The pod's share of a node."""
    gpus = gpu_count(capacity)
    if gpus:
        return gpu_count(requests) / gpus
    parts = [requests.get(r, 0) / capacity[r] for r in ("cpu", "memory") if capacity.get(r)]
    return sum(parts) / len(parts) if parts else 0.0
