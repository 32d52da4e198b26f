"""What goes wrong, and that nothing comes of it: no instance too many, none lost, no pod without a node, nothing stuck."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Iterator

import pytest

from support.live import CLAIMS, Live, Program

KILLS = 50
"""Points at which the controller is killed, each by its own seed."""


def no_second_instance(live: Live, after: int = 0) -> None:
    """The cloud has never had two living instances for one claim's uid."""
    made = Counter(call["token"] for call in live.cloud.log(after) if call["answer"] in ("created", "AnswerLost"))
    assert not [token for token, times in made.items() if times > 1], made


def nothing_leaked(live: Live, pools: list[str]) -> None:
    """Every instance has its claim, every claim its instance; nothing is on its way out for ever."""

    def settled() -> bool:
        claims = {c["status"].get("providerID") for pool in pools for c in live.claims(pool)}
        there = {i["providerId"] for i in live.cloud.instances() if i["claim"].rsplit("-", 1)[0] in pools}
        return claims == there

    live.until(settled, "instances and claims agree", 120)


@pytest.fixture
def killed(stage: Live) -> Iterator[Live]:
    """A cluster whose operator the test starts and kills; the one of other tests ends before."""
    for program in stage.operators:
        if program.running:
            program.stop()
    stage.operators.clear()
    yield stage
    for program in stage.operators:
        if program.running:
            program.kill()
    stage.operators.clear()
    stage.operator()


