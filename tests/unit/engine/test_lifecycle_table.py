"""The table of phases: what leads where, what cannot be, and the picture of it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from msgspec.structs import replace

from fretsaw.api.meta import Condition, ObjectMeta
from fretsaw.api.node import Node
from fretsaw.api.nodeclaim import NodeClaim, NodeClaimSpec, NodeClaimStatus, NodeClassRef
from fretsaw.engine import lifecycle
from fretsaw.engine.lifecycle import (
    TERMINATION,
    TRANSITIONS,
    Phase,
    What,
    diagram,
    phase_of,
    phase_of_claim,
    step,
    walk,
)
from fretsaw.engine.machines import Machine
from fretsaw.errors import BrokenInvariant

ROOT = Path(__file__).parents[3]
_DELETED = "2026-01-05T00:00:00Z"


def claim(*true: str, deleted: bool = False, finalizer: bool = True, **other: str) -> NodeClaim:
    statuses = {**dict.fromkeys(true, "True"), **other}
    conditions = tuple(Condition(type_, status) for type_, status in statuses.items())
    metadata = ObjectMeta(
        name="gpu-1",
        deletion_timestamp=_DELETED if deleted else None,
        finalizers=(TERMINATION,) if finalizer else (),
    )
    spec = NodeClaimSpec(NodeClassRef("karpenter.k8s.aws", "EC2NodeClass", "default"), ())
    return NodeClaim(metadata=metadata, spec=spec, status=NodeClaimStatus(conditions=conditions))


_JOINED = ("Launched", "Registered", "Initialized")
_PHASES = [
    (claim(), Phase.CREATED),
    (claim(Launched="Unknown"), Phase.CREATED),
    (claim("Launched", Registered="False"), Phase.LAUNCHED),
    (claim("Launched", "Registered"), Phase.REGISTERED),
    (claim(*_JOINED), Phase.INITIALIZED),
    (claim("Launched", deleted=True), Phase.ABANDONED),
    (claim(*_JOINED, deleted=True), Phase.DRAINING),
    (claim(*_JOINED, "Drained", deleted=True, VolumesDetached="Unknown"), Phase.DRAINED),
    (claim(*_JOINED, "Drained", "VolumesDetached", deleted=True), Phase.VOLUMES_DETACHED),
    (claim(*_JOINED, "Drained", deleted=True, VolumesDetached="False"), Phase.VOLUMES_DETACHED),
    (claim("Launched", "InstanceTerminating", deleted=True), Phase.INSTANCE_TERMINATING),
    (claim("Launched", "InstanceTerminating", deleted=True, finalizer=False), Phase.GONE),
]


@pytest.mark.parametrize(("seen", "phase"), _PHASES, ids=[f"{i}-{phase}" for i, (_, phase) in enumerate(_PHASES)])
def test_a_claim_says_where_it_stands(seen: NodeClaim, phase: Phase) -> None:
    assert phase_of(Machine(seen, None)) is phase


def test_a_node_without_a_claim_is_in_use_until_it_is_deleted() -> None:
    node = Node(ObjectMeta(name="n"))
    assert phase_of(Machine(None, node)) is Phase.INITIALIZED
    assert (
        phase_of(Machine(None, replace(node, metadata=replace(node.metadata, deletion_timestamp=_DELETED))))
        is Phase.DRAINING
    )
    assert phase_of_claim(None) is Phase.GONE


def test_an_unknown_pair_raises_with_the_story() -> None:
    with pytest.raises(BrokenInvariant, match=r"nodeclaim/gpu-1: Launched=Unknown .*: drain in phase Created"):
        walk(claim(Launched="Unknown"), claim("Drained"))
    with pytest.raises(BrokenInvariant, match="gpu-1: initialize in phase Launched"):
        step(Phase.LAUNCHED, What.INITIALIZE, "gpu-1")


def test_several_steps_at_once_are_walked_one_after_the_other() -> None:
    assert walk(claim(), claim(*_JOINED)) is Phase.INITIALIZED
    assert walk(claim("Launched"), claim("Launched", "Registered", deleted=True)) is Phase.DRAINING
    assert walk(claim(), None) is Phase.GONE


def test_a_claim_cannot_come_back_to_life() -> None:
    with pytest.raises(BrokenInvariant, match="in phase Created instead of Abandoned"):
        walk(claim(deleted=True), claim())


def test_every_phase_is_reached_and_all_but_the_last_are_left() -> None:
    reached = {*TRANSITIONS.values(), Phase.CREATED}
    assert reached == set(Phase)
    assert {phase for phase, _ in TRANSITIONS} == set(Phase) - {Phase.GONE}
    assert {what for _, what in TRANSITIONS} == set(What)


def test_every_way_ends() -> None:
    """Without the one edge that stays where it is, no phase is met twice."""

    def ways(phase: Phase, seen: frozenset[Phase]) -> None:
        assert phase not in seen
        for (before, _), after in TRANSITIONS.items():
            if before is phase and after is not phase:
                ways(after, seen | {phase})

    ways(Phase.CREATED, frozenset())


def test_each_edge_has_a_line_that_says_when() -> None:
    source = Path(lifecycle.__file__).read_text(encoding="utf-8")
    table = source[source.index("TRANSITIONS: dict") : source.index("\n}\n")].splitlines()[1:]
    assert len(table) == 2 * len(TRANSITIONS)
    assert all(line.strip().startswith("# ") and line.endswith(".") for line in table[::2])


def test_the_page_shows_exactly_the_diagram_of_the_table() -> None:
    page = (ROOT / "docs" / "lifecycle.md").read_text(encoding="utf-8")
    assert re.findall(r"```mermaid\n(.*?)```", page, re.S) == [diagram()]
    rows = re.findall(r"^\| ([A-Z][A-Za-z]+) \|", page, re.M)
    assert rows[: len(Phase)] == [phase.value for phase in Phase]
