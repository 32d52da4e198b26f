"""Who may be disrupted, who may not, and why not in the words of the event.

Source: Karpenter v1.14 pkg/controllers/disruption types.go (NewCandidate), helpers.go (GetCandidates),
pkg/controllers/state/statenode.go (ValidateNodeDisruptable), consolidation.go, emptiness.go (ShouldDisrupt).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from fretsaw.api.labels import CAPACITY_TYPE, ZONE
from fretsaw.api.node import Node
from fretsaw.api.nodeclaim import NodeClaim
from fretsaw.api.nodepool import NodePool
from fretsaw.api.pod import Pod
from fretsaw.api.times import Millis
from fretsaw.engine.disruption.ask import WhatIf
from fretsaw.engine.disruption.costs import BASE, price_nano, rescheduling_cost
from fretsaw.engine.machines import Machine
from fretsaw.engine.pdbs import DO_NOT_DISRUPT, Limits, is_reschedulable, pods_refusal, scale_of
from fretsaw.engine.state import ClusterState
from fretsaw.engine.universe import Universe

NEVER = "Never"


class Candidate(msgspec.Struct, frozen=True, eq=False):
    """A machine that may be disrupted, with what the methods weigh."""

    machine: Machine
    claim: NodeClaim
    node: Node
    pool: NodePool
    universe: Universe
    price: int
    """Nano-USD an hour; 0 where it is not known."""
    cost: float
    """What moving its pods costs, at least `costs.BASE`."""
    pods: tuple[Pod, ...]
    """Those that need another place."""

    @property
    def name(self) -> str:
        """The machine's name."""
        return self.machine.name

    @property
    def pool_name(self) -> str:
        """The pool's name."""
        return self.pool.metadata.name

    @property
    def known_type(self) -> bool:
        """Whether the pool still lists the machine's instance type."""
        return self.machine.instance_type in self.universe.number

    @property
    def empty(self) -> bool:
        """Whether no pod costs anything to move; such a machine may still have pods, of the lowest priority."""
        return self.cost <= BASE

    @property
    def static(self) -> bool:
        """Whether it belongs to a pool with a fixed number of machines."""
        return self.pool.spec.replicas is not None

    @property
    def balanced(self) -> bool:
        """Whether its pool weighs savings against disruption."""
        return self.pool.spec.disruption.consolidation_policy == "Balanced"

    @property
    def ratio(self) -> float:
        """What is saved for each unit of disruption, in nano-USD an hour."""
        return self.price / self.cost


class Blocked(msgspec.Struct, frozen=True):
    """A machine that may not be disrupted by a method. event: the reason of the Kubernetes Event that says so."""

    machine: Machine
    why: str
    event: str = "DisruptionBlocked"


