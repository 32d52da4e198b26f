"""The life of a claim, with its instance and node: from the order to the day on which nothing is left of it."""

from __future__ import annotations

from math import ceil

from fretsaw.api.labels import CAPACITY_TYPE, INSTANCE_TYPE, NODEPOOL, ZONE
from fretsaw.api.nodeclaim import NodeClaim
from fretsaw.api.times import HOUR, SECOND, Millis
from fretsaw.engine import actions as a
from fretsaw.engine import events as e
from fretsaw.trace.codec import Fact
from fretsaw.trace.life import INTERRUPTIONS, Words, listed, lower, truths
from fretsaw.trace.machine_life import MachineLife

BY_ITSELF = ("terminated", "leaked")
"""Ends of an instance that are nobody's surprise."""
DROPPED = {
    "budget": "the budgets no longer allow it",
    "scheduling": "its pods would no longer find a place",
    "churn": "pods came or went meanwhile",
    "unknown": "it is no longer what was looked at",
}


class ClaimLife(MachineLife):
    """A claim, from the order to the day on which nothing is left of it."""

    KIND = "nodeclaim"

    def __init__(self, name: str, words: Words) -> None:
        super().__init__(name, words)
        self.pool = ""
        self.what = ""
        """`g5.xlarge, spot, us-east-1a`, once that is known."""
        self.why = ""
        self.usd: float | None = None
        self.created: Millis | None = None
        self._asked: Millis | None = None
        self._launched: Millis | None = None
        self._running: Millis | None = None
        self._joined: Millis | None = None
        self._phases: dict[str, Millis] = {}
        self._ended: Millis | None = None
        self._gone: Millis | None = None
        self._price = 0.0

    # The order

    def ordered(self, at: Millis, order: a.CreateClaim, purpose: str) -> None:
        """The autoscaler made it. purpose: what for."""
        self._born(at, order.claim)
        self.why = order.reason
        self.say(at, f"nodepool/{self.pool} ordered it {purpose}")
        self.say(at, f"it may become {_choices(order.claim, self.words)}")

    def beside(self, at: Millis, what: str) -> None:
        """What else the pass that ordered it decided."""
        self.say(at, what)

    def _born(self, at: Millis, claim: NodeClaim) -> None:
        if self.created is None:
            self.created = at
            self.pool = claim.metadata.labels.get(NODEPOOL, "")

    def asked(self, at: Millis) -> None:
        """EC2 was asked for the instance."""
        if self._asked is None:
            self._asked = at
            self.say(at, "EC2 was asked for an instance")

    def launched(self, at: Millis, answer: e.InstanceCreated) -> None:
        """EC2 has an instance for it."""
        if self.what:
            return
        labels = answer.labels
        self.what = ", ".join(labels[key] for key in (INSTANCE_TYPE, CAPACITY_TYPE, ZONE) if labels.get(key))
        self._price = answer.price_usd_per_hour
        self._launched = at
        self.say(at, f"EC2 gave {self.what}, at {self.words.rate(self._price)}", self._asked)

    def refused_launch(self, at: Millis, answer: e.LaunchRefused) -> None:
        """EC2 gave nothing."""
        self.why_gone = self.why_gone or answer.message
        self.say(at, f"EC2 refused: {lower(answer.message or answer.reason or answer.kind)}", self._asked)

    # What its conditions say

    def changed(self, at: Millis, claim: NodeClaim) -> None:
        """The claim as it is now: each condition that has become true is a phase."""
        if self.created is None:
            self._born(at, claim)
            self.say(at, f"it is there; nodepool/{self.pool} had ordered it before")
        if claim.metadata.deletion_timestamp and self.deleted is None:
            self.deleted = at
            if not self.why_gone:
                self.say(at, "somebody asked for its deletion")
        true = truths(claim.status.conditions)
        if "Drifted" in self._phases and "Drifted" not in true:
            del self._phases["Drifted"]
            self.say(at, "it has not drifted after all")
        for type_, condition in true.items():
            if type_ not in self._phases:
                self._phases[type_] = at
                self._phase(at, type_, condition.message)

    def _phase(self, at: Millis, type_: str, message: str) -> None:
        match type_:
            case "Registered":
                self.say(at, "it registered", self._joined)
            case "Initialized":
                self.say(at, "it is ready for pods", self._phases.get("Registered"))
            case "Drifted":
                self.say(at, f"it has drifted: {lower(message)}")
            case "Drained":
                self.say(at, "it is drained", self.deleted)
            case "InstanceTerminating":
                self.say(at, "EC2 was asked to end the instance")

    # Disruption

    def interrupted(self, at: Millis, kind: str) -> None:
        """EC2 announced something."""
        self.say(at, f"EC2 announced: {INTERRUPTIONS[kind]}")

    def proposed(self, at: Millis, command: e.Command) -> None:
        """A disruption of it is being considered."""
        saving = f", saving {self.words.rate(command.savings_usd_per_hour)}" if command.savings_usd_per_hour else ""
        others = [f"nodeclaim/{name}" for name in command.candidates if name != self.name]
        besides = f" together with {listed(others)}" if others else ""
        self.say(at, f"found {command.reason.lower()}: it could be {command.decision}d{besides}{saving}")

    def dropped(self, at: Millis, why: str) -> None:
        """The disruption did not stand its validation."""
        self.say(at, f"that was given up: {DROPPED.get(why, why)}")

    def disrupted(self, at: Millis, command: e.Command) -> None:
        """The disruption began."""
        by = f", once {listed(f'nodeclaim/{name}' for name in command.replacements)} is ready"
        self.say(at, f"it is to go as {command.reason.lower()}{by if command.replacements else ''}")

    def disruption_failed(self, at: Millis, why: str) -> None:
        """The disruption was taken back."""
        self.say(at, f"the disruption failed: {why}")

    def deletion(self, at: Millis, reason: str) -> None:
        """The autoscaler asks for its deletion."""
        if not self.deleted:
            self.why_gone = reason
            self.say(at, f"its deletion was asked for: {self.words.went(reason)}")

    def tells(self, at: Millis, tell: a.Tell) -> None:
        """What speaks against a disruption counts only while it could be disrupted."""
        if tell.reason == "DisruptionBlocked" and ("Initialized" not in self._phases or self.deleted):
            return
        super().tells(at, tell)

    # Facts

    def fact(self, at: Millis, fact: Fact) -> None:
        """What the cloud and the kubelet did."""
        match fact.what:
            case "insufficient-capacity":
                out = [f"{type_} {kind} in {zone}" for type_, zone, kind, _ in fact.data["offerings"]]
                self.say(at, f"EC2 was out of {listed(out)}")
            case "instance-running":
                self._running = at
                self.say(at, "its instance runs, billing starts", self._launched)
            case "node-joined":
                self._joined = at
                self.say(at, f"its node/{self.node or fact.about.partition('/')[2]} joined", self._running)
            case "gpu-registered":
                count = self.words.counted(fact.data["count"], "GPU")
                self.say(at, f"its device plugin registered {count}", self._joined)
            case "node-never-registers" | "instance-died-at-boot":
                self.say(at, "its instance will never join" if "never" in fact.what else "its instance died at boot")
            case "instance-ended":
                self._end(at, fact.data["why"])
            case "instance-billed":
                self.usd = fact.data["nano_usd"] / 1e9
            case "node-unreachable" if self._ended is not None:
                pass  # No news: a node without an instance falls silent.
            case _:
                super().fact(at, fact)

    def _end(self, at: Millis, why: str) -> None:
        self._ended = at
        if why not in BY_ITSELF:
            self.why_gone = why
        since = self._phases.get("InstanceTerminating") if why in BY_ITSELF else None
        self.say(at, f"its instance ended: {self.words.went(why)}", since)

    def gone(self, at: Millis) -> None:
        """The object was removed."""
        self._gone = at
        self.say(at, "nothing is left of it", self.deleted)

    # The whole

    def cost(self, now: Millis) -> float:
        """USD, as billed; where the trace has no bill, whole seconds at the launch's price, a minute at least."""
        if self.usd is not None:
            return self.usd
        if self._running is None:
            return 0.0
        ran = ceil(((self._ended or now) - self._running) / SECOND) * SECOND
        return self._price * max(ran, 60 * SECOND) / HOUR

    def summary(self, now: Millis) -> str:
        """What it was, how long, for whom, what it cost, why it went."""
        words, end = self.words, self._gone or now
        parts = [self.what or "never launched"]
        if self._running is not None:
            parts.append(f"ran {words.span(((self._ended or now) - self._running) / SECOND)}")
        elif self.created is not None:
            parts.append(f"there for {words.span((end - self.created) / SECOND)}")
        parts += [words.counted(len(self.held), "pod"), words.usd(self.cost(now))]
        why = self.words.went(self.why_gone) or "deleted by hand"
        state = why if self._gone else f"going ({why})" if self.deleted else "still there"
        return ", ".join([*parts, state])


def _choices(claim: NodeClaim, words: Words) -> str:
    """What the launch may choose from."""
    found = {r.key: r.values for r in claim.spec.requirements if r.operator == "In"}
    types, kinds, zones = (found.get(key, ()) for key in (INSTANCE_TYPE, CAPACITY_TYPE, ZONE))
    parts = [listed(types) if types else "any instance type of the pool"]
    parts += [" or ".join(kinds)] if kinds else []
    parts += [f"in {' or '.join(zones)}"] if zones else []
    return ", ".join(parts)
