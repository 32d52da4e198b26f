"""Conditions, waits and the cost of a look."""

from __future__ import annotations

import sys

from hypothesis import given
from hypothesis import strategies as st

from fretsaw.api.meta import Condition, ObjectMeta
from fretsaw.api.node import Node
from fretsaw.api.nodeclaim import NodeClaim, NodeClaimSpec, NodeClassRef
from fretsaw.api.pod import Pod
from fretsaw.api.times import HOUR, SECOND, millis, rfc3339
from fretsaw.engine import events as e
from fretsaw.engine.claims import look
from fretsaw.engine.conditions import awaited, by_type, put, rooted
from fretsaw.engine.repair import EKS_POLICIES, sicknesses
from fretsaw.engine.sight import backoff
from fretsaw.engine.state import ClusterState
from support.performer import START, Performer

_NOW = millis("2026-01-05T00:00:10Z")


def test_the_time_moves_only_with_the_status() -> None:
    first = put({}, "Drained", "Unknown", _NOW, reason="Draining")
    later = put(first, "Drained", "Unknown", _NOW + HOUR, reason="Waiting")
    assert later["Drained"] == Condition("Drained", "Unknown", "Waiting", "", "2026-01-05T00:00:10Z")
    done = put(later, "Drained", "True", _NOW + HOUR)
    assert done["Drained"] == Condition("Drained", "True", "Drained", "", "2026-01-05T01:00:10Z")


def test_awaited_conditions_are_unknown_since_the_creation() -> None:
    found = awaited({}, ("A", "B"), _NOW, 3)
    assert found["A"] == Condition("A", "Unknown", "AwaitingReconciliation", "", rfc3339(_NOW), 3)
    assert list(found) == ["A", "B", "Ready"]


def _pair(a: str, b: str, generation: int = 1) -> dict[str, Condition]:
    first = put({}, "A", a, _NOW, generation=1)
    return put(first, "B", b, _NOW + SECOND, generation=generation)


def test_ready_is_what_the_dependents_make_of_it() -> None:
    both = rooted(_pair("True", "True"), ("A", "B"), _NOW, 1)
    assert (both["Ready"].status, both["Ready"].reason, both["Ready"].message) == ("True", "Ready", "")
    one = rooted(_pair("Unknown", "False"), ("A", "B"), _NOW, 1)
    assert (one["Ready"].status, one["Ready"].reason) == ("False", "UnhealthyDependents")
    assert one["Ready"].message == "B=False, A=Unknown", "the latest change first"
    stale = rooted(_pair("True", "False", generation=0), ("A", "B"), _NOW, 1)
    assert (stale["Ready"].status, stale["Ready"].reason) == ("Unknown", "ReconcilingDependents")


def test_ready_stands_last() -> None:
    found = rooted(
        by_type((Condition("Ready", "Unknown"), Condition("A", "True", observed_generation=1))), ("A",), _NOW, 1
    )
    assert list(found) == ["A", "Ready"]


@given(st.integers(1, 10_000), st.integers(1, 100_000), st.integers(0, 20))
def test_two_times_say_what_a_count_of_tries_would(least: int, most: int, tries: int) -> None:
    """The plain twin doubles a wait for each try."""
    most = max(least, most)
    first = last = 1_000_000
    for number in range(tries):
        assert backoff(first, last, least, most) - last == min(least * 2**number, most)
        last = backoff(first, last, least, most)


def test_without_a_try_the_first_is_due() -> None:
    assert backoff(None, None, 1, 2) == 0


def test_a_condition_that_is_missing_matches_no_policy() -> None:
    assert list(sicknesses(Node(ObjectMeta(name="n")), EKS_POLICIES, _NOW)) == []


def test_the_state_keeps_the_oldest_of_two_nodes_of_an_instance() -> None:
    world = _grown()
    world.join("a", "double")
    pid = world.get("NodeClaim", "a").status.provider_id
    assert [n.name for n in world.state.nodes_with(pid)] == ["node-of-a", "double"]
    machine = world.state.machines["a"]
    assert machine.node_name == "node-of-a"
    world.store.delete("Node", "node-of-a", now=True)
    assert world.state.machines["a"].node_name == "double"
    world.store.delete("Node", "double", now=True)
    assert world.state.nodes_with(pid) == ()
    assert world.state.nodes_with("") == ()


def test_a_listing_speaks_only_of_claims_that_it_could_have_had() -> None:
    state = ClusterState()
    state.apply(e.InstancesListed(frozenset()))
    world = _grown()
    assert state.unlisted == frozenset()
    world.state.apply(e.InstancesListed(frozenset()))
    assert world.state.unlisted == frozenset(world.instances)
    world.list_instances()
    assert world.state.unlisted == frozenset()


def test_a_look_at_a_machine_at_rest_is_the_same_work_however_large_the_cluster_is() -> None:
    """Function calls are counted, which no other load on the computer can change."""
    small, large = _grown(), _grown()
    for number in range(300):
        large.store.put(Pod(metadata=ObjectMeta(name=f"p{number}", namespace="default")))
    assert _calls(small) == _calls(large)


def _calls(world: Performer) -> int:
    machine, calls = world.state.machines["a"], 0

    def count(*_: object) -> None:
        nonlocal calls
        calls += 1

    look(world.state, machine, world.options, world.now)
    sys.setprofile(count)
    try:
        found = look(world.state, machine, world.options, world.now)
    finally:
        sys.setprofile(None)
    assert found.actions == ()
    return calls


def _grown() -> Performer:
    """A world with one node in use."""
    world = Performer(start=START)
    spec = NodeClaimSpec(NodeClassRef("karpenter.k8s.aws", "EC2NodeClass", "default"), ())
    world.store.put(NodeClaim(metadata=ObjectMeta(name="a"), spec=spec))
    world.run(3 * SECOND)
    world.join("a")
    world.run(3 * SECOND)
    return world
