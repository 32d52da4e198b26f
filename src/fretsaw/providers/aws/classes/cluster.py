"""What is known of the cluster: as told, and what EKS says where nobody has told it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec.structs import replace

from fretsaw.api.times import MINUTE, Millis
from fretsaw.providers.aws.boot.values import Cluster
from fretsaw.providers.aws.calls.asking import Asking, AwsError
from fretsaw.providers.aws.classes.memory import Memory
from fretsaw.providers.aws.classes.part import Trouble

REFRESHED = 5 * MINUTE
"""How long a version counts. Source: AWS provider v1.14 pkg/providers/version."""


class Known(msgspec.Struct, frozen=True):
    """The cluster as nodes join it, its version, and why not more is known."""

    cluster: Cluster
    kubernetes: str = ""
    """Such as `1.34`; empty where it is not known."""
    trouble: Trouble | None = None


class EksCluster:
    """One cluster. What was told counts for more than what EKS says, and that lasts while EKS does not answer."""

    def __init__(self, aws: Asking, memory: Memory, told: Cluster, kubernetes: str = "") -> None:
        """kubernetes: the version, where it is told; then a cluster that is told in full is never asked for."""
        self._aws, self._memory, self._told, self._version = aws, memory, told, kubernetes
        self.last = Known(told, kubernetes)

    async def known(self, now: Millis) -> Known:
        """What is known now."""
        if self._version and self._told.endpoint and self._told.ca and self._told.cidr:
            return self.last
        try:
            found = await self._memory.get("eks:DescribeCluster", REFRESHED, now, self._ask)
        except AwsError as error:
            return replace(self.last, trouble=Trouble.of(error))
        self.last = _merged(self._told, self._version, found)
        return self.last

    async def _ask(self) -> dict[str, Any]:
        answer = await self._aws.ask("eks:DescribeCluster", name=self._told.name)
        return dict(answer.get("cluster") or {})


def _merged(told: Cluster, kubernetes: str, found: Mapping[str, Any]) -> Known:
    network = found.get("kubernetesNetworkConfig") or {}
    cluster = replace(
        told,
        endpoint=told.endpoint or found.get("endpoint") or "",
        ca=told.ca or (found.get("certificateAuthority") or {}).get("data") or "",
        cidr=told.cidr or network.get("serviceIpv4Cidr") or network.get("serviceIpv6Cidr") or "",
    )
    return Known(cluster, kubernetes or (found.get("version") or "").rstrip("+"))
