"""`fretsaw run`: the autoscaler in a cluster. Reads settings, puts the process together, ends it well."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Coroutine
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from fretsaw import __version__
from fretsaw.cli import errors
from fretsaw.controllers.settings import TABLE, Run, found, truth

if TYPE_CHECKING:
    from fretsaw.controllers.clock import SteadyClock
    from fretsaw.controllers.telemetry import Log
    from fretsaw.ports import CloudProvider

EPILOG = """
\b
Examples:
  fretsaw run --provider fake --fake-cloud 127.0.0.1:8090     with `fretsaw fake-kubelet`, on a laptop
  fretsaw run --kubeconfig dev-cluster.kubeconfig --log-format text
  fretsaw run --provider aws --cluster-name prod --interruption-queue prod
                                                              with the credentials and the region of the environment
  fretsaw run --observe-only --record shadow.jsonl.gz         beside another autoscaler: decide, act on nothing
  fretsaw run --print-settings                                what would hold, and where it comes from

\b
Every setting can be given in the environment, too, under the flag's name in capitals (BATCH_IDLE_DURATION=2s).

\b
Exit codes: 0 ended when asked to · 2 a setting is wrong · 3 the Kubernetes API cannot be reached, or the lease was lost
"""
ENDED = (signal.SIGINT, signal.SIGTERM)


def _settings(command: Callable[..., Any]) -> Callable[..., Any]:
    """An option for each setting. Values are read later, together with those of the environment."""
    for setting in reversed(TABLE):
        text = f"{setting.help} [${setting.env}; default: {setting.default or 'empty'}]"
        alone: dict[str, Any] = {"is_flag": False, "flag_value": "true"} if setting.read is truth else {}
        command = click.option(f"--{setting.flag}", setting.field, metavar="VALUE", help=text, **alone)(command)
    return command


@click.command(epilog=EPILOG, short_help="Run the autoscaler in a cluster.")
@click.option("--provider", type=click.Choice(["fake", "aws"]), default="fake", show_default=True, help="The cloud.")
@click.option("--fake-cloud", default="127.0.0.1:8090", show_default=True, metavar="HOST:PORT", help="Its fake cloud.")
@click.option("--region", default="", help="Of AWS; empty: as AWS_REGION says, or us-east-1 for the fake cloud.")
@click.option("--kubeconfig", metavar="FILE", help="Access to the cluster; in a pod its service account is enough.")
@click.option("--context", metavar="NAME", help="The kubeconfig's context.")
@click.option(
    "--observe-only", is_flag=True, help="Decide and tell, but act on nothing: safe beside another autoscaler."
)
@click.option("--record", metavar="FILE", help="Write events and decisions as JSON lines, for `fretsaw replay`.")
@click.option("--print-settings", is_flag=True, help="Print all settings with their origin, and do nothing else.")
@_settings
def run(
    provider: str,
    fake_cloud: str,
    region: str,
    kubeconfig: str | None,
    context: str | None,
    observe_only: bool,
    record: str | None,
    print_settings: bool,
    **flags: str | None,
) -> int:
    """Run the autoscaler: watch the cluster, order the nodes that its pods need, take away those that it does not need.

    NodePools, NodeClaims and nodes of Karpenter are taken over as they are. Of several replicas one acts; the lease is
    that of Karpenter, so that the two never act at once.
    """
    settings = found({setting.flag: flags[setting.field] for setting in TABLE}, os.environ)
    if print_settings:
        click.echo("\n".join(settings.lines()))
        return errors.DONE
    from fretsaw.cli.clouds import cloud
    from fretsaw.controllers.clock import SteadyClock
    from fretsaw.kube.access import load_access

    access = load_access(kubeconfig, context)
    log = _log(settings)
    clock = SteadyClock()
    made = partial(cloud, provider, settings, log, clock, region=region, fake_cloud=fake_cloud)
    log.info("operator", "starting", version=__version__, server=access.server, provider=provider)
    return _runner()(_run(settings, access, made, clock, log, observe_only, Path(record) if record else None))


def _runner() -> Callable[[Coroutine[Any, Any, int]], int]:
    """uvloop's where there is one: requests over TLS cost it a quarter less time."""
    try:
        import uvloop
    except ImportError:
        return asyncio.run
    return uvloop.run


def _log(settings: Run) -> Log:
    from fretsaw.controllers.telemetry import Log
    from fretsaw.controllers.telemetry.log import wants_colour

    colour = wants_colour(sys.stdout, os.environ)

    def write(text: str) -> None:
        sys.stdout.write(text)
        sys.stdout.flush()

    return Log(write, level=settings["log-level"], form=settings["log-format"], colour=colour)


async def _run(
    settings: Run,
    access: Any,
    made: Callable[[], Awaitable[CloudProvider]],
    clock: SteadyClock,
    log: Log,
    observe_only: bool,
    record: Path | None,
) -> int:
    from fretsaw.controllers.hearing import Hearing
    from fretsaw.controllers.operation import Operator
    from fretsaw.controllers.timed import Timed
    from fretsaw.engine.state import ClusterState

    state, cloud = ClusterState(), await made()
    with Hearing(log, state, settings.options, record, __version__) as hearing:
        timed = Timed(cloud, hearing.telemetry.provider_call)
        operator = Operator(settings, access, timed, hearing, state, observe_only=observe_only, clock=clock)
        loop = asyncio.get_running_loop()
        for number in ENDED:
            loop.add_signal_handler(number, operator.stop.set)
        asked = await operator.run()
    log.info("operator", "stopped" if asked else "the lease is lost: another replica may act now")
    return errors.DONE if asked else errors.WORLD_FAILED
