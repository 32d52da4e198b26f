"""The device stack of the nodes that are ready: devices registered, labels, exporter, and GPUs that fail.

Source: NVIDIA gpu-operator and k8s-device-plugin; EKS node monitoring agent; kubelet device manager.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from fretsaw.api.node import Node
from fretsaw.api.times import Millis
from fretsaw.engine.shape import gpu_count
from fretsaw.sim import gpu_facts
from fretsaw.sim.gpu_stack import NVIDIA_GPU, REGISTERS, steps, timeline, vendor
from fretsaw.sim.kubelet import node_object
from fretsaw.sim.kubelet.host import Ground, Host
from fretsaw.sim.kubelet.settings import FaultKind, NodeFault
from fretsaw.sim.xid import xid

_ACCELERATORS = frozenset({"nvidia", "neuron", "amd.com", "habana.ai"})
"""Vendors whose devices the faults and the monitoring agent are about."""


class DeviceStack:
    """What turns a Ready node into one with devices."""

    def __init__(self, ground: Ground) -> None:
        self._ground = ground
        self._world = ground.world
        self._settings = ground.settings

    def at_ready(self, host: Host) -> None:
        """The node is Ready: the host's own services start, and with `registers` set the devices come by it alone."""
        counts = node_object.device_counts(host.instance) if host.instance is not None else {}
        if not counts:
            host.landed = True
            return
        whole = self._settings.registers
        for name in self._vendors(host):
            if whole is not None:
                self._later(whole.draw(self._random("registers", name, host)), self._register, host, name)
            self._run(host, name, on_host=True)

    def landed(self, host: Host) -> None:
        """Nothing keeps the DaemonSets off the node any more."""
        for name in self._vendors(host):
            self._run(host, name, on_host=False)

    def _vendors(self, host: Host) -> list[str]:
        counts = node_object.device_counts(host.instance) if host.instance is not None else {}
        return list(dict.fromkeys(vendor(resource) for resource in counts))

    def _run(self, host: Host, name: str, *, on_host: bool) -> None:
        """Plan the end of each step of a vendor's stack."""
        chosen = [step for step in steps(name, host.image) if step.host == on_host]
        place = "host" if on_host else "pods"
        ends = timeline(chosen, self._settings.durations, self._random(f"stack:{place}", name, host))
        for step, when in ends.items():
            if step in REGISTERS and self._settings.registers is None:
                self._later(when, self._register, host, name)
            elif step == "gfd":
                self._later(when, self._label, host)
            elif step == "dcgm":
                self._later(when, self._export, host)

    def _register(self, host: Host, name: str) -> None:
        """The plugin of a vendor registers what there is."""
        if not host.alive or self._faults(host, "gpu-never-registers", name):
            return
        for resource, count in node_object.device_counts(host.instance).items() if host.instance is not None else ():
            if vendor(resource) == name:
                faults = self._faults(host, "gpu-missing", name) if gpu_count({resource: 1}) else []
                self._announce(host, resource, max(0, count - sum(fault.missing for fault in faults)))
        self._edit(host, lambda node: node_object.with_devices(node, host.devices))
        if name in _ACCELERATORS and self._settings.monitoring_agent:
            now = self._world.loop.now
            self._edit(host, lambda node: node_object.with_hardware(node, "True", "AcceleratedHardwareIsReady", now))
        if name == "nvidia":
            self._plan_xids(host)

    def _announce(self, host: Host, resource: str, count: int) -> None:
        shared = host.sharing.devices(count) if resource == NVIDIA_GPU else {resource: tuple(range(count))}
        for shown, gpus in shared.items():
            host.devices.register(shown, gpus)
            self._world.journal.note(
                "gpu-registered" if gpu_count({resource: 1}) else "device-registered",
                host.about,
                claim=host.claim,
                resource=shown,
                count=len(gpus),
                physical=count,
            )

    def _label(self, host: Host) -> None:
        """gpu-feature-discovery labels the node; it sees the driver's GPUs, whatever the plugin registered."""
        if not host.alive or host.instance is None:
            return
        gpus = node_object.device_counts(host.instance).get(NVIDIA_GPU, 0)
        found = gpu_facts.discovered(host.labels, gpus, host.sharing)
        self._edit(host, lambda node: node_object.with_labels(node, found))
        self._world.journal.note("gpu-labelled", host.about, product=found.get("nvidia.com/gpu.product", ""))

    def _export(self, host: Host) -> None:
        if host.alive:
            host.dcgm_up = True
            self._world.journal.note("dcgm-exporter-up", host.about)

    # Failures

    def _plan_xids(self, host: Host) -> None:
        for fault in self._ground.faults.hitting("xid", host.claim or host.name, host.labels):
            random = self._random(f"xid:{fault.code}:{fault.gpu}", "nvidia", host)
            self._later(fault.after.draw(random), self._happens, host, fault.code, fault.gpu)

    def _happens(self, host: Host, code: int, gpu: int) -> None:
        if host.alive:
            self.xid(host, code, gpu)

    def xid(self, host: Host, code: int, gpu: int) -> None:
        """The driver reports an XID: programs end, the plugin and the agent notice. Raises UserError for no code."""
        found = xid(code)
        about, durations = host.about, self._settings.durations
        data = {"action": found.action, "fatal": found.fatal, "reason": found.reason, "claim": host.claim}
        self._world.journal.note("xid", about, code=code, gpu=gpu, **data)
        resources = [resource for resource in host.devices.resources if vendor(resource) == "nvidia"]
        holders = [pod for resource in resources for pod in host.devices.holders(resource, gpu)]
        if found.fatal:
            host.devices.broken.update((resource, gpu) for resource in resources)
        if found.ends_program:
            for pod in holders:
                host.lives[pod].crash(f"xid-{code}")
        number = str(self._world.loop.now)
        if found.unhealthy(self._settings.skipped_xids):
            wait = durations.device_health.draw(self._random(f"unhealthy:{gpu}", number, host))
            self._later(wait, self._sicken, host, tuple(resources), gpu)
        if found.fatal and self._settings.monitoring_agent:
            wait = durations.health_agent.draw(self._random(f"agent:{gpu}", number, host))
            self._later(wait, self._condemn, host, found.reason)

    def _sicken(self, host: Host, resources: tuple[str, ...], gpu: int) -> None:
        for resource in resources:
            host.devices.sicken(resource, gpu)
        if host.alive:
            self._edit(host, lambda node: node_object.with_devices(node, host.devices))
            self._world.journal.note("gpu-unhealthy", host.about, gpu=gpu, claim=host.claim)

    def _condemn(self, host: Host, reason: str) -> None:
        if host.alive:
            now = self._world.loop.now
            self._edit(host, lambda node: node_object.with_hardware(node, "False", reason, now))

    # Helpers

    def _faults(self, host: Host, kind: FaultKind, name: str) -> list[NodeFault]:
        """Faults of a kind that hit this node's accelerators; other devices have none."""
        if name not in _ACCELERATORS:
            return []
        return self._ground.faults.hitting(kind, host.claim or host.name, host.labels)

    def _later(self, wait: Millis, call: Callable[..., None], *args: object) -> None:
        self._world.loop.after(wait, call, *args)

    def _edit(self, host: Host, change: Callable[[Node], Node]) -> None:
        """Write the Node, unless the kubelet is silent: then it does so when it speaks again."""
        node = self._world.store.get("Node", host.name)
        if node is not None and not host.silent:
            self._world.store.put(change(node))

    def _random(self, what: str, name: str, host: Host) -> Random:
        return self._world.dice.once(what, name, host.claim or host.name)
