"""An EC2 instance of the virtual cloud, from the launch to the bill."""

from __future__ import annotations

from typing import Literal

import msgspec

from fretsaw.api.catalog import InstanceType
from fretsaw.api.nodeclaim import NodeClaim
from fretsaw.api.times import Millis

State = Literal["pending", "running", "shutting-down", "terminated"]


class Instance(msgspec.Struct, eq=False):
    """One machine. The cloud alone writes to it."""

    provider_id: str
    claim: NodeClaim
    """As it was when the launch was asked for: labels, taints and startup taints of the node to be."""
    type: InstanceType
    zone: str
    capacity_type: Literal["spot", "on-demand", "reserved"]
    price_usd_per_hour: float
    """At the launch; what spot costs later is the cloud's to know."""
    asked: Millis
    labels: dict[str, str]
    """What the node will say of itself: type, zone, capacity type, architecture and the type's own labels."""
    reservation: str = ""
    state: State = "pending"
    running_since: Millis | None = None
    """When billing starts."""
    ended: Millis | None = None
    """When billing ends."""
    why_ended: str = ""
    """`terminated` (asked for), `spot-reclaim`, `reservation-end` or a fault's name."""

    @property
    def alive(self) -> bool:
        """Whether the machine is there."""
        return self.state in ("pending", "running")
