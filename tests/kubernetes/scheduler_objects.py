"""Short forms of nodes, pods and claims in the scheduler's tables, spelled out as plain Kubernetes objects.

`{node: n, …}`, `{pod: p, …}`, `{claim: c, …}`, `{volume: v, …}`, `{class: c, …}`; anything with an `apiVersion` stands
as it is. `count: N` makes N copies named name-0 … name-(N-1).
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator
from typing import Any

Obj = dict[str, Any]
GPU = "nvidia.com/gpu"
ZONE = "topology.kubernetes.io/zone"


def spelled_out(items: Iterable[Obj]) -> Iterator[Obj]:
    """The objects that a table means."""
    for item in items:
        if "apiVersion" in item:
            yield item
            continue
        short = copy.deepcopy(item)
        form = next(key for key in _FORMS if key in short)
        name, count = short.pop(form), short.pop("count", None)
        names = [name] if count is None else [f"{name}-{number}" for number in range(count)]
        for one in names:
            yield _FORMS[form](one, copy.deepcopy(short))


def _head(api: str, kind: str, name: str, short: Obj, **more: Any) -> Obj:
    metadata = {"name": name}
    for key in ("labels", "annotations", "namespace", "ownerReferences", "creationTimestamp"):
        if key in short:
            metadata[key] = short.pop(key)
    return {"apiVersion": api, "kind": kind, "metadata": metadata, **more}


def _node(name: str, short: Obj) -> Obj:
    zone = short.pop("zone", None)
    labels = {"kubernetes.io/hostname": name, **({ZONE: zone} if zone else {}), **short.pop("labels", {})}
    room = {"cpu": short.pop("cpu", 4), "memory": short.pop("memory", "16Gi"), "pods": short.pop("pods", 110)}
    if "gpu" in short:
        room[GPU] = short.pop("gpu")
    room |= short.pop("room", {})
    status = {"allocatable": room, **({"images": short.pop("images")} if "images" in short else {})}
    out = _head("v1", "Node", name, {"labels": {k: v for k, v in labels.items() if v is not None}})
    return out | {"spec": short, "status": status}


def _pod(name: str, short: Obj) -> Obj:
    requests = {key: short.pop(key) for key in ("cpu", "memory") if key in short}
    limits = {GPU: short.pop("gpu")} if "gpu" in short else {}
    container = {"name": "main", "image": short.pop("image", "app:1"), "resources": {}}
    if requests or limits:
        container["resources"] = {"requests": {**requests, **limits}, "limits": limits}
    if "hostPorts" in short:
        container["ports"] = short.pop("hostPorts")
    status = short.pop("status", {})
    if "nominated" in short:
        status["nominatedNodeName"] = short.pop("nominated")
    if "at" in short:
        short["nodeName"] = short.pop("at")
        status.setdefault("phase", "Running")
    claims = [{"name": c, "persistentVolumeClaim": {"claimName": c}} for c in short.pop("claims", [])]
    out = _head("v1", "Pod", name, short)
    spec = {"containers": [container], **({"volumes": claims} if claims else {}), **short}
    return out | {"spec": spec, **({"status": status} if status else {})}


def _claim(name: str, short: Obj) -> Obj:
    out = _head("v1", "PersistentVolumeClaim", name, short)
    spec = {
        "accessModes": short.pop("modes", ["ReadWriteOnce"]),
        "resources": {"requests": {"storage": short.pop("size", "10Gi")}},
    }
    if "class" in short:
        spec["storageClassName"] = short.pop("class")
    if "bound" in short:
        spec["volumeName"] = short.pop("bound")
        out["status"] = {"phase": "Bound"}
    return out | {"spec": spec | short}


def _volume(name: str, short: Obj) -> Obj:
    out = _head("v1", "PersistentVolume", name, short)
    spec: Obj = {
        "capacity": {"storage": short.pop("size", "10Gi")},
        "accessModes": short.pop("modes", ["ReadWriteOnce"]),
        "csi": {"driver": short.pop("driver", "ebs.csi.aws.com"), "volumeHandle": name},
        "storageClassName": short.pop("class", ""),
    }
    if "zone" in short:
        term = {"matchExpressions": [{"key": ZONE, "operator": "In", "values": [short.pop("zone")]}]}
        spec["nodeAffinity"] = {"required": {"nodeSelectorTerms": [term]}}
    return out | {"spec": spec | short}


def _class(name: str, short: Obj) -> Obj:
    mode = "Immediate" if short.pop("immediate", False) else "WaitForFirstConsumer"
    out = _head("storage.k8s.io/v1", "StorageClass", name, short)
    return out | {"provisioner": "ebs.csi.aws.com", "volumeBindingMode": mode} | short


_FORMS = {"node": _node, "pod": _pod, "claim": _claim, "volume": _volume, "class": _class}
