"""Figures on disk: one JSON file a mix in `bench/out`, so that tables can be made again without running anything."""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
import sys
import time
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

from bench.objects import Json

ENVIRONMENT = "environment.json"


def save(folder: Path, name: str, figures: Json) -> None:
    """Write one file whole or not at all, so that an interruption leaves the old figures."""
    folder.mkdir(parents=True, exist_ok=True)
    part = folder / f".{name}.part"
    part.write_text(json.dumps(figures, indent=1, sort_keys=True) + "\n")
    part.replace(folder / name)


def load(folder: Path, name: str) -> Json | None:
    """The figures of one file; None where it was never written."""
    try:
        return dict(json.loads((folder / name).read_text()))
    except FileNotFoundError:
        return None


def today() -> str:
    """The date in UTC, as figures carry it."""
    return datetime.now(UTC).date().isoformat()


def environment() -> Json:
    """Where this is measured, with the command's start-up time."""
    return {
        "cpu": _cpu_model(),
        "cores": os.cpu_count(),
        "memoryBytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "system": f"{platform.system()} {platform.machine()}",
        "versions": {
            "fretsaw": _version("fretsaw"),
            "Python": platform.python_version(),
            "highspy": _version("highspy"),
            "Go": _go_version(),
        },
        "startUp": start_up_seconds(),
    }


def start_up_seconds(times: int = 10) -> Json | None:
    """Best and median time of `fretsaw --help`; None, with a message, where it does not run."""
    script = Path(sys.executable).with_name("fretsaw")
    command = [str(script)] if script.exists() else [sys.executable, "-m", "fretsaw"]
    seconds = []
    for _ in range(times):
        started = time.perf_counter()
        done = subprocess.run([*command, "--help"], capture_output=True, check=False)
        seconds.append(time.perf_counter() - started)
        if done.returncode:
            print(f"start-up not measured: {' '.join(command)} --help failed", file=sys.stderr)
            return None
    seconds.sort()
    return {"best": seconds[0], "median": (seconds[(times - 1) // 2] + seconds[times // 2]) / 2, "times": times}


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "not installed"


def _go_version() -> str:
    if shutil.which("go") is None:
        return "not installed"
    done = subprocess.run(["go", "env", "GOVERSION"], capture_output=True, text=True, check=False)
    return done.stdout.strip().removeprefix("go")


def _cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or "unknown"
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), "unknown")
