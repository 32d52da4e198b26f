"""The Kubernetes tables on a real control plane: the same objects and steps as in `tests/kubernetes`, unchanged.

Where the real thing differs and we leave it, `kubernetes_differences.yaml` says what each does and why; a case that is
listed there has to differ. The lanes play in the background from the first test on; each test waits for its case.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

from e2e.live_lanes import Collector, Hpa, Lane, Nodes, Scheduler, Stepped, Workloads
from e2e.live_time import PATIENCE_S, CutDriver, Pace, pace_of
from fretsaw.sim.workloads import start
from kubernetes import scheduler_play
from kubernetes import test_control_cases as control_cases
from kubernetes import test_workload_cases as workload_cases
from kubernetes.driver import Obj
from kubernetes.stage import Stage
from support.controlplane_binaries import COMPONENTS, commands, missing

DIFFERENCES: dict[str, dict[str, str]] = yaml.safe_load(
    (Path(__file__).parent / "kubernetes_differences.yaml").read_text(encoding="utf-8")
)["differences"]


class Place(NamedTuple):
    """Where a table is played."""

    lane: type[Lane]
    planes: int = 1
    patience_s: float = PATIENCE_S


SCHEDULER = scheduler_play.tables()
PLACES = {
    **dict.fromkeys(SCHEDULER, Place(Scheduler, planes=2)),
    **dict.fromkeys(("deployment", "replicaset", "statefulset", "job", "cronjob"), Place(Workloads)),
    **dict.fromkeys(("daemonset", "pdb", "eviction"), Place(Stepped)),
    "hpa": Place(Hpa),
    # These have a control plane for themselves while they last.
    "node_lifecycle": Place(Nodes, planes=2, patience_s=80),
    "pod_gc": Place(Collector, planes=2, patience_s=80),
}


def cases(table: str) -> list[Obj]:
    """The cases of a table."""
    if table in SCHEDULER:
        return SCHEDULER[table]
    return control_cases.load(table) if table in control_cases.TABLES else workload_cases.load(table)


CASES = [pytest.param(table, case, id=f"{table}::{case['name']}") for table in PLACES for case in cases(table)]


def pace(table: str, case: Obj) -> Pace:
    """How a case is played. The scheduler's need not wait: their time goes in steps."""
    if table in SCHEDULER:
        other = case.get("settings")
        return Pace(0, 2, f"needs a scheduler with other settings: {other}" if other else "")

    if "instance_ends" in str(case):
        return Pace(0, 0, "needs a cloud's controller manager")

    if "creationTimestamp" in str(case):
        return Pace(0, 0, "asks for objects that are older than they are, and a server dates them itself")

    def rehearse(longest_wait_s: float) -> None:
        cut = type("Cut", (CutDriver,), {"longest_wait_s": longest_wait_s})
        if table in control_cases.TABLES:
            control_cases.play(table, case, cut)
        else:
            driver = cut([start])
            Stage(driver, lambda: driver.world.loop.now).begin(case)

    return pace_of(case, rehearse, PLACES[table].patience_s)


class Lanes:
    """The lanes of the tests that were chosen, each with one control plane."""

    def __init__(self, stack: ExitStack, folders: pytest.TempPathFactory, tables: set[str]) -> None:
        kinds = {PLACES[table].lane: PLACES[table].planes for table in tables}
        self._of = {
            kind: [kind(folders.mktemp(kind.__name__)) for _ in range(planes)] for kind, planes in kinds.items()
        }
        self._load = {lane: 0.0 for lanes in self._of.values() for lane in lanes}
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(stack.enter_context, self._load))

    def submit(self, table: str, case: Obj, pace: Pace) -> Future[str]:
        """Play a case on the plane that has least to do."""
        lane = min(self._of[PLACES[table].lane], key=lambda each: self._load[each])
        self._load[lane] += pace.seconds + 2
        return lane.submit(table, case, pace)


@pytest.fixture(scope="module")
def outcomes(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """Of each case that was chosen: what was not as expected, once it has been played; or why it cannot be."""
    if why := missing():
        pytest.skip(why)
    if len(commands()) < len(COMPONENTS):
        pytest.skip("KUBEBUILDER_ASSETS has not all components")
    chosen = {
        item.callspec.id: (item.callspec.params["table"], item.callspec.params["case"])
        for item in request.session.items
        if item.path == request.path and getattr(item, "callspec", None) is not None
    }
    paces = {name: pace(table, case) for name, (table, case) in chosen.items()}
    found: dict[str, Future[str] | str] = {name: each.skip for name, each in paces.items() if each.skip}
    played = sorted((name for name in chosen if name not in found), key=lambda name: -paces[name].seconds)
    with ExitStack() as stack:
        lanes = Lanes(stack, tmp_path_factory, {chosen[name][0] for name in played})
        found |= {name: lanes.submit(*chosen[name], paces[name]) for name in played}
        yield found


@pytest.mark.parametrize(("table", "case"), CASES)
def test_real_control_plane_does_as_the_table_says(
    outcomes: dict[str, Any], request: pytest.FixtureRequest, table: str, case: Obj
) -> None:
    name = f"{table}::{case['name']}"
    outcome = outcomes[request.node.callspec.id]
    if isinstance(outcome, str):
        pytest.skip(outcome)
    problem = outcome.result()
    if name in DIFFERENCES:
        assert problem, f"{name} is listed as different, and is not"
    else:
        assert problem == ""


def test_differences_are_of_cases_that_there_are_and_say_what_and_why() -> None:
    assert set(DIFFERENCES) <= {param.id for param in CASES}
    assert all(set(each) == {"real", "ours", "why"} for each in DIFFERENCES.values())
