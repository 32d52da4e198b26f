"""Whether a scenario's faults, its cloud, its nodes and its expectations are about what is there."""

from __future__ import annotations

from typing import Any, Final

from fretsaw.api.meta import Object
from fretsaw.sim.scenario.cloud import Reservation, Stock, Where
from fretsaw.sim.scenario.context import Context
from fretsaw.sim.scenario.expect import Expectation, parse
from fretsaw.sim.scenario.faults import Fault, Target
from fretsaw.sim.scenario.known import full, is_scalable
from fretsaw.sim.scenario.units import BadText

_TARGETS: Final = (
    "gpu_never_registers", "gpu_missing", "xid", "slow_pulls", "never_registers", "not_ready", "reclaim", "interrupt",
)  # fmt: skip
_AT_START: Final = ("gpu_never_registers", "gpu_missing", "slow_pulls", "never_registers")
"""Faults that hit the nodes that start while they hold."""


# Faults


def check_faults(context: Context) -> None:
    """Report what is wrong with the faults. What they apply counts as there for all of them."""
    for number, fault in enumerate(context.scenario.faults):
        objects = (context.object(raw, ("faults", number, "apply", index)) for index, raw in enumerate(fault.apply))
        context.applied[number] = tuple(obj for obj in objects if obj is not None)
        for obj in context.applied[number]:
            context.known.add(obj)
    for fault in context.scenario.faults:
        _fault(context, fault)


def _fault(context: Context, fault: Fault) -> None:
    if not fault.kind and not context.is_wrong(fault):
        context.report(context.path(fault), "holds nothing to happen")
    if fault.at >= context.scenario.for_:
        context.report(context.path(fault, "at"), "after the scenario's end")
    if fault.for_ is not None and fault.kind in fault.INSTANT:
        context.report(context.path(fault, "for"), f"{fault.kind} happens at once")
    if fault.for_ == 0:
        context.report(context.path(fault, "for"), "must be longer than 0")
    if fault.repeat is not None and fault.repeat <= (fault.for_ or 0):
        context.report(
            context.path(fault, "repeat"), "must be longer than for" if fault.for_ else "must be more than 0"
        )
    if fault.repeat is not None and fault.for_ is None and fault.kind not in fault.INSTANT:
        context.report(context.path(fault, "repeat"), f"{fault.kind} without for never ends")
    for name in _TARGETS:
        _target(context, getattr(fault, name))
    for name in _AT_START:
        _at_start(context, getattr(fault, name))
    _where(context, fault.out)
    _objects(context, fault)


def _at_start(context: Context, target: Target | None) -> None:
    """What hits nodes as they start cannot be about nodes that are there already."""
    for field in ("nodes", "count"):
        if target is not None and getattr(target, field) is not None:
            right = "give pools, types, zones, capacityTypes or share"
            context.report(context.path(target, field), "nodes that have yet to start are not known by it", right=right)


def _target(context: Context, target: Target | None) -> None:
    if target is None:
        return
    _where(context, target)
    for pattern in target.pools or ():
        if not context.known.has_pool(pattern):
            advice = context.known.meant(pattern, context.known.of("nodepool"))
            context.report(context.path(target, "pools"), "no such NodePool", pattern, advice)


def _where(context: Context, where: Where | None) -> None:
    for pattern in (where.types or ()) if where is not None else ():
        if "." not in pattern and "*" not in pattern:
            context.report(context.path(where, "types"), "not an instance type", pattern, f"did you mean {pattern}.*?")


def _objects(context: Context, fault: Fault) -> None:
    if fault.drift is not None and fault.drift.node_class not in context.known.of("ec2nodeclass"):
        advice = context.known.meant(fault.drift.node_class, context.known.of("ec2nodeclass"))
        path = context.path(fault.drift, "nodeClass")
        context.report(path, "no such EC2NodeClass", fault.drift.node_class, advice)
    for patch in fault.patch:
        _there(context, context.path(patch, "object"), patch.object)
    for index, name in enumerate(fault.delete):
        _there(context, context.path(fault, f"delete[{index}]"), name)
    for name in fault.scale:
        path = context.path(fault, f"scale[{name}]")
        if _there(context, path, name) and not is_scalable(name):
            context.report(path, "has no replicas", name)


