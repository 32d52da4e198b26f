"""Network interfaces of a node: one, the user's own, or one for each EFA adapter.

Source: Karpenter AWS provider v1.14 pkg/providers/launchtemplate (network interfaces).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fretsaw.api.nodeclass import ConnectionTracking, EC2NodeClassSpec


def interfaces(spec: EC2NodeClassSpec, groups: Sequence[str], efa: int, ipv6: bool) -> list[dict[str, Any]]:
    """As a launch template has them. efa: adapters that the claim asks for, 0 for none."""
    addressed = {"Groups": list(groups), **_addresses(spec, ipv6)}
    if spec.network_interfaces:
        return [
            {
                "NetworkCardIndex": one.network_card_index,
                "DeviceIndex": one.device_index,
                "InterfaceType": one.interface_type,
                **(addressed if one.interface_type == "interface" else {"Groups": list(groups)}),
            }
            for one in spec.network_interfaces
        ]
    if efa:
        return [
            {"NetworkCardIndex": i, "DeviceIndex": 1 if i else 0, "InterfaceType": "efa", **addressed}
            for i in range(efa)
        ]
    return [{"DeviceIndex": 0, **addressed}]


def _addresses(spec: EC2NodeClassSpec, ipv6: bool) -> dict[str, Any]:
    """What only interfaces with addresses may have."""
    found: dict[str, Any] = {}
    if spec.associate_public_ip_address is not None:
        found["AssociatePublicIpAddress"] = spec.associate_public_ip_address
    if spec.connection_tracking is not None and (tracking := _tracking(spec.connection_tracking)):
        found["ConnectionTrackingSpecification"] = tracking
    if ipv6:
        found |= {"Ipv6AddressCount": 1, "PrimaryIpv6": True}
    if spec.ip_prefix_count:
        found["Ipv6PrefixCount" if ipv6 else "Ipv4PrefixCount"] = spec.ip_prefix_count
    return found


def _tracking(given: ConnectionTracking) -> dict[str, int]:
    found = {
        "TcpEstablishedTimeout": given.tcp_established_timeout,
        "UdpStreamTimeout": given.udp_stream_timeout,
        "UdpTimeout": given.udp_timeout,
    }
    return {key: value for key, value in found.items() if value is not None}
