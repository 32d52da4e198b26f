"""What EC2 announces about instances, as the autoscaler hears it through its interruption queue.

Source: Karpenter AWS provider v1.14 pkg/controllers/interruption.
"""

from __future__ import annotations

from fretsaw.engine.events import Interrupted, InterruptionKind
from fretsaw.sim.cloud.machines import offering_of
from fretsaw.sim.cloud.settings import CloudSettings
from fretsaw.sim.cloud.unavailable import Unavailable
from fretsaw.sim.instance import Instance
from fretsaw.sim.world import World


class Announcer:
    """Tells the autoscaler, a little later; without a queue nobody hears of anything."""

    def __init__(self, world: World, settings: CloudSettings, unavailable: Unavailable) -> None:
        self._world = world
        self._settings = settings
        self._unavailable = unavailable

    def announce(self, instance: Instance, kind: InterruptionKind, fact: str = "", **data: object) -> None:
        """Say something about an instance. fact: what the journal calls it, empty for nothing."""
        offering = offering_of(instance)
        if fact:
            self._world.journal.note(
                fact,
                f"Instance/{instance.provider_id}",
                claim=instance.claim.metadata.name,
                type=offering[0],
                zone=offering[1],
                **data,
            )
        if self._settings.interruption_queue:
            random = self._world.dice.once("queue", instance.claim.metadata.name, kind)
            self._world.loop.after(self._settings.queue_lag.draw(random), self.hear, instance, kind)

    def hear(self, instance: Instance, kind: InterruptionKind) -> None:
        """The autoscaler reads it now: a reclaimed offering is avoided for a while, then it acts."""
        if kind == "spot_interrupted":
            self._unavailable.mark((offering_of(instance),))
        self._world.report(Interrupted(instance.provider_id, kind))
