"""How fast `fretsaw run` is on a real control plane: `make bench-live`, which writes docs/benchmarks-run.md.

A Deployment of 10, 500 and 5,000 pods on an empty cluster, with the fake provider and the fake kubelet, each time with
a fresh control plane; then five minutes with 500 nodes and 5,000 pods in which nothing happens. CPU and memory are
those of the controller's process alone. The peer's figures were measured for it on a machine of this size with its own
fake provider on the same control plane, not in the same run.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import sys
import tempfile
import threading
import time
import urllib.request
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from support.controlplane import ControlPlane, missing  # noqa: E402
from support.controlplane_crds import custom_resources, install  # noqa: E402
from support.live import CLAIMS, Live, Program, cluster, free_port  # noqa: E402

FIGURES = ROOT / "bench" / "out" / "live.json"
PAGE = ROOT / "docs" / "benchmarks-run.md"
SIZES = (10, 500, 5000)
PER_NODE = 10
QUIET_S = 300
PEER_CPU_S, PEER_MIB = 11.5, 308
"""Karpenter v1.14.1 for 5,000 pods."""
TICKS = os.sysconf("SC_CLK_TCK")
SETTINGS = ("--batch-idle-duration=1s", "--batch-max-duration=10s", "--disruption-poll=10s", "--validation-delay=15s")


class Heard:
    """When a watch told of an object for the first time, and of a claim's registration, in seconds of `time.monotonic`;
    and which pods run. Asking for all of 5,000 pods again and again would be a load of its own."""

    def __init__(self, live: Live, path: str) -> None:
        self.first: dict[str, float] = {}
        self.registered: dict[str, float] = {}
        self.running: set[str] = set()
        self._live, self._path = live, path
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        while True:  # the server hangs up on who is too slow for it, and begins with all that there is
            with suppress(OSError):
                self._once()
            time.sleep(0.1)

    def _once(self) -> None:
        for line in self._live.api.watch(self._path):
            at, event = time.monotonic(), json.loads(line)
            if event["type"] == "ERROR":
                return
            name = event["object"]["metadata"].get("name", "")
            if event["type"] == "ADDED":
                self.first.setdefault(name, at)
            if self._live.condition(event["object"], "Registered") == "True":
                self.registered.setdefault(name, at)
            if event["object"].get("status", {}).get("phase") == "Running":
                self.running.add(name)


class Measured:
    """The controller's process, measured from outside."""

    def __init__(self, live: Live) -> None:
        self.port = free_port()
        self.program: Program = live.operator(*SETTINGS, f"--metrics-port={self.port}", user="admin")

    def cpu_s(self) -> float:
        """CPU seconds so far, user and system."""
        fields = Path(f"/proc/{self.program.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

    def peak_mib(self) -> float:
        """The most memory that was resident."""
        found = re.search(r"VmHWM:\s+(\d+)", Path(f"/proc/{self.program.pid}/status").read_text())
        return int(found[1]) / 1024 if found else 0.0

    def calls(self) -> int:
        """Requests to the API server so far."""
        return sum(self.by_kind().values())

    def by_kind(self) -> Counter[str]:
        """The same by what was asked: `PATCH NodeClaim/status`."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/metrics", timeout=60) as answer:
            text = answer.read().decode()
        found: Counter[str] = Counter()
        for labels, number in re.findall(r"^client_go_request_duration_seconds_count\{(.*)\} (\S+)$", text, re.M):
            given = dict(re.findall(r'(\w+)="([^"]*)"', labels))
            sub = given.get("subresource", "")
            found[f"{given['verb']} {given['kind']}{'/' if sub else ''}{sub}"] += int(float(number))
        return found


def growth(live: Live, pods: int, quiet_s: int) -> dict[str, Any]:
    """From a Deployment of so many pods to the last claim, the last registered node, and the last running pod."""
    measured = Measured(live)
    live.until(lambda: live.condition(_pool(live), "Ready") == "True", "the pool is ready", 120)
    made, ordered = Heard(live, "/api/v1/namespaces/default/pods"), Heard(live, CLAIMS)
    cpu, calls = measured.cpu_s(), measured.by_kind()
    live.deployment("web", replicas=pods, namespace="default", pool="bench", cpu="180m", memory="256Mi")
    live.until(lambda: len(made.running) == pods, f"{pods} pods run", 120 + pods / 10, every_s=1)
    time.sleep(2)
    last = max(made.first.values())
    return {
        "pods": pods,
        "nodes": len(ordered.first),
        "claimsS": max(ordered.first.values()) - last,
        "registeredS": max(ordered.registered.values()) - last,
        "calls": (made_by := measured.by_kind() - calls).total(),
        "callsByKind": dict(made_by.most_common()),
        "cpuS": measured.cpu_s() - cpu,
        "cpuWithStartS": measured.cpu_s(),
        "peakMib": measured.peak_mib(),
    } | ({"quiet": quiet(measured, quiet_s)} if pods == SIZES[-1] and quiet_s else {})


def quiet(measured: Measured, seconds: int) -> dict[str, Any]:
    """Five minutes in which nothing happens."""
    time.sleep(60)  # what follows from the growth ends first
    cpu, calls = measured.cpu_s(), measured.calls()
    time.sleep(seconds)
    used = measured.cpu_s() - cpu
    return {
        "seconds": seconds,
        "cpuS": used,
        "share": used / seconds,
        "calls": measured.calls() - calls,
        "peakMib": measured.peak_mib(),
    }


def measured(pods: int, quiet_s: int) -> dict[str, Any]:
    """One size, on a control plane of its own."""
    with tempfile.TemporaryDirectory() as folder, ControlPlane() as plane:
        install(plane.api, custom_resources())
        with cluster(plane, Path(folder), user="admin") as live:
            live.node_class()
            live.pool("bench", types=["m5.large"])
            return growth(live, pods, quiet_s)


def _pool(live: Live) -> dict[str, Any]:
    found: dict[str, Any] = live.api("GET", "/apis/karpenter.sh/v1/nodepools/bench")
    return found


def page(rows: list[dict[str, Any]], machine: str) -> str:
    """The page in docs."""
    lines = [
        "# Benchmarks of `fretsaw run`",
        "",
        "One Deployment on an empty cluster: a real API server, etcd, scheduler and controller manager on the same "
        "machine, the fake provider and the fake kubelet. Times count from the creation of the last pod, as a watch "
        "tells of it; CPU and memory are those of the controller alone.",
        "",
        f"Made by `make bench-live` on {machine}. The machine also runs all the rest, so times are upper bounds.",
        "",
        "| pods | nodes | last claim after | last node registered after | API calls | CPU | peak memory |",
        "|---:|---:|---:|---:|---:|---:|---:|",
    ]
    lines += [
        f"| {row['pods']:,} | {row['nodes']} | {row['claimsS']:.1f} s | {row['registeredS']:.1f} s "
        f"| {row['calls']:,} | {row['cpuS']:.1f} s | {row['peakMib']:.0f} MiB |"
        for row in rows
    ]
    if rest := next((row["quiet"] for row in rows if "quiet" in row), None):
        last = rows[-1]
        lines += [
            "",
            f"Karpenter v1.14.1 with its own fake provider took {PEER_CPU_S} CPU seconds and {PEER_MIB} MB for 5,000 "
            f"pods on the same kind of machine: ours is {last['cpuS'] / PEER_CPU_S:.2f} times its CPU and "
            f"{last['peakMib'] * 1.048576 / PEER_MIB:.2f} times its memory.",
            "",
            f"At rest with {last['nodes']} nodes and {last['pods']:,} pods for {rest['seconds']} s: {rest['cpuS']:.1f} "
            f"CPU seconds ({rest['share']:.1%} of a core), {rest['calls']:,} API calls.",
        ]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measure, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pods", type=int, nargs="*", default=list(SIZES), help="sizes to measure")
    parser.add_argument("--quiet", type=int, default=QUIET_S, metavar="S", help="of rest after the largest size")
    given = parser.parse_args()
    if why := missing():
        sys.exit(f"bench-live: {why}")
    rows = []
    for pods in given.pods:
        print(f"{pods:,} pods …", file=sys.stderr, flush=True)
        rows.append(measured(pods, given.quiet))
        print(json.dumps(rows[-1]), file=sys.stderr, flush=True)
    if given.pods == list(SIZES) and given.quiet == QUIET_S:
        FIGURES.parent.mkdir(exist_ok=True)
        FIGURES.write_text(json.dumps(rows, indent=2) + "\n")
        PAGE.write_text(page(rows, f"{os.cpu_count()} cores, Python {platform.python_version()}"))
        print(f"written: {PAGE.relative_to(ROOT)}", file=sys.stderr)


if __name__ == "__main__":
    main()
