"""The covering solver on instances whose answer is known by hand."""

from __future__ import annotations

import pytest

from fretsaw.engine import covering_solver, generation
from fretsaw.engine.covering import Config, FreeBin, Item, Pattern, Problem, Solution, lower_bound, solve
from fretsaw.engine.covering_reduce import reduce
from fretsaw.engine.patterns import Search, Space, fill

GIB = 2**30


def config(price: int, *capacity: int, allowed: int = 0b1111, key: str = "", **more: object) -> Config:
    """A configuration that any of its items may open."""
    more = {"openers": allowed, "cap_items": None, "key": key or f"{price}-{capacity}", **more}
    return Config(price, capacity, allowed, **more)  # type: ignore[arg-type]


def gpu_mix() -> Problem:
    """Pods of 1, 2 and 8 GPUs and some without on three sizes of node."""
    items = (Item(37, (4000, 14 * GIB, 1)), Item(11, (12000, 60 * GIB, 2)), Item(3, (96000, 700 * GIB, 8)))
    items = (*items, Item(50, (2000, 4 * GIB, 0)))
    configs = (
        config(1_006_000, 7910, 29 * GIB, 1, key="small"),
        config(5_672_000, 47810, 173 * GIB, 4, key="medium"),
        config(21_957_600, 191450, 1082 * GIB, 8, key="large"),
    )
    return Problem(items, configs)


def test_nothing_to_cover_costs_nothing() -> None:
    assert solve(Problem((), ())).patterns == ()
    assert solve(Problem((Item(0, (1,)),), ())).price == 0
    assert lower_bound(Problem((), ()))[0] == 0


def test_two_halves_share_a_node_and_the_odd_one_takes_the_small_node() -> None:
    problem = Problem((Item(3, (5,)),), (config(100, 10, key="big"), config(60, 5, key="small")))
    answer = solve(problem)
    assert answer.patterns == (Pattern(0, (2,), 1), Pattern(1, (1,), 1))
    assert (answer.price, answer.bound) == (160, 160)
    assert answer.proof.startswith("optimal")


def test_an_item_that_nothing_holds_is_named() -> None:
    problem = Problem((Item(1, (1,)), Item(1, (9,))), (config(1, 5),))
    with pytest.raises(ValueError, match="item 1: no configuration can hold it"):
        solve(problem)


def test_an_item_that_may_only_join_needs_an_opener_it_fits_beside() -> None:
    alone = Config(1, (5,), 0b11, 0b01, None, "pool")
    with pytest.raises(ValueError, match="item 1"):
        solve(Problem((Item(1, (3,)), Item(1, (3,))), (alone,)))


