"""Where the tables are played, and when. Each lane has a control plane with the controllers that its tables are about.

`Workloads` plays many cases at once, each in a namespace of its own: most of their time is waiting.
"""

from __future__ import annotations

import itertools
import re
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType

from e2e.live_api import KeptApi
from e2e.live_driver import LiveDriver
from e2e.live_metrics import LiveMetrics
from e2e.live_plays import SLACK_S, LiveAround, LiveControlPlay, LiveSchedulerPlay, LiveStage
from e2e.live_scheduler import SteppedDriver
from e2e.live_time import Pace
from kubernetes.driver import START, Obj
from kubernetes.short import written_out
from support.controlplane import COMPONENTS, ApiError, ControlPlane, until

NO_SCHEDULER = ("etcd", "kube-apiserver", "kube-controller-manager")
AT_ONCE = 32
"""How many cases are played at the same time, where they do not disturb each other."""
AGAIN_S = 80.0
"""A longer case is not played again."""
QUIET_S = 0.3
"""No write for so long: the controllers are done."""
_SYNCED = re.compile(r'^I(\d{4} \S+) .*"Caches are synced"', re.MULTILINE)
_EVERY = re.compile(r"\*/(\d+) \*")


class Lane:
    """A control plane and the threads that play on it. The outcome of a case is what was not as expected."""

    components: Sequence[str] = NO_SCHEDULER
    controllers: Sequence[str] = ()
    more: Sequence[str] = ()
    apiserver: Sequence[str] = ()
    scheduler: Sequence[str] = ()
    threads = 1
    in_real_time = True
    """Whether a case can come too late on a busy machine; then it is played once more."""

    def __init__(self, folder: Path) -> None:
        flags = {
            "kube-controller-manager": [f"--controllers={','.join(self.controllers)}", *self.more],
            "kube-apiserver": list(self.apiserver),
            "kube-scheduler": list(self.scheduler),
        }
        self.plane = ControlPlane(folder, flags=flags, components=self.components)
        self._pool = ThreadPoolExecutor(self.threads)
        self._numbers = itertools.count()
        self._closing = threading.Event()

    def __enter__(self) -> Lane:
        self.plane.start_all()
        self.api = KeptApi(self.plane)
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._closing.set()
        self._pool.shutdown(cancel_futures=True)
        self.api.close()
        self.plane.close()

    def submit(self, table: str, case: Obj, pace: Pace) -> Future[str]:
        """Play a case when there is room; the longest should be submitted first."""
        return self._pool.submit(self._outcome, table, case, pace)

    def _outcome(self, table: str, case: Obj, pace: Pace) -> str:
        problem = self._problem(table, case, pace)
        if problem and self.in_real_time and pace.seconds <= AGAIN_S:
            return self._problem(table, case, pace)
        return problem

    def _problem(self, table: str, case: Obj, pace: Pace) -> str:
        try:
            self.play(table, case, pace)
        except (AssertionError, ApiError) as problem:
            return str(problem) or "an assertion failed"
        return ""

    def own(self) -> str:
        """A word for one case that occurs nowhere else."""
        return f"t{next(self._numbers):03}q"

    def play(self, table: str, case: Obj, pace: Pace) -> None:
        """Go through one case; AssertionError where something is not as expected."""
        raise NotImplementedError


class RealTimeDriver(LiveDriver):
    """See Driver. No wait is longer than the case needs, or than the lane is open."""

    def __init__(self, api: KeptApi, own: str, longest_wait_s: float, closing: threading.Event) -> None:
        closing.wait(1 - time.time() % 1)  # times on the server are whole seconds
        super().__init__(api, own)
        self._longest_wait_s = longest_wait_s
        self._closing = closing
        self._target = time.monotonic()

    def advance(self, seconds: float) -> None:
        """See Driver. Waits count from the beginning of the one before: what the steps take is part of them."""
        wait = min(seconds, self._longest_wait_s)
        now = time.monotonic()
        self._target = max(self._target + wait, now + min(wait, 0.9))
        assert not self._closing.wait(self._target - now), "the lane is closed"


class Workloads(Lane):
    """Deployments, ReplicaSets, StatefulSets, Jobs and CronJobs."""

    controllers = (
        "deployment-controller",
        "replicaset-controller",
        "statefulset-controller",
        "job-controller",
        "cronjob-controller",
        "ttl-after-finished-controller",
        "garbage-collector-controller",
    )
    apiserver = ("--disable-admission-plugins=StorageObjectInUseProtection",)
    threads = AT_ONCE

    def play(self, table: str, case: Obj, pace: Pace) -> None:
        """See Lane."""
        self._closing.wait(_until_the_minute(case))
        driver = RealTimeDriver(self.api, self.own(), pace.longest_wait_s, self._closing)
        stage = LiveStage(driver, lambda: driver.now)
        stage.slack_s = SLACK_S
        stage.begin(case)


