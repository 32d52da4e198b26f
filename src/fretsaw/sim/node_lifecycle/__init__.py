"""What happens to nodes that are down: unknown state, taints, pods driven out; and to Nodes without an instance."""

from __future__ import annotations

from fretsaw.sim.node_lifecycle.cloud_nodes import CloudNodes
from fretsaw.sim.node_lifecycle.health import Health
from fretsaw.sim.node_lifecycle.settings import Settings
from fretsaw.sim.node_lifecycle.taint_eviction import TaintEviction
from fretsaw.sim.node_lifecycle.taints import Tainter
from fretsaw.sim.world import World

__all__ = ["NodeLifecycle", "Settings"]


class NodeLifecycle:
    """All node controllers. They listen to the facts `kubelet-stopped`, `kubelet-started` and `instance-ended`."""

    def __init__(self, world: World, settings: Settings | None = None) -> None:
        settings = settings or Settings()
        self.health = Health(world, settings)
        self.taints = Tainter(world, settings)
        self.evictions = TaintEviction(world)
        self.cloud = CloudNodes(world, settings)
