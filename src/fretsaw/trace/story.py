"""All lives of a trace, told as it is read: who came why, what happened to them, why they went.

chronicle = Chronicle(words)
for line in reader:
    chronicle.read(line)
chronicle.lives.life("nodeclaim/gpu-x1").sentences
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from fretsaw.api.node import Node
from fretsaw.api.nodeclaim import NodeClaim
from fretsaw.api.nodepool import NodePool
from fretsaw.api.pod import Pod
from fretsaw.api.times import Millis
from fretsaw.engine import actions as a
from fretsaw.engine import events as e
from fretsaw.engine.turn import Turn
from fretsaw.trace.claim_life import ClaimLife
from fretsaw.trace.codec import Fact, Line, TraceError
from fretsaw.trace.life import Words, listed
from fretsaw.trace.lives import Lives
from fretsaw.trace.machine_life import MachineLife, NodeLife
from fretsaw.trace.pod_life import PodLife

_Tell = Callable[[ClaimLife], None]


class Chronicle:
    """Tells the lives of all objects."""

    def __init__(self, words: Words, file: str = "<trace>") -> None:
        """file: how messages call the trace."""
        self.words = words
        self.file = file
        self.lives = Lives(words)
        self.now: Millis = 0
        """The time of the last line."""
        self._claim_of: dict[str, str] = {}
        """Claim by provider id."""
        self._planned: dict[str, str] = {}
        """Claim or node that a pod was last meant for."""
        self._commands: dict[str, e.Command] = {}

    def read(self, line: Line) -> None:
        """Take a line in. Raises TraceError for a fact that lacks what its word promises."""
        self.now = line.at
        try:
            self._read(line)
        except (LookupError, TypeError, ValueError) as error:
            raise TraceError(self.file, line.number, "a fact that cannot be understood", repr(error)) from error

    def _read(self, line: Line) -> None:
        if line.event is not None:
            self._event(line.at, line.event)
        elif line.turn is not None:
            self._turn(line.at, line.turn)
        elif line.fact is not None:
            self._fact(line.at, line.fact)

    def _event(self, at: Millis, event: e.Event) -> None:
        match event:
            case e.Changed(Pod() as pod):
                self._pod(at, pod)
            case e.Changed(Node() as node):
                self._node(at, node)
            case e.Changed(NodeClaim() as claim):
                self._claim_changed(at, claim)
            case e.Changed(NodePool() as pool):
                self.lives.pool(pool.metadata.name).changed(at, pool)
            case e.Gone(kind, key):
                self._gone(at, kind, key)
            case e.InstanceCreated(claim_name, provider_id):
                self._claim_of[provider_id] = claim_name
                self.lives.claim(claim_name).launched(at, event)
            case e.LaunchRefused(claim_name):
                self.lives.claim(claim_name).refused_launch(at, event)
            case e.Interrupted(provider_id, kind):
                if provider_id in self._claim_of:
                    self.lives.claim(self._claim_of[provider_id]).interrupted(at, kind)
            case e.EvictionAnswered(pod_key, refused) if refused:
                self._refused(at, pod_key, refused)
            case e.CatalogRead(pools, catalog, why):
                for name in pools:
                    if catalog is None:
                        self.lives.pool(name).unusable(at, why)
                    else:
                        self.lives.pool(name).catalog(at, len(catalog.instance_types))

    def _pod(self, at: Millis, pod: Pod) -> None:
        life = self.lives.pods.get(pod.key)
        if life is None:
            life = self.lives.pods[pod.key] = PodLife(pod.key, self.words)
        if life.changed(at, pod):
            machine = self.lives.machine(life.node)
            claim = machine.object if isinstance(machine, ClaimLife) else ""
            life.landed(at, claim, self._planned.pop(pod.key, ""))
            if machine is not None and not life.is_daemon:
                machine.landed(at, pod.key)
        if pod.is_terminal:
            if machine := self._unless_over(life):
                machine.left(at, pod.key, pod.status.phase.lower())
            life.ended(at, pod.status.phase)

    def _unless_over(self, life: PodLife) -> MachineLife | None:
        """The machine of a pod that was still there."""
        return None if life.is_over or life.is_daemon else self.lives.machine(life.node)

    def _node(self, at: Millis, node: Node) -> None:
        name, claim = node.metadata.name, self._claim_of.get(node.spec.provider_id)
        if claim is not None:
            life = self.lives.claim(claim)
            life.node = name
            self.lives.by_node[name] = life
            self.lives.nodes.pop(name, None)
        elif name not in self.lives.by_node:
            if name not in self.lives.nodes:
                self.lives.nodes[name] = NodeLife(name, self.words)
            self.lives.nodes[name].changed(at, node)

    def _claim_changed(self, at: Millis, claim: NodeClaim) -> None:
        name = claim.metadata.name
        new = name not in self.lives.claims
        life = self.lives.claim(name)
        if claim.status.provider_id:
            self._claim_of[claim.status.provider_id] = name
        life.changed(at, claim)
        if new:
            self.lives.pool(life.pool).add(life)

    def _gone(self, at: Millis, kind: str, key: str) -> None:
        match kind:
            case "Pod" if key in self.lives.pods:
                life = self.lives.pods[key]
                if machine := self._unless_over(life):
                    machine.left(at, key, "went")
                life.gone(at)
                self._planned.pop(key, None)
            case "NodeClaim" if key in self.lives.claims:
                self.lives.claims[key].gone(at)
                self.lives.pool(self.lives.claims[key].pool).claim_gone(at, self.lives.claims[key])
            case "Node" if key in self.lives.nodes:
                self.lives.nodes[key].gone(at)
            case "NodePool" if key in self.lives.pools:
                self.lives.pools[key].gone(at)

    def _refused(self, at: Millis, pod: str, why: str) -> None:
        life = self.lives.pods.get(pod)
        if life is not None:
            life.refused(at, why)
            machine = self.lives.machine(life.node)
            if machine is not None:
                machine.refused(at, pod, why)

    # Decisions

    def _turn(self, at: Millis, turn: Turn) -> None:
        for note in turn.notes:
            if isinstance(note, e.CommandStarted):
                self._commands[note.command.id] = note.command
        orders = [action for action in turn.actions if isinstance(action, a.CreateClaim)]
        for order in orders:
            self._ordered(at, order)
        for action in turn.actions:
            self._action(at, action)
        for note in turn.notes:
            self._note(at, note, {order.claim.metadata.name for order in orders})
        if orders:
            self._beside(at, turn, orders)

    def _ordered(self, at: Millis, order: a.CreateClaim) -> None:
        purpose = self._purpose(order)
        life = self.lives.claim(order.claim.metadata.name)
        life.ordered(at, order, purpose)
        self.lives.pool(life.pool).ordered(at, life, purpose)

    def _purpose(self, order: a.CreateClaim) -> str:
        """What a claim is ordered for."""
        name = order.claim.metadata.name
        command = next((c for c in self._commands.values() if name in c.replacements), None)
        pods = [f"pod/{pod}" for pod in order.pods]
        if command is not None:
            old = listed(f"nodeclaim/{candidate}" for candidate in command.candidates)
            cheaper = (
                f", {self.words.rate(command.savings_usd_per_hour)} cheaper" if command.savings_usd_per_hour > 0 else ""
            )
            return f"to replace {old} ({command.reason.lower()}{cheaper})" + (f" with {listed(pods)}" if pods else "")
        if not pods:
            return "to have as many nodes as its spec asks for"
        return f"for {listed(pods)}, which had no place"

    def _beside(self, at: Millis, turn: Turn, orders: list[a.CreateClaim]) -> None:
        """What else was considered when claims were ordered: the other orders, room that was there, pods left over."""
        names = [order.claim.metadata.name for order in orders]
        filled = sorted(
            {pod for n in turn.notes if isinstance(n, e.Planned) for pod, m in n.placements if m not in names}
        )
        left = sorted({pod for n in turn.notes if isinstance(n, e.BatchDone) for pod in n.unplaced})
        for name in names:
            parts = []
            if others := [f"nodeclaim/{other}" for other in names if other != name]:
                parts.append(f"also ordered {listed(others)}")
            if filled:
                parts.append(f"found room on other machines for {self.words.counted(len(filled), 'pod')}")
            if left:
                parts.append(f"found no place for {listed(f'pod/{pod}' for pod in left)}")
            if parts:
                self.lives.claims[name].beside(at, f"the same pass {listed(parts)}")

    def _action(self, at: Millis, action: a.Action) -> None:
        match action:
            case a.LaunchInstance(claim):
                self.lives.claim(claim.metadata.name).asked(at)
            case a.DeleteClaim(name, reason):
                self.lives.claim(name).deletion(at, reason)
            case a.Evict(pod, _, node, reason):
                if (machine := self.lives.machine(node)) is not None:
                    machine.asked_to_leave(at, pod)
                if pod in self.lives.pods:
                    self.lives.pods[pod].asked_to_leave(at, reason)
            case a.NominatePod(pod, node) if pod in self.lives.pods:
                self.lives.pods[pod].nominated(at, node)
            case a.Tell(about):
                self._tell(at, about, action)

    def _tell(self, at: Millis, about: str, tell: a.Tell) -> None:
        kind, _, name = about.partition("/")
        life = self.lives.find(kind.lower(), name)
        if life is not None and not (kind == "Node" and isinstance(life, ClaimLife)):  # the claim is told the same
            life.tells(at, tell)

    def _note(self, at: Millis, note: e.Event, ordered: Iterable[str]) -> None:
        match note:
            case e.Planned(placements):
                for pod, machine in placements:
                    if pod in self.lives.pods:
                        where = f"nodeclaim/{machine}" if machine in self.lives.claims else f"node/{machine}"
                        self._planned[pod] = where
                        self.lives.pods[pod].planned(at, where, machine in ordered)
            case e.CommandProposed(command):
                self._each(command, lambda life: life.proposed(at, command))
            case e.CommandDropped(command, why):
                self._each(command, lambda life: life.dropped(at, why))
            case e.CommandStarted(command):
                self._each(command, lambda life: life.disrupted(at, command))
            case e.CommandEnded(id_, why):
                started = self._commands.pop(id_, None)
                if started is not None and why:
                    self._each(started, lambda life: life.disruption_failed(at, why))

    def _each(self, command: e.Command, tell: _Tell) -> None:
        for name in command.candidates:
            tell(self.lives.claim(name))

    # Facts

    def _fact(self, at: Millis, fact: Fact) -> None:
        kind, _, name = fact.about.partition("/")
        if fact.what == "image-pulled" and (pod := self.lives.pods.get(str(fact.data.get("pod")))) is not None:
            pod.pulled(at, fact)
        elif kind == "Pod" and name in self.lives.pods:
            self.lives.pods[name].fact(at, fact)
        elif kind == "Node":
            claim = self.lives.claims.get(str(fact.data.get("claim")))
            machine = claim or self.lives.machine(name)
            if machine is not None:
                machine.fact(at, fact)
        elif kind in ("Instance", "NodeClaim"):
            claim = self.lives.claims.get(str(fact.data.get("claim", name)))
            if claim is not None:
                claim.fact(at, fact)
