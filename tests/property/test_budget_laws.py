"""Whatever is evicted in whatever order, a budget's pods stay healthy; and selectors know their pods."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from fretsaw.api.meta import Condition, LabelSelector, ObjectMeta, OwnerReference, SelectorExpression
from fretsaw.api.pod import Pod, PodSpec, PodStatus
from fretsaw.api.policy import PodDisruptionBudget, PodDisruptionBudgetSpec
from fretsaw.api.workload import DeploymentSpec, ReplicaSet
from fretsaw.sim.budgets import Budgets
from fretsaw.sim.eviction import Evictions
from fretsaw.sim.members import Members
from fretsaw.sim.world import World

SIZE = 6
LABELS = {"app": "a"}


def pod(name: str, ready: bool, owner: str = "", labels: dict[str, str] | None = None) -> Pod:
    owners = (OwnerReference("ReplicaSet", "rs", owner, "apps/v1", True),) if owner else ()
    return Pod(
        ObjectMeta(name=name, namespace="default", labels=labels or LABELS, owner_references=owners),
        PodSpec(node_name="n"),
        PodStatus("Running", (Condition("Ready", "True" if ready else "False"),)),
    )


class Cluster:
    """A ReplicaSet's pods under one budget."""

    def __init__(self, spec: PodDisruptionBudgetSpec) -> None:
        self.world = World()
        self.store = self.world.store
        Budgets(self.world)
        self.evictions = Evictions(self.world)
        self.made = 0
        metadata = ObjectMeta(name="rs", namespace="default")
        self.owner = self.store.put(ReplicaSet(metadata, DeploymentSpec(replicas=SIZE))).metadata.uid
        self.store.put(PodDisruptionBudget(ObjectMeta(name="b", namespace="default"), spec))
        for _ in range(SIZE):
            self.make(True)
        self.settle()

    def make(self, ready: bool) -> None:
        self.store.put(pod(f"p{self.made}", ready, self.owner))
        self.made += 1

    def settle(self) -> None:
        self.world.loop.run(self.world.loop.now + 100)

    def pick(self, number: int) -> Pod:
        pods = list(self.store.all("Pod").values())
        return pods[number % len(pods)]

    @property
    def healthy(self) -> int:
        return sum(
            any(c.type == "Ready" and c.status == "True" for c in p.status.conditions)
            and not p.metadata.deletion_timestamp
            for p in self.store.all("Pod").values()
        )

    @property
    def budget(self) -> PodDisruptionBudget:
        return self.store.get("PodDisruptionBudget", "default/b")


def evict(cluster: Cluster, number: int) -> None:
    """Evicted pods were not needed: with them gone enough are healthy, or no healthy one was taken."""
    before, chosen = cluster.healthy, cluster.pick(number)
    granted = cluster.evictions.evict(chosen.key) == ""
    if granted and cluster.healthy < before:
        assert cluster.healthy >= (cluster.budget.status.desired_healthy or 0)
    if not granted:
        assert cluster.healthy == before


def turn(cluster: Cluster, number: int) -> None:
    chosen = cluster.pick(number)
    was = chosen.status.conditions[0].status
    flipped = Condition("Ready", "False" if was == "True" else "True")
    cluster.store.put(replace(chosen, status=replace(chosen.status, conditions=(flipped,))))
    cluster.settle()


def finish(cluster: Cluster, number: int) -> None:
    """A kubelet is done with a pod, and the ReplicaSet makes another."""
    chosen = cluster.pick(number)
    if chosen.metadata.deletion_timestamp:
        cluster.store.remove("Pod", chosen.key)
        cluster.make(ready=bool(number % 2))
        cluster.settle()


def wait(cluster: Cluster, number: int) -> None:
    cluster.world.loop.run(cluster.world.loop.now + number * 1000)


share = st.integers(0, 100).map(lambda n: f"{n}%")
amounts = st.one_of(st.integers(0, SIZE), share)
specs = st.builds(
    lambda field, amount, policy: PodDisruptionBudgetSpec(
        **{field: amount}, selector=LabelSelector(LABELS), unhealthy_pod_eviction_policy=policy
    ),
    st.sampled_from(["min_available", "max_unavailable"]),
    amounts,
    st.sampled_from(["IfHealthyBudget", "AlwaysAllow"]),
)
steps = st.lists(
    st.tuples(st.sampled_from([evict, evict, evict, turn, finish, wait]), st.integers(0, 200)), max_size=40
)


@settings(max_examples=150, deadline=None)
@given(specs, steps)
def test_evictions_never_leave_too_few_healthy(spec: PodDisruptionBudgetSpec, taken: list[tuple[Any, int]]) -> None:
    cluster = Cluster(spec)
    for step, number in taken:
        step(cluster, number)
    cluster.settle()
    status = cluster.budget.status
    assert status.current_healthy == cluster.healthy
    if status.disruptions_allowed:
        assert cluster.healthy - status.disruptions_allowed >= (status.desired_healthy or 0)


@settings(max_examples=30, deadline=None)
@given(specs)
def test_evicting_everybody_at_once_stops_at_the_budget(spec: PodDisruptionBudgetSpec) -> None:
    cluster = Cluster(spec)
    need = cluster.budget.status.desired_healthy or 0
    granted = [cluster.evictions.evict(key) == "" for key in list(cluster.store.all("Pod"))]
    assert sum(granted) == SIZE - need
    assert cluster.healthy == need


labels = st.dictionaries(st.sampled_from("xy"), st.sampled_from("12"), max_size=2)
selectors = st.one_of(
    st.none(),
    labels.map(LabelSelector),
    st.builds(
        lambda key, op: LabelSelector({}, (SelectorExpression(key, op, ("1",) if "In" in op else ()),)),
        st.sampled_from("xy"),
        st.sampled_from(["In", "NotIn", "Exists", "DoesNotExist"]),
    ),
)
changes = st.lists(
    st.one_of(
        st.tuples(st.just("pod"), st.integers(0, 4), labels),
        st.tuples(st.just("gone"), st.integers(0, 4), st.none()),
        st.tuples(st.just("select"), st.integers(0, 2), selectors),
    ),
    max_size=40,
)


@given(changes)
def test_members_are_those_that_the_selector_matches(taken: list[tuple[str, int, Any]]) -> None:
    world = World()
    seen: dict[str, set[str]] = {f"default/{n}": set() for n in range(3)}

    def changed(owner: str, old: Pod | None, new: Pod | None) -> None:
        key = (new or old).key
        assert (key in seen[owner]) == (old is not None)
        seen[owner] = seen[owner] - {key} if new is None else seen[owner] | {key}

    members = Members(world.store, changed)
    chosen: dict[str, LabelSelector | None] = {}
    for what, number, value in taken:
        owner = f"default/{number}"
        if what == "pod":
            world.store.put(pod(f"p{number}", True, labels=value or {"none": "none"}))
        elif what == "gone":
            world.store.remove("Pod", f"default/p{number}")
        else:
            chosen[owner] = value
            members.select(owner, value)
            seen[owner] = set(members.of(owner))
        for known, selector in chosen.items():
            pods = world.store.all("Pod")
            expected = {key for key, p in pods.items() if selector is not None and selector.matches(p.metadata.labels)}
            assert set(members.of(known)) == seen[known] == expected
            assert all(pods[key] is found for key, found in members.of(known).items())
        for p in world.store.all("Pod").values():
            assert set(members.owners(p)) == {owner for owner in chosen if p.key in members.of(owner)}
