"""The answer of a scheduling pass, as plain values that can be compared, printed, stored and thrown away.

`engine.schedule` makes one, the CLI and the reports read it, the simulator and the controllers perform it.
"""

from __future__ import annotations

import math

import msgspec


class Candidate(msgspec.Struct, frozen=True):
    """An instance type that a launch may choose, with its cheapest compatible offering."""

    instance_type: str
    zone: str
    capacity_type: str
    price_usd_per_hour: float
    price_source: str = ""


class Launch(msgspec.Struct, frozen=True):
    """A node to buy. `candidates` are all choices, cheapest first; the first is the one that is priced."""

    name: str
    node_pool: str
    candidates: tuple[Candidate, ...]
    pods: tuple[str, ...]
    """`namespace/name`, in the order of placement."""
    requirements: tuple[str, ...] = ()
    """The node's final requirements in text form, sorted."""
    requests: tuple[tuple[str, int], ...] = ()
    """What the pods and the daemon pods ask for: (resource, base units: millicores, bytes, devices)."""
    allocatable: tuple[tuple[str, int], ...] = ()
    """What the cheapest candidate can give, same units."""
    gpus: int = 0
    """GPUs (any vendor) and Neuron devices of the cheapest candidate."""
    gpus_requested: int = 0
    on_demand_usd_per_hour: float | None = None
    """The cheapest on-demand price for the same pods in any zone that the node may use; None where there is none."""

    @property
    def choice(self) -> Candidate:
        """The candidate that the plan is priced with."""
        return self.candidates[0]


class Filled(msgspec.Struct, frozen=True):
    """An existing (or in-flight) node that receives pods of this plan."""

    name: str
    pods: tuple[str, ...]


class Refusal(msgspec.Struct, frozen=True):
    """Why one NodePool did not take a pod. `node_pool` is empty where the reason lies in the pod itself."""

    node_pool: str
    reason: str
    field: str = ""
    """The field to change, in the user's words: `nodepool/gpu spec.limits[nvidia.com/gpu]`, `pod spec.tolerations`."""


class Unplaced(msgspec.Struct, frozen=True):
    """A pod that stays pending, with one refusal for each NodePool, the nearest miss first."""

    pod: str
    refusals: tuple[Refusal, ...]


class Bound(msgspec.Struct, frozen=True):
    """A proven lower bound on the hourly price, and how it was had."""

    usd_per_hour: float
    """No nodes of these pools hold the same pods for less, whichever pool is preferred."""
    proof: str = ""
    in_order_usd_per_hour: float | None = None
    """The same for plans that keep the pools' order (weight, then name); None where the order makes no difference."""

    @property
    def tightest(self) -> float:
        """The bound for plans that keep the pools' order, as every plan here does."""
        return self.in_order_usd_per_hour if self.in_order_usd_per_hour is not None else self.usd_per_hour


class Verdict(msgspec.Struct, frozen=True):
    """What became of one NodePool for one pod."""

    node_pool: str
    weight: int
    outcome: str
    """`chosen`, `refused`, `shared` (the pod rides on a node of another pool though this one would take it) or
    `behind` (it would take the pod, but a pool before it does)."""
    reason: str = ""
    field: str = ""


class Explanation(msgspec.Struct, frozen=True):
    """Why one pod is where it is: the pools in the order in which they were tried, and what would change the choice."""

    pod: str
    verdicts: tuple[Verdict, ...]
    changes: tuple[str, ...] = ()
    """One sentence each: a counterfactual with its price."""


class Plan(msgspec.Struct, frozen=True):
    """What to buy, where each pod goes, what stays pending, and how good that is."""

    launches: tuple[Launch, ...]
    filled: tuple[Filled, ...]
    unplaced: tuple[Unplaced, ...]
    packing: str
    pods: int
    """Pods that waited for a place; pods that run already do not count."""
    bound: Bound | None = None
    first_fit_usd_per_hour: float | None = None
    """What `--packing first-fit` would have paid; None where that was not computed."""
    notes: tuple[str, ...] = ()
    explanation: Explanation | None = None
    """Of the one pod that was asked about; None where none was."""

    @property
    def usd_per_hour(self) -> float:
        """Sum of the launches' cheapest prices."""
        return round(math.fsum(launch.choice.price_usd_per_hour for launch in self.launches), 9)

    @property
    def scheduled(self) -> int:
        """Pods with a place."""
        return sum(len(launch.pods) for launch in self.launches) + sum(len(node.pods) for node in self.filled)
