"""What random scenarios have found, each in its smallest form."""

from __future__ import annotations

from support.kubelets import Bench, job


def test_a_pod_that_ends_unheard_and_is_deleted_then_goes_when_its_kubelet_is_back() -> None:
    """The kubelet was cut off when the pod succeeded; meanwhile its owner deleted it."""
    bench = Bench(short=job(10))
    bench.run()
    bench.until(5)
    (name,) = bench.world.store.all("Node")
    bench.register(name)
    bench.until(60)
    key = bench.pod("one", name, does="short")
    bench.until(65)
    bench.nodes.not_ready(name, 100_000, silent=True)
    bench.until(100)
    bench.delete(key)
    bench.until(150)
    assert bench.get(key) is not None
    bench.until(200)
    assert bench.get(key) is None
