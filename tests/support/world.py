"""The cluster of a case, read from raw objects by the checker: pods, places that exist, pools, volumes, catalog."""

from __future__ import annotations

import copy
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from support import buffers, kube
from support.kube import Amounts, Obj, Spans

_EPHEMERAL = {
    ("node.kubernetes.io/not-ready", "NoSchedule"),
    ("node.kubernetes.io/not-ready", "NoExecute"),
    ("node.kubernetes.io/unreachable", "NoSchedule"),
    ("node.cloudprovider.kubernetes.io/uninitialized", "NoSchedule"),
    ("karpenter.sh/unregistered", "NoExecute"),
}
_IN_TREE = {"kubernetes.io/aws-ebs": "ebs.csi.aws.com"}
_REPLICATED = {"Deployment", "StatefulSet", "ReplicaSet", "ReplicationController"}


@dataclass
class Host:
    """A place that exists: a node, or a launched claim whose node is not there yet."""

    name: str
    labels: dict[str, str]
    taints: list[Obj]
    capacity: Amounts
    allocatable: Amounts
    leaving: bool = False
    volume_limits: dict[str, int] = field(default_factory=dict)
    pods: list[Obj] = field(default_factory=list)

    def domain(self, key: str) -> str | None:
        """The host's value of a topology key."""
        return self.labels.get(key, self.name if key == kube.HOSTNAME else None)


