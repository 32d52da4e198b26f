"""What is taken down of a pod's end: who wanted it."""

from __future__ import annotations

import pytest

from fretsaw.sim.eviction import Evictions
from fretsaw.sim.ledger import Ledger
from fretsaw.sim.pod_gc import PodGC
from support.kubelets import Bench, job


class Ends:
    """A pod on a node, and the ledger of its life."""

    def __init__(self, does: str = "works") -> None:
        self.bench = Bench(works=job(3600), short=job(10), breaks=job(10, fails=1.0))
        self.ledger = Ledger(self.bench.world)
        self.instance = self.bench.run()
        self.bench.until(5)
        (name,) = self.bench.world.store.all("Node")
        self.bench.register(name)
        self.bench.until(60)
        self.key = self.bench.pod("one", name, does=does, gpus=1)
        self.bench.until(100)

    def seen(self) -> tuple[str, float | None]:
        """(result, seconds from the start to the end)."""
        (life,) = self.ledger.pods.values()
        return life.result, None if life.ended is None else (life.ended - self.bench.world.loop.start) / 1000


@pytest.mark.parametrize(("does", "result"), [("short", "Succeeded"), ("breaks", "Failed"), ("works", "")])
def test_a_pod_that_ends_by_itself(does: str, result: str) -> None:
    assert Ends(does).seen()[0] == result


def test_a_pod_that_its_owner_deletes_has_not_failed() -> None:
    """A kubelet writes Failed for a program that SIGTERM ends, whoever wanted it to."""
    ends = Ends()
    ends.bench.delete(ends.key)
    ends.bench.until(200)
    assert ends.seen() == ("Deleted", 101.01)


def test_an_evicted_pod_is_interrupted() -> None:
    ends = Ends()
    Evictions(ends.bench.world).evict(ends.key)
    ends.bench.until(200)
    assert ends.seen() == ("Killed", 101.01)


def test_a_pod_that_the_autoscaler_deletes_is_interrupted() -> None:
    ends = Ends()
    ends.bench.world.journal.note("pod-deleted", f"Pod/{ends.key}", reason="grace-period")
    ends.bench.delete(ends.key, grace_s=0)
    ends.bench.until(200)
    assert ends.seen() == ("Killed", 100.01)


def test_a_pod_ends_with_its_machine_although_the_api_server_still_has_it() -> None:
    ends = Ends()
    PodGC(ends.bench.world)
    ends.bench.end(ends.instance)
    assert ends.seen() == ("Killed", 100.0)
    assert ends.ledger.open_pods() == []
    ends.bench.world.store.remove("Node", ends.bench.get(ends.key).spec.node_name)
    ends.bench.until(300)
    assert ends.bench.get(ends.key) is None
    assert ends.seen() == ("Killed", 100.0)


def test_a_pod_that_is_removed_by_force_is_deleted() -> None:
    ends = Ends()
    ends.bench.world.store.delete("Pod", ends.key, now=True)
    ends.bench.until(200)
    assert ends.seen() == ("Deleted", 100.0)
