"""What user data is made of."""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import ip_network
from typing import Any

import msgspec

from fretsaw.api.node import Taint


class Cluster(msgspec.Struct, frozen=True):
    """The cluster that nodes join."""

    name: str
    endpoint: str = ""
    ca: str = ""
    """The bundle of certificate authorities, in base64; empty: the image's own trust."""
    cidr: str = ""
    """Range of addresses of services; AL2023 needs it."""
    dns_ip: str = ""
    """Address of the cluster's DNS."""

    @property
    def ipv6(self) -> bool:
        """Whether pods and services have IPv6 addresses."""
        return ":" in self.dns_ip

    def with_dns(self) -> Cluster:
        """With the address that EKS gives its DNS where none is told: the tenth of the range of services.

        Source: amazon-eks-ami, bootstrap.sh and nodeadm (which compute it so where they are not told).
        """
        if self.dns_ip or not self.cidr:
            return self
        try:
            first = ip_network(self.cidr, strict=False).network_address
        except ValueError:
            return self
        return msgspec.structs.replace(self, dns_ip=str(first + 10))


class Boot(msgspec.Struct, frozen=True, kw_only=True):
    """One node's start. Everything is resolved."""

    cluster: Cluster
    family: str
    """As in `amiFamily`."""
    labels: Mapping[str, str] = {}
    """What the kubelet says of its node."""
    taints: tuple[Taint, ...] = ()
    kubelet: Mapping[str, Any] = {}
    """The kubelet's configuration, `maxPods` included."""
    custom: str = ""
    """What the user wrote."""
    raid0: bool = False
    """Whether the instance's own disks become one, for pods."""
    image_version: str = ""
    """Of Bottlerocket, such as `1.46.0` or `latest`; empty where nobody knows."""
