"""Laws of the covering solver against brute force, which shares no code with it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from itertools import product

from hypothesis import given, settings
from hypothesis import strategies as st

from fretsaw.engine import generation
from fretsaw.engine.covering import Config, FreeBin, Item, Problem, Solution, lower_bound, solve

INFINITE = 10**18


def is_pattern(problem: Problem, config: Config, counts: tuple[int, ...]) -> bool:
    """Whether one node of the configuration may hold these counts, straight from the problem's words."""
    held = [i for i, n in enumerate(counts) if n]
    if not held or any(not config.allowed >> i & 1 for i in held):
        return False
    if config.openers & config.allowed != config.allowed and not any(config.openers >> i & 1 for i in held):
        return False
    if config.cap_items is not None and sum(counts) > config.cap_items:
        return False
    if any(sum(1 for i in held if mask >> i & 1) > 1 for mask in config.exclusive):
        return False
    return all(
        sum(n * item.size[r] for n, item in zip(counts, problem.items, strict=True)) <= room
        for r, room in enumerate(config.capacity)
    )


def cheapest(problem: Problem) -> int:
    """The optimum by exhaustive dynamic programming over what is left of demands, limits and free room."""
    demands = tuple(item.demand for item in problem.items)
    every = list(product(*(range(d + 1) for d in demands)))
    patterns = [[p for p in every if is_pattern(problem, c, p)] for c in problem.configs]

    @cache
    def rest(left: tuple[int, ...], limits: tuple[int, ...]) -> int:
        if not any(left):
            return 0
        best = INFINITE
        first = next(i for i, n in enumerate(left) if n)
        for config, ways in zip(problem.configs, patterns, strict=True):
            after = list(limits)
            for row, units in config.limit_use:
                after[row] -= units
            if min(after, default=0) < 0:
                continue
            for p in ways:
                if p[first] and all(a <= b for a, b in zip(p, left, strict=True)):
                    remaining = rest(tuple(b - a for a, b in zip(p, left, strict=True)), tuple(after))
                    best = min(best, config.price + remaining)
        return best

    return min(rest(left, problem.limits) for left in without_free(problem, demands, every))


def without_free(problem: Problem, demands: tuple[int, ...], every: list[tuple[int, ...]]) -> set[tuple[int, ...]]:
    """All that may be left of the demands once free room was used in any way."""
    lefts = {demands}
    for room in problem.free:
        config = Config(0, room.capacity, room.allowed, room.allowed, None, "")
        ways = [p for p in every if is_pattern(problem, config, p)]
        for _ in range(room.count):
            lefts |= {
                tuple(b - a for a, b in zip(p, left, strict=True))
                for left in lefts
                for p in ways
                if all(a <= b for a, b in zip(p, left, strict=True))
            }
    return lefts


def verify(problem: Problem, answer: Solution) -> None:
    """The plan keeps every rule, covers every item exactly and costs what it says."""
    assert answer.patterns is not None
    covered = [0] * len(problem.items)
    used = [0] * len(problem.limits)
    price = 0
    for config_index, counts, times in answer.patterns:
        config = problem.configs[config_index]
        assert times > 0
        assert is_pattern(problem, config, counts), (config, counts)
        price += config.price * times
        for i, n in enumerate(counts):
            covered[i] += n * times
        for row, units in config.limit_use:
            used[row] += units * times
    assert covered == [item.demand for item in problem.items]
    assert all(u <= limit for u, limit in zip(used, problem.limits, strict=True))
    assert price == answer.price
    assert answer.patterns == tuple(sorted(answer.patterns))


@st.composite
def problems(draw: st.DrawFn, *, limits: bool = False, free: bool = False, rules: bool = False) -> Problem:
    number = draw(st.integers(1, 3))
    columns = draw(st.integers(1, 3))
    items = tuple(
        Item(draw(st.integers(0, 3)), tuple(draw(st.lists(st.integers(0, 5), min_size=columns, max_size=columns))))
        for _ in range(number)
    )
    everything = (1 << number) - 1
    configs = [Config(draw(st.integers(1, 30)), (12,) * columns, everything, everything, None, "all")]
    for k in range(draw(st.integers(0, 3))):
        allowed = draw(st.integers(1, everything))
        openers = draw(st.integers(0, everything)) & allowed if rules else allowed
        configs.append(
            Config(
                draw(st.integers(0, 20)),
                tuple(draw(st.lists(st.integers(0, 10), min_size=columns, max_size=columns))),
                allowed,
                openers,
                draw(st.none() | st.integers(0, 4)) if rules else None,
                f"c{k}",
                ((0, draw(st.integers(0, 2))),) if limits else (),
                (draw(st.integers(0, everything)),) if rules and draw(st.booleans()) else (),
            )
        )
    rooms = (
        tuple(
            FreeBin(tuple(draw(st.lists(st.integers(0, 8), min_size=columns, max_size=columns))), everything)
            for _ in range(draw(st.integers(1, 2)))
        )
        if free
        else ()
    )
    return Problem(items, tuple(configs), (draw(st.integers(0, 3)),) if limits else (), 0, rooms)


