"""Names for the versions of a pod template: the same template has the same name."""

from __future__ import annotations

from hashlib import blake2b
from typing import Final

import msgspec
from msgspec.structs import replace

from fretsaw.api.pod import PodTemplateSpec
from fretsaw.engine.orders import NAME_LETTERS

HASH: Final = "pod-template-hash"
REVISION_HASH: Final = "controller-revision-hash"
_ENCODER: Final = msgspec.json.Encoder(order="deterministic")
_LENGTH: Final = 10


def template_hash(template: PodTemplateSpec, collisions: int = 0) -> str:
    """Ten signs that tell a template from others. collisions: how often these signs named another template already."""
    digest = blake2b(_ENCODER.encode((template, collisions)), digest_size=8).digest()
    number, signs = int.from_bytes(digest, "big"), []
    for _ in range(_LENGTH):
        number, sign = divmod(number, len(NAME_LETTERS))
        signs.append(NAME_LETTERS[sign])
    return "".join(signs)


def labelled(template: PodTemplateSpec, **labels: str) -> PodTemplateSpec:
    """The template with more labels."""
    metadata = replace(template.metadata, labels=template.metadata.labels | labels)
    return replace(template, metadata=metadata)


def unlabelled(template: PodTemplateSpec, label: str) -> PodTemplateSpec:
    """The template without one label."""
    labels = {key: value for key, value in template.metadata.labels.items() if key != label}
    return replace(template, metadata=replace(template.metadata, labels=labels))
