"""Lots and configurations: what the covering problem says fits is what holding each pod against each offering says."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fretsaw.api.affinity import Toleration
from fretsaw.api.catalog import Catalog
from fretsaw.engine.lots import Lot, accepts, covering, has_room, reachable, reservation_rooms
from fretsaw.engine.prepare import Prepared
from fretsaw.engine.requirement import Requirement
from fretsaw.engine.requirements import EMPTY, Requirements
from fretsaw.engine.settings import Settings
from fretsaw.engine.universe import bits
from fretsaw.planner import cluster_of, from_objects
from support import builders as b
from support import plain_requirements as rq
from support.kube import CAPACITY_TYPE, ZONE
from support.plain_engine import Market

FAMILY, DISK = "x.io/family", "x.io/disk"
TOLERANT = (Toleration(operator="Exists"),)


def prepared(*pools: dict[str, Any], catalog: dict[str, Any], **settings: Any) -> Prepared:
    known = msgspec.convert(catalog, Catalog)
    return Prepared(cluster_of(from_objects(list(pools)), known), Settings(**settings))


_expressions = st.lists(
    st.sampled_from(
        (
            (ZONE, "In", ("z-a",)),
            (ZONE, "NotIn", ("z-a",)),
            (CAPACITY_TYPE, "In", (b.SPOT,)),
            (FAMILY, "In", ("f",)),
            (FAMILY, "NotIn", ("f",)),
            (DISK, "Exists", ()),
            (DISK, "DoesNotExist", ()),
            ("team", "In", ("red",)),
            ("team", "NotIn", ("red",)),
        )
    ),
    max_size=2,
    unique_by=lambda e: e[0],
)
_lots = st.lists(
    st.tuples(
        st.sampled_from((500, 1000, 3000)),
        st.lists(_expressions, min_size=1, max_size=2),
        st.booleans(),
        st.sampled_from((None, frozenset(("p0",)), frozenset(("p1",)))),
    ),
    min_size=1,
    max_size=4,
)


@st.composite
def _catalogs(draw: st.DrawFn) -> dict[str, Any]:
    machines = []
    for name, cpu, price in (("a", "2", 0.1), ("b", "4", 0.2), ("c", "8", 0.3)):
        labels = {FAMILY: [draw(st.sampled_from(("f", "g")))]}
        labels |= {DISK: ["fast"]} if draw(st.booleans()) else {}
        one = b.machine(name, cpu, "16Gi", price, labels=labels)
        one["offerings"] = [{**o, "available": draw(st.integers(0, 4)) > 0} for o in one["offerings"]]
        machines.append(one)
    return b.catalog(*machines)


def _pool(number: int, needs: list[Any], *, tainted: bool, team: bool) -> dict[str, Any]:
    listed = [b.need(key, op, *values) for key, op, values in needs if key != "team"]
    return b.pool(
        f"p{number}", *listed, taints=[b.taint("own")] if tainted else (), labels={"team": "red"} if team else None
    )


@settings(max_examples=80, derandomize=True, deadline=None, database=None)
@given(_lots, _catalogs(), st.lists(st.tuples(_expressions, st.booleans(), st.booleans()), min_size=1, max_size=2))
def test_configurations_are_those_of_an_enumeration(raw: list[Any], catalog: dict[str, Any], pools: list[Any]) -> None:
    known = prepared(*(_pool(i, n, tainted=t, team=r) for i, (n, t, r) in enumerate(pools)), catalog=catalog)
    market = Market(msgspec.convert(catalog, Catalog))
    needs: dict[Lot, tuple[list[rq.Needs], bool]] = {}
    for cpu, ways, tolerant, openers in raw:
        lot = Lot(
            (("cpu", cpu), ("pods", 1)),
            tuple(Requirements(Requirement.of(*e) for e in way) for way in ways),
            TOLERANT if tolerant else (),
            openers,
        )
        needs[lot] = ([{key: ((op, values),) for key, op, values in way} for way in ways], tolerant)
    problem = covering(known, dict.fromkeys(needs, 1), {t.name: t.types for t in known.templates})

    expected: dict[tuple[str, str, str, str], tuple[frozenset[Lot], int]] = {}
    for template in known.templates:
        mine = {r.key: _rules(r) for r in template.requirements}
        for t in market.types:
            for offer in market.offerings(t, mine):
                here = rq.merged(mine, rq.of_labels({ZONE: offer.zone, CAPACITY_TYPE: offer.capacity_type}))
                fitting = frozenset(
                    lot
                    for lot, (ways, tolerant) in needs.items()
                    if (tolerant or not template.taints)
                    and any(
                        rq.conflict(here, way, market.well_known) is None
                        and rq.conflict(market.needs_of(t), rq.merged(mine, way), None) is None
                        for way in ways
                    )
                )
                if any(lot.openers is None or template.name in lot.openers for lot in fitting):
                    key = (template.name, t.name, offer.zone, offer.capacity_type)
                    expected[key] = (fitting, round(offer.price * 10**9))

    cheapest: dict[tuple[str, str, frozenset[Lot]], int] = {}
    for (pool, name, _, _), (fitting, price) in expected.items():
        key3 = (pool, name, fitting)
        cheapest[key3] = min(price, cheapest.get(key3, price))
    found: dict[tuple[str, str, frozenset[Lot]], int] = {}
    for config, meaning in zip(problem.problem.configs, problem.configurations, strict=True):
        universe = meaning.template.universe
        fitting = frozenset(lot for i, lot in enumerate(problem.lots) if config.allowed >> i & 1)
        key3 = (meaning.template.name, universe.names[meaning.type], fitting)
        found[key3] = min(config.price, found.get(key3, config.price))
        opening = {lot for i, lot in enumerate(problem.lots) if config.openers >> i & 1}
        assert opening == {lot for lot in fitting if lot.openers is None or meaning.template.name in lot.openers}
    assert found == cheapest


def _rules(requirement: Requirement) -> rq.Rules:
    return ((requirement.operator, tuple(sorted(requirement.values))),)


MACHINES = b.catalog(b.machine("small", "2", "4Gi", 0.1), b.machine("large", "8", "16Gi", 0.4, nvidia_com__gpu="4"))


def lot(cpu: int, **more: Any) -> Lot:
    requests = (("cpu", cpu), *((("nvidia.com/gpu", more.pop("gpus")),) if "gpus" in more else ()), ("pods", 1))
    return Lot(requests, more.pop("alternatives", (EMPTY,)), (), more.pop("openers", None), **more)


def on_sale(known: Prepared) -> dict[str, int]:
    return {t.name: t.types for t in known.templates}


def test_room_is_what_daemon_pods_leave() -> None:
    known = prepared(b.pool(), b.daemon("agent", "500m"), catalog=MACHINES)
    problem = covering(known, {lot(1000): 3}, on_sale(known))
    assert problem.columns == ("cpu", "pods")
    by_type = {
        known.templates[0].universe.names[m.type]: c.capacity
        for c, m in zip(problem.problem.configs, problem.configurations, strict=True)
    }
    assert by_type == {"small": (1400, 19), "large": (7400, 19)}
    assert [(i.demand, i.size) for i in problem.problem.items] == [(3, (1000, 1))]


def test_companions_are_a_column_with_as_much_room_as_may_be_together() -> None:
    known = prepared(b.pool(), catalog=MACHINES)
    problem = covering(known, {lot(1000, companions=((4, 2),)): 3, lot(500): 1}, on_sale(known))
    sizes = {
        dict(one.requests)["cpu"]: item.size for one, item in zip(problem.lots, problem.problem.items, strict=True)
    }
    assert sizes == {1000: (1000, 1, 1), 500: (500, 1, 0)}
    assert {c.capacity[-1] for c in problem.problem.configs} == {2}


def test_limits_become_rows_with_what_each_type_uses() -> None:
    known = prepared(b.pool(limits={"cpu": "10", "nodes": "3"}), catalog=MACHINES)
    problem = covering(known, {lot(1000): 1}, on_sale(known), limits={"main": {"cpu": 10_000, "nodes": 3}})
    assert problem.problem.limits == (10_000, 3)
    uses = {
        known.templates[0].universe.names[m.type]: c.limit_use
        for c, m in zip(problem.problem.configs, problem.configurations, strict=True)
    }
    assert uses == {"small": ((0, 2000), (1, 1)), "large": ((0, 8000), (1, 1))}
    assert covering(known, {lot(1000): 1}, on_sale(known)).problem.limits == ()


@pytest.mark.parametrize(("capped", "cap"), [(True, 1), (False, None)])
def test_caps_of_the_settings_hold_where_they_are_asked_for(capped: bool, cap: int | None) -> None:
    known = prepared(b.pool(), catalog=MACHINES, max_pods_per_node=1, max_gpus_per_node=2)
    problem = covering(known, {lot(100, gpus=1): 3}, on_sale(known), capped=capped)
    (config,) = {(c.cap_items, len(c.capacity)) for c in problem.problem.configs if " large " in c.key}
    assert config == (cap, 3 + capped)


def test_types_that_are_out_of_bounds_are_left_out() -> None:
    known = prepared(b.pool(), catalog=MACHINES)
    problem = covering(known, {lot(1000): 1}, {"main": 0b01})
    assert {m.type for m in problem.configurations} == {0}


def test_a_lot_is_accepted_where_an_empty_node_has_room_on_sale() -> None:
    known = prepared(b.pool("main", b.need(ZONE, "In", "z-a")), catalog=MACHINES)
    (template,) = known.templates
    assert accepts(template, lot(1900))
    assert has_room(template, lot(1901), template.types) == 0b10
    assert not accepts(template, lot(8000))
    elsewhere = lot(100, alternatives=(Requirements([Requirement(ZONE, ("z-b",))]),))
    assert not accepts(template, elsewhere)
    assert list(reachable(template, elsewhere)) == []


def test_reservations_that_a_pool_can_reach_are_room() -> None:
    one = b.machine("m", "4", "8Gi", 1.0)
    held = b.offering(
        "z-a", b.RESERVED, 0.001, labels={"karpenter.k8s.aws/capacity-reservation-id": "cr"}, reservationCapacity=2
    )
    one["offerings"] = [*one["offerings"], held]
    known = prepared(b.pool("all"), b.pool("far", b.need(ZONE, "In", "z-b")), catalog=b.catalog(one))
    assert [(t.name, c.reservation, list(bits(types))) for t, c, types in reservation_rooms(known)] == [
        ("all", "cr", [0])
    ]
    problem = covering(known, {lot(1000): 1}, on_sale(known))
    assert min(c.price for c in problem.problem.configs) == 300_000_000, (
        "reserved offerings only where they are asked for"
    )
    asked = covering(known, {lot(1000): 1}, on_sale(known), reserved=True)
    assert min(c.price for c in asked.problem.configs) == 1_000_000
