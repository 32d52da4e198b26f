"""Two turns that should be equal, and what is not: decisions that only one of them took, fields that differ."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import zip_longest
from typing import Any

import msgspec

from fretsaw.engine import actions as a
from fretsaw.engine import events as e
from fretsaw.engine.turn import Turn
from fretsaw.trace.life import INTERRUPTIONS, listed
from fretsaw.trace.patch import names

Decision = a.Action | e.Event
SHOWN = 100
"""Letters of a value that are shown."""
LEAST = 3


class Apart(msgspec.Struct, frozen=True):
    """One difference of two turns."""

    then: str
    """What was decided, such as `order nodeclaim/gpu-x1 (provisioned) for pod/ml/train-0`; empty for nothing."""
    now: str
    what: str = ""
    """Where the same was decided both times, but not in the same way: what, and the field that differs."""
    about: tuple[str, ...] = ()
    """Objects whose stories may tell more, the nearest first."""
    rank: int = 0
    """The lower, the more it matters."""


def apart(then: Turn, now: Turn) -> list[Apart]:
    """How `now` differs from `then`, what matters most first: what is done, then what is noted and told."""
    found = [*_decisions(then.actions, now.actions), *_decisions(then.notes, now.notes)]
    if then.wake != now.wake:
        found.append(Apart(_when(then.wake), _when(now.wake), "the next look", rank=LEAST))
    return sorted(found, key=lambda one: one.rank)


def _rank(one: Decision) -> int:
    match one:
        case a.Tell():
            return 2
        case a.Action():
            return 0
        case e.CommandProposed() | e.CommandDropped() | e.CommandStarted() | e.CommandEnded() | e.Planned():
            return 1
    return LEAST


def _decisions(then: tuple[Decision, ...], now: tuple[Decision, ...]) -> Iterator[Apart]:
    """Decisions about one thing are compared field by field; others stand alone."""
    lost = [one for one in then if one not in now]
    new = [one for one in now if one not in then]
    for one in lost:
        other = next((candidate for candidate in new if _subject(candidate) == _subject(one)), None)
        if other is None:
            yield Apart(told(one), "", about=tuple(_objects(one)), rank=_rank(one))
            continue
        new.remove(other)
        for path, before, after in fields(one, other):
            what = f"{told(one)}: {path}"
            yield Apart(_shown(before), _shown(after), what, tuple(_objects(one)), _rank(one))
    for one in new:
        yield Apart("", told(one), about=tuple(_objects(one)), rank=_rank(one))
    if not lost and not new and then != now:
        yield Apart(_shown(", ".join(map(told, then))), _shown(", ".join(map(told, now))), "the order")


# What a decision is about


def _subject(one: Decision) -> tuple[object, ...]:
    match one:
        case a.CreateClaim(claim) | a.UpdateClaim(claim) | a.LaunchInstance(claim):
            return type(one), claim.metadata.name
        case a.UpdateNode(node):
            return type(one), node.metadata.name
        case a.UpdatePool(pool):
            return type(one), pool.metadata.name
        case a.Tell(about, reason):
            return type(one), about, reason
        case e.CommandProposed(command) | e.CommandDropped(command) | e.CommandStarted(command):
            return type(one), command.id
        case e.Checked(what, key):
            return type(one), what, key
        case e.BatchOpened() | e.BatchDone() | e.Planned() | e.MethodCut() | e.Looked():
            return (type(one),)
    return type(one), getattr(one, names(type(one))[0][0])


def _objects(one: Decision) -> Iterator[str]:
    match one:
        case a.CreateClaim(claim, _, pods):
            yield f"nodeclaim/{claim.metadata.name}"
            yield from (f"pod/{pod}" for pod in pods)
        case a.UpdateClaim(claim) | a.LaunchInstance(claim):
            yield f"nodeclaim/{claim.metadata.name}"
        case a.UpdateNode(node):
            yield f"node/{node.metadata.name}"
        case a.UpdatePool(pool):
            yield f"nodepool/{pool.metadata.name}"
        case a.DeleteClaim(name) | e.Nominated(name):
            yield f"nodeclaim/{name}"
        case a.TerminateInstance(_, name):
            yield f"nodeclaim/{name}"
        case a.DeleteNode(name):
            yield f"node/{name}"
        case a.Evict(pod) | a.DeletePod(pod) | a.NominatePod(pod):
            yield f"pod/{pod}"
        case a.Tell(about):
            kind, _, name = about.partition("/")
            yield f"{kind.lower()}/{name}"
        case e.Planned(placements):
            yield from (f"pod/{pod}" for pod, _ in placements)
        case e.CommandProposed(command) | e.CommandDropped(command) | e.CommandStarted(command):
            yield from (f"nodeclaim/{name}" for name in command.candidates)


# Saying it


def told(one: Decision) -> str:
    """A decision in a few words."""
    match one:
        case a.CreateClaim(claim, reason, pods):
            for_ = f" for {listed(f'pod/{pod}' for pod in pods)}" if pods else ""
            return f"order nodeclaim/{claim.metadata.name} ({reason}){for_}"
        case a.UpdateClaim(claim):
            return f"write nodeclaim/{claim.metadata.name}"
        case a.UpdateNode(node):
            return f"write node/{node.metadata.name}"
        case a.UpdatePool(pool):
            return f"write nodepool/{pool.metadata.name}"
        case a.DeleteClaim(name, reason):
            return f"delete nodeclaim/{name} ({reason})"
        case a.DeleteNode(name):
            return f"delete node/{name}"
        case a.LaunchInstance(claim):
            return f"launch the instance of nodeclaim/{claim.metadata.name}"
        case a.TerminateInstance(_, name):
            return f"end the instance of nodeclaim/{name}"
        case a.Evict(pod, _, node, reason):
            return f"evict pod/{pod} from node/{node} ({reason})"
        case a.DeletePod(pod, _, grace_s, reason):
            return f"delete pod/{pod} within {grace_s} s ({reason})"
        case a.NominatePod(pod, node):
            return f"nominate node/{node} for pod/{pod}" if node else f"withdraw the nomination of pod/{pod}"
        case a.Tell(about, reason, message):
            return f"tell of {about}: {reason}: {message}"
    return f"note {_shown(one)}"


def happened(event: e.Event) -> str:
    """An event in a few words."""
    match event:
        case e.Changed(obj):
            name = f"{obj.metadata.namespace}/{obj.metadata.name}" if obj.metadata.namespace else obj.metadata.name
            return f"{type(obj).__name__.lower()}/{name} changed"
        case e.Gone(kind, key):
            return f"{kind.lower()}/{key} went"
        case e.CatalogRead(pools):
            return f"the catalog of {listed(f'nodepool/{pool}' for pool in pools)} was read"
        case e.InstanceCreated(claim):
            return f"EC2 gave an instance for nodeclaim/{claim}"
        case e.LaunchRefused(claim):
            return f"EC2 refused an instance for nodeclaim/{claim}"
        case e.InstanceGone(provider_id):
            return f"instance {provider_id} was gone"
        case e.InstancesListed(provider_ids):
            return f"EC2 listed its instances, {len(provider_ids)} in all"
        case e.OfferingsOut(offerings):
            return "the offerings that are out were told" if offerings else "no offering was out any longer"
        case e.Interrupted(provider_id, kind):
            return f"EC2 announced of {provider_id}: {INTERRUPTIONS[kind]}"
        case e.DriftFound(claim, reason):
            return f"EC2 said of nodeclaim/{claim}: {reason or 'not drifted'}"
        case e.EvictionAnswered(pod, refused):
            return f"pod/{pod} may {'not ' if refused else ''}be evicted"
    return _shown(event)


def fields(one: Any, other: Any, path: str = "") -> Iterator[tuple[str, Any, Any]]:
    """(path, here, there) of all that differs in two values of one shape."""
    if one == other and type(one) is type(other):
        return
    if isinstance(one, msgspec.Struct) and type(one) is type(other):
        for name, encoded in names(type(one)):
            yield from fields(getattr(one, name), getattr(other, name), f"{path}.{encoded}" if path else encoded)
    elif isinstance(one, dict) and isinstance(other, dict):
        for key in sorted(one.keys() | other.keys(), key=str):
            yield from fields(one.get(key), other.get(key), f"{path}[{key}]")
    elif isinstance(one, tuple) and isinstance(other, tuple):
        for place, (before, after) in enumerate(zip_longest(one, other)):
            yield from fields(before, after, f"{path}[{place}]")
    else:
        yield path, one, other


def _when(wake: int | None) -> str:
    return "when something happens" if wake is None else f"at {wake}"


def _shown(value: Any) -> str:
    if value is None:
        return "nothing"
    text = msgspec.json.encode(value, order="deterministic").decode() if not isinstance(value, str) else value
    return text if len(text) <= SHOWN else f"{text[: SHOWN - 2]} …"
