"""Where the programs of a control plane come from: a folder of binaries, or one Go build kept in the user's cache.

`KUBEBUILDER_ASSETS` names a folder with etcd and kube-apiserver (and perhaps kube-scheduler and kube-controller-manager),
as the ecosystem's test environments lay it out. Without it, `tests/e2e/controlplane` is built: minutes the first time,
nothing after that, until its sources change.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

COMPONENTS = ("etcd", "kube-apiserver", "kube-scheduler", "kube-controller-manager")
"""In the order of their start: each needs those before it."""
NEEDED = COMPONENTS[:2]
"""Without these there is no API server."""
SOURCES = Path(__file__).resolve().parents[1] / "e2e" / "controlplane"
_HASHED = ("main.go", "go.mod", "go.sum")
_VERSION = "k8s.io/component-base/version"
_LOCK_NAME = "lock"


def missing() -> str:
    """Why no control plane can be started here; empty where one can be."""
    if assets := os.environ.get("KUBEBUILDER_ASSETS"):
        absent = [name for name in NEEDED if not (Path(assets) / name).is_file()]
        return f"KUBEBUILDER_ASSETS={assets} has no {' and no '.join(absent)}" if absent else ""
    if cached().is_file() or shutil.which("go"):
        return ""
    return "no Go on PATH to build a control plane with, and KUBEBUILDER_ASSETS names no folder that has one"


def commands() -> dict[str, list[str]]:
    """How each component is called; builds them where that is still to be done. Those that are not there are left out."""
    if assets := os.environ.get("KUBEBUILDER_ASSETS"):
        files = {name: Path(assets) / name for name in COMPONENTS}
        return {name: [str(path)] for name, path in files.items() if path.is_file()}
    program = str(build())
    return {name: [program, name] for name in COMPONENTS}


def cached() -> Path:
    """Where the build of these very sources is, or will be."""
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    digest = hashlib.sha256()
    for name in _HASHED:
        digest.update((SOURCES / name).read_bytes())
    digest.update(" ".join(_linked()).encode())
    return home / "fretsaw" / "controlplane" / digest.hexdigest()[:16] / "kube"


def build() -> Path:
    """The program that is all four components; two processes that want it at once make one build."""
    target = cached()
    if target.is_file():
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    with (target.parent / _LOCK_NAME).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not target.is_file():
            _compile(target)
    return target


def _compile(target: Path) -> None:
    """Renamed only when whole, so that nobody ever starts half a file."""
    print(
        "Building etcd and Kubernetes for the end-to-end tests: minutes the first time …", file=sys.stderr, flush=True
    )
    began = time.monotonic()
    unfinished = target.with_suffix(f".{os.getpid()}")
    subprocess.run(
        ["go", "build", "-trimpath", "-ldflags", " ".join(_linked()), "-o", str(unfinished), "."],
        cwd=SOURCES,
        env={**os.environ, "CGO_ENABLED": "0"},
        check=True,
    )
    unfinished.replace(target)
    seconds = time.monotonic() - began
    print(f"Built in {seconds:.0f} s: {target} ({target.stat().st_size >> 20} MB)", file=sys.stderr, flush=True)


def _linked() -> list[str]:
    """Without debug symbols, and with the version that a release says it is: clients decide by it what they may ask."""
    version = kubernetes_version()
    major, minor, _ = version.removeprefix("v").split(".")
    said = {"gitVersion": version, "gitMajor": major, "gitMinor": minor}
    return ["-s", "-w", *(f"-X={_VERSION}.{name}={value}" for name, value in said.items())]


def kubernetes_version() -> str:
    """The release that is built, such as v1.37.2."""
    words = (line.split() for line in (SOURCES / "go.mod").read_text(encoding="utf-8").splitlines())
    return next(line[1] for line in words if line[:1] == ["k8s.io/kubernetes"])
