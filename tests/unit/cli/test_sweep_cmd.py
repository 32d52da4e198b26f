"""`fretsaw sweep`: grids, what is kept and not run again, the table, wrong input, interrupts."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pyarrow.parquet as parquet
import pytest

from fretsaw.cli.main import run
from fretsaw.sim.many.rows import ROWS
from fretsaw.sim.simulation import Simulation
from support import tiny

AFTER = "nodepool/gpu.spec.disruption.consolidateAfter"


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tiny.files(tmp_path)


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The seeds of the runs that are really made."""
    seeds: list[int] = []
    ordinary = Simulation.run

    def counted(self: Simulation, *given: Any) -> None:
        seeds.append(self.seed)
        ordinary(self, *given)

    monkeypatch.setattr(Simulation, "run", counted)
    return seeds


def sweep(*arguments: object, code: int = 0) -> None:
    assert run(["sweep", *map(str, arguments), "-j", "1"]) == code


def test_a_grid_of_settings_and_seeds(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sweep(
        file, "--set", f"{AFTER}=1m,10m", "--set", "cluster.settings.packing=cost,first-fit", "--runs", 2, "-o", "json"
    )
    found = json.loads(capsys.readouterr().out)
    assert (found["seeds"], found["file"]) == ([1, 2], "tiny.sweep/results.parquet")
    packings = "cluster.settings.packing"
    assert [point["set"] for point in found["points"]] == [
        {AFTER: after, packings: packing} for after in ("1m", "10m") for packing in ("cost", "first-fit")
    ]
    assert [point["best"] for point in found["points"]] == [True, False, False, False]
    table = parquet.read_table(file.parent / "tiny.sweep" / "results.parquet").to_pylist()
    assert [(row[AFTER], row[packings], row["seed"]) for row in table] == [
        (after, packing, seed) for after in ("1m", "10m") for packing in ("cost", "first-fit") for seed in (1, 2)
    ]
    # Nodes that wait ten minutes for more work are paid for longer, on every seed.
    hours = {(row[AFTER], row[packings], row["seed"]): row["gpu_hours"] for row in table}
    assert all(
        hours["1m", packing, seed] < hours["10m", packing, seed] for packing in ("cost", "first-fit") for seed in (1, 2)
    )
    metric = next(m for m in found["points"][0]["metrics"] if m["name"] == "GPU hours")
    assert metric["mean"] == pytest.approx((hours["1m", "cost", 1] + hours["1m", "cost", 2]) / 2)


def test_a_second_start_runs_only_what_is_missing(
    file: Path, runs: list[int], capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = (file, "--set", f"{AFTER}=1m,10m", "--out", "kept", "--format", "csv", "-o", "json")
    sweep(*arguments, "--runs", 1)
    first = capsys.readouterr()
    assert runs == [1, 1]
    sweep(*arguments, "--runs", 1)
    again = capsys.readouterr()
    assert runs == [1, 1]
    assert again.out == first.out
    assert again.err == "note: 2 of 2 runs are known from an earlier start\n"

    sweep(*arguments, "--runs", 2)  # another seed
    assert runs == [1, 1, 2, 2]
    sweep(file, "--set", f"{AFTER}=10m,30m", *arguments[3:], "--runs", 2)  # another point
    assert runs == [1, 1, 2, 2, 1, 2]
    sweep(*arguments, "--runs", 1, "--for", "30m")  # another length
    assert len(runs) == 8
    pool = file.parent / "pool.yaml"
    pool.write_text(pool.read_text().replace("WhenEmpty", "WhenEmptyOrUnderutilized"))
    sweep(*arguments, "--runs", 1)  # another manifest
    assert len(runs) == 10


def test_rows_of_a_broken_file_are_run_again_and_give_the_same(
    file: Path, runs: list[int], capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = (file, "--runs", 3, "--out", "kept", "--format", "csv")
    sweep(*arguments)
    results = (file.parent / "kept" / "results.csv").read_text()
    rows = file.parent / "kept" / ROWS
    rows.write_text("".join(rows.read_text().splitlines(keepends=True)[:2])[:-30])
    sweep(*arguments)
    assert runs == [1, 2, 3, 2, 3]
    assert (file.parent / "kept" / "results.csv").read_text() == results


def test_the_table_marks_the_best(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sweep(file, "--set", f"{AFTER}=10m,1m", "--runs", 3, "--best", "GPU hours", "--format", "csv")
    out, err = capsys.readouterr()
    lines = out.splitlines()
    assert lines[0].split()[:3] == ["consolidateAfter", "cost", "GPU"]
    assert "10m" in lines[1]
    assert "✓" not in lines[1]
    assert lines[2].split()[:2] == ["✓", "1m"]
    assert "±" in lines[1]
    assert f"best: {AFTER}=1m (by GPU hours)" in out
    assert out.endswith("All runs: tiny.sweep/results.csv\n")
    assert err == ""


def test_one_point_without_settings(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sweep(file, "--runs", 2, "--seed", 5, "--format", "csv")
    with (file.parent / "tiny.sweep" / "results.csv").open(newline="") as stream:
        assert [row["seed"] for row in csv.DictReader(stream)] == ["5", "6"]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--set", "cluster.settings.packin=cost"], 'unknown path: "packin" (did you mean cluster.settings.packing?)'),
        (["--set", "cluster.settings.packing=cost,costly"], "--set cluster.settings.packing=costly: cluster.settings.packing: not a known value"),
        (["--set", "nodepool/gpu.spec.weight=5,500"], "--set nodepool/gpu.spec.weight=500: nodepool/gpu spec.weight: is too large"),
        (["--set", "seed=1,2"], "the seed is no setting"),
        (["--set", "for=1h,2h", "--for", "1h"], "contradict each other"),
        (["--best", "costs"], '--best: no such figure: "costs" (did you mean cost?)'),
        (["--executor", "ray"], "Ray is not installed"),
        (["--runs", "0"], "0 is not in the range x>=1"),
    ],
)  # fmt: skip
def test_wrong_input_is_told_before_anything_runs(
    file: Path, arguments: list[str], told: str, runs: list[int],
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.setitem(sys.modules, "ray", None)
    sweep(file, *arguments, code=2)
    assert told in capsys.readouterr().err
    assert runs == []
    assert not (file.parent / "tiny.sweep").exists()


def test_what_a_setting_makes_doubtful_is_told_once(
    file: Path, runs: list[int], capsys: pytest.CaptureFixture[str]
) -> None:
    memory = "work[1].make.spec.template.spec.containers[0].resources.requests.memory"
    sweep(file, "--set", f"{memory}=1Gi,100m", "--set", f"{AFTER}=1m,2m", "--runs", 1, "--format", "csv")
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert err.startswith(f"warning: --set {memory}=100m {AFTER}=1m: job/tune spec.template.spec.containers[0].")
    assert "a fraction of a byte" in err
    assert runs == [1, 1, 1, 1]


def test_without_pyarrow_csv_is_offered_before_anything_runs(
    file: Path, runs: list[int], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    sweep(file, code=2)
    told = "error: --format parquet: pyarrow is not installed (pip install 'fretsaw[sweep]', or --format csv)\n"
    assert capsys.readouterr().err == told
    sweep(file, "--runs", 1, "--format", "csv")
    assert runs == [1]


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
def test_an_interrupt_ends_at_once_and_keeps_what_is_done(file: Path) -> None:
    file.write_text(file.read_text().replace("for: 1h", "for: 3h"))
    arguments = [sys.executable, "-m", "fretsaw", "sweep", str(file), "--runs", "500", "-j", "2", "--format", "csv"]
    process = subprocess.Popen(
        arguments,
        cwd=file.parent,
        start_new_session=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # A shell's background jobs ignore Ctrl-C, and hand that on.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    rows = file.parent / "tiny.sweep" / ROWS
    until = time.monotonic() + 60
    while not (rows.exists() and rows.read_text().count("\n")) and time.monotonic() < until:
        time.sleep(0.05)
        assert process.poll() is None
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: all processes get it
    began = time.monotonic()
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert time.monotonic() - began < 10
    assert err.startswith("warning: interrupted after ")
    assert err.count("\n") == 1
    assert "All runs: tiny.sweep/results.csv" in out
    with (file.parent / "tiny.sweep" / "results.csv").open(newline="") as stream:
        assert len(list(csv.DictReader(stream))) == rows.read_text().count("\n") > 0
