"""The lines of a trace: what stands in them, what is written once, and what is said of lines that are none."""

from __future__ import annotations

import gzip
import json
import re
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from fretsaw.api.catalog import Catalog, InstanceType, Offering
from fretsaw.api.meta import ObjectMeta
from fretsaw.api.pod import Container, Pod, PodSpec, PodStatus
from fretsaw.engine import actions as a
from fretsaw.engine import events as e
from fretsaw.engine.options import Options
from fretsaw.errors import UserError
from fretsaw.trace.codec import Reader, TraceError, Writer
from fretsaw.trace.files import reading, writing
from support.traces import ROOT, START, Script

SPEC = PodSpec(containers=(Container(name="main", image="img"),))
POD = Pod(metadata=ObjectMeta(name="train-0", namespace="ml", labels={"z": "1", "a": "2"}), spec=SPEC)
RUNNING = replace(POD, spec=replace(SPEC, node_name="n1"), status=PodStatus(phase="Running"))


def told(script: Script) -> list[dict[str, Any]]:
    return [json.loads(line) for line in script.lines()][1:]


def test_the_first_line_says_what_it_is_and_with_which_options() -> None:
    head = json.loads(Script(seed=7).lines()[0])
    assert head["trace"] == 1
    assert head["about"] == {"scenario": "by hand", "seed": 7, "start": START}
    assert head["options"]["placing"]["packing"] == "cost"


def test_an_object_is_told_whole_once_and_then_by_what_changed() -> None:
    other = replace(POD, metadata=replace(POD.metadata, name="train-1"))
    gone = e.Gone("Pod", "ml/train-0")
    assert told(Script().told(e.Changed(POD), e.Changed(RUNNING), e.Changed(other), gone, e.Changed(POD))) == [
        {"spec": 0, "is": {"containers": [{"name": "main", "image": "img"}]}},
        {"time": START, "event": "Changed", "obj": {"kind": "Pod", "key": "ml/train-0", "is": {"metadata": {"name": "train-0", "namespace": "ml", "labels": {"z": "1", "a": "2"}}, "spec": {}}, "spec": 0}},
        {"time": START, "event": "Changed", "obj": {"kind": "Pod", "key": "ml/train-0", "set": {"status": {"phase": "Running"}}, "spec": 0, "node": "n1"}},
        {"time": START, "event": "Changed", "obj": {"kind": "Pod", "key": "ml/train-1", "is": {"metadata": {"name": "train-1", "namespace": "ml", "labels": {"z": "1", "a": "2"}}, "spec": {}}, "spec": 0}},
        {"time": START, "event": "Gone", "kind": "Pod", "key": "ml/train-0"},
        {"time": START, "event": "Changed", "obj": {"kind": "Pod", "key": "ml/train-0", "is": {"metadata": {"name": "train-0", "namespace": "ml", "labels": {"z": "1", "a": "2"}}, "spec": {}}, "spec": 0}},
    ]  # fmt: skip


def test_turns_facts_and_sets_have_their_lines() -> None:
    script = (
        Script()
        .at(1.5)
        .decided(a.Evict("ml/p", "u", "n", "Drifted"), notes=(e.BatchOpened(1, 2, frozenset("ba")),), wake=9)
    )
    script.decided().fact("pod-bound", "Pod/ml/p", node="n").told(e.InstancesListed(frozenset(("i-2", "i-1"))))
    assert told(script) == [
        {
            "time": START + 1500,
            "turn": {
                "actions": [{"action": "Evict", "pod": "ml/p", "uid": "u", "node": "n", "reason": "Drifted"}],
                "notes": [{"event": "BatchOpened", "first": 1, "last": 2, "pods": ["a", "b"]}],
                "wake": 9,
            },
        },
        {"time": START + 1500, "turn": {}},
        {"time": START + 1500, "fact": "pod-bound", "about": "Pod/ml/p", "data": {"node": "n"}},
        {"time": START + 1500, "event": "InstancesListed", "providerIds": ["i-1", "i-2"]},
    ]


# Catalogs


def catalog(*prices: float, memory: str = "8Gi") -> Catalog:
    """A type for each price."""
    return Catalog(
        [
            InstanceType(f"t{i}", {"cpu": "4", "memory": memory}, {}, {}, [Offering("z", "spot", price)])
            for i, price in enumerate(prices)
        ],
        region="r",
    )


def catalog_lines(*catalogs: Catalog) -> list[dict[str, Any]]:
    lines = told(Script().told(*(e.CatalogRead(("p",), one) for one in catalogs)))
    return [line for line in lines if line.get("event") != "CatalogRead"]


