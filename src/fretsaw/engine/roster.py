"""What is asked again and again about all machines, kept as they change, so that nobody has to go through all of them.

`ClusterState` tells of every machine that was made anew, or is gone. Which machines a running command takes away is no
matter here: whoever asks counts those himself.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator

from fretsaw.api.resources import units
from fretsaw.engine.machines import Machine
from fretsaw.engine.pdbs import DO_NOT_DISRUPT
from fretsaw.engine.requests import Amounts

DISRUPTION_REASON = "DisruptionReason"


class Roster:
    """Names of machines by what few of them are, and counts by pool."""

    def __init__(self) -> None:
        self.guarded: set[str] = set()
        """Machines with a pod that says do-not-disrupt, for however long."""
        self.drifted: set[str] = set()
        self.disrupted: set[str] = set()
        """Machines whose claims give a reason for a disruption."""
        self.unsettled: set[str] = set()
        """Machines that are not Consolidatable."""
        self.counted: Counter[str] = Counter()
        """Machines that budgets count, by pool."""
        self.out: Counter[str] = Counter()
        """Those of them that are not ready, or whose claims are being deleted."""
        self._capacities: dict[str, Capacities] = defaultdict(Capacities)
        self._unweighed: dict[str, Machine | None] = {}
        """Machines whose capacity has not been counted yet, as they are now: that is asked for more seldom."""
        self._weighed: dict[str, Machine] = {}

    def put(self, name: str, old: Machine | None, new: Machine | None) -> None:
        """A machine has changed, has come (old None), or has gone (new None)."""
        _mark(self.guarded, name, new is not None and _is_guarded(new))
        _mark(self.drifted, name, new is not None and "Drifted" in new.truths)
        _mark(self.disrupted, name, new is not None and DISRUPTION_REASON in new.truths)
        _mark(self.unsettled, name, new is not None and "Consolidatable" not in new.truths)
        if old is not None:
            self._count(old, -1)
        if new is not None:
            self._count(new, 1)
        self._unweighed[name] = new

    def _count(self, machine: Machine, times: int) -> None:
        if is_counted(machine):
            self.counted[machine.pool] += times
            self.out[machine.pool] += times * is_out(machine)

    def capacities(self, pool: str) -> Capacities:
        """What the machines of a pool have that are not on their way out. Not to be written to."""
        for name, machine in self._unweighed.items():
            before = self._weighed.pop(name, None)
            if before is not None:
                self._capacities[before.pool].add(capacity(before), -1)
            if machine is not None and not machine.deleting and not machine.terminating:
                self._weighed[name] = machine
                self._capacities[machine.pool].add(capacity(machine), 1)
        self._unweighed.clear()
        return self._capacities[pool]


class Capacities:
    """The capacity of several machines together."""

    def __init__(self) -> None:
        self.total: Counter[str] = Counter()
        self.holders: Counter[str] = Counter()
        """How many machines have anything to say about a resource."""
        self.number = 0

    def add(self, amounts: Amounts, times: int) -> None:
        """Count one more such machine, or (times -1) one less."""
        self.number += times
        for resource, amount in amounts.items():
            self.total[resource] += times * amount
            self.holders[resource] += times

    def copy(self) -> Capacities:
        """The same, to go on with."""
        other = Capacities()
        other.total, other.holders, other.number = Counter(self.total), Counter(self.holders), self.number
        return other

    def resources(self) -> Iterator[str]:
        """Those that a machine has something to say about, if only that it has none."""
        return (resource for resource, holders in self.holders.items() if holders)


def is_counted(machine: Machine) -> bool:
    """Whether budgets count the machine: it is initialised, and its instance is not being ended."""
    return machine.claim is not None and machine.initialized and not machine.terminating


def is_out(machine: Machine) -> bool:
    """Whether a machine that budgets count is not ready, or on its way out. The node's own deletion does not count
    here: the claim's does, and it always comes with it."""
    return not machine.ready or (machine.claim is not None and bool(machine.claim.metadata.deletion_timestamp))


def capacity(machine: Machine) -> Amounts:
    """The node's own figures once it is initialised; until then the claim fills in what the node does not say."""
    own = dict(machine.node.status.capacity) if machine.node is not None else {}
    found = {name: units(name, amount, up=False) for name, amount in own.items()}
    if machine.claim is not None and not machine.initialized:
        for name, amount in machine.claim.status.capacity.items():
            found[name] = found.get(name) or units(name, amount, up=False)
    return found


def _is_guarded(machine: Machine) -> bool:
    return any(DO_NOT_DISRUPT in pod.metadata.annotations for pod in machine.pods)


def _mark(names: set[str], name: str, really: bool) -> None:
    if really:
        names.add(name)
    else:
        names.discard(name)
