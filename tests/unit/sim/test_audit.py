"""What the audit holds a disruption to: the budget of the pool, counted over nodes that are not gone yet."""

from __future__ import annotations

from msgspec.structs import replace

from fretsaw.api.meta import Condition, OwnerReference
from fretsaw.api.node import Node
from fretsaw.api.nodeclaim import NodeClaim
from fretsaw.engine import events as e
from fretsaw.engine.turn import Turn
from fretsaw.sim.audit import Audit
from fretsaw.sim.world import World
from support.lives import objects_of

NAMES = ("gpu-1", "gpu-2", "gpu-3")


class Pool:
    """A pool of three nodes under the default budget: a tenth, rounded up."""

    def __init__(self) -> None:
        self.world = World()
        self.audit = Audit(self.world)
        short = {
            "pools": [{"name": "main"}],
            "claims": [{"name": name, "status": {"nodeName": f"node-{name}"}} for name in NAMES],
            "nodes": [{"name": f"node-{name}", "of": name} for name in NAMES],
        }
        for obj in objects_of(short):
            if isinstance(obj, Node):
                owner = OwnerReference("NodeClaim", obj.metadata.name.removeprefix("node-"), "u")
                obj = replace(obj, metadata=replace(obj.metadata, owner_references=(owner,)))
            self.world.store.put(obj)

    def goes(self, name: str, *, ending: bool) -> None:
        """A claim is being deleted; ending: and its instance too."""
        self.world.store.delete("NodeClaim", name)
        claim: NodeClaim = self.world.store.get("NodeClaim", name)
        more = (Condition("InstanceTerminating", "True"),) if ending else ()
        status = replace(claim.status, conditions=(*claim.status.conditions, *more))
        self.world.store.put(replace(claim, status=status))

    def told(self, *names: str) -> list[str]:
        """What the audit says to a command for these claims."""
        command = e.Command("c-1", "emptiness", "Empty", names)
        self.audit.turn(0, Turn(notes=(e.CommandStarted(command, 0),)))
        return self.audit.told()


def test_a_command_within_the_budget_is_no_violation() -> None:
    assert Pool().told("gpu-1") == []


def test_a_command_above_the_budget_is_one() -> None:
    (text,) = Pool().told("gpu-1", "gpu-2")
    assert "takes 2 nodes of pool main while 0 are going; its budgets allow 1" in text


def test_a_node_that_drains_uses_the_budget_up() -> None:
    pool = Pool()
    pool.goes("gpu-1", ending=False)
    (text,) = pool.told("gpu-2")
    assert "takes 1 nodes of pool main while 1 are going; its budgets allow 1" in text


def test_a_node_whose_instance_ends_is_counted_no_more() -> None:
    pool = Pool()
    pool.goes("gpu-1", ending=True)
    assert pool.told("gpu-2") == []
