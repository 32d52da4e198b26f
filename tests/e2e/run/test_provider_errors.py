"""What the cloud answers, kind by kind, as whoever looks at the NodeClaim sees it; and that it comes right afterwards."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from support.live import CLAIMS, Live
from support.live_laws import no_second_instance, nothing_leaked

SLOW_S = 12
"""Longer than a provider waits for an answer."""


def test_a_refused_launch_is_named_on_the_claim_until_it_works(live: Live, namespace: str, pool: str) -> None:
    before = len(live.cloud.log())
    message = "the launch template has been deleted"
    live.cloud.fault(what="LaunchFailed", on="launch", times=2, reason="LaunchTemplateNotFound", message=message)
    live.pool(pool, types=["m5.large"])
    live.pod("one", namespace=namespace, pool=pool)
    _launch_says(live, pool, "LaunchTemplateNotFound", message)
    (refused,) = live.claims(pool)
    live.until_running(namespace, 1, timeout_s=60)
    (claim,) = live.claims(pool)
    assert claim["metadata"]["uid"] == refused["metadata"]["uid"], "the same claim is ordered again"
    assert live.condition(claim, "Launched") == "True"
    assert _answers(live, before) == ["LaunchFailed"] * 2 + ["created"]


def test_a_throttled_launch_waits_and_says_so(live: Live, namespace: str, pool: str) -> None:
    before = len(live.cloud.log())
    message = "Request limit exceeded."
    live.cloud.fault(what="Throttled", on="launch", times=3, message=message, seconds=1)
    live.pool(pool, types=["m5.large"])
    live.pod("one", namespace=namespace, pool=pool)
    _launch_says(live, pool, "LaunchFailed", message)
    live.until_running(namespace, 1, timeout_s=60)
    assert _answers(live, before) == ["Throttled"] * 3 + ["created"]
    tries = [call["at"] for call in live.cloud.log(before) if call["call"] == "launch"]
    waits = [later - sooner for sooner, later in pairwise(tries)]
    assert all(longer >= 1.5 * shorter for shorter, longer in pairwise(waits)), waits


def test_a_long_message_is_cut_on_the_claim(live: Live, namespace: str, pool: str) -> None:
    live.cloud.fault(what="LaunchFailed", on="launch", times=2, reason="UnauthorizedOperation", message="x" * 5000)
    live.pool(pool, types=["m5.large"])
    live.pod("one", namespace=namespace, pool=pool)
    _launch_says(live, pool, "UnauthorizedOperation", "x" * 300 + "...")
    live.until_running(namespace, 1, timeout_s=60)


def test_a_claim_whose_class_is_not_ready_gives_way_to_another(live: Live, namespace: str, pool: str) -> None:
    before = len(live.cloud.log())
    live.cloud.fault(what="NotReady", on="launch", times=1, message="the instance profile is not there yet")
    live.pool(pool, types=["m5.large"])
    live.pod("one", namespace=namespace, pool=pool)
    live.until_running(namespace, 1, timeout_s=60)
    assert _answers(live, before) == ["NotReady", "created"]
    first, second = (call["claim"] for call in live.cloud.log(before) if call["call"] == "launch")
    assert [claim["metadata"]["name"] for claim in live.claims(pool)] == [second] != [first]
    nothing_leaked(live, [pool])


def test_capacity_that_ran_out_is_told_of_and_then_avoided(live: Live, namespace: str, pool: str) -> None:
    # Types of its own: what is out is avoided for minutes, by the tests that follow as well.
    live.cloud("PUT", "/stock", {"m6i.large/*/*": 0})
    live.pool(pool, types=["m6i.large", "m6i.4xlarge"])
    live.pod("one", namespace=namespace, pool=pool)
    live.until_running(namespace, 1, timeout_s=60)
    (claim,) = live.claims(pool)
    assert claim["metadata"]["labels"]["node.kubernetes.io/instance-type"] == "m6i.4xlarge"
    before = len(live.cloud.log())
    live.pod("two", namespace=namespace, pool=pool, cpu="15")
    live.until_running(namespace, 2, timeout_s=60)
    assert _answers(live, before) == ["created"], "what is out is not asked for again"


def test_a_launch_that_is_not_answered_in_time_is_asked_for_again(live: Live, namespace: str, pool: str) -> None:
    before = len(live.cloud.log())
    live.cloud.fault(what="Hang", on="launch", times=1, seconds=SLOW_S)
    live.pool(pool, types=["m5.large"])
    live.pod("one", namespace=namespace, pool=pool)
    live.until(lambda: "timed out" in _launched(live, pool).get("message", ""), "the claim says so", 30)
    live.until_running(namespace, 1, timeout_s=60)
    no_second_instance(live, before)
    nothing_leaked(live, [pool])


def test_an_instance_that_the_cloud_has_forgotten_holds_nothing_up(live: Live, namespace: str, pool: str) -> None:
    live.pool(pool, types=["m5.large"])
    live.pod("one", namespace=namespace, pool=pool)
    live.until_running(namespace, 1)
    (claim,) = live.claims(pool)
    provider_id = claim["status"]["providerID"]
    before = len(live.cloud.log())
    live.cloud("DELETE", f"/instances/{provider_id.rpartition('/')[2]}")
    live.until(lambda: "gone" in [call["call"] for call in live.cloud.log(before)], "the cloud has forgotten it")
    live.api("DELETE", f"/api/v1/namespaces/{namespace}/pods/one", {"gracePeriodSeconds": 0})
    live.api("DELETE", f"{CLAIMS}/{claim['metadata']['name']}")
    live.until_no_claims(pool)
    assert "InstanceNotFound" in [call["answer"] for call in live.cloud.log(before) if call["call"] == "terminate"]


def test_listings_and_announcements_that_fail_end_nothing(live: Live, namespace: str, pool: str) -> None:
    live.pool(pool, types=["m5.large"], capacity=["spot"])
    live.deployment("web", replicas=1, namespace=namespace, pool=pool)
    live.until_running(namespace, 1)
    (old,) = live.claims(pool)
    before = len(live.cloud.log())
    live.cloud.fault(what="Throttled", on="list", times=3)
    live.cloud.fault(what="Throttled", on="interruptions", times=3)
    # The question that is under way is answered first; the next ones fail, and then this is heard all the same.
    live.cloud.interrupt(old["status"]["providerID"], "rebalance_recommendation")
    live.cloud.interrupt(old["status"]["providerID"], notice_s=30)
    name = old["metadata"]["name"]
    live.until(lambda: name not in [claim["metadata"]["name"] for claim in live.claims(pool)], "the claim is gone", 60)
    live.until_running(namespace, 1)
    failed = [call for call in live.cloud.log(before) if call["call"] == "interruptions"]
    assert [call["answer"] for call in failed] == ["Throttled"] * 3
    live.cloud.mend()  # else the test's own listing is the one that fails
    nothing_leaked(live, [pool])


def _launched(live: Live, pool: str) -> dict[str, Any]:
    """The condition Launched of the pool's one claim; empty where there is none yet."""
    conditions = [
        condition
        for claim in live.claims(pool)
        for condition in claim.get("status", {}).get("conditions", [])
        if condition["type"] == "Launched"
    ]
    return conditions[0] if conditions else {}


def _launch_says(live: Live, pool: str, reason: str, message: str) -> None:
    wanted = {"status": "Unknown", "reason": reason, "message": message}
    live.until(lambda: _launched(live, pool).items() >= wanted.items(), f"the claim says {reason}", 30)


def _answers(live: Live, after: int) -> list[str]:
    return [call["answer"] for call in live.cloud.log(after) if call["call"] == "launch"]
