"""The final-state rule for spreads agrees with trying every order of placement."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from support import topology_rules
from support.builders import catalog, machine, node, offering, pod, pool, running, spread
from support.kube import ZONE
from support.world import World

ZONES = ("z-a", "z-b", "z-c")


def _some_order_exists(
    bound: tuple[int, ...], placed: tuple[int, ...], skew: int, min_domains: int, extra: tuple[int, ...]
) -> bool:
    """Whether `placed` pods can come one after another, and `extra` matching pods without the rule at any time."""
    goal = tuple(b + p + e for b, p, e in zip(bound, placed, extra, strict=True))
    states = {(bound, (0,) * len(ZONES))}
    while states:
        following = set()
        for counts, done in states:
            if counts == goal and done == placed:
                return True
            lowest = 0 if min_domains > len(ZONES) else min(counts)
            for zone in range(len(ZONES)):
                more = tuple(count + (index == zone) for index, count in enumerate(counts))
                if done[zone] < placed[zone] and counts[zone] + 1 - lowest <= skew:
                    following.add((more, tuple(d + (index == zone) for index, d in enumerate(done))))
                if counts[zone] - bound[zone] - done[zone] < extra[zone]:
                    following.add((more, done))
        states = following
    return False


def _violations(
    bound: tuple[int, ...], placed: tuple[int, ...], skew: int, min_domains: int, extra: tuple[int, ...]
) -> list[str]:
    rule: dict[str, Any] = spread(ZONE, "web", skew, minDomains=min_domains)
    labels = {"app": "web"}
    objects = [pool(), *(node(f"n-{zone}", zone=zone) for zone in ZONES)]
    existing = []
    for index, zone in enumerate(ZONES):
        objects += [running(f"b-{zone}-{i}", f"n-{zone}", labels=labels) for i in range(bound[index])]
        members = [pod(f"p-{zone}-{i}", labels=labels, topologySpreadConstraints=[rule]) for i in range(placed[index])]
        members += [pod(f"e-{zone}-{i}", labels=labels) for i in range(extra[index])]
        objects += members
        existing.append({"name": f"n-{zone}", "pods": [f"default/{one['metadata']['name']}" for one in members]})
    one = machine("s", "4", "8Gi", 0.2)
    one["offerings"] = [offering(zone, "on-demand", 0.2) for zone in ZONES]
    return topology_rules.violations(World(objects, catalog(one)), {"nodes": [], "existing": existing})


@pytest.mark.parametrize("skew", [1, 2])
@pytest.mark.parametrize("min_domains", [1, 4])
def test_a_spread_is_broken_exactly_when_no_order_leads_there(skew: int, min_domains: int) -> None:
    for bound, placed in itertools.product(itertools.product(range(3), repeat=3), repeat=2):
        broken = bool(_violations(bound, placed, skew, min_domains, (0, 0, 0)))
        assert broken != _some_order_exists(bound, placed, skew, min_domains, (0, 0, 0)), (bound, placed)


@pytest.mark.parametrize("extra", [(1, 0, 0), (0, 2, 1)])
def test_pods_that_count_without_spreading_may_come_at_any_time(extra: tuple[int, ...]) -> None:
    for bound, placed in itertools.product(
        itertools.product(range(2), repeat=3), itertools.product(range(3), repeat=3)
    ):
        broken = bool(_violations(bound, placed, 1, 1, extra))
        assert broken != _some_order_exists(bound, placed, 1, 1, extra), (bound, placed)
