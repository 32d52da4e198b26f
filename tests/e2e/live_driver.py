"""The port of the Kubernetes tables on a real control plane: the same objects in, the same questions out.

`LiveDriver` lets real time pass and shares its server with other cases. `live_scheduler.SteppedDriver` has a scheduler
for itself and need not wait.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Iterable

from e2e.live_api import KeptApi
from e2e.live_names import Names
from fretsaw.api.kinds import KINDS, Kind
from kubernetes.driver import START, Obj
from support.controlplane import ApiError, until

AT_ONCE = {"gracePeriodSeconds": 0, "propagationPolicy": "Background"}
_NOT_TO_BE_CHANGED = ("uid", "creationTimestamp", "namespace", "ownerReferences")
BY_NAME = {kind.name: kind for kind in KINDS.values()}


class LiveDriver:
    """See Driver. Times that it shows and is told are those of the table, whose beginning is this moment."""

    def __init__(self, api: KeptApi, own: str = "") -> None:
        """own: a word for the namespace and the nodes of this case alone; empty to have the whole server."""
        self.api = api
        self.names = Names(own, int(time.time()) * 1000)
        self._made: dict[str, None] = {}
        self._namespaces: set[str] = {"default"}
        self._namespace("default")

    @property
    def now(self) -> int:
        """The table's time."""
        return round(time.time() * 1000) - self.names.begun + START

    # The port

    def apply(self, objects: Iterable[Obj]) -> None:
        """See Driver."""
        for raw in objects:
            self.put(raw)

    def delete(self, kind: str, key: str, *, force: bool = False) -> None:
        """See Driver."""
        path = self.path(kind, key)
        if force:
            self._end(path)
        else:
            self.api("DELETE", path, {"propagationPolicy": "Background"})

    def advance(self, seconds: float) -> None:
        """See Driver."""
        time.sleep(seconds)

    def get(self, kind: str, key: str) -> Obj | None:
        """See Driver."""
        found = self.found(self.path(kind, key)) if key else None
        return None if found is None else {"kind": kind, **self.names.from_server(found)}

    def list(self, kind: str) -> list[Obj]:
        """See Driver."""
        known = BY_NAME[kind]
        items = self.api.items(self._collection(known, self.names.namespace if self.names.own else ""))
        if not known.namespaced:
            items = [item for item in items if self.names.owns(item["metadata"]["name"])]
        return [{"kind": kind, **self.names.from_server(item)} for item in items]

    def close(self) -> None:
        """Take away all that was made, at once, and the pods that others made."""
        for path in reversed(self._made):
            self.removed(path)
        for namespace in {self.names.namespace, *self._namespaces} - (set() if self.names.own else {"default"}):
            for pod in self.api.items(f"/api/v1/namespaces/{namespace}/pods"):
                self.removed(f"/api/v1/namespaces/{namespace}/pods/{pod['metadata']['name']}")

    def linger(self) -> None:
        """Let a little time pass beside what the case says: the real thing is slower."""
        time.sleep(0.2)

    # Objects

    def put(self, raw: Obj) -> None:
        """Make an object, or merge these fields into it."""
        wanted = self._as_server_sees(raw)
        path = self.path(raw["kind"], key_of(raw))
        current = self.found(path)
        if current is None:
            self._create(path, wanted)
        else:
            self._merge(path, current, wanted)

    def found(self, path: str) -> Obj | None:
        """An object of the server, None where there is none."""
        try:
            answer: Obj = self.api("GET", path)
        except ApiError as error:
            if error.status != 404:
                raise
            return None
        return answer

    def _end(self, path: str) -> None:
        """The end of a pod: a Job's pods have to be counted by their phase before they go, as kubelets see to."""
        found = self.found(path)
        if found is None:
            return
        if found["kind"] == "Pod" and found["metadata"].get("finalizers") and "deletionTimestamp" in found["metadata"]:
            if found["status"]["phase"] not in ("Succeeded", "Failed"):
                self.api("PATCH", f"{path}/status", {"status": {"phase": "Failed"}})
            if eventually(lambda: "finalizers" not in (self.found(path) or {"metadata": {}})["metadata"], 3):
                self.removed(path)
                return
        self.removed(path)

    def removed(self, path: str) -> None:
        """Take an object away, whatever holds it."""
        for method, body in (("PATCH", {"metadata": {"finalizers": None}}), ("DELETE", AT_ONCE)):
            try:
                self.api(method, path, body)
            except ApiError as error:
                if error.status not in (404, 409, 422):
                    raise

    def path(self, kind: str, key: str) -> str:
        """Where an object is on the server."""
        namespace, _, name = key.rpartition("/")
        known = BY_NAME[kind]
        if known.namespaced:
            name = self.names.to_server(name)
            return f"{self._collection(known, self.names.of_namespace(namespace or 'default'))}/{name}"
        whole = self.names.of_namespace(name) if kind == "Namespace" else self.names.of_cluster(name)
        return f"{self._collection(known, '')}/{whole}"

    def _collection(self, known: Kind, namespace: str) -> str:
        manifest = {"apiVersion": known.api_version, "kind": known.name, "metadata": {"namespace": namespace or "x"}}
        path = self.api.path(manifest, collection=True)
        return path if namespace else path.replace("/namespaces/x/", "/")

    def _create(self, path: str, wanted: Obj) -> None:
        status = wanted.get("status")
        asked = wanted["metadata"].pop("uid", None)
        made = self._posted(path.rpartition("/")[0], wanted)
        self._made[path] = None
        if asked:
            self.names.met(asked, made["metadata"]["uid"])
        if status and wanted["kind"] != "Node":
            self.api("PATCH", f"{path}/status", {"status": status})

    def _posted(self, path: str, wanted: Obj) -> Obj:
        """Create an object; admission may not have heard yet of a class that is new."""
        for _ in range(20):
            try:
                made: Obj = self.api("POST", path, wanted)
            except ApiError as error:
                if error.status != 403:
                    raise
                refusal = error
                time.sleep(0.1)
            else:
                return made
        raise refusal

    def _merge(self, path: str, current: Obj, wanted: Obj) -> None:
        status = wanted.pop("status", None)
        spec = wanted.get("spec") or {}
        if wanted["kind"] == "Pod" and (node := spec.pop("nodeName", "")) and not current["spec"].get("nodeName"):
            target = {"apiVersion": "v1", "kind": "Node", "name": node}
            self.api("POST", f"{path}/binding", {"metadata": {"name": current["metadata"]["name"]}, "target": target})
        for field in _NOT_TO_BE_CHANGED:
            wanted["metadata"].pop(field, None)
        if spec or len(wanted["metadata"]) > 1 or set(wanted) - {"apiVersion", "kind", "metadata", "spec"}:
            self.api("PATCH", path, wanted)
        if status:
            self.api("PATCH", f"{path}/status", {"status": status})

    def _as_server_sees(self, raw: Obj) -> Obj:
        wanted: Obj = self.names.to_server(copy.deepcopy(raw))
        metadata = wanted["metadata"]
        if BY_NAME[raw["kind"]].namespaced:
            metadata["namespace"] = self._namespace(metadata.get("namespace") or "default")
        elif raw["kind"] == "Namespace":
            metadata["name"] = self._namespace(metadata["name"])
        else:
            metadata["name"] = self.names.of_cluster(metadata["name"])
        metadata.pop("creationTimestamp", None)
        if raw["kind"] == "Pod":
            self._give_priority(wanted.get("spec", {}))
        return wanted

    def _namespace(self, name: str) -> str:
        """A namespace that is there."""
        whole = self.names.of_namespace(name)
        if whole not in self._namespaces:
            self._namespaces.add(whole)
            path = f"/api/v1/namespaces/{whole}"
            if self.found(path) is None:
                self.api("POST", "/api/v1/namespaces", {"metadata": {"name": whole}})
        return whole

    def _give_priority(self, spec: Obj) -> None:
        """A number alone is refused: admission takes it from a class, which is made for it."""
        if "priorityClassName" in spec or not {"priority", "preemptionPolicy"} & set(spec):
            return
        value, policy = spec.pop("priority", 0), spec.pop("preemptionPolicy", "PreemptLowerPriority")
        name = self.names.of_cluster(f"p{value}-{policy.lower()}")
        path = f"/apis/scheduling.k8s.io/v1/priorityclasses/{name}"
        if self.found(path) is None:
            made = {"metadata": {"name": name}, "value": value, "preemptionPolicy": policy}
            self.api("POST", "/apis/scheduling.k8s.io/v1/priorityclasses", made)
        spec["priorityClassName"] = name


def key_of(raw: Obj) -> str:
    """`namespace/name` of an object of a table, or its name."""
    name: str = raw["metadata"]["name"]
    return f"{raw['metadata'].get('namespace') or 'default'}/{name}" if BY_NAME[raw["kind"]].namespaced else name


def eventually(condition: Callable[[], object], seconds: float, every_s: float = 0.05) -> bool:
    """Whether something becomes true in time."""
    try:
        until(condition, "as expected", seconds, every_s)
    except TimeoutError:
        return False
    return True
