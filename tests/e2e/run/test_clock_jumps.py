"""The operator's time of day is set an hour forward, and back: what is well stays, and nothing is done twice.

The API server's clock, which dates all objects, stays as it is.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from support.jumping import Jumps
from support.live import CLAIMS, Live, eventually_never
from support.live_laws import ended, no_second_instance, none_ended, nothing_leaked

HOUR = 3600
A_LOOK_S = 13
"""Turns are ten seconds apart at most, and drift is looked up in between."""


@pytest.fixture
def jumps(stage: Live, pool: str, tmp_path: Path) -> Iterator[Jumps]:
    """The clock of the operator that runs in `stage`, alone."""
    stage.stop_operators()
    jumps = Jumps(tmp_path / "clock")
    stage.operator(clock=jumps.file)
    yield jumps
    jumps.set(0)
    stage.stop_operators()
    stage.operator()


def test_an_hour_forward_and_back_ends_no_node_and_orders_none_twice(
    stage: Live, namespace: str, pool: str, jumps: Jumps
) -> None:
    before = len(stage.cloud.log())
    stage.pool(pool, types=["m5.large"], expire="12h", consolidate="2h", budgets=[{"nodes": "10%"}])
    stage.deployment("web", replicas=2, namespace=namespace, pool=pool, cpu="1500m")
    stage.until_running(namespace, 2)
    there = {claim["metadata"]["uid"] for claim in stage.claims(pool)}
    for number, seconds in ((3, HOUR), (4, 0), (5, HOUR)):
        jumps.set(seconds)
        eventually_never(lambda: ended(stage, before), A_LOOK_S, "an instance was ended")
        stage.scale("web", namespace, number)
        stage.until_running(namespace, number, timeout_s=60)
    kept = {claim["metadata"]["uid"] for claim in stage.claims(pool)}
    assert there < kept
    assert len(kept) == 5
    assert not ended(stage, before)
    no_second_instance(stage, before)
    nothing_leaked(stage, [pool])


def test_an_hour_forward_makes_no_node_an_hour_older(stage: Live, namespace: str, pool: str, jumps: Jumps) -> None:
    """Neither for expiry nor for consolidation: the server, whose times stand in the objects, says otherwise."""
    before = len(stage.cloud.log())
    stage.pool(pool, types=["m5.large"], expire="30m", consolidate="10m", policy="WhenEmpty")
    stage.deployment("web", replicas=2, namespace=namespace, pool=pool, cpu="1500m")
    stage.until_running(namespace, 2)
    stage.scale("web", namespace, 1)
    stage.until(lambda: len(stage.pods(namespace)) == 1, "one node is empty")
    jumps.set(HOUR)
    eventually_never(lambda: ended(stage, before), A_LOOK_S, "an instance was ended")
    stage.pool(pool, types=["m5.large"], expire="30m", consolidate="1s", policy="WhenEmpty")
    stage.until(lambda: len(stage.claims(pool)) == 1, "the empty node goes when its time has come", 60)
    stage.until_running(namespace, 1)


def test_a_launch_that_is_under_way_is_waited_for_when_the_clock_jumps(
    stage: Live, namespace: str, pool: str, jumps: Jumps
) -> None:
    before = len(stage.cloud.log())
    stage.cloud.fault(what="Hang", on="launch", seconds=5)
    stage.pool(pool, types=["m5.large"])
    stage.pod("one", namespace=namespace, pool=pool)
    (ordered,) = stage.until(lambda: stage.claims(pool), "a node is ordered")
    jumps.set(HOUR)
    stage.until_running(namespace, 1, timeout_s=60)
    jumps.set(0)
    (claim,) = stage.claims(pool)
    assert claim["metadata"]["uid"] == ordered["metadata"]["uid"]
    no_second_instance(stage, before)
    nothing_leaked(stage, [pool])


def test_a_drain_that_began_in_the_future_goes_on(stage: Live, namespace: str, pool: str, jumps: Jumps) -> None:
    """It was written by a process, and on a server, whose clocks have been set back since."""
    stage.pool(pool, types=["m5.large"])
    stage.deployment("web", replicas=1, namespace=namespace, pool=pool)
    stage.until_running(namespace, 1)
    (claim,) = stage.claims(pool)
    path = f"{CLAIMS}/{claim['metadata']['name']}"
    budget = _no_eviction(stage, namespace)
    stage.api("DELETE", path)
    stage.until(lambda: stage.condition(stage.api("GET", path), "Drained") == "Unknown", "the drain has begun")
    stage.stop_operators()
    conditions = stage.api("GET", path)["status"]["conditions"]
    later = (datetime.now(UTC) + timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    drained = next(condition for condition in conditions if condition["type"] == "Drained")
    drained["lastTransitionTime"] = later
    stage.api("PATCH", f"{path}/status", {"status": {"conditions": conditions}})
    stage.operator(clock=jumps.file)
    stage.api.delete(budget)
    name = claim["metadata"]["name"]
    stage.until(lambda: name not in [one["metadata"]["name"] for one in stage.claims(pool)], "the node has gone", 60)
    stage.until_running(namespace, 1, timeout_s=60)


def test_instances_of_claims_that_are_there_survive_a_listing_an_hour_ahead(
    stage: Live, namespace: str, pool: str, jumps: Jumps
) -> None:
    """By the clock all of them are old enough to be nobody's."""
    stage.pool(pool, types=["m5.large"])
    stage.deployment("web", replicas=2, namespace=namespace, pool=pool, cpu="1500m")
    stage.until_running(namespace, 2)
    before = len(stage.cloud.log())
    doomed, kept = (claim["status"]["providerID"] for claim in stage.claims(pool))
    jumps.set(HOUR)
    # An announced end has all instances listed.
    stage.cloud.interrupt(doomed, "instance_terminated", 0)
    stage.until(lambda: len(stage.claims(pool)) == 2 and len(stage.nodes(pool)) == 2, "the other is replaced", 90)
    none_ended(stage, [kept], before)


def _no_eviction(stage: Live, namespace: str) -> dict[str, object]:
    """A budget that allows none, in force."""
    spec = {"minAvailable": 1, "selector": {"matchLabels": {"app": "web"}}}
    metadata = {"name": "web", "namespace": namespace}
    budget = {"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": metadata, "spec": spec}
    stage.api.apply(budget)
    path = f"/apis/policy/v1/namespaces/{namespace}/poddisruptionbudgets/web"
    stage.until(lambda: stage.api("GET", path).get("status", {}).get("expectedPods"), "the budget counts its pods")
    return budget
