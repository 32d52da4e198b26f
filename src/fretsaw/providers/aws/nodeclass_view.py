"""What a node class's `spec` and `status` mean for capacity, overhead and offerings.

Reads the plain mapping, as a manifest gives it, and understands only what changes an instance type; whether the node
class is valid is somebody else's question. Values that cannot be read raise UserError naming their path.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, NamedTuple

from fretsaw.api import resources
from fretsaw.errors import UserError

GI = 2**30

_FAMILY_OF_ALIAS = {
    "al2": "AL2",
    "al2023": "AL2023",
    "bottlerocket": "Bottlerocket",
    "windows2019": "Windows2019",
    "windows2022": "Windows2022",
    "windows2025": "Windows2025",
}
_WINDOWS_BUILDS = {"Windows2019": "10.0.17763", "Windows2022": "10.0.20348", "Windows2025": "10.0.26100"}
_EPHEMERAL_DEVICE = {"AL2": "/dev/xvda", "AL2023": "/dev/xvda", "Bottlerocket": "/dev/xvdb"}
_DEFAULT_EVICTION_MEMORY = 100 * 2**20


class NetworkInterface(NamedTuple):
    """One entry of `spec.networkInterfaces`."""

    card: int
    device: int
    efa_only: bool


class NodeClassView:
    """A node class as the instance types see it; without one, AL2023 with every default."""

    def __init__(self, spec: Mapping[str, Any] | None = None, status: Mapping[str, Any] | None = None) -> None:
        self._absent = spec is None
        self.spec = spec or {}
        self.status = status or {}
        self.kubelet = _mapping(self.spec.get("kubelet"))

    @cached_property
    def family(self) -> str:
        """The AMI family: as given, else of the alias, else Custom."""
        if self._absent:
            return "AL2023"
        if given := self.spec.get("amiFamily"):
            return str(given)
        for term in _mappings(self.spec.get("amiSelectorTerms")):
            name = str(term.get("alias") or "").partition("@")[0]
            if name:
                return _FAMILY_OF_ALIAS.get(name.lower(), "Custom")
        return "Custom"

    @property
    def windows(self) -> bool:
        """Whether the images are Windows."""
        return self.family.startswith("Windows")

    @property
    def windows_build(self) -> str | None:
        """The build number of Windows images, None for others."""
        return _WINDOWS_BUILDS.get(self.family)

    @property
    def pods_size_reserve(self) -> bool:
        """Whether kube-reserved memory grows with the resolved pod count."""
        return self.windows or self.family == "Bottlerocket"

    @cached_property
    def max_pods(self) -> int | None:
        """Only an integer counts: expressions need a feature gate that is off by default."""
        return _integer(self.kubelet.get("maxPods"))

    @cached_property
    def pods_per_core(self) -> int:
        """`kubelet.podsPerCore`, 0 where it is not set."""
        return 0 if self.family == "Bottlerocket" else _integer(self.kubelet.get("podsPerCore")) or 0

    @property
    def raid0(self) -> bool:
        """Whether instance stores become one volume for pods."""
        return self.spec.get("instanceStorePolicy") == "RAID0"

    @cached_property
    def network_interfaces(self) -> tuple[NetworkInterface, ...] | None:
        """The interfaces that the node class lists; None when it leaves them to EC2."""
        return (
            tuple(
                NetworkInterface(
                    card=_integer(item.get("networkCardIndex")) or 0,
                    device=_integer(item.get("deviceIndex")) or 0,
                    efa_only=item.get("interfaceType") == "efa-only",
                )
                for item in _mappings(self.spec.get("networkInterfaces"))
            )
            or None
        )

    @cached_property
    def efa_only_count(self) -> int:
        """How many interfaces are for EFA alone."""
        return sum(item.efa_only for item in self.network_interfaces or ())

    def efa_only_on_card(self, card: int) -> int:
        """Interfaces of a card that carry no pod addresses."""
        return sum(item.efa_only and item.card == card for item in self.network_interfaces or ())

    @property
    def nested_virtualization(self) -> bool:
        """Whether nested virtualization is asked for."""
        return _mapping(self.spec.get("cpuOptions")).get("nestedVirtualization") == "enabled"

    @property
    def connection_tracking(self) -> bool:
        """Whether any connection tracking timeout is set."""
        return self.spec.get("connectionTracking") is not None

    @cached_property
    def volume_bytes(self) -> int:
        """Size of the disk that holds the kubelet's root, by the first rule that gives one."""
        mappings = list(enumerate(_mappings(self.spec.get("blockDeviceMappings"))))
        for index, mapping in mappings:
            if mapping.get("rootVolume") and (size := self._size(index, mapping)) is not None:
                return size
        if self.family == "Custom":
            last = self._size(*mappings[-1]) if mappings else None
            return 20 * GI if last is None else last
        device = "/dev/sda1" if self.windows else _EPHEMERAL_DEVICE.get(self.family)
        for index, mapping in mappings:
            if mapping.get("deviceName") == device and (size := self._size(index, mapping)) is not None:
                return size
        return (50 if self.windows else 20) * GI

    def _size(self, index: int, mapping: Mapping[str, Any]) -> int | None:
        size = _mapping(mapping.get("ebs")).get("volumeSize")
        if size is None:
            return None
        return _amount(f"spec.blockDeviceMappings[{index}].ebs.volumeSize", "ephemeral-storage", size)

    @cached_property
    def kube_reserved(self) -> dict[str, int]:
        """`kubelet.kubeReserved` in base units."""
        return self._reserved("kubeReserved")

    @cached_property
    def system_reserved(self) -> dict[str, int]:
        """`kubelet.systemReserved` in base units."""
        return self._reserved("systemReserved")

    def _reserved(self, field: str) -> dict[str, int]:
        given = _mapping(self.kubelet.get(field))
        return {name: _amount(f"spec.kubelet.{field}.{name}", name, value) for name, value in given.items()}

    def eviction(self, amounts: Mapping[str, int]) -> dict[str, int]:
        """What evictionHard keeps free of memory and disk: 100Mi and 10 % unless set."""
        hard = _mapping(self.kubelet.get("evictionHard"))
        disk = amounts["ephemeral-storage"]
        return {
            "memory": _threshold(hard, "memory.available", "memory", amounts["memory"], _DEFAULT_EVICTION_MEMORY),
            "ephemeral-storage": _threshold(hard, "nodefs.available", "ephemeral-storage", disk, -(-disk // 10)),
        }

    @cached_property
    def zones(self) -> dict[str, str] | None:
        """Zone → zone id of the resolved subnets, the id empty where unknown; None before they are resolved."""
        subnets = [item for item in _mappings(self.status.get("subnets")) if item.get("zone")]
        return {str(item["zone"]): str(item.get("zoneID") or "") for item in subnets} or None

    @cached_property
    def reservations(self) -> Sequence[Mapping[str, Any]]:
        """The capacity reservations of `status`."""
        found = [item for item in _mappings(self.status.get("capacityReservations")) if item.get("id")]
        return sorted(found, key=lambda item: str(item["id"]))


def _mapping(value: Any) -> Mapping[str, Any]:
    """The value if it is a mapping, else none: a wrong shape is reported by the validators, not here."""
    return value if isinstance(value, Mapping) else {}


def _mappings(value: Any) -> list[Mapping[str, Any]]:
    return [item for item in value if isinstance(item, Mapping)] if isinstance(value, list | tuple) else []


def _integer(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _amount(path: str, resource: str, value: Any) -> int:
    try:
        return resources.units(resource, value)
    except resources.BadQuantity as error:
        raise UserError(f"EC2NodeClass {path}", "not a quantity", repr(value), error.right) from error


def _threshold(hard: Mapping[str, Any], signal: str, resource: str, total: int, default: int) -> int:
    """Bytes that a signal keeps free. A share is of the capacity, rounded up; `100%` switches the signal off."""
    value = hard.get(signal)
    if value is None:
        return default
    path = f"spec.kubelet.evictionHard[{signal}]"
    if not (isinstance(value, str) and value.endswith("%")):
        return _amount(path, resource, value)
    try:
        share = float(value[:-1])
    except ValueError as error:
        raise UserError(f"EC2NodeClass {path}", "not a percentage", repr(value), "such as 5%") from error
    return 0 if share == 100 else math.ceil(total / 100 * share)
