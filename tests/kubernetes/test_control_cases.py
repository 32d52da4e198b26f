"""Autoscaler, budgets, evictions, node life and pod collection, as tables: objects, steps, then objects.

Here they are played on the virtual control plane (see `control_play.py`).
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
from fretsaw.sim.world import World
from kubernetes.control_play import ControlPlay
from kubernetes.driver import VirtualDriver
from kubernetes.short import InstantPods, TableMetrics

TABLES = ("hpa", "pdb", "eviction", "node_lifecycle", "pod_gc")
FEW_FINISHED = GCSettings(most_finished=3)
"""A limit that a table can reach; 12,500 by default."""


def load(table: str) -> list[dict[str, Any]]:
    return yaml.safe_load((Path(__file__).parent / f"{table}.yaml").read_text())["cases"]


CASES = [pytest.param(table, case, id=f"{table}-{case['name']}") for table in TABLES for case in load(table)]


class VirtualAround:
    """What is outside of the virtual control plane."""

    def __init__(self, world: World, metrics: TableMetrics) -> None:
        self._world, self._metrics, self._evictions = world, metrics, Evictions(world)

    def elapsed_s(self) -> float:
        """See Around."""
        return (self._world.loop.now - self._world.loop.start) / 1000

    def measured(self, values: dict[str, Any]) -> None:
        """See Around."""
        self._metrics.values.update(values)

    def kubelet(self, node: str, *, runs: bool) -> None:
        """See Around."""
        self._world.journal.note("kubelet-started" if runs else "kubelet-stopped", f"Node/{node}")

    def instance_ends(self, provider_id: str) -> None:
        """See Around."""
        self._world.journal.note("instance-ended", f"Instance/{provider_id}")

    def evict(self, pod: str, uid: str | None, grace: int | None) -> str:
        """See Around."""
        return self._evictions.evict(f"default/{pod}", uid, grace)


def play(table: str, case: dict[str, Any], driver_type: type[VirtualDriver] = VirtualDriver) -> None:
    """Play a case on the virtual control plane."""
    metrics = TableMetrics()
    parts: dict[str, list[Any]] = {
        "hpa": [lambda world: Autoscalers(world, metrics)],
        "pdb": [Budgets],
        "eviction": [Budgets],
        "node_lifecycle": [NodeLifecycle],
        "pod_gc": [lambda world: PodGC(world, FEW_FINISHED)],
    }
    driver = driver_type(parts[table])
    around = VirtualAround(driver.world, metrics)
    if "instant_pods" in case:
        InstantPods(driver.world, **(case["instant_pods"] or {}))
    ControlPlay(driver, around).begin(case)


@pytest.mark.parametrize(("table", "case"), CASES)
def test_case(table: str, case: dict[str, Any]) -> None:
    play(table, case)
    assert "then" in case or any("then" in step or "count" in step or "evict" in step for step in case["steps"])


@pytest.mark.parametrize("table", TABLES)
def test_each_case_names_its_source_and_is_alone_with_its_name(table: str) -> None:
    cases = load(table)
    assert all(case["source"] for case in cases)
    assert len({case["name"] for case in cases}) == len(cases)
