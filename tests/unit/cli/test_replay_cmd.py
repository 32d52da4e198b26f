"""`fretsaw replay`: what it says of a trace that is decided again, and of one that was changed."""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path

import pytest

from fretsaw.cli import main
from support import tiny
from support.traces import recorded_file


@pytest.fixture(scope="module")
def trace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Half an hour of one pool."""
    folder = tmp_path_factory.mktemp("tiny")
    return recorded_file(tiny.files(folder), folder / "run.jsonl", seed=2, hours=0.75)


@pytest.fixture(autouse=True)
def wide(monkeypatch: pytest.MonkeyPatch) -> None:
    """Outputs are 100 cells wide."""
    monkeypatch.setenv("COLUMNS", "100")


def changed(trace: Path, tmp_path: Path, old: bytes, new: bytes, where: bytes) -> tuple[Path, int]:
    """The trace with one line changed, the first that has `where`, and the line's number."""
    lines = trace.read_bytes().splitlines(keepends=True)
    number = next(i for i, line in enumerate(lines) if where in line and old in line)
    lines[number] = lines[number].replace(old, new, 1)
    path = tmp_path / "changed.jsonl"
    path.write_bytes(b"".join(lines))
    return path, number + 1


def test_a_trace_is_decided_as_recorded(trace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run(["replay", str(trace)]) == 0
    out, err = capsys.readouterr()
    assert out.startswith("Decided as recorded: ")
    assert " turns on " in out
    assert err == ""


def test_standard_input_may_be_packed(trace: Path) -> None:
    import gzip

    packed = gzip.compress(trace.read_bytes())
    done = subprocess.run(
        [sys.executable, "-m", "fretsaw", "replay", "-"], input=packed, capture_output=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.startswith(b"Decided as recorded: ")


def test_an_event_that_was_changed_is_shown_with_what_follows_from_it(
    trace: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """EC2 says that it had nothing: the claim is deleted instead of marked as launched."""
    lines = trace.read_bytes().splitlines(keepends=True)
    number = next(i for i, line in enumerate(lines) if b'"event":"InstanceCreated"' in line)
    claim = lines[number].split(b'"claim":"')[1].split(b'"')[0]
    time = lines[number].split(b'"time":')[1].split(b",")[0]
    lines[number] = b'{"time":%b,"event":"LaunchRefused","claim":"%b","kind":"InsufficientCapacity"}\n' % (time, claim)
    path = tmp_path / "changed.jsonl"
    path.write_bytes(b"".join(lines))
    assert main.run(["replay", str(path), "--most", "1"]) == 1
    out = capsys.readouterr().out
    name = claim.decode()
    assert f"  now   delete nodeclaim/{name} (insufficient_capacity)\n" in out
    assert f"  then  write nodeclaim/{name}\n" in out
    assert f"  just before: EC2 refused an instance for nodeclaim/{name}\n" in out
    assert f"  the story of nodeclaim/{name} until then:\n" in out
    assert "EC2 refused: InsufficientCapacity" in out
    assert "1 turn decided otherwise, out of " in out
    assert "The rest was not looked at (see --most)." in " ".join(out.split())


def test_a_decision_that_was_changed_is_shown_by_its_field(
    trace: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, number = changed(trace, tmp_path, b'"reason":"empty"', b'"reason":"boredom"', b'"action":"DeleteClaim"')
    assert main.run(["replay", str(path)]) == 1
    out = capsys.readouterr().out
    assert f", line {number}\n" in out
    assert "(boredom): reason\n    then  boredom\n    now   empty\n" in out
    assert out.splitlines()[-1].startswith("1 turn decided otherwise, out of ")


def test_another_time_for_the_next_look_is_a_difference(
    trace: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line = next(line for line in trace.read_bytes().splitlines() if b'"wake":' in line)
    wake = line.split(b'"wake":')[1].rstrip(b"}")
    path, _ = changed(trace, tmp_path, b'"wake":' + wake, b'"wake":%d' % (int(wake) + 7000), b'"wake":')
    assert main.run(["replay", str(path)]) == 1
    out = capsys.readouterr().out
    assert "  the next look\n    then  at +" in out
    assert "    now   at +" in out


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("kind: Pod\n", "bad:1: not JSON: JSON is malformed"),
        ('{"trace": 9}\n', "bad:1: a trace of another version than 1: 9 (a file that"),
        ("", "bad:1: no trace: the file is empty"),
    ],
)
def test_a_file_that_is_no_trace_is_wrong_input(
    content: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "bad").write_text(content)
    assert main.run(["replay", str(tmp_path / "bad")]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert message in err


def test_a_line_in_the_middle_that_is_wrong_is_named(
    trace: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, number = changed(trace, tmp_path, b'"event":"Changed"', b'"event":"Chnaged"', b'"kind":"Pod"')
    assert main.run(["replay", str(path)]) == 2
    assert f"changed.jsonl:{number}: no such event: Chnaged" in capsys.readouterr().err


def test_the_difference_needs_no_wide_terminal(
    trace: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "50")
    path, _ = changed(trace, tmp_path, b'"reason":"empty"', b'"reason":"boredom"', b'"action":"DeleteClaim"')
    assert main.run(["replay", str(path)]) == 1
    out = capsys.readouterr().out
    assert max(len(line) for line in io.StringIO(out).read().splitlines()) <= 50
