"""A play of a workload table: objects in short words, a hand-driven kubelet, and what is seen of the outcome.

All of it goes through the `Driver` port, so the same tables can be played on a real control plane without kubelets.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from fnmatch import fnmatchcase
from typing import Any

from fretsaw.api.times import millis, rfc3339
from kubernetes.driver import Driver, Obj, merged

GROUPS = {
    "Deployment": "apps/v1",
    "ReplicaSet": "apps/v1",
    "StatefulSet": "apps/v1",
    "DaemonSet": "apps/v1",
    "Job": "batch/v1",
    "CronJob": "batch/v1",
    "PriorityClass": "scheduling.k8s.io/v1",
    "RuntimeClass": "node.k8s.io/v1",
}
REVISION = "deployment.kubernetes.io/revision"
INDEX = "batch.kubernetes.io/job-completion-index"


def written_out(short: Obj) -> Obj:
    """`{kind, name, image, labels, annotations, pod, template, …}` as an object; `pod` is merged into the pod's spec."""
    kind = short["kind"]
    rest = {
        k: v for k, v in short.items() if k not in ("kind", "name", "image", "labels", "annotations", "pod", "tags")
    }
    metadata = {"name": short["name"]} | {k: short[k] for k in ("labels", "annotations") if k in short}
    obj: Obj = {"apiVersion": GROUPS.get(kind, "v1"), "kind": kind, "metadata": metadata, **rest}
    if kind in ("Deployment", "ReplicaSet", "StatefulSet", "DaemonSet"):
        obj["spec"] = merged(
            {"selector": {"matchLabels": {"app": short["name"]}}, "template": _template(short)}, rest.get("spec", {})
        )
        if kind == "StatefulSet":
            obj["spec"].setdefault("serviceName", short["name"])
    elif kind == "Job":
        obj["spec"] = merged({"template": _template(short, "Never")}, rest.get("spec", {}))
    elif kind == "CronJob":
        job = {"jobTemplate": {"spec": {"template": _template(short, "Never")}}}
        obj["spec"] = merged(job, rest.get("spec", {}))
    return obj


def _template(short: Obj, restart: str = "Always") -> Obj:
    container = {"name": "main", "image": short.get("image", "v1")}
    spec = merged({"restartPolicy": restart, "containers": [container]}, short.get("pod", {}))
    return {"metadata": {"labels": {"app": short["name"], **short.get("tags", {})}}, "spec": spec}


