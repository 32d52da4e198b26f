"""The autoscaler's loop: every 15 seconds it looks at each object, sets the workload's replicas and tells its status.

Source: Kubernetes v1.36 pkg/controller/podautoscaler/horizontal.go (reconcileAutoscaler); kubernetes.io, Horizontal Pod
Autoscaling.
"""

from __future__ import annotations

from typing import Any, Final

from msgspec.structs import replace

from fretsaw.api.autoscaling import HorizontalPodAutoscaler
from fretsaw.api.meta import Condition
from fretsaw.api.pod import Pod
from fretsaw.api.times import Millis, rfc3339
from fretsaw.api.workload import wanted_replicas
from fretsaw.sim.behavior import Metrics
from fretsaw.sim.conditions import with_condition
from fretsaw.sim.hpa import metrics as m
from fretsaw.sim.hpa import targets, words
from fretsaw.sim.hpa.algorithm import Failure, Proposal, Tolerance, largest
from fretsaw.sim.hpa.behavior import History, Outcome, settle, ways_of
from fretsaw.sim.hpa.readings import Settings
from fretsaw.sim.loop import Timer
from fretsaw.sim.members import Members
from fretsaw.sim.world import World

KIND: Final = "HorizontalPodAutoscaler"


class _Scaler:
    """One autoscaler: its spec made ready, its memory, and what it saw and told last."""

    def __init__(self, obj: HorizontalPodAutoscaler, metrics: Metrics, timer: Timer) -> None:
        self.timer = timer
        self.history: History | None = None
        self.view: m.View | None = None
        self.readings: list[Any] = []
        self.proposals: list[Proposal | Failure] = []
        self.told: Any = None
        self.respec(obj, metrics)

    def respec(self, obj: HorizontalPodAutoscaler, metrics: Metrics) -> None:
        """Make a spec ready."""
        self.ways = ways_of(obj.spec)
        tolerance = Tolerance(self.ways.up.tolerance, self.ways.down.tolerance)
        self.sources = m.sources(obj, metrics, tolerance)
        self.ref = obj.spec.scale_target_ref
        self.forget()

    def forget(self) -> None:
        """Read and tell everything anew at the next look."""
        self.readings, self.proposals, self.told = [], [], None
        self.current = -1


