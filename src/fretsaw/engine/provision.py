"""The provisioner: when to look at the pods that wait, and what to order for them.

Source: Karpenter v1.14 pkg/controllers/provisioning (batcher.go, provisioner.go, controller.go).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Container, Iterable, Iterator

import msgspec

from fretsaw.api.times import SECOND, Millis
from fretsaw.engine import actions as a
from fretsaw.engine import events as e
from fretsaw.engine.options import Options
from fretsaw.engine.orders import claim_of, fresh_name
from fretsaw.engine.passes import Pass, Passes
from fretsaw.engine.pending import is_pending
from fretsaw.engine.planned import held
from fretsaw.engine.state import ClusterState

AGAIN: Millis = 10 * SECOND
"""After that long a pod that still waits, or a node that still goes, asks for another pass."""
BUFFERS_AGAIN: Millis = 30 * SECOND
"""The same for CapacityBuffers, whose room is looked for as long as there are any."""
NODES = "nodes"
"""The limit on a pool's number of nodes, among its limits on resources."""
NODE = "node/"
"""Marks a node that goes among the pods of a batch: its pods will need another place."""


BUFFER = "buffer//"
"""Marks a CapacityBuffer among them; no pod's key looks like that."""


class Step(msgspec.Struct, frozen=True):
    """What one part of a turn wants."""

    actions: tuple[a.Action, ...] = ()
    notes: tuple[e.Event, ...] = ()
    wake: Millis | None = None
    """When to look again even if nothing happens."""


def provision(state: ClusterState, options: Options, passes: Passes, now: Millis) -> Step:
    """Open, extend or close the batch window; when it closes, order what the waiting pods need."""
    placed = {pod.key: until for pod, _, until in held(state, now, options.nomination)}
    release = min((until for until in placed.values() if until is not None), default=None)
    waiting = frozenset(_triggers(state, placed))
    if not waiting:
        return Step(wake=release)
    due, later = _due(state, waiting, now)
    batch = state.batch
    if batch is None:
        if not due:
            return Step(wake=_sooner(later, release))
        opened = e.BatchOpened(now, now, due)
        return Step(notes=(opened,), wake=now + options.batch_idle)
    fresh = due - batch.pods
    if fresh:
        batch = e.BatchOpened(batch.first, now, batch.pods | fresh)
    closes = min(batch.last + options.batch_idle, batch.first + options.batch_max)
    if now < closes or state.unlaunched:
        return Step(notes=(batch,) if fresh else (), wake=closes if now < closes else None)
    return _ordered(state, options, passes, now, waiting)


def _sooner(one: Millis | None, other: Millis | None) -> Millis | None:
    return min((when for when in (one, other) if when is not None), default=None)


def _triggers(state: ClusterState, placed: Container[str]) -> Iterator[str]:
    """Pods that wait for a place, nodes whose pods will, and buffers."""
    yield from (pod.key for pod in state.waiting.values() if pod.key not in placed and is_pending(pod))
    yield from (f"{NODE}{node}" for node in sorted(state.draining) if state.pods_on.get(node) and _ends(state, node))
    yield from (f"{BUFFER}{buffer}" for buffer in state.objects["CapacityBuffer"])


def _ends(state: ClusterState, node: str) -> bool:
    """Whether a node is on its way out for good.

    Differs: in the peer one that a running disruption has tainted asks, too; but its pods have their replacement, and
    when that fails, the node stays.
    """
    machine = state.machine_of(node)
    return machine is not None and (machine.deleting or machine.terminating)


def _due(state: ClusterState, waiting: frozenset[str], now: Millis) -> tuple[frozenset[str], Millis | None]:
    """(those that ask for a pass now, when the others will)."""
    last = state.last_batch
    if last is None or now >= last.at + BUFFERS_AGAIN:
        return waiting, None
    if now < last.at + AGAIN:
        return waiting - last.seen, last.at + AGAIN
    buffers = frozenset(name for name in waiting & last.seen if name.startswith(BUFFER))
    return waiting - buffers, last.at + BUFFERS_AGAIN if buffers else None


def _ordered(state: ClusterState, options: Options, passes: Passes, now: Millis, waiting: frozenset[str]) -> Step:
    """One pass, as orders and as notes of what it means; the last one's answer where nothing has changed since."""
    last = state.last_batch
    if last is not None and last.unplaced and last.seen == waiting and passes.knows(state):
        return Step(notes=(msgspec.structs.replace(last, at=now),), wake=now + AGAIN)
    answer = passes.provision(state, now)
    orders = list(_orders(state, answer, now))
    until = now + options.nomination
    virtual = answer.placed.prepared.virtual
    nominated = [e.Nominated(name, until) for name, pods in answer.filled if not set(pods) <= virtual]
    placements = [(pod, name) for name, pods in answer.filled for pod in pods]
    placements += [(pod, order.claim.metadata.name) for order in orders for pod in order.pods]
    buffered = frozenset(name for name, pods in answer.filled if virtual & set(pods))
    done = e.BatchDone(now, waiting, frozenset(answer.unplaced), buffered)
    notes: tuple[e.Event, ...] = (*nominated, e.Planned(tuple(placements), now), done)
    told = tuple(_refusals(state, answer))
    return Step((*orders, *told), notes, now + AGAIN)


def _orders(state: ClusterState, answer: Pass, now: Millis) -> Iterator[a.CreateClaim]:
    """A claim for each new node, as far as the limits hold with what is there now.

    Differs: the peer may order several nodes beyond `limits.nodes` in one pass; here the limit holds.
    """
    taken = set(state.claims)
    ordered: Counter[str] = Counter()
    for i, node in enumerate(answer.nodes):
        pool = state.pools[node.open.template.name]
        left = answer.placed.prepared.ground.remaining.get(pool.metadata.name, {})
        if any(amount < 0 for amount in left.values()) or ordered[pool.metadata.name] >= left.get(NODES, math.inf):
            continue
        ordered[pool.metadata.name] += 1
        name = fresh_name(pool.metadata.name, f"{now}/{i}", taken)
        taken.add(name)
        yield a.CreateClaim(claim_of(node, pool, name), "provisioned", tuple(node.open.pods))


def _refusals(state: ClusterState, answer: Pass) -> Iterable[a.Tell]:
    """Events for the pods that found no place, unless the last pass said the same of them."""
    before = state.last_batch.unplaced if state.last_batch is not None else frozenset()
    for pod in sorted(set(answer.unplaced) - before):
        reasons = "; ".join(f"{r.node_pool}: {r.reason}" if r.node_pool else r.reason for r in answer.why(pod))
        yield a.Tell(f"Pod/{pod}", "FailedScheduling", f"Failed to schedule pod, {reasons}", "Warning")
