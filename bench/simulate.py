"""How fast the virtual cluster and the disruption engine are: `python -m bench.simulate`, part of `make bench`.

Each measurement runs in a process of its own, so that its memory is its own too. The page says how the figures were
had; the peer's fake provider lives in real time, one virtual second a second, which is what the ratios are to.
"""

from __future__ import annotations

import argparse
import fnmatch
import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from fretsaw.api.times import DAY

ROOT = Path(__file__).resolve().parents[1]
FIGURES = ROOT / "bench" / "out" / "simulate.json"
PAGE = ROOT / "docs" / "benchmarks-simulate.md"
OPENB = ROOT / "bench" / "scenarios" / "openb.yaml"
WHOLE = "openb whole"
"""Takes minutes, and so is measured only where it is named: `--only 'openb whole'`."""
DATA = ROOT.parent / "shared" / "data" / "openb-gpu-2023" / "openb_pod_list_default.csv"


def scenario(path: Path, length: int | None = None) -> dict[str, Any]:
    """One run of a scenario file."""
    from fretsaw import planner
    from fretsaw.api.manifest import no_collection
    from fretsaw.sim.scenario.read import read

    reading = read(path)
    run = planner.simulation(reading, length=length)
    started = time.perf_counter()
    with no_collection():
        run.run()
        result = run.result()
    wall = time.perf_counter() - started
    return {
        "virtualSeconds": result["virtualSeconds"],
        "wallSeconds": wall,
        "events": result["events"],
        "turns": run.autoscaler.turns,
        "nodesPeak": result["nodes"]["peak"],
        "pods": result["pods"]["created"],
        "violations": len(result["violations"]),
    }


def consolidation(nodes: int, spare: bool) -> dict[str, Any]:
    """One look of the disruption loop over `nodes` machines with ten pods each, all of them candidates.

    spare: whether the pods leave room elsewhere, so that something can go; else every candidate is asked in vain.
    """
    from bench.cluster import state_of
    from fretsaw.engine.disruption.loop import disrupt
    from fretsaw.engine.options import Options
    from fretsaw.engine.passes import Passes
    from fretsaw.engine.whatif import Asked

    state, now = state_of(nodes, spare=spare)
    options = Options()
    asked = 0

    class Counting(Asked):
        def __call__(self, *args: Any, **more: Any) -> Any:
            nonlocal asked
            asked += 1
            return super().__call__(*args, **more)

    passes = Passes(options.placing)
    started = time.perf_counter()
    passes.ground(state, now)
    prepared = time.perf_counter() - started
    found = disrupt(state, options, now, Counting(passes, state, now))
    wall = time.perf_counter() - started
    return {
        "nodes": nodes,
        "pods": len(state.pods),
        "wallSeconds": wall,
        "prepareSeconds": prepared,
        "questions": asked,
        "found": sum(type(note).__name__ == "CommandProposed" for note in found.notes),
    }


def _cases() -> dict[str, Callable[[], dict[str, Any]]]:
    cases: dict[str, Callable[[], dict[str, Any]]] = {
        "week": lambda: scenario(ROOT / "scenarios" / "gpu-platform-week.yaml"),
        "week first-fit": lambda: scenario(ROOT / "scenarios" / "gpu-platform-week-first-fit.yaml"),
        "openb, 10 of 46 days": lambda: scenario(OPENB, 10 * DAY),
        WHOLE: lambda: scenario(OPENB),
    }
    for nodes in (10, 100, 1000):
        for spare in (False, True):
            name = f"round {nodes} {'with room' if spare else 'full'}"
            cases[name] = lambda nodes=nodes, spare=spare: consolidation(nodes, spare)  # type: ignore[misc]
    for nodes, minutes in ((10, 60), (30, 60), (100, 60), (300, 20), (1000, 12)):
        cases[f"growth {nodes}"] = lambda nodes=nodes, minutes=minutes: growth(nodes, minutes)  # type: ignore[misc]
    return cases


def growth(nodes: int, minutes: int) -> dict[str, Any]:
    """A cluster that grows to about `nodes` machines and churns: ten pods a node, each ten minutes long."""
    from bench.cluster import churning

    return scenario(churning(nodes, minutes))


