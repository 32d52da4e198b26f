"""The API server has bad times: it refuses, is slow, loses answers and breaks watches. Afterwards all is as it should be.

The operator goes through a proxy that makes the weather; everybody else talks to the server itself.
"""

from __future__ import annotations

import random
import time
from collections import defaultdict
from collections.abc import Iterator
from itertools import pairwise

import pytest

from support.live import Live
from support.live_laws import no_second_instance, nothing_leaked
from support.weather import Asked, Lost, Proxy, Refusal, Slow, Weather, calm

SLACK_S = 0.05
"""Clocks of proxy and operator are read at different moments of one request."""
KINDS = 25
"""More than there are kinds that are watched."""


@pytest.fixture
def proxy(stage: Live, pool: str) -> Iterator[Proxy]:
    """The way to the API server of the operator that runs in `stage`, alone and without a lease."""
    stage.stop_operators()
    with Proxy(stage.plane) as proxy:
        stage.operator("--disable-leader-election", kubeconfig=proxy.kubeconfig("fretsaw"))
        yield proxy
        proxy.weather = calm
        stage.remove([pool])
        stage.stop_operators()
    stage.operator()


def mixed(seed: int) -> Weather:
    """One request in two goes wrong, in any way."""
    chance = random.Random(seed)

    def weather(asked: Asked) -> Refusal | Slow | Lost | None:
        draw = chance.random()
        if asked.watch or draw > 0.5:
            return Refusal(503) if draw > 0.9 else None
        if draw < 0.15 and asked.method != "GET":
            return Refusal(409)
        if draw < 0.25:
            return Refusal(429, retry_after_s=1)
        if draw < 0.35:
            return Refusal(500)
        return Slow(chance.uniform(0.5, 3)) if draw < 0.45 else Lost()

    return weather


@pytest.mark.parametrize("seed", range(2))
def test_a_storm_of_everything_delays_and_breaks_nothing(
    stage: Live, namespace: str, pool: str, proxy: Proxy, seed: int
) -> None:
    before = len(stage.cloud.log())
    stage.pool(pool, types=["m5.large", "m5.xlarge"], consolidate="5s")
    stage.deployment("web", replicas=3, namespace=namespace, pool=pool)
    stage.until_running(namespace, 3)
    proxy.weather = mixed(seed)
    for size in (7, 1, 5):
        stage.scale("web", namespace, size)
        for _ in range(4):
            time.sleep(2)
            proxy.cut_watches()
    proxy.weather = calm
    stage.until_running(namespace, 5, timeout_s=90)
    no_second_instance(stage, before)
    nothing_leaked(stage, [pool])
    stage.scale("web", namespace, 0)
    stage.until_no_claims(pool, 90)


def test_a_server_that_asks_for_patience_gets_it(stage: Live, namespace: str, pool: str, proxy: Proxy) -> None:
    wait_s = 3
    stage.pool(pool, types=["m5.large"])
    stage.deployment("web", replicas=1, namespace=namespace, pool=pool, cpu="1500m")
    stage.until_running(namespace, 1)
    begin = len(proxy.asked)
    proxy.weather = lambda asked: Refusal(429, retry_after_s=wait_s)
    proxy.cut_watches()
    stage.scale("web", namespace, 3)
    stage.until(
        lambda: len([one for one in proxy.asked[begin:] if one.status == 429]) >= 3 * KINDS, "many refusals", 60
    )
    proxy.weather = calm
    # What is made has no path of its own yet: two of them are no haste.
    refused = [one for one in proxy.asked[begin:] if one.status == 429 and one.method != "POST"]
    asked: dict[tuple[str, str, bool], list[Asked]] = defaultdict(list)
    for one in refused:
        asked[one.method, one.path, one.watch].append(one)
    hasty = [
        (later.method, later.path, round(later.at_s - sooner.ended_s, 2))
        for times in asked.values()
        for sooner, later in pairwise(times)
        if later.at_s - sooner.ended_s < wait_s - SLACK_S
    ]
    assert not hasty
    stage.until_running(namespace, 3, timeout_s=60)
    nothing_leaked(stage, [pool])


def test_a_server_that_is_away_is_not_run_over(stage: Live, namespace: str, pool: str, proxy: Proxy) -> None:
    before, seconds = len(stage.cloud.log()), 15
    stage.pool(pool, types=["m5.large"])
    stage.deployment("web", replicas=1, namespace=namespace, pool=pool, cpu="1500m")
    stage.until_running(namespace, 1)
    begin = len(proxy.asked)
    proxy.weather = lambda asked: Refusal(503)
    proxy.cut_watches()
    stage.scale("web", namespace, 4)
    time.sleep(seconds)  # how long it lasts is what is tried
    calls = len(proxy.asked) - begin
    proxy.weather = calm
    # Waits double up to ten seconds: some ten tries for each watch, and as many for what a turn wanted.
    assert calls <= 10 * KINDS + 50, calls
    stage.until_running(namespace, 4, timeout_s=60)
    no_second_instance(stage, before)
    nothing_leaked(stage, [pool])


def test_watches_that_break_go_on_where_they_were(stage: Live, namespace: str, pool: str, proxy: Proxy) -> None:
    before = len(stage.cloud.log())
    stage.pool(pool, types=["m5.large"])
    stage.deployment("web", replicas=1, namespace=namespace, pool=pool, cpu="1500m")
    stage.until_running(namespace, 1)
    begin = len(proxy.asked)
    for size in (2, 3, 4):
        stage.scale("web", namespace, size)
        for _ in range(3):
            time.sleep(1)
            proxy.cut_watches()
    stage.until_running(namespace, 4, timeout_s=60)
    watches = [one for one in proxy.asked[begin:] if one.watch]
    lists = [one.path for one in proxy.asked[begin:] if not one.watch and one.method == "GET"]
    assert len(watches) >= 3 * (KINDS - 10), "they were broken, and begun anew"
    assert not lists, "what was missed is told by the watch: nothing is listed again"
    no_second_instance(stage, before)
    nothing_leaked(stage, [pool])


def test_answers_that_are_slow_make_nothing_happen_twice(stage: Live, namespace: str, pool: str, proxy: Proxy) -> None:
    before = len(stage.cloud.log())
    stage.pool(pool, types=["m5.large"])
    proxy.weather = lambda asked: None if asked.watch else Slow(2)
    stage.deployment("web", replicas=3, namespace=namespace, pool=pool, cpu="1500m")
    stage.until_running(namespace, 3, timeout_s=90)
    proxy.weather = calm
    made = [call for call in stage.cloud.log(before) if call["answer"] == "created"]
    assert len(made) == 3, "one instance for each pod"
    assert len(stage.claims(pool)) == 3
    nothing_leaked(stage, [pool])
