"""The virtual scheduler's masks and scores are those of its plain twin, however nodes and pods came, changed and went."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from fretsaw.api.affinity import (
    Affinity,
    NodeAffinity,
    NodeSelector,
    NodeSelectorRequirement,
    NodeSelectorTerm,
    PodAffinity,
    PodAffinityTerm,
    PreferredNodeTerm,
    PreferredPodTerm,
    Toleration,
    TopologySpreadConstraint,
)
from fretsaw.api.meta import LabelSelector, ObjectMeta, SelectorExpression
from fretsaw.api.node import Node, NodeSpec, NodeStatus, Taint
from fretsaw.api.pod import Container, ContainerPort, Pod, PodSpec, PodStatus, ResourceRequirements
from fretsaw.sim.scheduler.filters import Ask
from fretsaw.sim.scheduler.molds import Molds
from fretsaw.sim.scheduler.scores import scores
from fretsaw.sim.scheduler.snapshot import Snapshot
from fretsaw.sim.world import World
from support.plain_scheduler import HOSTNAME, Cluster

ZONE = "topology.kubernetes.io/zone"
KEYS = st.sampled_from([HOSTNAME, ZONE])
APPS = st.sampled_from(["red", "blue"])


def maybe(strategy: st.SearchStrategy[Any], empty: Any) -> st.SearchStrategy[Any]:
    return st.one_of(st.just(empty), st.just(empty), strategy)


selectors = st.one_of(
    st.none(),
    APPS.map(lambda app: LabelSelector(match_labels={"app": app})),
    st.just(LabelSelector(match_expressions=(SelectorExpression("app", "Exists"),))),
    APPS.map(lambda app: LabelSelector(match_expressions=(SelectorExpression("app", "NotIn", (app,)),))),
)
taints = st.lists(
    st.builds(Taint, st.sampled_from(["t", "u"]), st.sampled_from(["NoSchedule", "NoExecute", "PreferNoSchedule"])),
    max_size=2,
    unique_by=lambda t: (t.key, t.effect),
).map(tuple)
tolerations = st.lists(
    st.builds(
        Toleration,
        key=st.sampled_from(["t", "u", ""]),
        operator=st.just("Exists"),
        effect=st.sampled_from(["", "NoSchedule"]),
    ),
    max_size=2,
).map(tuple)


@st.composite
def nodes(draw: st.DrawFn, number: int) -> Node:
    labels = {HOSTNAME: f"n{number}"}
    if zone := draw(st.sampled_from(["z1", "z2", "z3", ""])):
        labels[ZONE] = zone
    if size := draw(st.sampled_from(["", "1", "7", "x"])):
        labels["size"] = size
    room = {
        "cpu": draw(st.sampled_from(["0", "1", "2500m", "4"])),
        "memory": draw(st.sampled_from(["1Gi", "3Gi", "8Gi"])),
    }
    room |= {"pods": "6", "nvidia.com/gpu": draw(st.sampled_from(["0", "2"]))}
    spec = NodeSpec(taints=draw(maybe(taints, ())), unschedulable=draw(st.sampled_from([False, False, False, True])))
    return Node(ObjectMeta(name=f"n{number}", labels=labels), spec, NodeStatus(allocatable=room))


expressions = st.one_of(
    st.builds(NodeSelectorRequirement, st.just("size"), st.sampled_from(["In", "NotIn"]), st.just(("1", "7"))),
    st.builds(NodeSelectorRequirement, st.just("size"), st.sampled_from(["Gt", "Lt"]), st.just(("3",))),
    st.builds(NodeSelectorRequirement, KEYS, st.sampled_from(["Exists", "DoesNotExist"])),
)
node_terms = st.builds(
    NodeSelectorTerm,
    st.lists(expressions, min_size=1, max_size=2).map(tuple),
    maybe(st.just((NodeSelectorRequirement("metadata.name", "In", ("n0", "n1")),)), ()),
)
pod_terms = st.builds(PodAffinityTerm, KEYS, selectors, maybe(st.just(("default", "other")), ()))
pod_affinities = st.builds(
    PodAffinity,
    maybe(st.lists(pod_terms, min_size=1, max_size=2).map(tuple), ()),
    maybe(st.lists(st.builds(PreferredPodTerm, pod_terms, st.integers(1, 100)), max_size=2).map(tuple), ()),
)
node_affinities = st.builds(
    NodeAffinity,
    maybe(st.lists(node_terms, min_size=1, max_size=2).map(lambda terms: NodeSelector(tuple(terms))), None),
    maybe(st.lists(st.builds(PreferredNodeTerm, node_terms, st.integers(1, 100)), max_size=2).map(tuple), ()),
)
affinities = st.builds(Affinity, maybe(node_affinities, None), maybe(pod_affinities, None), maybe(pod_affinities, None))
spreads = st.builds(
    TopologySpreadConstraint,
    topology_key=KEYS,
    max_skew=st.integers(1, 2),
    when_unsatisfiable=st.sampled_from(["DoNotSchedule", "ScheduleAnyway"]),
    label_selector=selectors,
    node_affinity_policy=st.sampled_from(["Honor", "Ignore"]),
    node_taints_policy=st.sampled_from(["Honor", "Ignore"]),
)


wishing = st.tuples(node_affinities, pod_affinities, pod_affinities)


@st.composite
def pods(draw: st.DrawFn, number: int, node: str = "") -> Pod:
    requests = {}
    for name, values in (("cpu", ["100m", "1"]), ("memory", ["100Mi", "1Gi"]), ("nvidia.com/gpu", ["1"])):
        if value := draw(st.sampled_from(["", *values])):
            requests[name] = value
    ports = draw(maybe(st.just((ContainerPort(80, 80, draw(st.sampled_from(["", "10.0.0.1"]))),)), ()))
    spec = PodSpec(
        containers=(Container(name="c", resources=ResourceRequirements(requests), ports=ports),),
        affinity=draw(maybe(affinities, None)),
        tolerations=draw(maybe(tolerations, ())),
        topology_spread_constraints=draw(maybe(st.lists(spreads, min_size=1, max_size=2).map(tuple), ())),
        node_name=node,
    )
    labels = draw(maybe(st.fixed_dictionaries({"app": APPS}), {}))
    leaving = draw(st.sampled_from([None, None, None, "2026-01-01T00:00:00Z"])) if node else None
    metadata = ObjectMeta(
        name=f"p{number}",
        namespace=draw(st.sampled_from(["default", "default", "other"])),
        labels=labels,
        deletion_timestamp=leaving,
    )
    return Pod(metadata, spec, PodStatus(phase="Running" if node else "Pending"))


@st.composite
def histories(draw: st.DrawFn) -> tuple[list[tuple[str, Any]], list[Pod]]:
    """What happens before the question, and the pods that are asked about in between."""
    steps: list[tuple[str, Any]] = []
    for number in range(draw(st.integers(1, 12))):
        what = draw(st.sampled_from(["node", "node", "pod", "pod", "pod", "unpod", "unnode", "ask"]))
        if what == "node":
            steps.append((what, draw(nodes(draw(st.integers(0, 4))))))
        elif what == "pod":
            steps.append((what, draw(pods(number, f"n{draw(st.integers(0, 4))}"))))
        elif what == "unnode":
            steps.append((what, f"n{draw(st.integers(0, 4))}"))
        else:
            steps.append((what, draw(st.integers(0, 11))))
    return steps, [draw(pods(100)), draw(pods(101))]


@st.composite
def calm(draw: st.DrawFn) -> tuple[list[tuple[str, Any]], list[Pod]]:
    """Nodes that take almost any pod, and pods with wishes: what decides is the scores."""
    steps: list[tuple[str, Any]] = []
    for number in range(draw(st.integers(2, 5))):
        one = draw(nodes(number))
        preferring = tuple(t for t in one.spec.taints if t.effect == "PreferNoSchedule")
        room = {"cpu": draw(st.sampled_from(["4", "9"])), "memory": "8Gi", "pods": "20", "nvidia.com/gpu": "9"}
        steps.append(("node", replace(one, spec=NodeSpec(taints=preferring), status=NodeStatus(allocatable=room))))
    steps += [("pod", draw(pods(number, f"n{draw(st.integers(0, 4))}"))) for number in range(draw(st.integers(0, 6)))]
    asked = []
    for number in (100, 101):
        one = draw(pods(number))
        wishes = Affinity(*(replace(part, required=type(part)().required) for part in draw(wishing)))
        spread = tuple(replace(s, when_unsatisfiable="ScheduleAnyway") for s in one.spec.topology_spread_constraints)
        asked.append(replace(one, spec=replace(one.spec, affinity=wishes, topology_spread_constraints=spread)))
    return steps, asked


def play(steps: list[tuple[str, Any]], asked: list[Pod]) -> None:
    """Carry the steps out on both sides, and compare the answers whenever one is asked for, and in the end."""
    molds = Molds(World().store, default_spread=True)
    snapshot = Snapshot(World().store, molds, lambda plugins, hint: None)
    there: dict[str, Node] = {}
    on: dict[str, Pod] = {}
    for what, value in [*steps, ("ask", 0), ("ask", 1)]:
        if what == "node":
            snapshot.node(there.get(value.name), value)
            there[value.name] = value
        elif what == "pod":
            on[value.key] = value
            snapshot.place(value, None)
        elif what == "unnode" and value in there:
            snapshot.node_gone(there.pop(value))
        elif what == "unpod" and on:
            key = sorted(on)[value % len(on)]
            del on[key]
            snapshot.displace(key)
        elif what == "ask":
            compare(snapshot, molds, Cluster(list(there.values()), list(on.values())), asked[value % 2])


def compare(snapshot: Snapshot, molds: Molds, plain: Cluster, pod: Pod) -> None:
    mold, pin = molds.of(pod)
    ask = Ask(pod.key, pod, mold, pin)
    slots = np.flatnonzero(snapshot.filters.passing(ask))
    names = [row.name for slot in slots if (row := snapshot.columns.rows[slot]) is not None]
    feasible = {node.name: node for node in plain.feasible(pod)}
    assert sorted(names) == sorted(feasible)
    for row in snapshot.columns.by_name.values():
        assert (snapshot.filters.refuses(ask, row.slot) is None) == (row.name in feasible)
    verdict = snapshot.filters.verdict(ask)
    assert bool(verdict.plugins) == (len(feasible) < len(plain.nodes))
    if len(names) > 1:
        fast = scores(snapshot.filters, snapshot.images, ask, slots).tolist()
        slow = plain.scores(pod, [feasible[name] for name in names])
        # Parts that are the same for all nodes are left out by the fast side.
        assert [score - fast[0] for score in fast] == [score - slow[0] for score in slow]


@given(histories())
@settings(max_examples=400, deadline=None)
def test_masks_and_scores_are_those_of_the_twin(history: tuple[list[tuple[str, Any]], list[Pod]]) -> None:
    play(*history)


@given(calm())
@settings(max_examples=300, deadline=None)
def test_scores_of_wishes_are_those_of_the_twin(history: tuple[list[tuple[str, Any]], list[Pod]]) -> None:
    play(*history)


def test_the_twins_agree_beyond_the_columns_first_size() -> None:
    """Columns, counters and views grow together."""
    asked = Pod(
        ObjectMeta(name="p", namespace="default", labels={"app": "red"}),
        PodSpec(
            containers=(Container(name="c", resources=ResourceRequirements({"cpu": "1"})),),
            topology_spread_constraints=(
                TopologySpreadConstraint(ZONE, 1, "DoNotSchedule", LabelSelector({"app": "red"})),
                TopologySpreadConstraint(HOSTNAME, 1, "ScheduleAnyway", LabelSelector({"app": "red"})),
            ),
        ),
    )
    steps: list[tuple[str, Any]] = []
    for number in range(150):
        labels = {HOSTNAME: f"n{number}", ZONE: f"z{number % 3}"}
        room = {"cpu": "4", "memory": "8Gi", "pods": "10"}
        steps.append(("node", Node(ObjectMeta(name=f"n{number}", labels=labels), status=NodeStatus(allocatable=room))))
        if number % 4 == 0:
            placed = replace(asked, metadata=replace(asked.metadata, name=f"x{number}"))
            steps.append(("pod", replace(placed, spec=replace(asked.spec, node_name=f"n{number}"))))
        if number % 50 == 0:
            steps.append(("ask", 0))
    play(steps, [asked, asked])
