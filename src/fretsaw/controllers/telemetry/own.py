"""Metrics that only Fretsaw has: money, GPUs, whether plans come true, the stages of the wait, and the turns.

Times of stages are taken from the objects, whose texts are whole seconds.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from fretsaw.api.labels import NODEPOOL
from fretsaw.api.meta import Object
from fretsaw.api.nodeclaim import NodeClaim
from fretsaw.api.pod import Pod
from fretsaw.api.resources import units
from fretsaw.api.times import Millis
from fretsaw.controllers.telemetry.changes import became_true, since
from fretsaw.controllers.telemetry.families import Counter, Family, Histogram, doubling, inner, line, seconds
from fretsaw.controllers.telemetry.group import Group, Told
from fretsaw.controllers.telemetry.plans import Plans
from fretsaw.controllers.telemetry.prices import Prices
from fretsaw.engine import actions as a
from fretsaw.engine import events as e
from fretsaw.engine.machines import Machine
from fretsaw.engine.requests import pod_requests
from fretsaw.engine.shape import GPU_RESOURCES, gpu_count
from fretsaw.engine.state import ClusterState
from fretsaw.engine.turn import Turn

AS_PLANNED, ELSEWHERE, GONE = "as_planned", "elsewhere", "gone"
STAGES = {"Launched": "launched", "Registered": "registered", "Initialized": "initialized"}
"""The stage that ends when a claim's condition becomes True."""
WAITS = (1, 2, 5, 10, 15, 20, 30, 45, 60, 90, 120, 180, 240, 300, 420, 600, 900, 1800)
_OFFERING = ("instance_type", "zone", "capacity_type")

COST = Family(
    "fretsaw_cost_per_hour",
    "gauge",
    ("nodepool", "capacity_type"),
    "List price of the machines that are there, in USD an hour.",
)
SAVING = Family(
    "fretsaw_disruption_savings_per_hour_total",
    "counter",
    ("reason",),
    "USD an hour that ended disruptions save, as they were computed.",
)
PLANNED = Family(
    "fretsaw_planned_pods_total",
    "counter",
    ("landed",),
    "Pods for which a pass had a node: bound as_planned (there, or where a pod of the same ReplicaSet was to go), "
    "elsewhere, or gone before they were bound.",
)
OUTAGES = Family(
    "fretsaw_insufficient_capacity_total",
    "counter",
    _OFFERING,
    "How often an offering became unavailable.",
)
OUT = Family("fretsaw_offerings_unavailable", "gauge", _OFFERING, "Offerings that are not tried now; always 1.")
REFUSED = Family(
    "fretsaw_launches_refused_total", "counter", ("nodepool", "kind"), "Launches that the cloud refused, by why."
)
WAIT = Family(
    "fretsaw_wait_seconds",
    "histogram",
    ("nodepool", "stage"),
    "Stages of the wait for a node: from a pod's creation to the order (claim), to the instance (launched), to the "
    "node (registered), until it is ready for pods (initialized).",
    WAITS,
)
GPUS_ALLOCATABLE = Family("fretsaw_gpus_allocatable", "gauge", ("nodepool",), "Accelerators of a pool's nodes.")
GPUS_REQUESTED = Family(
    "fretsaw_gpus_requested", "gauge", ("nodepool",), "Accelerators that pods on a pool's nodes ask for."
)
GPUS_WAITING = Family("fretsaw_gpus_waiting", "gauge", (), "Accelerators that pods without a node ask for.")
TURN = Family(
    "fretsaw_turn_duration_seconds",
    "histogram",
    (),
    "How long the engine took for a turn.",
    doubling(0.0005, 18),
)
LAG = Family(
    "fretsaw_event_lag_seconds",
    "histogram",
    (),
    "From the arrival of an event until it was applied.",
    doubling(0.0005, 18),
)


