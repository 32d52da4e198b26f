"""The plan is handed over when a node is about to let its pods in, and never forced upon kube-scheduler."""

from __future__ import annotations

from msgspec.structs import replace

from fretsaw.api.meta import Condition, ObjectMeta, OwnerReference
from fretsaw.api.node import Node, NodeSpec, NodeStatus, Taint
from fretsaw.api.pod import Pod
from fretsaw.engine import actions as a
from fretsaw.engine import events as e
from fretsaw.engine.handover import AGAIN, AT_ONCE, Step, hand_over
from fretsaw.engine.options import Options
from fretsaw.engine.state import ClusterState

NOW = 1_000_000
OPTIONS = Options()
UNREGISTERED = Taint("karpenter.sh/unregistered", "NoExecute")
NOT_READY = Taint("node.kubernetes.io/not-ready", "NoSchedule")
STARTUP = Taint("example.com/driver", "NoSchedule")


def node(name: str, *taints: Taint, ready: bool = True) -> Node:
    condition = Condition("Ready", "True" if ready else "False")
    return Node(
        metadata=ObjectMeta(name=name), spec=NodeSpec(taints=taints), status=NodeStatus(conditions=(condition,))
    )


def pod(name: str, owner: str = "", nominated: str = "") -> Pod:
    owners = (OwnerReference("ReplicaSet", owner, uid=owner, controller=True),) if owner else ()
    found = Pod(metadata=ObjectMeta(name=name, namespace="default", uid=name, owner_references=owners))
    return replace(found, status=replace(found.status, nominated_node_name=nominated))


def state_of(*objects: Node | Pod, plan: dict[str, str]) -> ClusterState:
    state = ClusterState()
    for obj in objects:
        state.apply(e.Changed(obj))
    state.apply(e.Planned(tuple((f"default/{name}", machine) for name, machine in plan.items()), NOW))
    return state


def nominated(step: Step) -> dict[str, str]:
    return {x.pod: x.node for x in step.actions if isinstance(x, a.NominatePod)}


def test_pods_are_nominated_when_their_node_is_ready_and_only_waits_for_its_taints_to_go() -> None:
    state = state_of(node("n", UNREGISTERED, NOT_READY), pod("a"), pod("b"), plan={"a": "n", "b": "n"})
    assert nominated(hand_over(state, OPTIONS, NOW)) == {"default/a": "n", "default/b": "n"}


def test_nobody_is_nominated_for_a_node_that_would_refuse() -> None:
    for one in (node("n", ready=False), node("n", STARTUP)):
        state = state_of(one, pod("a"), pod("b"), plan={"a": "n", "b": "n"})
        assert nominated(hand_over(state, OPTIONS, NOW)) == {}


def test_equal_pods_need_no_nomination() -> None:
    state = state_of(node("n"), node("m"), pod("a", "web"), pod("b", "web"), plan={"a": "n", "b": "m"})
    assert nominated(hand_over(state, OPTIONS, NOW)) == {}


def test_a_nomination_that_was_cleared_is_made_again_after_a_while() -> None:
    state = state_of(node("n"), pod("a"), pod("b"), plan={"a": "n", "b": "n"})
    for note in hand_over(state, OPTIONS, NOW).notes:
        state.apply(note)
    soon = hand_over(state, OPTIONS, NOW + AGAIN - 1)
    assert (nominated(soon), soon.wake) == ({}, NOW + AGAIN)
    assert nominated(hand_over(state, OPTIONS, NOW + AGAIN)) == {"default/a": "n", "default/b": "n"}


def test_a_nomination_that_stands_is_left_alone() -> None:
    state = state_of(node("n"), pod("a", nominated="n"), pod("b", nominated="n"), plan={"a": "n", "b": "n"})
    assert hand_over(state, OPTIONS, NOW) == Step()


def test_a_nomination_for_a_machine_that_is_gone_is_withdrawn() -> None:
    state = state_of(pod("a", nominated="n"), pod("b"), plan={"a": "n", "b": "n"})
    assert nominated(hand_over(state, OPTIONS, NOW)) == {"default/a": ""}


def test_a_turn_nominates_no_more_than_can_be_written_at_once() -> None:
    pods = [pod(f"p{number:03}") for number in range(AT_ONCE + 5)]
    state = state_of(node("n"), *pods, plan={one.metadata.name: "n" for one in pods})
    step = hand_over(state, OPTIONS, NOW)
    assert (len(nominated(step)), step.wake) == (AT_ONCE, NOW)
    for note in step.notes:
        state.apply(note)
    assert len(nominated(hand_over(state, OPTIONS, NOW))) == 5
