"""vCPU quotas: how much of a class of instances may run at once, by way of buying.

Source: EC2 User Guide, EC2 quotas ("Running On-Demand G and VT instances", "All G and VT Spot Instance Requests").
"""

from __future__ import annotations

from collections.abc import Iterable

from fretsaw.providers.fleet.fill import SPOT_LIMIT, VCPU_LIMIT
from fretsaw.sim.cloud.settings import QUOTA_CLASSES, Quota


class Quotas:
    """What is used of each quota."""

    def __init__(self, quotas: Iterable[Quota]) -> None:
        self._quotas = [(quota, _letters(quota.classes)) for quota in quotas]
        self._used = [0] * len(self._quotas)

    def refusal(self, letters: str, vcpus: int, capacity_type: str) -> str:
        """The error code that a further instance meets; empty where it is within all quotas."""
        for number in self._about(letters, capacity_type):
            if self._used[number] + vcpus > self._quotas[number][0].vcpus:
                return SPOT_LIMIT if capacity_type == "spot" else VCPU_LIMIT
        return ""

    def use(self, letters: str, vcpus: int, capacity_type: str) -> None:
        """An instance with so many vCPUs began (or, with less than none, is gone)."""
        for number in self._about(letters, capacity_type):
            self._used[number] += vcpus

    def _about(self, letters: str, capacity_type: str) -> list[int]:
        return [
            number
            for number, (quota, known) in enumerate(self._quotas)
            if quota.capacity_type == capacity_type and letters in known
        ]


def _letters(classes: Iterable[str]) -> frozenset[str]:
    return frozenset(letter for name in classes for letter in QUOTA_CLASSES.get(name, (name,)))