class Roll:
    """The judgements of all machines by the graceful methods, kept from look to look.

    A machine is judged anew when it changed, when a nomination of it began or ended, and at every look while a pod on
    it is protected for a time. When a pool, its catalog or a budget for pods changed, all are; when a command began or
    ended, those that are no candidates, and all where a budget may count pods.
    """

    def __init__(self) -> None:
        self.verdicts: dict[str, Candidate | Blocked] = {}
        self.renewed: list[str] = []
        """Machines that the last renewal judged, also those that are no more."""
        self.news: list[Blocked] = []
        """Machines that were found blocked by the last renewal."""
        self.again = False
        """Whether the last renewal would have judged all machines anew, had they not been as before: whatever was
        told of them may be told again."""
        self._basis: tuple[object, ...] = ()
        self._marked: frozenset[str] = frozenset()
        self._seen = 0
        self._nominated: frozenset[str] = frozenset()
        self._volatile: set[str] = set()
        self._blocked: set[str] = set()

    def renew(self, survey: Survey) -> Roll:
        """Judge what has to be judged."""
        state, now = survey.state, survey.now
        machines = state.machines
        basis = (id(state), state.budget_version, state.supply_version)
        nominated = frozenset(name for name, until in state.nominated.items() if until > now)
        names = {*state.changed[self._seen :], *(nominated ^ self._nominated), *self._volatile}
        self.again = state.marked != self._marked
        if basis != self._basis or (self.again and state.objects["PodDisruptionBudget"]):
            names = set(machines) | self.verdicts.keys()
        elif self.again:
            names |= (state.marked ^ self._marked) | self._blocked
        self._marked = state.marked
        self._basis, self._nominated, self._seen = basis, nominated, len(state.changed)
        self.news = []
        self.renewed = sorted(names)
        for name in self.renewed:
            self._judge(survey, name)
        return self

    def candidates(self) -> list[Candidate]:
        """The candidates before any method's filter, by name."""
        return [c for name in sorted(self.verdicts) if isinstance(c := self.verdicts[name], Candidate)]

    def _judge(self, survey: Survey, name: str) -> None:
        machine = survey.state.machines.get(name)
        found = survey.judge(machine) if machine is not None else None
        self._volatile.discard(name)
        self._blocked.discard(name)
        if machine is None or found is None:
            self.verdicts.pop(name, None)
            return
        self.verdicts[name] = found
        if isinstance(found, Blocked):
            self.news.append(found)
            self._blocked.add(name)
        if any(_is_protected_for_a_time(pod) for pod in machine.pods):
            self._volatile.add(name)


class Survey:
    """All machines of one version of the state at one moment, judged once for all methods of a look."""

    def __init__(self, state: ClusterState, now: Millis, ask: WhatIf, roll: Roll | None = None) -> None:
        """roll: the graceful judgements of earlier looks at the same state; renewed in place."""
        self._roll = Roll() if roll is None else roll
        self.state = state
        self.now = now
        self.ask = ask
        self.limits = Limits(
            state.objects["PodDisruptionBudget"].values(), state.pods.values(), scale_of(state.objects)
        )
        self._marked = state.marked
        self._judged: dict[str, Candidate | Blocked | None] = {}
        self._by_eventual: dict[str, Candidate | Blocked | None] = {}
        self._prices: dict[tuple[int, str, str, str], int] = {}

    def judge(self, machine: Machine, *, eventual: bool = False) -> Candidate | Blocked | None:
        """The machine as a candidate, or why it is none; None for one that a running command takes anyway.

        eventual: pods that may not be moved do not keep a machine that has a termination grace period, since its end
        comes all the same.
        """
        known = self._by_eventual if eventual else self._judged
        if machine.name not in known:
            known[machine.name] = self._judge(machine, eventual)
        return known[machine.name]

    def price(self, universe: Universe, machine: Machine) -> int:
        """What the machine costs in nano-USD an hour, 0 where unknown."""
        key = (id(universe), machine.instance_type, machine.zone, machine.capacity_type)
        if key not in self._prices:
            self._prices[key] = price_nano(universe, *key[1:])
        return self._prices[key]

    def _judge(self, machine: Machine, eventual: bool) -> Candidate | Blocked | None:
        if machine.name in self._marked:
            return None
        why = self._machine_refusal(machine)
        if why is not None or machine.claim is None or machine.node is None:
            return Blocked(machine, why or "")
        pool, universe = self.state.pools.get(machine.pool), self.ask.universe(machine.pool)
        if pool is None or universe is None or not universe.names:
            return Blocked(machine, f"NodePool not found (NodePool={machine.pool})")
        if not (eventual and machine.claim.spec.termination_grace_period is not None):
            why = pods_refusal(machine.pods, self.limits, self.now)
            if why is not None:
                return Blocked(machine, why)
        pods = tuple(p for p in machine.pods if is_reschedulable(p))
        return Candidate(
            machine=machine,
            claim=machine.claim,
            node=machine.node,
            pool=pool,
            universe=universe,
            price=self.price(universe, machine),
            cost=rescheduling_cost(pods),
            pods=pods,
        )

    def _machine_refusal(self, machine: Machine) -> str | None:
        """What about the machine itself keeps it, in the peer's order; None for nothing."""
        if machine.claim is None:
            return "node isn't managed by karpenter"
        if machine.node is None:
            return "nodeclaim does not have an associated node"
        if not machine.initialized:
            return "node isn't initialized"
        if machine.claim.metadata.deletion_timestamp or machine.terminating:
            return "node is deleting or marked for deletion"
        if self.state.nominated.get(machine.name, 0) > self.now:
            return "node is nominated for a pending pod"
        if machine.node.metadata.annotations.get(DO_NOT_DISRUPT) == "true":
            return f'disruption is blocked through the "{DO_NOT_DISRUPT}" annotation'
        if not machine.pool:
            return "node doesn't have required label (label=karpenter.sh/nodepool)"
        return None

    def all(self) -> tuple[list[Candidate], list[Blocked]]:
        """(candidates before any method's filter, by name; machines that are none since the last look). For the
        graceful methods."""
        roll = self._roll.renew(self)
        return roll.candidates(), roll.news

    def drifted(self, *, static: bool) -> tuple[list[Candidate], list[Blocked]]:
        """The drifted machines of static, or of dynamic pools, that may be replaced, and those that may not."""
        candidates: list[Candidate] = []
        blocked: list[Blocked] = []
        for name in sorted(self.state.roster.drifted):
            machine = self.state.machines[name]
            found = self.judge(machine, eventual=True)
            if isinstance(found, Blocked):
                blocked.append(found)
            elif found is not None and found.static == static:
                candidates.append(found)
        return candidates, blocked


