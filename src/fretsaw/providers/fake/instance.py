"""An instance of the fake cloud."""

from __future__ import annotations

from typing import Literal

import msgspec

from fretsaw.api.catalog import InstanceType
from fretsaw.api.nodeclaim import NodeClaim
from fretsaw.api.times import HOUR, Millis
from fretsaw.engine.events import InstanceCreated
from fretsaw.providers.fake.wire import Listed, Offering

State = Literal["pending", "running", "shutting-down", "terminated"]


class Instance(msgspec.Struct, eq=False, kw_only=True):
    """One machine. The cloud alone writes to it."""

    created: InstanceCreated
    """What the launch answered, and answers again."""
    token: str
    claim: NodeClaim
    """As it was ordered: labels, taints and startup taints of the node to be."""
    type: InstanceType
    offering: Offering
    price_nano: int
    """Nano-USD an hour, as long as it runs."""
    launched: Millis
    reservation: str = ""
    node_class: str = ""
    class_hash: str = ""
    state: State = "pending"
    running_since: Millis | None = None
    ended: Millis | None = None
    why_ended: str = ""

    @property
    def provider_id(self) -> str:
        """`aws:///zone/i-…`."""
        return self.created.provider_id

    @property
    def id(self) -> str:
        """`i-…`."""
        return self.provider_id.rpartition("/")[2]

    @property
    def alive(self) -> bool:
        """Whether the machine is there."""
        return self.state in ("pending", "running")

    def cost_nano_hours(self, now: Millis) -> int:
        """Price × milliseconds from `running` to its end: divided by HOUR it is nano-USD."""
        if self.running_since is None:
            return 0
        until = now if self.ended is None else min(self.ended, now)
        return self.price_nano * max(0, until - self.running_since)

    def cost_usd(self, now: Millis) -> float:
        """What it has cost."""
        return self.cost_nano_hours(now) / HOUR / 1e9

    def listed(self) -> Listed:
        """As the cloud lists it."""
        return Listed(
            provider_id=self.provider_id,
            claim=self.created.claim,
            launched=self.launched,
            state=self.state,
            offering=self.offering,
            token=self.token,
            node_class=self.node_class,
            class_hash=self.class_hash,
            image_id=self.created.image_id,
            price_usd_per_hour=self.created.price_usd_per_hour,
            ended=self.ended,
            why_ended=self.why_ended,
        )