class World:
    """Everything the checker looks up, from objects and a catalog file."""

    def __init__(self, objects: Iterable[Obj], catalog: Obj) -> None:
        self.objects = list(objects)
        self.by_kind: dict[str, list[Obj]] = {}
        for obj in self.objects:
            self.by_kind.setdefault(obj["kind"], []).append(obj)
        self.types: dict[str, Obj] = {one["name"]: one for one in catalog["instanceTypes"]}
        self.catalog_keys = {key for one in self.types.values() for key in one.get("labels") or {}}
        self.well_known = kube.CORE_WELL_KNOWN | self.catalog_keys
        self.pools = {kube.meta(pool)["name"]: pool for pool in self.kind("NodePool")}
        self.claims = {kube.namespaced(claim): claim for claim in self.kind("PersistentVolumeClaim")}
        self.volumes = {kube.meta(volume)["name"]: volume for volume in self.kind("PersistentVolume")}
        self.classes = {kube.meta(one)["name"]: one for one in self.kind("StorageClass")}
        self.hosts = {host.name: host for host in self._hosts()}
        self.pods = {kube.namespaced(pod): pod for pod in all_pods(self.objects)}
        for pod in self.pods.values():
            host = self.hosts.get((pod.get("spec") or {}).get("nodeName") or "")
            if host is not None:
                host.pods.append(pod)
        self.batch = {name: pod for name, pod in self.pods.items() if self._waits(pod)}

    def kind(self, kind: str) -> list[Obj]:
        """Objects of one kind, in the order given."""
        return self.by_kind.get(kind, [])

    # Hosts -----------------------------------------------------------------------------------------------------

    def _hosts(self) -> Iterable[Host]:
        nodes = self.kind("Node")
        claims = self.kind("NodeClaim")
        by_provider = {(claim.get("status") or {}).get("providerID"): claim for claim in claims}
        by_provider.pop(None, None)
        seen = set()
        for node in nodes:
            provider = (node.get("spec") or {}).get("providerID")
            claim = by_provider.get(provider)
            seen.add(provider)
            yield self._host(node, claim)
        for provider, claim in by_provider.items():
            if provider not in seen:
                yield self._host(None, claim)

    def _host(self, node: Obj | None, claim: Obj | None) -> Host:
        """Node and claim as one. Source: Karpenter v1.14 statenode.go (labels, taints, capacity until initialised)."""
        owner = node if node is not None else claim
        assert owner is not None
        node_labels = kube.labels_of(node) if node is not None else {}
        registered = claim is None or node_labels.get("karpenter.sh/registered") == "true"
        ready = claim is None or node_labels.get("karpenter.sh/initialized") == "true"
        labels = node_labels if registered or claim is None else {**node_labels, **kube.labels_of(claim)}
        source = node if registered or claim is None else claim
        taints = list(((source or {}).get("spec") or {}).get("taints") or [])
        if claim is not None and not ready:
            taints = [taint for taint in taints if not _passes(taint, claim)]
        statuses = [(one or {}).get("status") or {} for one in (node, claim)]
        capacity, allocatable = (_filled(statuses, name, ready) for name in ("capacity", "allocatable"))
        name = kube.meta(owner)["name"]
        return Host(name, labels, taints, capacity, allocatable, _leaving(node, claim), self._volume_limits(name))

    def _volume_limits(self, name: str) -> dict[str, int]:
        for csi in self.kind("CSINode"):
            if kube.meta(csi)["name"] == name:
                drivers = (csi.get("spec") or {}).get("drivers") or []
                return {
                    d["name"]: d["allocatable"]["count"] for d in drivers if (d.get("allocatable") or {}).get("count")
                }
        return {}

    # Which pods wait -------------------------------------------------------------------------------------------

    def _waits(self, pod: Obj) -> bool:
        spec, status = pod.get("spec") or {}, pod.get("status") or {}
        if kube.owned_by(pod, "DaemonSet") or kube.owned_by(pod, "Node") or kube.finished(pod):
            return False
        if spec.get("nodeName"):
            host = self.hosts.get(spec["nodeName"])
            return host is not None and host.leaving and self._moves(pod)
        return not (kube.terminating(pod) or spec.get("schedulingGates") or status.get("nominatedNodeName"))

    def _moves(self, pod: Obj) -> bool:
        """Whether a pod of a leaving node is planned now. Source: Karpenter v1.14 pod/scheduling.go."""
        if kube.terminating(pod) and not kube.owned_by(pod, "StatefulSet"):
            return False
        annotation = (kube.meta(pod).get("annotations") or {}).get("karpenter.sh/do-not-disrupt")
        return annotation != "true" and not self._pdb_blocks(pod)

    def _pdb_blocks(self, pod: Obj) -> bool:
        space = kube.namespaced(pod).split("/")[0]
        budgets = [
            budget["spec"]
            for budget in self.kind("PodDisruptionBudget")
            if (kube.meta(budget).get("namespace") or "default") == space
            and kube.selects(budget["spec"].get("selector"), kube.labels_of(pod))
        ]
        if len(budgets) > 1:
            return True
        return any(
            str(spec.get("maxUnavailable")) in ("0", "0%") or str(spec.get("minAvailable")) == "100%"
            for spec in budgets
        )

    # Pools and daemons -----------------------------------------------------------------------------------------

    def pool_spans(self, name: str) -> Spans | None:
        """A pool's requirements with its template labels; None when they contradict each other."""
        template = self.pools[name]["spec"]["template"]
        ref = template["spec"]["nodeClassRef"]
        labels = {**((template.get("metadata") or {}).get("labels") or {}), kube.NODE_POOL: name}
        labels[f"{ref['group']}/{ref['kind'].lower()}"] = ref["name"]
        as_items = [{"key": key, "operator": "In", "values": [value]} for key, value in labels.items()]
        return kube.expressions([*(template["spec"].get("requirements") or []), *as_items])

    def pool_taints(self, name: str) -> list[Obj]:
        """Taints of a pool's nodes; startup taints go before pods come."""
        return list(self.pools[name]["spec"]["template"]["spec"].get("taints") or [])

    def type_spans(self, name: str) -> Spans:
        """What an instance type is: labels, name, zones and capacity types; label keys of other types are absent."""
        one = self.types[name]
        labels = one.get("labels") or {}
        spans = dict.fromkeys(self.catalog_keys, kube.ABSENT)
        spans |= {kube.normal(key): kube.span("In", values) for key, values in labels.items()}
        spans[kube.INSTANCE_TYPE] = kube.span("In", [name])
        offerings = one.get("offerings") or []
        spans[kube.ZONE] = kube.span("In", [o["zone"] for o in offerings])
        spans[kube.CAPACITY_TYPE] = kube.span("In", [o["capacityType"] for o in offerings])
        return spans

    def type_allocatable(self, name: str) -> Amounts:
        """Capacity minus overhead, memory also minus huge pages. Source: Karpenter v1.14 cloudprovider/types.go."""
        capacity = kube.amounts(self.types[name]["capacity"])
        room = {
            key: amount - kube.amounts(self.types[name].get("overhead")).get(key, 0) for key, amount in capacity.items()
        }
        pages = sum(amount for key, amount in capacity.items() if key.startswith("hugepages-"))
        if pages:
            room["memory"] = max(0, room.get("memory", 0) - pages)
        return room

    def daemons(self) -> list[tuple[Obj, Obj]]:
        """(DaemonSet, pod spec): the newest pod of the set with the template's affinity, or the template itself."""
        found = []
        for daemon in self.kind("DaemonSet"):
            template = daemon["spec"]["template"]["spec"]
            pods = [pod for pod in self.pods.values() if _controls(daemon, pod)]
            newest = max(pods, key=lambda pod: str(kube.meta(pod).get("creationTimestamp") or ""), default=None)
            spec = template if newest is None else {**newest["spec"], "affinity": template.get("affinity")}
            found.append((daemon, spec))
        return found

    # Volumes ---------------------------------------------------------------------------------------------------

    def claims_of(self, pod: Obj) -> list[str]:
        """`namespace/name` of the claims that a pod mounts."""
        space, name = kube.namespaced(pod).split("/")
        names = []
        for volume in (pod.get("spec") or {}).get("volumes") or []:
            if volume.get("persistentVolumeClaim"):
                names.append(f"{space}/{volume['persistentVolumeClaim']['claimName']}")
            elif volume.get("ephemeral"):
                names.append(f"{space}/{name}-{volume['name']}")
        return names

    def volume_options(self, claim_name: str) -> list[Spans]:
        """Where a claim's volume can be used: alternatives, one without content when anywhere."""
        claim = self.claims.get(claim_name)
        if claim is None:
            return [{}]
        volume = self.volumes.get(claim["spec"].get("volumeName") or "")
        if volume is not None:
            terms = (((volume["spec"].get("nodeAffinity") or {}).get("required")) or {}).get("nodeSelectorTerms") or []
            fixed = bool(volume["spec"].get("local") or volume["spec"].get("hostPath"))
            bodies = [
                [e for e in t.get("matchExpressions") or [] if not (fixed and e["key"] == kube.HOSTNAME)] for t in terms
            ]
        else:
            storage = self.classes.get(claim["spec"].get("storageClassName") or "", {})
            bodies = [
                [{**e, "operator": "In"} for e in topology.get("matchLabelExpressions") or []]
                for topology in storage.get("allowedTopologies") or []
            ]
        options = [kube.expressions(body) for body in bodies] or [{}]
        return [option for option in options if option is not None]

    def driver(self, claim_name: str) -> str | None:
        """CSI driver that attaches the claim's volume; None where none is known."""
        claim = self.claims.get(claim_name)
        if claim is None:
            return None
        volume = self.volumes.get(claim["spec"].get("volumeName") or "")
        if volume is not None:
            if volume["spec"].get("csi"):
                return str(volume["spec"]["csi"]["driver"])
            return _IN_TREE["kubernetes.io/aws-ebs"] if volume["spec"].get("awsElasticBlockStore") else None
        storage = self.classes.get(claim["spec"].get("storageClassName") or "")
        if storage is None:
            return None
        return _IN_TREE.get(storage["provisioner"], str(storage["provisioner"]))

    def unusable_claim(self, pod: Obj) -> str | None:
        """A claim that keeps its pod out of the plan. Source: Karpenter v1.14 volumetopology.go (validation)."""
        for name in self.claims_of(pod):
            claim = self.claims.get(name)
            if claim is None:
                if not kube.meta(pod).get("x-workload"):
                    return f"{name} does not exist"
                continue
            if kube.terminating(claim) or (claim.get("status") or {}).get("phase") == "Lost":
                return f"{name} is going"
            if claim["spec"].get("volumeName"):
                if claim["spec"]["volumeName"] not in self.volumes:
                    return f"volume of {name} does not exist"
                continue
            storage = self.classes.get(claim["spec"].get("storageClassName") or "")
            if storage is None or storage.get("volumeBindingMode", "Immediate") == "Immediate":
                return f"{name} is not bound, and its class does not wait for a pod"
        return None


