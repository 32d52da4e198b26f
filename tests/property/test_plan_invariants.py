"""What holds for the plan of every cluster, whatever its objects.

The default run takes the same examples each time; FRETSAW_EXAMPLES=1000 takes that many fresh ones.
"""

from __future__ import annotations

import copy
import json
import os
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fretsaw.planner import plan_objects
from support.checker import check
from support.clusters import clusters

Obj = dict[str, Any]
_MORE = int(os.environ.get("FRETSAW_EXAMPLES", "0"))
_EPS = 1e-6
bounded = settings(
    max_examples=_MORE or 40,
    derandomize=not _MORE,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


def _plan(cluster: tuple[list[Obj], Obj], packing: str) -> Obj:
    return plan_objects(cluster[0], cluster[1], packing=packing, budget_s=0.3)


def _placed(plan: Obj) -> set[str]:
    return {name for group in (*plan["nodes"], *plan["existing"]) for name in group["pods"]}


@bounded
@given(clusters())
def test_no_rule_is_broken(cluster: tuple[list[Obj], Obj]) -> None:
    for packing in ("first-fit", "cost"):
        plan = _plan(cluster, packing)
        assert check(*cluster, plan, packing=packing, pessimistic=packing == "first-fit") == [], packing


@bounded
@given(clusters())
def test_cost_places_the_same_pods_for_no_more_money(cluster: tuple[list[Obj], Obj]) -> None:
    plain, cheap = _plan(cluster, "first-fit"), _plan(cluster, "cost")
    assert _placed(cheap) == _placed(plain)
    assert cheap["pricePerHour"] <= plain["pricePerHour"] + _EPS
    assert cheap["lowerBoundPerHour"] is None or cheap["lowerBoundPerHour"] <= cheap["pricePerHour"] + _EPS


@bounded
@given(clusters())
def test_the_input_stays_as_it_was_and_the_answer_is_the_same(cluster: tuple[list[Obj], Obj]) -> None:
    before = copy.deepcopy(cluster)
    for packing in ("first-fit", "cost"):
        first, second = _plan(cluster, packing), _plan(cluster, packing)
        first.pop("seconds"), second.pop("seconds")
        assert json.dumps(first) == json.dumps(second)
    assert cluster == before


def _born_one_by_one(objects: list[Obj]) -> None:
    """Give every object its own creation time: the queue of pods is ordered by it, after their size."""
    for second, obj in enumerate(objects):
        obj["metadata"]["creationTimestamp"] = f"2026-01-01T00:{second // 60:02}:{second % 60:02}Z"


@bounded
@given(clusters(), st.randoms(use_true_random=False))
def test_the_order_of_the_objects_does_not_change_the_price(cluster: tuple[list[Obj], Obj], random: Any) -> None:
    objects, catalog = cluster
    _born_one_by_one(objects)
    shuffled = list(objects)
    random.shuffle(shuffled)
    plain, other = _plan(cluster, "first-fit"), _plan((shuffled, catalog), "first-fit")
    assert (other["pricePerHour"], _placed(other)) == (plain["pricePerHour"], _placed(plain))