def _is_protected_for_a_time(pod: Pod) -> bool:
    return pod.metadata.annotations.get(DO_NOT_DISRUPT, "true") != "true"


def not_for_emptiness(candidate: Candidate, buffered: bool) -> Blocked | str | None:
    """Why emptiness leaves a candidate alone; None where it takes it, a text where that is no event.

    buffered: whether its machine keeps room for buffer pods.
    """
    if candidate.static:
        return "static"
    if candidate.pool.spec.disruption.consolidate_after == NEVER:
        return _unconsolidatable(candidate, _disabled(candidate))
    if buffered:
        return _unconsolidatable(candidate, f'Node "{candidate.node.metadata.name}" has buffer pods')
    if not candidate.empty:
        return "not empty"
    return None if candidate.machine.is_true("Consolidatable") else "not consolidatable"


def not_for_consolidation(candidate: Candidate) -> Blocked | str | None:
    """Why consolidation leaves a candidate alone; as above."""
    if candidate.static:
        return "static"
    machine, policy = candidate.machine, candidate.pool.spec.disruption
    if not candidate.known_type:
        return _unconsolidatable(candidate, f'Instance Type "{machine.instance_type}" not found')
    for label in (CAPACITY_TYPE, ZONE):
        if label not in machine.labels:
            return _unconsolidatable(candidate, f'Node does not have label "{label}"')
    if policy.consolidate_after == NEVER:
        return _unconsolidatable(candidate, _disabled(candidate))
    if candidate.empty:
        return "empty"
    if policy.consolidation_policy == "WhenEmpty":
        return _unconsolidatable(
            candidate,
            f'NodePool "{candidate.pool_name}" has consolidation policy WhenEmpty, but node is not empty',
        )
    return None if machine.is_true("Consolidatable") else "not consolidatable"


def _disabled(candidate: Candidate) -> str:
    return f'NodePool "{candidate.pool_name}" has consolidation disabled'


def _unconsolidatable(candidate: Candidate, why: str) -> Blocked:
    return Blocked(candidate.machine, why, "Unconsolidatable")


def by_savings(candidates: Iterable[Candidate]) -> list[Candidate]:
    """The candidates by what they save for each unit of disruption, the best first, then by name."""
    return sorted(candidates, key=lambda c: (-c.ratio, c.name))


def by_name(candidates: Iterable[Candidate]) -> Mapping[str, Candidate]:
    """The candidates by name."""
    return {c.name: c for c in candidates}
