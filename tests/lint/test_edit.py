"""Edits change what they are about and nothing else: comments, order, quotes and other documents stay."""

from __future__ import annotations

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from fretsaw.api.manifest import parse
from fretsaw.lint.edit import Place, edited
from fretsaw.lint.found import Append, Drop, Edit, Set, Substitute

TEXT = """\
# a pool
apiVersion: karpenter.sh/v1   # today's
kind: NodePool
metadata:
  name: "gpu"
spec:
  # limits come first here
  limits: {nvidia.com/gpu: '4'}

  disruption:
    budgets:
      # one at a time
      - nodes: '1'   # always
      - nodes: "0"
        schedule: '@daily'
        duration: 1h
    # the end of it
  text: |
    a_b / a_b_c
    > 0.9
---
kind: Other
"""


def one(text: str, edit: Edit, number: int = 0) -> str:
    document = parse(text, "x.yaml").documents[number]
    after, made = edited(text, Place(document), [edit])
    assert made or after == text
    return after


def lines(before: str, after: str) -> tuple[list[str], list[str]]:
    """(lines that went, lines that came)."""
    old, new = before.splitlines(), after.splitlines()
    return [line for line in old if line not in new], [line for line in new if line not in old]


@pytest.mark.parametrize(
    ("edit", "gone", "come"),
    [
        (Set("metadata.name", "gpu-2"), ['  name: "gpu"'], ['  name: "gpu-2"']),
        (Set("kind", "Pool"), ["kind: NodePool"], ["kind: Pool"]),
        (Set("spec.weight", 5), [], ["  weight: 5"]),
        (
            Set("spec.limits.cpu", "8"),
            ["  limits: {nvidia.com/gpu: '4'}"],
            ["  limits: {nvidia.com/gpu: '4', cpu: '8'}"],
        ),
        (
            Set("spec.limits.nvidia.com/gpu", "8"),
            ["  limits: {nvidia.com/gpu: '4'}"],
            ["  limits: {nvidia.com/gpu: '8'}"],
        ),
        (
            Set("spec.disruption.budgets[0].reasons", ["Drifted", "Empty"]),
            [],
            ["        reasons: [Drifted, Empty]"],
        ),
        (Set("spec.disruption.budgets[1].nodes", "2"), ['      - nodes: "0"'], ['      - nodes: "2"']),
        (
            Append("spec.disruption.budgets", {"nodes": "9", "reasons": ["Empty"]}),
            [],
            ["      - nodes: '9'", "        reasons: [Empty]"],
        ),
        (Drop("spec.disruption.budgets[0]"), ["      - nodes: '1'   # always"], []),
        (Drop("spec.limits"), ["  limits: {nvidia.com/gpu: '4'}"], []),
        (Substitute("spec.text", "a_b", "c_d"), ["    a_b / a_b_c"], ["    c_d / a_b_c"]),
    ],
)
def test_an_edit_changes_its_lines_only(edit: Edit, gone: list[str], come: list[str]) -> None:
    after = one(TEXT, edit)
    assert lines(TEXT, after) == (gone, come)


def test_what_is_added_stands_behind_the_last_line_of_its_map_and_before_the_comment_that_follows() -> None:
    after = one(TEXT, Set("spec.disruption.consolidateAfter", "5m"))
    assert "        duration: 1h\n    consolidateAfter: 5m\n    # the end of it\n" in after


def test_a_new_map_is_written_in_lines() -> None:
    after = one("a:\n  b: 1\n", Set("a.c", {"d": {"e": [1, 2], "f": [{"g": 1}]}}))
    assert after == "a:\n  b: 1\n  c:\n    d:\n      e: [1, 2]\n      f:\n        - g: 1\n"


@pytest.mark.parametrize(
    ("text", "edit"),
    [
        ("a: &x {b: 1}\nc: *x\n", Set("c.b", 2)),  # would change a, too
        ("a: 1\na: 2\n", Set("a", 3)),
        ("a:\n", Set("a.b", 1)),
        ("a: |\n  text\n", Set("a", "b")),
        ('{"a": {"b": 1}}', Set("a.c", 1)),
        ("a: [1]\n", Drop("a[0]")),
        ("a: {b: 1}\n", Drop("a.b")),
        ("a: 1\n", Drop("b")),
        ("a: 1\n", Append("a", 1)),
    ],
)
def test_what_is_not_understood_is_left_alone(text: str, edit: Edit) -> None:
    assert one(text, edit) == text


def test_the_second_document_of_a_file_is_edited_without_the_first() -> None:
    after = one(TEXT, Set("kind", "Pool"), number=1)
    assert after == TEXT.replace("kind: Other", "kind: Pool")


def test_a_document_behind_its_marker_and_an_item_of_a_list() -> None:
    assert one("--- {a: 1}\n", Set("a", 2)) == "--- {a: 2}\n"
    listed = "apiVersion: v1\nkind: List\nitems:\n  - kind: A\n    x: 1\n  - kind: B\n    x: 1\n"
    assert one(listed, Set("x", 2), number=1) == listed[:-2] + "2\n"


def test_json_is_changed_only_inside_its_texts() -> None:
    text = '{"panels": [{"expr": "a_b{x=\\"y\\"} > 1"}]}'
    assert one(text, Substitute("panels[0].expr", "a_b", "c")) == text.replace("a_b", "c")


KEYS = st.text("abc", min_size=1, max_size=3)
TREES = st.recursive(
    st.one_of(st.integers(0, 9), st.booleans(), st.text("xyz #:'\"-", max_size=6)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(KEYS, inner, max_size=3)),
    max_leaves=12,
)


@given(tree=st.dictionaries(KEYS, TREES, min_size=1, max_size=4), value=TREES, data=st.data())
def test_after_an_edit_the_tree_is_the_old_one_with_that_change_or_the_text_is_the_old_one(
    tree: dict[str, object], value: object, data: st.DataObject
) -> None:
    flow = data.draw(st.sampled_from([None, False]))
    text = yaml.safe_dump(tree, default_flow_style=flow, sort_keys=False)
    key = data.draw(st.one_of(st.sampled_from(sorted(tree)), KEYS))
    after = one(text, Set(key, value))
    assert yaml.safe_load(after) in (yaml.safe_load(text), {**yaml.safe_load(text), key: value})
