"""Short words of the control tables, written out as objects; and stand-ins for what is outside a control plane."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from fretsaw.api.meta import Condition, ObjectMeta, OwnerReference
from fretsaw.api.pod import Pod, PodStatus
from fretsaw.sim.controller import WorkQueue
from fretsaw.sim.world import World
from kubernetes.driver import Driver, Obj

APPS = "apps/v1"
TEMPLATE = {"metadata": {"labels": {"app": "a"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}


def written_out(item: Obj, driver: Driver) -> list[Obj]:
    """The objects that a table's item stands for; a whole object stands for itself."""
    if "kind" in item:
        return [item]
    ((word, body),) = item.items()
    return WORDS[word](body, driver)


def _pods(body: Obj, driver: Driver) -> list[Obj]:
    """`count` pods called `<prefix>-<n>`, or one called `name`."""
    prefix = body.get("prefix", "p")
    names = [body["name"]] if "name" in body else [f"{prefix}-{n}" for n in range(body["count"])]
    return [_pod(name, body, driver) for name in names]


def _pod(name: str, body: Obj, driver: Driver) -> Obj:
    metadata: Obj = {"name": name, "labels": body.get("labels", {"app": "a"})}
    if "owner" in body:
        metadata["ownerReferences"] = [owner(body["owner"], driver)]
    for field in ("finalizers", "creationTimestamp", "uid"):
        if field in body:
            metadata[field] = body[field]
    requests = body.get("requests")
    container: Obj = {"name": "c", "image": "i"} | ({"resources": {"requests": requests}} if requests else {})
    spec: Obj = {"containers": body.get("containers", [container])}
    for field, short in (
        ("nodeName", "node"),
        ("tolerations", "tolerations"),
        ("terminationGracePeriodSeconds", "grace"),
    ):
        if short in body:
            spec[field] = body[short]
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec, "status": _pod_status(body)}


def _pod_status(body: Obj) -> Obj:
    phase = body.get("phase", "Running")
    ready = body.get("ready", phase == "Running")
    condition = {"type": "Ready", "status": "True" if ready else "False"}
    if "turned" in body:
        condition["lastTransitionTime"] = body["turned"]
    status: Obj = {"phase": phase, "conditions": [condition] if "ready" in body or phase == "Running" else []}
    for field, short in (("startTime", "started"), ("reason", "reason")):
        if short in body:
            status[field] = body[short]
    return status


def owner(what: str, driver: Driver) -> Obj:
    """The owner reference to an object that is there, such as `ReplicaSet rs`."""
    kind, name = what.split(" ")
    found = driver.get(kind, f"default/{name}")
    uid = found["metadata"]["uid"] if found else "nobody"
    group = {"Job": "batch/v1", "ReplicationController": "v1"}.get(kind, APPS)
    return {"apiVersion": group, "kind": kind, "name": name, "uid": uid, "controller": True}


def _workload(kind: str) -> Any:
    def build(body: Obj, driver: Driver) -> list[Obj]:
        metadata: Obj = {"name": body["name"]}
        if "owner" in body:
            metadata["ownerReferences"] = [owner(body["owner"], driver)]
        spec = {"replicas": body.get("replicas", 1), "selector": {"matchLabels": {"app": "a"}}, "template": TEMPLATE}
        if kind == "StatefulSet":
            spec["serviceName"] = "s"
        status = {"replicas": body["made"]} if "made" in body else {}
        return [{"apiVersion": APPS, "kind": kind, "metadata": metadata, "spec": spec, "status": status}]

    return build


