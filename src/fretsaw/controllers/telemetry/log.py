"""The log: one line for each thing that is worth one, as JSON for machines or as text for people.

A line has level, time, logger and message, then fields. Names of fields are Karpenter's, so that searches go on to
work.
What is notable is read off the turns and events, by `Log.heard`; everybody else calls `debug`, `info` and `error`.

Source: Karpenter v1.14 pkg/operator/logging and the messages of its controllers.
"""

from __future__ import annotations

import json
import logging
import time
import traceback
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import IO, Any, Literal

from fretsaw.api.labels import CAPACITY_TYPE, INSTANCE_TYPE, NODEPOOL, ZONE
from fretsaw.api.node import Node
from fretsaw.api.nodeclaim import NodeClaim
from fretsaw.api.times import SECOND, Millis
from fretsaw.controllers.telemetry.changes import Changes, Orders, became_true, lost_finalizers
from fretsaw.engine import actions as a
from fretsaw.engine import events as e
from fretsaw.engine.lifecycle import TERMINATION
from fretsaw.engine.state import ClusterState
from fretsaw.engine.taints import DISRUPTED, same
from fretsaw.engine.turn import Turn

Level = Literal["debug", "info", "warn", "error"]
Form = Literal["json", "text"]
RANK: dict[Level, int] = {"debug": 0, "info": 1, "warn": 2, "error": 3}
NAMED = 5
"""Pods that a line names; the others are counted."""
FIRST = 100
"""Equal messages of one second that are all written; of the others every hundredth is."""
HEAD = frozenset({"level", "time", "logger", "message", "commit", "error"})
"""What every line has, so that no error's field of that name takes its place."""
OBJECTS = frozenset({"NodeClaim", "Node", "NodePool", "Pod"})
"""Fields that name an object."""
_COLOURS = {"debug": "2", "info": "36", "warn": "33", "error": "31"}
LIFECYCLE = "nodeclaim.lifecycle"


