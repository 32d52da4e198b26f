"""Pods and their nodes: room, one node for each pod, ends that are final.

Laws: when kube-scheduler binds a pod, its node is there and has room for all that the pod asks for; what a node loses
later, such as a broken GPU, takes nothing away from pods that are there · a pod stays on its node · a pod that has
ended stays ended · one that runs has a node.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable

from fretsaw.api.node import Node
from fretsaw.api.pod import Pod
from fretsaw.api.resources import units
from fretsaw.engine.requests import Amounts, add, pod_requests
from fretsaw.sim.world import World


class Placing:
    """Watches all pods."""

    def __init__(self, world: World, violated: Callable[[str], None]) -> None:
        self._store = world.store
        self._violated = violated
        self._used: dict[str, Amounts] = defaultdict(dict)
        self._homes: dict[str, tuple[str, Amounts]] = {}
        """(node, requests) of each bound pod that has not ended, by uid."""
        world.store.watch("Pod", self._pod)

    def _pod(self, old: Pod | None, new: Pod | None) -> None:
        pod = new if new is not None else old
        if pod is None:
            return
        uid, home = pod.metadata.uid, self._homes.get(pod.metadata.uid)
        holds = new is not None and bool(new.spec.node_name) and not new.is_terminal
        if holds and home is None:
            self._enter(pod, chosen=old is not None and not old.spec.node_name)
        elif not holds and home is not None:
            del self._homes[uid]
            add(self._used[home[0]], {resource: -amount for resource, amount in home[1].items()})
        if old is not None and new is not None and old.metadata.uid == uid:
            self._check_change(old, new)

    def _check_change(self, old: Pod, new: Pod) -> None:
        before, now = old.spec.node_name, new.spec.node_name
        if before and now != before:
            self._violated(f"pod {new.key} moved from node {before} to {now or 'none'}")
        if old.is_terminal and new.status.phase != old.status.phase:
            self._violated(f"pod {new.key} was {old.status.phase} and is {new.status.phase} now")
        if new.status.phase == "Running" and not now:
            self._violated(f"pod {new.key} runs on no node")

    def _enter(self, pod: Pod, *, chosen: bool) -> None:
        """A pod is bound. chosen: by the scheduler; one that was made with a node is its maker's business."""
        name, requests = pod.spec.node_name, pod_requests(pod.spec)
        self._homes[pod.metadata.uid] = (name, requests)
        used = self._used[name]
        add(used, requests)
        if not chosen:
            return
        node: Node | None = self._store.get("Node", name)
        if node is None:
            self._violated(f"pod {pod.key} is bound to node {name}, which does not exist")
            return
        for resource, amount in requests.items():
            room = units(resource, node.status.allocatable.get(resource, 0), up=False)
            if amount and used[resource] > room:
                self._violated(f"node {name} holds {used[resource]} {resource} of {room} after pod {pod.key}")
