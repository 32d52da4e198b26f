"""One machine as its kubelet sees it: when its Node comes, becomes Ready and gets its devices, and what runs on it.

Pure but for the draws: it says what there is to report at a time, and when that changes next.
"""

from __future__ import annotations

from collections.abc import Iterable
from random import Random
from typing import Any, cast

import msgspec

from fretsaw.api.labels import ARCH, OS
from fretsaw.api.node import Node, Taint
from fretsaw.api.times import Millis
from fretsaw.engine.requests import Amounts
from fretsaw.engine.shape import gpu_count
from fretsaw.kubelet.settings import KubeletSettings
from fretsaw.kubelet.writes import conditions
from fretsaw.providers.fake.faults import NodeFault
from fretsaw.providers.fake.instance import Instance
from fretsaw.sim import gpu_facts
from fretsaw.sim import instance as virtual
from fretsaw.sim.cloud.machines import CapacityType
from fretsaw.sim.gpu_sharing import Sharing
from fretsaw.sim.gpu_stack import NVIDIA_GPU
from fretsaw.sim.kubelet import node_object
from fretsaw.sim.kubelet.devices import Devices

VERSION = "v1.34.0-fretsaw"
_LATER: Millis = 1 << 62


class Machine:
    """A machine and its kubelet."""

    def __init__(self, instance: Instance, faults: Iterable[NodeFault], settings: KubeletSettings, now: Millis) -> None:
        self.instance = instance
        self.settings = settings
        self.virtual = _virtual(instance)
        self.name = ""
        """Its Node's, once it has one."""
        self.wanted = ""
        """The name that its Node is about to get."""
        self.uid = ""
        self.address = ""
        self.node = Node()
        """As the kubelet knows it: what it reported last."""
        self.devices = Devices()
        self.used: Amounts = {}
        self.alive = True
        """Whether the kubelet hears and reports."""
        self.joins: Millis | None = now + self._draw("boot")
        self.readies: Millis = _LATER
        self.registers: Millis = _LATER
        self.untaints: Millis = _LATER
        self.down_until: Millis = 0
        self.labelled = False
        self.beats: Millis = 0
        """When the next heartbeat is due."""
        self._never_ready = self._no_devices = False
        self._missing = 0
        for fault in faults:
            self.suffer(fault, now)

    def suffer(self, fault: NodeFault, now: Millis) -> None:
        """Something is wrong with it from now on."""
        match fault.node_fault:
            case "never-joins":
                self.joins = None
            case "joins-late":
                self.joins = None if self.joins is None else self.joins + fault.lasts
            case "never-ready":
                self._never_ready = True
            case "not-ready":
                self.down_until = max(self.down_until, now + fault.lasts)
            case "gpu-never-registers":
                self._no_devices = True
            case "gpu-missing":
                self._missing += fault.missing
            case "kubelet-dies":
                self.alive = False

    # Its start

    @property
    def joined(self) -> bool:
        """Whether it has a Node."""
        return bool(self.name)

    def draft(self, name: str, now: Millis) -> dict[str, Any]:
        """The Node to be made."""
        self.node = node_object.new_node(self.virtual, name, now)
        tree: dict[str, Any] = msgspec.to_builtins(self.node)
        tree["status"] |= _facts(self.node, _address(name))
        return tree

    def join(self, made: Node, now: Millis) -> None:
        """The draft has become a Node."""
        self._be(made)
        self._plan(now)

    def adopt(self, node: Node, now: Millis) -> None:
        """It has a Node already, from another life of its kubelet."""
        self._be(node)
        self.node = node
        self.readies = self.registers = self.untaints = now

    def _be(self, node: Node) -> None:
        self.name, self.uid = node.metadata.name, node.metadata.uid
        self.address = _address(self.name)

    def _plan(self, now: Millis) -> None:
        self.readies = now + self._draw("ready")
        self.registers = self.readies + self._draw("gpu")
        if self.settings.startup_taints is not None:
            self.untaints = self.readies + self._draw("startup_taints")

    # What there is to report

    def ready(self, now: Millis) -> bool:
        """Whether pods can start."""
        return self.alive and self.readies <= now and self.down_until <= now and not self._never_ready

    def report(self, now: Millis) -> dict[str, Any] | None:
        """The status to write, None where nothing is new."""
        before = self.node
        if self.readies <= now or self.down_until > now:
            self.node = node_object.with_readiness(self.node, self.ready(now), now)
        if self.registers <= now and not self._no_devices and not self.devices.resources:
            self._register()
        if self.devices.resources:
            self.node = node_object.with_devices(self.node, self.devices)
        if self.node.status == before.status:
            return None
        status = self.node.status
        return {
            "capacity": status.capacity,
            "allocatable": status.allocatable,
            "conditions": conditions(status.conditions, now),
        }

    def _register(self) -> None:
        for resource, count in node_object.device_counts(self.virtual).items():
            missing = self._missing if gpu_count({resource: 1}) else 0
            self.devices.register(resource, range(max(0, count - missing)))

    def found_labels(self, now: Millis) -> dict[str, str]:
        """The labels that gpu-feature-discovery has for it now; none before its time, and for a machine without."""
        if self.labelled or self.registers > now or not self.settings.gpu_labels:
            return {}
        gpus = node_object.device_counts(self.virtual).get(NVIDIA_GPU, 0)
        return gpu_facts.discovered(self.node.metadata.labels, gpus, Sharing())

    def startup_taints(self, node: Node, now: Millis) -> bool:
        """Whether the Node, as it is now, has startup taints whose owners want them gone."""
        return self.untaints <= now and any(map(self._is_startup, node.spec.taints))

    def without_startup_taints(self, node: Node) -> Node:
        """The Node after that."""
        for taint in node.spec.taints:
            if self._is_startup(taint):
                node = node_object.without_taint(node, taint.key, taint.effect)
        return node

    def _is_startup(self, taint: Taint) -> bool:
        return any(
            (taint.key, taint.effect) == (own.key, own.effect) for own in self.instance.claim.spec.startup_taints
        )

    def next(self, now: Millis) -> Millis | None:
        """When there is more to do."""
        times = [self.joins] if not self.joined else [self.readies, self.registers, self.untaints, self.down_until]
        return min((when for when in times if when is not None and now < when < _LATER), default=None)

    def _draw(self, what: str) -> Millis:
        random = Random(f"{self.settings.seed}/{what}/{self.instance.token}")
        drawn: Millis = getattr(self.settings, what).draw(random)
        return drawn


