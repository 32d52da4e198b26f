"""Objects and catalogs in one line each, for tests that make their own."""

from __future__ import annotations

from typing import Any

from support.kube import HOSTNAME, NODE_POOL, ZONE, Obj

ON_DEMAND, SPOT, RESERVED = "on-demand", "spot", "reserved"


def named(kind: str, api: str, name: str, spec: Obj, **head: Any) -> Obj:
    """An object of any kind."""
    return {"apiVersion": api, "kind": kind, "metadata": {"name": name, **head}, "spec": spec}


def pool(name: str = "main", *requirements: Obj, labels: Obj | None = None, taints: Any = (), **spec: Any) -> Obj:
    """A NodePool; further keywords stand in its spec (`weight`, `limits`, `replicas`)."""
    node_class = {"group": "karpenter.k8s.aws", "kind": "EC2NodeClass", "name": "default"}
    template: Obj = {"spec": {"nodeClassRef": node_class, "requirements": list(requirements)}}
    if taints:
        template["spec"]["taints"] = list(taints)
    if labels:
        template["metadata"] = {"labels": labels}
    return named("NodePool", "karpenter.sh/v1", name, {"template": template, **spec})


def need(key: str, operator: str, *values: str, **more: Any) -> Obj:
    """A requirement or a selector expression."""
    return {"key": key, "operator": operator, **({"values": list(values)} if values else {}), **more}


def taint(key: str, value: str = "true", effect: str = "NoSchedule") -> Obj:
    """A taint."""
    return {"key": key, "value": value, "effect": effect}


def pod(name: str, cpu: str = "1", memory: str = "1Gi", *, labels: Obj | None = None, **spec: Any) -> Obj:
    """A pending Pod with one container; `requests` adds resources, further keywords stand in its spec."""
    requests = {"cpu": cpu, "memory": memory, **spec.pop("requests", {})}
    devices = {key: value for key, value in requests.items() if "/" in key}
    resources = {"requests": requests, **({"limits": devices} if devices else {})}
    container = {"name": "main", "image": "img", "resources": resources, **spec.pop("container", {})}
    head = {"namespace": spec.pop("namespace", "default"), **({"labels": labels} if labels else {})}
    return named("Pod", "v1", name, {"containers": [container], **spec}, **head)


def running(name: str, node_name: str, cpu: str = "1", memory: str = "1Gi", **spec: Any) -> Obj:
    """A Pod that runs on a node."""
    one = pod(name, cpu, memory, nodeName=node_name, **spec)
    one["status"] = {"phase": "Running"}
    return one


def node(
    name: str, cpu: str = "4", memory: str = "8Gi", *, zone: str = "z-a", labels: Obj | None = None, **spec: Any
) -> Obj:
    """A ready Node; further keywords stand in its spec."""
    room = {"cpu": cpu, "memory": memory, "pods": "20", **spec.pop("room", {})}
    all_labels = {
        HOSTNAME: name,
        ZONE: zone,
        "kubernetes.io/arch": "amd64",
        "kubernetes.io/os": "linux",
        **(labels or {}),
    }
    one = named("Node", "v1", name, spec, labels=all_labels)
    one["status"] = {"capacity": room, "allocatable": room, "conditions": [{"type": "Ready", "status": "True"}]}
    return one


def claim(name: str, of_pool: str, instance_type: str, cpu: str = "4", memory: str = "8Gi", zone: str = "z-a") -> Obj:
    """A launched NodeClaim without a node yet."""
    room = {"cpu": cpu, "memory": memory, "pods": "20"}
    labels = {NODE_POOL: of_pool, ZONE: zone, "node.kubernetes.io/instance-type": instance_type}
    labels |= {"kubernetes.io/arch": "amd64", "kubernetes.io/os": "linux", "karpenter.sh/capacity-type": ON_DEMAND}
    spec = {
        "nodeClassRef": {"group": "karpenter.k8s.aws", "kind": "EC2NodeClass", "name": "default"},
        "requirements": [],
    }
    one = named("NodeClaim", "karpenter.sh/v1", name, spec, labels=labels)
    one["status"] = {"providerID": f"aws:///{zone}/i-{name}", "capacity": room, "allocatable": room}
    return one


def daemon(name: str, cpu: str = "100m", memory: str = "64Mi", **spec: Any) -> Obj:
    """A DaemonSet; further keywords stand in its pods' spec."""
    container = {"name": "main", "image": "img", "resources": {"requests": {"cpu": cpu, "memory": memory}}}
    template = {"metadata": {"labels": {"daemon": name}}, "spec": {"containers": [container], **spec}}
    body = {"selector": {"matchLabels": {"daemon": name}}, "template": template}
    return named("DaemonSet", "apps/v1", name, body, namespace="kube-system")


def spread(key: str, app: str, skew: int = 1, when: str = "DoNotSchedule", **more: Any) -> Obj:
    """A topology spread constraint over pods of one `app`."""
    selector = {"matchLabels": {"app": app}}
    return {"maxSkew": skew, "topologyKey": key, "whenUnsatisfiable": when, "labelSelector": selector, **more}


def term(key: str, **labels: str) -> Obj:
    """A pod (anti-)affinity term."""
    return {"topologyKey": key, "labelSelector": {"matchLabels": labels}}


def pod_affinity(*terms: Obj, anti: bool = False) -> Obj:
    """`affinity` with required pod affinity, or anti-affinity."""
    return {
        "podAntiAffinity" if anti else "podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": list(terms)}
    }


def node_affinity(*terms: list[Obj]) -> Obj:
    """`affinity` with required node affinity, one OR term for each list of expressions."""
    body = {"nodeSelectorTerms": [{"matchExpressions": one} for one in terms]}
    return {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": body}}


def offering(zone: str, capacity_type: str, price: float, **more: Any) -> Obj:
    """One offering of a catalog file."""
    return {"zone": zone, "capacityType": capacity_type, "price": price, "available": True, **more}


def machine(name: str, cpu: str, memory: str, price: float, *, labels: Obj | None = None, **capacity: str) -> Obj:
    """An instance type on sale in z-a and z-b, on demand and as spot for three tenths; keywords add capacity."""
    extra = {key.replace("__", "/").replace("_", "."): value for key, value in capacity.items()}
    offers = [offering(zone, ON_DEMAND, price + lift) for zone, lift in (("z-a", 0.0), ("z-b", 0.002))]
    offers += [offering(zone, SPOT, round(0.3 * price, 6) + lift) for zone, lift in (("z-a", 0.0), ("z-b", 0.002))]
    return {
        "name": name,
        "capacity": {"cpu": cpu, "memory": memory, "pods": "20", **extra},
        "overhead": {"cpu": "100m", "memory": "200Mi"},
        "labels": {"kubernetes.io/arch": ["amd64"], "kubernetes.io/os": ["linux"], **(labels or {})},
        "offerings": offers,
    }


def catalog(*machines: Obj) -> Obj:
    """A catalog file."""
    return {"region": "test", "asOf": "2026-08-01", "instanceTypes": list(machines)}
