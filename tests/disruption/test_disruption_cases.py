"""Disruption cases: a cluster, what happens, and what the loop does about it.

A file is `{topic, why, given, cases: [{name, why?, given?, at?, steps | then}]}`; a case's `given` is laid over the file's, map by map.
See `support.disruption_world` for its words. A case has one of these forms:

- `then` or `steps: [{after, change, then}]`: looks of the loop. Each step lets the time pass, makes the changes, looks until the
  loop rests, and compares what is written in `then` (see `_Seen`); a change is `pod`, `gone`, `boot`, `nominate`, `machine`,
  `pdb`, `node`, `claim`, `out` or `waiting`.
- `budget: {reason, nodes, disrupting, allowed, left, changes}`: arithmetic of the budgets of pool `main` at a time of day.
- `drifted: {reason, lookedUp}`: the verdict about machine `a`.
- `cost: {pod, machine, price, ratio}`: costs of machine `a`.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml

from fretsaw.api.times import millis, rfc3339, span
from fretsaw.engine import actions as a
from fretsaw.engine import events as e
from fretsaw.engine.disruption import budgets
from fretsaw.engine.disruption.candidates import Candidate, Survey
from fretsaw.engine.disruption.costs import eviction_cost, lifetime_left
from fretsaw.engine.disruption.drifted import LOOKED_UP, verdict
from fretsaw.engine.taints import DISRUPTED
from support import disruption_world as dw
from support.disruption_world import Obj, World

_HERE = Path(__file__).parent
replace = msgspec.structs.replace


def _laid(under: Any, over: Any) -> Any:
    if not (isinstance(under, dict) and isinstance(over, dict)):
        return over
    return {**under, **{key: _laid(under[key], value) if key in under else value for key, value in over.items()}}


def _read() -> Iterator[tuple[str, Obj]]:
    for path in sorted(_HERE.glob("*.yaml")):
        content = yaml.load(path.read_text(encoding="utf-8"), yaml.CSafeLoader)
        for case in content["cases"]:
            given = _laid(content.get("given") or {}, case.get("given") or {})
            yield f"{path.stem}: {case['name']}", {"why": content["why"], **case, "given": given}


_CASES = list(_read())


@pytest.mark.parametrize("case", [case for _, case in _CASES], ids=[name for name, _ in _CASES])
def test_case(case: Obj) -> None:
    world = World(case["given"], millis(case["at"]) if "at" in case else dw.START)
    if "budget" in case:
        _check_budget(world, case["budget"])
    elif "drifted" in case:
        _check_drifted(world, case["given"], case["drifted"])
    elif "cost" in case:
        _check_cost(world, case["cost"])
    else:
        for step in case.get("steps") or [{"then": case["then"]}]:
            world.now += span(step.get("after", "0s")) or 0
            for change in step.get("change", []):
                _change(world, change)
            assert _Seen(world).misses(step.get("then") or {}) == []


def test_every_case_names_its_source_once() -> None:
    names = [name for name, _ in _CASES]
    assert len(names) == len(set(names))
    assert [name for name, case in _CASES if "Source: " not in case["why"]] == []
    assert len(names) >= 80


class _Seen:
    """What a step did, and how that differs from what was expected."""

    def __init__(self, world: World) -> None:
        self.world = world
        asked = len(world.questions)
        looks = world.settle()
        self.asked = world.questions[asked:]
        self.actions = [action for look in looks for action in look.actions]
        self.notes = [note for look in looks for note in look.notes]
        self.wake = looks[-1].wake

    def misses(self, then: Obj) -> list[str]:
        """One text for each key that is not as expected."""
        found = []
        for key, wanted in then.items():
            seen = getattr(self, key)(wanted)
            if seen != wanted:
                found.append(f"{key}: {seen}, expected {wanted}")
        return found

    def _of(self, kind: type) -> list[Any]:
        return [one for one in (*self.notes, *self.actions) if isinstance(one, kind)]

    def nothing(self, wanted: bool) -> bool:
        """Nothing is proposed, started, ordered or deleted."""
        return (
            not self._of(e.CommandProposed)
            + self._of(e.CommandStarted)
            + self._of(a.CreateClaim)
            + self._of(a.DeleteClaim)
        )

    def propose(self, wanted: Obj) -> Obj | None:
        """The proposal, in the given fields: method, machines, types, savings."""
        notes = self._of(e.CommandProposed)
        return _fields(notes[-1].command, wanted) if notes else None

    def start(self, wanted: list[Obj]) -> list[Obj]:
        """The commands that started, in the given fields."""
        started = [note.command for note in self._of(e.CommandStarted)]
        return [
            _fields(command, wanted[min(i, len(wanted) - 1)] if wanted else {}) for i, command in enumerate(started)
        ]

    def dropped(self, wanted: list[str]) -> list[str]:
        """Why proposals were dropped."""
        return [note.why for note in self._of(e.CommandDropped)]

    def ended(self, wanted: list[str]) -> list[str]:
        """How commands ended."""
        return [note.why for note in self._of(e.CommandEnded)]

    def deleted(self, wanted: list[str]) -> list[str]:
        """The claims that are deleted, with the reason."""
        return [f"{action.name} {action.reason}" for action in self._of(a.DeleteClaim)]

    def created(self, wanted: list[Obj]) -> list[Obj]:
        """The claims that are ordered, in the given fields: pool, types, capacity, reason, pods."""
        orders = self._of(a.CreateClaim)
        return [_order(order, wanted[min(i, len(wanted) - 1)] if wanted else {}) for i, order in enumerate(orders)]

    def tainted(self, wanted: list[str]) -> list[str]:
        """The nodes with the disrupted taint when the step is over."""
        return sorted(n.metadata.name for n in self.world.state.nodes.values() if DISRUPTED in n.spec.taints)

    def reasons(self, wanted: Obj) -> Obj:
        """The claims with a DisruptionReason when the step is over."""
        claims = self.world.state.claims.values()
        found = {c.metadata.name: c.condition("DisruptionReason") for c in claims}
        return {name: condition.reason for name, condition in found.items() if condition is not None}

    def nominated(self, wanted: list[str]) -> list[str]:
        """The machines that are nominated."""
        return sorted(note.machine for note in self._of(e.Nominated))

    def tells(self, wanted: Obj) -> Obj:
        """The texts about some objects: `Node/n-a Unconsolidatable`, or its absence (null)."""
        told: dict[str, str] = {}
        for tell in self._of(a.Tell):
            key = f"{tell.about} {tell.reason}"
            told[key] = f"{told[key]}; {tell.message}" if key in told else tell.message
        return {
            key: text if isinstance(text, str) and text in told.get(key, "") else told.get(key)
            for key, text in wanted.items()
        }

    def questions(self, wanted: list[list[str]]) -> list[list[str]]:
        """What the placement was asked."""
        return [sorted(question) for question in self.asked]

    def looksAgain(self, wanted: str) -> str | None:  # noqa: N802 (a word of the cases)
        """How long after the step the next look is wanted."""
        wait = None if self.wake is None else self.wake - self.world.now
        return wanted if wait == span(wanted) else f"{wait} ms"


def _fields(command: e.Command, wanted: Obj) -> Obj:
    known: Obj = {
        "method": command.method,
        "reason": command.reason,
        "machines": list(command.candidates),
        "types": [list(types) for types in command.types],
        "replacements": len(command.replacements),
        "savings": round(command.savings_usd_per_hour, 6),
    }
    return {key: known[key] for key in wanted} if wanted else known


def _order(order: a.CreateClaim, wanted: Obj) -> Obj:
    asked = {r.key: sorted(r.values) for r in order.claim.spec.requirements}
    known: Obj = {
        "pool": order.claim.metadata.labels["karpenter.sh/nodepool"],
        "types": asked.get("node.kubernetes.io/instance-type"),
        "capacity": asked.get("karpenter.sh/capacity-type"),
        "reason": order.reason,
        "pods": sorted(order.pods),
        "requests": order.claim.spec.resources.requests,
    }
    return {key: known[key] for key in wanted} if wanted else known


def _change(world: World, change: Obj) -> None:
    (what, given), state = next(iter(change.items())), world.state
    match what:
        case "pod":
            state.apply(e.Changed(dw.pod(given.get("name", "new"), given, f"n-{given['node']}")))
        case "waiting":
            state.apply(e.Changed(dw.pod(given.get("name", "new"), given)))
        case "gone":
            state.apply(e.Gone(*given.split()))
        case "boot":
            orders = [action for action in world.all_actions if isinstance(action, a.CreateClaim)]
            world.boot(orders[given].claim.metadata.name)
        case "lost":
            orders = [action for action in world.all_actions if isinstance(action, a.CreateClaim)]
            state.apply(e.Gone("NodeClaim", orders[given].claim.metadata.name))
        case "nominate":
            state.apply(e.Nominated(given, world.now + world.options.nomination))
        case "machine":
            world.add(given["name"], given)
        case "pdb":
            state.apply(e.Changed(dw.budget(given["name"], given)))
        case "pool":
            state.apply(e.Changed(dw.pool(given["name"], given)))
        case "out":
            state.apply(e.OfferingsOut(frozenset(tuple(one.split()) for one in given)))
        case _:
            raise AssertionError(f"no such change: {what}")


def _check_budget(world: World, wanted: Obj) -> None:
    pool, now = world.state.pools["main"], world.now
    share = budgets.shares(world.state).get("main", budgets.Share())
    room = budgets.Room.of(world.state.pools, {"main": share}, wanted["reason"], now)
    change = budgets.next_change(pool, now)
    seen = {
        "reason": wanted["reason"],
        "nodes": share.nodes,
        "disrupting": share.disrupting,
        "allowed": budgets.allowed(pool, wanted.get("of", share.nodes), wanted["reason"], now),
        "of": wanted.get("of"),
        "left": room.left["main"],
        "changes": None if change is None else rfc3339(change),
    }
    seen["allowed"] = "any" if seen["allowed"] == budgets.UNLIMITED else seen["allowed"]
    assert {key: seen[key] for key in wanted} == wanted


def _check_drifted(world: World, given: Obj, wanted: Obj) -> None:
    claim, pool = world.state.claims["a"], world.state.pools["main"]
    looked = dw.ago(given.get("lookedUp"), world.now)
    found = verdict(
        claim,
        pool,
        world.ask().universe("main"),
        world.now,
        looked_up=millis(looked) if looked else None,
        provider=given.get("provider", ""),
    )
    assert (found.reason, found.looked_up) == (wanted["reason"], wanted.get("lookedUp", False)), LOOKED_UP


def _check_cost(world: World, wanted: Obj) -> None:
    found = Survey(world.state, world.now, world.ask()).judge(world.state.machines["a"])
    assert isinstance(found, Candidate), found
    seen = {
        "pod": [round(eviction_cost(pod), 6) for pod in found.machine.pods],
        "machine": round(found.cost, 6),
        "price": found.price / 1e9,
        "empty": found.empty,
        "lifetime": lifetime_left(found.claim, world.now),
    }
    assert {key: seen[key] for key in wanted} == wanted
