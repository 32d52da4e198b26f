"""What goes wrong on purpose: with the next calls of the cloud, and with nodes.

Node faults are also written as the annotation `fretsaw.dev/faults`: `never-joins`, or several such as
`gpu-missing=1,joins-late=30s`. On a NodePool's template or a NodeClaim it holds from the launch on, on a Node from when
it is read.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, get_args

import msgspec

from fretsaw.api.resources import duration_ns
from fretsaw.api.times import Millis
from fretsaw.errors import LaunchFailed, NotReady, OutOfCapacity, ProviderError, Throttled, UserError
from fretsaw.providers.fake.wire import Offering, Operation

FAULTS = "fretsaw.dev/faults"
CallFaultKind = Literal["OutOfCapacity", "NotReady", "LaunchFailed", "Throttled", "Hang", "AnswerLost"]
NodeFaultKind = Literal[
    "never-joins", "joins-late", "never-ready", "not-ready", "gpu-never-registers", "gpu-missing", "kubelet-dies"
]
_TIMED = ("joins-late", "not-ready")
_COUNTED = ("gpu-missing",)


class CallFault(msgspec.Struct, rename="camel", kw_only=True, forbid_unknown_fields=True):
    """The next `times` calls of an operation go wrong."""

    what: CallFaultKind
    """Hang: nothing is said for `seconds`, then the call is done. AnswerLost: it is done, and the answer never comes.
    The others are the errors of that name, and nothing is done."""
    on: Operation = "launch"
    times: int = 1
    claim: str = ""
    """Only calls about this claim."""
    reason: str = ""
    """Of LaunchFailed: the word that the claim's condition gets."""
    message: str = ""
    seconds: float = 0.0
    """Of Hang; of Throttled: how long the cloud asks to wait."""

    def error(self, offerings: Iterable[Offering]) -> ProviderError | None:
        """The refusal that it is; None for those that are none. offerings: what the launch asked for."""
        message = self.message or f"an injected {self.what}"
        match self.what:
            case "OutOfCapacity":
                return OutOfCapacity(message, frozenset(offerings))
            case "NotReady":
                return NotReady(message)
            case "LaunchFailed":
                return LaunchFailed(self.reason or "LaunchFailed", message)
            case "Throttled":
                return Throttled(message, self.seconds or None)
            case _:
                return None


class NodeFault(msgspec.Struct, frozen=True, rename="camel", kw_only=True, forbid_unknown_fields=True):
    """Something is wrong with a machine."""

    node_fault: NodeFaultKind
    """never-joins: it runs, and no Node comes. joins-late: the Node comes `seconds` later. never-ready: the Node stays
    NotReady. not-ready: it is NotReady for `seconds`. gpu-never-registers, gpu-missing: no device, or `missing` too
    few. kubelet-dies: it reports nothing any more, and its pods run on unheard."""
    node: str = ""
    """A Node's name: this one, now. Else the next `times` machines of `pool` or for `claim`, or of any."""
    pool: str = ""
    claim: str = ""
    times: int = 1
    seconds: float = 30.0
    missing: int = 1

    @property
    def lasts(self) -> Millis:
        """`seconds`, in milliseconds."""
        return round(self.seconds * 1000)


class CallFaults:
    """The call faults that wait, oldest first."""

    def __init__(self) -> None:
        self._waiting: list[CallFault] = []

    def add(self, fault: CallFault) -> None:
        """From the next call on."""
        self._waiting.append(msgspec.structs.replace(fault))

    def clear(self) -> None:
        """Nothing goes wrong any more."""
        self._waiting.clear()

    def take(self, on: Operation, claim: str = "", *, hang: bool = False) -> CallFault | None:
        """The fault of this call, which is used up once. hang: look for those that only hold the answer back."""
        for fault in self._waiting:
            if fault.on == on and fault.claim in ("", claim) and (fault.what == "Hang") == hang:
                fault.times -= 1
                if fault.times <= 0:
                    self._waiting.remove(fault)
                return fault
        return None


class NodeFaults:
    """The node faults that wait for machines to come."""

    def __init__(self) -> None:
        self._waiting: list[tuple[NodeFault, int]] = []

    def add(self, fault: NodeFault) -> None:
        """For the next machines that it fits."""
        self._waiting.append((fault, fault.times))

    def clear(self) -> None:
        """No further machine is hit."""
        self._waiting.clear()

    def take(self, claim: str, pool: str) -> list[NodeFault]:
        """The faults of a new machine; each counts as used once."""
        hit = [f for f, _ in self._waiting if f.claim in ("", claim) and f.pool in ("", pool)]
        counted = [(f, left - 1 if f in hit else left) for f, left in self._waiting]
        self._waiting = [(f, left) for f, left in counted if left > 0]
        return hit


def node_faults(text: str) -> tuple[NodeFault, ...]:
    """The faults that an annotation names. Raises UserError for one that is none."""
    return tuple(_node_fault(part.strip()) for part in text.split(",") if part.strip())


def _node_fault(text: str) -> NodeFault:
    name, _, value = text.partition("=")
    kind = next((known for known in get_args(NodeFaultKind) if known == name), None)
    if kind is None or (value and kind not in (*_TIMED, *_COUNTED)):
        known = ", ".join(get_args(NodeFaultKind))
        raise UserError(f"annotation {FAULTS}", "unknown fault", text, f"known: {known}; joins-late=30s, gpu-missing=2")
    try:
        if value and kind in _TIMED:
            return NodeFault(node_fault=kind, seconds=duration_ns(value) / 1e9)
        return NodeFault(node_fault=kind, missing=int(value)) if value else NodeFault(node_fault=kind)
    except ValueError as error:
        raise UserError(f"annotation {FAULTS}", "unreadable fault", text, "joins-late=30s, gpu-missing=2") from error
