"""Settings of a pass, one docstring each with unit, default and reason."""

from __future__ import annotations

import msgspec


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """How a plan is made. The defaults are what `fretsaw plan` uses."""

    packing: str = "cost"
    """`cost` searches for the cheapest nodes; `first-fit` packs as Karpenter does."""
    respect_preferences: bool = True
    """Preferences count as requirements until they fail (Karpenter's PREFERENCE_POLICY Respect)."""
    best_effort_min_values: bool = False
    """minValues may be lowered to what is there (Karpenter's MIN_VALUES_POLICY BestEffort) on a new node."""
    reserved_capacity: bool = True
    """Capacity reservations are used first, and waited for (Karpenter's gate ReservedCapacity, on by default)."""
    strict_reservations: bool = True
    """A pod that could use a reservation waits for it rather than fall back; False in simulations of disruption."""
    max_pods_per_node: int = 250
    """Pods, 0 for no cap. How much one lost node may take down, besides what its network interfaces allow.
    250 is the most that EKS recommends for large instances. Only `cost` keeps it."""
    max_gpus_per_node: int = 0
    """GPUs, 0 for no cap: multi-GPU nodes are bought for their interconnect, so no general limit makes sense.
    Only `cost` keeps it."""
    node_cost_nano: int = 1_000_000
    """Nano-USD an hour charged for each node beside its price: 0.001 USD. Images, daemons and addresses are paid per
    node; at this height it decides between equal prices without buying anything noticeably dearer."""
    budget_s: float = 2.0
    """Seconds that the search for cheaper nodes may take; a safety, since its work is bounded in steps."""
    max_instance_types: int = 600
    """Instance types that a launch may carry (Karpenter's MaxInstanceTypes)."""