def check_against_brute_force(problem: Problem) -> None:
    best = cheapest(problem)
    answer = solve(problem)
    verify(problem, answer)
    assert answer.price is not None
    assert answer.bound <= best <= answer.price
    assert lower_bound(problem)[0] <= best
    if answer.proof.startswith("optimal"):
        assert answer.price == best


@settings(max_examples=150, deadline=None)
@given(problems())
def test_bound_optimum_and_price_are_in_order(problem: Problem) -> None:
    check_against_brute_force(problem)


@settings(max_examples=150, deadline=None)
@given(problems(rules=True))
def test_openers_caps_and_exclusions_are_kept(problem: Problem) -> None:
    check_against_brute_force(problem)


@settings(max_examples=150, deadline=None)
@given(problems(limits=True, rules=True))
def test_limits_are_kept(problem: Problem) -> None:
    check_against_brute_force(problem)


@settings(max_examples=100, deadline=None)
@given(problems(free=True))
def test_the_bound_lets_free_room_be_used_for_nothing(problem: Problem) -> None:
    assert lower_bound(problem)[0] <= cheapest(problem)


@settings(max_examples=40, deadline=None)
@given(problems(rules=True, limits=True))
def test_the_same_problem_gives_the_same_answer(problem: Problem) -> None:
    assert solve(problem) == solve(problem)


@settings(max_examples=60, deadline=None)
@given(problems(rules=True), st.integers(0, 80))
def test_only_a_plan_below_the_incumbent_is_returned(problem: Problem, incumbent: int) -> None:
    answer = solve(problem, incumbent=incumbent)
    if answer.patterns is not None:
        verify(problem, answer)
        assert answer.price is not None
        assert answer.price < incumbent or not any(item.demand for item in problem.items)
    assert answer.bound <= cheapest(problem)


@contextmanager
def work(**figures: int) -> Iterator[None]:
    """The solver with other figures for its work, so that small instances take the way of the large ones."""
    before = {name: getattr(generation, name) for name in figures}
    for name, figure in figures.items():
        setattr(generation, name, figure)
    try:
        yield
    finally:
        for name, figure in before.items():
            setattr(generation, name, figure)


@settings(max_examples=200, deadline=None)
@given(problems(rules=True))
def test_pricing_instead_of_listing_keeps_the_laws(problem: Problem) -> None:
    with work(LIST_STATES=0):
        check_against_brute_force(problem)


@settings(max_examples=150, deadline=None)
@given(problems(limits=True, rules=True))
def test_pricing_under_limits_keeps_the_laws(problem: Problem) -> None:
    with work(LIST_STATES=0):
        check_against_brute_force(problem)


@settings(max_examples=150, deadline=None)
@given(problems(rules=True, free=True))
def test_a_search_cut_short_still_gives_a_bound(problem: Problem) -> None:
    with work(LIST_STATES=0, BEAM=2, DEEP=2):
        bound, _ = lower_bound(problem)
    assert bound <= cheapest(problem)


def test_a_free_node_is_not_bought_for_nothing() -> None:
    items = (Item(2, (1,)), Item(1, (0,)))
    configs = (
        Config(2, (12,), 3, 3, None, "all"),
        Config(0, (1,), 1, 1, None, "free"),
        Config(1, (1,), 3, 3, None, "small"),
    )
    answer = solve(Problem(items, configs))
    assert answer.patterns is not None
    assert all(any(pattern.counts) for pattern in answer.patterns)
    assert (answer.price, answer.bound) == (1, 1)


def test_limits_that_leave_no_node_leave_no_plan_but_a_bound() -> None:
    items, config = (Item(2, (1,)),), Config(5, (4,), 1, 1, None, "only", limit_use=((0, 3),))
    answer = solve(Problem(items, (config,), limits=(2,)))
    assert (answer.patterns, answer.price, answer.bound) == (None, None, 5)
