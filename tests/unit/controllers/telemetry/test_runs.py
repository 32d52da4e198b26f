"""Metrics of whole runs of shipped scenarios, compared with what the runs themselves come to."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from fretsaw import planner
from fretsaw.api.meta import Object
from fretsaw.api.times import SECOND, Millis, millis
from fretsaw.controllers.telemetry import Recorder, Telemetry
from fretsaw.engine import actions as a
from fretsaw.engine import events as e
from fretsaw.engine.turn import Turn
from fretsaw.sim.scenario.read import read
from fretsaw.sim.simulation import Simulation
from support.telemetry_pages import Page

FOLDER = Path(__file__).parents[4] / "scenarios"
NAMES = ("interruption", "disruption-budgets", "tiered-fallback", "expiry")


@dataclass
class Run:
    """A run with all that was told of it."""

    simulation: Simulation
    telemetry: Telemetry
    page: Page
    result: dict[str, Any]
    heard: list[tuple[Millis, e.Event | Turn]]
    events: list[dict[str, Any]]

    def facts(self, what: str) -> list[Any]:
        """The journal's facts of a kind."""
        return [fact for fact in self.simulation.world.journal.facts if fact.what == what]

    @property
    def now(self) -> Millis:
        """The end of the run."""
        return self.simulation.world.loop.now

    def objects(self, kind: str) -> dict[str, Any]:
        """What there is at the end."""
        return self.simulation.autoscaler.state.objects[kind]


@pytest.fixture(scope="module", params=NAMES)
def run(request: pytest.FixtureRequest) -> Run:
    simulation = planner.simulation(read(FOLDER / f"{request.param}.yaml"))
    telemetry, recorder = Telemetry(), Recorder()
    heard: list[tuple[Millis, e.Event | Turn]] = []
    events: list[dict[str, Any]] = []
    state = simulation.autoscaler.state

    def hear(at: Millis, what: e.Event | Turn) -> None:
        telemetry.heard(at, what, state)
        heard.append((at, what))
        events.extend(recorder.heard(at, what, state))

    simulation.autoscaler.listen(hear)
    simulation.run()
    page = Page(telemetry.page(simulation.world.loop.now, state))
    return Run(simulation, telemetry, page, simulation.result(), heard, events)


def test_claims_are_counted_when_they_are_made_and_when_they_end(run: Run) -> None:
    created = Counter((f.data["reason"],) for f in run.facts("claim-created"))
    assert run.page.by("karpenter_nodeclaims_created_total", "reason") == created
    lives = run.simulation.ledger.nodes
    gone = [name for name in lives if name not in run.objects("NodeClaim")]
    assert run.page.total("karpenter_nodeclaims_terminated_total") == len(gone)
    assert run.page.total("karpenter_nodeclaims_termination_duration_seconds_count") == len(gone)


def test_disrupted_claims_have_the_reasons_that_the_journal_has(run: Run) -> None:
    uncounted = {"node_deleted"}
    reasons = Counter((f.data["reason"],) for f in run.facts("claim-deleted") if f.data["reason"] not in uncounted)
    assert run.page.by("karpenter_nodeclaims_disrupted_total", "reason") == reasons
    disrupted = {(reason.lower(),): n for reason, n in run.result["disruptions"].items() if n}
    for reason, count in disrupted.items():
        assert reasons[reason] == count


def test_nodes_are_counted_when_they_register_and_when_they_end(run: Run) -> None:
    lives = run.simulation.ledger.nodes.values()
    registered = Counter((life.pool, life.zone) for life in lives if life.registered is not None)
    assert run.page.by("karpenter_nodes_created_total", "nodepool", "zone") == registered
    left = len(run.objects("Node"))
    assert run.page.total("karpenter_nodes_terminated_total") == sum(registered.values()) - left
    assert run.page.total("karpenter_nodes_lifetime_duration_seconds_count") == sum(registered.values()) - left


def test_the_wait_of_pods_is_that_of_the_ledger(run: Run) -> None:
    pods = [pod for pod in run.simulation.ledger.pods.values() if pod.bound is not None]
    bound = [((pod.bound or 0) - pod.created) / SECOND for pod in pods]
    assert run.page.total("karpenter_pods_bound_duration_seconds_count") == len(bound)
    # The API's times are whole seconds, so each wait is off by less than one.
    assert run.page.total("karpenter_pods_bound_duration_seconds_sum") == pytest.approx(sum(bound), abs=len(bound))


def test_plans_land_where_the_run_says(run: Run) -> None:
    told = run.result["planned"]
    landed = run.page.by("fretsaw_planned_pods_total", "landed")
    # The run counts only pods that kube-scheduler was told a node for; a plan whose pod was bound first counts here too.
    assert landed["as_planned",] >= told["landed"]
    assert landed["elsewhere",] >= told["pods"] - told["landed"]
    planned = {
        pod
        for _, t in run.heard
        if isinstance(t, Turn)
        for n in t.notes
        if isinstance(n, e.Planned)
        for pod, _ in n.placements
    }
    assert sum(landed.values()) <= sum(
        1
        for _, t in run.heard
        if isinstance(t, Turn)
        for n in t.notes
        if isinstance(n, e.Planned)
        for _ in n.placements
    )
    assert sum(landed.values()) >= len(
        planned & {pod.key for pod in run.simulation.ledger.pods.values() if pod.bound is not None}
    )


