"""What looks ask of all machines, the plain way: by going through all of them each time."""

from __future__ import annotations

from collections import defaultdict
from functools import cached_property
from typing import Any

from fretsaw.api.nodepool import NodePool
from fretsaw.api.times import Millis
from fretsaw.engine.disruption.balanced import Balance, balance_of
from fretsaw.engine.disruption.budgets import Share
from fretsaw.engine.disruption.candidates import Blocked, Candidate, Survey, not_for_consolidation, not_for_emptiness
from fretsaw.engine.disruption.loop import _Look
from fretsaw.engine.disruption.moves import Method
from fretsaw.engine.disruption.telling import AGAIN, Teller, Told
from fretsaw.engine.pdbs import DO_NOT_DISRUPT, is_active, protected_until
from fretsaw.engine.pool_status import COUNTED
from fretsaw.engine.requests import Amounts, add
from fretsaw.engine.roster import capacity
from fretsaw.engine.state import ClusterState


def shares(state: ClusterState) -> dict[str, Share]:
    """The count of machines of each pool."""
    nodes: dict[str, int] = defaultdict(int)
    out: dict[str, int] = defaultdict(int)
    for machine in state.machines.values():
        if machine.claim is not None and machine.initialized and not machine.terminating:
            nodes[machine.pool] += 1
            leaves = bool(machine.claim.metadata.deletion_timestamp) or machine.name in state.marked
            out[machine.pool] += leaves or not machine.ready
    return {pool: Share(count, out[pool]) for pool, count in nodes.items()}


def usage(state: ClusterState, pool: NodePool) -> Amounts:
    """What a pool's machines have in all."""
    total: Amounts = dict.fromkeys(COUNTED, 0)
    for machine in state.machines.values():
        if machine.pool == pool.metadata.name and not state.leaving(machine):
            add(total, capacity(machine))
            total["nodes"] += 1
    return total


def protections(state: ClusterState) -> list[Millis]:
    """When protections of pods end."""
    pods = [pod for machine in state.machines.values() for pod in machine.pods if is_active(pod)]
    return sorted(end for pod in pods if (end := protected_until(pod)))


class Plain:
    """What a plain look remembers: its judgements, and when it told of them."""

    def __init__(self) -> None:
        self.verdicts: dict[str, Candidate | Blocked] = {}
        self.answers: dict[tuple[Candidate, str, bool], Any] = {}
        self.told: dict[str, tuple[Blocked, Millis]] = {}
        self.basis: tuple[object, ...] = ()
        self.seen = 0
        self.nominated: frozenset[str] = frozenset()

    def renew(self, survey: Survey) -> list[Blocked]:
        """Judge all machines anew when a command begins or ends, else those that changed; those that are blocked."""
        state, machines = survey.state, survey.state.machines
        basis = (id(state), state.budget_version, state.supply_version, state.marked)
        nominated = frozenset(name for name, until in state.nominated.items() if until > survey.now)
        names = {*state.changed[self.seen :], *(nominated ^ self.nominated), *self._volatile(state)}
        if basis != self.basis:
            names = set(machines) | self.verdicts.keys()
        self.basis, self.seen, self.nominated = basis, len(state.changed), nominated
        news = []
        for name in sorted(names):
            found = survey.judge(machines[name]) if name in machines else None
            self.verdicts.pop(name, None)
            if found is not None:
                self.verdicts[name] = found
            if isinstance(found, Blocked):
                news.append(found)
        return news

    def _volatile(self, state: ClusterState) -> set[str]:
        return {
            machine.name
            for machine in state.machines.values()
            if machine.name in self.verdicts
            if any(pod.metadata.annotations.get(DO_NOT_DISRUPT, "true") != "true" for pod in machine.pods)
        }


class PlainTold(Told):
    """What was told of each machine, and when, by machine alone."""

    def __init__(self, plain: Plain) -> None:
        super().__init__()
        self._plain = plain

    def is_news(self, one: Blocked, now: Millis) -> bool:
        last = self._plain.told.get(one.machine.name)
        return last is None or last[0] is not one or now - last[1] >= AGAIN

    def note(self, one: Blocked, told: Any, by: Any = None) -> None:
        self._plain.told[one.machine.name] = (one, told.at)


class PlainLook(_Look):
    """A look that asks each method about each candidate."""

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self.plain: Plain = vars(self.known).setdefault("plain", Plain())
        self.teller = Teller(self.state, self.now, PlainTold(self.plain))

    @cached_property
    def everybody(self) -> list[Candidate]:
        """All candidates; of the machines that are none is told."""
        self.teller.blocked(self.plain.renew(self.survey))
        found = self.plain.verdicts
        return [c for name in sorted(found) if isinstance(c := found[name], Candidate)]

    @cached_property
    def balance(self) -> Balance:
        """The scores of pools that weigh savings against disruption."""
        return balance_of(self.survey, self.everybody)

    def _filtered(self, method: Method) -> list[Candidate]:
        kept, blocked = [], []
        for candidate in self.everybody:
            buffered = method == "emptiness" and candidate.name in self.buffered
            question = (candidate, "emptiness" if method == "emptiness" else "consolidation", buffered)
            if question not in self.plain.answers:
                ask = not_for_emptiness if method == "emptiness" else lambda c, _: not_for_consolidation(c)
                self.plain.answers[question] = ask(candidate, buffered)
            why = self.plain.answers[question]
            if why is None:
                kept.append(candidate)
            elif isinstance(why, Blocked):
                blocked.append(why)
        self.teller.blocked(blocked)
        return kept
