"""The hash by which a NodeClaim shows that its NodePool's template has changed, equal to Karpenter's to the byte.

Two installations that take turns over one cluster must not see each other's nodes as drifted.
Source: Karpenter v1.14 pkg/apis/v1 nodepool.go (Hash, version v3); mitchellh/hashstructure v2, FormatV2 with slices as
sets, zero values left out and nil as zero; Go hash/fnv (64-bit FNV-1) and time.Time.MarshalBinary.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Final

from fretsaw.api.node import Taint
from fretsaw.api.nodepool import NodeClaimTemplate, NodeClassRef, NodePool
from fretsaw.api.resources import duration_ns

HASH: Final = "karpenter.sh/nodepool-hash"
HASH_VERSION: Final = "karpenter.sh/nodepool-hash-version"
VERSION: Final = "v3"

_BASIS: Final = 0xCBF29CE484222325
_PRIME: Final = 0x100000001B3
_MASK: Final = 2**64 - 1
_MOST_KNOWN: Final = 1000
_YEAR_ONE: Final = 62135596800
"""Seconds from year 1, with which Go counts, to 1970."""


_known: dict[int, tuple[NodeClaimTemplate, str]] = {}
"""Hashes of templates by identity, with the template, so that no other can get its number."""


def pool_hash(pool: NodePool) -> str:
    """The hash of all that makes a node static: the template without its requirements, as a decimal number."""
    template = pool.spec.template
    known = _known.get(id(template))
    if known is None:
        if len(_known) > _MOST_KNOWN:
            _known.clear()
        known = _known[id(template)] = (template, _hashed(template))
    return known[1]


def _hashed(template: NodeClaimTemplate) -> str:
    metadata, spec = template.metadata, template.spec
    meta = _struct("ObjectMeta", Labels=_map(metadata.labels), Annotations=_map(metadata.annotations))
    body = _struct(
        "NodeClaimTemplateSpec",
        Taints=_set(map(_taint, spec.taints)),
        StartupTaints=_set(map(_taint, spec.startup_taints)),
        NodeClassRef=_class(spec.node_class_ref),
        TerminationGracePeriod=_duration("Duration", spec.termination_grace_period),
        ExpireAfter=_duration("NillableDuration", spec.expire_after),
    )
    given = metadata.labels or metadata.annotations
    return str(_struct("NodeClaimTemplate", ObjectMeta=meta if given else None, Spec=body))


def _fnv(data: bytes) -> int:
    found = _BASIS
    for byte in data:
        found = (found * _PRIME & _MASK) ^ byte
    return found


def _numbers(*values: int) -> int:
    """The hash of 64-bit numbers one after the other."""
    return _fnv(b"".join(value.to_bytes(8, "little") for value in values))


def _text(text: str) -> int:
    return _fnv(text.encode())


def _struct(type_name: str, **fields: int | None) -> int:
    """The hash of a Go struct from those of its fields in their order; None for a field that is zero."""
    found = _text(type_name)
    for name, value in fields.items():
        if value is not None:
            found = _numbers(found ^ _numbers(_text(name), value))
    return found


def _map(entries: Mapping[str, str]) -> int | None:
    """None for one without entries.

    Differs: a written-out empty map or list counts as absent; the peer hashes it as something of its own.
    """
    if not entries:
        return None
    found = 0
    for key, value in entries.items():
        found ^= _numbers(_text(key), _text(value))
    return _numbers(found)


def _set(hashes: Iterable[int]) -> int | None:
    """The order does not count; two equal elements cancel each other out."""
    found, some = 0, False
    for one in hashes:
        found, some = found ^ one, True
    return found if some else None


def _taint(taint: Taint) -> int:
    return _struct(
        "Taint",
        Key=_text(taint.key) if taint.key else None,
        Value=_text(taint.value) if taint.value else None,
        Effect=_text(taint.effect) if taint.effect else None,
        TimeAdded=_time(taint.time_added) if taint.time_added else None,
    )


def _class(reference: NodeClassRef) -> int:
    parts = {"Kind": reference.kind, "Name": reference.name, "Group": reference.group}
    return _struct("NodeClassReference", **{k: _text(v) for k, v in parts.items() if v})


def _duration(type_name: str, text: str | None) -> int | None:
    """`Never` is no duration. A length of 0 is left out where it is a value, and counts where it is a pointer."""
    if text is None or text == "Never":
        return None
    length = duration_ns(text)
    if type_name == "Duration" and not length:
        return _struct(type_name)
    return _struct(type_name, Duration=_numbers(length))


def _time(text: str) -> int:
    """A moment as Go writes it in binary, in a controller whose local time is UTC."""
    when = datetime.fromisoformat(text)
    seconds = int(when.replace(microsecond=0).timestamp()) + _YEAR_ONE
    data = b"\x01" + seconds.to_bytes(8, "big") + (when.microsecond * 1000).to_bytes(4, "big") + b"\x00\x00"
    return _struct("Time", Time=_fnv(data))
