"""A whole cluster for end-to-end tests: a real control plane, a fake cloud with its kubelets, and `fretsaw run`.

    live.pool("gpu", types=["g5.xlarge"])
    live.deployment("web", replicas=3, pool="gpu", gpus=1)
    live.until_running("web", 3)

Every test has pools, and pods that select them, under names of its own, so that one `fretsaw run` serves all tests.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

from support.controlplane import Api, ApiError, ControlPlane, until

T = TypeVar("T")
Json = dict[str, Any]
CASE = "fretsaw.dev/case"
"""The label by which the pods of a test find the nodes of their pool."""
FAST = ("--disruption-poll=2s", "--validation-delay=1s", "--batch-idle-duration=300ms", "--batch-max-duration=2s")
"""Settings of tests: what a cluster has time for, they have not."""
_TESTS = str(Path(__file__).parent.parent)
CLAIMS = "/apis/karpenter.sh/v1/nodeclaims"
POOLS = "/apis/karpenter.sh/v1/nodepools"
CLASSES = "/apis/karpenter.k8s.aws/v1/ec2nodeclasses"


class Program:
    """A command of `fretsaw` in a process of its own. Its output goes to a file."""

    def __init__(self, log: Path, *arguments: str, env: dict[str, str] | None = None, module: str = "fretsaw") -> None:
        """module: another one of the tests' own that runs the command."""
        self.log = log
        with open(log, "ab") as out:
            self._process = subprocess.Popen(
                [sys.executable, "-m", module, *arguments],
                stdout=out,
                stderr=subprocess.STDOUT,
                env={**os.environ, "PYTHONPATH": _TESTS, **(env or {})},
            )

    @property
    def pid(self) -> int:
        """Of the process."""
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether it has not ended."""
        return self._process.poll() is None

    @property
    def exit_code(self) -> int:
        """Of a process that has ended."""
        code = self._process.poll()
        assert code is not None
        return code

    def kill(self) -> None:
        """As a lost machine would."""
        self._process.kill()
        self._process.wait()

    def stop(self, timeout_s: float = 20) -> int:
        """Ask it to end; its exit code."""
        self._process.send_signal(signal.SIGTERM)
        try:
            return self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"it did not end when asked to:\n{self.last_words()}") from None

    def pause(self) -> None:
        """Let it hang."""
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on."""
        self._process.send_signal(signal.SIGCONT)

    def last_words(self, lines: int = 40) -> str:
        """The end of what it wrote."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])


class Cloud:
    """The fake cloud over its HTTP API."""

    def __init__(self, address: str) -> None:
        self.address = address

    def __call__(self, method: str, path: str, body: Any = None) -> Any:
        """What it answers."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"http://{self.address}{path}", data=data, method=method)
        request.add_header("Content-Type", "application/json")
        with urllib.request.urlopen(request, timeout=30) as answer:
            text = answer.read()
        return json.loads(text) if text else None

    def instances(self) -> list[Json]:
        """Those that are there."""
        found = self("GET", "/instances")
        return list(found["instances"] if isinstance(found, dict) else found)

    def log(self, after: int = 0) -> list[Json]:
        """Every call after that number, and what came of it."""
        found = self("GET", f"/log?after={after}")
        return list(found["calls"] if isinstance(found, dict) else found)

    def fault(self, **what: Any) -> None:
        """Let something go wrong."""
        self("POST", "/faults", what)

    def mend(self) -> None:
        """Nothing goes wrong any more, and there is enough of everything."""
        self("DELETE", "/faults")
        self("PUT", "/stock", {"*": None})

    def interrupt(self, provider_id: str, kind: str = "spot_interrupted", notice_s: float = 5) -> None:
        """Let the cloud announce something about an instance."""
        self("POST", "/interruptions", {"instance": provider_id, "kind": kind, "noticeS": notice_s})


