"""What every end-to-end test starts from: one real control plane for all of them, and a namespace for each."""

from __future__ import annotations

import shutil
import subprocess
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from support.controlplane import Api, ControlPlane, missing, until
from support.controlplane_crds import custom_resources, install


@pytest.fixture(scope="session")
def control_plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """etcd, API server, scheduler and controller manager. A test that breaks one mends it.

    The user `fretsaw` may do nothing until a test binds a role to it.
    """
    if why := missing():
        pytest.skip(why)
    with ControlPlane(tmp_path_factory.mktemp("control-plane"), users={"fretsaw": ("fretsaw", [])}) as plane:
        yield plane


@pytest.fixture(scope="session")
def api(control_plane: ControlPlane) -> Api:
    """Calls as the admin: `api("GET", "/api/v1/nodes")`."""
    return control_plane.api


@pytest.fixture(scope="session")
def workloads(control_plane: ControlPlane) -> None:
    """For tests whose pods are made and bound: skips them where scheduler and controller manager cannot be had."""
    if len(control_plane.components) < 4:
        pytest.skip(f"KUBEBUILDER_ASSETS has only {', '.join(control_plane.components)}")


@pytest.fixture(scope="session")
def crds(api: Api) -> list[str]:
    """Fretsaw's kinds are on the server; their names."""
    definitions = custom_resources()
    install(api, definitions)
    return [definition["metadata"]["name"] for definition in definitions]


@pytest.fixture
def namespace(api: Api) -> Iterator[str]:
    """A new namespace for one test. At its end no pod of it is left, also none that waits for a kubelet to stop it."""
    name = f"test-{uuid.uuid4().hex[:8]}"
    made = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
    api.create(made)
    yield name
    api.delete(made)
    pods = f"/api/v1/namespaces/{name}/pods"
    until(lambda: api("DELETE", pods, {"gracePeriodSeconds": 0}) and not api.items(pods), f"{name} has no pod left")


@pytest.fixture
def kubectl(control_plane: ControlPlane) -> Callable[..., str]:
    """`kubectl("get", "nodes")` as the admin gives what it prints; skips where there is no kubectl."""
    program = shutil.which("kubectl")
    if program is None:
        pytest.skip("no kubectl on PATH")
    command: list[Any] = [program, "--kubeconfig", control_plane.kubeconfig()]

    def run(*arguments: str, stdin: str | None = None) -> str:
        done = subprocess.run([*command, *arguments], input=stdin, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run
