"""The peer as a process: build the Go program once, then run it on a document."""

from __future__ import annotations

import json
import shutil
import statistics
import subprocess
import sys
from pathlib import Path

from bench.objects import Json

HERE = Path(__file__).parent / "peer"
BINARY = HERE / "peer"


def build() -> Path | None:
    """The peer's program, built where its sources are newer; None, with a message, where that cannot be done."""
    sources = [HERE / "main.go", HERE / "world.go", HERE / "go.mod", HERE / "go.sum"]
    if BINARY.exists() and all(BINARY.stat().st_mtime >= source.stat().st_mtime for source in sources):
        return BINARY
    if shutil.which("go") is None:
        print("the peer is skipped: Go is not installed (https://go.dev/dl, 1.26 or newer)", file=sys.stderr)
        return None
    print("building the peer: some minutes the first time", file=sys.stderr)
    command = ["go", "build", "-o", BINARY.name, "."]
    done = subprocess.run(command, cwd=HERE, capture_output=True, text=True, check=False)
    if done.returncode:
        print(f"the peer is skipped: go build failed:\n{done.stderr.strip()}", file=sys.stderr)
        return None
    return BINARY


def run(binary: Path, document: Path, runs: int, timeout_s: int) -> Json:
    """Figures of `runs` runs on the document, in one process; raises CalledProcessError when the program fails."""
    command = [str(binary), "-runs", str(runs), "-timeout", f"{timeout_s}s", str(document)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    answer = json.loads(done.stdout)
    return {"peer": answer["peer"], "runs": [_figures(each) for each in answer["runs"]]}


def _figures(run: Json) -> Json:
    kept = ("seconds", "solveSeconds", "pricePerHour", "peakMemoryBytes")
    figures = {key: run[key] for key in kept}
    figures["nodes"] = len(run["nodes"])
    figures["unschedulable"] = len(run["unschedulable"])
    figures["timedOut"] = run.get("timedOut", False)
    return figures


def mean(peer: Json, key: str) -> float:
    """The mean of one figure over the runs."""
    return statistics.fmean(run[key] for run in peer["runs"])
