"""The cloud's node controller: a Node whose instance is gone is deleted.

Source: Kubernetes v1.36 cloud-provider controllers/nodelifecycle; kubernetes.io, Cloud Controller Manager.
Differs: the real controller asks the cloud only about nodes that are not ready; here a fixed spread of times stands for
the shutdown that makes a node say so, and for the controller's period.
"""

from __future__ import annotations

from typing import Final

from fretsaw.api.node import Node
from fretsaw.sim.journal import Fact
from fretsaw.sim.node_lifecycle.settings import Settings
from fretsaw.sim.world import World

ENDED: Final = "instance-ended"


class CloudNodes:
    """Deletes the Nodes of ended instances."""

    def __init__(self, world: World, settings: Settings) -> None:
        self._world = world
        self._gone = settings.gone
        self._names: dict[str, str] = {}
        """Node by provider id."""
        self._ended: set[str] = set()
        world.journal.listen(self._heard)
        world.store.watch("Node", self._changed)
        for node in list(world.store.all("Node").values()):
            self._changed(None, node)

    def _changed(self, old: Node | None, new: Node | None) -> None:
        if new is None:
            assert old is not None
            self._names.pop(old.spec.provider_id, None)
        elif new.spec.provider_id and (old is None or old.spec.provider_id != new.spec.provider_id):
            self._names[new.spec.provider_id] = new.metadata.name
            if new.spec.provider_id in self._ended:
                self._plan(new.spec.provider_id)

    def _heard(self, fact: Fact) -> None:
        if fact.what == ENDED:
            provider_id = fact.about.removeprefix("Instance/")
            self._ended.add(provider_id)
            if provider_id in self._names:
                self._plan(provider_id)

    def _plan(self, provider_id: str) -> None:
        delay = self._gone.draw(self._world.dice.once("cloud-node", provider_id))
        self._world.loop.after(delay, self._delete, provider_id)

    def _delete(self, provider_id: str) -> None:
        name = self._names.get(provider_id)
        if name is not None:
            self._world.journal.note("node-without-instance", f"Node/{name}", instance=provider_id)
            self._world.store.delete("Node", name)
