"""Virtual machines and their kubelets: how nodes boot, how their devices come up, how pods live and end on them."""

from __future__ import annotations

from fretsaw.sim.kubelet.host import Host
from fretsaw.sim.kubelet.nodes import Nodes
from fretsaw.sim.kubelet.pod_life import PodLife
from fretsaw.sim.kubelet.settings import NodeFault, NodeSettings

__all__ = ["Host", "NodeFault", "NodeSettings", "Nodes", "PodLife"]
