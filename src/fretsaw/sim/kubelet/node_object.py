"""The Node object that a kubelet makes of its instance, and the changes that it makes to it later.

Source: kubelet (registerWithAPIServer, node status setters); EKS AMI, nodeadm (labels and taints of the claim);
Karpenter AWS provider v1.14 (karpenter.sh/unregistered in the user data).
"""

from __future__ import annotations

from collections.abc import Mapping

from msgspec.structs import replace

from fretsaw.api.labels import HOSTNAME, REGION
from fretsaw.api.meta import Condition, ObjectMeta
from fretsaw.api.node import ContainerImage, Node, NodeSpec, NodeStatus, Taint
from fretsaw.api.resources import Quantities, render, units
from fretsaw.api.times import Millis
from fretsaw.engine.taints import UNREGISTERED, same
from fretsaw.sim.conditions import with_condition
from fretsaw.sim.instance import Instance
from fretsaw.sim.kubelet.devices import Devices, is_device

NOT_READY = Taint("node.kubernetes.io/not-ready", "NoSchedule")
ACCELERATORS = "AcceleratedHardwareReady"
_PRESSURES = {
    "MemoryPressure": "KubeletHasSufficientMemory",
    "DiskPressure": "KubeletHasNoDiskPressure",
    "PIDPressure": "KubeletHasSufficientPID",
}
_HOSTS = 254
_MOST_IMAGES = 50


def node_name(number: int, labels: Mapping[str, str]) -> str:
    """The private DNS name of the `number`-th machine, from 0; each name once for 16 million machines."""
    rest, last = divmod(number, _HOSTS)
    second, third = divmod(rest, 256)
    region = labels.get(REGION, "us-east-1")
    domain = "ec2.internal" if region == "us-east-1" else f"{region}.compute.internal"
    return f"ip-10-{second}-{third}-{last + 1}.{domain}"


def labels_of(instance: Instance, name: str) -> dict[str, str]:
    """Labels with which the node starts: the instance's, then the claim's, and its name."""
    return {**instance.labels, **instance.claim.metadata.labels, HOSTNAME: name}


def new_node(instance: Instance, name: str, now: Millis) -> Node:
    """The node as it registers: not ready, tainted, and without any device."""
    spec = instance.claim.spec
    capacity, allocatable = own_resources(instance)
    conditions: tuple[Condition, ...] = ()
    for type_, reason in _PRESSURES.items():
        conditions = with_condition(conditions, Condition(type_, "False", reason), now)
    return Node(
        ObjectMeta(name=name, labels=labels_of(instance, name)),
        NodeSpec(_distinct(*spec.taints, *spec.startup_taints, UNREGISTERED, NOT_READY), instance.provider_id),
        NodeStatus(capacity, allocatable, with_condition(conditions, _readiness("False"), now)),
    )


def own_resources(instance: Instance) -> tuple[Quantities, Quantities]:
    """(capacity, allocatable) that need no device plugin."""
    capacity: Quantities = {}
    allocatable: Quantities = {}
    for resource, quantity in instance.type.capacity.items():
        if not is_device(resource):
            kept = units(resource, instance.type.overhead.get(resource, 0))
            capacity[resource] = quantity
            allocatable[resource] = render(resource, max(0, units(resource, quantity, up=False) - kept))
    return capacity, allocatable


def device_counts(instance: Instance) -> dict[str, int]:
    """The devices of an instance by resource, none of them at zero."""
    found = {name: units(name, amount, up=False) for name, amount in instance.type.capacity.items() if is_device(name)}
    return {name: count for name, count in found.items() if count}


def _distinct(*taints: Taint) -> tuple[Taint, ...]:
    """Taints without those of a key and effect that came before."""
    kept: list[Taint] = []
    for taint in taints:
        if not any(same(taint, other) for other in kept):
            kept.append(taint)
    return tuple(kept)


def _readiness(truth: str) -> Condition:
    return Condition("Ready", truth, "KubeletReady" if truth == "True" else "KubeletNotReady")


def with_readiness(node: Node, ready: bool, now: Millis) -> Node:
    """The node with its Ready condition, and pressures known again; a node that is ready has no not-ready taint."""
    conditions = with_condition(node.status.conditions, _readiness("True" if ready else "False"), now)
    for type_, reason in _PRESSURES.items():
        conditions = with_condition(conditions, Condition(type_, "False", reason), now)
    taints = node.spec.taints
    if ready:
        taints = tuple(taint for taint in taints if not (taint.key == NOT_READY.key and taint.effect == "NoSchedule"))
    return replace(node, spec=replace(node.spec, taints=taints), status=replace(node.status, conditions=conditions))


def with_devices(node: Node, devices: Devices) -> Node:
    """The node with the devices that its plugins have registered; unhealthy ones count in its capacity alone."""
    capacity, allocatable = dict(node.status.capacity), dict(node.status.allocatable)
    for resource in devices.resources:
        capacity[resource] = str(devices.capacity(resource))
        allocatable[resource] = str(devices.allocatable(resource))
    return replace(node, status=replace(node.status, capacity=capacity, allocatable=allocatable))


def with_hardware(node: Node, truth: str, reason: str, now: Millis) -> Node:
    """The node with what the monitoring agent says of its accelerators.

    Source: EKS node monitoring agent: True is healthy.
    """
    conditions = with_condition(node.status.conditions, Condition(ACCELERATORS, truth, reason), now)
    return replace(node, status=replace(node.status, conditions=conditions))


def with_labels(node: Node, labels: Mapping[str, str]) -> Node:
    """The node with more labels."""
    return replace(node, metadata=replace(node.metadata, labels={**node.metadata.labels, **labels}))


def with_image(node: Node, image: str, size: int) -> Node:
    """The node with one more image, the largest first, as many as a kubelet reports.

    Source: kubelet, nodeStatusMaxImages 50.
    """
    if any(image in known.names for known in node.status.images):
        return node
    images = sorted((*node.status.images, ContainerImage((image,), size)), key=lambda one: (-one.size_bytes, one.names))
    return replace(node, status=replace(node.status, images=tuple(images[:_MOST_IMAGES])))


def without_taint(node: Node, key: str, effect: str) -> Node:
    """The node without a taint."""
    taints = tuple(taint for taint in node.spec.taints if (taint.key, taint.effect) != (key, effect))
    return replace(node, spec=replace(node.spec, taints=taints))
