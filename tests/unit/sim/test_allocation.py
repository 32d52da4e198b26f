"""Who pays for a node: by hand, by a law, and by a plain twin that looks at every second."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from fretsaw.api.times import SECOND, Millis
from fretsaw.sim.allocation import IDLE, allocate
from fretsaw.sim.ledger import NodeLife, PodLife

CPU, GPUS = {"cpu": 4000, "memory": 8000}, {"cpu": 4000, "memory": 8000, "nvidia.com/gpu": 4}
RATE = 1000
"""Nano-USD a second."""


def node(*pods: PodLife, running: int | None = 0, ended: int | None = 100) -> NodeLife:
    """A node that ran from second 0 to 100."""
    return NodeLife(
        "n",
        "main",
        0,
        running=None if running is None else running * SECOND,
        ended=None if ended is None else ended * SECOND,
        pods=list(pods),
    )


def pod(name: str, since: int | None, until: int | None, *, daemon: bool = False, **requests: int) -> PodLife:
    asked = {"nvidia.com/gpu" if key == "gpu" else key: amount for key, amount in requests.items()}
    return PodLife(
        name,
        name,
        0,
        asked,
        asked.get("nvidia.com/gpu", 0),
        daemon,
        bound=None if since is None else since * SECOND,
        ended=None if until is None else until * SECOND,
    )


def cost(begin: Millis, end: Millis) -> int:
    return (end - begin) * RATE // SECOND


def shares(life: NodeLife, capacity: dict[str, int], total: int = 100 * RATE, end: int = 200) -> dict[str, int]:
    return {name: amount for name, amount in allocate(life, capacity, cost, total, end * SECOND).items() if amount}


def test_on_a_node_with_gpus_a_pod_pays_for_its_gpus() -> None:
    life = node(pod("half", 0, 100, gpu=2, cpu=10), pod("none", 0, 100, cpu=4000, memory=8000))
    assert shares(life, GPUS) == {"half": 50 * RATE, IDLE: 50 * RATE}


def test_on_other_nodes_it_pays_for_cpu_and_memory_half_and_half() -> None:
    life = node(pod("a", 0, 100, cpu=4000), pod("b", 20, 60, memory=4000))
    assert shares(life, CPU) == {"a": 50 * RATE, "b": 10 * RATE, IDLE: 40 * RATE}


def test_a_pod_pays_from_its_binding_to_its_end() -> None:
    life = node(pod("a", 40, None, gpu=4), pod("late", None, None, gpu=4), ended=None)
    assert shares(life, GPUS, end=100) == {"a": 60 * RATE, IDLE: 40 * RATE}


def test_daemons_are_idle_capacity() -> None:
    assert shares(node(pod("agent", 0, 100, daemon=True, gpu=4)), GPUS) == {IDLE: 100 * RATE}


def test_what_is_charged_beyond_the_machines_life_is_idle() -> None:
    assert shares(node(pod("a", 0, 10, gpu=4), ended=10), GPUS, total=60 * RATE) == {"a": 10 * RATE, IDLE: 50 * RATE}


def test_a_machine_that_never_ran_has_no_shares() -> None:
    assert shares(node(running=None, ended=None), GPUS, total=0) == {}


def test_pods_that_ask_for_more_than_there_is_pay_no_more_than_it_costs() -> None:
    life = node(pod("a", 0, 100, gpu=3), pod("b", 0, 100, gpu=3))
    assert shares(life, GPUS) == {"a": 75 * RATE, "b": 25 * RATE}


TIMES = st.integers(-10, 120)
PODS = st.lists(
    st.builds(
        lambda name, since, length, daemon, gpu: pod(name, since, since + length, daemon=daemon, gpu=gpu),
        st.sampled_from("abc"),
        TIMES,
        st.integers(0, 60),
        st.booleans(),
        st.integers(0, 2),
    ),
    max_size=8,
)


@settings(max_examples=200, deadline=None)
@given(PODS)
def test_the_parts_are_the_whole_and_those_of_each_second(pods: list[PodLife]) -> None:
    found = shares(node(*pods), GPUS)
    assert sum(found.values()) == 100 * RATE
    plain: dict[str, int] = {}
    for second in range(100):
        left = RATE
        for one in pods:
            if not one.daemon and one.bound <= second * SECOND < one.ended:  # type: ignore[operator]
                part = min(RATE * one.gpus // 4, left)
                plain[one.workload] = plain.get(one.workload, 0) + part
                left -= part
        plain[IDLE] = plain.get(IDLE, 0) + left
    over = any(sum(p.gpus for p in pods if p.bound <= s * SECOND < p.ended and not p.daemon) > 4 for s in range(100))  # type: ignore[operator]
    if not over:
        assert found == {name: amount for name, amount in plain.items() if amount}