class Own(Group):
    """Counts money, GPUs, landings and waits."""

    title = "Fretsaw's own"
    families = (
        COST, SAVING, PLANNED, OUTAGES, OUT, REFUSED, WAIT, GPUS_ALLOCATABLE, GPUS_REQUESTED, GPUS_WAITING, TURN, LAG,
    )  # fmt: skip

    def __init__(self, prices: Prices) -> None:
        self._prices = prices
        self.saving = Counter(SAVING)
        self.planned = Counter(PLANNED, (AS_PLANNED,), (ELSEWHERE,), (GONE,))
        self.outages = Counter(OUTAGES)
        self.refused = Counter(REFUSED)
        self.wait = Histogram(WAIT)
        self.turn = Histogram(TURN)
        self.lag = Histogram(LAG)
        self.stores = (self.saving, self.planned, self.outages, self.refused, self.wait, self.turn, self.lag)
        self._plans = Plans()
        self._paid: dict[str, float] = {}
        """What the cloud said that a claim's instance costs."""
        self._out: frozenset[tuple[str, str, str]] = frozenset()
        self._gpus: dict[str, tuple[Machine, int, int]] = {}

    # Counting

    def changed(self, at: Millis, old: Object | None, new: Object | None, state: ClusterState) -> None:
        """Follow claims through their stages, and planned pods to their nodes."""
        match new if new is not None else old:
            case Pod() as pod if pod.key in self._plans:
                self._pod(pod, gone=new is None, state=state)
            case NodeClaim() as claim if new is None:
                self._paid.pop(claim.metadata.name, None)
            case NodeClaim() as claim:
                for condition, stage in STAGES.items():
                    if became_true(old if isinstance(old, NodeClaim) else None, claim, condition):
                        self._reached(at, claim, condition, stage)

    def _pod(self, pod: Pod, *, gone: bool, state: ClusterState) -> None:
        if pod.spec.node_name:
            machine = state.machine_of(pod.spec.node_name)
            landed = self._plans.bound(pod, machine.name if machine is not None else pod.spec.node_name)
            self.planned.add(AS_PLANNED if landed else ELSEWHERE)
        elif gone or pod.is_terminal:
            self._plans.forget(pod.key)
            self.planned.add(GONE)

    def _reached(self, at: Millis, claim: NodeClaim, condition: str, stage: str) -> None:
        before = {"Registered": "Launched", "Initialized": "Registered"}.get(condition)
        begin = _since(claim, before, at) if before else since(claim.metadata.creation_timestamp, at)
        pool = claim.metadata.labels.get(NODEPOOL, "")
        self.wait.observe(seconds(begin, _since(claim, condition, at)), pool, stage)

    def told(self, at: Millis, event: e.Event, state: ClusterState) -> None:
        """Count what the cloud does not have."""
        match event:
            case e.OfferingsOut(offerings):
                for offering in sorted(offerings - self._out):
                    self.outages.add(*offering)
                self._out = offerings
            case e.LaunchRefused(claim, kind):
                found = state.claims.get(claim)
                self.refused.add(found.metadata.labels.get(NODEPOOL, "") if found is not None else "", kind)
            case e.InstanceCreated(claim) if event.price_usd_per_hour:
                self._paid[claim] = event.price_usd_per_hour

    def turned(self, at: Millis, turn: Turn, state: ClusterState) -> None:
        """Take note of plans, and of disruptions that are done."""
        for note in turn.notes:
            match note:
                case e.Planned(placements):
                    for key, machine in placements:
                        if (pod := state.waiting.get(key)) is not None:
                            self._plans.meant(pod, machine)
                case e.CommandEnded(command_id, "") if command_id in state.commands:
                    command = state.commands[command_id].command
                    self.saving.add(command.reason.lower(), by=max(command.savings_usd_per_hour, 0.0))
        for action in turn.actions:
            if isinstance(action, a.CreateClaim):
                self._ordered(at, action, state)

    def _ordered(self, at: Millis, order: a.CreateClaim, state: ClusterState) -> None:
        pool = order.claim.metadata.labels.get(NODEPOOL, "")
        for key in order.pods:
            pod = state.waiting.get(key)
            if pod is not None and order.reason == "provisioned":
                self.wait.observe(seconds(since(pod.metadata.creation_timestamp, at), at), pool, "claim")

    # Gauges

    def gauges(self, now: Millis, state: ClusterState) -> Iterator[Told]:
        """Money and GPUs by pool, and what is out."""
        yield COST, self._costs(state)
        yield OUT, (line(OUT.name, inner(OUT.labels, offering), 1) for offering in sorted(state.offerings_out))
        allocatable, requested = self._gpus_by_pool(state)
        for family, amounts in ((GPUS_ALLOCATABLE, allocatable), (GPUS_REQUESTED, requested)):
            lines = [line(family.name, inner(family.labels, (pool,)), count) for pool, count in amounts.items()]
            yield family, lines
        waiting = sum(gpu_count(pod_requests(pod.spec)) for pod in state.waiting.values())
        yield GPUS_WAITING, (line(GPUS_WAITING.name, "", waiting),)

    def _costs(self, state: ClusterState) -> Iterator[str]:
        found: dict[tuple[str, str], float] = defaultdict(float)
        for machine in state.machines.values():
            if machine.pool and machine.provider_id:
                paid = self._paid.get(machine.name)
                price = paid if paid is not None else self._prices.listed(state, machine)
                found[machine.pool, machine.capacity_type] += price or 0.0
        for labels, cost in found.items():
            yield line(COST.name, inner(COST.labels, labels), round(cost, 6))

    def _gpus_by_pool(self, state: ClusterState) -> tuple[dict[str, int], dict[str, int]]:
        known, self._gpus = self._gpus, {}
        allocatable: dict[str, int] = dict.fromkeys(state.pools, 0)
        requested: dict[str, int] = dict.fromkeys(state.pools, 0)
        for name, machine in state.machines.items():
            seen = known.get(name)
            if seen is None or seen[0] is not machine:
                seen = (machine, *_gpus(machine))
            self._gpus[name] = seen
            if machine.pool:
                allocatable[machine.pool] = allocatable.get(machine.pool, 0) + seen[1]
                requested[machine.pool] = requested.get(machine.pool, 0) + seen[2]
        return allocatable, requested


def _since(claim: NodeClaim, condition: str, otherwise: Millis) -> Millis:
    found = claim.condition(condition)
    return since(found.last_transition_time, otherwise) if found is not None else otherwise


def _gpus(machine: Machine) -> tuple[int, int]:
    """(what the node offers, what its pods ask for)."""
    own = machine.node.status.allocatable if machine.node is not None else {}
    offered = gpu_count({name: units(name, own[name], up=False) for name in GPU_RESOURCES if name in own})
    return offered, sum(gpu_count(pod_requests(pod.spec)) for pod in machine.pods if not pod.is_terminal)
