"""Commands: a disruption from its start to the deletion of its machines, or to its failure.

Source: Karpenter v1.14 pkg/controllers/disruption queue.go, controller.go (clean-up of left-overs).
Differs: a command is known by its own id, not by its first machine, so it ends properly when that machine goes early;
a command whose replacements are ready only when its time is up deletes its machines, and leaves the taints on nodes
that go.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
from msgspec.structs import replace

from fretsaw.api.node import Node
from fretsaw.api.nodeclaim import NodeClaim
from fretsaw.api.nodepool import Reason
from fretsaw.api.times import Millis
from fretsaw.engine import actions as a
from fretsaw.engine import events as e
from fretsaw.engine.conditions import READY, by_type, put
from fretsaw.engine.disruption.moves import Method, Move
from fretsaw.engine.disruption.replacements import names
from fretsaw.engine.disruption.telling import Teller
from fretsaw.engine.machines import Machine
from fretsaw.engine.options import Options
from fretsaw.engine.orders import claim_of, fresh_name, static_claim
from fretsaw.engine.roster import DISRUPTION_REASON
from fretsaw.engine.state import ClusterState
from fretsaw.engine.taints import DISRUPTED, same

READY_ONCE = "replacement initialized"
"""The name under which it is remembered that a replacement was ready: what becomes of it later does not count."""
PER_MACHINE: Millis = 80
"""Milliseconds by which the time that commands have grows with each machine that commands take away."""
REASONS: dict[Method, Reason] = {
    "emptiness": "Empty",
    "static-drift": "Drifted",
    "drift": "Drifted",
    "multi": "Underutilized",
    "single": "Underutilized",
}
"""The reason that a method gives."""


class Steps(msgspec.Struct, frozen=True):
    """What is to be done and remembered."""

    actions: tuple[a.Action, ...] = ()
    notes: tuple[e.Event, ...] = ()

    def __add__(self, more: Steps) -> Steps:
        return Steps(self.actions + more.actions, self.notes + more.notes)


def command_of(method: Method, move: Move, now: Millis) -> e.Command:
    """The move as a command that can be remembered; its replacements have no names yet."""
    return e.Command(
        id=f"{method}/{now}/{move.candidates[0].name}",
        method=method,
        reason=REASONS[method],
        candidates=move.names,
        types=(*(names(node) for node in move.nodes), *(() for _ in range(move.copies))),
        savings_usd_per_hour=move.savings_usd,
    )


# Start


def started(state: ClusterState, options: Options, now: Millis, command: e.Command, move: Move) -> Steps:
    """Taint the machines, say why on their claims, order the replacements, and only then count them as going."""
    orders = tuple(_orders(state, now, command, move))
    command = replace(command, replacements=tuple(order.claim.metadata.name for order in orders))
    marks = tuple(action for c in move.candidates for action in _marks(c.node, c.claim, command.reason, now))
    until = now + options.nomination
    nominated = tuple(e.Nominated(name, until) for name in dict.fromkeys(m for _, m in move.outcome.filled))
    told = tuple(_nominations(state, move, orders))
    return Steps((*marks, *orders, *told), (e.CommandStarted(command, now), *nominated))


def _orders(state: ClusterState, now: Millis, command: e.Command, move: Move) -> Iterator[a.CreateClaim]:
    taken = set(state.claims)
    reason = command.reason.lower()
    for i, node in enumerate(move.nodes):
        pool = state.pools[node.open.template.name]
        name = fresh_name(pool.metadata.name, f"{command.id}/{i}", taken)
        taken.add(name)
        yield a.CreateClaim(claim_of(node, pool, name), reason, tuple(node.open.pods))
    for i in range(move.copies):
        pool = move.candidates[0].pool
        name = fresh_name(pool.metadata.name, f"{command.id}/{i}", taken)
        taken.add(name)
        yield a.CreateClaim(static_claim(pool, name), reason)


def _marks(node: Node, claim: NodeClaim, reason: str, now: Millis) -> Iterator[a.Action]:
    if not any(same(taint, DISRUPTED) for taint in node.spec.taints):
        yield a.UpdateNode(replace(node, spec=replace(node.spec, taints=(*node.spec.taints, DISRUPTED))))
    generation = claim.metadata.generation
    known = by_type(claim.status.conditions)
    found = put(known, DISRUPTION_REASON, "True", now, reason=reason, message=reason, generation=generation)
    if READY in found:
        found[READY] = found.pop(READY)
    if found != known:
        yield a.UpdateClaim(replace(claim, status=replace(claim.status, conditions=tuple(found.values()))))


def _nominations(state: ClusterState, move: Move, orders: tuple[a.CreateClaim, ...]) -> Iterator[a.Tell]:
    for order in orders:
        place = f"nodeclaim/{order.claim.metadata.name}"
        yield from (_should_schedule(pod, place) for pod in order.pods if pod in state.pods)
    for pod, name in move.outcome.filled:
        machine = state.machines[name]
        parts = [f"nodeclaim/{name}"] if machine.claim is not None else []
        parts += [f"node/{machine.node_name}"] if machine.node is not None else []
        yield _should_schedule(pod, ", ".join(parts))


def _should_schedule(pod: str, place: str) -> a.Tell:
    return a.Tell(f"Pod/{pod}", "Nominated", f"Pod should schedule on: {place}")


# Wait, and end


def driven(state: ClusterState, options: Options, now: Millis, teller: Teller) -> Steps:
    """What the running commands need now: their machines' deletion, or to be taken back."""
    found = Steps()
    patience = time_limit(state, options)
    for started in state.commands.values():
        found += _driven(state, now, started, patience, teller)
    return found


