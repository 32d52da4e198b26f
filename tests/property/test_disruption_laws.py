"""What holds of disruption whatever the cluster: budgets, protection, scores, schedules, and answers to what-if."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fretsaw.api.cron import next_after, next_change, window_is_open
from fretsaw.api.times import DAY, HOUR, MINUTE, SECOND, Millis, millis
from fretsaw.engine import actions as a
from fretsaw.engine import events as e
from fretsaw.engine.disruption.balanced import Score, approves
from fretsaw.engine.disruption.budgets import Room, shares
from fretsaw.engine.disruption.candidates import Candidate, Survey
from fretsaw.engine.disruption.drift import drifted_machine
from fretsaw.engine.passes import Passes
from fretsaw.engine.pdbs import is_active, is_protected
from fretsaw.engine.whatif import Asked
from support.disruption_world import START, World
from support.plain_whatif import PlainWhatIf

SLOW = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])

PODS = st.lists(
    st.fixed_dictionaries(
        {"cpu": st.sampled_from([1, 2, 3]), "count": st.integers(1, 2)},
        optional={
            "protect": st.sampled_from(["true", "1h", "59m", "never"]),
            "owner": st.sampled_from(["DaemonSet", "StatefulSet", "Node"]),
            "priority": st.sampled_from([-(2**31), 1000]),
            "phase": st.sampled_from(["Succeeded", "Running"]),
            "labels": st.sampled_from([{"app": "web"}, {"app": "db"}]),
            "deleting": st.booleans(),
            "ready": st.booleans(),
        },
    ),
    max_size=3,
)
MACHINES = st.dictionaries(
    st.sampled_from("abcdefg"),
    st.fixed_dictionaries(
        {"type": st.sampled_from(["m", "l", "xl"]), "pool": st.sampled_from(["main", "other"]), "pods": PODS},
        optional={
            "capacity": st.sampled_from(["spot", "on-demand"]),
            "ready": st.booleans(),
            "initialized": st.booleans(),
            "deleting": st.sampled_from([True, False, False]),
            "drifted": st.sampled_from(["1h", "2h"]),
            "consolidatable": st.booleans(),
            "podEvent": st.sampled_from(["1m", "20m"]),
            "annotations": st.sampled_from([{}, {}, {"karpenter.sh/do-not-disrupt": "true"}]),
        },
    ),
    max_size=6,
)  # fmt: skip
BUDGETS = st.lists(
    st.fixed_dictionaries(
        {"nodes": st.sampled_from(["0", "1", "2", "34%", "100%"])},
        optional={"reasons": st.lists(st.sampled_from(["Empty", "Drifted", "Underutilized"]), unique=True)},
    ),
    max_size=2,
)
POOL = st.fixed_dictionaries(
    {
        "budgets": BUDGETS,
        "after": st.sampled_from(["0s", "5m", "Never"]),
        "policy": st.sampled_from(["WhenEmpty", "WhenEmptyOrUnderutilized", "Balanced"]),
    },
    optional={"grace": st.just("1h")},
)  # fmt: skip
WORLDS = st.fixed_dictionaries(
    {
        "pools": st.fixed_dictionaries({"main": POOL, "other": POOL}),
        "machines": MACHINES,
        "waiting": st.lists(st.fixed_dictionaries({"cpu": st.sampled_from([1, 4])}), max_size=1),
        "pdbs": st.fixed_dictionaries({}, optional={"web": st.fixed_dictionaries({"match": st.just({"app": "web"}), "allowed": st.integers(0, 1)})}),
        "nominated": st.fixed_dictionaries({}, optional={"a": st.just("20s")}),
        "spotToSpot": st.booleans(),
    }
)  # fmt: skip


@SLOW
@given(WORLDS)
def test_what_is_started_keeps_to_the_budgets_and_leaves_protected_pods_alone(given_world: dict[str, Any]) -> None:
    world = World(given_world)
    for _ in range(6):
        for _ in range(20):
            left = {
                reason: Room.of(world.state.pools, shares(world.state), reason, world.now).left
                for reason in ("Empty", "Drifted", "Underutilized")
            }
            machines = dict(world.state.machines)
            found = world.look()
            for note in found.notes:
                if isinstance(note, e.CommandStarted):
                    _keeps_to_budget(note.command, machines, left[note.command.reason])
                    _leaves_protected_alone(note.command, machines, world.now)
            if found.wake is None or found.wake > world.now:
                break
        else:
            raise AssertionError("the loop does not come to rest")
        for name in sorted(world.state.unlaunched):
            world.boot(name)
        world.now += 10 * SECOND


def _keeps_to_budget(command: e.Command, machines: dict[str, Any], left: dict[str, int]) -> None:
    """A command takes from what the budgets of its reason left before it, and counts down what is left for the next."""
    for name in command.candidates:
        pool = machines[name].pool
        assert left[pool] > 0, f"{command.id} takes {name}, for which the budgets leave nothing"
        left[pool] -= 1


def _leaves_protected_alone(command: e.Command, machines: dict[str, Any], now: Millis) -> None:
    for name in command.candidates:
        machine = machines[name]
        assert machine.initialized
        assert machine.node.metadata.annotations.get("karpenter.sh/do-not-disrupt") != "true"
        forced = command.reason == "Drifted" and machine.claim.spec.termination_grace_period is not None
        assert forced or not any(is_active(p) and is_protected(p, now) for p in machine.pods)


@SLOW
@given(WORLDS)
def test_a_replacement_is_never_dearer_than_what_it_replaces(given_world: dict[str, Any]) -> None:
    world = World(given_world)
    for _ in range(4):
        for look in world.settle():
            for note in look.notes:
                if isinstance(note, e.CommandProposed):
                    assert note.command.savings_usd_per_hour > -1e-9
                    assert note.command.method != "multi" or len(note.command.candidates) >= 2
        assert all(
            action.reason in ("drifted", "underutilized")
            for action in world.all_actions
            if isinstance(action, a.CreateClaim)
        )
        world.now += 15 * SECOND


@SLOW
@given(WORLDS, st.sets(st.sampled_from("abcdefg"), min_size=1, max_size=3), st.booleans())
def test_the_prepared_what_if_answers_as_the_plain_one(
    given_world: dict[str, Any], names: set[str], consolidating: bool
) -> None:
    world = World(given_world)
    state, now = world.state, world.now
    there = frozenset(n for n in names if n in state.machines and not state.leaving(state.machines[n]))
    plain = PlainWhatIf(state, now, world.options.placing)(there, consolidating=consolidating)
    quick = Asked(Passes(world.options.placing), state, now)(there, consolidating=consolidating)
    assert [(n.candidates, sorted(n.open.pods)) for n in quick.launches] == [
        (n.candidates, sorted(n.open.pods)) for n in plain.launches
    ]
    assert sorted(quick.filled) == sorted(plain.filled)
    assert {pod for pod, _ in quick.unplaced} == {pod for pod, _ in plain.unplaced}
    assert sorted(quick.unready) == sorted(plain.unready)


@SLOW
@given(WORLDS)
def test_drift_asks_one_machine_at_a_time_in_its_order(given_world: dict[str, Any]) -> None:
    world = World(given_world)
    ask = PlainWhatIf(world.state, START, world.options.placing)
    candidates, _ = Survey(world.state, START, ask).drifted(static=False)
    room = Room.of(world.state.pools, shares(world.state), "Drifted", START)
    found = drifted_machine(candidates, room, ask, lambda candidate, why: None)
    asked = [next(iter(question)) for question in ask.asked]
    by_name = {c.name: c for c in candidates}
    ranks = [
        (bool(by_name[name].pods), by_name[name].claim.condition("Drifted").last_transition_time) for name in asked
    ]  # type: ignore[union-attr]
    assert ranks == sorted(ranks)
    assert [move.names for move in found.moves] in ([], [(asked[-1],)] if asked else [])


@given(st.floats(-1, 1), st.floats(0, 1), st.floats(0.01, 100))
def test_a_score_grows_with_savings_and_does_not_change_with_the_unit(
    savings: float, disruption: float, unit: float
) -> None:
    score = Score(savings, disruption)
    assert score.value >= 0
    assert score.approved == (savings > 0 and (disruption == 0 or savings / disruption >= 0.5))
    assert Score(savings + 0.1, disruption).value >= score.value
    if disruption > 0 and savings > 1e-6:
        assert math.isclose(Score(savings * unit, disruption * unit).value, score.value, rel_tol=1e-9)
    assert approves({"p": score, "q": Score(1, 0)}) == score.approved
    assert approves({})


def test_the_worked_examples_of_balance() -> None:
    assert Score(1 / 100, 11 / 1100).value == 1.0
    assert round(Score(0.3 / 100, 11 / 1100).value, 9) == 0.3
    assert not Score(0.3 / 100, 11 / 1100).approved


def _survey_is_total(world: World) -> None:
    survey = Survey(world.state, world.now, world.ask())
    candidates, blocked = survey.all()
    names = {c.name for c in candidates} | {b.machine.name for b in blocked}
    assert names == set(world.state.machines) - world.state.marked
    assert all(isinstance(c, Candidate) and c.cost >= 1 for c in candidates)


@SLOW
@given(WORLDS)
def test_every_machine_is_a_candidate_or_has_a_reason_why_not(given_world: dict[str, Any]) -> None:
    _survey_is_total(World(given_world))


# Schedules


def _field(low: int, high: int) -> st.SearchStrategy[str]:
    number = st.integers(low, high)
    return st.one_of(
        st.just("*"),
        number.map(str),
        st.tuples(number, number).map(lambda pair: f"{min(pair)}-{max(pair)}"),
        st.integers(1, 7).map(lambda step: f"*/{step}"),
        st.lists(number, min_size=1, max_size=3).map(lambda found: ",".join(map(str, found))),
    )


SCHEDULES = st.tuples(_field(0, 59), _field(0, 23), _field(1, 31), _field(1, 12), _field(0, 6)).map(" ".join)
TIMES = st.integers(millis("2023-12-01T00:00:00Z") // SECOND, millis("2028-03-05T00:00:00Z") // SECOND).map(
    lambda seconds: seconds * SECOND
)


def _listed(field: str, low: int, high: int) -> set[int]:
    found = set()
    for part in field.split(","):
        ends, _, step = part.partition("/")
        first, dash, last = ends.partition("-")
        begin, end = (low, high) if first == "*" else (int(first), int(last) if dash else int(first))
        found |= set(range(begin, end + 1, int(step or 1)))
    return found


def _plain_fires(schedule: str, when: Millis) -> bool:
    """Whether a schedule fires in the minute of `when`, by looking at its parts."""
    fields = schedule.split()
    moment = datetime.fromtimestamp(when // SECOND, UTC)
    minute, hour, dom, month, dow = (
        value in _listed(field, low, high)
        for field, low, high, value in zip(
            fields,
            (0, 0, 1, 1, 0),
            (59, 23, 31, 12, 6),
            (moment.minute, moment.hour, moment.day, moment.month, moment.isoweekday() % 7),
            strict=True,
        )
    )
    star = any(field.startswith("*") and field in ("*", "*/1") for field in (fields[2], fields[4]))
    return minute and hour and month and ((dom and dow) if star else (dom or dow))


def _plain_next(schedule: str, after: Millis, most: Millis) -> Millis | None:
    """The first firing after a time, minute by minute."""
    when = after - after % MINUTE + MINUTE
    while when <= after + most:
        if _plain_fires(schedule, when):
            return when
        when += MINUTE
    return None


@settings(max_examples=60, deadline=None)
@given(SCHEDULES, TIMES)
def test_the_next_firing_is_the_one_that_a_walk_over_the_minutes_finds(schedule: str, when: Millis) -> None:
    span = 3 * DAY
    found, plain = next_after(schedule, when), _plain_next(schedule, when, span)
    assert plain == (found if found is not None and found <= when + span else None)
    assert found is None or (found > when and _plain_fires(schedule, found))


@settings(max_examples=60, deadline=None)
@given(SCHEDULES, st.integers(1, 48).map(lambda halves: halves * HOUR // 2), TIMES)
def test_a_window_is_open_as_long_as_it_lasts_from_a_firing(schedule: str, duration: Millis, when: Millis) -> None:
    fired = any(_plain_fires(schedule, m) for m in range(when - when % MINUTE, when - duration, -MINUTE))
    never = next_after(schedule, when - duration) is None
    assert window_is_open(schedule, duration, when) == (fired or never)


@settings(max_examples=60, deadline=None)
@given(SCHEDULES, st.integers(1, 48).map(lambda halves: halves * HOUR // 2), TIMES)
def test_nothing_changes_before_the_next_change(schedule: str, duration: Millis, when: Millis) -> None:
    change = next_change(schedule, duration, when)
    if change is None:
        return
    now_open = window_is_open(schedule, duration, when)
    assert change > when
    for part in range(1, 8):
        between = when + (change - when) * part // 8
        assert window_is_open(schedule, duration, between) == now_open
