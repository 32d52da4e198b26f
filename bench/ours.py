"""One plan of ours in a process of its own: `python -m bench.ours --packing cost DOCUMENT.json`.

Prints one JSON object: what the plan says, the seconds of the call and the process's highest memory. A process plans
once, so that no cache of an earlier plan makes the next one look fast.
"""

from __future__ import annotations

import argparse
import json
import resource
import time
from pathlib import Path

from bench.objects import Json


def main() -> None:
    """Plan the document and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--packing", choices=["cost", "first-fit"], required=True)
    parser.add_argument("document", type=Path)
    arguments = parser.parse_args()
    document = json.loads(arguments.document.read_text())

    from fretsaw.planner import plan_objects

    started = time.perf_counter()
    plan = plan_objects(document["objects"], document["catalog"], packing=arguments.packing)
    print(json.dumps(figures(plan, time.perf_counter() - started)))


def figures(plan: Json, call_seconds: float) -> Json:
    """The parts of a plan that the tables show."""
    return {
        "seconds": plan["seconds"],
        "callSeconds": call_seconds,
        "peakMemoryBytes": peak_memory(),
        "pricePerHour": plan["pricePerHour"],
        "lowerBoundPerHour": plan["lowerBoundPerHour"],
        "gap": plan["gap"],
        "nodes": len(plan["nodes"]),
        "unschedulable": len(plan["unschedulable"]),
    }


def peak_memory() -> int:
    """The highest resident size of this process in bytes.

    Linux hands the parent's mark down in ru_maxrss, so /proc is read first.
    """
    try:
        status = Path("/proc/self/status").read_text()
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return next(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmHWM:"))


if __name__ == "__main__":
    main()
