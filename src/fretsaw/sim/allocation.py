"""Who pays for what: each node's cost, divided over time among the pods that were on it, and what nobody used.

On a node with GPUs a pod pays for its share of them, whatever CPU it takes: the GPUs are why the node is there. On any
other node it pays for its share of CPU and memory, half and half. The rest is idle. Amounts are nano-USD; the parts add
up to the node's cost exactly.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
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
    for low, high, here in _spans(life, begin, finish):
        amount = left = cost(low, high)
        for pod in here:
            part = min(int(amount * _share(pod.requests, capacity)), left)
            found[pod.workload] += part
            left -= part
        found[IDLE] += left
    found[IDLE] += total - sum(found.values())
    return found


def _spans(life: NodeLife, begin: Millis, finish: Millis) -> Iterator[tuple[Millis, Millis, Iterable[PodLife]]]:
    """(begin, end, the pods that pay) of each time in which none comes or goes.

    Cost: the pods that are there at once, for each that comes or goes.
    """
    comes: dict[Millis, list[PodLife]] = defaultdict(list)
    goes: dict[Millis, list[PodLife]] = defaultdict(list)
    for pod in life.pods:
        if pod.daemon or pod.bound is None:
            continue
        since, until = max(pod.bound, begin), finish if pod.ended is None else min(pod.ended, finish)
        if since < until:
            comes[since].append(pod)
            goes[until].append(pod)
    here: dict[int, PodLife] = {}
    for low, high in pairwise(sorted({begin, finish, *comes, *goes})):
        for pod in goes.get(low, ()):
            del here[id(pod)]
        here.update((id(pod), pod) for pod in comes.get(low, ()))
        yield low, high, here.values()


def _share(requests: Amounts, capacity: Mapping[str, int]) -> float:
    """The pod's share of a node."""
    gpus = gpu_count(capacity)
    if gpus:
        return gpu_count(requests) / gpus
    parts = [requests.get(r, 0) / capacity[r] for r in ("cpu", "memory") if capacity.get(r)]
    return sum(parts) / len(parts) if parts else 0.0
