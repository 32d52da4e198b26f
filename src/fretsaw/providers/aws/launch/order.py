"""What is ordered for a NodeClaim, and who knows what that comes to."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any, Generic, Protocol, TypeVar

import msgspec

from fretsaw.api.times import Millis
from fretsaw.providers.aws.calls.asking import AwsError
from fretsaw.providers.aws.launch import fleet

Ask = TypeVar("Ask")
Ask_contra = TypeVar("Ask_contra", contravariant=True)


class Order(msgspec.Struct, Generic[Ask], frozen=True, eq=False):
    """A NodeClaim's wish for an instance."""

    uid: str
    claim: str
    """Its name."""
    created: Millis | None
    """When the claim was made."""
    bucket: Hashable
    ask: Ask
    """What is asked for: the same for all orders of a bucket."""


class Prepared(msgspec.Struct, frozen=True):
    """All of a CreateFleet call but for whom it is."""

    buy: fleet.Buy
    configs: tuple[fleet.Config, ...]
    reservations: Mapping[tuple[str, str], str] = {}
    """The reservation that an instance of a (type, zone) is bought from."""
    placement_group: str = ""
    partition: int = 0
    handle: Any = None
    """What the preparer wants to see again."""


class Preparer(Protocol[Ask_contra]):
    """Who knows what is to be asked of EC2, and hears what came of it."""

    def tags(self, ask: Ask_contra) -> Mapping[str, str]:
        """The tags of everything that is launched."""

    def own(self, ask: Ask_contra) -> Mapping[str, str]:
        """More tags, of the instances alone."""

    async def prepare(self, ask: Ask_contra, count: int) -> Prepared:
        """Everything that has to be there for the call. Raises AwsError and ProviderError."""

    def heard(self, ask: Ask_contra, prepared: Prepared, answer: fleet.Answer | None, error: AwsError | None) -> None:
        """What came of it. Called once for each `prepare` that returned, but not for orders that got lost for good."""

    def tried(self, prepared: Prepared) -> frozenset[tuple[str, str, str]]:
        """The offerings of a call."""
