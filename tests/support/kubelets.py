"""Virtual nodes on their own: instances that a test runs and ends, pods that it binds, and no autoscaler."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec
from msgspec.structs import replace

from fretsaw.api.catalog import InstanceType
from fretsaw.api.labels import CAPACITY_TYPE, INSTANCE_TYPE, NODEPOOL, ZONE
from fretsaw.api.meta import ObjectMeta, OwnerReference
from fretsaw.api.node import Node, Taint
from fretsaw.api.nodeclaim import NodeClaim, NodeClaimSpec, NodeClassRef
from fretsaw.api.pod import Container, Pod, PodSpec, ResourceRequirements
from fretsaw.api.times import SECOND
from fretsaw.sim.behavior import Behavior
from fretsaw.sim.durations import Durations
from fretsaw.sim.instance import Instance
from fretsaw.sim.kubelet import Nodes, NodeSettings
from fretsaw.sim.spread import Spread
from fretsaw.sim.world import World

START = 1_767_225_600_000
GPU = "nvidia.com/gpu"
_STEPS = (
    "boot boot_bottlerocket boot_large ready startup_taint nfd daemons stack_images driver toolkit plugin plugin_image "
    "host_plugin gfd dcgm device_health health_agent attach detach mount forced_detach pull_start container_start"
)


def fixed(**seconds: float) -> Durations:
    """Every step takes a second, but for those that are given."""
    times = {name: Spread.fixed(round(seconds.get(name, 1) * SECOND)) for name in _STEPS.split()}
    return msgspec.structs.replace(Durations(), **times)


def lasting(seconds: float) -> Spread:
    """Always that long."""
    return Spread.fixed(round(seconds * SECOND))


def machine(
    name: str = "g5.12xlarge", gpus: int = 4, gpu: str = "a10g", memory_mib: int = 22888, **more: str
) -> InstanceType:
    """An instance type with 48 CPUs."""
    capacity = {"cpu": "48", "memory": "192Gi", "pods": "100", "ephemeral-storage": "100Gi", **more}
    labels = {INSTANCE_TYPE: [name]}
    if gpus:
        capacity[GPU] = str(gpus)
        labels["karpenter.k8s.aws/instance-gpu-name"] = [gpu]
        labels["karpenter.k8s.aws/instance-gpu-memory"] = [str(memory_mib)]
    return InstanceType(name=name, capacity=capacity, overhead={"cpu": "1", "memory": "2Gi"}, labels=labels)


class Works:
    """Behaviors by the pod's label `does`; slots by its label `slot`."""

    def __init__(self, **behaviors: Behavior) -> None:
        self.behaviors = behaviors

    def behavior(self, pod: Pod) -> Behavior:
        return self.behaviors.get(pod.metadata.labels.get("does", ""), Behavior(image_bytes=0))

    def slot(self, pod: Pod) -> str:
        return pod.metadata.labels.get("slot", "")


def job(runs: float, **more: Any) -> Behavior:
    """Works for so many seconds; its image is tiny."""
    return Behavior(**{"runs": lasting(runs), "image_bytes": 0, **more})