@pytest.mark.parametrize(
    ("problem", "said"),
    [
        (Problem((Item(1, (1,)), Item(1, (1, 2))), ()), "item 1: 2 resource columns, 1 expected"),
        (Problem((Item(-1, (1,)),), ()), "item 0: negative"),
        (Problem((Item(1, (1,)),), (config(-5, 1, key="x"),)), "config x: negative price -5"),
        (Problem((Item(1, (1,)),), (config(5, 1, 1, key="x"),)), "config x: 2 resource columns"),
        (Problem((Item(1, (1,)),), (config(5, 1, key="x", limit_use=((0, 1),)),)), "config x: limit row 0"),
    ],
)
def test_a_malformed_problem_is_refused_by_name(problem: Problem, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        solve(problem)


def test_a_node_without_its_opener_is_not_bought() -> None:
    """Item 1 may join the cheap node but not open it: with one opener there is one cheap node."""
    cheap, dear = Config(10, (2,), 0b11, 0b01, None, "cheap"), Config(100, (2,), 0b10, 0b10, None, "dear")
    answer = solve(Problem((Item(1, (1,)), Item(3, (1,))), (cheap, dear)))
    assert answer.patterns == (Pattern(0, (1, 1), 1), Pattern(1, (0, 2), 1))
    assert (answer.price, answer.bound) == (110, 110)


def test_a_limit_sends_the_rest_to_the_dearer_node() -> None:
    reserved, bought = config(0, 4, key="reserved", limit_use=((0, 1),)), config(50, 4, key="bought")
    answer = solve(Problem((Item(10, (2,)),), (reserved, bought), (2,)))
    assert answer.price == 150
    assert answer.bound == 150


def test_limits_that_leave_no_plan_still_leave_a_bound() -> None:
    answer = solve(Problem((Item(10, (2,)),), (config(50, 4, key="only", limit_use=((0, 1),)),), (2,)))
    assert answer.patterns is None
    assert answer.price is None
    assert 0 < answer.bound <= 250


def test_free_capacity_without_limit_costs_nothing() -> None:
    answer = solve(Problem((Item(5, (2,)), Item(1, (9,))), (config(0, 4, key="free"), config(7, 9, key="paid"))))
    assert (answer.price, answer.bound) == (7, 7)


def test_free_room_lowers_the_bound_and_not_the_plan() -> None:
    problem = Problem((Item(4, (1,)),), (config(10, 1, key="one"),), free=(FreeBin((1,), 1, 3),))
    answer = solve(problem)
    assert (answer.price, answer.bound) == (40, 10)
    assert lower_bound(problem)[0] == 10


def test_more_than_enough_kinds_of_free_room_are_pooled() -> None:
    rooms = tuple(FreeBin((k,), 1) for k in range(1, 60))
    assert 0 <= lower_bound(Problem((Item(1000, (3,)),), (config(10, 3, key="one"),), free=rooms))[0] <= 4100


def test_fewer_nodes_are_preferred_at_equal_price_when_a_node_costs() -> None:
    configs = (config(10, 1, key="one"), config(20, 2, key="two"))
    answer = solve(Problem((Item(4, (1,)),), configs, fixed_cost=1))
    assert answer.patterns == (Pattern(1, (2,), 2),)
    assert (answer.price, answer.bound) == (40, 40)


def test_bytes_in_the_quintillions_stay_exact() -> None:
    item, room = Item(2, (2**45 + 1, 1)), config(7, 2**46 + 1, 2**62, key="huge")
    assert solve(Problem((item,), (room,))).price == 14
    assert solve(Problem((item,), (config(7, 2**46 + 2, 2**62, key="huge"),))).price == 7


def test_identical_configurations_give_the_first_key() -> None:
    twins = (config(5, 2, key="b"), config(5, 2, key="a"))
    answer = solve(Problem((Item(2, (1,)),), twins))
    assert answer.patterns == (Pattern(1, (2,), 1),)


def test_equal_items_are_dealt_out_again_exactly() -> None:
    answer = solve(Problem((Item(3, (1,)), Item(2, (1,)), Item(4, (1,))), (config(5, 4, key="four"),)))
    assert answer.patterns is not None
    assert [sum(p.counts[i] * p.multiplicity for p in answer.patterns) for i in range(3)] == [3, 2, 4]
    assert answer.price == 15


def test_a_known_plan_at_the_bound_ends_the_work() -> None:
    answer = solve(gpu_mix(), incumbent=solve(gpu_mix()).price)
    assert answer.patterns is None
    assert answer.proof.startswith("optimal")


def listed_and_priced(problem: Problem, monkeypatch: pytest.MonkeyPatch) -> tuple[Solution, Solution]:
    listed = solve(problem)
    monkeypatch.setattr(generation, "LIST_STATES", 0)
    return listed, solve(problem)


def test_pricing_finds_what_listing_finds(monkeypatch: pytest.MonkeyPatch) -> None:
    listed, priced = listed_and_priced(gpu_mix(), monkeypatch)
    assert listed.proof.startswith("optimal: every pattern listed")
    assert priced.proof.startswith(("optimal: column generation", "column generation"))
    assert priced.bound <= listed.bound == listed.price
    assert priced.bound >= 0.995 * listed.bound
    assert priced.price is not None
    assert priced.price <= 1.005 * listed.bound


def test_cases_on_node_counts_raise_the_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three pods of 5 on nodes of 8 for 100, or of 5 for 90: half a node cannot be bought."""
    problem = Problem((Item(3, (5, 1)), Item(9, (1, 1))), (config(100, 8, 4, key="a"), config(90, 5, 5, key="b")))
    monkeypatch.setattr(generation, "LIST_STATES", 0)
    whole = lower_bound(problem)
    monkeypatch.setattr(covering_solver, "SPLITS", 0)
    assert whole[0] >= lower_bound(problem)[0]
    assert whole[0] <= (solve(problem).price or 0)


def test_time_that_is_up_still_gives_a_bound_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    exact = solve(gpu_mix())
    monkeypatch.setattr(generation, "LIST_STATES", 0)
    answer = solve(gpu_mix(), elapsed=lambda: 5.0, budget_s=1.0)
    assert answer.work.out_of_time
    assert 0 < answer.bound <= exact.bound
    assert answer.price is None or answer.price >= exact.bound


def test_the_knapsack_search_equals_its_plain_twin() -> None:
    space = Space(reduce(gpu_mix(), free=False))
    value = (space.size[:, 0] * 3 + space.size[:, 1] % 7 + 1).astype(float)
    nothing = 0.0 * value[: len(space.cap)].sum() + 0.0 * space.cap[:, 0]
    found = Search(space, value, nothing, nothing, 100_000).run()
    for cell in range(len(space.cap)):
        plain = plain_knapsack(
            [int(v) for v in value], space.size.tolist(), space.room[cell].tolist(), space.cap[cell].tolist()
        )
        assert found.most[cell] == plain
        assert found.value[found.cells == cell].max() == plain


def plain_knapsack(value: list[int], size: list[list[int]], most: list[int], room: list[int]) -> int:
    """The best value by trying every count of the first item, then of the next."""
    if not value:
        return 0
    best = 0
    for n in range(most[0] + 1):
        left = [have - n * need for have, need in zip(room, size[0], strict=True)]
        if min(left) < 0:
            break
        best = max(best, n * value[0] + plain_knapsack(value[1:], size[1:], most[1:], left))
    return best


def test_filling_leaves_no_room_for_another_pod() -> None:
    space = Space(reduce(gpu_mix(), free=False))
    import numpy as np

    cells = np.arange(len(space.cap))
    counts = fill(space, cells, space.opened(cells), np.tile(np.arange(len(space.demand)), (len(cells), 1)))
    left = space.cap - counts @ space.size
    for cell in cells:
        for i in range(len(space.demand)):
            assert counts[cell, i] == space.room[cell, i] or (space.size[i] > left[cell]).any()