class Live:
    """The cluster. `operators` are the running `fretsaw run`."""

    def __init__(self, plane: ControlPlane, folder: Path, user: str = "fretsaw") -> None:
        self.plane, self.folder, self.user = plane, folder, user
        self.api: Api = plane.api
        self.operators: list[Program] = []
        self._number = 0
        self._kubelet: Program | None = None
        self._cloud: Cloud | None = None

    # Programs

    @property
    def cloud(self) -> Cloud:
        """The fake cloud."""
        assert self._cloud is not None
        return self._cloud

    def start_kubelet(self, *flags: str) -> None:
        """Start the fake kubelet and the cloud in it."""
        address = f"127.0.0.1:{free_port()}"
        kubeconfig = str(self.plane.kubeconfig())
        self._kubelet = Program(
            self.folder / "kubelet.log", "fake-kubelet", "--kubeconfig", kubeconfig, "--cloud", address, *flags
        )
        self._cloud = Cloud(address)
        until(self._cloud_answers, f"the fake cloud answers, see {self._kubelet.log}")

    def _cloud_answers(self) -> bool:
        assert self._kubelet is not None
        assert self._kubelet.running, self._kubelet.last_words()
        with suppress(OSError):
            self.cloud.instances()
            return True
        return False

    def operator(
        self, *flags: str, user: str | None = None, kubeconfig: Path | None = None, clock: Path | None = None
    ) -> Program:
        """Start `fretsaw run`, with the settings of tests and these.

        kubeconfig: another way to the API server. clock: see `support.jumping`.
        """
        self._number += 1
        way = kubeconfig if kubeconfig is not None else self.plane.kubeconfig(user or self.user)
        fixed = [f"--kubeconfig={way}", f"--fake-cloud={self.cloud.address}", "--metrics-port=0"]
        fixed += ["--health-probe-port=0", "--log-format=text", "--leader-election-namespace=kube-system"]
        log, first, module = self.folder / f"operator-{self._number}.log", "run", "fretsaw"
        if clock is not None:
            first, module = str(clock), "support.jumping"
        program = Program(log, first, *fixed, *FAST, *flags, module=module)
        self.operators.append(program)
        return program

    def stop_operators(self) -> None:
        """No operator runs any more; the next test that wants one gets its own."""
        for program in self.operators:
            if program.running:
                program.stop()
        self.operators.clear()

    def close(self) -> None:
        """End all programs."""
        for program in [*self.operators, *([self._kubelet] if self._kubelet else [])]:
            if program.running:
                program.kill()

    # Objects

    def node_class(self, name: str = "default", **annotations: str) -> Json:
        """Make an EC2NodeClass."""
        spec = {
            "amiSelectorTerms": [{"alias": "al2023@latest"}],
            "role": "node",
            "subnetSelectorTerms": [{"tags": {"a": "b"}}],
            "securityGroupSelectorTerms": [{"tags": {"a": "b"}}],
        }
        tree = {"apiVersion": "karpenter.k8s.aws/v1", "kind": "EC2NodeClass", "spec": spec}
        answer: Json = self.api.apply({**tree, "metadata": {"name": name, "annotations": annotations}})
        return answer

    def pool(
        self,
        name: str,
        *,
        types: Sequence[str] = (),
        capacity: Sequence[str] = ("on-demand",),
        consolidate: str = "Never",
        policy: str = "WhenEmptyOrUnderutilized",
        budgets: Sequence[Json] = ({"nodes": "100%"},),
        expire: str = "Never",
        node_class: str = "default",
        template: Json | None = None,
        annotations: Json | None = None,
        **spec: Any,
    ) -> Json:
        """Make or change a NodePool whose nodes carry the label of its name. template, spec: more fields."""
        requirements = [{"key": "karpenter.sh/capacity-type", "operator": "In", "values": list(capacity)}]
        if types:
            requirements.append({"key": "node.kubernetes.io/instance-type", "operator": "In", "values": list(types)})
        node = {
            "nodeClassRef": {"group": "karpenter.k8s.aws", "kind": "EC2NodeClass", "name": node_class},
            "requirements": requirements,
            "expireAfter": expire,
            **(template or {}),
        }
        metadata = {"labels": {CASE: name}, **({"annotations": annotations} if annotations else {})}
        disruption = {"consolidateAfter": consolidate, "consolidationPolicy": policy, "budgets": list(budgets)}
        if "replicas" in spec:
            disruption = {"consolidateAfter": "0s", "budgets": list(budgets)}
        tree = {
            "apiVersion": "karpenter.sh/v1",
            "kind": "NodePool",
            "metadata": {"name": name},
            "spec": {"template": {"metadata": metadata, "spec": node}, "disruption": disruption, **spec},
        }
        answer: Json = self.api.apply(tree)
        return answer

    def deployment(self, name: str, *, replicas: int, namespace: str, **pod: Any) -> Json:
        """Make or change a Deployment. pod: see `pod_spec`."""
        annotations = pod.pop("annotations", {})
        tree = {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": name, "namespace": namespace},
            "spec": {
                "replicas": replicas,
                "selector": {"matchLabels": {"app": name}},
                "template": {
                    "metadata": {"labels": {"app": name}, "annotations": annotations},
                    "spec": pod_spec(**pod),
                },
            },
        }
        answer: Json = self.api.apply(tree)
        return answer

    def pod(self, name: str, *, namespace: str, annotations: Json | None = None, **pod: Any) -> Json:
        """Make a pod that nobody owns."""
        metadata = {"name": name, "namespace": namespace, "labels": {"app": name}, "annotations": annotations or {}}
        tree = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": pod_spec(**pod)}
        answer: Json = self.api.apply(tree)
        return answer

    def scale(self, name: str, namespace: str, replicas: int) -> None:
        """Change a Deployment's size."""
        path = f"/apis/apps/v1/namespaces/{namespace}/deployments/{name}"
        self.api("PATCH", path, {"spec": {"replicas": replicas}})

    # Looking

    def claims(self, pool: str) -> list[Json]:
        """The NodeClaims of a pool, oldest first."""
        found = self.api.items(f"{CLAIMS}?labelSelector=karpenter.sh%2Fnodepool%3D{pool}")
        return sorted(found, key=lambda claim: (claim["metadata"]["creationTimestamp"], claim["metadata"]["name"]))

    def nodes(self, pool: str) -> list[Json]:
        """The nodes of a pool."""
        return self.api.items(f"/api/v1/nodes?labelSelector=karpenter.sh%2Fnodepool%3D{pool}")

    def pods(self, namespace: str, app: str = "") -> list[Json]:
        """The pods of a namespace, of one app or all."""
        selector = f"?labelSelector=app%3D{app}" if app else ""
        return self.api.items(f"/api/v1/namespaces/{namespace}/pods{selector}")

    def running(self, namespace: str, app: str = "") -> list[Json]:
        """Those that run and are not being stopped."""
        return [
            pod
            for pod in self.pods(namespace, app)
            if pod["status"].get("phase") == "Running" and "deletionTimestamp" not in pod["metadata"]
        ]

    def events(self, reason: str, about: str = "") -> list[Json]:
        """The Kubernetes Events with this reason, about an object of this name or all."""
        found = self.api.items(f"/api/v1/events?fieldSelector=reason%3D{reason}")
        return [event for event in found if not about or event["involvedObject"]["name"] == about]

    def until(self, condition: Callable[[], T], what: str, timeout_s: float = 45, every_s: float = 0.1) -> T:
        """The first true answer of `condition`. An operator that has ended is a failure at once."""

        def asked() -> T:
            for program in self.operators:
                assert program.running, f"{program.log} has ended:\n{program.last_words()}"
            return condition()

        try:
            return until(asked, what, timeout_s, every_s)
        except TimeoutError as error:
            said = self.operators[-1].last_words(15) if self.operators else ""
            raise AssertionError(f"{error}\n{said}") from None

    def until_running(self, namespace: str, count: int, app: str = "", timeout_s: float = 45) -> list[Json]:
        """Wait for exactly that many running pods."""
        found = lambda: (pods := self.running(namespace, app)) and len(pods) == count and pods  # noqa: E731
        return self.until(found, f"{count} pods of {namespace}/{app or '*'} run", timeout_s) or []

    def until_no_claims(self, pool: str, timeout_s: float = 60) -> None:
        """Wait until the pool has no NodeClaim and no node any more."""

        def left() -> list[str]:
            found = [*self.claims(pool), *self.nodes(pool)]
            return [f"{obj.get('kind', 'object')} {obj['metadata']['name']}: {obj['metadata']}" for obj in found]

        try:
            self.until(lambda: not left(), f"{pool} has no nodes", timeout_s)
        except AssertionError as error:
            raise AssertionError(f"{error}\nleft: {left()}") from None

    def condition(self, obj: Json, type_: str) -> str:
        """The status of a condition; empty where there is none."""
        conditions = obj.get("status", {}).get("conditions", [])
        return next((c["status"] for c in conditions if c["type"] == type_), "")

    # Order between tests

    def remove(self, pools: Sequence[str]) -> None:
        """Take pools away with all that is theirs, and wait for it."""
        for pool in pools:
            with suppress(ApiError):
                self.api("DELETE", f"{POOLS}/{pool}")
        for pool in pools:
            self.until_no_claims(pool, 90)


