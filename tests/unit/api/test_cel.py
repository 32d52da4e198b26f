"""CEL as the API server runs it: dialect, errors, old values, and which items are named."""

from typing import Any

import pytest

from fretsaw.api import cel
from fretsaw.api.schema import RULES, Schema, rule


@pytest.mark.parametrize(
    ("expression", "value", "truth"),
    [
        ("self.find('^[^/]*') == 'a.b'", "a.b/c", True),
        ("self.find('[0-9]+') == ''", "abc", True),
        ("self.find('b$') == ''", "b\n", True),
        ("int(self) >= 0", "+5", True),
        ("int(self) >= 0", " 5", False),
        ("int(self) >= 0", "9223372036854775808", False),
        ("self.absent == 1", {}, False),
        ("!has(self.absent) || self.absent == 1", {}, True),
        ("self", "no bool", False),
    ],
)
def test_the_dialect(expression: str, value: Any, truth: bool) -> None:
    assert cel.holds(expression, value) is truth


def test_a_rule_that_does_not_compile_is_an_error_of_ours() -> None:
    with pytest.raises(Exception, match="Syntax error"):
        cel.compiled("self.all(")


def _list_of(kind: str, *rules: Schema) -> Schema:
    item = {"type": "object", "properties": {"k": {"type": "string"}, "v": {"type": "integer", RULES: list(rules)}}}
    return {"type": "array", "items": item, "x-kubernetes-list-type": kind, "x-kubernetes-list-map-keys": ["k"]}


SAME = rule("self == oldSelf", "is immutable")


def test_transition_rules_need_an_old_value() -> None:
    node = {"type": "string", RULES: [SAME]}
    assert cel.broken_rules("b", node, []) == []
    assert cel.broken_rules("b", node, [], "b") == []
    assert [p.message for p in cel.broken_rules("b", node, [], "a")] == ["is immutable"]


def test_old_items_correspond_by_key_in_maps_and_not_at_all_in_atomic_lists() -> None:
    new, old = [{"k": "b", "v": 2}, {"k": "a", "v": 1}], [{"k": "a", "v": 1}, {"k": "b", "v": 3}]
    assert [p.path for p in cel.broken_rules(new, _list_of("map", SAME), [], old)] == ["[0].v"]
    assert cel.broken_rules(new, _list_of("atomic", SAME), [], old) == []


def test_the_items_that_break_a_rule_for_all_are_named() -> None:
    node = {"type": "array", "items": {"type": "integer"}, RULES: [rule("self.all(i, i > 0)", "must be positive")]}
    assert [(p.path, p.seen) for p in cel.broken_rules([1, -1, 2, 0], node, [])] == [("[1]", "-1"), ("[3]", "0")]


def test_rules_wait_for_the_schema_but_for_the_items_that_are_in_order() -> None:
    node = {"type": "array", "items": {"type": "integer"}, RULES: [rule("self.all(i, i > 0)", "must be positive")]}
    assert [p.path for p in cel.broken_rules(["x", -1], node, [(0,)])] == ["[1]"]
    assert cel.broken_rules(["x", -1], node, [()]) == []


def test_a_rule_on_a_whole_list_names_the_list() -> None:
    node = {"type": "array", "items": {"type": "integer"}, RULES: [rule("self.size() < 2", "one only")]}
    assert [(p.path, p.seen, p.by) for p in cel.broken_rules([1, 2], node, [])] == [("", "", "rule")]
