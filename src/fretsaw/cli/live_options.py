"""The options of commands that read a live cluster, and how such a command runs."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import click
from click.shell_completion import CompletionItem

from fretsaw.cli import errors
from fretsaw.cli.progress import Progress

if TYPE_CHECKING:
    from fretsaw.live.connection import Way
    from fretsaw.live.reading import Reading

Command = TypeVar("Command", bound=Callable[..., Any])


def contexts(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The contexts of the kubeconfig, for the shell's completion; none where it cannot be read."""
    import yaml

    named = context.params.get("kubeconfig") or os.environ.get("KUBECONFIG", "").split(os.pathsep)[0]
    try:
        with open(os.path.expanduser(named or "~/.kube/config"), encoding="utf-8") as file:
            known = yaml.safe_load(file)["contexts"]
        names = sorted(str(one["name"]) for one in known)
    except (OSError, yaml.YAMLError, TypeError, KeyError, UnicodeDecodeError):
        return []
    return [CompletionItem(name) for name in names if name.startswith(incomplete)]


_KUBECONFIG = click.option(
    "--kubeconfig",
    metavar="FILE",
    type=click.Path(),
    help="How to reach the cluster; by default $KUBECONFIG, then ~/.kube/config.",
)
_CONTEXT = click.option(
    "--context", metavar="NAME", shell_complete=contexts, help="Of the kubeconfig; its current one by default."
)


def access_options(command: Command) -> Command:
    """Decorator that adds --kubeconfig and --context to a command."""
    return _KUBECONFIG(_CONTEXT(command))


def refuse_without_live(*, live: bool, kubeconfig: str | None, context: str | None) -> None:
    """Raises a usage error for options that say how to reach a cluster that nobody asked for."""
    if not live and (kubeconfig or context):
        raise click.UsageError("--kubeconfig and --context say how to reach a cluster: add --live")


def way(kubeconfig: str | None, context: str | None) -> Way:
    """What the two options say."""
    from fretsaw.live.connection import Way

    return Way(kubeconfig, context)


def read_cluster(
    kubeconfig: str | None,
    context: str | None,
    progress: Progress,
    *,
    namespaces: Sequence[str] = (),
    needed: Sequence[str] = (),
) -> Reading:
    """All that there is to read. needed: kinds that may not be missing. Raises as `connected` and `read` do."""
    import time

    from fretsaw.live.connection import connected
    from fretsaw.live.reading import read

    async def reading() -> Reading:
        progress("reaching the cluster")
        async with connected(way(kubeconfig, context)) as connection:
            taken = round(time.time() * 1000)

            def counted(number: int) -> None:
                progress(f"reading the cluster ({number:,} objects)")

            return await read(connection, taken, namespaces=namespaces, needed=needed, counted=counted)

    return asyncio.run(reading())


def tell_left_out(reading: Reading) -> None:
    """What a reading lacks, on standard error."""
    if reading.forbidden:
        errors.say("warning", f"not allowed to list {', '.join(reading.forbidden)}: left out")
    if reading.missing:
        errors.say("note", f"not in this cluster: {', '.join(reading.missing)}")
