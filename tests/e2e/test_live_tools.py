"""What reads a live cluster, on a real control plane of its own on which the GPU platform example is applied."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fretsaw.api.kinds import find
from fretsaw.api.manifest import load
from support.builders import node as node_of
from support.controlplane import ControlPlane, missing, until
from support.controlplane_crds import custom_resources, install

EXAMPLE = Path(__file__).parents[2] / "examples" / "gpu-platform"
PODS = 12
"""Of the example, once its workloads have made theirs."""
NODE = "ip-10-0-1-17.ec2.internal"


@pytest.fixture(scope="module")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """A control plane with the platform's objects, whose pods wait: there is no node."""
    if why := missing():
        pytest.skip(why)
    with ControlPlane(tmp_path_factory.mktemp("platform")) as made:
        if len(made.components) < 4:
            pytest.skip("nobody here makes pods of workloads")
        install(made.api, custom_resources())
        for document in load([EXAMPLE]).documents:
            if find(document.api_version, document.kind) is not None:
                made.api.apply(document.raw)
        until(lambda: len(_waiting(made)) == PODS, "every pod is there, and the scheduler has looked at it")
        yield made


def _waiting(plane: ControlPlane) -> list[Any]:
    return [pod for pod in plane.api.items("/api/v1/pods") if pod["status"].get("conditions")]


@pytest.fixture
def bound(plane: ControlPlane) -> Iterator[str]:
    """A pod that is bound to a node of the pool `gpu-general`; afterwards it waits again."""
    labels = {
        "node-type": "gpu",
        "karpenter.sh/nodepool": "gpu-general",
        "karpenter.sh/capacity-type": "spot",
        "node.kubernetes.io/instance-type": "g5.2xlarge",
        "topology.kubernetes.io/region": "us-east-1",
    }
    made = node_of(NODE, "8", "32Gi", zone="us-east-1a", labels=labels, room={"nvidia.com/gpu": "1"})
    taint = {"key": "test", "value": "full", "effect": "NoSchedule"}
    plane.api.create({**made, "spec": {"taints": [taint]}})
    pod = plane.api("GET", "/api/v1/namespaces/default/pods/gpu-debug")
    target = {"apiVersion": "v1", "kind": "Node", "name": NODE}
    binding = {"apiVersion": "v1", "kind": "Binding", "metadata": {"name": "gpu-debug"}, "target": target}
    plane.api("POST", "/api/v1/namespaces/default/pods/gpu-debug/binding", binding)
    yield "default/gpu-debug"
    plane.api.delete(made)
    plane.api.delete(pod)
    metadata = {key: pod["metadata"][key] for key in ("name", "namespace", "labels")}
    until(lambda: pod["metadata"]["name"] not in _names(plane), "the pod has gone")
    spec = {key: value for key, value in pod["spec"].items() if key != "nodeName"}
    plane.api.create({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec})
    until(lambda: len(_waiting(plane)) == PODS, "it waits again")


def _names(plane: ControlPlane) -> set[str]:
    return {pod["metadata"]["name"] for pod in plane.api.items("/api/v1/namespaces/default/pods")}


def fretsaw(*arguments: Any, kubeconfig: Path | None = None, code: int = 0) -> tuple[str, str]:
    """(standard output, standard error) of the command, which ended with this code."""
    environment = {**os.environ, "COLUMNS": "120"}
    environment.pop("KUBECONFIG", None)
    if kubeconfig is not None:
        environment["KUBECONFIG"] = str(kubeconfig)
    command = [sys.executable, "-m", "fretsaw", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=120)
    assert done.returncode == code, (done.returncode, done.stdout, done.stderr)
    return done.stdout, done.stderr


def planned(out: str) -> dict[str, Any]:
    """A plan in JSON, but for the time that it took."""
    answer: dict[str, Any] = json.loads(out)
    del answer["seconds"]
    return answer


# The same plan, wherever the objects are read


@pytest.mark.parametrize("name", ["cluster.yaml", "cluster.json", "cluster.yaml.gz"])
def test_a_snapshot_plans_as_the_cluster_does(plane: ControlPlane, tmp_path: Path, name: str) -> None:
    file = tmp_path / name
    _, said = fretsaw("snapshot", "-o", file, kubeconfig=plane.kubeconfig())
    assert re.fullmatch(rf"note: {file}: \d+ objects of {plane.url()}\n", said)
    # First-fit and no search: a search that is cut by the clock may end elsewhere the second time.
    options = ("-o", "json", "--packing", "first-fit")
    out, said = fretsaw("plan", "-f", file, *options)
    live, said_live = fretsaw("plan", "--live", *options, kubeconfig=plane.kubeconfig())
    assert (said, said_live) == ("", "")
    assert planned(out) == planned(live)
    assert (planned(live)["pods"], planned(live)["scheduled"]) == (PODS, PODS)


