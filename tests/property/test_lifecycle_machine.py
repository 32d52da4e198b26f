"""The lifecycle in random worlds: lost and repeated actions, refused launches, late nodes, budgets that refuse, deletes by hand, time that
jumps. Whatever happens, claims keep to their table of phases (the performer walks it at every write), no claim has two instances, and
when the trouble ends everything that is deleted goes, with its instance.
"""

from __future__ import annotations

import json

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from msgspec.structs import replace

from fretsaw.api.affinity import Toleration
from fretsaw.api.meta import ObjectMeta
from fretsaw.api.node import Taint, VolumeAttachment, VolumeAttachmentSource, VolumeAttachmentSpec
from fretsaw.api.nodeclaim import NodeClaim, NodeClaimResources, NodeClaimSpec, NodeClassRef
from fretsaw.api.pod import Pod, PodSpec, PodStatus
from fretsaw.api.times import HOUR, MINUTE, SECOND
from fretsaw.engine import actions as a
from fretsaw.engine import events as e
from fretsaw.engine.claims import look
from fretsaw.engine.lifecycle import Phase, phase_of_claim
from fretsaw.engine.options import Options
from support.performer import Performer

NAMES = ("a", "b", "c")
_CLASS = NodeClassRef("karpenter.k8s.aws", "EC2NodeClass", "default")
_KINDS = ("spot_interrupted", "rebalance_recommendation", "instance_status", "instance_terminated")
_REFUSALS = st.lists(st.sampled_from(("Other", "CreateError", "InsufficientCapacity", "NodeClassNotReady")), max_size=2)


