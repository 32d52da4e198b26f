"""The command keeps what it has: earlier figures of the same document, and a page after an interruption."""

from __future__ import annotations

from pathlib import Path

import pytest
from bench import karpenter, results, run
from bench.objects import Json

OURS: Json = {
    "seconds": 0.1, "processSeconds": 0.2, "peakMemoryBytes": 2**20, "pricePerHour": 1.0,
    "lowerBoundPerHour": 1.0, "gap": 0.0, "nodes": 1, "unschedulable": 0,
}  # fmt: skip
PEER: Json = {"peer": "Karpenter core v1", "runs": [{**OURS, "solveSeconds": 0.1, "timedOut": False}]}


@pytest.fixture
def figures_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(run, "FIGURES", tmp_path / "figures")
    monkeypatch.setattr(
        results, "environment", lambda: {"cpu": "c", "cores": 1, "memoryBytes": 1, "system": "s", "versions": {}}
    )
    monkeypatch.setattr(run, "_ours", lambda packing, document: dict(OURS))
    return tmp_path / "figures"


def bench(tmp_path: Path, *arguments: str) -> int:
    return run.main([*arguments, "--out", str(tmp_path / "page.md")])


def test_peers_figures_stay_when_only_ours_runs_again_on_the_same_document(
    tmp_path: Path, figures_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(karpenter, "build", lambda: Path("peer"))
    monkeypatch.setattr(karpenter, "run", lambda *_: PEER)
    assert bench(tmp_path, "--only", "diverse-100") == 0
    assert bench(tmp_path, "--only", "diverse-100", "--peer-runs", "0") == 0
    assert results.load(figures_folder, "diverse-100.json")["peer"] == PEER


def test_peers_figures_of_another_document_are_dropped(tmp_path: Path, figures_folder: Path) -> None:
    results.save(figures_folder, "diverse-100.json", {"mix": "diverse-100", "document": "other", "peer": PEER})
    assert bench(tmp_path, "--only", "diverse-100", "--peer-runs", "0") == 0
    assert results.load(figures_folder, "diverse-100.json")["peer"] is None


def test_interruption_still_writes_the_page_of_what_was_measured(
    tmp_path: Path, figures_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []

    def interrupted_in_the_second_mix(packing: str, document: Path) -> Json:
        calls.append(packing)
        if len(calls) > len(run.PACKINGS):
            raise KeyboardInterrupt
        return dict(OURS)

    monkeypatch.setattr(run, "_ours", interrupted_in_the_second_mix)
    assert bench(tmp_path, "--only", "diverse-?00", "--peer-runs", "0") == 1
    page = (tmp_path / "page.md").read_text()
    assert "| diverse-100 |" in page
    assert "| diverse-500 |" not in page


def test_failed_planner_shows_in_the_exit_code(
    tmp_path: Path, figures_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run, "_ours", lambda packing, document: None)
    assert bench(tmp_path, "--only", "diverse-100", "--peer-runs", "0") == 1
    assert results.load(figures_folder, "diverse-100.json")["ours"] == {"first-fit": None, "cost": None}


def test_pattern_without_a_mix_names_the_known_ones(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert bench(tmp_path, "--only", "nothing") == 2
    assert "diverse-100" in capsys.readouterr().err
    assert not (tmp_path / "page.md").exists()


def test_quick_leaves_large_mixes_out(tmp_path: Path) -> None:
    assert bench(tmp_path, "--quick", "--only", "diverse-1000") == 2