@pytest.mark.parametrize("group", range(5))
def test_killed_at_any_point_it_goes_on_where_it_was(killed: Live, namespace: str, pool: str, group: int) -> None:
    """Launches, drains and replacements go on while the controller is killed again and again, ten times in each group.

    Without a lease, so that the next one acts at once: what it finds is as unfinished as it can be.
    """
    chance = random.Random(group)
    before = len(killed.cloud.log())
    killed.pool(pool, types=["m5.large", "m5.xlarge"], consolidate="0s")
    for number in range(KILLS // 5):
        size = chance.randint(0, 6)
        killed.deployment("web", replicas=size, namespace=namespace, pool=pool)
        if chance.random() < 0.3:
            killed.pool(pool, types=["m5.large", "m5.xlarge"], consolidate="0s", annotations={"edition": str(number)})
        program = killed.operator("--disable-leader-election")
        time.sleep(0.8 + chance.random() * 4)
        program.kill()
        killed.operators.remove(program)
    killed.operator("--disable-leader-election")
    killed.scale("web", namespace, 3)
    killed.until_running(namespace, 3, timeout_s=120)
    no_second_instance(killed, before)
    nothing_leaked(killed, [pool])
    killed.scale("web", namespace, 0)
    killed.until_no_claims(pool, 120)
    nothing_leaked(killed, [pool])


def test_an_answer_that_is_lost_is_asked_for_again(live: Live, namespace: str, pool: str) -> None:
    before = len(live.cloud.log())
    live.cloud.fault(what="AnswerLost", on="launch", times=2)
    live.pool(pool, types=["m5.large"])
    live.pod("one", namespace=namespace, pool=pool)
    live.until_running(namespace, 1, timeout_s=90)
    no_second_instance(live, before)
    nothing_leaked(live, [pool])


@pytest.mark.parametrize("what", ["Throttled", "LaunchFailed", "NotReady"])
def test_a_launch_that_fails_is_tried_again(live: Live, namespace: str, pool: str, what: str) -> None:
    before = len(live.cloud.log())
    live.cloud.fault(what=what, on="launch", times=1)
    live.pool(pool, types=["m5.large", "c5.large", "r5.large", "m5.xlarge"])
    live.pod("one", namespace=namespace, pool=pool)
    live.until_running(namespace, 1, timeout_s=90)
    no_second_instance(live, before)
    nothing_leaked(live, [pool])


def test_a_termination_that_fails_is_tried_again(live: Live, namespace: str, pool: str) -> None:
    live.pool(pool, types=["m5.large"])
    live.pod("one", namespace=namespace, pool=pool)
    live.until_running(namespace, 1)
    live.cloud.fault(what="Throttled", on="terminate", times=2)
    (claim,) = live.claims(pool)
    live.api("DELETE", f"{CLAIMS}/{claim['metadata']['name']}")
    live.until_no_claims(pool, 90)
    nothing_leaked(live, [pool])


def test_the_api_server_may_go_and_come_back(live: Live, namespace: str, pool: str) -> None:
    live.pool(pool, types=["m5.large"], consolidate="0s")
    live.deployment("web", replicas=1, namespace=namespace, pool=pool)
    live.until_running(namespace, 1)
    live.plane.kill("kube-apiserver")
    time.sleep(2)
    live.plane.start("kube-apiserver")
    _restarted(live)
    live.scale("web", namespace, 3)
    live.until_running(namespace, 3, timeout_s=90)
    live.scale("web", namespace, 0)
    live.until_no_claims(pool, 120)
    nothing_leaked(live, [pool])


def test_an_etcd_that_hangs_holds_things_up_and_breaks_nothing(live: Live, namespace: str, pool: str) -> None:
    live.pool(pool, types=["m5.large"])
    live.deployment("web", replicas=2, namespace=namespace, pool=pool)
    time.sleep(0.7)
    with live.plane.paused("etcd"):
        time.sleep(6)
    live.until_running(namespace, 2, timeout_s=90)
    nothing_leaked(live, [pool])


def test_two_that_both_believe_to_lead_launch_nothing_twice(killed: Live, namespace: str, pool: str) -> None:
    """Without leases both act on everything at once."""
    before = len(killed.cloud.log())
    killed.operator("--disable-leader-election")
    killed.operator("--disable-leader-election")
    killed.pool(pool, types=["m5.large"], consolidate="5s")
    killed.deployment("web", replicas=3, namespace=namespace, pool=pool, cpu="1500m")
    killed.until_running(namespace, 3, timeout_s=90)
    no_second_instance(killed, before)
    nothing_leaked(killed, [pool])
    killed.scale("web", namespace, 0)
    killed.until_no_claims(pool, 120)


def test_a_leader_that_was_frozen_does_nothing_when_it_wakes(killed: Live, namespace: str, pool: str) -> None:
    before = len(killed.cloud.log())
    first = killed.operator()
    killed.pool(pool, types=["m5.large"])
    killed.pod("one", namespace=namespace, pool=pool)
    killed.until_running(namespace, 1)
    first.pause()
    killed.operators.remove(first)
    killed.operator()
    killed.pod("two", namespace=namespace, pool=pool, cpu="1500m")
    killed.until_running(namespace, 2, timeout_s=90)
    first.resume()
    assert _ends(first) == 3
    no_second_instance(killed, before)
    nothing_leaked(killed, [pool])


def test_objects_that_were_edited_by_hand_do_no_harm(live: Live, namespace: str, pool: str) -> None:
    live.pool(pool, types=["m5.large"])
    live.deployment("web", replicas=1, namespace=namespace, pool=pool)
    live.until_running(namespace, 1)
    (claim,) = live.claims(pool)
    name = claim["metadata"]["name"]
    nonsense = {"karpenter.sh/nodeclaim-termination-timestamp": "soon", "karpenter.sh/nodepool-hash": "?"}
    live.api("PATCH", f"{CLAIMS}/{name}", {"metadata": {"annotations": nonsense, "finalizers": []}})
    live.until(lambda: live.claims(pool) and _finalized(live, pool), "the finalizer is back")
    live.scale("web", namespace, 4)
    live.until_running(namespace, 4, timeout_s=90)
    nothing_leaked(live, [pool])


def _finalized(live: Live, pool: str) -> bool:
    return all("karpenter.sh/termination" in claim["metadata"].get("finalizers", []) for claim in live.claims(pool))


def _ends(program: Program) -> int:
    """The exit code of a program that ends by itself."""
    for _ in range(300):
        if not program.running:
            return program.exit_code
        time.sleep(0.1)
    raise AssertionError(f"it has not ended:\n{program.last_words()}")


def _restarted(live: Live) -> None:
    """The API server answers again."""
    live.until(lambda: live.api("GET", "/readyz") == "ok", "the API server is ready")
