"""Renews the tables of docs/scenarios.md: what each scenario that is shipped shows, and its figures.

Run `python docs/scenarios.py` after a change of the simulator or of a scenario. No figure of the tables is written by
hand; a test compares them with the runs that it makes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fretsaw import planner
from fretsaw.api.times import DAY, HOUR, Millis
from fretsaw.sim.scenario.expect import shown
from fretsaw.sim.scenario.read import read

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "scenarios.md"
FOLDER = ROOT / "scenarios"
HEAD = (
    "| scenario | what it shows | virtual time | nodes | cost, $ | saved by spot | longest wait | interrupted pods "
    "| disrupted nodes |\n|---|---|--:|--:|--:|--:|--:|--:|--:|"
)
_TABLE = re.compile(r"<!-- (\w) -->\n.*?<!-- end -->", re.S)


def main() -> None:
    """Run all scenarios and write their tables."""
    rows = {path: row(path, planner.simulation(read(path)), run=True) for path in files()}
    PAGE.write_text(with_tables(PAGE.read_text(encoding="utf-8"), rows), encoding="utf-8")


def files() -> list[Path]:
    """The scenarios that are shipped: first those of the guide, then those of its troubleshooting table."""
    return sorted(FOLDER.rglob("*.yaml"), key=lambda path: (len(path.parts), path.stem))


def row(path: Path, simulation: Any, *, run: bool = False) -> str:
    """A scenario's line in its table. run: it has yet to be run."""
    if run:
        simulation.run()
    scenario, result = simulation.scenario, simulation.result()
    cells = (_link(path), scenario.why, length(scenario.for_), *figures(result))
    return f"| {' | '.join(cells)} |"


def figures(result: Mapping[str, Any]) -> tuple[str, ...]:
    """The key figures of a run, as the table shows them."""
    cost, workloads = result["cost"], result["pods"]["byWorkload"]
    saved = f"{100 * (1 - cost['total'] / cost['allOnDemand']):.0f} %" if cost["spot"] else "–"
    interrupted = sum(workload["interruptions"] for workload in workloads)
    return (
        str(result["nodes"]["launched"]),
        f"{cost['total']:.2f}",
        saved,
        shown(result["pods"]["waitSeconds"]["max"], "duration"),
        str(interrupted or "–"),
        str(sum(result["disruptions"].values()) or "–"),
    )


def length(for_: Millis) -> str:
    """A scenario's virtual time in days or hours."""
    return f"{for_ // DAY} d" if for_ >= 2 * DAY and for_ % DAY == 0 else f"{for_ / HOUR:g} h"


def with_tables(page: str, rows: Mapping[Path, str]) -> str:
    """The page with fresh tables: those of the guide where it says `a`, those of its troubleshooting where `b`."""
    parts = {
        "a": [text for path, text in rows.items() if path.parent == FOLDER],
        "b": [text for path, text in rows.items() if path.parent != FOLDER],
    }
    return _TABLE.sub(
        lambda found: "\n".join([f"<!-- {found[1]} -->", HEAD, *parts[found[1]], "<!-- end -->"]),
        page,
    )


def _link(path: Path) -> str:
    where = path.relative_to(FOLDER)
    return f"[`{where.stem}`](../scenarios/{where.as_posix()})"


if __name__ == "__main__":
    main()