def test_a_snapshot_through_a_pipe_is_the_same(plane: ControlPlane, tmp_path: Path) -> None:
    out, said = fretsaw("snapshot", kubeconfig=plane.kubeconfig())
    assert said == ""
    assert out.startswith(f"# Cluster: {plane.url()}\n# Kubernetes: v")
    (tmp_path / "c.yaml").write_text(out, encoding="utf-8")
    assert load([tmp_path / "c.yaml"]).problems == ()
    assert "managedFields" not in out


def test_a_snapshot_can_be_lived_through(plane: ControlPlane, tmp_path: Path) -> None:
    file = tmp_path / "cluster.yaml"
    fretsaw("snapshot", "-o", file, kubeconfig=plane.kubeconfig())
    out, said = fretsaw("simulate", "-f", file, "--for", "30m", "-o", "json")
    result = json.loads(out)
    assert said == ""
    assert (result["pods"]["pendingAtEnd"], result["violations"]) == (0, [])


def test_pods_that_run_stay_on_their_nodes(plane: ControlPlane, bound: str, tmp_path: Path) -> None:
    file = tmp_path / "cluster.json.gz"
    fretsaw("snapshot", "-o", file, kubeconfig=plane.kubeconfig())
    options = ("-o", "json", "--packing", "first-fit")
    live = planned(fretsaw("plan", "--live", *options, kubeconfig=plane.kubeconfig())[0])
    assert live == planned(fretsaw("plan", "-f", file, *options)[0])
    assert live["pods"] == PODS - 1
    assert bound not in json.dumps(live)


def test_a_pool_in_a_file_stands_for_the_clusters(plane: ControlPlane, tmp_path: Path) -> None:
    pool = plane.api("GET", "/apis/karpenter.sh/v1/nodepools/gpu-training")
    pool["spec"]["limits"] = {"nvidia.com/gpu": "0"}
    (tmp_path / "pool.json").write_text(json.dumps(pool), encoding="utf-8")
    out, _ = fretsaw("plan", "--live", "-f", tmp_path, "-o", "json", kubeconfig=plane.kubeconfig(), code=1)
    waiting = {one["pod"].partition("/")[0] for one in json.loads(out)["unschedulable"]}
    assert waiting == {"ml-training"}
    assert (
        plane.api("GET", "/apis/karpenter.sh/v1/nodepools/gpu-training")["spec"].get("limits") != pool["spec"]["limits"]
    )


# explain


def test_a_pod_that_waits_is_explained_by_scheduler_and_pools(plane: ControlPlane) -> None:
    out, said = fretsaw("explain", "pod/training-job", kubeconfig=plane.kubeconfig())
    assert said == ""
    assert out.startswith("pod/default/training-job waits for a node.\n  scheduler    ")
    assert "\ndefault/training-job goes to gpu-tier1-g5-spot-1, a new node of nodepool/gpu-tier1-g5-spot.\n" in out


def test_a_pod_and_its_node_are_explained(plane: ControlPlane, bound: str) -> None:
    out, _ = fretsaw("explain", f"pod/{bound}", kubeconfig=plane.kubeconfig())
    head, node, *_ = out.splitlines()
    assert head == f"pod/{bound} starts on node/{NODE}."
    assert node.startswith("  node         a g5.2xlarge of nodepool/gpu-general: spot, us-east-1a, $0.")
    out, _ = fretsaw("explain", f"node/{NODE}", kubeconfig=plane.kubeconfig())
    assert out.splitlines()[-1] == "  cannot be taken away: node isn't managed by karpenter"


# Rights


def test_who_may_do_nothing_is_told_so(plane: ControlPlane) -> None:
    plane.api.apply(_account("nobody"))
    nobody = plane.service_account_kubeconfig("default", "nobody")
    for command in (["snapshot"], ["plan", "--live"], ["explain", "pod/x"], ["top", "--once"]):
        out, said = fretsaw(*command, kubeconfig=nobody, code=3)
        assert out == ""
        assert "403 Forbidden" in said
        assert "system:serviceaccount:default:nobody" in said


def test_who_may_read_a_part_gets_a_part(plane: ControlPlane, tmp_path: Path) -> None:
    plane.api.apply(_account("reader"))
    kind = {"apiVersion": "rbac.authorization.k8s.io/v1", "metadata": {"name": "reader"}}
    rules = [
        {"apiGroups": [""], "resources": ["pods", "nodes", "persistentvolumeclaims"], "verbs": ["list"]},
        {"apiGroups": ["storage.k8s.io"], "resources": ["storageclasses"], "verbs": ["list"]},
        {"apiGroups": ["karpenter.sh", "karpenter.k8s.aws"], "resources": ["*"], "verbs": ["list"]},
    ]
    plane.api.apply({**kind, "kind": "ClusterRole", "rules": rules})
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "reader"}
    subjects = [{"kind": "ServiceAccount", "name": "reader", "namespace": "default"}]
    plane.api.apply({**kind, "kind": "ClusterRoleBinding", "roleRef": role, "subjects": subjects})
    reader = plane.service_account_kubeconfig("default", "reader")
    file = tmp_path / "c.yaml"
    _, said = fretsaw("snapshot", "-o", file, kubeconfig=reader)
    assert said.startswith("warning: not allowed to list ")
    claims = {"PersistentVolumeClaim", "StorageClass"}
    assert {document.kind for document in load([file]).documents} == {"Pod", "NodePool", "EC2NodeClass", *claims}
    out, _ = fretsaw("plan", "--live", "-o", "json", kubeconfig=reader)
    assert json.loads(out)["scheduled"] == PODS
    out, _ = fretsaw("top", "--once", kubeconfig=reader)
    assert "not allowed to list Event" in out