def pod_spec(
    *,
    pool: str = "",
    cpu: str = "1",
    memory: str = "512Mi",
    gpus: int = 0,
    grace: int = 1,
    tolerations: Sequence[Json] = (),
    **more: Any,
) -> Json:
    """A pod of one container that selects the nodes of a pool."""
    requests = {"cpu": cpu, "memory": memory, **({"nvidia.com/gpu": str(gpus)} if gpus else {})}
    limits = {"nvidia.com/gpu": str(gpus)} if gpus else {}
    return {
        "nodeSelector": {CASE: pool} if pool else {},
        "terminationGracePeriodSeconds": grace,
        "tolerations": list(tolerations),
        "containers": [{"name": "main", "image": "main", "resources": {"requests": requests, "limits": limits}}],
        **more,
    }


@contextmanager
def cluster(plane: ControlPlane, folder: Path, *kubelet: str, user: str = "fretsaw") -> Iterator[Live]:
    """A live cluster without an operator."""
    live = Live(plane, folder, user)
    try:
        live.start_kubelet(*kubelet)
        yield live
    finally:
        live.close()


def free_port() -> int:
    """A port of the loopback that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def eventually_never(condition: Callable[[], object], seconds: float, what: str) -> None:
    """For so long the condition does not come true: for what must not happen."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = condition()
        assert not found, f"{what}: {found!r}"
        time.sleep(0.2)