class Log:
    """Writes lines."""

    def __init__(
        self,
        write: Callable[[str], object],
        *,
        level: Level = "info",
        form: Form = "json",
        colour: bool = False,
        commit: str = "",
        clock: Callable[[], float] = time.time,
    ) -> None:
        """write: takes a line with its end, such as `sys.stdout.write`. colour: of text, see `wants_colour`.

        commit: of the build, named in each JSON line. clock: seconds since 1970, for lines that give no time.
        """
        self._write = write
        self._rank = RANK[level]
        self._form = form
        self._colour = colour
        self._commit = commit
        self._clock = clock
        self._second: tuple[int, dict[tuple[str, str], int]] = (0, {})
        self._changes = Changes()
        self._ordered = Orders()
        self._leads = True

    @property
    def is_debug(self) -> bool:
        """Whether everything is written."""
        return self._rank == RANK["debug"]

    def lead(self, truth: bool) -> None:
        """Whether this process acts. One that does not follows what happens and writes nothing of it."""
        self._leads = truth

    # For everybody

    def debug(self, logger: str, message: str, **fields: object) -> None:
        """Something for whoever looks for a fault."""
        self.say("debug", logger, message, fields)

    def info(self, logger: str, message: str, **fields: object) -> None:
        """Something that whoever runs a cluster wants to know."""
        self.say("info", logger, message, fields)

    def warn(self, logger: str, message: str, **fields: object) -> None:
        """Something that may become a fault."""
        self.say("warn", logger, message, fields)

    def error(self, logger: str, message: str, error: BaseException | None = None, **fields: object) -> None:
        """Something went wrong. The error's own fields become the line's; where it came from is told at debug only."""
        self.say("error", logger, message, {**_unpacked(error, trace=self.is_debug), **fields})

    def say(
        self, level: Level, logger: str, message: str, fields: Mapping[str, object], at: Millis | None = None
    ) -> None:
        """Write a line, if lines of the level are written and there are not too many like it."""
        if RANK[level] < self._rank:
            return
        when = round(self._clock() * SECOND) if at is None else at
        if not self._sampled(level, message, when):
            return
        line = self._json if self._form == "json" else self._text
        self._write(line(level, when, logger, one_line(message), fields) + "\n")

    def _sampled(self, level: str, message: str, when: Millis) -> bool:
        second, counts = self._second
        if second != when // SECOND:
            counts = {}
            self._second = (when // SECOND, counts)
        count = counts[level, message] = counts.get((level, message), 0) + 1
        return count <= FIRST or (count - FIRST) % FIRST == 0

    def _json(self, level: Level, when: Millis, logger: str, message: str, fields: Mapping[str, object]) -> str:
        head = {"level": level.upper(), "time": iso(when), "logger": logger, "message": message}
        if self._commit:
            head["commit"] = self._commit
        shown = {key: _reference(key, value) for key, value in fields.items()}
        return json.dumps({**head, **shown}, ensure_ascii=False, default=str, separators=(",", ":"))

    def _text(self, level: Level, when: Millis, logger: str, message: str, fields: Mapping[str, object]) -> str:
        shown = " ".join(f"{self._painted('2', key + '=')}{_plain(value)}" for key, value in fields.items())
        word = self._painted(_COLOURS[level], f"{level.upper():5}")
        who = f"{logger}: " if logger else ""
        return f"{iso(when)} {word} {who}{message}{'  ' + shown if shown else ''}"

    def _painted(self, code: str, text: str) -> str:
        return f"\x1b[{code}m{text}\x1b[0m" if self._colour else text

    # What is notable

    def _tell(self, at: Millis, controller: str, message: str, fields: Mapping[str, object]) -> None:
        """Write what a controller did. In JSON its name is a field, as in Karpenter's lines."""
        if self._form == "json":
            self.say("info", "controller", message, {"controller": controller, **fields}, at)
        else:
            self.say("info", controller, message, fields, at)

    def heard(self, at: Millis, what: e.Event | Turn, state: ClusterState) -> None:
        """An event was applied, or a turn decided: write what of it is worth a line."""
        match what:
            case Turn():
                self._turn(at, what, state)
            case e.LaunchRefused(claim, kind, message):
                fields = {"NodeClaim": claim, "kind": kind, "error": message}
                self._tell(at, LIFECYCLE, "launch refused", fields)
            case e.Changed() | e.Gone():
                for old, new in self._changes.of(what):
                    if self._leads:
                        self._changed(at, old, new)

    def _turn(self, at: Millis, turn: Turn, state: ClusterState) -> None:
        orders = [action for action in turn.actions if isinstance(action, a.CreateClaim)]
        for order in orders:
            self._ordered.note(order.claim.metadata.name, order.reason)
        self._pass(at, turn, [order for order in orders if order.reason == "provisioned"])
        for note in turn.notes:
            match note:
                case e.CommandStarted(command):
                    self._tell(at, "disruption", "disrupting node(s)", _command(command, state))
                case e.CommandEnded(command_id, why) if why:
                    fields = {"command-id": command_id, "error": why}
                    self._tell(at, "disruption.queue", "disruption failed", fields)
        for action in turn.actions:
            if isinstance(action, a.Tell):
                fields = {"object": action.about, "type": action.type, "reason": action.reason}
                self.say("debug", "events", action.message, fields, at)

    def _pass(self, at: Millis, turn: Turn, orders: list[a.CreateClaim]) -> None:
        planned = [pod for note in turn.notes if isinstance(note, e.Planned) for pod, _ in note.placements]
        if planned:
            self._tell(at, "provisioner", "found provisionable pod(s)", {"Pods": _some(planned)})
        if orders:
            pods = sum(len(order.pods) for order in orders)
            fields = {"nodeclaims": len(orders), "pods": pods}
            self._tell(at, "provisioner", "computed new nodeclaim(s) to fit pod(s)", fields)

    def _changed(self, at: Millis, old: Any, new: Any) -> None:
        match new if new is not None else old:
            case NodeClaim() as claim:
                self._claim(at, old, new, claim)
            case Node() as node:
                self._node(at, old, new, node)

    def _claim(self, at: Millis, old: NodeClaim | None, new: NodeClaim | None, claim: NodeClaim) -> None:
        name = claim.metadata.name
        if old is None and self._ordered.pop(name, None) is not None:
            self._tell(at, "provisioner", "created nodeclaim", _ordered(claim))
        for condition, word in (("Launched", "launched"), ("Registered", "registered"), ("Initialized", "initialized")):
            if became_true(old, new, condition):
                self._tell(at, LIFECYCLE, f"{word} nodeclaim", _machine(claim))
        if TERMINATION in lost_finalizers(old, new):
            self._tell(at, LIFECYCLE, "deleted nodeclaim", _machine(claim))

    def _node(self, at: Millis, old: Node | None, new: Node | None, node: Node) -> None:
        if old is not None and new is not None and _is_tainted(new) and not _is_tainted(old):
            fields = {"Node": node.metadata.name, "taint.Key": DISRUPTED.key, "taint.Effect": DISRUPTED.effect}
            self._tell(at, "node.termination", "tainted node", fields)
        if TERMINATION in lost_finalizers(old, new):
            fields = {"Node": node.metadata.name, "provider-id": node.spec.provider_id}
            self._tell(at, "node.termination", "deleted node", fields)


class Handler(logging.Handler):
    """Brings the records of libraries into the log."""

    def __init__(self, log: Log) -> None:
        super().__init__()
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record; its exception becomes the line's error."""
        error = record.exc_info[1] if record.exc_info else None
        fields = _unpacked(error, trace=self._log.is_debug)
        self._log.say(_level(record.levelno), record.name, record.getMessage(), fields)


def wants_colour(stream: IO[str], environment: Mapping[str, str]) -> bool:
    """Whether text is painted: on a terminal, unless NO_COLOR is set."""
    return not environment.get("NO_COLOR") and stream.isatty()


def iso(when: Millis) -> str:
    """A time in ISO 8601, with milliseconds, in UTC."""
    stamp = datetime.fromtimestamp(when // SECOND, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{stamp}.{when % SECOND:03d}Z"


def one_line(text: str) -> str:
    """A text without line ends."""
    if "\n" not in text and "\r" not in text:
        return text
    return " ".join(part.strip() for part in text.splitlines() if part.strip())


def _reference(key: str, value: object) -> object:
    """A field of a JSON line; one that names an object is an object, as in Karpenter's lines."""
    if key not in OBJECTS or not isinstance(value, str):
        return value
    namespace, _, name = value.rpartition("/")
    return {"namespace": namespace, "name": name} if namespace else {"name": name}


def _unpacked(error: BaseException | None, *, trace: bool) -> dict[str, object]:
    if error is None:
        return {}
    found: dict[str, object] = {"error": one_line(str(error)) or type(error).__name__}
    own = {key: value for key, value in vars(error).items() if value and isinstance(value, str | int | float)}
    found |= {key: value for key, value in own.items() if key not in HEAD}
    if trace:
        found["trace"] = "".join(traceback.format_exception(error))
    return found


def _level(number: int) -> Level:
    if number >= logging.ERROR:
        return "error"
    if number >= logging.WARNING:
        return "warn"
    return "info" if number >= logging.INFO else "debug"


def _plain(value: object) -> str:
    """A field in a line of text: quoted where it would not be told from what follows."""
    match value:
        case str():
            text = one_line(value)
        case Mapping():
            text = ", ".join(f"{key} {amount}" for key, amount in value.items())
        case list() | tuple():
            text = ", ".join(map(str, value))
        case _:
            text = str(value)
    return json.dumps(text, ensure_ascii=False) if not text or " " in text or '"' in text else text


def _some(pods: Iterable[str]) -> str:
    """The first pods by name, and how many more there are."""
    names = sorted(set(pods))
    more = f" and {len(names) - NAMED} other(s)" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more


def _ordered(claim: NodeClaim) -> dict[str, object]:
    types = next((r.values for r in claim.spec.requirements if r.key == INSTANCE_TYPE), ())
    return {
        "NodePool": claim.metadata.labels.get(NODEPOOL, ""),
        "NodeClaim": claim.metadata.name,
        "requests": dict(claim.spec.resources.requests),
        "instance-types": _some(types),
    }


def _machine(claim: NodeClaim) -> dict[str, object]:
    labels = claim.metadata.labels
    fields = {
        "NodePool": labels.get(NODEPOOL, ""),
        "NodeClaim": claim.metadata.name,
        "Node": claim.status.node_name,
        "provider-id": claim.status.provider_id,
        "instance-type": labels.get(INSTANCE_TYPE, ""),
        "zone": labels.get(ZONE, ""),
        "capacity-type": labels.get(CAPACITY_TYPE, ""),
    }
    return {key: value for key, value in fields.items() if value}


def _command(command: e.Command, state: ClusterState) -> dict[str, object]:
    machines = [state.machines[name] for name in command.candidates if name in state.machines]
    return {
        "command-id": command.id,
        "reason": command.reason.lower(),
        "decision": command.decision,
        "disrupted-node-count": len(command.candidates),
        "replacement-node-count": len(command.replacements),
        "disrupted-nodes": [machine.node_name or machine.name for machine in machines],
        "replacement-nodes": list(command.replacements),
        "savings-per-hour": round(command.savings_usd_per_hour, 4),
    }


def _is_tainted(node: Node) -> bool:
    return any(same(taint, DISRUPTED) for taint in node.spec.taints)