def _passes(taint: Obj, claim: Obj) -> bool:
    """A taint that a starting node loses by itself."""
    if (taint["key"], taint.get("effect")) in _EPHEMERAL or taint["key"].startswith("readiness.k8s.io/"):
        return True
    startup = claim["spec"].get("startupTaints") or []
    return any(one["key"] == taint["key"] and one.get("effect") == taint.get("effect") for one in startup)


def _filled(statuses: list[Obj], name: str, ready: bool) -> Amounts:
    node, claim = (kube.amounts(status.get(name)) for status in statuses)
    if ready:
        return node
    return {key: node.get(key) or claim.get(key, 0) for key in {**claim, **node}}


def _leaving(node: Obj | None, claim: Obj | None) -> bool:
    if claim is None:
        return node is not None and kube.terminating(node)
    conditions = (claim.get("status") or {}).get("conditions") or []
    ends = any(one["type"] == "InstanceTerminating" and one.get("status") == "True" for one in conditions)
    return kube.terminating(claim) or ends


def _controls(daemon: Obj, pod: Obj) -> bool:
    uid = kube.meta(daemon).get("uid")
    same_space = kube.namespaced(daemon).split("/")[0] == kube.namespaced(pod).split("/")[0]
    for owner in kube.meta(pod).get("ownerReferences") or []:
        if owner.get("kind") == "DaemonSet" and same_space:
            return bool(
                owner.get("uid") == uid if uid and owner.get("uid") else owner.get("name") == kube.meta(daemon)["name"]
            )
    return False


