"""Laws of the trace: what is written is read, exactly, whatever it is; equal runs give equal bytes."""

from __future__ import annotations

import io
import json
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from fretsaw.api.catalog import Catalog
from fretsaw.api.kinds import KINDS
from fretsaw.api.meta import Object
from fretsaw.api.node import Node
from fretsaw.api.nodeclaim import NodeClaim
from fretsaw.api.nodepool import NodePool
from fretsaw.api.pod import Pod, PodSpec
from fretsaw.engine import actions as a
from fretsaw.engine import events as e
from fretsaw.engine.options import Options
from fretsaw.engine.state import SEEN
from fretsaw.engine.turn import Turn
from fretsaw.trace.codec import Fact, Reader, Writer
from fretsaw.trace.patch import difference, patched
from support.structs import TEXTS, structs, values

EVENTS = e.AnyEvent.__args__
ACTIONS = a.AnyAction.__args__
KNOWN = [kind.load_struct() for kind in KINDS.values() if kind.name in SEEN]
TIMES = st.integers(0, 2**53)
Told = tuple[int, e.Event | Turn | Fact]


@st.composite
def objects(draw: st.DrawFn, *kinds: type[Object]) -> Object:
    """An object of one of two names, so that the same one comes again in another state."""
    kind = draw(st.sampled_from(kinds or KNOWN))
    obj = draw(structs(kind))
    metadata = replace(obj.metadata, name=draw(st.sampled_from("ab")), namespace=draw(st.sampled_from(("", "ml"))))
    return replace(obj, metadata=metadata)


def decisions(kind: type[msgspec.Struct]) -> st.SearchStrategy[Any]:
    """Events or actions of a type; their objects come again and again, catalogs are shared."""
    fields = {field.name: field for field in msgspec.structs.fields(kind)}
    own = {
        name: objects(*(() if field.type is Object else (field.type,)))
        for name, field in fields.items()
        if field.type in (Object, NodeClaim, Node, NodePool)
    }
    if kind is e.CatalogRead:
        own["catalog"] = st.none() | structs(Catalog)
    if kind is e.Gone:
        own |= {"kind": st.sampled_from(sorted(SEEN)), "key": st.sampled_from(("a", "ml/a", "default/b"))}
    return st.builds(kind, **{name: own[name] if name in own else values(field.type) for name, field in fields.items()})


ANY_EVENT = st.one_of(*map(decisions, EVENTS))
TURNS = st.builds(
    Turn,
    st.lists(st.one_of(*map(decisions, ACTIONS)), max_size=3).map(tuple),
    st.lists(ANY_EVENT, max_size=3).map(tuple),
    st.none() | TIMES,
)
FACTS = st.builds(
    Fact, TEXTS, TEXTS, st.dictionaries(TEXTS, TEXTS | st.integers(-9, 9) | st.lists(TEXTS, max_size=2), max_size=3)
)
RUNS = st.lists(st.tuples(TIMES, st.one_of(ANY_EVENT, TURNS, FACTS)), max_size=8)


def written(run: list[Told]) -> bytes:
    out = io.BytesIO()
    writer = Writer(out.write, Options(), {"scenario": "law"})
    for at, what in run:
        match what:
            case Turn():
                writer.turn(at, what)
            case Fact(name, about, data):
                writer.fact(at, name, about, data)
            case _:
                writer.event(at, what)
    return out.getvalue()


def read(text: bytes) -> list[Told]:
    found: list[Told] = []
    for line in Reader(io.BytesIO(text)):
        what = line.event or line.turn or line.fact
        assert what is not None
        found.append((line.at, what))
    return found


@settings(max_examples=30, deadline=None)
@given(run=RUNS)
def test_what_is_written_is_read(run: list[Told]) -> None:
    text = written(run)
    assert read(text) == run
    assert written(read(text)) == text


@pytest.mark.parametrize("kind", [*EVENTS, *ACTIONS], ids=lambda kind: kind.__name__)
@settings(max_examples=6, deadline=None)
@given(data=st.data())
def test_every_event_and_action_comes_back(kind: type[msgspec.Struct], data: st.DataObject) -> None:
    several = data.draw(st.lists(decisions(kind), min_size=1, max_size=3))
    run: list[Told] = [(1, Turn((one,)) if isinstance(one, a.Action) else one) for one in several]
    assert read(written(run)) == run


@settings(max_examples=30, deadline=None)
@given(states=st.lists(objects(Pod, NodeClaim, Node), min_size=2, max_size=2), data=st.data())
def test_the_difference_of_two_versions_makes_the_newer_from_the_older(
    states: list[Object], data: st.DataObject
) -> None:
    old, new = states
    new = new if type(new) is type(old) else data.draw(objects(type(old)))
    changes = json.loads(msgspec.json.encode(difference(old, new)))
    made = patched(old, changes)
    assert made == new
    assert list(made.metadata.labels) == list(new.metadata.labels)
    assert difference(new, new) == {}


@settings(max_examples=20, deadline=None)
@given(options=structs(Options))
def test_the_options_of_the_run_come_back(options: Options) -> None:
    out = io.BytesIO()
    Writer(out.write, options, {})
    assert Reader(io.BytesIO(out.getvalue())).options == options


@settings(max_examples=20, deadline=None)
@given(
    specs=st.lists(structs(PodSpec), min_size=1, max_size=3),
    nodes=st.lists(st.sampled_from(("", "n1", "n2")), min_size=3, max_size=6),
)
def test_pods_of_equal_specs_share_one_object_again(specs: list[PodSpec], nodes: list[str]) -> None:
    pods = [Pod(spec=replace(specs[i % len(specs)], node_name=node)) for i, node in enumerate(nodes)]
    pods = [replace(pod, metadata=replace(pod.metadata, name=f"p{i}")) for i, pod in enumerate(pods)]
    found = [line.event.obj for line in Reader(io.BytesIO(written([(1, e.Changed(pod)) for pod in pods])))]  # type: ignore[union-attr]
    assert found == pods
    for one in found:
        for other in found:
            if (
                one.spec == other.spec
                and not one.spec.node_name
                and msgspec.json.encode(one.spec) == msgspec.json.encode(other.spec)
            ):
                assert one.spec is other.spec


@settings(max_examples=20, deadline=None)
@given(
    catalogs=st.lists(structs(Catalog), min_size=1, max_size=3),
    order=st.lists(st.integers(0, 2), min_size=1, max_size=6),
)
def test_a_catalog_is_written_once_and_read_as_one_object(catalogs: list[Catalog], order: list[int]) -> None:
    given_ = [catalogs[i % len(catalogs)] for i in order]
    text = written([(1, e.CatalogRead(("p",), catalog)) for catalog in given_])
    found = [line.event.catalog for line in Reader(io.BytesIO(text))]  # type: ignore[union-attr]
    assert found == given_
    assert text.count(b'{"catalog":') == len({msgspec.json.encode(catalog) for catalog in given_})
    for one, first in zip(found, given_, strict=True):
        for other, second in zip(found, given_, strict=True):
            assert (one is other) == (msgspec.json.encode(first) == msgspec.json.encode(second))
