"""One run of a scenario: everything put together, started, and made into a result."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from fretsaw.api.catalog import Catalog
from fretsaw.api.meta import Condition, Object
from fretsaw.api.nodeclass import EC2NodeClass
from fretsaw.api.pod import Pod
from fretsaw.api.resources import units
from fretsaw.api.times import MINUTE, SECOND, Millis, rfc3339
from fretsaw.engine.options import Options
from fretsaw.sim.audit import Audit
from fretsaw.sim.autoscaler import Autoscaler
from fretsaw.sim.budgets import Budgets
from fretsaw.sim.cloud import Cloud
from fretsaw.sim.disruptions import Disruptions
from fretsaw.sim.eviction import Evictions
from fretsaw.sim.gpu_use import GpuUse
from fretsaw.sim.hpa.controller import Autoscalers
from fretsaw.sim.kubelet import Nodes
from fretsaw.sim.ledger import Ledger
from fretsaw.sim.node_lifecycle import NodeLifecycle
from fretsaw.sim.pod_gc import PodGC
from fretsaw.sim.result import Outcome
from fretsaw.sim.scenario.expect import check
from fretsaw.sim.scenario.model import Behaves
from fretsaw.sim.scenario.read import Reading
from fretsaw.sim.scheduler import Scheduler
from fretsaw.sim.series import step_for
from fretsaw.sim.timetable import Timetable
from fretsaw.sim.told import cloud_settings, node_settings, stock_steps
from fretsaw.sim.work.arrivals import Maker
from fretsaw.sim.work.loads import Loads
from fretsaw.sim.work.works import ScenarioWorks
from fretsaw.sim.workloads import start as start_workloads
from fretsaw.sim.workloads.admission import Admission
from fretsaw.sim.world import World

USE_STEP: Millis = 5 * MINUTE
"""How often the use of a service's GPUs is looked at."""
LATER = ("NodeClaim", "Node", "Pod")
"""Kinds that are put into the store after all others, so that what makes and owns them is there."""


