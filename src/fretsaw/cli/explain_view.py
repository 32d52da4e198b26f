"""What `fretsaw explain` prints: a headline, then a line for each thing that is known."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich.console import Console
from rich.text import Text

from fretsaw.api.pod import Pod
from fretsaw.api.resources import units
from fretsaw.api.times import Millis, millis
from fretsaw.cli import errors, explained
from fretsaw.cli.render import paragraph, usd
from fretsaw.cli.view import counted, named, natural
from fretsaw.engine.machines import Machine
from fretsaw.engine.pdbs import Limits, is_protected, scale_of
from fretsaw.engine.plan import Plan
from fretsaw.engine.pool_status import usage
from fretsaw.engine.requests import pod_requests, total
from fretsaw.engine.shape import GPU_RESOURCES
from fretsaw.live.judgement import REASONS, Finding, Judge
from fretsaw.report.words import span

SHOWN_PODS = 6
STEPS = ("Launched", "Registered", "Initialized")
"""What a claim goes through before its node takes pods."""
METHODS = {"Empty": "emptiness", "Drifted": "drift", "Underutilized": "consolidation"}
Row = tuple[str, str]


def waiting_pod(out: Console, key: str, pod: Pod | None, plan: Plan) -> int:
    """A pod that waits for a place."""
    if pod is None:
        _title(out, f"pod/{key}", "is not there yet; a workload of the files makes it.")
    elif said := next((c.message for c in pod.status.conditions if c.type == "PodScheduled" and c.message), ""):
        _title(out, f"pod/{key}", "waits for a node.")
        _rows(out, [("scheduler", said)])
    explained.explain(out, plan, key)
    return errors.FOUND if any(one.pod == key for one in plan.unplaced) else errors.DONE


def standing_pod(out: Console, judge: Judge, pod: Pod, anew: Plan | None) -> int:
    """A pod that waits for no place. anew: what would be bought for it alone; None for a pod that comes with a node."""
    key = pod.metadata.key
    _title(out, f"pod/{key}", _whereabouts(pod))
    machine = next((m for m in judge.state.machines.values() if m.node_name == pod.spec.node_name), None)
    if machine is not None and machine.node_name:
        _rows(out, [("node", _facts(judge, machine)), ("held by", "; ".join(_holders(judge, pod)) or "nothing")])
    if anew is not None:
        out.print(Text("Were it to come now, with no node there:", style="dim"))
        explained.explain(out, anew, key)
    return errors.DONE


def machine(out: Console, judge: Judge, machine: Machine) -> int:
    """A node, a claim, or both as one."""
    names = [f"node/{machine.node_name}"] if machine.node_name else []
    names += [f"nodeclaim/{machine.name}"] if machine.claim is not None else []
    _title(out, names[0], f"{'is ' if len(names) == 1 else f'({names[1]}) is '}{_facts(judge, machine)}.")
    rows: list[Row] = [("pods", _pods(machine))]
    if machine.node is not None:
        rows.append(("requested", ", ".join(_use(machine)) or "nothing"))
    _rows(out, [*rows, *_steps(machine)])
    found = judge.findings(machine)
    if isinstance(found, str):
        paragraph(out, Text.assemble(("cannot be taken away: ", "bold"), found), indent=2)
        return errors.DONE
    out.print(Text("  could it be taken away now?", style="dim"))
    for finding in found:
        _finding(out, finding)
    return errors.DONE


def pool(out: Console, judge: Judge, name: str) -> int:
    """A NodePool: how much it has, how much it may have, and how many of its nodes may go."""
    state = judge.state
    pool = state.pools[name]
    unusable = state.unusable.get(name, "")
    own = [m for m in state.machines.values() if m.pool == name]
    prices = [price for m in own if (price := judge.price(m)) is not None]
    weight = pool.spec.weight or 0
    verb = f"cannot be used: {unusable}" if unusable else "is ready for pods"
    _title(out, f"nodepool/{name}", f"{verb}.")
    used = usage(state, pool)
    limits = [
        f"{resource} {_amount(resource, used.get(resource, 0))} of {most}"
        for resource, most in sorted(pool.spec.limits.items())
    ]
    rows: list[Row] = [
        ("nodes", f"{counted(len(own), 'node')}, {usd(sum(prices))}/h{_unpriced(len(own) - len(prices))}"),
        ("weight", f"{weight}: the {_rank(judge, name)} of {counted(len(state.pools), 'NodePool')} to be tried"),
        ("limits", "; ".join(limits) or "none"),
    ]
    if pool.spec.replicas is not None:
        rows.append(("replicas", f"{pool.spec.replicas}, whatever pods there are"))
    _rows(out, rows)
    out.print(Text("  how many of its nodes may be taken away now?", style="dim"))
    share = judge.share(name)
    going = f" ({share.disrupting} not ready or going already)" if share.disrupting else ""
    for reason in REASONS:
        paragraph(out, Text(f"{METHODS[reason]:<13} {judge.room(name, reason)} of {share.nodes}{going}"), indent=4)
    return errors.DONE


def _rank(judge: Judge, name: str) -> str:
    order = sorted(judge.state.pools.values(), key=lambda p: (-(p.spec.weight or 0), p.metadata.name))
    number = [p.metadata.name for p in order].index(name) + 1
    suffix = {1: "st", 2: "nd", 3: "rd"}.get(number % 10 if number % 100 not in (11, 12, 13) else 0, "th")
    return f"{number}{suffix}"


def _unpriced(number: int) -> str:
    return f" (no price is known of {number})" if number else ""


def _whereabouts(pod: Pod) -> str:
    if pod.is_terminal:
        return f"has ended: {pod.status.phase}."
    if pod.metadata.deletion_timestamp:
        return f"is being deleted from node/{pod.spec.node_name}." if pod.spec.node_name else "is being deleted."
    if pod.spec.node_name:
        verb = {"Running": "runs", "Pending": "starts"}.get(pod.status.phase, "is")
        return f"{verb} on node/{pod.spec.node_name}."
    if pod.status.nominated_node_name:
        return f"is about to be bound to {pod.status.nominated_node_name}, its nominated node."
    said = next((c for c in pod.status.conditions if c.type == "PodScheduled"), None)
    if said is not None and said.reason not in ("", "Unschedulable", "SchedulingGated"):
        return f"waits, but not for a node: {said.reason}: {said.message}"
    return "waits for the node that its DaemonSet made it for: no other would help."


def _holders(judge: Judge, pod: Pod) -> Iterable[str]:
    """What keeps a pod from being moved."""
    state = judge.state
    if is_protected(pod, judge.now):
        yield "its annotation karpenter.sh/do-not-disrupt"
    budgets = state.objects["PodDisruptionBudget"].values()
    for budget in Limits(budgets, state.pods.values(), scale_of(state.objects)).blocking(pod, judge.now):
        yield f"poddisruptionbudget/{budget}"


def _facts(judge: Judge, machine: Machine) -> str:
    """`a g5.xlarge of nodepool/gpu: spot, us-east-1a, $0.402/h, 3h old`."""
    kind = f"{_article(machine.instance_type)} {machine.instance_type}" if machine.instance_type else "a machine"
    pool = f"nodepool/{machine.pool}" if machine.pool else "no NodePool"
    price = judge.price(machine)
    details = [machine.capacity_type, machine.zone, f"{usd(price)}/h" if price is not None else "price not known"]
    obj = machine.node if machine.node is not None else machine.claim
    if obj is not None and (age := _age(obj.metadata.creation_timestamp, judge.now)):
        details.append(f"{age} old")
    return f"{kind} of {pool}: {', '.join(filter(None, details))}"


def _article(noun: str) -> str:
    return "an" if noun[:1] in "aeiou" else "a"


def _age(created: str | None, now: Millis) -> str:
    return span(max(now - millis(created), 0) / 1000) if created else ""


def _pods(machine: Machine) -> str:
    pods = sorted((pod.metadata.key for pod in machine.pods if not pod.is_terminal), key=natural)
    return named(tuple(pods), most=SHOWN_PODS) if pods else "none"


def _use(machine: Machine) -> Iterable[str]:
    """`GPU 1 of 1`, `CPU 40%`, `memory 20%`."""
    if machine.node is None:
        return
    asked = total(pod_requests(pod.spec, pod.status) for pod in machine.pods if not pod.is_terminal)
    room = {name: units(name, amount, up=False) for name, amount in machine.node.status.allocatable.items()}
    for resource in GPU_RESOURCES:
        if room.get(resource):
            yield f"{resource} {asked.get(resource, 0)} of {room[resource]}"
    for resource, word in (("cpu", "CPU"), ("memory", "memory"), ("pods", "pods")):
        if room.get(resource):
            yield f"{word} {asked.get(resource, 0) / room[resource]:.0%}"


def _steps(machine: Machine) -> Sequence[Row]:
    """The first thing that a claim still waits for."""
    if machine.claim is None:
        return ()
    for step in STEPS:
        condition = machine.claim.condition(step)
        if condition is None or condition.status != "True":
            why = (condition.message or condition.reason) if condition is not None else ""
            return (("waits", f"{step} is not true yet{f': {why}' if why else ''}"),)
    return ()


def _finding(out: Console, finding: Finding) -> None:
    verdict = ("yes", "green") if finding.could else ("no", "yellow")
    first, *rest = Text.assemble(verdict, ": ", finding.why).wrap(out, max(out.width - 18, 20))
    paragraph(out, Text.assemble(f"{METHODS[finding.reason]:<13} ", first), indent=4)
    for line in rest:
        paragraph(out, line, indent=18)


def _amount(resource: str, amount: int) -> str:
    if resource == "cpu":
        return f"{amount / 1000:g}"
    return f"{amount / 2**30:.4g}Gi" if resource in ("memory", "ephemeral-storage") else str(amount)


def _title(out: Console, subject: str, rest: str) -> None:
    paragraph(out, Text.assemble((subject, "bold"), " ", rest))


def _rows(out: Console, rows: Iterable[Row]) -> None:
    """Label and text; a text that is too long goes on below itself."""
    for label, text in rows:
        first, *rest = Text(text).wrap(out, max(out.width - 15, 20)) or [Text()]
        for title, line in [(label, first), *(("", line) for line in rest)]:
            line.rstrip()
            out.print(Text.assemble("  ", (f"{title:<11}", "dim"), "  ", line), no_wrap=True, crop=False)
