"""One look at one machine: what its claim and node need next. Called for machines that changed or are due.

`look` runs the parts of the lifecycle in Karpenter's order on what the state says now. It asks nothing of what it
ordered before but the notes that it left, so that an order that was lost is made again, and one that was carried out
is not. An exception is a bug: no state of a cluster makes a look fail.

Source: Karpenter v1.14 pkg/controllers/nodeclaim, pkg/controllers/node.
"""

from __future__ import annotations

from collections.abc import Callable

from fretsaw.api.times import Millis, millis, rfc3339
from fretsaw.engine import actions as a
from fretsaw.engine import aging, joining, launching
from fretsaw.engine import events as e
from fretsaw.engine.drain import ASK_AGAIN, end_instance, end_node, warn_of_deadline
from fretsaw.engine.lifecycle import TERMINATION
from fretsaw.engine.machines import Machine
from fretsaw.engine.managed import is_managed_claim
from fretsaw.engine.options import Options
from fretsaw.engine.repair import EKS_POLICIES, Policy, repair
from fretsaw.engine.sight import DEADLINE, NOTHING, Look, Sight, spans
from fretsaw.engine.state import ClusterState

Drift = Callable[[Machine], str]
"""Why a machine is not what its pool and node class ask for; empty if it is."""
Hooks = Callable[[Machine], tuple[str, ...]]
"""Names of the provider's hooks that a node has to wait for before it is registered."""


def no_drift(_: Machine) -> str:
    """No machine has drifted."""
    return ""


def no_hooks(_: Machine) -> tuple[str, ...]:
    """Nothing to wait for."""
    return ()


def look(
    state: ClusterState,
    machine: Machine,
    options: Options,
    now: Millis,
    *,
    drift: Drift = no_drift,
    hooks: Hooks = no_hooks,
    policies: tuple[Policy, ...] = EKS_POLICIES,
) -> Look:
    """What is to be done about one machine now, and when to look at it again if nothing changes before.

    Claims of node classes that the provider does not know are left alone, as are nodes without a claim until somebody
    deletes them. Cost: some 10 µs for a machine at rest.
    """
    sight = Sight(state, machine, options, now)
    if machine.claim is None:
        end_node(sight)
    elif not is_managed_claim(machine.claim):
        return NOTHING
    elif sight.deleting:
        _end(sight, policies)
    else:
        _grow(sight, drift, hooks, policies)
    return sight.look()


def strays(state: ClusterState, now: Millis) -> Look:
    """Orders to end the instances whose claims went before the cloud answered, and when to ask again."""
    orders: list[a.Action] = []
    notes: list[e.Event] = []
    wakes: list[Millis] = []
    for answer in launching.strays(state):
        asked = state.checked.get(("terminate", answer.claim))
        if asked is None or now - asked >= ASK_AGAIN:
            orders.append(a.TerminateInstance(answer.provider_id, answer.claim))
            notes.append(e.Checked("terminate", answer.claim, now))
            asked = now
        wakes.append(asked + ASK_AGAIN)
    return Look(tuple(orders), tuple(notes), min(wakes, default=None))


def _grow(sight: Sight, drift: Drift, hooks: Hooks, policies: tuple[Policy, ...]) -> None:
    """From the order to the day on which something speaks against the machine."""
    sight.expect_conditions()
    launching.label_class(sight)
    if not launching.protect(sight):
        return
    launching.launch(sight)
    unregistered = sight.status("Registered") == "Unknown" and sight.node is not None
    joining.register(sight, hooks(sight.machine) if unregistered else ())
    joining.label_node_class(sight)
    joining.initialize(sight)
    aging.live(sight)
    aging.interrupt(sight)
    aging.expire(sight)
    aging.collect(sight)
    if sight.options.node_repair:
        repair(sight, policies)
    aging.hear_pods(sight)
    aging.consolidatable(sight)
    # Not in the look that launches it: the claim as it was has not got its instance's labels yet.
    aging.drift(sight, drift(sight.machine) if sight.machine.is_true("Launched") else "")
    aging.compare(sight)
    end_node(sight)


def _end(sight: Sight, policies: tuple[Policy, ...]) -> None:
    """From the deletion to the day on which nothing is left."""
    sight.expect_conditions()
    if sight.status("Launched") != "True":
        launching.adopt(sight)
    joining.confirm_registered(sight)
    _set_deadline(sight)
    aging.interrupt(sight)
    if sight.options.node_repair:
        repair(sight, policies)
    end_node(sight)
    _finalize(sight)


def _set_deadline(sight: Sight) -> None:
    """Say by when the pods have to be gone, if the claim limits that; counted from its deletion."""
    claim = sight.claim
    if claim is None or claim.spec.termination_grace_period is None:
        return
    if DEADLINE not in claim.metadata.annotations and claim.metadata.deletion_timestamp:
        grace = spans(claim.spec.termination_grace_period) or 0
        sight.annotate(DEADLINE, rfc3339(millis(claim.metadata.deletion_timestamp) + grace))
        warn_of_deadline(sight, f"NodeClaim/{sight.name}", sight.name)


def _finalize(sight: Sight) -> None:
    """Let the claim go when its nodes are gone and its instance has ended; nodes that never joined are not ours."""
    claim = sight.claim
    if claim is None or TERMINATION not in claim.metadata.finalizers:
        return
    if sight.status("Registered") == "True" and (nodes := sight.state.nodes_with(sight.provider_id)):
        for node in nodes:
            if not node.metadata.deletion_timestamp:
                sight.order(a.DeleteNode(node.metadata.name))
        return
    if not end_instance(sight):
        return
    until = launching.in_flight(sight)
    if until is None:
        sight.release_claim()
    else:
        sight.wake_at(until)
