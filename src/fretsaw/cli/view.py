"""A Plan arranged for reading: equal nodes as one row, equal reasons as one entry, prices side by side.

Values only; `render` draws them. Everything is sorted, the dearest first, and every order ends in a unique name.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import groupby

from fretsaw.engine.plan import Launch, Plan, Refusal

HOURS_PER_MONTH = 730
"""The month of AWS's own price pages: 8,760 hours of a year over twelve."""


@dataclass(frozen=True)
class NodeGroup:
    """Launches of one pool that buy the same type in the same zone at the same price."""

    pool: str
    instance_type: str
    zone: str
    capacity_type: str
    each: float
    launches: tuple[Launch, ...]

    @property
    def count(self) -> int:
        """Nodes in the group."""
        return len(self.launches)

    @property
    def usd_per_hour(self) -> float:
        """What the whole group costs."""
        return self.each * self.count

    @property
    def gpus(self) -> tuple[int, int]:
        """(requested, bought) devices."""
        return sum(launch.gpus_requested for launch in self.launches), sum(launch.gpus for launch in self.launches)

    @property
    def pods(self) -> tuple[str, ...]:
        """Names of all pods on the group's nodes, in natural order."""
        return tuple(sorted((pod for launch in self.launches for pod in launch.pods), key=natural))

    @property
    def choices(self) -> int:
        """Distinct instance types that these launches may choose from."""
        return len({c.instance_type for launch in self.launches for c in launch.candidates})

    def fill(self, resource: str) -> float | None:
        """Share of the group's allocatable that is requested; None where the nodes have none of it."""
        room = sum(dict(launch.allocatable).get(resource, 0) for launch in self.launches)
        asked = sum(dict(launch.requests).get(resource, 0) for launch in self.launches)
        return asked / room if room else None


@dataclass(frozen=True)
class Pending:
    """Pods that wait for the same reasons."""

    pods: tuple[str, ...]
    refusals: tuple[Refusal, ...]


def node_groups(plan: Plan) -> dict[str, list[NodeGroup]]:
    """The launches by pool, pools and groups dearest first."""
    by_key: dict[tuple[str, str, str, str, float], list[Launch]] = {}
    for launch in plan.launches:
        choice = launch.choice
        key = (launch.node_pool, choice.instance_type, choice.zone, choice.capacity_type, choice.price_usd_per_hour)
        by_key.setdefault(key, []).append(launch)
    pools: dict[str, list[NodeGroup]] = {}
    for key, launches in by_key.items():
        pools.setdefault(key[0], []).append(NodeGroup(*key, tuple(launches)))
    for groups in pools.values():
        groups.sort(key=lambda g: (-g.usd_per_hour, g.instance_type, g.zone, g.capacity_type, g.each))
    by_price = sorted(pools, key=lambda pool: (-sum(g.usd_per_hour for g in pools[pool]), pool))
    return {pool: pools[pool] for pool in by_price}


def pending(plan: Plan) -> list[Pending]:
    """The unplaced pods, those with equal refusals together, in the order of their first pod's name."""
    by_reason: dict[tuple[Refusal, ...], list[str]] = {}
    for unplaced in plan.unplaced:
        by_reason.setdefault(unplaced.refusals, []).append(unplaced.pod)
    entries = [Pending(tuple(sorted(pods, key=natural)), refusals) for refusals, pods in by_reason.items()]
    return sorted(entries, key=lambda entry: natural(entry.pods[0]))


def all_on_demand(plan: Plan) -> float | None:
    """Hourly price of the same without Spot; None where nothing is bought on Spot or a node is sold on it alone."""
    if all(launch.choice.capacity_type != "spot" for launch in plan.launches):
        return None
    prices = [launch.on_demand_usd_per_hour for launch in plan.launches]
    return None if any(price is None for price in prices) else sum(price or 0.0 for price in prices)


def price_sources(plan: Plan) -> list[str]:
    """Which of the chosen prices are not published ones, a clause each: `spot prices are modelled`.

    Where that holds for a part of a capacity type only, the instance types are named.
    """
    chosen: dict[str, set[tuple[str, str]]] = {}
    for choice in (launch.choice for launch in plan.launches):
        chosen.setdefault(choice.capacity_type, set()).add((choice.price_source, choice.instance_type))
    return [
        f"{capacity_type} {_prices_of(pairs, source)} {source}"
        for capacity_type, pairs in sorted(chosen.items())
        for source in sorted({source for source, _ in pairs if source})
    ]


def _prices_of(pairs: set[tuple[str, str]], source: str) -> str:
    types = sorted(name for given, name in pairs if given == source)
    if len(types) == len(pairs):
        return "prices are"
    return f"price{'s' if len(types) > 1 else ''} of {', '.join(types)} {'are' if len(types) > 1 else 'is'}"


def natural(name: str) -> tuple[tuple[int, int, str], ...]:
    """Sort key that puts `web-2` before `web-10`."""
    return tuple((0, int(part), "") if part.isdigit() else (1, 0, part) for part in re.split(r"(\d+)", name))


def named(pods: tuple[str, ...], most: int = 3) -> str:
    """The pods in few words: `ml/infer-0 … infer-8 (9 pods), default/debug`.

    pods: sorted by `natural`; numbered pods of one workload become a range. most: entries that are written out.
    """
    workloads = [(owner, list(members)) for owner, members in groupby(pods, key=_workload)]
    entries = [_range(members) for _, members in workloads]
    if len(entries) <= most:
        return ", ".join(entries)
    rest = sum(len(members) for _, members in workloads[most:])
    return f"{', '.join(entries[:most])} and {counted(rest, 'more pod')}"


def counted(number: int, noun: str) -> str:
    """`1 node`, `2 nodes`, `1,000 nodes`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _workload(pod: str) -> str:
    return re.sub(r"-\d+$", "", pod)


def _range(members: list[str]) -> str:
    if len(members) == 1:
        return members[0]
    last = members[-1].rpartition("/")[2]
    joint = "," if len(members) == 2 else " …"
    return f"{members[0]}{joint} {last} ({counted(len(members), 'pod')})"
