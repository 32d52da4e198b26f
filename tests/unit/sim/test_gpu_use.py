"""GPU time: exact for pods that work, never more than was held, and the same however often it is asked."""

from __future__ import annotations

from fretsaw.api.pod import Pod
from fretsaw.api.times import Millis
from fretsaw.sim.gpu_use import GpuUse
from fretsaw.sim.ledger import Ledger
from support.kubelets import Bench, job


class Used:
    """A node with 4 GPUs, and how busy pods keep them."""

    def __init__(self, use: float = 0.5) -> None:
        self.bench = Bench(works=job(3600), short=job(100))
        self.ledger = Ledger(self.bench.world)
        self.use = use
        self.gpu_use = GpuUse(self.bench.world, self.ledger, self._of)
        self.instance = self.bench.run()
        self.bench.until(5)
        (name,) = self.bench.world.store.all("Node")
        self.bench.register(name)
        self.bench.until(60)
        self.node = name

    def _of(self, pod: Pod, now: Millis) -> float:
        return self.use

    def seconds(self, key: str) -> float:
        """GPU-seconds of a pod until now."""
        self.gpu_use.settle()
        return next(life.used_gpu_ms for life in self.ledger.pods.values() if life.key == key) / 1000


def test_a_pod_uses_its_gpus_while_it_is_ready() -> None:
    used = Used()
    key = used.bench.pod("one", used.node, does="short", gpus=2)
    used.bench.until(60.005)
    assert used.seconds(key) == 0.0
    used.bench.until(600)
    ready = next(f.at for f in used.bench.world.journal.facts if f.what == "pod-ready")
    ended = next(f.at for f in used.bench.world.journal.facts if f.what == "pod-ended")
    assert used.seconds(key) == 2 * 0.5 * (ended - ready) / 1000


def test_asking_changes_nothing() -> None:
    asked, other = Used(1 / 3), Used(1 / 3)
    for used in (asked, other):
        key = used.bench.pod("one", used.node, does="short", gpus=1)
        for second in range(60, 400, 7):
            used.bench.until(second)
            if used is asked:
                used.gpu_use.settle()
    assert asked.seconds(key) == other.seconds(key) > 30


def test_a_use_that_changes_counts_from_the_next_look_on() -> None:
    used = Used(1.0)
    key = used.bench.pod("one", used.node, does="works", gpus=1)
    used.bench.until(100)
    before = used.seconds(key)
    used.use = 0.0
    used.bench.until(110)
    used.gpu_use.look()
    used.bench.until(200)
    assert used.seconds(key) == before + 10


def test_the_use_ends_with_the_machine_and_with_a_deletion() -> None:
    used = Used(1.0)
    keys = [used.bench.pod(name, used.node, does="works", gpus=1) for name in ("one", "two")]
    used.bench.until(100)
    used.bench.delete(keys[0])
    before = [used.seconds(key) for key in keys]
    used.bench.until(110)
    used.bench.end(used.instance)
    used.bench.until(300)
    used.gpu_use.look()
    used.bench.until(400)
    assert [used.seconds(key) for key in keys] == [before[0], before[1] + 10]


def test_pods_without_gpus_use_none() -> None:
    used = Used(1.0)
    key = used.bench.pod("one", used.node, does="works")
    used.bench.until(400)
    assert used.seconds(key) == 0