def _account(name: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name, "namespace": "default"}}


# top


def test_a_table_has_nodes_and_pods_that_wait(plane: ControlPlane, bound: str) -> None:
    out, said = fretsaw("top", "--once", kubeconfig=plane.kubeconfig())
    assert said == ""
    assert f"1 node · $0.496/h · GPUs 0/1 · {PODS - 1} pending · 1 pod · CPU 0% · memory 0%\n" in out
    assert re.search(r"^  ip-10-0-1-17 +g5.2xlarge +us-east-1a +spot +0/1 ", out, re.M)
    assert "ml-training/distributed-training ×4  4 GPUs" in out


class Terminal:
    """`fretsaw top` on a terminal of 80 by 24."""

    def __init__(self, kubeconfig: Path) -> None:
        self._fd, other = pty.openpty()
        fcntl.ioctl(other, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        environment = {**os.environ, "TERM": "xterm", "NO_COLOR": "1"}
        for name in ("COLUMNS", "LINES"):
            environment.pop(name, None)
        command = [sys.executable, "-m", "fretsaw", "top", "--kubeconfig", str(kubeconfig)]
        self.process = subprocess.Popen(command, stdin=other, stdout=other, stderr=other, env=environment)
        os.close(other)
        self.text = ""

    def press(self, key: str) -> None:
        """A key; what was shown before counts no longer."""
        self.text = ""
        os.write(self._fd, key.encode())

    def shows(self, words: str, timeout_s: float = 30) -> None:
        """Return when these words are shown."""
        deadline = time.monotonic() + timeout_s
        while words not in self.text:
            if time.monotonic() > deadline:
                raise TimeoutError(f"not shown: {words!r} in {self.text[-3000:]!r}")
            if select.select([self._fd], [], [], 0.1)[0]:
                shown = os.read(self._fd, 65536).decode("utf-8", "replace")
                self.text += re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", shown)

    def end(self) -> int:
        """Press q; the exit code."""
        os.write(self._fd, b"q")
        deadline = time.monotonic() + 20
        while self.process.poll() is None and time.monotonic() < deadline:
            if select.select([self._fd], [], [], 0.1)[0]:
                try:
                    self.text += os.read(self._fd, 65536).decode("utf-8", "replace")
                except OSError:  # the other side is closed
                    break
        code = self.process.wait(10)
        os.close(self._fd)
        return code


@pytest.fixture
def terminal(plane: ControlPlane) -> Iterator[Terminal]:
    """The screen. A test that fails leaves no process."""
    made = Terminal(plane.kubeconfig())
    yield made
    if made.process.poll() is None:
        made.process.kill()
        made.process.wait()


def test_the_screen_follows_the_cluster_and_the_keys(plane: ControlPlane, terminal: Terminal) -> None:
    terminal.shows(f"{PODS} pending")
    terminal.press("s")
    terminal.shows("s sort: idle GPUs")
    made = node_of("screen-0", "8", "32Gi", labels={"karpenter.sh/nodepool": "multi-arch"})
    taint = {"key": "test", "value": "full", "effect": "NoSchedule"}
    plane.api.create({**made, "spec": {"taints": [taint]}})
    try:
        terminal.shows("screen-0")
        terminal.press("p")
        terminal.shows("p pool: multi-arch")
    finally:
        plane.api.delete(made)
    terminal.shows("no node")
    assert terminal.end() == 0
    assert "Traceback" not in terminal.text


def test_a_lost_connection_is_shown_and_made_again(plane: ControlPlane, terminal: Terminal) -> None:
    terminal.shows(f"{PODS} pending")
    with plane.paused("kube-apiserver"):
        terminal.shows("reconnecting: no answer")
    terminal.press("s")
    plane.stop("kube-apiserver")
    try:
        terminal.shows("reconnecting: ")
    finally:
        plane.start("kube-apiserver")
    until(lambda: _is_well(terminal), "the connection is there again")
    assert terminal.end() == 0
    assert "Traceback" not in terminal.text


def _is_well(terminal: Terminal) -> bool:
    """Whether a picture since the last key has no notice: nodes follow the totals at once."""
    terminal.press("s")
    terminal.shows("s sort:")
    return "reconnecting" not in terminal.text


def test_a_server_that_has_gone_is_said(plane: ControlPlane) -> None:
    plane.stop("kube-apiserver")
    try:
        _, said = fretsaw("snapshot", kubeconfig=plane.kubeconfig(), code=3)
    finally:
        plane.start("kube-apiserver")
    assert said.startswith(f"error: {plane.url()}: the Kubernetes API does not answer: ")