def _there(context: Context, path: str, name: str) -> bool:
    found = "/" in name and context.known.has(name)
    if not found:
        advice = context.known.meant(full(name), context.known.objects) if "/" in name else "kind/namespace/name"
        context.report(path, "no such object", name, advice)
    return found


# The cloud and the nodes


def check_cloud(context: Context) -> None:
    """Report what is wrong with the cloud and with the nodes' start."""
    cloud = context.scenario.cloud
    reclaims = cloud.spot.reclaims
    if reclaims.trace:
        context.file(context.path(reclaims, "trace"), reclaims.trace, "recording")
    for name in ("mean_gap", "every"):
        for part in (reclaims, *reclaims.bursts):
            if getattr(part, name, None) == 0:
                context.report(context.path(part, "meanGap" if name == "mean_gap" else name), "must be longer than 0")
    for where in (*reclaims.rates, *reclaims.bursts, *cloud.spot.prices.steps, *cloud.stock):
        _where(context, where)
    _in_time(context, cloud.spot.prices.steps)
    for stock in cloud.stock:
        _stock(context, stock)
    for index, reservation in enumerate(cloud.reservations):
        _reservation(context, reservation, cloud.reservations[:index])
    _startup_taints(context)


def _stock(context: Context, stock: Stock) -> None:
    _in_time(context, stock.steps)
    if stock.on_off is not None and not (stock.on_off.available and stock.on_off.out):
        context.report(context.path(stock.on_off), "both must be longer than 0")
    for before, step in zip(stock.steps, stock.steps[1:], strict=False):
        if step.at <= before.at:
            context.report(context.path(step, "at"), "not after the step before it")


def _in_time(context: Context, steps: tuple[Any, ...]) -> None:
    for step in steps:
        if step.at >= context.scenario.for_:
            context.report(context.path(step, "at"), "after the scenario's end")


def _reservation(context: Context, reservation: Reservation, before: tuple[Reservation, ...]) -> None:
    if any(other.id == reservation.id for other in before):
        context.report(context.path(reservation, "id"), "stands twice", reservation.id)
    if reservation.starts >= context.scenario.for_:
        context.report(context.path(reservation, "starts"), "after the scenario's end")
    if reservation.ends is not None and reservation.ends <= reservation.starts:
        context.report(context.path(reservation, "ends"), "not after its start")
    if reservation.kind == "capacity-block" and reservation.ends is None:
        context.report(context.path(reservation, "ends"), "missing: a capacity block has an end")


def _startup_taints(context: Context) -> None:
    pools = [obj for name, obj in context.known.objects.items() if name.startswith("nodepool/")]
    keys = tuple(dict.fromkeys(taint.key for pool in pools for taint in _startup_taints_of(pool)))
    for taint in context.scenario.nodes.startup_taints:
        if taint.key not in keys:
            advice = context.known.meant(taint.key, keys)
            context.report(context.path(taint, "key"), "no NodePool has such a startup taint", taint.key, advice)


def _startup_taints_of(pool: Object) -> tuple[Any, ...]:
    found: tuple[Any, ...] = pool.spec.template.spec.startup_taints  # type: ignore[attr-defined]
    return found


# Expectations


def check_expectations(context: Context) -> tuple[Expectation, ...]:
    """The expectations that can be read; report the others, and those about what is not there."""
    found = []
    for index, text in enumerate(context.scenario.expect):
        path = f"expect[{index}]"
        try:
            expectation = parse(text)
        except BadText as error:
            context.report(path, f"not {error.what}", text, error.right)
            continue
        found.append(expectation)
        scope = expectation.query.scope
        if scope.pool and not context.known.has_pool(scope.pool):
            advice = context.known.meant(scope.pool, context.known.of("nodepool"))
            context.report(path, "no such NodePool", scope.pool, advice)
        if scope.workload and not context.known.has_pods_of(scope.workload):
            context.report(path, "no such workload or namespace", scope.workload, _pods_advice(context, scope.workload))
    return tuple(found)


def _pods_advice(context: Context, name: str) -> str:
    workloads = context.known.workloads
    namespaces = dict.fromkeys(workload.split("/")[1] for workload in workloads)
    return context.known.meant(name, namespaces if "/" not in name else workloads)
