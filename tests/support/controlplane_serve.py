"""A control plane to try things on: `python -m support.controlplane_serve build`, or `serve KUBECONFIG`.

This is what `make e2e` builds with, and `make dev-cluster`.
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from types import FrameType

from support.controlplane import ControlPlane, missing
from support.controlplane_binaries import commands
from support.controlplane_crds import custom_resources, install


def serve(kubeconfig: Path) -> None:
    """Keep a control plane with Fretsaw's kinds up until Ctrl-C or SIGTERM."""
    signal.signal(signal.SIGTERM, _interrupt)
    with suppress(KeyboardInterrupt), ControlPlane() as plane:
        install(plane.api, custom_resources())
        try:
            _tell(plane, kubeconfig)
            signal.pause()
        finally:
            kubeconfig.unlink(missing_ok=True)


def _tell(plane: ControlPlane, kubeconfig: Path) -> None:
    kubeconfig.touch(mode=0o600)
    kubeconfig.write_bytes(plane.kubeconfig().read_bytes())
    version = plane.api("GET", "/version")["gitVersion"]
    print(f"Kubernetes {version} at {plane.url()}, with logs in {plane.folder}. In another terminal:")
    print(f"\n  export KUBECONFIG={kubeconfig.resolve()}\n  kubectl get nodeclaims\n\nCtrl-C ends it.", flush=True)


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def main(arguments: Sequence[str]) -> int:
    """The exit code. With nothing to build from, `build` says so and succeeds: the tests are then skipped."""
    match arguments, missing():
        case ["build"], "":
            commands()
        case ["build"], why:
            print(f"No control plane: {why}.", file=sys.stderr)
        case ["serve", kubeconfig], "":
            serve(Path(kubeconfig))
        case ["serve", _], why:
            print(f"No control plane: {why}.", file=sys.stderr)
            return 1
        case _:
            print(__doc__, file=sys.stderr)
            return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
