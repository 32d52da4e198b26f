"""The options of `fretsaw plan` that shape the plan, and the settings that they stand for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from fretsaw.cli.params import dollars, duration

_OPTIONS = (
    click.option(
        "--region", default="us-east-1", help="Of the shipped catalog; by default where the nodes are, else us-east-1."
    ),
    click.option(
        "--packing",
        type=click.Choice(["cost", "first-fit"]),
        default="cost",
        show_default=True,
        help="Search for the cheapest nodes, or pack as Karpenter does.",
    ),
    click.option(
        "--budget",
        "budget_s",
        callback=duration,
        metavar="DURATION",
        default="2s",
        show_default=True,
        help="Time for the search for cheaper nodes.",
    ),
    click.option(
        "--max-pods-per-node",
        type=click.IntRange(0),
        default=250,
        show_default=True,
        help="How many pods one lost node may take down; 0: no cap.",
    ),
    click.option(
        "--max-gpus-per-node", type=click.IntRange(0), default=0, show_default=True, help="The same for GPUs."
    ),
    click.option(
        "--node-cost",
        "node_cost_nano",
        callback=dollars,
        metavar="USD",
        default="0.001",
        show_default=True,
        help="USD an hour for each node beside its price: fewer nodes win at equal price.",
    ),
    click.option(
        "--preference-policy",
        type=click.Choice(["Respect", "Ignore"]),
        default="Respect",
        show_default=True,
        help="Whether preferred affinities and spreads count.",
    ),
    click.option(
        "--min-values-policy",
        type=click.Choice(["Strict", "BestEffort"]),
        default="Strict",
        show_default=True,
        help="Whether a pool's minValues may be lowered to what there is.",
    ),
    click.option(
        "--vm-memory-overhead-percent",
        type=click.FloatRange(0, 1, max_open=True),
        default=0.075,
        show_default=True,
        help="Share of the memory that the hypervisor keeps.",
    ),
)


def setting_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Decorator that adds the options to a command; `settings` turns what it receives into arguments of the planner."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def settings(given: dict[str, Any]) -> dict[str, Any]:
    """The keyword arguments of `planner.plan` for the values of the options."""
    rest = {key: value for key, value in given.items() if not key.endswith("_policy")}
    return {
        **rest,
        "respect_preferences": given["preference_policy"] == "Respect",
        "best_effort_min_values": given["min_values_policy"] == "BestEffort",
    }
