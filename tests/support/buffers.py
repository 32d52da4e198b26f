"""Virtual pods of CapacityBuffers, for the checker. Source: Karpenter v1.14 pkg/controllers/capacitybuffer, virtualpods."""

from __future__ import annotations

import copy
from collections.abc import Iterator

from support import kube
from support.kube import Obj


def virtual_pods(objects: list[Obj]) -> Iterator[Obj]:
    """Pods `capacity-buffer-<name>-<i>`, from 1, without the volumes of claims."""
    for buffer in objects:
        template = _template(buffer, objects) if buffer["kind"] == "CapacityBuffer" else None
        if template is None:
            continue
        spec = copy.deepcopy(template["spec"])
        volumes = spec.get("volumes") or []
        spec["volumes"] = [one for one in volumes if not (one.get("persistentVolumeClaim") or one.get("ephemeral"))]
        for number in range(1, _size(buffer, template, objects) + 1):
            head = {"name": f"capacity-buffer-{kube.meta(buffer)['name']}-{number}", "namespace": _space(buffer)}
            labels = (template.get("metadata") or {}).get("labels") or {}
            yield {"kind": "Pod", "metadata": {**head, "labels": labels}, "spec": spec}


def _space(obj: Obj) -> str:
    return str(kube.meta(obj).get("namespace") or "default")


def _find(buffer: Obj, objects: list[Obj], kind: str, name: str) -> Obj | None:
    for obj in objects:
        if obj["kind"] == kind and kube.meta(obj)["name"] == name and _space(obj) == _space(buffer):
            return obj
    return None


def _workload(buffer: Obj, objects: list[Obj]) -> Obj | None:
    ref = buffer["spec"].get("scalableRef")
    return _find(buffer, objects, ref["kind"], ref["name"]) if ref else None


def _template(buffer: Obj, objects: list[Obj]) -> Obj | None:
    if buffer["spec"].get("podTemplateRef"):
        found = _find(buffer, objects, "PodTemplate", buffer["spec"]["podTemplateRef"]["name"])
        return found["template"] if found else None
    workload = _workload(buffer, objects)
    return workload["spec"]["template"] if workload else None


def _size(buffer: Obj, template: Obj, objects: list[Obj]) -> int:
    """The larger of replicas and percentage, capped by limits; limits alone when neither is there."""
    spec, workload = buffer["spec"], _workload(buffer, objects)
    sizes = [int(spec["replicas"])] if spec.get("replicas") is not None else []
    if spec.get("percentage") is not None and workload is not None:
        replicas = workload["spec"].get("replicas", 1)
        sizes.append(-(-replicas * int(spec["percentage"]) // 100))
    requests, limits = kube.pod_requests(template["spec"]), kube.amounts(spec.get("limits"))
    room = [limit // requests[name] for name, limit in limits.items() if requests.get(name)]
    caps = [min(room)] if room else []
    return min([*([max(sizes)] if sizes else []), *caps], default=0)
