"""The Helm chart as text and as objects, and the Helm that renders it: one on PATH, or one Go build kept in the cache."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml

from fretsaw.controllers.permissions import Rule
from support.controlplane_binaries import kubernetes_version

VERSION = "v3.22.0"
"""The release that is built where there is no Helm."""
CHART = Path(__file__).resolve().parents[2] / "charts" / "fretsaw"
IMAGE = {"image": {"repository": "registry.example/fretsaw"}}
"""The one value that the chart cannot be without."""


class HelmError(Exception):
    """Helm said no; what it said."""


def missing() -> str:
    """Why there is no Helm here; empty where there is one, or can be."""
    if shutil.which("helm") or _cached().is_file() or shutil.which("go"):
        return ""
    return "neither helm nor Go on PATH: nothing to render the chart with, nor to build it with"


def helm(*arguments: str, kubeconfig: Path | None = None, stdin: str | None = None) -> str:
    """What a Helm command prints. Raises HelmError."""
    environment = {**os.environ, "KUBECONFIG": str(kubeconfig) if kubeconfig is not None else os.devnull}
    done = subprocess.run(
        [str(_program()), *arguments], env=environment, input=stdin, capture_output=True, text=True, timeout=120
    )
    if done.returncode != 0:
        raise HelmError(done.stderr.strip() or done.stdout.strip())
    return done.stdout


def rendered(values: Mapping[str, Any] | None = None, *, namespace: str = "kube-system") -> list[dict[str, Any]]:
    """The chart's objects with these values beside the image; CRDs are not among them. Raises HelmError."""
    told = ["--namespace", namespace, "--kube-version", kubernetes_version(), "--values", "-"]
    printed = helm("template", "fretsaw", str(CHART), *told, stdin=yaml.safe_dump({**IMAGE, **(values or {})}))
    return [document for document in yaml.safe_load_all(printed) if document]


def values() -> dict[str, Any]:
    """The chart's own values."""
    found: dict[str, Any] = yaml.safe_load((CHART / "values.yaml").read_text(encoding="utf-8"))
    return found


def as_written(rules: Iterable[Rule]) -> str:
    """Rules as the chart's templates have them: each with its reason above it."""
    return "".join(f"  # {rule.why}\n{_listed(rule)}" for rule in rules)


def _listed(rule: Rule) -> str:
    lines = (f"{name}: {_flow(items)}\n" for name, items in rule.manifest.items())
    return "  - " + "    ".join(lines)


def _flow(items: Iterable[str]) -> str:
    return "[" + ", ".join(item or '""' for item in items) + "]"


# The program


def _program() -> Path:
    found = shutil.which("helm")
    return Path(found) if found else _built()


def _cached() -> Path:
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return home / "fretsaw" / "helm" / VERSION / "helm"


def _built() -> Path:
    """Helm from the cache; built there once, whoever asks first."""
    target = _cached()
    if target.is_file():
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    with (target.parent / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not target.is_file():
            _install(target)
    return target


def _install(target: Path) -> None:
    """Go checks the sources against its checksum database. Moved only when whole."""
    print(f"Building Helm {VERSION} for the chart's tests: minutes the first time …", file=sys.stderr, flush=True)
    began = time.monotonic()
    folder = target.parent / f"build-{os.getpid()}"
    subprocess.run(
        ["go", "install", "-trimpath", "-ldflags", "-s -w", f"helm.sh/helm/v3/cmd/helm@{VERSION}"],
        env={**os.environ, "GOBIN": str(folder), "CGO_ENABLED": "0"},
        preexec_fn=lambda: os.nice(10),
        check=True,
    )
    (folder / "helm").replace(target)
    folder.rmdir()
    print(f"Built in {time.monotonic() - began:.0f} s: {target}", file=sys.stderr, flush=True)