class Simulation:
    """A run. `advance` it, in one go or bit by bit, then ask for its `result`."""

    def __init__(
        self,
        reading: Reading,
        catalogs: Mapping[str, Catalog],
        unready: Mapping[str, str],
        *,
        seed: int | None = None,
        length: Millis | None = None,
        options: Options | None = None,
    ) -> None:
        """catalogs, unready: what each pool can launch, or why it cannot. seed, length, options: in place of the
        scenario's own. Raises UserError where the scenario has errors, or a file of it cannot be read."""
        scenario = self.scenario = reading.usable()
        self.seed = scenario.seed if seed is None else seed
        self.options = scenario.cluster.settings if options is None else options
        self.start = scenario.start
        self.end = self.start + (scenario.for_ if length is None else length)
        self._reading = reading
        world = self.world = World(self.start, self.seed)
        self.ledger = Ledger(world)
        self.audit = Audit(world)
        self.disruptions = Disruptions(self.start)
        self.works = ScenarioWorks(world.store, [w for w in scenario.work if isinstance(w, Behaves)])
        self.loads = Loads(world, self.works, reading.folder)
        self.gpu_use = GpuUse(world, self.ledger, self.loads.use, self.loads.varies)
        self.cloud = Cloud(world, catalogs, cloud_settings(scenario, reading.folder, self.start), unready)
        self.nodes = Nodes(world, self.works, node_settings(scenario))
        self._connect()
        self.admission = Admission(world.store)
        start_workloads(world)
        Budgets(world)
        Autoscalers(world, self.loads)
        NodeLifecycle(world)
        PodGC(world)
        self.scheduler = Scheduler(world, hand_over=self.options.hand_over)
        self.autoscaler = Autoscaler(world, self.options, self.cloud, Evictions(world))
        self.autoscaler.listeners += [self.disruptions, self.audit.turn]
        self._step = step_for(self.end - self.start)
        self._used: list[float] = []
        self._fill(reading.folder)

    def _connect(self) -> None:
        self.cloud.on_running(self.nodes.on_running)
        self.cloud.on_ended(self.nodes.on_ended)
        self.nodes.on_death(lambda instance: self.cloud.fail(instance.provider_id, "dies-at-boot"))

    def _fill(self, folder: Path) -> None:
        """What stands in the cluster, and all that is planned."""
        objects = sorted(self._reading.objects, key=_turn)
        for obj in objects:
            self.world.store.put(self.admit(obj))
        loop = self.world.loop
        Maker(self.world, self.works, self.end, folder, self.admit).start(self.scenario.work, self._reading.models)
        timetable = Timetable(self.world, self.cloud, self.nodes, self.end, self.admit)
        timetable.start(self.scenario.faults, self._reading.applied)
        for when, where, count in stock_steps(self.scenario):
            loop.at(self.start + when, self.cloud.set_stock, where, count)
        loop.after(0, self._look_at_use, priority=90)
        loop.after(0, self._take_step, priority=91)

    def admit(self, obj: Object) -> Object:
        """What the API server makes of an object: the namespace, and a pod's defaults; a node class is ready."""
        if isinstance(obj, Pod):
            metadata = obj.metadata if obj.metadata.namespace else replace(obj.metadata, namespace="default")
            return replace(obj, metadata=metadata, spec=self.admission.spec(obj.spec))
        if isinstance(obj, EC2NodeClass):
            return _ready(obj, self.world.loop.now)
        return obj

    # The use of GPUs

    def _look_at_use(self) -> None:
        self.gpu_use.look()
        if self.world.loop.now + USE_STEP <= self.end:
            self.world.loop.after(USE_STEP, self._look_at_use, priority=90)

    def _take_step(self) -> None:
        now = self.world.loop.now
        pods = ((life, self.world.store.get("Pod", life.key)) for life in self.ledger.open_pods())
        self._used.append(sum(life.gpus * self.loads.use(pod, now) for life, pod in pods if pod is not None))
        if now + self._step <= self.end:
            self.world.loop.after(self._step, self._take_step, priority=91)

    # Running

    def advance(self, to: Millis) -> None:
        """Go on until then, or to the scenario's end."""
        self.world.loop.run(min(to, self.end))

    def run(self, progress: Callable[[Millis, Millis], None] | None = None) -> None:
        """Go on to the end. progress: called now and then with (virtual time that has passed, all of it)."""
        step = max((self.end - self.start) // 200, SECOND)
        while self.world.loop.now < self.end:
            self.advance(self.world.loop.now + step)
            if progress is not None:
                progress(self.world.loop.now - self.start, self.end - self.start)

    def result(self, wall_s: float = 0.0) -> dict[str, Any]:
        """The documented result, as of now. wall_s: seconds that the run took."""
        now = self.world.loop.now
        self.gpu_use.settle()
        outcome = Outcome(
            self.ledger, self.cloud.bill, self.disruptions, self._capacity, self._used_at, self.start, now
        )
        figures: dict[str, Any] = {
            "scenario": self.scenario.scenario,
            "seed": self.seed,
            "wallSeconds": round(wall_s, 3),
            "events": self.world.loop.events,
            "partial": now < self.end,
            "packing": self.options.placing.packing,
            **outcome.figures(),
            "violations": self.audit.told(self._wrong(outcome, now)),
        }
        figures["expectations"] = [
            {"text": expectation.text, "ok": ok, "seen": seen}
            for expectation in self._reading.expectations
            for ok, seen in (check(expectation, figures, self.world.journal),)
        ]
        return figures

    def _wrong(self, outcome: Outcome, now: Millis) -> Iterator[str]:
        """What is wrong with the run as a whole."""
        billed, spot = outcome.node_costs(), self.scenario.cloud.spot
        if spot.prices.path == "flat" and not spot.prices.steps:
            yield from self.audit.bill(billed, now, free_first_hour=spot.free_first_hour)
        total = self.cloud.bill.total(now).total - self.cloud.bill.committed(now)
        yield from self.audit.shares(billed, outcome.divided(), total)
        yield from self.audit.leaks(now)

    def _used_at(self, step: int) -> float:
        return self._used[step] if step < len(self._used) else 0.0

    def _capacity(self, provider_id: str) -> dict[str, int]:
        instance = self.cloud.instance(provider_id)
        if instance is None:
            return {}
        return {resource: units(resource, amount, up=False) for resource, amount in instance.type.capacity.items()}


def _turn(obj: Object) -> int:
    kind = type(obj).__name__
    return LATER.index(kind) + 1 if kind in LATER else 0


def _ready(node_class: EC2NodeClass, now: Millis) -> EC2NodeClass:
    """The node class as its controller leaves it: nothing of AWS is asked, so nothing of it is missing."""
    if node_class.condition("Ready") is not None:
        return node_class
    ready = Condition("Ready", "True", "Ready", last_transition_time=rfc3339(now))
    return replace(node_class, status=replace(node_class.status, conditions=(*node_class.status.conditions, ready)))
