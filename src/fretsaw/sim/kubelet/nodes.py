"""All virtual machines: from an instance that runs to a node that works, and to its end.

The cloud calls `on_running` and `on_ended`; a scenario's timetable calls the faults. What comes after Ready, the device
stack, is in `stack`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from random import Random

from fretsaw.api.meta import LabelSelector
from fretsaw.api.node import Node
from fretsaw.api.resources import units
from fretsaw.api.times import Millis
from fretsaw.sim.behavior import Works
from fretsaw.sim.controller import WorkQueue
from fretsaw.sim.gpu_facts import model
from fretsaw.sim.gpu_sharing import Sharing
from fretsaw.sim.gpu_stack import keeps_off
from fretsaw.sim.instance import Instance
from fretsaw.sim.kubelet import node_object
from fretsaw.sim.kubelet.devices import is_device
from fretsaw.sim.kubelet.host import Ground, Host
from fretsaw.sim.kubelet.machine_image import disk_of, image_of
from fretsaw.sim.kubelet.pod_life import PodLife
from fretsaw.sim.kubelet.pods import Pods
from fretsaw.sim.kubelet.pulls import Images
from fretsaw.sim.kubelet.settings import NodeFault, NodeSettings
from fretsaw.sim.kubelet.stack import DeviceStack
from fretsaw.sim.loop import Timer
from fretsaw.sim.world import World


class Nodes:
    """The kubelets of a run."""

    def __init__(self, world: World, works: Works, settings: NodeSettings | None = None) -> None:
        self._world = world
        self._settings = settings or NodeSettings()
        self._ground = Ground(world, works, self._settings)
        self._hosts: dict[str, Host] = {}
        self._of_instance: dict[str, Host] = {}
        self._booting: dict[str, list[Timer]] = {}
        """What is planned for an instance that has no node yet, by provider id."""
        self._count = 0
        self._deaths: list[Callable[[Instance], None]] = []
        self._stack = DeviceStack(self._ground)
        self._queue = WorkQueue(world.loop, self._look)
        self._pods = Pods(self._ground, self.host)
        world.store.watch("Node", self._changed)

    # What others ask

    def host(self, node: str) -> Host | None:
        """The machine of a node; one that was there before the run is taken over when it is first asked for."""
        known = self._hosts.get(node)
        if known is None:
            found = self._world.store.get("Node", node)
            known = self._adopt(found) if found is not None else None
        return known

    def life(self, pod: str) -> PodLife | None:
        """The life of a pod that a kubelet has taken and that is not over. pod: its key."""
        found = self._pods.lives.get(pod)
        return found if found is not None and found.stage != "over" else None

    def lives(self) -> Iterator[PodLife]:
        """The lives of all pods that kubelets have taken and that are not over, by machine."""
        return (life for host in list(self._hosts.values()) for life in list(host.lives.values()))

    def is_working(self, pod: str) -> bool:
        """Whether a pod has loaded and does its work now."""
        life = self.life(pod)
        return life is not None and life.working

    def on_death(self, listener: Callable[[Instance], None]) -> None:
        """Call `listener` for an instance that dies at boot: the cloud has to end it."""
        self._deaths.append(listener)

    # What the cloud says

    def on_running(self, instance: Instance) -> None:
        """The instance runs: it boots now."""
        name = node_object.node_name(self._count, instance.labels)
        self._count += 1
        labels = node_object.labels_of(instance, name)
        host = self._new_host(name, labels, instance)
        boot = self._boot_time(host, instance)
        faults = self._ground.faults
        if faults.hitting("dies-at-boot", self._tag(host), labels):
            self._plan(instance, boot // 2, self._dies, instance, host)
        elif faults.hitting("never-registers", self._tag(host), labels):
            self._world.journal.note("node-never-registers", host.about, claim=host.claim)
        else:
            self._plan(instance, boot, self._join, host, instance)

    def on_ended(self, instance: Instance) -> None:
        """The instance is gone, and with it, this instant, its pods. The Node object is left to the controllers."""
        for timer in self._booting.pop(instance.provider_id, ()):
            timer.cancel()
        host = self._of_instance.pop(instance.provider_id, None)
        if host is None or not host.alive:
            return
        host.alive = host.ready = False
        why = instance.why_ended or "instance-ended"
        for life in list(host.lives.values()):
            life.kill(why, node_gone=True)
        self._world.journal.note("kubelet-stopped", host.about, why=why, claim=host.claim)
        self._forget(host)

    # Boot

    def _new_host(self, name: str, labels: dict[str, str], instance: Instance) -> Host:
        class_name = instance.claim.spec.node_class_ref.name
        node_class = self._world.store.get("EC2NodeClass", class_name)
        image = image_of(self._settings, class_name, node_class)
        rate = self._settings.rates.of(soci=self._settings.soci, bottlerocket=image == "bottlerocket")
        images = Images(rate, disk_of(self._settings, image, node_class))
        return Host(name, labels, image, self._sharing(labels), images, instance)

    def _sharing(self, labels: dict[str, str]) -> Sharing:
        """MIG only where the GPU can be cut."""
        sharing = self._settings.sharing_of(labels)
        gpu = model(labels)
        return Sharing() if sharing.mode == "mig" and (gpu is None or not gpu.mig) else sharing

    def _boot_time(self, host: Host, instance: Instance) -> Millis:
        family = instance.type.name.partition(".")[0]
        spread = self._settings.durations.to_join(family, bottlerocket=host.image == "bottlerocket")
        return spread.draw(self._random("boot", host))

    def _plan(self, instance: Instance, wait: Millis, call: Callable[..., None], *args: object) -> None:
        self._booting.setdefault(instance.provider_id, []).append(self._world.loop.after(wait, call, *args))

    def _dies(self, instance: Instance, host: Host) -> None:
        self._world.journal.note("instance-died-at-boot", host.about, claim=host.claim)
        for listener in self._deaths:
            listener(instance)

    def _join(self, host: Host, instance: Instance) -> None:
        """The kubelet makes its Node."""
        self._booting.pop(instance.provider_id, None)
        self._hosts[host.name] = self._of_instance[instance.provider_id] = host
        self._world.store.put(node_object.new_node(instance, host.name, self._world.loop.now))
        took = self._world.loop.now - (instance.running_since or self._world.loop.now)
        self._world.journal.note("node-joined", host.about, claim=host.claim, after_ms=took)
        wait = self._settings.durations.ready.draw(self._random("ready", host))
        self._world.loop.after(wait, self._become_ready, host)

    def _become_ready(self, host: Host) -> None:
        if not host.alive:
            return
        host.ready = True
        self._plan_taints(host)
        if not host.silent:
            self._edit(host, lambda node: node_object.with_readiness(node, True, self._world.loop.now))
        instance = host.instance
        since = instance.running_since if instance is not None else None
        took = self._world.loop.now - (self._world.loop.now if since is None else since)
        self._world.journal.note("node-ready", host.about, claim=host.claim, after_ms=took)
        self._stack.at_ready(host)
        self._pods.look(host)
        self._queue.add(host.name)

    def _adopt(self, node: Node) -> Host:
        """A node that nobody launched: as ready as it says, with the devices that it says."""
        name, labels = node.metadata.name, dict(node.metadata.labels)
        image = self._settings.image or "al2023-operator"
        rate = self._settings.rates.of(soci=self._settings.soci, bottlerocket=image == "bottlerocket")
        images = Images(rate, self._settings.disk_mib_per_s)
        host = self._hosts[name] = Host(name, labels, image, self._settings.sharing_of(labels), images, None)
        host.ready = host.landed = host.dcgm_up = True
        for resource, amount in node.status.allocatable.items():
            if is_device(resource):
                host.devices.register(resource, range(units(resource, amount, up=False)))
        return host

    # Startup taints, and when the device stack can land

    def _plan_taints(self, host: Host) -> None:
        settings = self._settings
        for taint in host.instance.claim.spec.startup_taints if host.instance is not None else ():
            spread = settings.startup_taints.get(taint.key, settings.durations.startup_taint)
            if spread is not None:
                wait = spread.draw(self._random(f"taint:{taint.key}", host))
                host.taints_due[taint.key, taint.effect] = self._world.loop.now + wait

    def _changed(self, old: Node | None, new: Node | None) -> None:
        node = new if new is not None else old
        host = self._hosts.get(node.metadata.name) if node is not None else None
        if host is None:
            return
        if new is None:
            self._forget(host)
        elif (
            host.ready and (host.taints_due or not host.landed) and (old is None or old.spec.taints != new.spec.taints)
        ):
            self._queue.add(host.name)

    def _look(self, name: str) -> None:
        """Let the owners of startup taints remove what is due, and the device stack land once nothing keeps it off.

        A taint that somebody puts back is removed again, as its owner does.
        """
        host, node = self._hosts.get(name), self._world.store.get("Node", name)
        if host is None or node is None or not host.ready:
            return
        now = self._world.loop.now
        for taint in node.spec.taints:
            due = host.taints_due.get((taint.key, taint.effect))
            if due is not None and due <= now:
                node = node_object.without_taint(node, taint.key, taint.effect)
                self._world.journal.note("startup-taint-removed", host.about, taint=str(taint))
            elif due is not None:
                self._queue.add(name, due - now)
        node = self._world.store.put(node)
        if not host.landed and keeps_off(node.spec.taints, self._settings.operand_tolerations) is None:
            host.landed = True
            self._stack.landed(host)

    # Faults

    def begin(self, fault: NodeFault) -> None:
        """From now on it holds, for nodes that start and images that are pulled."""
        self._ground.faults.begin(fault)

    def end(self, fault: NodeFault) -> None:
        """It holds no longer."""
        self._ground.faults.end(fault)

    def matching(self, selector: LabelSelector) -> list[str]:
        """The ready nodes whose labels match, by name."""
        hosts = (host for host in self._hosts.values() if host.alive and host.ready)
        return sorted(host.name for host in hosts if selector.matches(host.labels))

    def xid(self, node: str, code: int, gpu: int = 0) -> None:
        """The driver of a node reports an XID about a GPU. Raises UserError for what is no code."""
        host = self.host(node)
        if host is not None and host.alive:
            self._stack.xid(host, code, gpu)

    def not_ready(self, node: str, lasts: Millis, *, silent: bool = False) -> None:
        """A node is not ready for a while. silent: its kubelet reports nothing and hears nothing, its pods run on;
        otherwise it reports Ready False."""
        host = self.host(node)
        if host is None or not host.alive or host.silent:
            return
        if silent:
            host.silent = True
            self._world.journal.note("kubelet-stopped", host.about, why="silent", claim=host.claim)
        else:
            self._edit(host, lambda found: node_object.with_readiness(found, False, self._world.loop.now))
        host.down_until = max(host.down_until, self._world.loop.now + lasts)
        self._world.loop.at(host.down_until, self._back, host)

    def _back(self, host: Host) -> None:
        """The node is well again: the kubelet writes all that it knows, whatever others have written meanwhile."""
        if not host.alive or host.down_until > self._world.loop.now:
            return
        if host.silent:
            host.silent = False
            self._world.journal.note("kubelet-started", host.about, claim=host.claim)
        now = self._world.loop.now
        self._edit(
            host, lambda node: node_object.with_devices(node_object.with_readiness(node, host.ready, now), host.devices)
        )
        unsent, host.unsent = host.unsent, {}
        for life in [*unsent.values(), *host.lives.values()]:
            life.publish()
        self._pods.look(host)

    # Helpers

    def _edit(self, host: Host, change: Callable[[Node], Node]) -> None:
        node = self._world.store.get("Node", host.name)
        if node is not None:
            self._world.store.put(change(node))

    def _forget(self, host: Host) -> None:
        """Drop a machine that is gone and whose Node is, too."""
        gone = not host.alive or host.instance is None
        if gone and self._world.store.get("Node", host.name) is None:
            self._hosts.pop(host.name, None)

    def _tag(self, host: Host) -> str:
        """What a machine's chances go by: the claim's name, which does not depend on who boots first."""
        return host.claim or host.name

    def _random(self, what: str, host: Host) -> Random:
        return self._world.dice.once(what, self._tag(host))
