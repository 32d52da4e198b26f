"""`fretsaw fake-kubelet`: a cloud in memory, and kubelets for its machines. Heavy imports wait until it runs."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from fretsaw.cli import errors

if TYPE_CHECKING:
    from fretsaw.api.times import Millis
    from fretsaw.kubelet import KubeletSettings
    from fretsaw.providers.fake.cloud import CloudSettings

F = TypeVar("F", bound=Callable[..., Any])
QPS, BURST = 1000.0, 2000
"""Thousands of pods start at once, and nobody else is served by a server that is only there for this."""
PATIENCE_S = 5.0
"""How long the API server is tried at the start."""
COMPLAIN_S = 1.0
EPILOG = """
\b
Examples:
  fretsaw fake-kubelet                                 the cluster of $KUBECONFIG, cloud on port 8090
  fretsaw fake-kubelet --kubeconfig dev.yaml --cloud 127.0.0.1:9000
  fretsaw fake-kubelet --boot 20s --gpu 40s            nodes that take their time
  fretsaw fake-kubelet --realistic                     as long as real ones take

\b
In another terminal:
  curl -X PUT localhost:8090/stock -d '{"g5/*/spot": 0}'
  curl -X POST localhost:8090/interruptions -d '{"claim": "gpu-x7k2p", "noticeS": 10}'
  curl -X POST localhost:8090/faults -d '{"nodeFault": "gpu-never-registers", "pool": "gpu"}'
  curl localhost:8090/log

\b
Exit codes: 0 ended by Ctrl-C or SIGTERM · 2 the input is wrong · 3 the API server cannot be reached
"""


def _milliseconds(_context: click.Context, _parameter: click.Parameter, value: str | None) -> Millis | None:
    """Milliseconds of `2s`, `500ms`, `1m30s`."""
    from fretsaw.api.times import span

    try:
        found = None if value is None else span(value)
    except ValueError as error:
        raise click.BadParameter(str(error)) from error
    if value is not None and (found is None or found < 0):
        raise click.BadParameter(f"not a duration: {value!r} (such as 2s, 500ms or 1m30s)")
    return found


def _time(flag: str, text: str) -> Callable[[F], F]:
    return click.option(f"--{flag}", callback=_milliseconds, metavar="TIME", help=text)


@click.command("fake-kubelet", epilog=EPILOG, short_help="Play a cloud and its nodes in a cluster without machines.")
@click.option("--kubeconfig", metavar="FILE", help="The cluster; else that of $KUBECONFIG, or ~/.kube/config.")
@click.option("--context", metavar="NAME", help="A context of the kubeconfig other than its current one.")
@click.option(
    "--cloud", metavar="HOST:PORT", default="127.0.0.1:8090", show_default=True, help="Where the cloud listens."
)
@click.option("--realistic", is_flag=True, help="Nodes and pods take as long as real ones; other options go before.")
@_time("boot", "From a machine that runs to its Node [1s].")
@_time("ready", "From the Node to Ready [500ms].")
@_time("gpu", "From Ready to the devices [500ms].")
@_time("startup-taints", "From Ready to the removal of startup taints [500ms].")
@click.option("--keep-startup-taints", is_flag=True, help="Leave startup taints to others.")
@_time("pod-start", "From a pod's arrival on its node to Running and Ready [200ms].")
@_time("pod-stop", "From a pod's deletion to its end, unless its annotation says otherwise [100ms].")
@_time("pending", "From a launch to a machine that runs [200ms].")
@_time("shutdown", "From the end of a machine until the cloud has forgotten it [1s].")
@_time("notice", "From a spot interruption's announcement to the end [2m].")
@_time("latency", "What each call of the cloud takes [0s].")
def fake_kubelet(kubeconfig: str | None, context: str | None, cloud: str, realistic: bool, **given: Any) -> int:
    """Serve a cloud without machines, and play the kubelets of the instances that are launched in it.

    `fretsaw run --provider fake` launches instances there. For each, a Node joins the cluster, becomes Ready, gets its
    GPUs late as real nodes do, and runs the pods that are bound to it. Instances live in this process: when it ends
    they are gone. How pods behave and what goes wrong is said by annotations and by calls: docs/fake-kubelet.md.
    """
    host, port = _address(cloud)
    asyncio.run(
        _serve(kubeconfig, context, host, port, _cloud_settings(given), _kubelet_settings(given, realistic=realistic))
    )
    return errors.DONE


def _address(text: str) -> tuple[str, int]:
    from fretsaw.errors import UserError

    host, _, port = text.rpartition(":")
    if not port.isdigit() or int(port) > 65535:
        raise UserError("--cloud", "is no address", text, "HOST:PORT, such as 127.0.0.1:8090; port 0 for any")
    return host.strip("[]") or "127.0.0.1", int(port)


def _cloud_settings(given: dict[str, Any]) -> CloudSettings:
    from fretsaw.providers.fake.cloud import CloudSettings

    names = ("pending", "shutdown", "notice", "latency")
    return CloudSettings(**{f"{name}_s": given[name] / 1000 for name in names if given[name] is not None})


def _kubelet_settings(given: dict[str, Any], *, realistic: bool) -> KubeletSettings:
    from msgspec.structs import replace

    from fretsaw.kubelet import KubeletSettings
    from fretsaw.sim.spread import Spread

    names = ("boot", "ready", "gpu", "startup_taints", "pod_start", "pod_stop")
    fixed: dict[str, Any] = {name: Spread.fixed(given[name]) for name in names if given[name] is not None}
    if given["keep_startup_taints"]:
        fixed["startup_taints"] = None
    return replace(KubeletSettings.realistic() if realistic else KubeletSettings(), **fixed)


async def _serve(
    kubeconfig: str | None,
    context: str | None,
    host: str,
    port: int,
    cloud_settings: CloudSettings,
    settings: KubeletSettings,
) -> None:
    from fretsaw.kube.access import load_access
    from fretsaw.kube.client import Client
    from fretsaw.kube.http import Limits
    from fretsaw.kubelet import FakeKubelet
    from fretsaw.providers.fake.cloud import FakeCloud
    from fretsaw.providers.fake.server import serve

    access, cloud = load_access(kubeconfig, context), FakeCloud(cloud_settings)
    ended = _ended()
    async with Client.connect(access, Limits(qps=QPS, burst=BURST), agent="fretsaw-fake-kubelet") as client:
        await client.http.request("GET", "/version", patience_s=PATIENCE_S)
        async with serve(cloud, host, port) as url, FakeKubelet(client, cloud, settings, failed=Complaints().about):
            click.echo(f"fake cloud at {url}, kubelets of its machines in {access.server}; Ctrl-C ends both")
            await ended.wait()


def _ended() -> asyncio.Event:
    """Set by Ctrl-C and SIGTERM."""
    ended, loop = asyncio.Event(), asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, ended.set)
    return ended


class Complaints:
    """Says what fails, a line a second at most: when the API server is away, everything fails at once."""

    def __init__(self) -> None:
        self._said = 0.0
        self._unsaid = 0

    def about(self, what: str, why: Exception) -> None:
        """Something failed, and is tried again."""
        now = time.monotonic()
        if now - self._said < COMPLAIN_S:
            self._unsaid += 1
            return
        more = f" (and {self._unsaid} more)" if self._unsaid else ""
        errors.say("warning", f"{what}: {why}{more}")
        self._said, self._unsaid = now, 0