class Lives(RuleBasedStateMachine):
    """Three claims at most, and all that can happen to them."""

    @initialize(repair=st.booleans())
    def begin(self, repair: bool) -> None:
        self.world = Performer(Options(node_repair=repair))
        self.world.lose = self._loses
        self.losses: list[bool] = []
        self.pods = 0

    def _loses(self, action: a.Action) -> bool:
        """Whether an action is lost. One that is not is carried out twice every now and then."""
        lost = self.losses.pop() if self.losses else False
        if not lost and self.losses and self.losses[-1]:
            self.world.perform(action)
        return lost

    @rule(
        name=st.sampled_from(NAMES),
        refusals=_REFUSALS,
        startup=st.booleans(),
        grace=st.sampled_from((None, "0s", "2m")),
        life=st.sampled_from(("Never", "20m")),
        finalizer=st.booleans(),
    )
    def order(
        self, name: str, refusals: list[str], startup: bool, grace: str | None, life: str, finalizer: bool
    ) -> None:
        name = f"{name}{len(self.world.launched)}"
        if self.world.get("NodeClaim", name) is not None or len(self.world.store.all("NodeClaim")) >= len(NAMES):
            return
        self.world.refusals[name] = [e.LaunchRefused(name, kind) for kind in refusals]  # type: ignore[arg-type]
        spec = NodeClaimSpec(
            _CLASS,
            (),
            startup_taints=(Taint("boot", "NoSchedule"),) if startup else (),
            resources=NodeClaimResources({"nvidia.com/gpu": "1"}),
            termination_grace_period=grace,
            expire_after=life,
        )
        finalizers = ("karpenter.sh/termination",) if finalizer else ()
        self.world.store.put(NodeClaim(metadata=ObjectMeta(name=name, finalizers=finalizers), spec=spec))

    @rule(
        name=st.sampled_from(NAMES), grace=st.sampled_from((None, "0s", "2m")), life=st.sampled_from(("Never", "20m"))
    )
    def grow(self, name: str, grace: str | None, life: str) -> None:
        """A claim that gets as far as a node in use, if its actions are not lost."""
        self.order(name, [], startup=True, grace=grace, life=life, finalizer=True)
        self.world.run(3 * SECOND)
        for claim in sorted(self.world.store.all("NodeClaim")):
            node = self.world.join(claim)
            self.world.run(SECOND)
            if node and self.world.get("Node", node) is not None:
                self._unboot(node)
        self.world.run(SECOND)

    @rule(losses=st.lists(st.booleans(), min_size=1, max_size=6))
    def lose(self, losses: list[bool]) -> None:
        """The next actions are lost where it says so."""
        self.losses = losses

    @rule()
    def one_turn(self) -> None:
        self.world.turn()

    @rule(span=st.sampled_from((SECOND, 7 * SECOND, MINUTE)))
    def run(self, span: int) -> None:
        self.world.run(span)

    @rule(span=st.sampled_from((10 * SECOND, 6 * MINUTE, HOUR)))
    def jump(self, span: int) -> None:
        """Time goes by without anybody looking."""
        self.world.jump(span)

    @rule(
        data=st.data(), tainted=st.booleans(), ready=st.booleans(), twice=st.sampled_from((False, False, False, True))
    )
    def join(self, data: st.DataObject, tainted: bool, ready: bool, twice: bool) -> None:
        """A node joins, or two that name the same instance."""
        if name := self._some(data, "NodeClaim"):
            self.world.join(name, tainted=tainted, ready=ready)
            if twice:
                self.world.join(name, f"double-of-{name}")

    @rule(data=st.data(), status=st.sampled_from(("True", "False", "Unknown")))
    def health(self, data: st.DataObject, status: str) -> None:
        if name := self._some(data, "Node"):
            self.world.ready(name, status)

    @rule(data=st.data())
    def boot(self, data: st.DataObject) -> None:
        """Something takes the startup taints away."""
        if name := self._some(data, "Node"):
            self._unboot(name)

    def _unboot(self, name: str) -> None:
        node = self.world.get("Node", name)
        taints = tuple(taint for taint in node.spec.taints if taint.key != "boot")
        self.world.store.put(replace(node, spec=replace(node.spec, taints=taints)))

    @rule(
        data=st.data(),
        protected=st.booleans(),
        guarded=st.booleans(),
        tolerant=st.booleans(),
        grace=st.sampled_from((0, 5, 300)),
        volume=st.booleans(),
    )
    def bind(
        self, data: st.DataObject, protected: bool, guarded: bool, tolerant: bool, grace: int, volume: bool
    ) -> None:
        name = self._some(data, "Node")
        if not name:
            return
        self.pods += 1
        key = f"default/p{self.pods}"
        annotations = {"karpenter.sh/do-not-disrupt": "true"} if protected else {}
        tolerations = (Toleration(operator="Exists"),) if tolerant else ()
        spec = PodSpec(node_name=name, tolerations=tolerations, termination_grace_period_seconds=grace)
        metadata = ObjectMeta(name=f"p{self.pods}", namespace="default", annotations=annotations)
        self.world.store.put(Pod(metadata=metadata, spec=spec, status=PodStatus("Running")))
        if guarded:
            self.world.guarded.add(key)
        if volume:
            source = VolumeAttachmentSource(f"pv{self.pods}")
            self.world.store.put(
                VolumeAttachment(
                    metadata=ObjectMeta(name=f"va{self.pods}"), spec=VolumeAttachmentSpec("ebs", name, source)
                )
            )

    @rule(data=st.data(), kind=st.sampled_from(("NodeClaim", "Node")))
    def delete_by_hand(self, data: st.DataObject, kind: str) -> None:
        if name := self._some(data, kind):
            self.world.store.delete(kind, name)

    @rule(data=st.data())
    def tear_out(self, data: st.DataObject) -> None:
        """Somebody takes a node away by force, finalizers or not."""
        if name := self._some(data, "Node"):
            self.world.store.delete("Node", name, now=True)

    @rule(data=st.data(), kind=st.sampled_from(_KINDS))
    def announce(self, data: st.DataObject, kind: str) -> None:
        if self.world.instances:
            chosen = data.draw(st.sampled_from(sorted(self.world.instances)))
            self.world.state.apply(e.Interrupted(chosen, kind))  # type: ignore[arg-type]

    @rule(data=st.data())
    def reclaim(self, data: st.DataObject) -> None:
        """The cloud takes an instance away."""
        if self.world.instances:
            self.world.end_instance(data.draw(st.sampled_from(sorted(self.world.instances))))

    @precondition(lambda self: bool(self.world.store.all("NodeClaim")))
    @rule()
    def list_instances(self) -> None:
        self.world.list_instances()

    def _some(self, data: st.DataObject, kind: str) -> str:
        names = sorted(self.world.store.all(kind))
        return data.draw(st.sampled_from(names)) if names else ""

    @invariant()
    def no_claim_has_two_instances(self) -> None:
        assert all(number <= 1 for number in self.world.launched.values())

    @invariant()
    def the_same_state_gives_the_same_answer(self) -> None:
        world = self.world
        for machine in world.state.machines.values():
            first = look(world.state, machine, world.options, world.now)
            assert first == look(world.state, machine, world.options, world.now)
            assert first.wake is None or first.wake > world.now

    @invariant()
    def a_registered_claim_has_the_finalizer(self) -> None:
        """So that nobody can take a claim away before its instance has ended."""
        for claim in self.world.store.all("NodeClaim").values():
            if phase_of_claim(claim) not in (Phase.CREATED, Phase.ABANDONED):
                assert claim.metadata.finalizers

    def teardown(self) -> None:
        """The trouble ends: all claims are deleted, whatever holds pods and volumes back lets go."""
        if not hasattr(self, "world"):
            return
        world = self.world
        self.losses = []
        world.guarded.clear()
        for name in sorted(world.store.all("VolumeAttachment")):
            world.store.delete("VolumeAttachment", name)
        for kind in ("Pod", "NodeClaim", "Node"):
            for name in sorted(world.store.all(kind)):
                pod = world.get(kind, name)
                if kind != "Pod":
                    world.store.delete(kind, name)
                elif pod is not None and pod.metadata.annotations:
                    world.stop_pod(name, None)
        world.run(2 * MINUTE)
        world.list_instances()
        world.run(10 * MINUTE, step=10 * SECOND)
        left = {kind: sorted(world.store.all(kind)) for kind in ("NodeClaim", "Node")}
        assert left == {"NodeClaim": [], "Node": []}, json.dumps(left)
        assert world.instances == {}
        assert world.state.checked == {}
        assert world.state.launching == {}
        assert world.state.interruptions == {}
        assert world.state.pods_moved == set()


Lives.TestCase.settings = settings(
    max_examples=200,
    stateful_step_count=40,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
TestLives = Lives.TestCase
