"""A patch made of two states makes the second of the first, and says no more than that."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from fretsaw.api.meta import Condition, Object, ObjectMeta
from fretsaw.api.node import Node, NodeSpec, Taint
from fretsaw.api.nodeclaim import NodeClaim
from fretsaw.api.nodepool import NodePool
from fretsaw.controllers.patches import difference, locked, patches
from support.api_store import merged
from support.structs import values

TREES = st.recursive(
    st.one_of(st.integers(), st.text(max_size=2), st.booleans(), st.lists(st.integers(), max_size=2)),
    lambda inner: st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=8,
)
MAPS = st.dictionaries(st.sampled_from("abc"), TREES, max_size=3)

QUICK = (Phase.explicit, Phase.reuse, Phase.generate)
"""To shrink a whole object takes minutes."""


@given(MAPS, MAPS)
def test_difference_makes_the_second_of_the_first(before: dict[str, Any], after: dict[str, Any]) -> None:
    found = difference(before, after)
    assert merged(before, found) == after
    assert (found == {}) is (before == after)


@given(MAPS, MAPS, MAPS)
def test_what_others_wrote_beside_it_stays(
    before: dict[str, Any], after: dict[str, Any], other: dict[str, Any]
) -> None:
    theirs = {f"their-{name}": value for name, value in other.items()}
    assert merged({**before, **theirs}, difference(before, after)) == {**after, **theirs}


def _written(obj: Object) -> dict[str, Any]:
    """As the server stores it: conditions have all that they must have."""
    tree: dict[str, Any] = msgspec.to_builtins(obj)
    for condition in tree.get("status", {}).get("conditions", ()):
        condition.setdefault("reason", "")
        condition.setdefault("message", "")
    return tree


@pytest.mark.parametrize("kind", [NodeClaim, Node, NodePool])
@settings(max_examples=100, deadline=None, phases=QUICK)
@given(data=st.data())
def test_both_patches_make_the_object_that_was_meant(kind: type[Object], data: st.DataObject) -> None:
    before, after = data.draw(values(kind)), data.draw(values(kind))
    after = replace(after, metadata=replace(after.metadata, resource_version=before.metadata.resource_version))
    found = patches(before, after)
    stored = _written(before)
    # A server takes the object's own patch without its status, and the status' without the rest.
    assert "status" not in found.own
    assert found.status.keys() <= {"status"}
    stored = merged(stored, found.own)
    stored = merged(stored, found.status)
    assert msgspec.convert(stored, kind) == after


@pytest.mark.parametrize("kind", [NodeClaim, Node, NodePool])
@settings(max_examples=50, deadline=None, phases=QUICK)
@given(data=st.data())
def test_what_has_not_changed_needs_no_patch(kind: type[Object], data: st.DataObject) -> None:
    obj = data.draw(values(kind))
    newer = replace(obj, metadata=replace(obj.metadata, resource_version="other"))
    found = patches(obj, newer)
    assert (found.own, found.status) == ({}, {})


def test_patch_says_only_what_has_changed() -> None:
    before = Node(
        metadata=ObjectMeta(name="n", labels={"a": "1", "b": "2"}, finalizers=("f",), resource_version="7"),
        spec=NodeSpec(taints=(Taint("t", "NoSchedule"),), provider_id="aws:///i-1"),
    )
    after = replace(
        before,
        metadata=replace(before.metadata, labels={"b": "3"}, finalizers=()),
        spec=replace(before.spec, taints=()),
    )
    found = patches(before, after)
    assert found.own == {"metadata": {"finalizers": None, "labels": {"a": None, "b": "3"}}, "spec": {"taints": None}}
    assert found.status == {}
    assert locked(found.own, "7")["metadata"] == {
        "finalizers": None,
        "labels": {"a": None, "b": "3"},
        "resourceVersion": "7",
    }
    assert locked({"spec": {}}, "7") == {"spec": {}, "metadata": {"resourceVersion": "7"}}
    assert locked(found.own, "") == found.own


def test_conditions_are_written_with_what_they_must_have() -> None:
    before = Node(metadata=ObjectMeta(name="n"))
    after = replace(before, status=replace(before.status, conditions=(Condition(type="Ready", status="True"),)))
    condition = {"type": "Ready", "status": "True", "reason": "", "message": ""}
    assert msgspec.to_builtins(patches(before, after).status) == {"status": {"conditions": (condition,)}}
