"""The catalog as bit sets gives what scanning the catalog gives."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fretsaw.api.catalog import Catalog
from fretsaw.engine.requirement import Requirement
from fretsaw.engine.requirements import Requirements
from fretsaw.engine.universe import Room, Universe, bits
from support import builders as b
from support.kube import CAPACITY_TYPE, ZONE
from support.plain_engine import Market

few = settings(max_examples=60, derandomize=True, deadline=None, database=None)
FAMILY, SIZE, RESERVATION = "x.io/family", "x.io/size", "karpenter.k8s.aws/capacity-reservation-id"


def universe(*machines: dict[str, Any]) -> Universe:
    return Universe(msgspec.convert(b.catalog(*machines), Catalog))


def names(known: Universe, types: int) -> list[str]:
    return [known.names[t] for t in bits(types)]


@given(st.integers(0, 2**70))
@few
def test_bits_are_the_positions_that_are_set(mask: int) -> None:
    assert list(bits(mask)) == [i for i in range(mask.bit_length()) if mask >> i & 1]


amounts = st.dictionaries(st.sampled_from(("cpu", "memory", "gpu")), st.integers(-1, 5), max_size=3)


@few
@given(st.lists(amounts, max_size=8), st.sampled_from(("cpu", "memory", "gpu", "tape")), st.integers(0, 6))
def test_room_holds_what_a_scan_says(types: list[dict[str, int]], resource: str, need: int) -> None:
    room = Room(types)
    sound = [t for t, has in enumerate(types) if min(has.values(), default=0) >= 0]
    assert list(bits(room.usable)) == sound
    if need:
        assert list(bits(room.holding(resource, need))) == [
            t for t, has in enumerate(types) if has.get(resource, 0) >= need
        ]
    else:
        assert list(bits(room.holding(resource, need))) == sound


@few
@given(st.lists(st.dictionaries(st.sampled_from(("cpu", "gpu")), st.integers(1, 5)), max_size=8), st.integers(0, 255))
def test_the_largest_amount_is_that_of_a_scan(types: list[dict[str, int]], mask: int) -> None:
    for resource in ("cpu", "gpu", "tape"):
        chosen = [has.get(resource, 0) for t, has in enumerate(types) if mask >> t & 1]
        assert Room(types).largest(resource, mask) == max(chosen, default=0)


@st.composite
def catalogs(draw: st.DrawFn) -> dict[str, Any]:
    machines = []
    for name in draw(st.lists(st.sampled_from("abcdefg"), min_size=1, max_size=5, unique=True)):
        labels = {FAMILY: draw(st.lists(st.sampled_from(("f", "g")), max_size=2, unique=True))}
        labels[SIZE] = [str(draw(st.integers(1, 4)))]
        for key in (FAMILY, SIZE):
            if not labels[key] or draw(st.integers(0, 3)) == 0:
                del labels[key]
        one = b.machine(name, "4", "8Gi", 1.0, labels=labels)
        one["offerings"] = [
            b.offering(zone, kind, draw(st.sampled_from((0.1, 0.2, 0.3))), available=draw(st.booleans()))
            for zone in draw(st.lists(st.sampled_from(("z-a", "z-b")), min_size=1, max_size=3))
            for kind in (b.SPOT, b.ON_DEMAND)
        ]
        machines.append(one)
    return b.catalog(*machines)


rules = st.one_of(
    st.tuples(
        st.sampled_from((FAMILY, "y.io/other")), st.sampled_from(("In", "NotIn")), st.sampled_from((("f",), ("f", "g")))
    ),
    st.tuples(st.sampled_from((FAMILY, SIZE)), st.sampled_from(("Exists", "DoesNotExist")), st.just(())),
    st.tuples(st.just(SIZE), st.sampled_from(("Gt", "Lt", "Gte")), st.sampled_from((("2",), ("3",)))),
    st.tuples(st.just(ZONE), st.sampled_from(("In", "NotIn")), st.sampled_from((("z-a",), ("z-b",), ("z-c",)))),
    st.tuples(st.just(CAPACITY_TYPE), st.sampled_from(("In", "NotIn")), st.sampled_from(((b.SPOT,), (b.ON_DEMAND,)))),
)


@settings(few, max_examples=150)
@given(catalogs(), st.lists(rules, max_size=4))
def test_eligible_types_and_their_order_are_those_of_a_scan(
    raw: dict[str, Any], wanted: list[tuple[str, str, tuple[str, ...]]]
) -> None:
    catalog = msgspec.convert(raw, Catalog)
    known, market = Universe(catalog), Market(catalog)
    asked = Requirements(Requirement.of(*rule) for rule in wanted)
    needs: dict[str, Any] = {}
    for key, operator, values in wanted:
        needs[key] = (*needs.get(key, ()), (operator, values))
    plain = [t for t in catalog.instance_types if market.suits(t, needs)]
    types = known.eligible(asked)
    assert names(known, types) == [t.name for t in plain]
    cells = known.cells_for(asked)
    by_price = sorted(plain, key=lambda t: (market.price(t, needs), t.name))
    found = known.cheapest_first(types, cells, 3)
    assert [known.names[t] for _, t, _ in found] == [t.name for t in by_price][:3]
    assert [p for p, _, _ in found] == [round(market.price(t, needs) * 10**9) for t in by_price][:3]
    assert known.cheapest(types, cells) == (found[0][0] if found else None)
    for price, t, c in found:
        assert known.cells[c].price_nano[t] == price
        assert asked.conflict(Requirements.of_labels({ZONE: known.cells[c].zone}), None) is None
    for key in (FAMILY, SIZE, ZONE, CAPACITY_TYPE, "y.io/other"):
        assert known.distinct_values(key, types) == len(market.values(key, plain))
        assert list(known.values_of(key, types)) == sorted(market.values(key, plain))


def test_a_type_out_of_stock_is_compatible_and_not_eligible() -> None:
    one = b.machine("m", "4", "8Gi", 0.1)
    one["offerings"] = [b.offering("z-a", b.SPOT, 0.1, available=False)]
    known = universe(one)
    assert (known.compatible(Requirements()), known.eligible(Requirements())) == (1, 0)


def test_offerings_with_equal_labels_are_one_cell() -> None:
    known = universe(b.machine("a", "4", "8Gi", 0.1), b.machine("b", "8", "16Gi", 0.2))
    assert [(c.zone, c.capacity_type, c.on_sale) for c in known.cells] == [
        ("z-a", "on-demand", 3),
        ("z-a", "spot", 3),
        ("z-b", "on-demand", 3),
        ("z-b", "spot", 3),
    ]


def test_of_two_offerings_in_one_cell_the_cheaper_counts() -> None:
    one = b.machine("m", "4", "8Gi", 0.1)
    one["offerings"] = [b.offering("z-a", b.SPOT, price, priceSource=str(price)) for price in (0.3, 0.2, 0.4)]
    (cell,) = universe(one).cells
    assert (cell.price_nano, cell.price_source) == ({0: 200_000_000}, {0: "0.2"})


def test_equal_prices_go_to_the_first_name_and_the_first_cell() -> None:
    known = universe(*(b.machine(name, "4", "8Gi", 0.1) for name in ("b", "a")))
    for machine in known.catalog.instance_types:
        assert machine.offerings[0].price == 0.1
    every = known.cells_for(Requirements([Requirement(CAPACITY_TYPE, ("on-demand",))]))
    assert [(known.names[t], known.cells[c].zone) for _, t, c in known.cheapest_first(known.all, every, 9)] == [
        ("a", "z-a"),
        ("b", "z-a"),
    ]


def test_a_reservation_is_a_cell_of_its_own_that_needs_no_label_to_be_asked_for() -> None:
    one = b.machine("m", "4", "8Gi", 0.1)
    held = b.offering("z-a", b.RESERVED, 0.0, labels={RESERVATION: "cr-1"}, reservationCapacity=2)
    one["offerings"] = [*one["offerings"], held]
    known = universe(one)
    (c,) = bits(known.reserved_cells)
    assert (known.cells[c].reservation, known.cells[c].reservation_capacity) == ("cr-1", 2)
    asked = Requirements([Requirement(RESERVATION, ("cr-1",))])
    assert known.cells_for(asked) == 1 << c, "offerings without the label do not have it"
    assert known.cells_for(Requirements([Requirement(RESERVATION, ("cr-1",), complement=True)])) == known.cells_for(
        Requirements()
    ) & ~(1 << c)


def test_a_label_that_only_other_types_carry_does_not_exist_on_a_type() -> None:
    known = universe(
        b.machine("plain", "4", "8Gi", 0.1), b.machine("gpu", "4", "8Gi", 1.0, labels={"x.io/gpu": ["l4"]})
    )

    def having(operator: str, *values: str) -> list[str]:
        return names(known, known.satisfying(Requirement.of("x.io/gpu", operator, values)))

    assert having("DoesNotExist") == ["plain"]
    assert having("NotIn", "l4") == ["plain"]
    assert having("Exists") == having("In", "l4") == ["gpu"]
    assert names(known, known.satisfying(Requirement.of("x.io/unheard-of", "In", ["v"]))) == ["plain", "gpu"]


@pytest.mark.parametrize(
    ("capacity", "overhead", "allocatable"),
    [
        pytest.param(
            {"cpu": "4", "memory": "8Gi"}, {"cpu": "80m"}, {"cpu": 3920, "memory": 2**33}, id="overhead is taken off"
        ),
        pytest.param(
            {"memory": "8Gi", "hugepages-2Mi": "2Gi"},
            {},
            {"memory": 6 * 2**30, "hugepages-2Mi": 2**31},
            id="huge pages are no memory",
        ),
        pytest.param(
            {"memory": "1Gi", "hugepages-2Mi": "2Gi"},
            {},
            {"memory": 0, "hugepages-2Mi": 2**31},
            id="never below nothing",
        ),
        pytest.param({"cpu": "100m"}, {"cpu": "200m"}, {"cpu": -100}, id="too much overhead shows"),
    ],
)
def test_allocatable_is_capacity_without_overhead(
    capacity: dict[str, str], overhead: dict[str, str], allocatable: dict[str, int]
) -> None:
    one = {**b.machine("m", "1", "1Gi", 0.1), "capacity": capacity, "overhead": overhead}
    assert universe(one).allocatable == (allocatable,)


def test_what_a_node_gives_is_rounded_down_and_what_it_takes_is_rounded_up() -> None:
    one = {**b.machine("m", "1", "1Gi", 0.1), "capacity": {"cpu": "1999u"}, "overhead": {"cpu": "1u"}}
    known = universe(one)
    assert (known.capacity, known.overhead, known.allocatable) == (({"cpu": 1},), ({"cpu": 1},), ({"cpu": 0},))
