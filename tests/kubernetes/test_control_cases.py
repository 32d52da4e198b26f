"""Autoscaler, budgets, evictions, node life and pod collection, as tables: objects, steps, then objects.

A table's words are short for objects (see `short.py`); the steps go through the driver port, and three stand-ins for
what is outside a control plane: a metrics adapter, pods that start at once, and facts about machines.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from fretsaw.sim.budgets import Budgets
from fretsaw.sim.eviction import Evictions
from fretsaw.sim.hpa.controller import Autoscalers
from fretsaw.sim.node_lifecycle import NodeLifecycle
from fretsaw.sim.pod_gc import PodGC
from fretsaw.sim.pod_gc import Settings as GCSettings
from kubernetes.driver import VirtualDriver
from kubernetes.short import InstantPods, TableMetrics, written_out

TABLES = ("hpa", "pdb", "eviction", "node_lifecycle", "pod_gc")
FEW_FINISHED = GCSettings(most_finished=3)
"""A limit that a table can reach; 12,500 by default."""


def load(table: str) -> list[dict[str, Any]]:
    return yaml.safe_load((Path(__file__).parent / f"{table}.yaml").read_text())["cases"]


CASES = [pytest.param(table, case, id=f"{table}-{case['name']}") for table in TABLES for case in load(table)]


class Run:
    """One case's cluster."""

    def __init__(self, table: str, case: dict[str, Any]) -> None:
        self.metrics = TableMetrics()
        parts: dict[str, list[Any]] = {
            "hpa": [lambda world: Autoscalers(world, self.metrics)],
            "pdb": [Budgets],
            "eviction": [Budgets],
            "node_lifecycle": [NodeLifecycle],
            "pod_gc": [lambda world: PodGC(world, FEW_FINISHED)],
        }
        self.driver = VirtualDriver(parts[table])
        self.world = self.driver.world
        self.evictions = Evictions(self.world)
        if "instant_pods" in case:
            InstantPods(self.world, **(case["instant_pods"] or {}))

    def apply(self, items: list[dict[str, Any]]) -> None:
        for item in items:
            for raw in written_out(item, self.driver):
                self.driver.apply([raw])

    def step(self, step: dict[str, Any]) -> None:
        for word, value in step.items():
            getattr(self, f"_{word}")(value)

    def _apply(self, items: list[dict[str, Any]]) -> None:
        self.apply(items)

    def _delete(self, what: str) -> None:
        kind, key = what.split(" ")
        self.driver.delete(kind, key)

    def _force(self, what: str) -> None:
        kind, key = what.split(" ")
        self.driver.delete(kind, key, force=True)

    def _wait(self, seconds: float) -> None:
        self.driver.advance(seconds)

    def _at(self, second: float) -> None:
        """Let time pass until so many seconds after the case's beginning."""
        self.driver.advance(second - (self.world.loop.now - self.world.loop.start) / 1000)

    def _metrics(self, values: dict[str, Any]) -> None:
        self.metrics.values.update(values)

    def _kubelet_stops(self, node: str) -> None:
        self.world.journal.note("kubelet-stopped", f"Node/{node}")

    def _kubelet_starts(self, node: str) -> None:
        self.world.journal.note("kubelet-started", f"Node/{node}")

    def _instance_ends(self, provider_id: str) -> None:
        self.world.journal.note("instance-ended", f"Instance/{provider_id}")

    def _evict(self, request: dict[str, Any]) -> None:
        answer = self.evictions.evict(f"default/{request['pod']}", request.get("uid"), request.get("grace"))
        assert answer.startswith(request["answer"]) if request["answer"] else answer == "", answer

    def _then(self, expected: dict[str, Any]) -> None:
        for what, wanted in expected.items():
            kind, key = what.split(" ")
            found = self.driver.get(kind, key)
            if wanted == "gone":
                assert found is None, f"{what} is there"
            else:
                assert found is not None, f"{what} is not there"
                problem = missing(wanted, found, what)
                assert problem == "", problem

    def _count(self, expected: dict[str, int]) -> None:
        assert {kind: len(self.driver.list(kind)) for kind in expected} == expected


def missing(wanted: Any, found: Any, where: str) -> str:
    """The first place where `found` is not as `wanted`, empty for none. Fields that are not named may be anything.

    Null means absent. Each map of a list has to be like one that is there, and all but conditions have to be named.
    """
    if isinstance(wanted, dict):
        if not isinstance(found, dict):
            return f"{where}: {found!r}, wanted {wanted!r}"
        for name, value in wanted.items():
            if value is None and name not in found:
                continue
            if problem := missing(value, found.get(name), f"{where}.{name}"):
                return problem
        return ""
    if isinstance(wanted, list) and wanted and isinstance(wanted[0], dict):
        items = list(found or ())
        if len(items) != len(wanted) and not where.endswith(".conditions"):
            return f"{where}: {items!r}, wanted {wanted!r}"
        for item in wanted:
            if all(missing(item, other, where) for other in items):
                return f"{where}: none of {items!r} is like {item!r}"
        return ""
    if isinstance(wanted, list):
        found = list(found or ())
    if isinstance(wanted, int) and not isinstance(wanted, bool) and found is None:
        found = 0
    return "" if wanted == found else f"{where}: {found!r}, wanted {wanted!r}"


@pytest.mark.parametrize(("table", "case"), CASES)
def test_case(table: str, case: dict[str, Any]) -> None:
    run = Run(table, case)
    run.apply(case.get("given", []))
    run.driver.advance(1)
    for step in case.get("steps", []):
        run.step(step)
    if "then" in case:
        run.step({"then": case["then"]})
    assert "then" in case or any("then" in step or "count" in step or "evict" in step for step in case["steps"])


@pytest.mark.parametrize("table", TABLES)
def test_each_case_names_its_source_and_is_alone_with_its_name(table: str) -> None:
    cases = load(table)
    assert all(case["source"] for case in cases)
    assert len({case["name"] for case in cases}) == len(cases)
