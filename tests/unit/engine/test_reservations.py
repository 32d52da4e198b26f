"""Capacity reservations during a pass."""

from __future__ import annotations

from typing import Any

import msgspec

from fretsaw.api.catalog import Catalog
from fretsaw.engine.requirement import Requirement
from fretsaw.engine.requirements import EMPTY, Requirements
from fretsaw.engine.reservations import Reservations
from fretsaw.engine.universe import Universe
from fretsaw.planner import plan_objects
from support import builders as b
from support.kube import ZONE

ID = "karpenter.k8s.aws/capacity-reservation-id"
NONE: frozenset[str] = frozenset()


def catalog(**left: int) -> dict[str, Any]:
    """Type `m` with reservations in z-a, by identity with the instances that are left."""
    one = b.machine("m", "4", "8Gi", 1.0)
    held = [b.offering("z-a", b.RESERVED, 0.0001, labels={ID: name}, reservationCapacity=n) for name, n in left.items()]
    return b.catalog({**one, "offerings": [*one["offerings"], *held]})


def universe(**left: int) -> Universe:
    return Universe(msgspec.convert(catalog(**left), Catalog))


def reach(
    known: Reservations, of: Universe, wanted: Requirements = EMPTY, held: frozenset[str] = NONE
) -> tuple[bool, list[str]]:
    matches, names = known.within_reach(of, of.all, wanted, held)
    return matches, sorted(names)


def test_a_reservation_is_used_up_by_the_nodes_that_hold_it() -> None:
    of = universe(one=2)
    known = Reservations([of])
    for _ in range(2):
        assert reach(known, of) == (True, ["one"])
        known.hold(NONE, frozenset(("one",)))
    assert reach(known, of) == (True, []), "it matches still, but there is none left"
    assert reach(known, of, held=frozenset(("one",))) == (True, ["one"]), "who holds it may keep it"
    known.hold(frozenset(("one",)), NONE)
    assert reach(known, of) == (True, ["one"]), "what is let go is free again"


def test_a_node_holds_all_that_it_could_be_launched_into() -> None:
    of = universe(one=1, two=1)
    assert reach(Reservations([of]), of) == (True, ["one", "two"])


def test_requirements_narrow_what_is_within_reach() -> None:
    of = universe(one=1, two=1)
    known = Reservations([of])
    assert reach(known, of, Requirements([Requirement(ID, ("two",))])) == (True, ["two"])
    assert reach(known, of, Requirements([Requirement(ZONE, ("z-b",))])) == (False, [])
    assert known.within_reach(of, 0, EMPTY, NONE) == (False, NONE)


def test_of_two_catalogs_the_smaller_number_counts() -> None:
    known = Reservations([universe(one=3), universe(one=1)])
    known.hold(NONE, frozenset(("one",)))
    assert reach(known, universe(one=3)) == (True, [])


def test_without_reservations_there_is_nothing_to_look_after() -> None:
    assert not Reservations([universe()])
    assert Reservations([universe(one=0)])


def planned(pods: int, left: dict[str, int], **settings: Any) -> tuple[list[str], list[str], list[str]]:
    objects = [b.pool(), *(b.pod(f"p{i}", "3") for i in range(pods))]
    plan = plan_objects(objects, catalog(**left), packing="first-fit", **settings)
    reasons = [r["reason"] for u in plan["unschedulable"] for r in u["reasons"]]
    return [n["capacityType"] for n in plan["nodes"]], [u["pod"] for u in plan["unschedulable"]], reasons


def test_a_pod_waits_for_a_reservation_that_is_taken_rather_than_fall_back() -> None:
    kinds, waiting, reasons = planned(3, {"one": 2})
    assert (kinds, waiting) == (["reserved", "reserved"], ["default/p2"])
    assert reasons == ["instance types with a matching capacity reservation exist, but every reservation is taken"]


def test_in_a_simulation_of_disruption_it_falls_back() -> None:
    kinds, waiting, _ = planned(3, {"one": 2}, strict_reservations=False)
    assert (kinds[:2], len(kinds), waiting) == (["reserved", "reserved"], 3, [])


def test_a_node_that_could_use_two_reservations_keeps_both_until_the_end() -> None:
    kinds, waiting, _ = planned(2, {"one": 1, "two": 1})
    assert (kinds, waiting) == (["reserved"], ["default/p1"])


def test_a_pool_without_the_capacity_type_does_not_wait() -> None:
    objects = [b.pool("main", b.need("karpenter.sh/capacity-type", "In", "spot")), b.pod("p", "3")]
    plan = plan_objects(objects, catalog(one=0), packing="first-fit")
    assert [n["capacityType"] for n in plan["nodes"]] == ["spot"]


def test_a_node_without_a_reservation_is_not_bought_from_one() -> None:
    pods = [b.pod(f"p{i}", "3") for i in range(3)]
    answer = plan_objects([b.pool(), *pods], catalog(cr=2), packing="first-fit", strict_reservations=False)
    assert [node["capacityType"] for node in answer["nodes"]] == ["reserved", "reserved", "spot"]