def main(argv: list[str] | None = None) -> int:
    """Measure, keep the figures, write the page; 2 where nothing was meant."""
    parser = argparse.ArgumentParser(prog="python -m bench.simulate")
    parser.add_argument("--only", metavar="PATTERN", help="measurements whose name matches, such as 'round *'")
    parser.add_argument("--table-only", action="store_true", help="make the page again from the kept figures")
    parser.add_argument("--one", metavar="NAME", help=argparse.SUPPRESS)
    arguments = parser.parse_args(argv)
    if arguments.one:
        figures = _cases()[arguments.one]()
        figures["peakMiB"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
        print(json.dumps(figures))
        return 0
    known: dict[str, Any] = json.loads(FIGURES.read_text()) if FIGURES.exists() else {}
    if not arguments.table_only:
        names = [name for name in _cases() if fnmatch.fnmatch(name, arguments.only or "*")]
        names = [name for name in names if name != WHOLE or arguments.only]
        if not names:
            print(f"--only {arguments.only}: known: {', '.join(_cases())}", file=sys.stderr)
            return 2
        for name in names:
            _measure(name, known)
    _write(known)
    return 0


def _measure(name: str, known: dict[str, Any]) -> None:
    if name.startswith("openb") and not DATA.exists():
        print(f"{name}: left out, {DATA} is not there", file=sys.stderr)
        return
    command = [sys.executable, "-m", "bench.simulate", "--one", name]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        print(f"{name}: failed\n{done.stderr}", file=sys.stderr)
        return
    known[name] = {**json.loads(done.stdout.splitlines()[-1]), "on": time.strftime("%Y-%m-%d")}
    print(f"{name}: {known[name]}", file=sys.stderr)
    FIGURES.parent.mkdir(parents=True, exist_ok=True)
    FIGURES.write_text(json.dumps(known, indent=1) + "\n")


def _write(known: dict[str, Any]) -> None:
    PAGE.write_text("\n".join(_page(known)) + "\n")
    print(f"wrote {PAGE}", file=sys.stderr)


def _page(known: dict[str, Any]) -> list[str]:
    """The page, from the figures."""
    lines = [
        "# Benchmarks of the simulator",
        "",
        "Written by `python -m bench.simulate` (part of `make bench`). One process for each line, 2 cores, a machine",
        "that others use too: look at the ratios. Karpenter's fake provider lives in real time, so that *faster than",
        "real time* is also how much sooner the same cluster life is had here.",
        "",
        "## Runs",
        "",
        "| run | virtual time | wall time | faster than real time | events a second | pods | nodes at once | memory |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name, f in known.items():
        if "virtualSeconds" in f:
            ratio, rate = f["virtualSeconds"] / f["wallSeconds"], f["events"] / f["wallSeconds"]
            times = f"{f['virtualSeconds'] / 3600:,.1f} h | {f['wallSeconds']:.1f} s | {ratio:,.0f} × | {rate:,.0f}"
            lines.append(f"| {name} | {times} | {f['pods']:,} | {f['nodesPeak']:,} | {f['peakMiB']} MiB |")
    lines += [
        "",
        "*week* is the GPU platform's, with each packing. *openb* is a trace of 8,152 pods over 46 days, on an",
        "autoscaled cluster. Its first 10 days are run here, since a day takes longer the more machines there are: the",
        "whole trace takes minutes, and `--only 'openb whole'` measures it. *growth* is a cluster that",
        "comes to so many machines and churns, with ten pods of ten minutes on each.",
        "",
        "## A round of consolidation",
        "",
        "Every machine is a candidate. *Full*: most are asked about in vain, which is the most work. *With room*: the",
        "first that can go is found.",
        "",
        "| machines | pods | | questions | wall time | of it preparation |",
        "|---|---|---|---|---|---|",
    ]
    for name, f in known.items():
        if name.startswith("round "):
            kind = "with room" if "with room" in name else "full"
            lines.append(
                f"| {f['nodes']:,} | {f['pods']:,} | {kind} | {f['questions']:,} | {f['wallSeconds']:.2f} s | "
                f"{f['prepareSeconds']:.2f} s |"
            )
    return lines


if __name__ == "__main__":
    sys.exit(main())