class Autoscalers:
    """The controller of all HorizontalPodAutoscalers."""

    def __init__(self, world: World, metrics: Metrics, settings: Settings | None = None) -> None:
        """metrics: whom to ask for values. Objects that are there already are taken up."""
        self._world = world
        self._store = world.store
        self._metrics = metrics
        self._settings = settings or Settings()
        self._scalers: dict[str, _Scaler] = {}
        self._members = Members(world.store, self._pod_changed)
        self._store.watch(KIND, self._changed)
        for obj in list(self._store.all(KIND).values()):
            self._changed(None, obj)

    # Watching

    def _changed(self, old: HorizontalPodAutoscaler | None, new: HorizontalPodAutoscaler | None) -> None:
        obj = new if new is not None else old
        assert obj is not None
        key = obj.metadata.key
        known = self._scalers.get(key)
        if new is None:
            if known is not None:
                known.timer.cancel()
                del self._scalers[key]
                self._members.drop(key)
        elif known is None:
            self._scalers[key] = _Scaler(new, self._metrics, self._again(key))
        elif old is None or old.spec != new.spec:
            known.respec(new, self._metrics)

    def _again(self, key: str) -> Timer:
        return self._world.loop.after(self._settings.period, self._sync, key)

    def _pod_changed(self, key: str, old: Pod | None, new: Pod | None) -> None:
        self._scalers[key].view = None

    # Looking

    def _sync(self, key: str) -> None:
        scaler = self._scalers[key]
        scaler.timer = self._again(key)
        workload = targets.find(self._store, key.partition("/")[0], scaler.ref)
        if workload is None:
            self._no_scale(key, scaler)
            return
        now, current = self._world.loop.now, wanted_replicas(workload)
        if scaler.history is None:
            scaler.history = History(current, now)
        ways = scaler.ways
        if current == 0 and ways.least != 0:
            self._disabled(key, scaler)
        elif current > ways.most:
            scaler.forget()
            self._scale(key, scaler, workload, ways.most, "Current number of replicas above Spec.MaxReplicas")
        elif current < ways.least:
            scaler.forget()
            self._scale(key, scaler, workload, ways.least, "Current number of replicas below Spec.MinReplicas")
        else:
            self._by_metrics(key, scaler, workload, current)

    def _by_metrics(self, key: str, scaler: _Scaler, workload: Any, current: int) -> None:
        assert scaler.history is not None
        now = self._world.loop.now
        if (why := self._unusable(key, scaler, workload)) is not None:
            self._failed(key, scaler, current, why)
            return
        self._propose(key, scaler, workload, current)
        picked = largest(current, scaler.proposals)
        if picked is None:
            first = next(proposal for proposal in scaler.proposals if isinstance(proposal, Failure))
            self._failed(key, scaler, current, first)
            return
        proposal = scaler.proposals[picked]
        outcome = settle(scaler.ways, scaler.history, current, proposal.replicas, now)  # type: ignore[union-attr]
        told = (current, outcome, scaler.proposals, picked)
        if outcome.replicas == current and told == scaler.told:
            return
        scaler.told = told
        self._act(key, scaler, workload, outcome, picked)

    def _unusable(self, key: str, scaler: _Scaler, workload: Any) -> Failure | None:
        """Why a workload's pods cannot be told from others."""
        selector = targets.selector(workload)
        if selector is None:
            return Failure("InvalidSelector", "the HPA target's scale is missing a selector")
        self._members.select(key, selector)
        rivals = [other for other in self._rivals(key, scaler) if other != key]
        if rivals:
            names = " ".join(sorted((key, *rivals)))
            return Failure("AmbiguousSelector", f"pods by selector are controlled by multiple HPAs: [{names}]")
        return None

    def _rivals(self, key: str, scaler: _Scaler) -> list[str]:
        if len(self._scalers) == 1:
            return []
        namespace = key.partition("/")[0] + "/"
        wanted = (scaler.ref.kind, scaler.ref.name)
        return [
            other
            for other, its in self._scalers.items()
            if (its.ref.kind, its.ref.name) == wanted and other.startswith(namespace)
        ]

    def _propose(self, key: str, scaler: _Scaler, workload: Any, current: int) -> None:
        """Bring the proposals up to date; they stay where nothing that they depend on has changed."""
        view = scaler.view
        if view is None:
            view = scaler.view = m.View(self._members.of(key), self._settings)
        now = self._world.loop.now
        scale = m.Scale(current, targets.made(workload, view.active))
        readings = [source.read(view, scale, now) for source in scaler.sources]
        if readings == scaler.readings and current == scaler.current:
            return
        scaler.readings, scaler.current = readings, current
        scaler.proposals = [
            source.propose(reading, current) for source, reading in zip(scaler.sources, readings, strict=True)
        ]

    # Writing

    def _act(self, key: str, scaler: _Scaler, workload: Any, outcome: Outcome, picked: int) -> None:
        name, current = scaler.sources[picked].name, wanted_replicas(workload)
        conditions = words.usual(outcome, name)
        if outcome.replicas == current:
            self._tell(key, scaler, current, current, conditions)
            return
        why = f"{name} above target" if outcome.replicas > current else "All metrics below target"
        self._scale(key, scaler, workload, outcome.replicas, why, conditions)

    def _scale(
        self,
        key: str,
        scaler: _Scaler,
        workload: Any,
        replicas: int,
        why: str,
        conditions: tuple[Condition, ...] = (),
    ) -> None:
        current, now = wanted_replicas(workload), self._world.loop.now
        self._store.put(targets.scaled(workload, replicas))
        if not scaler.ways.plain and scaler.history is not None:
            scaler.history.scaled(replicas - current, now)
        self._world.journal.note("hpa-scaled", f"{KIND}/{key}", old=current, new=replicas, why=why)
        scaler.told = None
        self._tell(key, scaler, current, replicas, (words.rescaled(replicas), *conditions[1:]), scaled=now)

    def _tell(
        self,
        key: str,
        scaler: _Scaler,
        current: int,
        desired: int | None,
        conditions: tuple[Condition, ...],
        scaled: Millis | None = None,
    ) -> None:
        """Write the status, if it says something new. desired: None leaves it as it was."""
        obj = self._store.get(KIND, key)
        status = obj.status
        shown = tuple(
            source.shown(proposal)
            for source, proposal in zip(scaler.sources, scaler.proposals, strict=False)
            if isinstance(proposal, Proposal)
        )
        found = status.conditions
        for condition in conditions:
            found = with_condition(found, condition, self._world.loop.now)
        status = replace(
            status,
            current_replicas=current,
            desired_replicas=status.desired_replicas if desired is None else desired,
            current_metrics=shown,
            conditions=found,
            last_scale_time=status.last_scale_time if scaled is None else rfc3339(scaled),
        )
        if status != obj.status:
            self._store.put(replace(obj, status=status))

    def _failed(self, key: str, scaler: _Scaler, current: int, why: Failure) -> None:
        if scaler.told == why:
            return
        scaler.told = why
        self._tell(key, scaler, current, None, words.failed(why))

    def _disabled(self, key: str, scaler: _Scaler) -> None:
        if scaler.told != words.DISABLED:
            scaler.forget()
            scaler.told = words.DISABLED
            self._tell(key, scaler, 0, 0, words.failed(words.DISABLED))

    def _no_scale(self, key: str, scaler: _Scaler) -> None:
        condition = words.no_scale(scaler.ref)
        if scaler.told != condition:
            scaler.told = condition
            obj = self._store.get(KIND, key)
            found = with_condition(obj.status.conditions, condition, self._world.loop.now)
            self._store.put(replace(obj, status=replace(obj.status, conditions=found)))