def _virtual(instance: Instance) -> virtual.Instance:
    """The instance as the simulator's kubelets know one."""
    return virtual.Instance(
        provider_id=instance.provider_id,
        claim=instance.claim,
        type=instance.type,
        zone=instance.offering[1],
        capacity_type=cast(CapacityType, instance.offering[2]),
        price_usd_per_hour=instance.created.price_usd_per_hour,
        asked=instance.launched,
        labels=instance.created.labels,
        reservation=instance.reservation,
    )


def _address(name: str) -> str:
    """The address in a private DNS name, `ip-10-0-0-1.ec2.internal`."""
    return name.partition(".")[0].removeprefix("ip-").replace("-", ".")


def _facts(node: Node, address: str) -> dict[str, Any]:
    """What a kubelet says of its machine that no decision reads."""
    labels = node.metadata.labels
    return {
        "addresses": [
            {"type": "InternalIP", "address": address},
            {"type": "Hostname", "address": node.metadata.name},
        ],
        "nodeInfo": {
            "architecture": labels.get(ARCH, "amd64"),
            "operatingSystem": labels.get(OS, "linux"),
            "osImage": "Fretsaw fake machine",
            "kubeletVersion": VERSION,
            "kubeProxyVersion": VERSION,
            "containerRuntimeVersion": "fake://1.0",
            "kernelVersion": "fake",
            "machineID": node.metadata.name,
            "systemUUID": node.metadata.name,
            "bootID": node.metadata.name,
        },
    }