class SteppedControllerDriver(LiveDriver):
    """See Driver. The controllers act only while time passes; short times end when nothing is written any more."""

    def __init__(self, plane: ControlPlane, api: KeptApi, own: str, longest_wait_s: float) -> None:
        super().__init__(api, own)
        self._plane, self._longest_wait_s = plane, longest_wait_s
        plane.pause("kube-controller-manager")

    def advance(self, seconds: float) -> None:
        """See Driver."""
        with self._resumed():
            if seconds > 1:
                time.sleep(min(seconds, self._longest_wait_s))
            self._settle()

    def linger(self) -> None:
        """See LiveDriver."""
        with self._resumed():
            time.sleep(0.3)

    @contextmanager
    def _resumed(self) -> Iterator[None]:
        self._plane.resume("kube-controller-manager")
        try:
            yield
        finally:
            self._plane.pause("kube-controller-manager")

    def close(self) -> None:
        """See LiveDriver."""
        self._plane.resume("kube-controller-manager")
        super().close()

    def _settle(self) -> None:
        """Wait until nothing is written for a while."""
        seen, since, deadline = "", time.monotonic(), time.monotonic() + 5
        while time.monotonic() < min(since + QUIET_S, deadline):
            revision = self.api("GET", "/api/v1/pods?limit=1")["metadata"]["resourceVersion"]
            if revision != seen:
                seen, since = revision, time.monotonic()
            time.sleep(0.03)


class Stepped(Lane):
    """DaemonSets, budgets and evictions, one case after the other."""

    controllers = ("daemonset-controller", "disruption-controller")
    apiserver = ("--disable-admission-plugins=TaintNodesByCondition",)

    def play(self, table: str, case: Obj, pace: Pace) -> None:
        """See Lane."""
        assert not self._closing.is_set(), "the lane is closed"
        driver = SteppedControllerDriver(self.plane, self.api, self.own(), pace.longest_wait_s)
        try:
            if table == "daemonset":
                stage = LiveStage(driver, lambda: driver.now)
                stage.slack_s, stage.patience_s = SLACK_S, 4
                stage.begin(case)
            else:
                play = LiveControlPlay(driver, LiveAround(driver))
                play.slack_s = SLACK_S
                play.begin(case)
        finally:
            driver.close()


class Hpa(Lane):
    """Autoscalers, many at once, with metrics as their tables say."""

    controllers = ("horizontal-pod-autoscaler-controller",)
    threads = AT_ONCE

    def __enter__(self) -> Lane:
        super().__enter__()
        self.metrics = LiveMetrics(self.plane, self.api)
        self.plane.restart("kube-controller-manager")  # it looks for metrics APIs at its start
        return self

    def __exit__(self, *why: type[BaseException] | BaseException | TracebackType | None) -> None:
        super().__exit__(*why)
        self.metrics.close()

    def play(self, table: str, case: Obj, pace: Pace) -> None:
        """See Lane."""
        driver = InstantDriver(self.api, self.own(), pace.longest_wait_s, self._closing, case)
        values = self.metrics.values[driver.names.namespace] = {}
        play = LiveControlPlay(driver, MeasuredAround(driver, values))
        play.slack_s, play.patience_s = (
            SLACK_S,
            16,
        )  # which of two looks finds a window of four looks over, is a matter of milliseconds
        play.begin(case)


class InstantDriver(RealTimeDriver):
    """See Driver. A Deployment's pods run as soon as they are wanted, where the case says so (see InstantPods)."""

    def __init__(self, api: KeptApi, own: str, longest_wait_s: float, closing: threading.Event, case: Obj) -> None:
        super().__init__(api, own, longest_wait_s, closing)
        self._instant = "instant_pods" in case
        self._pending_from = (case.get("instant_pods") or {}).get("pending_from", 1_000_000)

    def advance(self, seconds: float) -> None:
        """See Driver."""
        if not self._instant:
            super().advance(seconds)
            return
        left = min(seconds, self._longest_wait_s)
        while left > 0:
            self._make_pods()
            super().advance(min(1, left))
            left -= 1

    def _make_pods(self) -> None:
        for deployment in self.list("Deployment"):
            name, wanted = deployment["metadata"]["name"], deployment["spec"].get("replicas", 0)
            there = {pod["metadata"]["name"] for pod in self.list("Pod")}
            for number in range(max(wanted, len(there))):
                if number >= wanted:
                    self.delete("Pod", f"default/{name}-{number}", force=True)
                elif f"{name}-{number}" not in there:
                    phase = "Running" if number < self._pending_from else "Pending"
                    self.apply(written_out({"pods": {"name": f"{name}-{number}", "phase": phase}}, self))
            if deployment.get("status", {}).get("replicas", 0) != wanted:
                self.apply([deployment_with(name, wanted)])


def deployment_with(name: str, replicas: int) -> Obj:
    """What a Deployment's controller would say of its pods."""
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name}, "status": {"replicas": replicas}}


