"""What passes remember changes no answer: over the histories of random scenarios, each question that the engine asks is asked of fresh
passes, too, which know nothing but the state.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from random import Random
from typing import Any

import pytest
from msgspec.structs import replace

from fretsaw.api.pod import Pod
from fretsaw.api.times import SECOND, Millis
from fretsaw.engine import events as e
from fretsaw.engine.disruption.ask import Outcome
from fretsaw.engine.finish import Node
from fretsaw.engine.ground import Ground
from fretsaw.engine.options import Options
from fretsaw.engine.passes import Pass, Passes
from fretsaw.engine.places import OpenNode
from fretsaw.engine.state import ClusterState
from fretsaw.engine.universe import Universe
from fretsaw.engine.whatif import Asked
from support.disruption_world import START, World, pod
from support.random_scenarios import numbered, simulation

FIRST, NUMBER, LOT = 1000, 24, 8


class Twin(Passes):
    """Passes that are held to a twin without memory."""

    def __init__(self, options: Options) -> None:
        super().__init__(options.placing, options.nomination)
        self.options = options
        self.asked = 0

    def _fresh(self) -> Passes:
        self.asked += 1
        return Passes(self.options.placing, self.options.nomination)

    def provision(self, state: ClusterState, now: Millis) -> Pass:
        found, plain = super().provision(state, now), self._fresh().provision(state, now)
        assert told(found) == told(plain)
        return found

    def without(
        self,
        state: ClusterState,
        now: Millis,
        machines: frozenset[str],
        moving: Sequence[Pod],
        closed: Iterable[str] = (),
        *,
        packing: str | None = None,
    ) -> Pass:
        closed = tuple(closed)
        found = super().without(state, now, machines, moving, closed, packing=packing)
        plain = self._fresh().without(state, now, machines, moving, closed, packing=packing)
        assert told(found) == told(plain)
        return found

    def ground(self, state: ClusterState, now: Millis) -> Ground:
        found, plain = super().ground(state, now), self._fresh().ground(state, now)
        assert rooms(found) == rooms(plain)
        return found

    def waits(self, state: ClusterState, now: Millis) -> bool:
        found = super().waits(state, now)
        assert found == self._fresh().waits(state, now)
        return found

    def universe(self, state: ClusterState, pool: str) -> Universe | None:
        found = super().universe(state, pool)
        assert supply(found) == supply(self._fresh().universe(state, pool))
        return found


def told(answer: Pass) -> dict[str, Any]:
    """All that a pass says, as values."""
    return {
        "nodes": [_node(node) for node in answer.nodes],
        "failed": [_open(node) for node in answer.failed],
        "filled": answer.filled,
        "unplaced": {pod: [(r.node_pool, r.reason) for r in answer.why(pod)] for pod in answer.unplaced},
        "price": answer.price_usd,
        "rooms": rooms(answer.placed.prepared.ground),
        "left": answer.placed.remaining,
    }


def _node(node: Node) -> tuple[Any, ...]:
    return (*_open(node.open), node.requirements.texts(), node.candidates)


def _open(node: OpenNode) -> tuple[Any, ...]:
    return node.template.name, tuple(node.pods), dict(node.used)


def rooms(ground: Ground) -> list[tuple[Any, ...]]:
    """The room on each machine, in the order in which they are tried."""
    return [(ground.target_of[p.bit].machine, p.bit, p.free, p.taints, p.requirements.texts()) for p in ground.places]


def supply(universe: Universe | None) -> Any:
    """What a pool can launch, at which price."""
    if universe is None:
        return None
    cells = [(c.zone, c.capacity_type, sorted(c.price_nano.items())) for c in universe.cells]
    return universe.names, cells


class TwinAsked(Asked):
    """Answers to what-if that are held to those of passes without memory; counts those that were remembered."""

    recalled = 0

    def __call__(self, without: frozenset[str], *, consolidating: bool = True, cheapest: bool = False) -> Outcome:
        self.passed = False
        found = super().__call__(without, consolidating=consolidating, cheapest=cheapest)
        TwinAsked.recalled += not self.passed
        fresh = Asked(Passes(self._passes.settings, self._passes._patience), self._state, self._now)
        plain = fresh(without, consolidating=consolidating, cheapest=cheapest)
        assert [_node(node) for node in found.launches] == [_node(node) for node in plain.launches]
        assert replace(found, launches=()) == replace(plain, launches=())
        return found

    def _pass(self, *given: Any) -> Pass:
        self.passed = True
        return super()._pass(*given)


@pytest.mark.parametrize("seed", range(30))
def test_what_is_recalled_is_what_asking_again_would_find(seed: int) -> None:
    """Pods come and go on a few machines of several sizes, some of which have little to do with the others."""
    rng = Random(seed)
    world = World({"pools": {"main": {}}, "machines": {name: {"type": rng.choice("sml")} for name in "abcdef"}})
    passes, state, before = Passes(Options().placing), world.state, TwinAsked.recalled
    for step in range(40):
        if rng.random() < 0.7:
            _calm(state)
        machine = state.machines[rng.choice("abcdef")]
        if machine.pods and rng.random() < 0.4:
            state.apply(e.Gone("Pod", rng.choice(machine.pods).key))
        else:
            given = {"cpu": rng.choice((1, 3, 6))} | rng.choice(({}, {}, {}, {"deleting": True}, {"protect": "true"}))
            state.apply(e.Changed(pod(f"p-{step}", given, "" if rng.random() < 0.05 else machine.node_name)))
        if rng.random() < 0.1:
            _toggle(state, machine.name)
        ask = TwinAsked(passes, state, START + step * SECOND)
        for name in sorted(state.machines):
            if not state.leaving(state.machines[name]):
                ask(frozenset((name,)), consolidating=rng.random() < 0.9)
    assert TwinAsked.recalled - before > 10


def _calm(state: ClusterState) -> None:
    """Nobody waits, and no machine is on its way out."""
    for key in list(state.waiting):
        state.apply(e.Gone("Pod", key))
    for name in [name for name, machine in state.machines.items() if machine.deleting]:
        _toggle(state, name)


def _toggle(state: ClusterState, name: str) -> None:
    """Begin or end the deletion of a machine."""
    claim = state.claims[name]
    ends = None if claim.metadata.deletion_timestamp else "2026-06-03T12:00:00Z"
    state.apply(e.Changed(replace(claim, metadata=replace(claim.metadata, deletion_timestamp=ends))))


def test_what_is_kept_by_machine_is_not_relied_upon_where_two_nodes_are_of_one_instance() -> None:
    state = World({"machines": {"a": {"pods": [{}]}, "b": {"pods": [{}]}}}).state
    passes = Passes(Options().placing)
    passes.ground(state, START)
    (node,) = state.nodes_with(state.machines["a"].provider_id)
    state.apply(e.Changed(replace(node, metadata=replace(node.metadata, name="another", uid="another"))))
    assert state.muddled
    assert rooms(passes.ground(state, START)) == rooms(Passes(Options().placing).ground(state, START))
    state.apply(e.Gone("Node", node.metadata.name))
    assert rooms(passes.ground(state, START)) == rooms(Passes(Options().placing).ground(state, START))


@pytest.mark.parametrize("first", range(FIRST, FIRST + NUMBER, LOT))
def test_passes_with_a_memory_answer_as_fresh_ones(first: int) -> None:
    asked = 0
    for number in range(first, first + LOT):
        run = simulation(numbered(number))
        twin = run.autoscaler._engine.passes = Twin(run.options)
        run.run()
        asked += twin.asked
    assert asked > 100


def test_a_place_that_is_kept_no_longer_is_noticed_without_an_event() -> None:
    """A pod's place is kept for a while; then it is planned anew, although nothing has happened."""
    world = World({"machines": {"a": {}}, "waiting": [{"cpu": 1}]})
    options = replace(world.options, placing=replace(world.options.placing, packing="first-fit"))
    twin, state = Twin(options), world.state
    (pod,) = state.waiting
    state.apply(e.Planned(((pod, "a"),), START))
    kept, late = (twin.provision(state, when) for when in (START + SECOND, START + options.nomination))
    assert [kept.filled, late.filled] == [(), (("a", (pod,)),)]
