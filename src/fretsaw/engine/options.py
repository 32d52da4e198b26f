"""Settings of the autoscaler as a whole, one docstring each with unit, default and reason."""

from __future__ import annotations

import msgspec

from fretsaw.api.times import HOUR, MINUTE, SECOND, Millis
from fretsaw.engine.settings import Settings


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """How the controllers behave. The defaults are Karpenter's, but for the packing."""

    placing: Settings = Settings()
    """How nodes are chosen, by the provisioner and for replacements."""
    batch_idle: Millis = 1 * SECOND
    """A pass starts when no new pod has come for so long (BATCH_IDLE_DURATION)."""
    batch_max: Millis = 10 * SECOND
    """A pass starts so long after the first pod at the latest (BATCH_MAX_DURATION)."""
    disruption_poll: Millis = 10 * SECOND
    """Time between two looks of the disruption loop that find nothing."""
    repack_every: Millis = 30 * MINUTE
    """With `packing: cost`: how often replacing several machines by several cheaper ones is looked for. It takes the
    packer a while, and what it would find does not run away."""
    validation: Millis = 15 * SECOND
    """How long a consolidation has to hold before it is carried out."""
    launch_timeout: Millis = 5 * MINUTE
    """A claim that has not launched by then, counted from its creation, is deleted."""
    registration_timeout: Millis = 15 * MINUTE
    """A claim whose node has not registered by then, counted from its creation, is deleted."""
    command_timeout: Millis = 10 * MINUTE
    """Least time that a disruption waits for its replacements; it grows with the queue, up to `command_timeout_max`."""
    command_timeout_max: Millis = 1 * HOUR
    """Most time that a disruption waits for its replacements."""
    spot_to_spot: bool = False
    """A spot node may be replaced by a cheaper spot node (gate SpotToSpotConsolidation, off by default)."""
    node_repair: bool = False
    """Nodes with a bad condition are replaced (gate NodeRepair, off by default)."""
    static_capacity: bool = True
    """NodePools with `replicas` get that many nodes (gate StaticCapacity; off in Karpenter, but then such a pool does
    nothing at all, which nobody who writes one can want)."""
    hand_over: bool = True
    """Planned pods are told their node by `status.nominatedNodeName`, which kube-scheduler tries first."""

    @property
    def nomination(self) -> Millis:
        """How long a node that was chosen for a pod is left alone: twice the longest batch, 10 s at least."""
        return max(2 * self.batch_max, 10 * SECOND)
