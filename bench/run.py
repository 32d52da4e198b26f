"""The benchmark's command: run every mix with ours and with the peer, keep the figures, write the page.

    python -m bench [--quick] [--only PATTERN] [--peer-runs N] [--table-only] [--out FILE]

Each mix is written to a file once; every planner reads that file in a process of its own. An interruption keeps the
figures there are and still writes the page.
"""

from __future__ import annotations

import argparse
import fnmatch
import hashlib
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
if __package__ in (None, ""):  # started as `python bench/run.py`
    sys.path[0] = str(ROOT)

from bench import karpenter, results, table  # noqa: E402  (the path comes first)
from bench.mixes import MissingDataError, Mix, all_mixes  # noqa: E402
from bench.objects import Json  # noqa: E402

FIGURES = ROOT / "bench" / "out"
PACKINGS = ("first-fit", "cost")
QUICK_PODS = 500
LONGEST_S = 600


def main(argv: list[str] | None = None) -> int:
    """Run the benchmark; 0 when all is measured, 1 when a planner failed or was stopped, 2 when no mix was meant."""
    arguments = _arguments(argv)
    mixes = all_mixes(arguments.catalog)
    complete = True
    if not arguments.table_only:
        chosen = [mix for mix in mixes if _wanted(mix, arguments)]
        if not chosen:
            names = ", ".join(mix.name for mix in mixes)
            print(f"--only {arguments.only}: no such mix (known: {names})", file=sys.stderr)
            return 2
        try:
            complete = _run_all(chosen, arguments)
        except KeyboardInterrupt:
            print("interrupted: the page shows what was measured so far", file=sys.stderr)
            complete = False
    text = table.page(mixes, FIGURES)
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(text)
    print(f"wrote {arguments.out}", file=sys.stderr)
    return 0 if complete else 1


def _arguments(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description="Fretsaw and Karpenter on the same inputs.")
    parser.add_argument("--quick", action="store_true", help=f"mixes of at most {QUICK_PODS} pods, two peer runs")
    parser.add_argument("--only", metavar="PATTERN", help="mixes whose name matches, such as 'gpu-*-200'")
    parser.add_argument(
        "--peer-runs", type=int, metavar="N", help="runs of the peer for each mix (0: keep its last ones)"
    )
    parser.add_argument("--catalog", type=Path, metavar="FILE", help="a catalog file in place of the shipped one")
    parser.add_argument("--table-only", action="store_true", help="make the page again from the figures in bench/out")
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "benchmarks.md", help="the page to write")
    return parser.parse_args(argv)


def _wanted(mix: Mix, arguments: argparse.Namespace) -> bool:
    if arguments.quick and mix.pods > QUICK_PODS:
        return False
    return arguments.only is None or fnmatch.fnmatch(mix.name, arguments.only)


def _run_all(mixes: list[Mix], arguments: argparse.Namespace) -> bool:
    binary = None if arguments.peer_runs == 0 else karpenter.build()
    results.save(FIGURES, results.ENVIRONMENT, results.environment())
    complete = True
    with tempfile.TemporaryDirectory() as folder:
        for number, mix in enumerate(mixes, start=1):
            started = time.perf_counter()
            ok = _run_mix(mix, binary, _peer_runs(mix, arguments), Path(folder) / "document.json")
            complete = complete and ok
            note = "" if ok else " (not complete)"
            print(f"[{number}/{len(mixes)}] {mix.name}: {time.perf_counter() - started:.1f} s{note}", file=sys.stderr)
    return complete


def _peer_runs(mix: Mix, arguments: argparse.Namespace) -> int:
    if arguments.peer_runs is not None:
        return int(arguments.peer_runs)
    return min(mix.peer_runs, 2) if arguments.quick else mix.peer_runs


def _run_mix(mix: Mix, binary: Path | None, peer_runs: int, document: Path) -> bool:
    """Measure one mix and keep its figures; False when a planner failed. A mix whose data is absent is skipped."""
    try:
        text = json.dumps(mix.make())
    except MissingDataError as why:
        print(f"{mix.name} is skipped: {why}", file=sys.stderr)
        return True
    document.write_text(text)
    figures: Json = {"mix": mix.name, "pods": mix.pods, "date": results.today(), "document": _digest(text)}
    figures["ours"] = {packing: _ours(packing, document) for packing in PACKINGS}
    asked_peer = binary is not None and peer_runs > 0
    figures["peer"] = _peer(binary, document, peer_runs) if binary and asked_peer else _last_peer(figures)
    results.save(FIGURES, f"{mix.name}.json", figures)
    return None not in figures["ours"].values() and not (asked_peer and figures["peer"] is None)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _last_peer(figures: Json) -> Json | None:
    """The peer's earlier figures, if they are of the very same document."""
    last = results.load(FIGURES, f"{figures['mix']}.json")
    return last["peer"] if last and last["document"] == figures["document"] else None


def _ours(packing: str, document: Path) -> Json | None:
    command = [sys.executable, "-m", "bench.ours", "--packing", packing, str(document)]
    started = time.perf_counter()
    try:
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=LONGEST_S, check=True)
    except subprocess.TimeoutExpired:
        print(f"ours, {packing}: no plan within {LONGEST_S} s", file=sys.stderr)
        return None
    except subprocess.CalledProcessError as failed:
        last_lines = "\n".join(failed.stderr.strip().splitlines()[-3:])
        print(f"ours, {packing}: failed:\n{last_lines}", file=sys.stderr)
        return None
    figures: Json = json.loads(done.stdout)
    figures["processSeconds"] = time.perf_counter() - started
    return figures


def _peer(binary: Path, document: Path, runs: int) -> Json | None:
    try:
        return karpenter.run(binary, document, runs, LONGEST_S)
    except subprocess.CalledProcessError as failed:
        print(f"the peer failed with exit code {failed.returncode}", file=sys.stderr)
        return None


if __name__ == "__main__":
    sys.exit(main())
