"""Host ports: which of them cannot be on one node together.

Source: Karpenter v1.14 pkg/scheduling/hostportusage.go; kube-scheduler's NodePorts plugin.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from fretsaw.api.pod import PodSpec

_ANY = ("0.0.0.0", "::")


class HostPort(msgspec.Struct, frozen=True, order=True):
    """A port of the machine itself."""

    port: int
    protocol: str
    ip: str

    def conflicts(self, other: HostPort) -> bool:
        """Whether both want the same port of the same address; an unspecified address is every address."""
        if self.port != other.port or self.protocol != other.protocol:
            return False
        return self.ip == other.ip or self.ip in _ANY or other.ip in _ANY

    def __str__(self) -> str:
        return f"{self.ip}:{self.port}/{self.protocol}"


def host_ports(spec: PodSpec) -> tuple[HostPort, ...]:
    """The host ports of a pod's containers, sorted; init containers do not count."""
    return tuple(
        sorted(
            {
                HostPort(port.host_port, port.protocol or "TCP", port.host_ip or _ANY[0])
                for container in spec.containers
                for port in container.ports
                if port.host_port
            }
        )
    )


def clash(wanted: Iterable[HostPort], taken: Iterable[HostPort]) -> HostPort | None:
    """The first of `wanted` that a port of `taken` excludes."""
    held = tuple(taken)
    if not held:
        return None
    return next((port for port in wanted if any(port.conflicts(other) for other in held)), None)
