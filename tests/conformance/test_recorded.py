"""300 random clusters, and what the reference scheduler answered in five runs of each.

Every pod that it placed in all runs is placed here, none that it placed in none is; no plan breaks a rule; all plans
together cost less than its mean under `cost`, and within two per cent of it under `first-fit`.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from statistics import fmean
from typing import Any

import pytest
import yaml

from fretsaw.planner import plan_objects
from support.checker import check
from support.shared import shared

Recorded = dict[str, Any]
_EPS = 1e-6


@pytest.fixture(scope="module")
def clusters() -> list[Recorded]:
    with gzip.open(shared("conformance", "recorded-scheduling.json.gz"), "rt", encoding="utf-8") as file:
        return json.load(file)  # type: ignore[no-any-return]


@pytest.fixture(scope="module", params=["first-fit", "cost"])
def answers(request: pytest.FixtureRequest, clusters: list[Recorded]) -> tuple[str, list[tuple[Recorded, Recorded]]]:
    """(packing, pairs of cluster and plan)."""
    packing = request.param
    return packing, [(c, plan_objects(c["objects"], c["catalog"], packing=packing, budget_s=0.5)) for c in clusters]


def _placed(plan: Recorded) -> set[str]:
    return {name for group in (*plan["nodes"], *plan["existing"]) for name in group["pods"]}


def _same_pods(pairs: list[tuple[Recorded, Recorded]]) -> Iterator[tuple[Recorded, Recorded]]:
    """Pairs in which every run of the reference placed the pods that are placed here."""
    for cluster, plan in pairs:
        if set(cluster["peer"]["always"]) == _placed(plan):
            yield cluster, plan


@cache
def _differences() -> dict[str, set[str]]:
    """Cluster → pods that differ on purpose."""
    content = yaml.safe_load(Path(__file__).with_name("differences.yaml").read_text(encoding="utf-8"))
    return {entry["name"]: set(entry["pods"]) for entry in content["recorded"]}


def _differing(cluster: Recorded, plan: Recorded) -> set[str]:
    """Pods placed although the reference never does, or not placed although it always does."""
    placed = _placed(plan)
    return (set(cluster["peer"]["always"]) - placed) | (set(cluster["peer"]["never"]) & placed)


def test_pods_are_placed_as_the_reference_places_them(answers: tuple[str, list[tuple[Recorded, Recorded]]]) -> None:
    seen = {c["name"]: pods for c, plan in answers[1] if (pods := _differing(c, plan))}
    assert seen == _differences()


def test_no_plan_breaks_a_rule(answers: tuple[str, list[tuple[Recorded, Recorded]]]) -> None:
    packing, pairs = answers
    broken = {
        c["name"]: check(c["objects"], c["catalog"], plan, packing=packing, pessimistic=packing == "first-fit")
        for c, plan in pairs
    }
    assert {name: texts for name, texts in broken.items() if texts} == {}


def test_all_plans_together_cost_as_they_should(answers: tuple[str, list[tuple[Recorded, Recorded]]]) -> None:
    packing, pairs = answers
    ours = sum(plan["pricePerHour"] for _, plan in pairs)
    theirs = sum(fmean(c["peer"]["pricePerHour"]) for c, _ in pairs)
    print(f"{packing}: {ours:.2f} $/h, the reference {theirs:.2f} $/h, ratio {ours / theirs:.4f}")  # pytest -s shows it
    if packing == "cost":
        assert ours < theirs
    else:
        assert ours == pytest.approx(theirs, rel=0.02)


def test_no_bound_is_above_a_price_that_was_reached(answers: tuple[str, list[tuple[Recorded, Recorded]]]) -> None:
    wrong = {}
    for cluster, plan in _same_pods(answers[1]):
        bound, reached = plan["lowerBoundPerHour"], [*cluster["peer"]["pricePerHour"], plan["pricePerHour"]]
        if bound is not None and bound > min(reached) + _EPS:
            wrong[cluster["name"]] = (bound, min(reached))
    assert wrong == {}


def test_bounds_are_computed_under_cost(answers: tuple[str, list[tuple[Recorded, Recorded]]]) -> None:
    packing, pairs = answers
    if packing == "cost":
        assert [c["name"] for c, plan in pairs if plan["nodes"] and plan["lowerBoundPerHour"] is None] == []
