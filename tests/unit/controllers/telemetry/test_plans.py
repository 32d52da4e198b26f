"""Plans: pods that are alike may take each other's places, others may not."""

from __future__ import annotations

from fretsaw.api.meta import ObjectMeta, OwnerReference
from fretsaw.api.pod import Pod
from fretsaw.controllers.telemetry.plans import Plans


def pod(name: str, owner: str = "", kind: str = "ReplicaSet") -> Pod:
    owners = (OwnerReference(kind, owner, uid=owner, controller=True),) if owner else ()
    return Pod(metadata=ObjectMeta(name=name, owner_references=owners))


def test_a_pod_lands_as_planned_where_it_was_meant_to_go() -> None:
    plans = Plans()
    plans.meant(pod("a"), "m1")
    assert plans.bound(pod("a"), "m1")
    assert "default/a" not in plans


def test_a_pod_elsewhere_is_not_as_planned() -> None:
    plans = Plans()
    plans.meant(pod("a"), "m1")
    plans.meant(pod("b"), "m2")
    assert not plans.bound(pod("a"), "m2")
    assert plans.bound(pod("b"), "m2")


def test_pods_of_one_replica_set_exchange_their_places() -> None:
    plans = Plans()
    plans.meant(pod("a", "web"), "m1")
    plans.meant(pod("b", "web"), "m2")
    assert plans.bound(pod("a", "web"), "m2")
    assert not plans.bound(pod("b", "web"), "m2")


def test_the_pod_whose_place_was_taken_gets_that_of_the_taker() -> None:
    plans = Plans()
    plans.meant(pod("a", "web"), "m1")
    plans.meant(pod("b", "web"), "m2")
    assert plans.bound(pod("a", "web"), "m2")
    assert plans.bound(pod("b", "web"), "m1")


def test_pods_of_a_stateful_set_are_each_their_own() -> None:
    plans = Plans()
    plans.meant(pod("a", "db", "StatefulSet"), "m1")
    plans.meant(pod("b", "db", "StatefulSet"), "m2")
    assert not plans.bound(pod("a", "db", "StatefulSet"), "m2")


def test_a_new_plan_takes_the_place_of_the_old() -> None:
    plans = Plans()
    plans.meant(pod("a"), "m1")
    plans.meant(pod("a"), "m2")
    assert plans.bound(pod("a"), "m2")