def all_pods(objects: Iterable[Obj]) -> list[Obj]:
    """Pods as given, pods of workloads named `name-N`, and those of capacity buffers; DaemonSets bring none."""
    everything = list(objects)
    pods = list(buffers.virtual_pods(everything))
    for obj in everything:
        if obj["kind"] == "Pod":
            pods.append(obj)
            continue
        count, template = _template(obj)
        for number in range(count):
            labels = (template.get("metadata") or {}).get("labels") or {}
            annotations = (template.get("metadata") or {}).get("annotations") or {}
            head: dict[str, Any] = {
                "name": f"{kube.meta(obj)['name']}-{number}",
                "labels": labels,
                "annotations": annotations,
            }
            head |= {"namespace": kube.meta(obj).get("namespace") or "default", "x-workload": obj["kind"]}
            pods.append({"kind": "Pod", "metadata": head, "spec": copy.deepcopy(template.get("spec") or {})})
    return pods


def _template(obj: Obj) -> tuple[int, Obj]:
    spec = obj.get("spec") or {}
    if obj["kind"] in _REPLICATED:
        replicas = spec.get("replicas")
        return (1 if replicas is None else int(replicas)), spec.get("template") or {}
    if obj["kind"] == "CronJob":
        spec = ((spec.get("jobTemplate") or {}).get("spec")) or {}
    elif obj["kind"] != "Job":
        return 0, {}
    if spec.get("suspend"):
        return 0, {}
    parallelism, completions = spec.get("parallelism", 1), spec.get("completions")
    count = parallelism if completions is None else min(parallelism, completions)
    return int(count), spec.get("template") or {}
