"""`fretsaw plan --explain NAMESPACE/POD`: one pod of a plan in a few lines, whether it has a place or waits."""

from __future__ import annotations

from difflib import get_close_matches

from rich.console import Console
from rich.text import Text

from fretsaw.cli.render import paragraph, usd
from fretsaw.cli.view import counted, named, natural
from fretsaw.engine.plan import Explanation, Launch, Plan, Refusal
from fretsaw.errors import UserError

SHOWN_TYPES = 12
SHOWN_CHOICES = 5


def explain(out: Console, plan: Plan, pod: str) -> None:
    """Print why `pod` is where it is, or why it waits.

    pod: `namespace/name`; without a namespace, `default`. Raises UserError for a pod that the plan does not know.
    """
    wanted = pod if "/" in pod else f"default/{pod}"
    for launch in plan.launches:
        if wanted in launch.pods:
            _launched(out, wanted, launch)
            if plan.explanation is not None:
                _reasons(out, plan.explanation, launch)
            return
    for node in plan.filled:
        if wanted in node.pods:
            _say(
                out, Text.assemble((wanted, "bold"), f" goes to {node.name}, a node that exists already and has room.")
            )
            return
    for unplaced in plan.unplaced:
        if unplaced.pod == wanted:
            _waits(out, wanted, unplaced.refusals)
            return
    raise UserError("--explain", "no pod of this name waits for a place", wanted, _known(plan, wanted))


def _launched(out: Console, pod: str, launch: Launch) -> None:
    choice = launch.choice
    _say(out, Text.assemble((pod, "bold"), f" goes to {launch.name}, a new node of nodepool/{launch.node_pool}."))
    types = list(dict.fromkeys(candidate.instance_type for candidate in launch.candidates))
    more = f" and {len(types) - SHOWN_TYPES} more" if len(types) > SHOWN_TYPES else ""
    others = tuple(sorted((other for other in launch.pods if other != pod), key=natural))
    rows = [
        (
            "priced as",
            f"{choice.instance_type}, {choice.capacity_type}, {choice.zone}, {usd(choice.price_usd_per_hour)}/h",
        ),
        ("can be", ", ".join(types[:SHOWN_TYPES]) + more),
        ("requires", "; ".join(launch.requirements) or "nothing"),
        ("shared with", named(others, most=6) if others else "no other pod"),
    ]
    for label, text in rows:
        first, *rest = Text(text).wrap(out, max(out.width - 15, 20))
        for title, line in [(label, first), *(("", line) for line in rest)]:
            line.rstrip()
            _say(out, Text.assemble("  ", (f"{title:<11}", "dim"), "  ", line))


OUTCOMES = {"chosen": "took it", "refused": "refused it", "shared": "was passed over", "behind": "comes later"}


def _reasons(out: Console, why: Explanation, launch: Launch) -> None:
    """The pools in the order in which they are tried, the dearer choices, and what would change the choice."""
    _say(out, Text("  the pools, in the order in which they are tried:", style="dim"))
    for verdict in why.verdicts:
        text = Text.assemble((f"nodepool/{verdict.node_pool}", "bold"), f" (weight {verdict.weight}) ")
        text.append(OUTCOMES[verdict.outcome])
        if verdict.reason:
            text.append(f": {verdict.reason}")
        paragraph(out, text, indent=4)
    _say(out, Text("  the choices, cheapest first:", style="dim"))
    for number, candidate in enumerate(launch.candidates[:SHOWN_CHOICES]):
        offering = f"{candidate.instance_type} {candidate.capacity_type} {candidate.zone}"
        paragraph(out, Text(f"{number + 1}. {offering} {usd(candidate.price_usd_per_hour)}/h"), indent=4)
    if why.changes:
        _say(out, Text("  what would change the choice:", style="dim"))
        for change in why.changes:
            paragraph(out, Text(f"- {change}"), indent=4)


def _waits(out: Console, pod: str, refusals: tuple[Refusal, ...]) -> None:
    if not refusals:
        _say(out, Text.assemble((pod, "bold red"), " waits: no NodePool is there to take it."))
        return
    asked = counted(sum(bool(refusal.node_pool) for refusal in refusals), "NodePool")
    why = f" waits: {asked} refused it, the nearest miss first." if asked[0] != "0" else " waits:"
    _say(out, Text.assemble((pod, "bold red"), why))
    for refusal in refusals:
        where = f"nodepool/{refusal.node_pool}: " if refusal.node_pool else ""
        paragraph(out, Text.assemble((where, "bold"), refusal.reason), indent=2)
        if refusal.field:
            paragraph(out, Text.assemble(("to change: ", "dim"), (refusal.field, "cyan")), indent=4)


def _known(plan: Plan, wanted: str) -> str:
    names = [pod for launch in plan.launches for pod in launch.pods]
    names += [pod for node in plan.filled for pod in node.pods] + [unplaced.pod for unplaced in plan.unplaced]
    near = get_close_matches(wanted, sorted(set(names)), n=1, cutoff=0.5)
    if near:
        return f"did you mean {near[0]}?"
    return (
        f"{counted(len(names), 'pod')} waited: {named(tuple(sorted(names, key=natural)))}" if names else "no pod waits"
    )


def _say(out: Console, line: Text) -> None:
    out.print(line, no_wrap=True, overflow="ignore", crop=False)
