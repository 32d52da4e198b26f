"""A reading as a file: what the formats hold, that they load without a word, and that a file is whole or not there."""

from __future__ import annotations

import gzip
import json
import os
import threading
from pathlib import Path
from typing import Any

import pytest

from fretsaw import __version__
from fretsaw.api.manifest import load
from fretsaw.errors import UserError
from fretsaw.live import snapshot
from fretsaw.live.reading import Reading
from support.builders import node, pod, pool

POD = pod("a", container={"env": [{"name": "KEY", "value": "12"}]})
READING = Reading(
    "https://cluster",
    "v1.34.1",
    1_790_000_000_000,
    {"Pod": (POD, pod("b")), "Node": (node("n"),), "NodePool": (pool(),)},
    ("NodeOverlay",),
    ("Job",),
    ("default",),
)


def loaded(folder: Path, name: str, **given: Any) -> list[dict[str, Any]]:
    """The raw objects of a snapshot that was written and read again, in which nothing is wrong."""
    path = folder / name
    snapshot.write(str(path), snapshot.render(READING, name, **given))
    manifests = load([path])
    assert manifests.problems == ()
    return [document.raw for document in manifests.documents]


@pytest.mark.parametrize("name", ["c.yaml", "c.json", "c.yaml.gz", "c.json.gz", "c"])
def test_each_format_holds_the_same(tmp_path: Path, name: str) -> None:
    found = loaded(tmp_path, name)
    assert [tree["metadata"]["name"] for tree in found] == ["a", "b", "n", "main"]
    assert found[1:] == [pod("b"), node("n"), pool()]
    assert found[0]["spec"]["containers"][0]["env"] == [{"name": "KEY", "value": "(removed)"}]


def test_values_stay_where_they_are_asked_for(tmp_path: Path) -> None:
    assert loaded(tmp_path, "c.yaml", with_env=True)[0] == POD


def test_the_head_says_where_it_is_from_and_what_it_lacks() -> None:
    head = snapshot.render(READING).decode().partition("---\n")[0]
    assert head == (
        "# Cluster: https://cluster\n"
        "# Kubernetes: v1.34.1\n"
        "# Taken: 2026-09-21T14:13:20Z\n"
        f"# By fretsaw: {__version__}\n"
        "# Only of the namespaces: default\n"
        "# Left out, not allowed: Job\n"
        "# Left out, not in the cluster: NodeOverlay\n"
    )
    assert json.loads(snapshot.render(READING, "c.json"))["about"] == snapshot.about(READING)


def test_the_same_reading_gives_the_same_bytes() -> None:
    assert snapshot.render(READING, "c.json.gz") == snapshot.render(READING, "c.json.gz")


def test_a_packed_folder_is_read_too(tmp_path: Path) -> None:
    (tmp_path / "c.yaml.gz").write_bytes(snapshot.render(READING, "c.yaml.gz"))
    assert len(load([tmp_path]).documents) == 4


def test_a_packed_file_that_ends_too_early_is_a_problem(tmp_path: Path) -> None:
    path = tmp_path / "c.json.gz"
    path.write_bytes(snapshot.render(READING, "c.json.gz")[:-20])
    assert [problem.message for problem in load([path]).errors] == ["cannot be read: the packed file ends too early"]
    path.write_bytes(gzip.compress(b"x")[:3] + b"nonsense")
    assert len(load([path]).errors) == 1


def test_a_packed_file_is_not_unpacked_without_end(tmp_path: Path) -> None:
    path = tmp_path / "c.json.gz"
    path.write_bytes(gzip.compress(b" " * (65 * 2**20)))
    assert "larger than 64 MiB" in load([path]).errors[0].message


def test_a_file_that_was_there_is_replaced_as_a_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "c.yaml"
    path.write_text("before")

    def fails(self: Path, target: Path) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(Path, "replace", fails)
        with pytest.raises(UserError) as error:
            snapshot.write(str(path), b"after")
    assert str(error.value) == f"{path}: cannot be written: No space left on device"
    assert (path.read_text(), os.listdir(tmp_path)) == ("before", ["c.yaml"])
    snapshot.write(str(path), b"after")
    assert (path.read_text(), os.listdir(tmp_path)) == ("after", ["c.yaml"])


def test_a_folder_that_is_not_there_is_wrong_input(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot be written: No such file"):
        snapshot.write(str(tmp_path / "no" / "c.yaml"), b"")


def test_a_pipe_takes_the_content_and_stays_a_pipe(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    found: list[bytes] = []
    reader = threading.Thread(target=lambda: found.append(path.read_bytes()))
    reader.start()
    snapshot.write(str(path), b"content")
    reader.join(10)
    assert found == [b"content"]
    assert path.is_fifo()