def test_catalogs_share_types_sizes_and_offerings() -> None:
    first, second = catalog_lines(catalog(1.0, 2.0), catalog(1.0, 2.0, memory="16Gi"))[-2:]
    assert second == {"size": 1, "is": {"capacity": {"cpu": "4", "memory": "16Gi"}, "overhead": {}}} or first
    kinds = [next(iter(line)) for line in catalog_lines(catalog(1.0, 2.0), catalog(1.0, 2.0, memory="16Gi"))]
    assert kinds == ["type", "size", "offerings", "type", "offerings", "catalog", "size", "catalog"]


def test_the_same_catalog_read_again_is_not_written_again() -> None:
    same = catalog(1.0, 2.0)
    assert len(catalog_lines(same, same, catalog(1.0, 2.0))) == len(catalog_lines(same))


def test_a_catalog_with_one_new_price_is_told_by_that() -> None:
    before = catalog(1.0, 2.0, 3.0)
    changed = replace(before.instance_types[1], offerings=[Offering("z", "spot", 2.5)])
    after = replace(before, instance_types=[before.instance_types[0], changed, before.instance_types[2]])
    *_, offerings, last = catalog_lines(before, after)
    assert offerings == {"offerings": 3, "is": [{"zone": "z", "capacityType": "spot", "price": 2.5}]}
    assert last == {
        "catalog": 1,
        "like": 0,
        "types": {"1": [1, 0, 3]},
        "is": {"region": "r", "asOf": "", "instanceTypes": [], "notes": []},
    }


def test_catalogs_that_come_in_turn_are_each_known() -> None:
    """More node classes than the writer compares with: a catalog that it has forgotten is written once more."""
    many = [catalog(float(i), memory=f"{i}Gi") for i in range(1, 12)]
    script = Script().told(*(e.CatalogRead(("p",), one) for one in (*many, *many)))
    assert [line.event.catalog for line in Reader(script.lines()) if isinstance(line.event, e.CatalogRead)] == [
        *many,
        *many,
    ]


# Files


def write(path: Path) -> None:
    with writing(path, Options(), {"seed": 1}) as writer:
        writer.event(START, e.InstanceGone("i-1"))


