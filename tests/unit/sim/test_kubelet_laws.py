"""Laws that hold whatever happens to nodes and pods: made-up hours of joining, deleting, failing and ending."""

from __future__ import annotations

from collections import Counter
from random import Random

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fretsaw.api.node import Node
from fretsaw.api.pod import Pod
from fretsaw.sim.behavior import Behavior
from fretsaw.sim.durations import Durations
from fretsaw.sim.gpu_sharing import Sharing
from fretsaw.sim.instance import Instance
from fretsaw.sim.kubelet import NodeFault
from fretsaw.sim.spread import Spread
from support.kubelets import GPU, Bench, machine

S = 1000
TYPES = (machine("g4dn.xlarge", 1, "t4", 16384), machine("g5.12xlarge", 4), machine("p4d.24xlarge", 8, "a100", 40960))
SHARINGS = (Sharing(), Sharing(mode="time-slicing", replicas=2), Sharing(mode="mig", profiles={"3g.20gb": 2}))
BEHAVIORS = {
    "train": Behavior(
        runs=Spread(60 * S, 600 * S, 2000 * S), checkpoint=60 * S, restart=5 * S, fails=0.3, stops=20 * S
    ),
    "batch": Behavior(runs=Spread(10 * S, 60 * S, 300 * S), fails=0.2),
    "serve": Behavior(loads=Spread(10 * S, 60 * S, 100 * S), image_bytes=3 * 10**9, stops=5 * S),
    "big": Behavior(runs=Spread(60 * S, 60 * S, 90 * S), gpu_memory_bytes=30 * 2**30),
}


class Watch:
    """Looks at every write: devices within the type, terminal pods that stay so."""

    def __init__(self, bench: Bench) -> None:
        self.most: dict[str, int] = {}
        bench.world.store.watch("Node", self.node)
        bench.world.store.watch("Pod", self.pod)

    def node(self, old: Node | None, new: Node | None) -> None:
        if new is not None:
            have, free = (int(side.get(GPU, 0)) for side in (new.status.capacity, new.status.allocatable))
            assert 0 <= free <= have <= self.most[new.spec.provider_id]

    def pod(self, old: Pod | None, new: Pod | None) -> None:
        if old is not None and new is not None and old.is_terminal:
            assert (old.status.phase, old.status.reason) == (new.status.phase, new.status.reason)


def _hour(seed: int) -> Bench:
    """An hour in which a dice decides each half minute what happens; laws are checked on the way."""
    random = Random(seed)
    sharing = random.choice(SHARINGS)
    faults = (
        NodeFault(kind="gpu-missing", chance=0.2),
        NodeFault(kind="xid", chance=0.3, code=random.choice((13, 48, 79)), after=Spread(0, 0, 0, mean=600 * S)),
        NodeFault(kind="never-registers", chance=0.1),
        NodeFault(kind="slow-pulls", chance=0.2, factor=4),
    )
    bench = Bench(seed=seed, durations=Durations(), faults=faults, sharing=sharing, soci=True, **BEHAVIORS)
    watch = Watch(bench)
    alive: list[Instance] = []
    for step in range(120):
        bench.until(step * 30)
        _act(bench, watch, alive, random, sharing, step)
        _check(bench)
    return bench


def _act(bench: Bench, watch: Watch, alive: list[Instance], random: Random, sharing: Sharing, step: int) -> None:
    nodes = sorted(bench.world.store.all("Node"))
    for name in nodes:
        if any(t.key == "karpenter.sh/unregistered" for t in bench.node(name).spec.taints):
            bench.register(name)
    what = random.random()
    if what < 0.15 or not alive:
        type_ = random.choice(TYPES)
        cut = 1 if sharing.mode == "mig" and "a100" not in str(type_.labels) else sum(sharing.profiles.values()) or 1
        watch.most[f"aws:///us-east-1a/i-{bench._machines + 1}"] = int(type_.capacity[GPU]) * sharing.shares * cut
        alive.append(bench.run(type_))
    elif what < 0.7 and nodes:
        policy = random.choice(("Never", "OnFailure", "Always"))
        does, gpus = random.choice(sorted(BEHAVIORS)), random.choice((0, 1, 1, 2, 8))
        slot = f"slot-{random.randrange(6)}" if does == "train" else ""
        bench.pod(f"p{step}", random.choice(nodes), does=does, gpus=gpus, slot=slot, policy=policy)
    elif what < 0.85 and bench.world.store.all("Pod"):
        key = random.choice(sorted(bench.world.store.all("Pod")))
        bench.world.store.delete("Pod", key, grace_s=random.choice((None, 0, 5, 60)), now=random.random() < 0.1)
    elif what < 0.9 and nodes:
        bench.nodes.not_ready(random.choice(nodes), random.randrange(1, 200) * S, silent=random.random() < 0.5)
    elif what < 0.95 and nodes:
        bench.nodes.xid(random.choice(nodes), random.choice((13, 31, 43, 79, 94)), random.randrange(8))
    else:
        bench.end(alive.pop(random.randrange(len(alive))))


def _check(bench: Bench) -> None:
    for name in bench.world.store.all("Node"):
        host = bench.nodes.host(name)
        assert host is not None
        assert all(amount >= 0 for amount in host.used.values())
        assert host.used.get("pods", 0) == len(host.lives)
        for resource in host.devices.resources:
            wanted = sum(life.requests.get(resource, 0) for life in host.lives.values())
            assert host.devices.held(resource) == wanted <= host.devices.capacity(resource)


def _ends(bench: Bench) -> Counter[str]:
    return Counter(fact.data["uid"] for fact in bench.world.journal.facts if fact.what == "pod-ended")


HOURS = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@given(st.integers(0, 10**6))
@HOURS
def test_every_pod_ends_once_or_lives(seed: int) -> None:
    bench = _hour(seed)
    facts = bench.world.journal.facts
    ends = _ends(bench)
    assert set(ends.values()) <= {1}
    admitted = {fact.data["uid"] for fact in facts if fact.what == "pod-admitted"}
    lives = {life.uid for life in map(bench.nodes.life, bench.world.store.all("Pod")) if life is not None}
    assert admitted - set(ends) == lives
    assert not lives & set(ends)
    terminal = {pod.metadata.uid for pod in bench.world.store.all("Pod").values() if pod.is_terminal}
    assert terminal <= set(ends)


@given(st.integers(0, 10**6))
@HOURS
def test_times_of_a_pod_are_in_order_and_add_up(seed: int) -> None:
    bench = _hour(seed)
    for end in bench.data("pod-ended"):
        assert 0 <= end["worked_ms"] <= end["held_ms"]
        own = [f for f in bench.world.journal.facts if f.data.get("uid") == end["uid"]]
        assert own[-1].what == "pod-ended"
        order = [f.what for f in own if f.what in ("pod-admitted", "pod-running", "pod-working")]
        assert order[:2] in (["pod-admitted", "pod-running"], ["pod-admitted"], [])
    for lost in bench.data("work-lost"):
        assert lost["seconds"] > 0
        assert lost["gpu_seconds"] == lost["seconds"] * lost["gpus"]


@given(st.integers(0, 10**6))
@settings(max_examples=10, deadline=None)
def test_the_same_seed_gives_the_same_journal(seed: int) -> None:
    assert _hour(seed).bytes() == _hour(seed).bytes()


def test_another_seed_gives_another_journal() -> None:
    assert _hour(1).bytes() != _hour(2).bytes()
