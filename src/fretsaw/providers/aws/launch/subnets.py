"""Which subnet of a zone an instance goes to: the one with most free addresses, those promised already left out.

Source: Karpenter AWS provider v1.14 pkg/providers/subnet (ZonalSubnetsForLaunch, in-flight addresses).
Differs: the offering is avoided only when no other subnet of its zone has addresses left.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping

import msgspec

from fretsaw.api.nodeclass_status import ResolvedSubnet
from fretsaw.providers.aws.calls.asking import Asking

FREE_S = 60.0
"""Age of the figures of free addresses. The peer's are up to 5 minutes old."""
FULL_S = 180.0


class Choice(msgspec.Struct, frozen=True):
    """The subnets of one call. promised: addresses that its instances may take of each."""

    of_zone: dict[str, str]
    promised: dict[str, int]
    read_at: float


class Subnets:
    """What is known of free addresses. now: seconds of a clock that never goes back."""

    def __init__(self, aws: Asking, now: Callable[[], float]) -> None:
        self._aws, self._now = aws, now
        self._free: dict[str, int] = {}
        self._read_at: dict[str, float] = {}
        self._left: dict[str, int] = {}
        """Free addresses less those promised, for subnets that something was launched in since they were read."""
        self._full: dict[str, float] = {}
        """Subnet → until when it counts as full."""

    async def choose(self, subnets: Collection[ResolvedSubnet], zones: Mapping[str, int], count: int) -> Choice:
        """One subnet for each zone. zones: with the least pods of a type on sale there. Raises AwsError."""
        await self._refresh([one.id for one in subnets])
        chosen: dict[str, str] = {}
        for zone in sorted(zones):
            own = [one.id for one in subnets if one.zone == zone]
            if own:
                chosen[zone] = max(own, key=lambda id_: (not self.is_full(id_), self._available(id_), -own.index(id_)))
        promised = {id_: zones[zone] * count for zone, id_ in chosen.items()}
        for id_, addresses in promised.items():
            self._left[id_] = self._available(id_) - addresses
        return Choice(chosen, promised, self._now())

    def used(self, choice: Choice, subnets: Iterable[str]) -> None:
        """Give back what was promised of subnets that no instance went to."""
        for id_ in choice.promised.keys() - set(subnets):
            if self._read_at.get(id_, 0.0) <= choice.read_at and id_ in self._left:
                self._left[id_] += choice.promised[id_]

    def full(self, subnet: str) -> None:
        """EC2 says that it has no free address."""
        self._free[subnet] = 0
        self._left.pop(subnet, None)
        self._full[subnet] = self._now() + FULL_S

    def is_full(self, subnet: str) -> bool:
        """Whether EC2 has said so lately."""
        return self._full.get(subnet, 0.0) > self._now()

    def _available(self, id_: str) -> int:
        return self._left.get(id_, self._free.get(id_, 0))

    async def _refresh(self, ids: Collection[str]) -> None:
        now = self._now()
        if all(now - self._read_at.get(id_, -FREE_S) < FREE_S for id_ in ids):
            return
        found = await self._aws.pages("ec2:DescribeSubnets", "Subnets", SubnetIds=sorted(ids))
        for one in found:
            id_ = one["SubnetId"]
            self._read_at[id_] = self._now()
            self._left.pop(id_, None)
            if not self.is_full(id_):
                self._free[id_] = one.get("AvailableIpAddressCount", 0)