@pytest.mark.parametrize("name", ["a.jsonl", "a.jsonl.gz"])
def test_files_are_packed_by_their_name_and_unpacked_by_their_content(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    write(path)
    assert (path.read_bytes()[:2] == b"\x1f\x8b") == name.endswith(".gz")
    moved = path.rename(tmp_path / "renamed")
    with reading(str(moved)) as reader:
        assert [line.event for line in reader] == [e.InstanceGone("i-1")]


def test_equal_runs_give_equal_packed_bytes(tmp_path: Path) -> None:
    write(tmp_path / "a.gz")
    write(tmp_path / "b.gz")
    assert (tmp_path / "a.gz").read_bytes() == (tmp_path / "b.gz").read_bytes()


def test_what_was_written_before_an_error_is_there(tmp_path: Path) -> None:
    path = tmp_path / "a.gz"

    def broken() -> None:
        with writing(path, Options(), {}) as writer:
            writer.event(START, e.InstanceGone("i-1"))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        broken()
    assert gzip.decompress(path.read_bytes()).count(b"\n") == 2


def test_a_place_where_nothing_can_be_written_is_the_users_error(tmp_path: Path) -> None:
    with (
        pytest.raises(UserError, match=r"no/a.gz: cannot be written: No such file or directory"),
        writing(tmp_path / "no" / "a.gz", Options(), {}),
    ):
        pass


HEAD = Script().lines()[0]
WRONG = [
    ([], "<trace>:1: no trace: the file is empty"),
    ([b"\n"], "<trace>:1: no trace: an empty line"),
    ([b"scenario: x\n"], "<trace>:1: not JSON"),
    ([b"[1]\n"], "<trace>:1: not a JSON object: [1]"),
    ([b"{}\n"], "<trace>:1: no trace: its first line does not say so"),
    ([b'{"trace": 2}\n'], "<trace>:1: a trace of another version than 1: 2"),
    ([b'{"trace": 1}\n'], "<trace>:1: it lacks 'options'"),
    ([b'{"trace": 1, "options": {"batch_idle": "x"}}\n'], "<trace>:1: Expected `int`, got `str`"),
    ([HEAD, b"\n", b'{"time": 1\n'], "<trace>:3: not JSON"),
    ([HEAD, b"\xff\xfe{}\n"], "<trace>:2: not JSON"),
    ([HEAD, b'{"time": "x", "event": "Gone"}\n'], "<trace>:2: Expected `int`, got `str`"),
    ([HEAD, b'{"time": 1, "event": "Boom"}\n'], "<trace>:2: no such event: Boom"),
    ([HEAD, b'{"time": 1, "event": "Gone", "kind": "Pod"}\n'], "<trace>:2: Object missing required field `key`"),
    ([HEAD, b'{"time": 1, "event": "Changed", "obj": {"kind": "Pot", "key": "a", "is": {}}}\n'], "<trace>:2: no such kind: Pot"),
    ([HEAD, b'{"time": 1, "event": "Changed", "obj": {"kind": "Pod", "key": "a", "set": {}}}\n'], "<trace>:2: Pod a is changed, and no line before has told it whole"),
    ([HEAD, b'{"time": 1, "event": "Changed", "obj": {"kind": "Pod", "key": "a", "is": {}, "spec": 4}}\n'], "<trace>:2: spec 4 is used, and no line before has defined it"),
    ([HEAD, b'{"time": 1, "event": "CatalogRead", "pools": [], "catalog": 2}\n'], "<trace>:2: catalog 2 is used"),
    ([HEAD, b'{"time": 1, "event": "Changed"}\n'], "<trace>:2:"),
    ([HEAD, b'{"time": 1, "turn": {"actions": [{"action": "Fly"}]}}\n'], "<trace>:2: no such action: Fly"),
    ([HEAD, b'{"time": 1, "turn": {"actions": [4]}}\n'], "<trace>:2:"),
    ([HEAD, b'{"time": 1, "turn": []}\n'], "<trace>:2:"),
    ([HEAD, b'{"time": 1}\n'], "<trace>:2: Object missing required field `fact`"),
    ([HEAD, b'{"time": 1, "fact": 3, "about": "x"}\n'], "<trace>:2:"),
    ([HEAD, b'{"nothing": 1}\n'], "<trace>:2: it says neither what happened, nor what a number stands for"),
    ([HEAD, b'{"catalog": 1, "types": [[0, 0, 0]], "is": {"instanceTypes": []}}\n'], "<trace>:2: type 0 is used"),
]  # fmt: skip


@pytest.mark.parametrize(("lines", "message"), WRONG)
def test_a_line_that_is_none_of_a_trace_is_named(lines: list[bytes], message: str) -> None:
    with pytest.raises(TraceError) as error:
        list(Reader(lines))
    assert str(error.value).startswith(message)
    assert str(error.value).endswith("(a file that `fretsaw simulate --trace` has written)")
    assert "\n" not in str(error.value)


def test_a_packed_file_that_ends_too_early_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.gz"
    path.write_bytes(gzip.compress(b"".join([HEAD, *[b'{"time":1,"turn":{}}\n'] * 5000]))[:-30])
    with (
        pytest.raises(TraceError, match=r"a.gz:\d+: the packed file ends in the middle or is damaged"),
        reading(str(path)) as reader,
    ):
        list(reader)


@pytest.mark.parametrize("name", ["missing.jsonl", "."])
def test_a_file_that_cannot_be_read_is_the_users_error(name: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot be read"), reading(str(tmp_path / name)):
        pass


def test_the_writer_takes_lines_one_by_one() -> None:
    lines: list[bytes] = []
    writer = Writer(lines.append, Options(), {})
    writer.event(START, e.InstanceGone("i"))
    assert [line.count(b"\n") for line in lines] == [1, 1]
    assert all(line.endswith(b"\n") for line in lines)


# The page

PAGE = (ROOT / "docs" / "trace.md").read_text(encoding="utf-8")


def test_the_lines_of_the_page_can_be_read() -> None:
    lines = [line for block in re.findall(r"```json\n(.*?)```", PAGE, re.S) for line in block.splitlines()]
    assert lines[0].startswith('{"trace":1,')
    spec = b'{"spec":3,"is":{}}'
    found = list(Reader([HEAD, spec, *(line.encode() for line in lines[1:])]))
    assert [type(one.event or one.turn).__name__ for one in found] == [
        "InstanceCreated",
        "Turn",
        "Changed",
        "Changed",
        "Changed",
    ]


def test_the_page_names_every_event_and_action() -> None:
    for kind in (*e.AnyEvent.__args__, *a.AnyAction.__args__):
        assert f"`{kind.__name__}`" in PAGE


def test_the_page_shows_the_lines_of_a_story_as_they_are_printed() -> None:
    shown = re.findall(r"```text\n(.*?)```", PAGE, re.S)[0].splitlines()
    printed = (ROOT / "tests" / "golden" / "story-claim-80.txt").read_text(encoding="utf-8").splitlines()
    assert [line for line in shown if line.strip() not in ("", "…") and line not in printed] == []
