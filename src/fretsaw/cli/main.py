"""The command `fretsaw`: finds the subcommand, runs it, turns its result or exception into an exit code.

Each subcommand's module is imported only when that command runs, so that `fretsaw --help` answers at once; nothing
here may import msgspec, yaml, rich, numpy or anything that does.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from difflib import get_close_matches
from importlib import import_module
from typing import NoReturn

import click
from click.shell_completion import CompletionItem, shell_complete

from fretsaw import __version__
from fretsaw.cli import errors

COMMANDS: dict[str, tuple[str, str]] = {
    "plan": ("fretsaw.cli.plan_cmd:plan", "Which nodes to buy for these pods, and at what price."),
    "simulate": (
        "fretsaw.cli.simulate_cmd:simulate",
        "Days of a cluster in seconds: waits, interruptions, the bill.",
    ),
    "compare": ("fretsaw.cli.compare_cmd:compare", "Two scenarios on the same seeds: what is change, what chance."),
    "sweep": ("fretsaw.cli.sweep_cmd:sweep", "A grid of settings, many seeds each, and which is the best."),
    "replay": ("fretsaw.cli.replay_cmd:replay", "Let the engine decide a trace again, and show what differs."),
    "story": ("fretsaw.cli.story_cmd:story", "Tell one object's life out of a simulation's trace."),
    "explain": ("fretsaw.cli.explain_cmd:explain", "Why a pod waits or is there, and whether a node could go."),
    "top": ("fretsaw.cli.top_cmd:top", "A cluster's nodes, prices, pending pods and decisions, live."),
    "snapshot": ("fretsaw.cli.snapshot_cmd:snapshot", "Save what plan and simulate read of a cluster as one file."),
    "run": ("fretsaw.cli.run_cmd:run", "Run the autoscaler in a cluster."),
    "validate": ("fretsaw.cli.validate_cmd:validate", "Check manifests as the API server and the controllers would."),
    "lint": ("fretsaw.cli.lint_cmd:lint", "Find in manifests what will cost money or sleep, with proof."),
    "catalog": ("fretsaw.cli.catalog_cmd:catalog", "Show, export or rebuild the instance types and their prices."),
    "aws": ("fretsaw.cli.aws_cmd:aws", "The IAM policy for an AWS account, and what the account lacks."),
    "crds": ("fretsaw.cli.crds_cmd:crds", "Print the CustomResourceDefinitions to install."),
    "fake-kubelet": (
        "fretsaw.cli.fake_kubelet_cmd:fake_kubelet",
        "Play a cloud and its nodes in a cluster without machines.",
    ),
    "completion": ("fretsaw.cli.completion_cmd:completion", "Print the completion script for bash, zsh or fish."),
}
"""Name → (where it lives, its line in the help)."""

COMPLETE_VARIABLE = "_FRETSAW_COMPLETE"
"""Set by the script that `fretsaw completion` prints, when the user presses Tab."""

HELP = """Plan and simulate the nodes that Kubernetes pods need on AWS, in Karpenter's words.

\b
Examples:
  fretsaw plan -f examples/gpu-platform    nodes, prices, proof, and why pods wait
  fretsaw plan -f cluster.yaml -o json     the same for a program
  fretsaw plan --live                      the same for the cluster of your kubeconfig
  fretsaw top                              that cluster's nodes, prices and pending pods
  fretsaw simulate scenarios/gpu-platform-week.yaml --html week.html
                                           a week of cluster life, with the bill
  fretsaw compare a.yaml b.yaml            two scenarios on the same seeds: change, or chance
  fretsaw validate pools/                  find the mistakes before the cluster does
  fretsaw lint manifests/                  find what will cost money or sleep
  fretsaw catalog show g5.xlarge           capacity and price of one instance type

\b
Exit codes: 0 done · 1 done, and something was found (such as a pod that cannot be placed) ·
2 the input is wrong · 3 the outside world failed · 70 a bug in fretsaw
"""


class LazyGroup(click.Group):
    """A group that knows its commands' names and help lines without importing them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names of all commands, sorted."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command, imported when it is asked for."""
        if cmd_name not in COMMANDS:
            return None
        module, attribute = COMMANDS[cmd_name][0].split(":")
        command: click.Command = getattr(import_module(module), attribute)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """One line for each command, without importing any."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in COMMANDS.items()])

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Names and help lines from the table: pressing Tab must not import every command."""
        names = [CompletionItem(name, help=line) for name, (_, line) in COMMANDS.items() if name.startswith(incomplete)]
        return names + click.Command.shell_complete(self, ctx, incomplete)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The command of a name; an unknown one is answered with what was meant."""
        name = args[0]
        if name not in COMMANDS and not name.startswith("-"):
            near = get_close_matches(name, COMMANDS, n=1)
            known = f"did you mean {near[0]}?" if near else f"known: {', '.join(COMMANDS)}"
            raise click.UsageError(f"no such command: {name} ({known})", ctx)
        return super().resolve_command(ctx, args)


@click.group(cls=LazyGroup, help=HELP, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="fretsaw", message="%(prog)s %(version)s")
@click.option("--debug", is_flag=True, help="Show the traceback of an error (also: FRETSAW_DEBUG=1).")
def fretsaw(debug: bool) -> None:
    """Only holds the global options; see HELP."""


def run(arguments: Sequence[str] | None = None) -> int:
    """The exit code of `fretsaw ARGUMENTS`; nothing is raised.

    arguments: without the program's name; None reads those of the process.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        code = _invoke(given)
        sys.stdout.flush()
    except click.exceptions.Exit as stop:
        return stop.exit_code
    except (Exception, KeyboardInterrupt) as error:
        return errors.report(error, debug=_debug(given))
    return code


def _invoke(arguments: list[str]) -> int:
    """Run the command. Not click's own `main`, whose exit code for a closed pipe is 1: "found something" here."""
    if instruction := os.environ.get(COMPLETE_VARIABLE):
        return shell_complete(fretsaw, {}, "fretsaw", COMPLETE_VARIABLE, instruction)
    with fretsaw.make_context("fretsaw", list(arguments)) as context:
        code = fretsaw.invoke(context)
    return code if isinstance(code, int) else errors.DONE


def main() -> NoReturn:
    """Entry point of the console script.

    After an interrupt nothing more is waited for: the thread that looks after a pool of processes could wait forever
    for the rest of an answer whose process was ended in the middle of it.
    """
    code = run()
    if code == errors.INTERRUPTED:
        with suppress(OSError):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)
    sys.exit(code)


def _debug(arguments: Sequence[str]) -> bool:
    """Asked for by the environment or by the global option, which stands before the command's name."""
    asked = os.environ.get("FRETSAW_DEBUG", "") not in ("", "0")
    return asked or "--debug" in arguments[: next((i for i, a in enumerate(arguments) if a in COMMANDS), None)]
