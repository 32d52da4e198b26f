"""`fretsaw story`: output, exit codes and messages."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from fretsaw.cli import main
from golden import lives
from support.traces import Script

GOLDEN = Path(__file__).parents[2] / "golden"


@pytest.fixture
def trace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The trace of the golden stories; outputs are 80 cells wide."""
    monkeypatch.setenv("COLUMNS", "80")
    return lives.script().save(tmp_path / "t.jsonl")


def test_tells_one_life(trace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run(["story", str(trace), "nodeclaim/gpu-a1"]) == 0
    assert capsys.readouterr() == ((GOLDEN / "story-claim-80.txt").read_text(encoding="utf-8"), "")


def test_lists_all_without_a_name(trace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run(["story", str(trace)]) == 0
    assert capsys.readouterr().out == (GOLDEN / "story-all-80.txt").read_text(encoding="utf-8")


def test_no_color_prints_the_same_letters(
    trace: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert main.run(["story", str(trace), "pod/ml/web-0"]) == 0
    coloured = capsys.readouterr().out
    monkeypatch.setenv("NO_COLOR", "1")
    assert main.run(["story", str(trace), "pod/ml/web-0"]) == 0
    plain = capsys.readouterr().out
    assert "\x1b[36m" in coloured
    assert "\x1b[36m" not in plain


def test_json_has_the_sentences_with_seconds(trace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run(["story", str(trace), "node/ip-10-0-0-2", "-o", "json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["object"] == "nodeclaim/gpu-b2"
    assert told["sentences"][3] == {
        "at": 90017.0,
        "text": "EC2 gave g4dn.xlarge, spot, us-east-1b, at $0.311/h",
        "tookSeconds": 2.0,
    }
    assert told["summary"] == "g4dn.xlarge, spot, us-east-1b, ran 59m 30s, 0 pods, $0.31, still there"


def test_json_lists_objects_with_their_summaries(trace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run(["story", str(trace), "-o", "json"]) == 0
    objects = json.loads(capsys.readouterr().out)["objects"]
    assert [one["object"] for one in objects[:3]] == ["nodepool/gpu", "nodeclaim/gpu-a1", "nodeclaim/gpu-b2"]
    assert objects[3] == {"object": "node/system-1", "summary": "m5.large, there for 1d 2h, 1 pod, still there"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["nodeclaim/gpu-b3"],
            "error: the trace knows no such nodeclaim: nodeclaim/gpu-b3 (did you mean nodeclaim/gpu-b2?)\n",
        ),
        (["gpu"], "error: no kind that has a story: gpu (did you mean nodepool/gpu?)\n"),
    ],
)
def test_an_unknown_name_is_wrong_input(
    arguments: list[str], message: str, trace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main.run(["story", str(trace), *arguments]) == 2
    assert capsys.readouterr() == ("", message)


def test_a_file_that_is_no_trace_is_wrong_input(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "pool.yaml").write_text("kind: NodePool\n")
    assert main.run(["story", str(tmp_path / "pool.yaml")]) == 2
    assert f"error: {tmp_path}/pool.yaml:1: not JSON" in capsys.readouterr().err


def test_an_empty_run_has_nothing_to_list(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run(["story", str(Script().save(tmp_path / "t.jsonl"))]) == 0
    assert capsys.readouterr().out == "by hand, seed 1: 0s of cluster life\n"