class MeasuredAround(LiveAround):
    """See Around."""

    def __init__(self, driver: LiveDriver, values: Obj) -> None:
        super().__init__(driver)
        self._values = values

    def measured(self, values: Obj) -> None:
        """See Around."""
        self._values.update({name: dict(v) if isinstance(v, dict) else v for name, v in values.items()})


class KubeletDriver(LiveDriver):
    """See Driver. Its nodes renew their leases every ten seconds while their kubelets run."""

    def __init__(self, api: KeptApi, own: str, longest_wait_s: float, closing: threading.Event) -> None:
        super().__init__(api, own)
        self._longest_wait_s, self._closing = longest_wait_s, closing
        self.silent: set[str] = set()
        self._renewed = 0

    def advance(self, seconds: float) -> None:
        """See Driver."""
        until_s = time.monotonic() + min(seconds, self._longest_wait_s)
        while (left := until_s - time.monotonic()) > 0:
            if self.now - START >= self._renewed:
                self._renewed += 10_000
                self._renew()
            assert not self._closing.wait(min(0.5, left)), "the lane is closed"

    def _renew(self) -> None:
        stamp = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        for node in self.list("Node"):
            name = node["metadata"]["name"]
            if name not in self.silent and node.get("status", {}).get("conditions"):
                whole = self.names.of_cluster(name)
                lease = {
                    "apiVersion": "coordination.k8s.io/v1",
                    "kind": "Lease",
                    "metadata": {"name": whole, "namespace": "kube-node-lease"},
                    "spec": {"holderIdentity": whole, "leaseDurationSeconds": 40, "renewTime": stamp},
                }
                self.api.apply(lease)
                self._made[f"/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/{whole}"] = None


class KubeletAround(LiveAround):
    """See Around."""

    def __init__(self, driver: KubeletDriver) -> None:
        super().__init__(driver)
        self._kubelets = driver

    def kubelet(self, node: str, *, runs: bool) -> None:
        """See Around."""
        (self._kubelets.silent.discard if runs else self._kubelets.silent.add)(node)


class Nodes(Lane):
    """The life of nodes, one case after the other: a case begins with the controller's first look."""

    controllers = ("node-lifecycle-controller", "taint-eviction-controller")
    apiserver = ("--disable-admission-plugins=TaintNodesByCondition",)

    def play(self, table: str, case: Obj, pace: Pace) -> None:
        """See Lane."""
        assert not self._closing.is_set(), "the lane is closed"
        driver = KubeletDriver(self.api, self.own(), pace.longest_wait_s, self._closing)
        try:
            driver.names.begun = self._first_look()
            play = LiveControlPlay(driver, KubeletAround(driver))
            play.slack_s, play.patience_s = SLACK_S, 2.5
            play.begin(case)
        finally:
            driver.close()

    def _first_look(self) -> int:
        """Start the controllers anew; when they began to look, in ms."""
        name = "kube-controller-manager"
        log = self.plane.log(name)
        self.plane.kill(name)
        before = len(log.read_text(encoding="utf-8"))
        self.plane.start(name)
        until(lambda: len(looks(log, before)) >= len(self.controllers), "the controllers look")
        return round(max(looks(log, before)) * 1000)


def looks(log: Path, begin: int) -> list[float]:
    """When controllers began to look, by their log from a place in it on."""
    said = _SYNCED.findall(log.read_text(encoding="utf-8")[begin:])
    year = datetime.now().astimezone().year
    return [datetime.strptime(f"{year}{when}", "%Y%m%d %H:%M:%S.%f").astimezone().timestamp() for when in said]


class Collector(Nodes):
    """The collection of pods; three finished ones are left."""

    controllers = ("pod-garbage-collector-controller",)
    more = ("--terminated-pod-gc-threshold=3",)


class Scheduler(Lane):
    """The scheduler's tables, one case after the other."""

    in_real_time = False
    components = COMPONENTS
    controllers = ("persistentvolume-binder-controller",)
    more = ("--pvclaimbinder-sync-period=1s",)
    # The tables say which taints a node has, and nobody here takes those away that admission gives to new nodes.
    apiserver = ("--disable-admission-plugins=TaintNodesByCondition,StorageObjectInUseProtection",)
    scheduler = (
        "--authorization-always-allow-paths=/healthz,/readyz,/livez,/metrics",
        "--authentication-tolerate-lookup-failure=true",
    )

    def play(self, table: str, case: Obj, pace: Pace) -> None:
        """See Lane."""
        assert not self._closing.is_set(), "the lane is closed"
        driver = SteppedDriver(self.plane, self.api)
        try:
            LiveSchedulerPlay(driver).play(case)
        finally:
            driver.close()


def _until_the_minute(case: Obj) -> float:
    """Seconds until a CronJob's table may begin: with a minute that its schedules count from. 0 for others."""
    schedules = [str(item) for item in [*case["given"], *case["steps"]] if "schedule" in str(item)]
    if not schedules:
        return 0.0
    every = 60 * max(int(number) for text in schedules for number in ["1", *_EVERY.findall(text)])
    return every - time.time() % every + 0.05
