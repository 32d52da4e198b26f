"""The flags of the node controllers, with their defaults."""

from __future__ import annotations

import msgspec

from fretsaw.api.times import MINUTE, SECOND, Millis
from fretsaw.sim.spread import Spread


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Times and thresholds. Source: kubernetes.io, kube-controller-manager reference; Nodes, "Node controller"."""

    monitor: Millis = 5 * SECOND
    """Between two looks at all nodes."""
    heartbeat: Millis = 10 * SECOND
    """Between two renewals of a node's lease."""
    grace: Millis = 50 * SECOND
    """Silence after which a node's state is unknown; 40 s before Kubernetes 1.32."""
    start_up: Millis = MINUTE
    """The same for a node that has never reported."""
    between: Millis = 10 * SECOND
    """From one node of a zone that gets a NoExecute taint to the next: 0.1 nodes a second."""
    between_disrupted: Millis = 100 * SECOND
    """The same in a large zone of which most nodes are down."""
    disrupted: float = 0.55
    """Share of nodes down from which a zone counts as disrupted; three nodes at least."""
    large: int = 50
    """Nodes above which a disrupted zone is slowed down rather than left alone."""
    gone: Spread = Spread(5 * SECOND, 7 * SECOND, 10 * SECOND)
    """From an instance's end to the deletion of its Node by the cloud's controller."""