def _job(body: Obj, driver: Driver) -> list[Obj]:
    template = {"metadata": TEMPLATE["metadata"], "spec": {**TEMPLATE["spec"], "restartPolicy": "Never"}}
    return [
        {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": body["name"]}, "spec": {"template": template}}
    ]


def _controller(body: Obj, driver: Driver) -> list[Obj]:
    spec = {"replicas": body["replicas"], "selector": {"app": "a"}, "template": TEMPLATE}
    return [{"apiVersion": "v1", "kind": "ReplicationController", "metadata": {"name": body["name"]}, "spec": spec}]


def _budget(body: Obj, driver: Driver) -> list[Obj]:
    spec = {"selector": {"matchLabels": {"app": "a"}}} | {k: v for k, v in body.items() if k != "name"}
    if spec["selector"] is None:
        del spec["selector"]
    metadata = {"name": body.get("name", "b")}
    return [{"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": metadata, "spec": spec}]


def _autoscaler(body: Obj, driver: Driver) -> list[Obj]:
    """`target` is short for one metric of type Pods called `m` with that average."""
    spec = {"scaleTargetRef": {"apiVersion": APPS, "kind": "Deployment", "name": "d"}, "minReplicas": 1} | body
    name = spec.pop("name", "h")
    if "target" in spec:
        target = {"type": "AverageValue", "averageValue": str(spec.pop("target"))}
        spec["metrics"] = [{"type": "Pods", "pods": {"metric": {"name": "m"}, "target": target}}]
    return [
        {"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "metadata": {"name": name}, "spec": spec}
    ]


def _node(body: Obj, driver: Driver) -> list[Obj]:
    """`ready`: True, False or Unknown; none for a node that has not reported. `count` for several of one zone."""
    names = [body["name"]] if "name" in body else [f"{body['prefix']}-{n}" for n in range(body["count"])]
    conditions = [{"type": "Ready", "status": str(body["ready"])}] if body.get("ready") is not None else []
    conditions += [{"type": name, "status": "True"} for name in body.get("pressure", [])]
    spec = {k: v for k, v in body.items() if k in ("taints", "unschedulable", "providerID")}
    labels = {"topology.kubernetes.io/zone": body["zone"]} if "zone" in body else {}
    status = {"conditions": conditions} if conditions else {}
    return [
        {"apiVersion": "v1", "kind": "Node", "metadata": {"name": n, "labels": labels}, "spec": spec, "status": status}
        for n in names
    ]


WORDS: dict[str, Any] = {
    "pods": _pods,
    "deployment": _workload("Deployment"),
    "replicaset": _workload("ReplicaSet"),
    "statefulset": _workload("StatefulSet"),
    "controller": _controller,
    "job": _job,
    "pdb": _budget,
    "hpa": _autoscaler,
    "node": _node,
}


class TableMetrics:
    """A metrics adapter that says what a table says: a number for all running pods, or a map by pod; null for none."""

    def __init__(self) -> None:
        self.values: Obj = {}

    def of_pod(self, pod: Pod, metric: str, now: int) -> int | None:
        """See Metrics."""
        if pod.status.phase != "Running":
            return None
        found = self._of(pod, metric)
        return None if found is None else round(found * 1000)

    def usage(self, pod: Pod, resource: str, now: int) -> int | None:
        """See Metrics."""
        return None if pod.status.phase != "Running" else self._of(pod, resource)

    def external(self, metric: str, namespace: str, now: int) -> int | None:
        """See Metrics."""
        found = self.values.get(metric)
        return None if found is None else round(found * 1000)

    def _of(self, pod: Pod, metric: str) -> Any:
        found = self.values.get(metric)
        return found.get(pod.metadata.name) if isinstance(found, dict) else found


class InstantPods:
    """Workload controller, scheduler and kubelet in one: a Deployment's pods run as soon as they are wanted.

    pending_from: pods of this number and above stay Pending, as where no node has room for them.
    """

    def __init__(self, world: World, pending_from: int = 1_000_000) -> None:
        self._store = world.store
        self._pending_from = pending_from
        self._queue = WorkQueue(world.loop, self._sync)
        self._store.watch("Deployment", lambda old, new: self._queue.add(f"default/{(new or old).metadata.name}"))

    def _sync(self, key: str) -> None:
        deployment = self._store.get("Deployment", key)
        name, wanted = deployment.metadata.name, deployment.spec.replicas
        if deployment.status.replicas != wanted:
            self._store.put(replace(deployment, status=replace(deployment.status, replicas=wanted)))
        there = {pod.key for pod in self._store.owned_by(deployment, "Pod")}
        for number in range(max(wanted, len(there))):
            pod = f"default/{name}-{number}"
            if number >= wanted:
                self._store.remove("Pod", pod)
            elif pod not in there:
                self._store.put(self._new(deployment, number))

    def _new(self, deployment: Any, number: int) -> Pod:
        owner = OwnerReference("Deployment", deployment.metadata.name, deployment.metadata.uid, APPS, True)
        metadata = ObjectMeta(
            name=f"{deployment.metadata.name}-{number}",
            namespace="default",
            labels=deployment.spec.template.metadata.labels,
            owner_references=(owner,),
        )
        status = PodStatus("Pending")
        if number < self._pending_from:
            status = PodStatus("Running", (Condition("Ready", "True"),))
        return Pod(metadata, deployment.spec.template.spec, status)