class Stage:
    """One case's cluster. Each step is a map of one word and what it is about."""

    def __init__(self, driver: Driver, now: Callable[[], int]) -> None:
        self.driver = driver
        self.now = now
        self.slack_s = 0

    def begin(self, case: Obj) -> None:
        """Make the objects that are given, and play."""
        self.do_apply(case["given"])
        self.driver.advance(1)
        self.play(case["steps"])

    def play(self, steps: Iterable[Obj]) -> None:
        """Go through the steps; fails at the first that is not seen as expected."""
        for number, step in enumerate(steps):
            for word, value in step.items():
                problem = self.step(word, value)
                assert not problem, f"step {number}: {problem}"

    def step(self, word: str, value: Any) -> str:
        """Do or expect one thing; what is not as expected."""
        return getattr(self, f"do_{word}")(value) or ""

    # Steps

    def do_apply(self, objects: list[Obj]) -> None:
        """Make or change objects."""
        self.driver.apply([written_out(short) for short in objects])

    def do_patch(self, objects: list[Obj]) -> None:
        """Merge only the fields that are named."""
        self.driver.apply(
            [
                {
                    "apiVersion": GROUPS.get(o["kind"], "v1"),
                    "kind": o["kind"],
                    "metadata": {"name": o["name"], **o.get("metadata", {})},
                    **{k: v for k, v in o.items() if k not in ("kind", "name", "metadata")},
                }
                for o in objects
            ]
        )

    def do_wait(self, seconds: float) -> None:
        """Let time pass."""
        self.driver.advance(seconds)

    def do_delete(self, what: str) -> None:
        """Delete `Kind name`; of pods the name may be a pattern."""
        kind, name = what.split(" ")
        for obj in self.driver.list(kind):
            if fnmatchcase(obj["metadata"]["name"], name):
                self.driver.delete(kind, _key(kind, obj["metadata"]["name"]))

    def do_bind(self, where: dict[str, Any]) -> None:
        """Bind waiting pods: `node: how many of them, or a pattern`."""
        for node, which in where.items():
            for pod in self._some(which, lambda pod: "nodeName" not in pod["spec"]):
                self._write(pod, spec={"nodeName": node})

    def do_ready(self, which: Any) -> None:
        """Pods run and are ready; so many of those that are not, or those of a pattern."""
        self._phase(which, "Running", ready=True)

    def do_run(self, which: Any) -> None:
        """Pods run and are not ready."""
        self._phase(which, "Running", ready=False)

    def do_succeed(self, which: Any) -> None:
        """Pods end well."""
        self._phase(which, "Succeeded", code=0)

    def do_fail(self, which: Any) -> None:
        """Pods end badly, with exit code 1 or as `{pods, code}` says."""
        code = which["code"] if isinstance(which, dict) else 1
        self._phase(which["pods"] if isinstance(which, dict) else which, "Failed", code=code)

    def do_restart(self, which: dict[str, int]) -> None:
        """Containers of running pods have restarted so often."""
        for pattern, count in which.items():
            for pod in self._some(pattern, lambda pod: True):
                status = merged(pod["status"], {"containerStatuses": [{"name": "main", "restartCount": count}]})
                self._write(pod, status=status)

    def do_evict(self, which: Any) -> None:
        """Pods get the condition of a disruption and are deleted, as the eviction API does it."""
        for pod in self._some(which, lambda pod: not _is_over(pod)):
            why = {"type": "DisruptionTarget", "status": "True", "reason": "EvictionByEvictionAPI"}
            conditions = [*pod.get("status", {}).get("conditions", []), why]
            self._write(pod, status={"conditions": conditions})
            self.driver.delete("Pod", _key("Pod", pod["metadata"]["name"]))

    def do_gone(self, which: Any) -> None:
        """The kubelet is done with pods that are being deleted."""
        for pod in self._some(which, lambda pod: "deletionTimestamp" in pod["metadata"], leaving=True):
            self.driver.delete("Pod", _key("Pod", pod["metadata"]["name"]), force=True)

    # Expectations

    def do_see(self, expected: dict[str, Any]) -> str:
        """`Kind name`: these fields; `gone` where there is none; a name may be a pattern that exactly one matches."""
        for what, fields in expected.items():
            kind, name = what.split(" ")
            found = [obj for obj in self.driver.list(kind) if fnmatchcase(obj["metadata"]["name"], name)]
            if fields == "gone":
                if found:
                    return f"{what} is there"
            elif len(found) != 1:
                return f"{len(found)} are called {what}"
            elif problem := unlike(fields, found[0], what, self.slack_s):
                return problem
        return ""

    def do_pods(self, expected: dict[str, int]) -> str:
        """Pods by how they are: waiting, running, ready, leaving, succeeded, failed; those left out are 0."""
        return _differ(expected, self._count(self.driver.list("Pod")))

    def do_images(self, expected: dict[str, int]) -> str:
        """Pods that are not leaving, by the image of their first container."""
        images = [pod["spec"]["containers"][0]["image"] for pod in self._active()]
        return _differ(expected, {image: images.count(image) for image in images})

    def do_sizes(self, expected: dict[Any, int]) -> str:
        """What ReplicaSets are asked for, by their Deployment's revision."""
        found = {
            int(one["metadata"]["annotations"][REVISION]): one["spec"].get("replicas", 1)
            for one in self.driver.list("ReplicaSet")
        }
        return _differ(expected, found)

    def do_names(self, expected: list[str]) -> str:
        """Names of the pods that are there, in order."""
        return _differ(expected, [pod["metadata"]["name"] for pod in self.driver.list("Pod")])

    def do_jobs(self, expected: list[str]) -> str:
        """Names of the jobs that are there, in order."""
        return _differ(expected, [job["metadata"]["name"] for job in self.driver.list("Job")])

    def do_indexes(self, expected: list[int]) -> str:
        """Completion indexes of the active pods, in order."""
        return _differ(expected, sorted(int(pod["metadata"]["annotations"][INDEX]) for pod in self._active()))

    def do_nodes(self, expected: list[str]) -> str:
        """Nodes that have or await an active pod, once for each pod, in order."""
        return _differ(expected, sorted(_node(pod) for pod in self._active()))

    def do_claims(self, expected: list[str]) -> str:
        """Names of the claims that are there, in order."""
        return _differ(expected, [claim["metadata"]["name"] for claim in self.driver.list("PersistentVolumeClaim")])

    # Pods

    def _active(self) -> list[Obj]:
        return [
            pod for pod in self.driver.list("Pod") if not _is_over(pod) and "deletionTimestamp" not in pod["metadata"]
        ]

    def _count(self, pods: Iterable[Obj]) -> dict[str, int]:
        words = [_word(pod) for pod in pods]
        return {word: words.count(word) for word in words}

    def _some(self, which: Any, wanted: Callable[[Obj], bool], *, leaving: bool = False) -> list[Obj]:
        """All pods that are wanted, the first so many by age, or those that a pattern names."""
        pods = [p for p in self.driver.list("Pod") if wanted(p) and ("deletionTimestamp" in p["metadata"]) == leaving]
        pods.sort(key=lambda pod: (pod["metadata"]["creationTimestamp"], pod["metadata"]["uid"]))
        if which == "all":
            found = pods
        elif isinstance(which, int):
            assert len(pods) >= which, f"only {len(pods)} pods are there for it"
            found = pods[:which]
        else:
            found = [pod for pod in pods if fnmatchcase(pod["metadata"]["name"], which)]
        assert found, f"no pod is there for it: {which}"
        return found

    def _phase(self, which: Any, phase: str, *, ready: bool = False, code: int | None = None) -> None:
        def unlike_it(pod: Obj) -> bool:
            return not _is_over(pod) and (phase, ready) != (pod.get("status", {}).get("phase"), _is_ready(pod))

        stamp = rfc3339(self.now())
        for pod in self._some(which, unlike_it):
            said = {"type": "Ready", "status": "True" if ready else "False", "lastTransitionTime": stamp}
            others = [c for c in pod.get("status", {}).get("conditions", []) if c["type"] != "Ready"]
            status: Obj = {"phase": phase, "conditions": [*others, said]}
            if code is not None:
                state = {"terminated": {"exitCode": code, "finishedAt": stamp}}
                status["containerStatuses"] = [{"name": "main", "state": state}]
            self._write(pod, status=status)

    def _write(self, pod: Obj, **parts: Obj) -> None:
        self.driver.apply([{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": pod["metadata"]["name"]}, **parts}])


def _key(kind: str, name: str) -> str:
    return name if kind in ("Node", "PriorityClass", "RuntimeClass") else f"default/{name}"


def _is_over(pod: Obj) -> bool:
    return pod.get("status", {}).get("phase") in ("Succeeded", "Failed")


def _is_ready(pod: Obj) -> bool:
    return any(c["type"] == "Ready" and c["status"] == "True" for c in pod.get("status", {}).get("conditions", []))


def _word(pod: Obj) -> str:
    phase = pod.get("status", {}).get("phase", "Pending")
    if phase in ("Succeeded", "Failed"):
        return str(phase).lower()
    if "deletionTimestamp" in pod["metadata"]:
        return "leaving"
    if phase == "Running":
        return "ready" if _is_ready(pod) else "running"
    return "waiting"


def _node(pod: Obj) -> str:
    if "nodeName" in pod["spec"]:
        return str(pod["spec"]["nodeName"])
    if "affinity" not in pod["spec"]:
        return ""
    required = pod["spec"]["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
    return str(required["nodeSelectorTerms"][0]["matchFields"][0]["values"][0])


def _differ(expected: Any, found: Any) -> str:
    return "" if expected == found else f"found {found}, expected {expected}"


def unlike(expected: Any, found: Any, where: str, slack_s: int = 0) -> str:
    """The first place where `found` is not as expected; empty for none.

    Fields that are not named may be anything; null means absent, 0 absent too. Of conditions only the named types
    count, a null status meaning that there is none; other lists have to be of one length. `@12` stands for the time
    12 s after the year's beginning; times may differ by the slack. `~text` is anything that ends so.
    """

    def first(pairs: Iterable[tuple[Any, Any, str]]) -> str:
        return next(filter(None, (unlike(want, have, place, slack_s) for want, have, place in pairs)), "")

    if isinstance(expected, dict):
        if not isinstance(found, dict):
            return f"{where}: {found!r}, expected {expected!r}"
        return first((v, found.get(k), f"{where}.{k}") for k, v in expected.items())
    if isinstance(expected, list) and where.endswith(".conditions"):
        by_type = {condition["type"]: condition for condition in found or ()}
        expected = [c for c in expected if c.get("status", "") is not None or c["type"] in by_type]
        return first((c, by_type.get(c["type"], {}), f"{where}.{c['type']}") for c in expected)
    if isinstance(expected, list):
        items = list(found or ())
        if len(items) != len(expected):
            return f"{where}: {items!r}, expected {expected!r}"
        return first((a, b, where) for a, b in zip(expected, items, strict=True))
    if isinstance(expected, str) and expected.startswith("@"):
        expected = rfc3339(millis("2026-01-01T00:00:00Z") + int(expected[1:]) * 1000)
    if isinstance(expected, int) and not isinstance(expected, bool) and found is None:
        found = 0
    if isinstance(expected, str) and expected.startswith("~") and isinstance(found, str):
        return "" if found.endswith(expected[1:]) else f"{where}: {found!r}, expected {expected!r}"
    return "" if same(expected, found, slack_s) else f"{where}: {found!r}, expected {expected!r}"


def same(expected: Any, found: Any, slack_s: int) -> bool:
    """Whether two values are equal, or times that are no further apart than the slack."""
    if expected == found or not slack_s or not isinstance(expected, str) or not isinstance(found, str):
        return bool(expected == found)
    try:
        return abs(millis(expected) - millis(found)) <= slack_s * 1000
    except ValueError:
        return False
