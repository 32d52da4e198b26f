"""What a what-if promises of new nodes: no more than a pool may have, and none that cannot be ordered."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from fretsaw.engine.disruption.ask import Outcome, WhatIf
from fretsaw.engine.passes import Passes
from fretsaw.engine.whatif import Asked
from support.disruption_world import START, World
from support.plain_whatif import PlainWhatIf


def answers(world: World, *without: str) -> list[Outcome]:
    """The same question to the engine and to its plain twin."""
    asks: list[WhatIf] = [
        Asked(Passes(world.options.placing), world.state, START),
        PlainWhatIf(world.state, START, world.options.placing),
    ]
    return [ask(frozenset(without), consolidating=False) for ask in asks]


def limited(nodes: str, **more: Any) -> dict[str, Any]:
    return {
        "pools": {"main": {"limits": {"nodes": nodes}}},
        "machines": {"a": {"type": "xl", "pods": [{"cpu": 12}]}, "b": {"type": "xl", "pods": [{"cpu": 15}]}},
        **more,
    }


@pytest.mark.parametrize(("nodes", "bought"), [("2", 1), ("3", 2)])
def test_nodes_beyond_a_pools_limit_are_not_promised(nodes: str, bought: int) -> None:
    """One machine goes, another stays: of the two nodes that its pod and a waiting one need, a limit of 2 leaves one."""
    for outcome in answers(World(limited(nodes, waiting=[{"cpu": 15}])), "a"):
        assert len(outcome.launches) == bought
        kept = [pod for node in outcome.launches for pod in node.open.pods]
        lost = [] if "default/a-0" in kept else ["default/a-0"]
        assert [name for name, _ in outcome.unplaced] == lost


def test_pods_of_a_node_that_cannot_be_ordered_have_no_place() -> None:
    """`minValues` holds among all types, and not among the few that an order may carry."""
    requirement = {"key": "node.kubernetes.io/instance-type", "operator": "Exists", "minValues": 3}
    world = World({"pools": {"main": {"requirements": [requirement]}}, "machines": {"a": {"pods": [{"cpu": 1}]}}})
    for most, complete in ((60, True), (2, False)):
        world.options = _cut(world, most)
        for outcome in answers(world, "a"):
            assert outcome.complete is complete
            assert [name for name, _ in outcome.unplaced] == ([] if complete else ["default/a-0"])


def _cut(world: World, most: int) -> Any:
    return replace(world.options, placing=replace(world.options.placing, max_instance_types=most))