def test_disruptions_are_counted_when_they_begin(run: Run) -> None:
    begun = Counter((row["decision"], row["reason"].lower()) for row in run.result["disruptionList"])
    assert run.page.by("karpenter_voluntary_disruption_decisions_total", "decision", "reason") == begun
    dropped = sum(
        len(note.command.candidates)
        for _, what in run.heard
        if isinstance(what, Turn)
        for note in what.notes
        if isinstance(note, e.CommandDropped)
    )
    assert run.page.total("karpenter_voluntary_disruption_failed_validations_total") == dropped


def test_refusals_of_the_cloud_are_counted(run: Run) -> None:
    refused = [what for _, what in run.heard if isinstance(what, e.LaunchRefused)]
    assert run.page.total("fretsaw_launches_refused_total") == len(refused)
    kinds = Counter(what.kind for what in refused)
    given_up = kinds["InsufficientCapacity"]
    assert run.page.total("karpenter_nodeclaims_disrupted_total", reason="insufficient_capacity") == given_up


def test_evictions_are_counted_by_their_answer(run: Run) -> None:
    answers = Counter((what.refused[:3] or "200",) for _, what in run.heard if isinstance(what, e.EvictionAnswered))
    assert run.page.by("karpenter_pods_eviction_requests_total", "code") == answers


def test_every_pod_and_every_condition_has_one_line(run: Run) -> None:
    names = {f"{s.labels['namespace']}/{s.labels['name']}" for s in run.page.samples("karpenter_pods_state")}
    assert names == set(run.objects("Pod"))
    for kind in ("NodeClaim", "NodePool", "Node"):
        told = Counter(
            (s.labels["name"], s.labels["type"], s.labels["status"])
            for s in run.page.samples(f"operator_{kind.lower()}_status_condition_count")
        )
        there = Counter((n, c.type, c.status) for n, o in run.objects(kind).items() for c in o.status.conditions)
        assert told == there
    twins = {s.labels["kind"] for s in run.page.samples("operator_status_condition_count")}
    assert twins <= {"NodeClaim", "NodePool"}


def test_what_nodes_offer_and_pods_ask_for_adds_up(run: Run) -> None:
    nodes = run.objects("Node")
    assert len(list(run.page.samples("karpenter_nodes_current_lifetime_seconds"))) == len(nodes)
    bound = [p for p in run.objects("Pod").values() if p.spec.node_name in nodes and not p.is_terminal]
    counted = run.page.total("karpenter_nodes_total_pod_requests", resource_type="pods")
    assert counted == len(bound)


def test_transitions_of_claims_are_those_that_the_log_of_changes_has(run: Run) -> None:
    before: dict[str, Object] = {}
    expected: Counter[tuple[str, ...]] = Counter()
    for _, what in run.heard:
        match what:
            case e.Changed(obj) if type(obj).__name__ == "NodeClaim":
                old = before.get(obj.metadata.name)
                known = {c.type: c.status for c in old.status.conditions} if old is not None else {}
                expected.update(
                    (c.type, c.status) for c in obj.status.conditions if known.get(c.type, "Unknown") != c.status
                )
                before[obj.metadata.name] = obj
    assert run.page.by("operator_nodeclaim_status_condition_transitions_total", "type", "status") == expected


def test_the_cost_is_the_price_of_the_machines_that_run(run: Run) -> None:
    claims = run.objects("NodeClaim")
    running = [life for name, life in run.simulation.ledger.nodes.items() if name in claims and life.provider_id]
    cost: dict[tuple[str, ...], float] = {}
    for life in running:
        where = (life.pool, life.capacity_type)
        cost[where] = cost.get(where, 0.0) + life.price_usd_per_hour
    assert run.page.by("fretsaw_cost_per_hour", "nodepool", "capacity_type") == pytest.approx(cost, abs=1e-5)


def test_every_event_of_the_engine_is_told_and_none_twice_at_once(run: Run) -> None:
    told = [
        (action.about.rpartition("/")[2], action.reason)
        for _, what in run.heard
        if isinstance(what, Turn)
        for action in what.actions
        if isinstance(action, a.Tell) and action.reason not in ("FailedScheduling", "Nominated")
    ]
    found = Counter((event["involvedObject"]["name"], event["reason"]) for event in run.events)
    assert Counter(told) <= found
    names = Counter((event["metadata"]["name"], event["count"]) for event in run.events)
    assert names.most_common(1)[0][1] == 1


def test_events_of_a_pod_keep_their_distance(run: Run) -> None:
    last: dict[tuple[str, str], int] = {}
    least = {"FailedScheduling": 300, "Nominated": 120}
    for event in run.events:
        if event["reason"] in least:
            what = (event["involvedObject"]["uid"], event["reason"])
            when = millis(event["lastTimestamp"]) // SECOND
            assert when - last.get(what, -(10**9)) >= least[event["reason"]] - 1
            last[what] = when


def test_a_page_twice_is_the_same_but_for_ages(run: Run) -> None:
    state = run.simulation.autoscaler.state
    assert run.telemetry.page(run.now, state) == run.telemetry.page(run.now, state)


def test_what_is_remembered_of_pods_and_claims_goes_with_them(run: Run) -> None:
    """Nothing is kept of objects that are gone: a process runs for months."""
    pods, own, claims = run.telemetry.pods, run.telemetry.own, run.telemetry.claims
    waiting = run.simulation.autoscaler.state.waiting
    for kept in (pods._unstarted, pods._unbound, pods._noted, pods._placed, pods._lines):
        assert set(kept) <= set(run.objects("Pod"))
    assert set(own._plans) <= set(waiting)
    assert set(own._paid) <= set(run.objects("NodeClaim"))
    assert set(claims._leaving) <= set(run.objects("NodeClaim"))
    assert claims._ordered == {}
