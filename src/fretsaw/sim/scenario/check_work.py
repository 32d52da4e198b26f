"""Whether a scenario's work can be what it says: workloads, loads, arrivals, recordings."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from fretsaw.api.cron import next_after
from fretsaw.api.document import Located
from fretsaw.api.labels import is_label_value
from fretsaw.api.meta import Object
from fretsaw.api.resources import BadQuantity, units
from fretsaw.engine.state import CLUSTER_WIDE, key_of
from fretsaw.sim.scenario.context import Context
from fretsaw.sim.scenario.known import WORKLOADS, full, spelled
from fretsaw.sim.scenario.model import Arrives, Behaves, Load, Replays, TraceSource
from fretsaw.sim.work.traces.play import arrivals
from fretsaw.sim.work.traces.requests import curve
from fretsaw.sim.work.traces.table import BadTrace

_OF_PROFILE: Final = {
    "constant": ("rate",),
    "day-night": ("low", "high"),
    "steps": ("steps",),
    "trace": ("trace",),
}
_MADE: Final = {"openb": "openb-pod-*", "philly": "philly-*", "helios": "helios-*"}


def check(context: Context) -> None:
    """Report what is wrong with the work. Arrivals come first, as behaviors may be of what they make."""
    for number, entry in enumerate(context.scenario.work):
        if isinstance(entry, Arrives):
            _arrives(context, number, entry)
        elif isinstance(entry, Replays):
            _trace(context, entry.trace)
    for entry in context.scenario.work:
        if isinstance(entry, Behaves):
            _behaves(context, entry)


# How pods behave


def _behaves(context: Context, entry: Behaves) -> None:
    path = context.path(entry, "for")
    for pattern in entry.for_:
        kind, *rest = pattern.split("/")
        if len(rest) != 2 or not all(rest):
            context.report(path, "not a workload", pattern, "kind/namespace/name, such as job/ml-training/*")
        elif kind.lower() not in WORKLOADS and "*" not in kind:
            context.report(path, "not a kind that has pods", kind, f"one of {', '.join(WORKLOADS)}")
        elif not context.known.has_workload(pattern):
            advice = context.known.meant(pattern, context.known.workloads)
            context.report(path, "no such workload", pattern, advice)
    if entry.serves is not None:
        _serves(context, entry)
    if entry.runs is not None:
        _restarts(context, entry)
    if entry.checkpoint is not None and entry.runs is None:
        context.report(context.path(entry, "checkpoint"), "of no use without runs: such a pod never ends")
    if entry.checkpoint == 0:
        context.report(context.path(entry, "checkpoint"), "must be longer than 0")


def _restarts(context: Context, entry: Behaves) -> None:
    """Warns of pods that begin anew whenever they end: so does the kubelet where restartPolicy says nothing else."""
    for name in context.known.matching(entry.for_):
        obj: Any = context.known.objects[name]
        spec = obj.spec if name.startswith("pod/") else getattr(obj.spec, "template", None) and obj.spec.template.spec
        if spec is not None and spec.restart_policy in ("", "Always"):
            right = "leave out runs, or set restartPolicy: Never"
            path = context.path(entry, "runs")
            context.report(path, "never ends, its pods start again: restartPolicy is Always", name, right, "warning")


def _serves(context: Context, entry: Behaves) -> None:
    assert entry.serves is not None
    if entry.runs is not None:
        context.report(context.path(entry, "runs"), "a pod that serves does not end", right="give one of runs, serves")
    if not entry.serves.capacity:
        context.report(context.path(entry.serves, "capacity"), "must be more than 0")
    _load(context, entry.serves.load)


def _load(context: Context, load: Load) -> None:
    path = context.path(load)
    wanted = _OF_PROFILE[load.shape]
    given = {"rate": load.rate, "low": load.low, "high": load.high, "steps": load.steps or None, "trace": load.trace}
    for name, value in given.items():
        if name in wanted and value is None:
            context.report(f"{path}.{name}", f"missing: the profile {load.shape} needs it")
        elif name not in wanted and value is not None:
            context.report(f"{path}.{name}", f"not of the profile {load.shape}", right=f"that has {', '.join(wanted)}")
    if load.low is not None and load.high is not None and load.low > load.high:
        context.report(f"{path}.low", "more than high")
    _steps(context, load)
    end = context.scenario.for_
    for surge in load.surges:
        if surge.at >= end:
            context.report(context.path(surge, "at"), "after the scenario's end")
    if load.trace is not None:
        _load_trace(context, load)


def _steps(context: Context, load: Load) -> None:
    for before, step in zip(load.steps, load.steps[1:], strict=False):
        if step.at <= before.at:
            context.report(context.path(step, "at"), "not after the step before it")
    last = load.repeat or context.scenario.for_
    for step in load.steps:
        if step.at >= last:
            what = "the repetition" if load.repeat else "the scenario's end"
            context.report(context.path(step, "at"), f"after {what}")
    if load.repeat == 0:
        context.report(context.path(load, "repeat"), "must be longer than 0")
    if load.repeat is not None and not load.steps:
        context.report(context.path(load, "repeat"), "only steps repeat")


def _load_trace(context: Context, load: Load) -> None:
    assert load.trace is not None
    file = context.file(context.path(load.trace, "file"), load.trace.file, "recording")
    if file is None:
        return
    try:
        curve(load.trace, file)
    except BadTrace as error:
        _bad_trace(context, error)


# What comes


def _arrives(context: Context, number: int, entry: Arrives) -> None:
    model = _model(context, number, entry)
    if model is not None:
        context.models[number] = model
        kind = type(model).__name__
        base = model.metadata.name or model.metadata.generate_name.rstrip("-")
        space = "" if kind in CLUSTER_WIDE else f"{key_of(model).partition('/')[0]}/"
        context.known.will_be_made(f"{kind.lower()}/{space}{base}-*")
    _times(context, entry)


def _model(context: Context, number: int, entry: Arrives) -> Object | None:
    if entry.make is not None:
        return context.object(entry.make, ("work", number, "make"))
    if not entry.like:
        return None
    found = context.known.objects.get(full(entry.like))
    if found is None:
        advice = context.known.meant(entry.like, context.known.workloads)
        context.report(context.path(entry, "like"), "no such workload", entry.like, advice)
    elif spelled(found).partition("/")[0] not in WORKLOADS:
        context.report(context.path(entry, "like"), "not a kind that has pods", entry.like)
    return found


def _times(context: Context, entry: Arrives) -> None:
    coming, end, start = entry.arrivals, context.scenario.for_, context.scenario.start
    for index, at in enumerate(coming.at):
        if at > end:
            context.report(context.path(coming, f"at[{index}]"), "after the scenario's end")
    if coming.from_ >= end:
        context.report(context.path(coming, "from"), "after the scenario's end")
    if coming.until is not None and coming.until <= coming.from_:
        context.report(context.path(coming, "until"), "not after from")
    if coming.every is not None:
        last = start + min(end, end if coming.until is None else coming.until)
        first = next_after(coming.every, start + coming.from_ - 1)
        if first is None or first > last:
            context.report(context.path(coming, "every"), "never comes within the scenario", coming.every)


# Recordings


def _trace(context: Context, source: TraceSource) -> None:
    path = context.path(source)
    if not is_label_value(source.namespace) or not source.namespace:
        context.report(f"{path}.namespace", "not a name", source.namespace)
    try:
        units("memory", source.memory)
    except BadQuantity as error:
        context.report(f"{path}.memory", "not a quantity", source.memory, error.right)
        return
    kind = source.as_ or ("pod" if source.format == "openb" else "job")
    context.known.will_be_made(f"{kind}/{source.namespace}/{_MADE[source.format]}")
    file = context.file(f"{path}.file", source.file, "recording")
    if file is not None:
        _play(context, source, file)


def _play(context: Context, source: TraceSource, file: Path) -> None:
    """Reads a recording as far as the scenario will."""
    count = 0
    try:
        for arriving in arrivals(source, context.folder):
            if arriving.at > context.scenario.for_:
                break
            count += 1
    except BadTrace as error:
        _bad_trace(context, error)
        return
    if not count:
        context.report(f"{context.path(source)}.start", "nothing of the recording comes within the scenario")


def _bad_trace(context: Context, error: BadTrace) -> None:
    context.elsewhere.append(
        Located(str(error.file), error.line, "", "", error.wrong, by="file", seen=error.seen, right=error.right)
    )
