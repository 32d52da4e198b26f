"""The control plane that end-to-end tests stand on is a real one, and it judges Fretsaw's kinds as the peer's does."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from support.controlplane import Api, ApiError, ControlPlane, until
from support.controlplane_api import TABLE
from support.controlplane_binaries import kubernetes_version
from support.controlplane_crds import established
from support.shared import root, shared
from support.validation_cases import Case, cases

CASES = cases(root() / "conformance" / "validation")
JUDGE = "dryRun=All&fieldValidation=Strict"
UNKNOWN_FIELD = re.compile(r'unknown field "([^"]+)"')
NODEPOOLS = "/apis/karpenter.sh/v1/nodepools"
POOL = {
    "apiVersion": "karpenter.sh/v1",
    "kind": "NodePool",
    "metadata": {"name": "gpu"},
    "spec": {
        "template": {
            "spec": {
                "requirements": [],
                "nodeClassRef": {"group": "karpenter.k8s.aws", "kind": "EC2NodeClass", "name": "default"},
            }
        }
    },
}


def _pod(name: str = "pod", **spec: Any) -> dict[str, Any]:
    containers = [{"name": "main", "image": "registry.example/none", "resources": {"requests": {"cpu": "1"}}}]
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name},
        "spec": {"containers": containers, **spec},
    }


def _config_map(namespace: str, name: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": namespace}}


# The server


def test_version_is_the_one_that_was_built(api: Api) -> None:
    if os.environ.get("KUBEBUILDER_ASSETS"):
        pytest.skip("KUBEBUILDER_ASSETS decides the version")
    said = api("GET", "/version")
    assert said["gitVersion"] == kubernetes_version()
    assert f"v{said['major']}.{said['minor']}." in kubernetes_version()


def test_unknown_token_is_nobody(control_plane: ControlPlane) -> None:
    with pytest.raises(ApiError) as refused:
        control_plane.api_with("unknown")("GET", "/api/v1/nodes")
    assert refused.value.status == 401


def test_user_may_do_what_a_role_allows(control_plane: ControlPlane, api: Api, namespace: str) -> None:
    path = f"/api/v1/namespaces/{namespace}/configmaps"
    user = control_plane.api_of("fretsaw")
    with pytest.raises(ApiError) as refused:
        user("GET", path)
    assert refused.value.status == 403
    kind = {"apiVersion": "rbac.authorization.k8s.io/v1", "metadata": {"name": "reader", "namespace": namespace}}
    api.create({**kind, "kind": "Role", "rules": [{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["list"]}]})
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "reader"}
    api.create({**kind, "kind": "RoleBinding", "roleRef": role, "subjects": [{"kind": "User", "name": "fretsaw"}]})
    until(lambda: _allowed(user, path), "the binding is known")


def _allowed(user: Api, path: str) -> bool:
    try:
        return "items" in user("GET", path)
    except ApiError as error:
        if error.status != 403:
            raise
        return False


def test_kubeconfig_of_a_service_account_is_that_account(control_plane: ControlPlane, api: Api, namespace: str) -> None:
    metadata = {"name": "controller", "namespace": namespace}
    api.create({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata})
    config = yaml.safe_load(control_plane.service_account_kubeconfig(namespace, "controller").read_text())
    asks = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
    account = control_plane.api_with(config["users"][0]["user"]["token"])
    answer = account("POST", "/apis/authentication.k8s.io/v1/selfsubjectreviews", asks)
    assert answer["status"]["userInfo"]["username"] == f"system:serviceaccount:{namespace}:controller"


def test_kubectl_reads_the_kubeconfig(kubectl: Callable[..., str], crds: list[str]) -> None:
    assert kubectl("auth", "whoami", "-o", "jsonpath={.status.userInfo.username}") == "admin"
    assert set(kubectl("get", "crds", "-o", "name").split()) >= {
        f"customresourcedefinition.apiextensions.k8s.io/{name}" for name in crds
    }


# Workloads


@pytest.fixture
def node(api: Api) -> Iterator[str]:
    """A node without a machine: ready, as long as nobody waits for its heartbeat."""
    status = {
        "capacity": {"cpu": "8", "memory": "32Gi", "pods": "20"},
        "allocatable": {"cpu": "8", "memory": "32Gi", "pods": "20"},
        "conditions": [{"type": "Ready", "status": "True", "reason": "KubeletReady", "message": "ready"}],
    }
    made = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "machine-0"}, "status": status}
    api.create(made)
    yield "machine-0"
    api.delete(made)


@pytest.mark.usefixtures("workloads")
def test_deployment_makes_pods_and_the_scheduler_binds_them(api: Api, namespace: str, node: str) -> None:
    template = {"metadata": {"labels": {"app": "web"}}, "spec": _pod()["spec"]}
    api.create(
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": "web", "namespace": namespace},
            "spec": {"replicas": 3, "selector": {"matchLabels": {"app": "web"}}, "template": template},
        }
    )
    pods = f"/api/v1/namespaces/{namespace}/pods"
    until(lambda: [pod["spec"].get("nodeName") for pod in api.items(pods)] == [node] * 3, "three pods are bound")


@pytest.mark.usefixtures("workloads")
def test_pod_that_fits_nowhere_is_reported_unschedulable(api: Api, namespace: str) -> None:
    pod = _pod(nodeSelector={"no-node": "has-this"})
    pod["metadata"]["namespace"] = namespace
    api.create(pod)
    conditions = until(lambda: api("GET", api.path(pod))["status"].get("conditions"), "the scheduler has looked")
    assert [(each["type"], each["status"], each["reason"]) for each in conditions] == [
        ("PodScheduled", "False", "Unschedulable")
    ]


# Fretsaw's kinds


def test_every_kind_is_established(api: Api, crds: list[str]) -> None:
    path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
    found = {each["metadata"]["name"]: established(each) for each in api.items(path)}
    assert {name: found.get(name) for name in crds} == {
        "nodepools.karpenter.sh": True,
        "nodeclaims.karpenter.sh": True,
        "nodeoverlays.karpenter.sh": True,
        "capacitybuffers.autoscaling.x-k8s.io": True,
        "ec2nodeclasses.karpenter.k8s.aws": True,
    }


@pytest.mark.usefixtures("crds")
@pytest.mark.parametrize(
    ("kind", "columns", "wide"),
    [
        ("nodepools", ["NodeClass", "Nodes", "Ready", "Age"], ["Weight", "CPU", "Memory"]),
        (
            "nodeclaims",
            ["Type", "Capacity", "Zone", "Node", "Ready", "Age"],
            ["ImageID", "ID", "NodePool", "NodeClass", "Drifted"],
        ),
    ],
)
def test_kubectl_get_shows_the_columns_of_the_peer(api: Api, kind: str, columns: list[str], wide: list[str]) -> None:
    table = api("GET", f"/apis/karpenter.sh/v1/{kind}", accept=TABLE)
    found = [(column["name"], column["priority"]) for column in table["columnDefinitions"]]
    assert found == [("Name", 0), *((name, 0) for name in columns), *((name, 1) for name in wide)]


@pytest.mark.usefixtures("crds")
def test_server_fills_in_the_defaults_of_a_pool(api: Api) -> None:
    made = api("POST", f"{NODEPOOLS}?dryRun=All", POOL)["spec"]
    assert made["disruption"] == {
        "budgets": [{"nodes": "10%"}],
        "consolidateAfter": "0s",
        "consolidationPolicy": "WhenEmptyOrUnderutilized",
    }
    assert made["template"]["spec"]["expireAfter"] == "720h"


def test_reference_has_cases() -> None:
    shared("conformance", "validation")
    assert len(CASES) > 300
    assert {case.expect for case in CASES} == {"accept", "reject", "runtime-reject"}


@pytest.mark.usefixtures("crds")
@pytest.mark.parametrize("case", [pytest.param(case, id=case.id) for case in CASES])
def test_server_judges_as_the_reference_says(api: Api, case: Case) -> None:
    problems = _problems(api, case)
    if case.expect == "reject":
        assert any(_names(problem, case.field) for problem in problems), (case.why, problems)
    else:
        assert not problems, (case.why, problems)


def _problems(api: Api, case: Case) -> list[str]:
    """The fields that the server objects to; nothing is stored. Unknown fields are errors, as they are to kubectl."""
    try:
        if case.old is None:
            api("POST", f"{api.path(case.new, collection=True)}?{JUDGE}", case.new)
        else:
            _replace(api, case)
    except ApiError as error:
        if error.reason not in {"Invalid", "BadRequest"}:
            raise
        return [cause.get("field", "") for cause in error.causes] or UNKNOWN_FIELD.findall(str(error)) or [str(error)]
    return []


def _replace(api: Api, case: Case) -> None:
    """A dry run has nothing to replace, so the old object is there for a moment."""
    old = api.create(case.old)
    version = {"resourceVersion": old["metadata"]["resourceVersion"]}
    try:
        new = {**case.new, "metadata": {**case.new["metadata"], **version}}
        api("PUT", f"{api.path(case.new)}?{JUDGE}", new)
    finally:
        api.delete(case.old)


def _names(field: str, wanted: str) -> bool:
    return field == wanted or (field.startswith(wanted) and field[len(wanted)] in ".[")


# Faults


def test_restart_of_the_api_server_keeps_what_is_stored(control_plane: ControlPlane, api: Api, namespace: str) -> None:
    kept = api.create(_config_map(namespace, "kept"))
    control_plane.stop("kube-apiserver")
    with pytest.raises(ConnectionRefusedError):
        api("GET", "/readyz")
    control_plane.start("kube-apiserver")
    assert api("GET", api.path(kept)) == kept


def test_killed_etcd_keeps_what_is_stored(control_plane: ControlPlane, api: Api, namespace: str) -> None:
    kept = api.create(_config_map(namespace, "kept"))
    control_plane.kill("etcd")
    control_plane.start("etcd")
    until(lambda: _answers(api, api.path(kept)), "the API server has found etcd again")
    assert api("GET", api.path(kept)) == kept


def test_request_times_out_while_etcd_hangs(control_plane: ControlPlane, api: Api, namespace: str) -> None:
    made = _config_map(namespace, "late")
    path = api.path(made, collection=True)
    with control_plane.paused("etcd"):
        with pytest.raises((ApiError, ConnectionError)) as ended:
            api("POST", f"{path}?timeout=1s", made)
        # The server says that it ran out of time, or hangs up when its deadline catches it in the middle of saying so.
        assert isinstance(ended.value, ConnectionError) or ended.value.reason == "Timeout"
        with pytest.raises(TimeoutError):
            api("POST", path, made, timeout_s=1)
    until(lambda: _answers(api, path), "the API server has found etcd again")


def _answers(api: Api, path: str) -> bool:
    try:
        return bool(api("GET", path, timeout_s=5))
    except (ApiError, OSError):
        return False


def test_paused_api_server_answers_nobody_until_it_goes_on(control_plane: ControlPlane, api: Api) -> None:
    with control_plane.paused("kube-apiserver"), pytest.raises(TimeoutError):
        api("GET", "/readyz", timeout_s=0.5)
    assert api("GET", "/readyz") == "ok"


def test_component_with_a_wrong_flag_says_so(tmp_path: Path, control_plane: ControlPlane) -> None:
    name = "kube-apiserver"
    wrong = ControlPlane(tmp_path, components=[name], flags={name: ["--no-such-flag"]})
    with (
        pytest.raises(RuntimeError, match=r"kube-apiserver ended at its start:\n.*unknown flag: --no-such-flag"),
        wrong,
    ):
        pass


OWNER = """
import sys, time
from pathlib import Path
from support.controlplane import ControlPlane
with ControlPlane(Path(sys.argv[1]), components=["etcd"]) as plane:
    print(plane.url("etcd"), flush=True)
    sys.stdin.read()
"""


def test_components_end_with_a_test_that_was_killed(tmp_path: Path, control_plane: ControlPlane) -> None:
    command = [sys.executable, "-c", OWNER, str(tmp_path)]
    here = {"cwd": Path(__file__).parents[1], "text": True}
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, **here) as owner:
        assert owner.stdout is not None
        url = owner.stdout.readline().strip()
        assert _serves(url)
        owner.kill()
    until(lambda: not _serves(url), "etcd has ended")


def _serves(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/health", timeout=5) as response:
            return response.status == 200
    except OSError:
        return False
