"""What of a cluster is worth a look: nodes by pool and how full they are, pods that wait, what was decided.

Values only, made of objects as watches have them; who shows them sorts and cuts.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import msgspec

from fretsaw.api.pod import Pod
from fretsaw.api.resources import units
from fretsaw.api.times import Millis, millis
from fretsaw.engine.machines import Machine
from fretsaw.engine.requests import Amounts, pod_requests, total
from fretsaw.engine.shape import gpu_count
from fretsaw.live.prices import Prices
from fretsaw.live.told import Told

NO_POOL = "(no NodePool)"


class Line(msgspec.Struct, frozen=True):
    """One node, or a claim whose node has not joined yet."""

    name: str
    pool: str
    instance_type: str
    zone: str
    capacity_type: str
    state: str
    """What is special about it, such as `not ready`; empty for nothing."""
    age: Millis
    price: float | None
    """USD an hour."""
    pods: int
    asked: Mapping[str, int]
    room: Mapping[str, int]
    """Allocatable, in the units of `asked`."""

    @property
    def gpus(self) -> tuple[int, int]:
        """(requested, allocatable)."""
        return gpu_count(self.asked), gpu_count(self.room)

    def fill(self, resource: str) -> float | None:
        """The requested share; None where there is none of it."""
        return _share([self], resource)


class Group(msgspec.Struct, frozen=True):
    """The nodes of a pool."""

    pool: str
    lines: tuple[Line, ...]

    @property
    def gpus(self) -> tuple[int, int]:
        """(requested, allocatable)."""
        return sum(line.gpus[0] for line in self.lines), sum(line.gpus[1] for line in self.lines)

    @property
    def price(self) -> float:
        """USD an hour, of the nodes whose price is known."""
        return math.fsum(line.price for line in self.lines if line.price is not None)

    def fill(self, resource: str) -> float | None:
        """The requested share of all nodes together."""
        return _share(self.lines, resource)


class Waiting(msgspec.Struct, frozen=True):
    """Pods without a node: those of one owner that wait for the same reason, or one that nobody owns."""

    name: str
    """`namespace/name` of the pod, of the owner where there are several."""
    count: int
    age: Millis
    """Of the oldest."""
    why: str
    gpus: int
    """All of them together."""


class Board(msgspec.Struct, frozen=True):
    """Everything at a moment."""

    groups: tuple[Group, ...]
    waiting: tuple[Waiting, ...]
    """The longest first."""
    pending: int
    """How many pods these are."""
    told: tuple[Told, ...]
    """The newest first."""
    bound: int
    """Pods on nodes that have not ended."""

    @property
    def whole(self) -> Group:
        """All nodes as one group."""
        return Group("", tuple(line for group in self.groups for line in group.lines))


def _share(lines: Iterable[Line], resource: str) -> float | None:
    held = tuple(lines)
    room = sum(line.room.get(resource, 0) for line in held)
    return sum(line.asked.get(resource, 0) for line in held) / room if room else None


class Boards:
    """Makes boards one after the other; what a pod asks for is worked out once for each of its versions."""

    def __init__(self, prices: Prices) -> None:
        self._prices = prices
        self._asked: dict[str, tuple[str, Amounts]] = {}

    def board(self, objects: Mapping[str, Mapping[str, Any]], told: Sequence[Told], now: Millis) -> Board:
        """A board of these objects, by kind and key."""
        on_nodes: dict[str, list[Pod]] = defaultdict(list)
        waiting: list[Pod] = []
        for pod in objects["Pod"].values():
            if pod.is_terminal:
                continue
            if pod.spec.node_name:
                on_nodes[pod.spec.node_name].append(pod)
            elif not pod.metadata.deletion_timestamp:
                waiting.append(pod)
        self._asked = {key: value for key, value in self._asked.items() if key in objects["Pod"]}
        groups: dict[str, list[Line]] = {name: [] for name in objects["NodePool"]}
        for machine in _machines(objects, on_nodes):
            line = self._line(machine, now)
            groups.setdefault(line.pool, []).append(line)
        return Board(
            tuple(Group(pool, tuple(lines)) for pool, lines in sorted(groups.items())),
            tuple(self._waiting(waiting, _latest(told), now)),
            len(waiting),
            tuple(told),
            sum(map(len, on_nodes.values())),
        )

    def _line(self, machine: Machine, now: Millis) -> Line:
        given = machine.node.status.allocatable if machine.node is not None else {}
        if not given and machine.claim is not None:
            given = machine.claim.status.allocatable
        owner = machine.node if machine.node is not None else machine.claim
        return Line(
            name=machine.node_name or machine.name,
            pool=machine.pool or NO_POOL,
            instance_type=machine.instance_type,
            zone=machine.zone,
            capacity_type=machine.capacity_type,
            state=_state(machine),
            age=_age(owner.metadata.creation_timestamp if owner is not None else None, now),
            price=self._prices.of(machine),
            pods=len(machine.pods),
            asked=total(map(self._of, machine.pods)),
            room={name: units(name, amount, up=False) for name, amount in given.items()},
        )

    def _waiting(self, pods: Iterable[Pod], latest: Mapping[str, Told], now: Millis) -> list[Waiting]:
        together: dict[tuple[str, str], list[Pod]] = defaultdict(list)
        for pod in pods:
            owner = pod.metadata.controller
            name = f"{pod.metadata.home}/{owner.name}" if owner is not None else pod.metadata.key
            together[name, _why(pod, latest)].append(pod)
        found = [
            Waiting(
                name if len(group) > 1 else group[0].metadata.key,
                len(group),
                max(_age(pod.metadata.creation_timestamp, now) for pod in group),
                why,
                sum(gpu_count(self._of(pod)) for pod in group),
            )
            for (name, why), group in together.items()
        ]
        return sorted(found, key=lambda one: (-one.age, one.name, one.why))

    def _of(self, pod: Pod) -> Amounts:
        key, version = pod.metadata.key, pod.metadata.uid + pod.metadata.resource_version
        known = self._asked.get(key)
        if known is None or known[0] != version:
            known = self._asked[key] = version, pod_requests(pod.spec, pod.status)
        return known[1]


def _why(pod: Pod, latest: Mapping[str, Told]) -> str:
    """What the autoscaler said of the pod last; else what the scheduler says, without its words on preemption."""
    if (said := latest.get(f"Pod {pod.metadata.key}")) is not None:
        return " ".join(said.message.split())
    text = next((c.message or c.reason for c in pod.status.conditions if c.type == "PodScheduled"), "")
    return " ".join(text.partition(" preemption: ")[0].split())


def _latest(told: Sequence[Told]) -> dict[str, Told]:
    """The newest event about each object."""
    found: dict[str, Told] = {}
    for one in told:
        found.setdefault(one.about, one)
    return found


def _machines(objects: Mapping[str, Mapping[str, Any]], pods: Mapping[str, Sequence[Pod]]) -> Iterator[Machine]:
    """Claims with their nodes, then nodes without a claim."""
    nodes = {node.spec.provider_id: node for node in objects["Node"].values() if node.spec.provider_id}
    claimed = set()
    for claim in objects["NodeClaim"].values():
        node = nodes.get(claim.status.provider_id) if claim.status.provider_id else None
        name = node.metadata.name if node is not None else ""
        claimed.add(name)
        yield Machine(claim, node, tuple(pods.get(name, ())))
    for name, node in objects["Node"].items():
        if name not in claimed:
            yield Machine(None, node, tuple(pods.get(name, ())))


def _state(machine: Machine) -> str:
    if machine.deleting or machine.terminating:
        return "going"
    if machine.claim is not None and not machine.is_true("Launched"):
        return "ordered"
    if machine.node is None:
        return "booting"
    if not machine.ready:
        return "not ready"
    if not machine.initialized:
        return "starting"
    return "cordoned" if machine.node.spec.unschedulable else ""


def _age(created: str | None, now: Millis) -> Millis:
    return max(now - millis(created), 0) if created else 0
