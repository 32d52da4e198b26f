"""CapacityBuffers ask for passes of their own, and keep machines only as long as they are there."""

from __future__ import annotations

from fretsaw.api.capacitybuffer import CapacityBuffer, CapacityBufferSpec, LocalReference
from fretsaw.api.meta import ObjectMeta
from fretsaw.api.pod import Container, PodSpec, PodTemplateSpec, ResourceRequirements
from fretsaw.api.times import SECOND
from fretsaw.api.workload import PodTemplate
from fretsaw.engine import actions as a
from fretsaw.engine import events as e
from fretsaw.engine.passes import Passes
from fretsaw.engine.provision import Step, provision
from support.disruption_world import START, World


class Room:
    """A machine of 4 cores, and a buffer for so many pods of a core each."""

    def __init__(self, replicas: int) -> None:
        self.world = World({"machines": {"a": {}}})
        self.passes = Passes(self.world.options.placing)
        spec = PodSpec(containers=(Container("c", resources=ResourceRequirements({"cpu": "1"})),))
        template = PodTemplate(metadata=ObjectMeta(name="t", namespace="default"), template=PodTemplateSpec(spec=spec))
        self.world.state.apply(e.Changed(template))
        self.resize(replicas)

    def resize(self, replicas: int) -> None:
        wanted = CapacityBufferSpec(pod_template_ref=LocalReference("t"), replicas=replicas)
        buffer = CapacityBuffer(metadata=ObjectMeta(name="room", namespace="default"), spec=wanted)
        self.world.state.apply(e.Changed(buffer))

    def step(self, second: float) -> Step:
        """What the provisioner wants at a time; its notes are taken."""
        found = provision(self.world.state, self.world.options, self.passes, START + round(second * SECOND))
        for note in found.notes:
            self.world.state.apply(note)
        return found


def test_a_buffer_without_pods_that_wait_gets_its_room() -> None:
    """Source: Karpenter v1.14 pkg/controllers/capacitybuffer (triggers the provisioner)."""
    room = Room(6)
    assert room.step(0).wake == START + SECOND
    (order,) = room.step(1).actions
    assert isinstance(order, a.CreateClaim)
    assert room.world.state.last_batch is not None
    assert room.world.state.last_batch.buffered == {"a"}


def test_it_asks_again_every_thirty_seconds() -> None:
    room = Room(3)
    room.step(0)
    done = room.step(1)
    assert done.actions == ()
    room.resize(9)
    assert room.step(12) == Step(wake=START + 31 * SECOND)
    assert room.step(31).wake == START + 32 * SECOND
    assert len(room.step(32).actions) > 0


def test_a_buffer_that_is_gone_keeps_no_machine() -> None:
    room = Room(3)
    room.step(0)
    room.step(1)
    room.world.now = START + 10 * SECOND
    assert not _takes_the_machine(room)
    room.world.state.apply(e.Gone("CapacityBuffer", "default/room"))
    room.world.now = START + 60 * SECOND
    assert room.step(60) == Step()
    assert _takes_the_machine(room)


def _takes_the_machine(room: Room) -> bool:
    notes = room.world.look().notes
    return any(isinstance(note, e.CommandProposed) and note.command.candidates == ("a",) for note in notes)