class Bench:
    """A world with virtual nodes in it; times in seconds from its start."""

    def __init__(self, *, seed: int = 0, durations: Durations | None = None, **more: Any) -> None:
        behaviors = {k: more.pop(k) for k in list(more) if isinstance(more[k], Behavior)}
        self.world = World(START, seed)
        self.works = Works(**behaviors)
        self.nodes = Nodes(self.world, self.works, NodeSettings(durations=durations or fixed(), **more))
        self._machines = 0

    @property
    def now(self) -> float:
        return (self.world.loop.now - START) / SECOND

    def until(self, seconds: float) -> None:
        self.world.loop.run(START + round(seconds * SECOND))

    # Machines

    def run(
        self,
        type_: InstanceType | None = None,
        *,
        taints: Iterable[Taint] = (),
        startup: Iterable[Taint] = (),
        node_class: str = "default",
        labels: dict[str, str] | None = None,
        zone: str = "us-east-1a",
    ) -> Instance:
        """An instance that runs from now on."""
        self._machines += 1
        type_ = type_ or machine()
        reference = NodeClassRef(group="karpenter.k8s.aws", kind="EC2NodeClass", name=node_class)
        spec = NodeClaimSpec(reference, (), tuple(taints), tuple(startup))
        claim = NodeClaim(
            metadata=ObjectMeta(name=f"gpu-{self._machines}", labels={NODEPOOL: "gpu", **(labels or {})}), spec=spec
        )
        own = {key: values[0] for key, values in type_.labels.items()} | {ZONE: zone, CAPACITY_TYPE: "spot"}
        instance = Instance(
            provider_id=f"aws:///{zone}/i-{self._machines}",
            claim=claim,
            type=type_,
            zone=zone,
            capacity_type="spot",
            price_usd_per_hour=1.0,
            asked=self.world.loop.now,
            labels=own,
            state="running",
            running_since=self.world.loop.now,
        )
        self.nodes.on_running(instance)
        return instance

    def end(self, instance: Instance, why: str = "spot-reclaim") -> None:
        """The instance is gone."""
        instance.state, instance.why_ended, instance.ended = "shutting-down", why, self.world.loop.now
        self.nodes.on_ended(instance)

    def join(self, type_: InstanceType | None = None, **more: Any) -> str:
        """A machine that has come all the way; its node's name. Takes a minute with `fixed` times."""
        known = set(self.world.store.all("Node"))
        self.run(type_, **more)
        self.until(self.now + 5)
        (name,) = set(self.world.store.all("Node")) - known
        self.register(name)
        self.until(self.now + 55)
        return name

    def register(self, name: str) -> None:
        """What the autoscaler does when a node joins."""
        node = self.node(name)
        kept = tuple(taint for taint in node.spec.taints if taint.key != "karpenter.sh/unregistered")
        self.world.store.put(replace(node, spec=replace(node.spec, taints=kept)))

    def node(self, name: str) -> Node:
        found: Node = self.world.store.get("Node", name)
        return found

    def allocatable(self, name: str, resource: str = GPU) -> str | None:
        found = self.node(name).status.allocatable.get(resource)
        return None if found is None else str(found)

    def condition(self, name: str, type_: str) -> tuple[str, str] | None:
        found = self.node(name).condition(type_)
        return None if found is None else (found.status, found.reason)

    # Pods

    def pod(
        self,
        name: str,
        node: str,
        *,
        does: str = "",
        slot: str = "",
        gpus: int = 0,
        policy: str = "Never",
        owner: str = "",
        requests: dict[str, str] | None = None,
        container: dict[str, Any] | None = None,
        **spec: Any,
    ) -> str:
        """A pod bound to a node now; its key."""
        asked: dict[str, Any] = {"cpu": "1", "memory": "1Gi", **(requests or {})}
        if gpus:
            asked[GPU] = str(gpus)
        main = Container(
            **{"name": "main", "image": "img", "resources": ResourceRequirements(requests=asked), **(container or {})}
        )
        owners = (OwnerReference(owner, "own", "u", controller=True),) if owner else ()
        metadata = ObjectMeta(
            name=name, namespace="default", labels={"does": does, "slot": slot}, owner_references=owners
        )
        self.world.store.put(
            Pod(metadata, spec=PodSpec(containers=(main,), node_name=node, restart_policy=policy, **spec))
        )
        return f"default/{name}"

    def delete(self, key: str, grace_s: int | None = None) -> None:
        self.world.store.delete("Pod", key, grace_s=grace_s)

    def get(self, key: str) -> Pod | None:
        found: Pod | None = self.world.store.get("Pod", key)
        return found

    def phase(self, key: str) -> str:
        """The pod's phase, with its reason where there is one; `gone` where there is no pod."""
        pod = self.get(key)
        if pod is None:
            return "gone"
        return pod.status.phase + (f" {pod.status.reason}" if pod.status.reason else "")

    def is_ready(self, key: str) -> bool:
        pod = self.get(key)
        assert pod is not None
        return any(c.type == "Ready" and c.status == "True" for c in pod.status.conditions)

    # The journal

    def when(self, what: str, about: str = "") -> list[float]:
        """The times of facts of a kind, about an object or any."""
        return [
            (fact.at - START) / SECOND
            for fact in self.world.journal.facts
            if fact.what == what and (not about or fact.about == about)
        ]

    def data(self, what: str, key: str = "") -> list[dict[str, Any]]:
        """The data of facts of a kind, about a pod or any object."""
        return [f.data for f in self.world.journal.facts if f.what == what and (not key or f.about == f"Pod/{key}")]

    def bytes(self) -> bytes:
        """The whole journal."""
        return msgspec.json.encode(self.world.journal.facts)
