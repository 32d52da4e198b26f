"""The laws of requirements: a set algebra with one canonical form, equal to trying values one by one."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fretsaw.api.labels import HOSTNAME
from fretsaw.engine.requirement import MAX_INT, Requirement
from fretsaw.engine.requirements import Conflict, Requirements
from support import plain_requirements as plain

VALUES = (
    "a",
    "b",
    "",
    "0",
    "1",
    "2",
    "3",
    "5",
    "05",
    "+5",
    "-1",
    "-01",
    "5.0",
    "0x5",
    " 5",
    "1_0",
    "9223372036854775808",
)
BOUNDS = (0, 1, 2, 3, 5, 6)
KEYS = ("x", "y", "z")
laws = settings(max_examples=200, derandomize=True, deadline=None, database=None)


def _rules() -> st.SearchStrategy[plain.Rule]:
    some = st.lists(st.sampled_from(VALUES), max_size=4, unique=True).map(tuple)
    bound = st.sampled_from(BOUNDS).map(lambda n: (str(n),))
    return st.one_of(
        st.tuples(st.sampled_from(("In", "NotIn")), some),
        st.tuples(st.sampled_from(("Exists", "DoesNotExist")), st.just(())),
        st.tuples(st.sampled_from(("Gt", "Lt", "Gte", "Lte")), bound),
    )


def _made(rules: plain.Rules, key: str = "x") -> Requirement:
    whole = Requirement.of(key, "Exists")
    for operator, values in rules:
        whole = whole & Requirement.of(key, operator, values)
    return whole


conjunctions = st.lists(_rules(), max_size=4).map(tuple)
small = st.builds(
    Requirement.of,
    st.just("x"),
    st.sampled_from(("In", "NotIn")),
    st.lists(st.sampled_from(VALUES), max_size=3).map(tuple),
    st.one_of(st.none(), st.integers(1, 3)),
)
requirements = st.one_of(conjunctions.map(_made), small)


def _all_values() -> tuple[str, ...]:
    """Every value that could tell the sets apart."""
    numbers = [str(n) for n in range(-3, 10)]
    padded = [n.replace("-", "-0") if n.startswith("-") else "0" + n for n in numbers]
    big = [str(MAX_INT), str(-MAX_INT - 1), str(MAX_INT + 1)]
    return (*VALUES, *numbers, *padded, *big, plain.FRESH)


UNIVERSE = _all_values()


@laws
@given(conjunctions)
def test_a_set_has_the_values_that_satisfy_every_expression(rules: plain.Rules) -> None:
    requirement = _made(rules)
    assert {v: requirement.has(v) for v in UNIVERSE} == {v: plain.has(rules, v) for v in UNIVERSE}


@laws
@given(conjunctions, conjunctions)
def test_an_intersection_has_what_both_have(a: plain.Rules, b: plain.Rules) -> None:
    both, left, right = _made(a) & _made(b), _made(a), _made(b)
    assert all(both.has(v) == (left.has(v) and right.has(v)) for v in UNIVERSE)


@laws
@given(requirements, requirements)
def test_overlap_is_a_non_empty_intersection(a: Requirement, b: Requirement) -> None:
    assert a.overlaps(b) == bool(a & b) == b.overlaps(a)


@laws
@given(conjunctions, conjunctions)
def test_overlap_finds_a_value_that_both_have(a: plain.Rules, b: plain.Rules) -> None:
    assert _made(a).overlaps(_made(b)) == plain.overlap(a, b)


@laws
@given(requirements, requirements, requirements)
def test_intersection_is_commutative_associative_and_idempotent(a: Requirement, b: Requirement, c: Requirement) -> None:
    assert a & b == b & a
    assert (a & b) & c == a & (b & c)
    assert a & a == a
    assert hash(a & b) == hash(b & a)


@laws
@given(requirements)
def test_exists_changes_nothing_and_does_not_exist_leaves_nothing(a: Requirement) -> None:
    assert a & Requirement.of("x", "Exists") == a
    assert a & Requirement.of("x", "DoesNotExist") == Requirement("x", min_values=a.min_values)


@laws
@given(conjunctions, conjunctions)
def test_sets_with_the_same_values_are_equal_and_hash_alike(a: plain.Rules, b: plain.Rules) -> None:
    left, right = _made(a), _made(b)
    same = all(plain.has(a, v) == plain.has(b, v) for v in UNIVERSE)
    assert (left == right) == same
    assert not same or hash(left) == hash(right)


def test_every_pair_of_two_expressions_over_three_values_is_canonical() -> None:
    """Few values and all pairs, so that many sets coincide."""
    singles: list[plain.Rules] = [((op, (n,)),) for op in ("Gt", "Lt", "Gte", "Lte") for n in "012"]
    singles += [((op, v),) for op in ("In", "NotIn") for k in range(3) for v in itertools.combinations("012", k)]
    sets = [(*a, *b) for a, b in itertools.combinations_with_replacement(singles, 2)]
    by_values: dict[tuple[bool, ...], set[Requirement]] = {}
    for rules in sets:
        by_values.setdefault(tuple(plain.has(rules, v) for v in UNIVERSE), set()).add(_made(rules))
    assert [group for group in by_values.values() if len(group) > 1] == []
    assert len(by_values) < len(sets) / 3


EXISTS, NOTHING = Requirement.of("x", "Exists"), Requirement.of("x", "DoesNotExist")
OF = Requirement.of


@pytest.mark.parametrize(
    ("a", "b"),
    [
        pytest.param(OF("x", "Gt", ["4"]), OF("x", "Gte", ["5"]), id="more than four is at least five"),
        pytest.param(OF("x", "Lt", ["4"]), OF("x", "Lte", ["3"]), id="less than four is at most three"),
        pytest.param(OF("x", "NotIn"), EXISTS, id="nothing excluded is Exists"),
        pytest.param(OF("x", "In"), NOTHING, id="nothing listed is DoesNotExist"),
        pytest.param(OF("x", "Gt", ["4"]) & OF("x", "Lt", ["5"]), NOTHING, id="no integer between"),
        pytest.param(OF("x", "Gt", [str(MAX_INT)]), NOTHING, id="nothing is above the largest integer"),
        pytest.param(
            OF("x", "NotIn", ["3", "a"]) & OF("x", "Gt", ["4"]), OF("x", "Gt", ["4"]), id="outside the bounds, dropped"
        ),
        pytest.param(OF("x", "In", ["3", "a", "7"]) & OF("x", "Gt", ["4"]), OF("x", "In", ["7"]), id="bounds applied"),
        pytest.param(OF("x", "In", ["b", "a", "a"]), OF("x", "In", ["a", "b"]), id="order and repetition"),
        pytest.param(OF("x", "In", ["a"]) & OF("x", "In", ["b"]), NOTHING, id="nothing in common"),
    ],
)
def test_one_set_has_one_form(a: Requirement, b: Requirement) -> None:
    assert a == b
    assert hash(a) == hash(b)
    assert str(a) == str(b)


def test_keys_and_min_values_tell_sets_apart() -> None:
    assert OF("x", "In", ["a"]) != OF("y", "In", ["a"])
    assert OF("x", "In", ["a"]) != OF("x", "In", ["a"], 1)
    assert OF("x", "In", ["a"]) != "x In [a]"


@pytest.mark.parametrize(("a", "b", "both"), [(None, None, None), (2, None, 2), (None, 3, 3), (2, 3, 3), (3, 2, 3)])
def test_the_larger_min_values_stays(a: int | None, b: int | None, both: int | None) -> None:
    assert (OF("x", "Exists", (), a) & OF("x", "In", ["v"], b)).min_values == both


def test_min_values_outlive_a_contradiction() -> None:
    none_left = OF("x", "Gt", ["4"], 3) & OF("x", "Lt", ["3"], 2)
    assert (none_left.operator, none_left.min_values) == ("DoesNotExist", 3)


@laws
@given(requirements)
def test_min_values_can_be_lowered_without_touching_the_set(a: Requirement) -> None:
    lowered = a.without_min_values(1)
    assert lowered.min_values == 1
    assert lowered.without_min_values() == a.without_min_values()


@pytest.mark.parametrize(
    ("rules", "operator", "absence_will_do"),
    [
        ((("In", ("a",)),), "In", False),
        ((("In", ()),), "DoesNotExist", True),
        ((("NotIn", ("a",)),), "NotIn", True),
        ((("NotIn", ()),), "Exists", False),
        ((("Exists", ()),), "Exists", False),
        ((("DoesNotExist", ()),), "DoesNotExist", True),
        ((("Gt", ("1",)),), "Exists", False),
        ((("Gt", ("1",)), ("NotIn", ("7",))), "NotIn", True),
        ((("Gt", ("1",)), ("NotIn", ("0",))), "Exists", False),
        ((("NotIn", ("a",)), ("In", ("a", "b"))), "In", False),
    ],
)
def test_the_operator_follows_from_the_set(rules: plain.Rules, operator: str, absence_will_do: bool) -> None:
    requirement = _made(rules)
    assert (requirement.operator, requirement.forbids) == (operator, absence_will_do)


@laws
@given(conjunctions)
def test_absence_satisfies_not_in_and_does_not_exist_alone(rules: plain.Rules) -> None:
    requirement = _made(rules)
    assert requirement.forbids == (requirement.operator in ("NotIn", "DoesNotExist")) == plain.absence_will_do(rules)


def test_an_unknown_operator_is_refused() -> None:
    with pytest.raises(ValueError, match="unknown operator 'Near'"):
        OF("x", "Near", ["a"])


@pytest.mark.parametrize(
    ("requirement", "text"),
    [
        (OF("x", "In", ["b", "a"]), "x In [a b]"),
        (OF("x", "NotIn", ["a"]), "x NotIn [a]"),
        (EXISTS, "x Exists"),
        (NOTHING, "x DoesNotExist"),
        (OF("x", "Gt", ["4"]), "x Exists >=5"),
        (OF("x", "Lt", ["4"]), "x Exists <=3"),
        (OF("x", "Gte", ["1"]) & OF("x", "Lte", ["4"]) & OF("x", "NotIn", ["2"]), "x NotIn [2] >=1 <=4"),
        (OF("x", "In", ["e", "d", "c", "b", "a"]), "x In [a b c d e]"),
        (OF("x", "In", "gfedcba"), "x In [a b c d e and 2 others]"),
        (OF("x", "Exists", (), 2), "x Exists minValues 2"),
        (OF("x", "In", ["a", "b"], 2), "x In [a b] minValues 2"),
    ],
)
def test_the_text_form_names_at_most_five_values(requirement: Requirement, text: str) -> None:
    assert str(requirement) == text


# Sets of requirements

needs = st.dictionaries(st.sampled_from(KEYS), st.lists(_rules(), min_size=1, max_size=2).map(tuple), max_size=3)
absent = st.one_of(st.none(), st.frozensets(st.sampled_from(KEYS)))


def _all(wanted: plain.Needs) -> Requirements:
    return Requirements(OF(key, *rule) for key, rules in wanted.items() for rule in rules)


@laws
@given(needs, needs)
def test_merging_intersects_key_by_key(a: plain.Needs, b: plain.Needs) -> None:
    together = _all(a).merged(_all(b))
    expected = plain.merged(a, b)
    assert sorted(r.key for r in together) == sorted(expected)
    for key, rules in expected.items():
        requirement = together.get(key)
        assert requirement is not None
        assert all(requirement.has(v) == plain.has(rules, v) for v in UNIVERSE)
    assert together == _all(b).merged(_all(a)) == _all(expected)
    assert hash(together) == hash(_all(b).merged(_all(a)))
    assert together.merged(together) == together


@laws
@given(needs, needs, absent)
def test_a_conflict_is_what_trying_values_finds(
    a: plain.Needs, b: plain.Needs, may_be_absent: frozenset[str] | None
) -> None:
    node, pod = _all(a), _all(b)
    why = node.conflict(pod, may_be_absent)
    assert (why.key if why else None) == plain.conflict(a, b, may_be_absent)
    assert node.conflict(pod, may_be_absent) == why, "the remembered answer is the same"
    if why is not None:
        assert why.incoming == pod.get(why.key)
        assert why.existing in (None, node.get(why.key))


@laws
@given(needs, needs, needs)
def test_a_set_with_one_more_requirement_is_the_merged_set(a: plain.Needs, b: plain.Needs, c: plain.Needs) -> None:
    base = _all(a)
    for requirement in _all(b):
        base = base.with_(requirement)
    assert base == _all(a).merged(_all(b))
    for requirement in _all(c):
        assert base.replaced(requirement).get(requirement.key) == requirement
        assert requirement.key not in base.without(requirement.key)
        assert len(base.without(requirement.key)) == len(base) - (requirement.key in base)


def _set(*texts: str) -> Requirements:
    """`x In a b` as a requirement, for each text."""
    return Requirements(OF(key, op, values) for key, op, *values in (t.split() for t in texts))


@pytest.mark.parametrize(
    ("node", "pod", "may_be_absent", "conflict"),
    [
        pytest.param(_set("x In a"), _set("x In a b"), frozenset(), None, id="a shared value will do"),
        pytest.param(_set("x In a"), _set("x In b"), frozenset(), "x", id="a shared key without a shared value"),
        pytest.param(_set(), _set("x In a"), frozenset(), "x", id="the node has to define the key"),
        pytest.param(_set(), _set("x Exists"), frozenset(), "x", id="Exists needs the key too"),
        pytest.param(_set(), _set("x Gt 3"), frozenset(), "x", id="so does a comparison"),
        pytest.param(_set(), _set("x NotIn a"), frozenset(), None, id="NotIn holds without the key"),
        pytest.param(_set(), _set("x DoesNotExist"), frozenset(), None, id="DoesNotExist holds without the key"),
        pytest.param(_set(), _set("x In a"), frozenset("x"), None, id="unless the key may come later"),
        pytest.param(_set("x In b"), _set("x In a"), frozenset("x"), "x", id="which does not excuse a conflict"),
        pytest.param(_set("x NotIn a"), _set("x DoesNotExist"), frozenset(), None, id="both hold without the key"),
        pytest.param(_set("x DoesNotExist"), _set("x NotIn a"), frozenset(), None, id="and the other way round"),
        pytest.param(_set("x DoesNotExist"), _set("x DoesNotExist"), frozenset(), None, id="neither wants it"),
        pytest.param(_set("x DoesNotExist"), _set("x Exists"), frozenset(), "x", id="one wants it, one does not"),
        pytest.param(_set("x In a"), _set("x DoesNotExist"), frozenset(), "x", id="it is there and must not be"),
        pytest.param(_set("x Exists"), _set("x DoesNotExist"), frozenset(), "x", id="it must be there and must not"),
        pytest.param(_set("x In a"), _set("x NotIn a"), frozenset(), "x", id="the only value is excluded"),
        pytest.param(_set(), _set("x In a"), None, None, id="no key has to be defined when types are asked"),
        pytest.param(_set("x In b"), _set("x In a"), None, "x", id="but those that are have to agree"),
        pytest.param(_set("y In a"), _set(), frozenset(), None, id="asking for nothing never conflicts"),
        pytest.param(_set("y In b"), _set("x In a", "y In a"), frozenset(), "x", id="unknown keys come first"),
        pytest.param(_set("x Gt 3"), _set("x In 5"), frozenset(), None, id="bounds overlap a value inside"),
        pytest.param(_set("x Gt 3"), _set("x In 3"), frozenset(), "x", id="and none outside"),
    ],
)
def test_what_conflicts(
    node: Requirements, pod: Requirements, may_be_absent: frozenset[str] | None, conflict: str | None
) -> None:
    why = node.conflict(pod, may_be_absent)
    assert (why.key if why else None) == conflict


def test_a_conflict_says_which_side_asks_for_what() -> None:
    assert str(_set("x In b").conflict(_set("x In a"))) == "key x, x In [a] not in x In [b]"
    assert str(_set().conflict(_set("x In a"))) == 'label "x" does not have known values'
    assert _set("x In b").conflict(_set("x In a")) == Conflict("x", OF("x", "In", "a"), OF("x", "In", "b"))


def test_the_text_of_a_set_is_sorted_and_leaves_the_host_name_out() -> None:
    together = Requirements([OF("y", "Exists"), OF(HOSTNAME, "In", ["h"]), OF("x", "In", ["a"])])
    assert str(together) == "x In [a], y Exists"
    assert together.texts() == ("x In [a]", "y Exists")


def test_labels_become_requirements_under_their_new_names() -> None:
    found = Requirements.of_labels({"beta.kubernetes.io/arch": "arm64", "team": "red"})
    assert str(found) == "kubernetes.io/arch In [arm64], team In [red]"


def test_min_values_of_any_key_are_noted() -> None:
    assert Requirements([OF("x", "Exists", (), 2), OF("y", "Exists")]).has_min_values
    assert not _set("x Exists").has_min_values
