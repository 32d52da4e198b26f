"""A real scheduler for one case at a time. Its time goes in steps: what the case waits for has happened when it is idle.

The scheduler starts when a case's first objects are there and ends with the case, so that nothing is remembered.
"""

from __future__ import annotations

import re
import ssl
import time
import urllib.request
from collections.abc import Callable, Iterable

from e2e.live_api import KeptApi
from e2e.live_driver import LiveDriver
from fretsaw.api.labels import ZONE
from kubernetes.driver import Obj
from support.controlplane import ControlPlane, until

QUIET_S = 0.2
"""No write for so long, and no pod to be tried: the scheduler is done."""
HEARD_S = 0.1
"""The scheduler hears of kinds one by one; after so long it has heard of all."""
PATIENCE_S = 15.0
_GAUGE = re.compile(r'^scheduler_pending_pods\{queue="(\w+)"\} (\d+)', re.MULTILINE)
SELECTED = "volume.kubernetes.io/selected-node"


class SteppedDriver(LiveDriver):
    """See Driver. A kubelet that ends pods when their grace is over and a maker of volumes are here too."""

    def __init__(self, plane: ControlPlane, api: KeptApi) -> None:
        super().__init__(api)
        self._plane = plane
        self._stop()
        self._at = 0.0
        self._ends: dict[str, float] = {}
        self._tls = ssl.create_default_context()
        self._tls.check_hostname, self._tls.verify_mode = False, ssl.CERT_NONE

    def apply(self, objects: Iterable[Obj]) -> None:
        """See Driver. Several nodes come at once, and pods that are to be scheduled come when all else is known."""
        batch = list(objects)
        waiting = sorted((raw for raw in batch if self._is_to_be_scheduled(raw)), key=_priority(batch))
        others = [raw for raw in batch if raw not in waiting]
        nominated = [raw for raw in waiting if raw.get("status", {}).get("nominatedNodeName")]
        if nominated or sum(raw["kind"] == "Node" for raw in others) > 1:
            self._stop()
        super().apply(others)
        super().apply(nominated)
        if self._plane.running("kube-scheduler") and others and waiting:
            time.sleep(HEARD_S)
        self._start()
        super().apply(raw for raw in waiting if raw not in nominated)

    def advance(self, seconds: float) -> None:
        """See Driver. The pods whose grace is over end."""
        before, self._at = self._at, self._at + seconds
        for uid, path in self._leaving(before).items():
            if self._ends[uid] <= self._at:
                self.removed(path)
        self._settle()
        self._leaving(before)

    def close(self) -> None:
        """End the scheduler, and take everything away."""
        self._stop()
        for pod in self.api.items("/api/v1/pods"):
            self.removed(_path(pod))
        super().close()

    def _is_to_be_scheduled(self, raw: Obj) -> bool:
        return (
            raw["kind"] == "Pod"
            and "nodeName" not in raw.get("spec", {})
            and self.found(self.path("Pod", _key(raw))) is None
        )

    def _stop(self) -> None:
        if self._plane.running("kube-scheduler"):
            self._plane.kill("kube-scheduler")

    def _start(self) -> None:
        """Start it unless it runs, when the volume controller has bound what it can."""
        if not self._plane.running("kube-scheduler"):
            if self._bindings_due():
                until(lambda: not self._bindings_due(), "claims that name a volume are bound", PATIENCE_S)
            self._plane.start("kube-scheduler")

    def _bindings_due(self) -> bool:
        claims = self.api.items("/api/v1/persistentvolumeclaims")
        return any(c["spec"].get("volumeName") and c["status"].get("phase") != "Bound" for c in claims)

    def _gauges(self) -> dict[str, int]:
        """Pods by queue."""
        with urllib.request.urlopen(f"{self._plane.url('kube-scheduler')}/metrics", context=self._tls) as answer:
            return {found[1]: int(found[2]) for found in _GAUGE.finditer(answer.read().decode())}

    def _settle(self) -> None:
        deadline = time.monotonic() + PATIENCE_S
        seen, since = "", time.monotonic()
        while time.monotonic() < deadline:
            revision = self._revision()
            if revision != seen or self._make_volumes():
                seen, since = revision, time.monotonic()
            elif time.monotonic() - since > QUIET_S:
                gauges = self._gauges()
                # Without any node the scheduler tries again and again.
                if not gauges["active"] + gauges["backoff"] or not self.api.items("/api/v1/nodes"):
                    return
            time.sleep(0.03)

    def _revision(self) -> str:
        """Moves with every write to the server."""
        return str(self.api("GET", "/api/v1/pods?limit=1")["metadata"]["resourceVersion"])

    def _leaving(self, since: float) -> dict[str, str]:
        """Pods that are being deleted by uid; those that are new among them began at `since`."""
        found = {}
        for pod in self.api.items("/api/v1/pods"):
            metadata = pod["metadata"]
            if "deletionTimestamp" in metadata:
                found[metadata["uid"]] = _path(pod)
                self._ends.setdefault(metadata["uid"], since + metadata.get("deletionGracePeriodSeconds", 0))
        return found

    def _make_volumes(self) -> bool:
        """What a CSI driver's provisioner does for claims whose node has been chosen; whether there were any."""
        claims = [
            claim
            for claim in self.api.items("/api/v1/persistentvolumeclaims")
            if SELECTED in claim["metadata"].get("annotations", {}) and not claim["spec"].get("volumeName")
        ]
        made = [self._make_volume(claim) for claim in claims]
        return any(made)

    def _make_volume(self, claim: Obj) -> bool:
        classes = {c["metadata"]["name"]: c for c in self.api.items("/apis/storage.k8s.io/v1/storageclasses")}
        storage = classes.get(claim["spec"].get("storageClassName", ""))
        name = f"pvc-{claim['metadata']['uid']}"
        path = f"/api/v1/persistentvolumes/{name}"
        if storage is None or storage["provisioner"].startswith("kubernetes.io/") or self.found(path):
            return False
        self.api("POST", "/api/v1/persistentvolumes", self._volume(name, claim, storage))
        self._made[path] = None
        return True

    def _volume(self, name: str, claim: Obj, storage: Obj) -> Obj:
        owner = {field: claim["metadata"][field] for field in ("name", "namespace", "uid")}
        spec: Obj = {
            "capacity": claim["spec"]["resources"]["requests"],
            "accessModes": claim["spec"]["accessModes"],
            "storageClassName": storage["metadata"]["name"],
            "csi": {"driver": storage["provisioner"], "volumeHandle": name},
            "claimRef": {"apiVersion": "v1", "kind": "PersistentVolumeClaim", **owner},
        }
        node = self.found(f"/api/v1/nodes/{claim['metadata']['annotations'][SELECTED]}")
        if node and "ebs" in storage["provisioner"] and ZONE in node["metadata"]["labels"]:
            zone = {"key": ZONE, "operator": "In", "values": [node["metadata"]["labels"][ZONE]]}
            spec["nodeAffinity"] = {"required": {"nodeSelectorTerms": [{"matchExpressions": [zone]}]}}
        return {"metadata": {"name": name}, "spec": spec}


def _priority(batch: list[Obj]) -> Callable[[Obj], int]:
    """The order of a batch's pods: the highest first, as the queue would have them."""
    classes = {raw["metadata"]["name"]: raw["value"] for raw in batch if raw["kind"] == "PriorityClass"}
    return lambda raw: -raw["spec"].get("priority", classes.get(raw["spec"].get("priorityClassName", ""), 0))


def _key(raw: Obj) -> str:
    return f"{raw['metadata'].get('namespace') or 'default'}/{raw['metadata']['name']}"


def _path(pod: Obj) -> str:
    return f"/api/v1/namespaces/{pod['metadata']['namespace']}/pods/{pod['metadata']['name']}"
