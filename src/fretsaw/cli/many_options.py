"""What `compare` and `sweep` have in common: their options, where runs happen, and what an interrupt leaves."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing
from typing import TYPE_CHECKING, Any

import click

from fretsaw.cli import errors
from fretsaw.cli.params import span
from fretsaw.cli.progress import Bar

if TYPE_CHECKING:
    from fretsaw.sim.many.pool import Executor
    from fretsaw.sim.many.task import Task

_OPTIONS = (
    click.option("--seed", type=click.IntRange(0), help="First seed; by default that of the (first) scenario."),
    click.option("--for", "length", callback=span, metavar="DURATION", help="Virtual time, such as 12h or 7d."),
    click.option("--jobs", "-j", type=click.IntRange(0), default=0, help="Runs at once; by default one on each core."),
)


def run_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Decorator that adds the options that every command of many runs has."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def executor(name: str, jobs: int) -> Executor:
    """Where runs happen. Raises UserError where that is not installed."""
    if name == "ray":
        from fretsaw.sim.many.ray import Ray

        return Ray(jobs)
    from fretsaw.sim.many.pool import Local

    return Local(jobs)


def run_all(
    where: Executor,
    tasks: Sequence[Task],
    take: Callable[[Task, dict[str, Any]], None],
    *,
    whole: int | None = None,
    title: str = "simulating",
) -> bool:
    """Run the tasks and hand each result over as it comes; whether all were run, or the user stopped it.

    whole: all runs that are asked for, those that need not be run again among them.
    """
    from fretsaw import planner
    from fretsaw.sim.many.task import Simulate

    whole = len(tasks) if whole is None else whole
    done = whole - len(tasks)
    with Bar(f"{title}: {whole} runs") as bar:
        bar(done, whole)
        try:
            with closing(where.run(Simulate(planner.simulation), tasks)) as results:
                for task, result in results:
                    take(task, result)
                    done += 1
                    bar(done, whole)
        except KeyboardInterrupt:
            finished = False
        else:
            finished = True
    if not finished:
        errors.say("warning", f"interrupted after {done} of {whole} runs: what follows is made from these")
    return finished


def warn_of_violations(count: float) -> None:
    """Tell that figures are not to be trusted."""
    if count:
        errors.say("warning", "laws of the cluster were violated in some runs: a fault of fretsaw, do not trust these")