def time_limit(state: ClusterState, options: Options) -> Millis:
    """How long a command may take: longer the more machines are on their way out."""
    machines = sum(len(started.command.candidates) for started in state.commands.values())
    return max(options.command_timeout, min(PER_MACHINE * machines, options.command_timeout_max))


def _driven(state: ClusterState, now: Millis, started: e.CommandStarted, patience: Millis, teller: Teller) -> Steps:
    command, found, waits = started.command, Steps(), False
    for name in command.replacements:
        if (READY_ONCE, name) in state.checked:
            continue
        claim = state.claims.get(name)
        if claim is None:
            if now > started.at:
                return found + taken_back(state, command, "replacement was deleted")
            waits = True
            continue
        teller.tell(f"NodeClaim/{name}", "DisruptionLaunching", f"Launching NodeClaim: {command.reason}")
        initialized = claim.condition("Initialized")
        if initialized is not None and initialized.status == "True":
            found += Steps(notes=(e.Checked(READY_ONCE, name, now),))
        else:
            waits = True
            message = "Waiting on readiness to continue disruption"
            teller.tell(f"NodeClaim/{name}", "DisruptionWaitingReadiness", message)
    late = now - started.at > patience
    if not waits:
        return found + _deleted(state, command, teller)
    return found + taken_back(state, command, "command reached timeout") if late else found


def _deleted(state: ClusterState, command: e.Command, teller: Teller) -> Steps:
    actions = []
    for name in command.candidates:
        machine = state.machines.get(name)
        if machine is None or machine.claim is None or machine.claim.metadata.deletion_timestamp:
            continue
        actions.append(a.DeleteClaim(name, command.reason.lower()))
        if machine.node is not None:
            about = f"Node/{machine.node_name}"
            teller.tell(about, "DisruptionTerminating", f"Disrupting Node: {command.reason}", besides=command.reason)
        message = f"Disrupting NodeClaim: {command.reason}"
        teller.tell(f"NodeClaim/{name}", "DisruptionTerminating", message, besides=command.reason)
    return Steps(tuple(actions), (e.CommandEnded(command.id),))


def taken_back(state: ClusterState, command: e.Command, why: str) -> Steps:
    """End a command that failed: its machines are as before. What was ordered stays, and is found empty later."""
    machines = (state.machines.get(name) for name in command.candidates)
    actions = tuple(action for machine in machines if machine is not None for action in restored(machine))
    return Steps(actions, (e.CommandEnded(command.id, why),))


def restored(machine: Machine) -> Iterator[a.Action]:
    """Take the taint from a machine's node, unless the node is being deleted, and the reason from its claim."""
    node, claim = machine.node, machine.claim
    if claim is None:
        return
    if node is not None and not node.metadata.deletion_timestamp:
        left = tuple(taint for taint in node.spec.taints if not same(taint, DISRUPTED))
        if left != node.spec.taints:
            yield a.UpdateNode(replace(node, spec=replace(node.spec, taints=left)))
    if machine.initialized and claim.condition(DISRUPTION_REASON) is not None:
        kept = tuple(c for c in claim.status.conditions if c.type != DISRUPTION_REASON)
        yield a.UpdateClaim(replace(claim, status=replace(claim.status, conditions=kept)))


def cleaned(state: ClusterState) -> tuple[a.Action, ...]:
    """Take back what a disruption left behind that is no longer under way, such as one before a restart."""
    names = set(state.roster.disrupted)
    if state.draining:
        names.update(name for name, machine in state.machines.items() if machine.node_name in state.draining)
    return tuple(
        action
        for machine in (state.machines[name] for name in sorted(names - state.marked))
        if not machine.terminating
        if machine.claim is not None and not machine.claim.metadata.deletion_timestamp
        for action in restored(machine)
    )
