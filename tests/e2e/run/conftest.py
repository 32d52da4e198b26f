"""A cluster with `fretsaw run` in it, under the rights of the chart's role; and for each test a pool of its own."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from fretsaw.controllers.permissions import LEASES, READS, WRITES
from support.controlplane import Api, ControlPlane
from support.live import Live, cluster


@pytest.fixture(scope="session")
def rights(api: Api) -> None:
    """The user `fretsaw` may do what `controllers.permissions` says, as the chart's role has it."""
    rules = [rule.manifest for rule in (*READS, *WRITES, *LEASES)]
    api.apply(_rbac("ClusterRole", rules=rules))
    ref = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "fretsaw"}
    subject = {"kind": "User", "name": "fretsaw", "apiGroup": "rbac.authorization.k8s.io"}
    api.apply(_rbac("ClusterRoleBinding", roleRef=ref, subjects=[subject]))


def _rbac(kind: str, **fields: object) -> dict[str, object]:
    return {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": kind, "metadata": {"name": "fretsaw"}, **fields}


@pytest.fixture(scope="session")
def stage(
    control_plane: ControlPlane,
    crds: list[str],
    workloads: None,
    rights: None,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Live]:
    """Control plane, cloud and kubelets, without an operator."""
    with cluster(control_plane, tmp_path_factory.mktemp("live")) as live:
        live.node_class()
        yield live


@pytest.fixture
def live(stage: Live) -> Live:
    """The same with one operator, started if there is none."""
    stage.operators = [program for program in stage.operators if program.running]
    if not stage.operators:
        stage.operator()
    return stage


@pytest.fixture
def pool(request: pytest.FixtureRequest, stage: Live) -> Iterator[str]:
    """A name for the test's pool, which is taken away at the end with all that is its own, and so are faults."""
    name = re.sub(r"[^a-z0-9]+", "-", request.node.name.removeprefix("test_").lower())[:40].strip("-")
    yield name
    stage.cloud.mend()
    if any(program.running for program in stage.operators):
        stage.remove([name])


@pytest.fixture
def namespace(pool: str, namespace: str) -> str:
    """As elsewhere; its pods go before the pool does, which then has nothing to drain."""
    return namespace
