"""Workload controllers, as tables: objects, steps of a hand-driven kubelet, then what is seen (see `stage.py`)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from fretsaw.sim.workloads import start
from kubernetes.driver import VirtualDriver
from kubernetes.stage import Stage, unlike

TABLES = ("deployment", "replicaset", "statefulset", "job", "cronjob", "daemonset")
SEEN = {"see", "pods", "images", "sizes", "names", "jobs", "indexes", "nodes", "claims"}


def load(table: str) -> list[dict[str, Any]]:
    return yaml.safe_load((Path(__file__).parent / f"{table}.yaml").read_text())["cases"]


CASES = [pytest.param(case, id=f"{table}-{case['name']}") for table in TABLES for case in load(table)]


@pytest.mark.parametrize("case", CASES)
def test_workload_case(case: dict[str, Any]) -> None:
    driver = VirtualDriver([start])
    Stage(driver, lambda: driver.world.loop.now).begin(case)


@pytest.mark.parametrize("table", TABLES)
def test_each_case_has_a_source_a_name_of_its_own_and_sees_something(table: str) -> None:
    cases = load(table)
    assert all(case["source"] for case in cases)
    assert len({case["name"] for case in cases}) == len(cases)
    assert all(SEEN & {word for step in case["steps"] for word in step} for case in cases)


def test_what_is_not_as_expected_is_named() -> None:
    found = {"status": {"replicas": 2, "conditions": [{"type": "A", "status": "True"}]}}
    assert unlike({"status": {"replicas": 2, "failed": 0, "conditions": [{"type": "A"}]}}, found, "x") == ""
    assert unlike({"status": {"replicas": 3}}, found, "x") == "x.status.replicas: 2, expected 3"
    assert unlike({"status": {"conditions": [{"type": "B", "status": "True"}]}}, found, "x").startswith("x.status.cond")
    assert unlike({"status": {"replicas": None}}, found, "x") == "x.status.replicas: 2, expected None"
