"""Capacity reservations and blocks: counts, costs, and what their end does."""

from __future__ import annotations

from typing import Any

import pytest

from fretsaw.api.times import HOUR, MINUTE, SECOND
from fretsaw.engine.events import CatalogRead, Interrupted, LaunchRefused
from fretsaw.engine.universe import Universe
from fretsaw.errors import UserError
from fretsaw.sim.cloud import ReservationTerms, Selector, Totals
from fretsaw.sim.cloud.reservations import id_of
from fretsaw.sim.instance import Instance
from support.virtual_ec2 import AWS, START, Ec2, capacity, catalog, claim, instance_type, offering, reserved

RESERVED = capacity("reserved")
OD = 800_000_000


def _ec2(kind: str = "default", count: int = 2, terms: dict[str, Any] | None = None, **labels: str) -> Ec2:
    one = instance_type(
        "g6.xlarge", offering("z-a", "on-demand", 0.8), reserved("z-a", "cr-1", count, type=kind, **labels)
    )
    return Ec2(one, reservations=(ReservationTerms(id="cr-1", **(terms or {})),))


def _left(ec2: Ec2) -> list[tuple[int, int, bool]]:
    """(when, instances left, available) of each reading of the catalog."""
    found = []
    for at, read in ec2.said(CatalogRead):
        assert read.catalog is not None
        shown = read.catalog.instance_types[0].offerings[1]
        found.append((at // SECOND, shown.reservation_capacity or 0, shown.available))
    return found


def test_instances_count_down_and_up_and_the_autoscaler_reads_it() -> None:
    # Source: Karpenter AWS provider v1.14 pkg/providers/capacityreservation (MarkLaunched, MarkTerminated).
    ec2 = _ec2()
    first = ec2.one(RESERVED, name="c-0")
    ec2.one(RESERVED, name="c-1")
    ec2.cloud.terminate(first.provider_id)
    ec2.run(MINUTE)
    assert _left(ec2) == [(0, 2, True), (1, 1, True), (2, 0, False), (32, 1, True)]


def test_several_launches_of_a_moment_are_read_once() -> None:
    ec2 = _ec2()
    ec2.launch(claim("c-0", RESERVED), claim("c-1", RESERVED))
    assert _left(ec2) == [(0, 2, True), (1, 0, False)]


def test_a_full_reservation_takes_no_more() -> None:
    ec2 = _ec2(count=1)
    answers = ec2.launch(claim("c-0", RESERVED), claim("c-1", RESERVED))
    assert isinstance(answers[0], Instance)
    assert isinstance(answers[1], LaunchRefused)


def test_a_claim_that_allows_on_demand_too_gets_it_when_the_reservation_is_full() -> None:
    ec2 = _ec2(count=1)
    answers = ec2.launch(*(claim(f"c-{n}", capacity("reserved", "on-demand")) for n in range(2)))
    assert [a.capacity_type for a in answers if isinstance(a, Instance)] == ["reserved", "on-demand"]


@pytest.mark.parametrize(
    ("terms", "hours", "nano"),
    [
        ({}, 10, 10 * 2 * OD),
        ({"usd_per_hour": 0.5}, 10, 10 * 2 * 500_000_000),
        ({"usd_per_hour": 0.5, "count": 8}, 10, 10 * 8 * 500_000_000),
        ({"usd_per_hour": 0.5, "start": START + 4 * HOUR}, 10, 6 * 2 * 500_000_000),
        ({"usd_per_hour": 0.5, "end": START + 4 * HOUR}, 10, 4 * 2 * 500_000_000),
        ({"usd_per_hour": 0.5, "start": START - HOUR}, 10, 10 * 2 * 500_000_000),
        ({"usd_per_hour": 0.0}, 10, 0),
    ],
)
def test_a_reservation_costs_its_price_whoever_uses_it(terms: dict[str, Any], hours: int, nano: int) -> None:
    # Source: EC2 User Guide, Capacity Reservation pricing and billing: charged whether instances run or not.
    ec2 = _ec2(terms=terms)
    ec2.run(hours * HOUR)
    assert ec2.cloud.bill.total(ec2.world.loop.now) == Totals(reserved=nano)
    assert ec2.cloud.bill.cost_between(START, START + hours * HOUR) == Totals(reserved=nano)


def test_a_reserved_instance_costs_nothing_more() -> None:
    ec2 = _ec2()
    instance = ec2.one(RESERVED)
    ec2.run(10 * HOUR)
    assert instance.price_usd_per_hour == 0
    assert ec2.cloud.bill.of(instance.provider_id, ec2.world.loop.now) == 0
    assert ec2.cloud.bill.total(ec2.world.loop.now) == Totals(reserved=20 * OD)


def test_a_block_is_drained_from_forty_minutes_before_its_end_and_taken_at_thirty() -> None:
    # Source: Karpenter AWS provider v1.14 pkg/controllers/capacityreservation (expiring: 40 min; EC2 ends at 30).
    ec2 = _ec2("capacity-block", terms={"end": START + 5 * HOUR})
    instance = ec2.one(RESERVED)
    ec2.run(6 * HOUR)
    first, last = ec2.said(Interrupted)
    assert first == (5 * HOUR - 40 * MINUTE, Interrupted(instance.provider_id, "capacity_reservation_interrupted"))
    assert last == (5 * HOUR - 30 * MINUTE, Interrupted(instance.provider_id, "instance_terminated"))
    assert (instance.ended, instance.why_ended) == (START + 5 * HOUR - 30 * MINUTE, "reservation-end")


def test_a_block_takes_no_launches_while_it_expires() -> None:
    # Source: Karpenter AWS provider v1.14 pkg/providers/instancetype/offering (state not expiring).
    ec2 = _ec2("capacity-block", terms={"end": START + 5 * HOUR})
    ec2.run(5 * HOUR - 41 * MINUTE)
    assert isinstance(ec2.launch(claim("c-0", RESERVED))[0], Instance)
    ec2.run(5 * HOUR - 40 * MINUTE)
    assert isinstance(ec2.launch(claim("c-1", RESERVED))[0], LaunchRefused)
    assert _left(ec2)[-1] == ((5 * HOUR - 40 * MINUTE) // SECOND, 0, False)


def test_a_block_that_has_not_begun_is_not_there_yet() -> None:
    ec2 = _ec2("capacity-block", terms={"start": START + 2 * HOUR, "end": START + 26 * HOUR})
    assert isinstance(ec2.launch(claim("c-0", RESERVED))[0], LaunchRefused)
    ec2.run(2 * HOUR)
    assert _left(ec2) == [(0, 0, False), (2 * HOUR // SECOND, 2, True)]
    assert isinstance(ec2.launch(claim("c-1", RESERVED))[0], Instance)


def test_an_interruptible_reservation_gives_two_minutes() -> None:
    # Source: Karpenter AWS provider v1.14 pkg/controllers/interruption (capacity reservation interruption warning).
    ec2 = _ec2(terms={"end": START + 5 * HOUR}, interruptible="true")
    instance = ec2.one(RESERVED)
    ec2.run(6 * HOUR)
    assert ec2.said(Interrupted)[0] == (
        5 * HOUR - 2 * MINUTE,
        Interrupted(instance.provider_id, "capacity_reservation_interrupted"),
    )
    assert (instance.ended, instance.why_ended) == (START + 5 * HOUR, "reservation-end")


def test_the_instances_of_a_reservation_that_ends_go_on_as_on_demand() -> None:
    # Source: Karpenter AWS provider v1.14 pkg/controllers/capacityreservation (default reservations: the label is demoted).
    ec2 = _ec2(terms={"end": START + 5 * HOUR, "usd_per_hour": 0.5})
    instance = ec2.one(RESERVED)
    ec2.run(7 * HOUR)
    assert instance.alive
    assert ec2.said(Interrupted) == []
    assert (instance.capacity_type, instance.price_usd_per_hour) == ("on-demand", 0.8)
    assert instance.labels["karpenter.sh/capacity-type"] == "on-demand"
    assert f"{AWS}/capacity-reservation-id" not in instance.labels
    assert ec2.cloud.bill.total(ec2.world.loop.now) == Totals(on_demand=2 * OD, reserved=5 * 2 * 500_000_000)
    assert isinstance(ec2.launch(claim("c-1", RESERVED))[0], LaunchRefused)


def test_terms_of_an_unknown_reservation_are_the_users_error() -> None:
    with pytest.raises(UserError, match=r"no node class has such a reservation: cr-9 \(known: cr-1\)"):
        Ec2(instance_type("g6.xlarge", reserved("z-a", "cr-1", 1)), reservations=(ReservationTerms(id="cr-9"),))


def test_a_reservation_that_ec2_cannot_fill_counts_as_full_for_a_while() -> None:
    # Source: Karpenter AWS provider v1.14 pkg/providers/instance (reserved: reservation counter := 0).
    ec2 = _ec2()
    ec2.cloud.set_out(Selector.of("*/reserved"), START + HOUR)
    (refused,) = ec2.launch(claim("c-0", RESERVED))
    assert refused == LaunchRefused("c-0", "InsufficientCapacity", "with fleet error(s), ReservationCapacityExceeded")
    assert ec2.cloud.unavailable.all() == frozenset()
    ec2.run(2 * MINUTE)
    assert _left(ec2) == [(0, 2, True), (1, 0, False), (61, 2, True)]


@pytest.mark.parametrize("labels", [{}, {"example.com/tier": "gold"}])
def test_a_reservation_without_an_id_has_the_engines_name(labels: dict[str, str]) -> None:
    one = offering("z-a", "reserved", 0.0, labels=labels, reservation_capacity=2)
    universe = Universe(catalog(instance_type("g6.xlarge", one)))
    assert [cell.reservation for cell in universe.cells] == [id_of(one)]
