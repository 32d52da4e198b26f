"""Work, checkpoints and what is lost: arithmetic of a slot, and pods that continue each other's work."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fretsaw.sim.behavior import Behavior
from fretsaw.sim.dice import Dice
from fretsaw.sim.kubelet.backoff import Backoff
from fretsaw.sim.kubelet.progress import Progress
from fretsaw.sim.spread import Spread
from support.kubelets import Bench, fixed, job, lasting

S = 1000
RUNS = 62.01


def _lost(bench: Bench) -> list[tuple[float, float]]:
    return [(round(d["seconds"], 2), round(d["gpu_seconds"], 2)) for d in bench.data("work-lost")]


@pytest.mark.parametrize(
    ("checkpoint", "elapsed", "saved", "lost"),
    [(None, 50, 0, 50), (20, 50, 40, 10), (20, 40, 40, 0), (60, 50, 0, 50), (20, 0, 0, 0)],
)
def test_what_a_kill_leaves(checkpoint: int | None, elapsed: int, saved: int, lost: int) -> None:
    behavior = job(100, checkpoint=checkpoint and checkpoint * S)
    run = Progress(Dice(0)).begin("s", behavior)
    assert run is not None
    assert run.stop(elapsed * S, saves=False) == lost * S
    assert run.slot.saved == saved * S


def test_a_checkpoint_on_the_way_out_saves_everything() -> None:
    run = Progress(Dice(0)).begin("s", job(100))
    assert run is not None
    assert run.stop(50 * S, saves=True) == 0
    assert run.slot.saved == 50 * S


def test_a_restart_costs_its_overhead_and_no_more() -> None:
    progress, behavior = Progress(Dice(0)), job(100, checkpoint=10 * S, restart=7 * S)
    first = progress.begin("s", behavior)
    assert first is not None
    assert first.ends_after == 100 * S
    first.stop(35 * S, saves=False)
    second = progress.begin("s", behavior)
    assert second is not None
    assert second.ends_after == (7 + 70) * S
    assert second.reached(5 * S) == 30 * S
    assert second.stop(6 * S, saves=False) == 0
    assert second.slot.saved == 30 * S


def test_the_amount_of_work_is_drawn_once_for_a_slot() -> None:
    progress = Progress(Dice(5))
    behavior = Behavior(runs=Spread(10 * S, 50 * S, 100 * S), checkpoint=S)
    first = progress.begin("s", behavior)
    assert first is not None
    first.stop(3 * S, saves=False)
    again = progress.begin("s", behavior)
    assert again is not None
    assert again.total == first.total
    again.finish()
    fresh = progress.begin("s", behavior)
    assert fresh is not None
    assert (fresh.base, fresh.total != first.total) == (0, True)


def test_work_without_an_end_has_no_progress() -> None:
    assert Progress(Dice(0)).begin("s", Behavior()) is None


def test_failures_come_at_their_rate_and_anywhere() -> None:
    progress, behavior = Progress(Dice(1)), job(100, fails=0.3)
    runs = [progress.begin(f"s{i}", behavior) for i in range(400)]
    failing = [run.fails_at for run in runs if run is not None and run.fails_at is not None]
    assert 90 <= len(failing) <= 150
    assert min(failing) < 10 * S < 90 * S < max(failing) <= 100 * S


@given(
    total=st.integers(1, 10**6),
    checkpoint=st.one_of(st.none(), st.integers(1, 10**6)),
    restart=st.integers(0, 10**4),
    turns=st.lists(st.tuples(st.integers(0, 10**6), st.booleans()), max_size=12),
)
def test_progress_never_falls_below_what_was_saved(
    total: int, checkpoint: int | None, restart: int, turns: Any
) -> None:
    """The law of a slot: saved grows, stays within the total, and reached = saved + lost."""
    progress = Progress(Dice(0))
    behavior = Behavior(runs=Spread.fixed(total), checkpoint=checkpoint, restart=restart)
    saved = 0
    for elapsed, saves in turns:
        run = progress.begin("s", behavior)
        assert run is not None
        assert run.base == saved
        reached = run.reached(elapsed)
        lost = run.stop(elapsed, saves=saves)
        assert saved <= run.slot.saved <= reached <= total
        assert reached == run.slot.saved + lost
        saved = run.slot.saved


@given(st.lists(st.integers(0, 10**6), max_size=20))
def test_back_off_never_exceeds_five_minutes(ran: list[int]) -> None:
    backoff = Backoff()
    waits = [backoff.wait(time) for time in ran]
    assert all(wait in (0, 10_000, 20_000, 40_000, 80_000, 160_000, 300_000) for wait in waits)


# Pods of one slot


@pytest.mark.parametrize(
    ("checkpoint", "lost", "second_takes"), [(None, (38.0, 76.0), 100), (10, (8.0, 16.0), 70), (1, (0.0, 0.0), 62)]
)
def test_a_reclaim_loses_what_no_checkpoint_saved(
    checkpoint: int | None, lost: tuple[float, float], second_takes: float
) -> None:
    """A spot instance that ends without anybody having told the pod."""
    bench = Bench(durations=fixed(), train=job(100, checkpoint=checkpoint and checkpoint * S))
    instance = bench.run()
    bench.until(2)
    bench.register("ip-10-0-0-1.ec2.internal")
    bench.until(60)
    bench.pod("a", "ip-10-0-0-1.ec2.internal", does="train", slot="work", gpus=2)
    bench.until(RUNS + 38)
    bench.end(instance)
    assert _lost(bench) == ([lost] if lost[0] else [])
    second = bench.join()
    began = bench.now
    bench.pod("b", second, does="train", slot="work", gpus=2)
    bench.until(500)
    ended = bench.when("pod-ended", "Pod/default/b")[0]
    assert ended - began == pytest.approx(2.01 + second_takes)


@pytest.mark.parametrize(
    ("stops", "grace", "checkpoint", "lost"),
    [
        (20, 30, 1000, 0),
        (20, 10, 1000, 38),
        (20, 10, 10, 8),
        (20, 20, 1000, 0),
        (20, 30, None, 38),
    ],
)
def test_a_pod_saves_on_the_way_out_if_its_grace_allows(
    stops: float, grace: int, checkpoint: int | None, lost: float
) -> None:
    """A grace of 300 s does not fit into the two minutes of a spot notice; one that fits saves the work."""
    bench = Bench(train=job(100, stops=int(stops * S), checkpoint=checkpoint and checkpoint * S))
    key = bench.pod("a", bench.join(), does="train", gpus=1)
    bench.until(100)
    bench.delete(key, grace)
    bench.until(200)
    assert [seconds for seconds, _ in _lost(bench)] == ([pytest.approx(lost)] if lost else [])
    assert all(d["why"] == "deleted" and d["uid"] for d in bench.data("work-lost"))


def test_an_instance_that_ends_before_the_pod_has_saved_loses_it() -> None:
    bench = Bench(train=job(1000, stops=100 * S, checkpoint=10_000 * S))
    instance = bench.run()
    bench.until(2)
    bench.register("ip-10-0-0-1.ec2.internal")
    bench.until(60)
    key = bench.pod("a", "ip-10-0-0-1.ec2.internal", does="train")
    bench.until(100)
    bench.delete(key, 300)
    bench.until(150)
    bench.end(instance)
    assert [seconds for seconds, _ in _lost(bench)] == [pytest.approx(38)]
    (ended,) = bench.data("pod-ended")
    assert (ended["result"], ended["worked_ms"]) == ("killed", 38_000)


def test_a_failure_loses_work_and_the_restart_goes_on_from_the_checkpoint() -> None:
    bench = Bench(train=job(100, fails=1.0, checkpoint=5 * S))
    key = bench.pod("a", bench.join(), does="train", policy="OnFailure")
    bench.until(3000)
    ends = bench.data("container-ended", key)
    assert len(ends) > 3
    assert all(0 < seconds < 5 for seconds, _ in _lost(bench))


def test_a_service_loses_no_work() -> None:
    bench = Bench(serve=Behavior(image_bytes=0))
    key = bench.pod("a", bench.join(), does="serve")
    bench.until(100)
    bench.delete(key)
    bench.until(200)
    assert _lost(bench) == []
    assert bench.data("pod-ended")[0]["worked_ms"] == 38_000


def test_a_pod_without_a_slot_does_its_own_work() -> None:
    bench = Bench(train=job(50, checkpoint=10 * S))
    name = bench.join()
    bench.pod("a", name, does="train")
    bench.pod("b", name, does="train")
    bench.until(200)
    assert bench.when("pod-ended") == [112.01, 112.01]


def test_time_held_and_time_worked_are_told() -> None:
    bench = Bench(train=job(50, loads=lasting(20)))
    bench.pod("a", bench.join(), does="train", gpus=3)
    bench.until(200)
    (ended,) = bench.data("pod-ended")
    assert (ended["gpus"], ended["held_ms"], ended["worked_ms"]) == (3, 72_000, 50_000)
