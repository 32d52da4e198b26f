"""The base of everything that a scenario file is made of."""

from __future__ import annotations

from typing import Annotated, ClassVar

import msgspec
from msgspec import Meta

Positive = Annotated[int, Meta(ge=1, le=1_000_000)]
Count = Annotated[int, Meta(ge=0, le=1_000_000)]


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """A map of the file. Its subclasses tell the reader how by their class variables."""

    KEY: ClassVar[str] = ""
    """The field that tells this part from others that may stand in its place."""
    SHORT: ClassVar[str] = ""
    """The field that a bare scalar in the part's place means."""
    ONE_OF: ClassVar[tuple[str, ...]] = ()
    """Fields, by their YAML names, of which exactly one is given."""
