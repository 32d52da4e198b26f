"""Shapes: all that placement reads of a pod, shared by all equal pods.

A `Kind` is a group of equal pods with its chain of relaxations; a `Shape` is one link of the chain; a `Mold` is the
part of a shape that only its node's own state can refuse (requests, requirements, taints, ports, volumes), so that a
node that refused a mold once need never be asked again.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from fretsaw.api.affinity import Toleration
from fretsaw.api.labels import HOSTNAME
from fretsaw.api.pod import Pod
from fretsaw.engine.groups import Group
from fretsaw.engine.ports import HostPort
from fretsaw.engine.requirements import Requirements
from fretsaw.engine.topology import Owned
from fretsaw.engine.universe import Bits
from fretsaw.engine.wishes import Wishes

NEW_HOST = "hostname-placeholder"
"""The host name that a node has before it exists: nobody can have asked for it."""


class Mold:
    """What a node has to offer a pod, apart from where other pods are. Interned: one object for each distinct mold."""

    __slots__ = (
        "alternatives",
        "attachments",
        "on_new_hosts",
        "ports",
        "requests",
        "requirements",
        "tolerations",
    )

    def __init__(self, key: MoldKey) -> None:
        self.requests = key.requests
        self.requirements = key.requirements.without(HOSTNAME) if HOSTNAME in key.requirements else key.requirements
        self.tolerations = key.tolerations
        self.ports = key.ports
        self.alternatives = key.alternatives
        self.attachments = key.attachments
        host = key.requirements.get(HOSTNAME)
        self.on_new_hosts = host is None or host.has(NEW_HOST)


class MoldKey(msgspec.Struct, frozen=True):
    """What makes two molds one."""

    requests: tuple[tuple[str, int], ...]
    requirements: Requirements
    """With the host name, which only a preference can ask for."""
    tolerations: tuple[Toleration, ...]
    ports: tuple[HostPort, ...]
    alternatives: tuple[Requirements, ...]
    attachments: tuple[tuple[str, str], ...]


class Shape:
    """One link of a kind's chain: its wishes as they stand, and the topology groups that they involve."""

    __slots__ = (
        "by_key",
        "contradiction",
        "counted",
        "host_groups",
        "inverse",
        "matches",
        "mold",
        "strict",
        "wanted",
        "wishes",
    )

    def __init__(
        self,
        wishes: Wishes,
        mold: Mold,
        wanted: Requirements,
        owned: Owned,
        selecting: tuple[Group, ...],
        shunning: tuple[Group, ...],
    ) -> None:
        self.wishes = wishes
        self.mold = mold
        self.wanted = wanted
        """The requirements with any on the host name, which only a preference can make."""
        self.strict = wishes.strict()
        self.contradiction = wishes.contradiction()
        """A label for which the pod asks for two things at once: it fits nowhere."""
        self.counted = selecting
        """Groups whose count this pod raises."""
        self.inverse = owned.inverse
        """Groups by which this pod keeps others away."""
        involved = (*owned.still(wishes), *shunning)
        self.matches = {group: group in selecting for group in involved}
        """For each group that restricts the pod: whether the pod itself counts in it."""
        self.host_groups = tuple(group for group in involved if group.key == HOSTNAME)
        keys: dict[str, list[Group]] = {}
        for group in involved:
            if group.key != HOSTNAME:
                keys.setdefault(group.key, []).append(group)
        self.by_key = tuple((key, tuple(groups)) for key, groups in sorted(keys.items()))
        """Groups that restrict the pod by any other label, by that label."""

    @property
    def free(self) -> bool:
        """Whether other pods have no say in where this one goes."""
        return not self.matches


class Kind:
    """Equal pods: the same namespace, labels, spec and volumes."""

    __slots__ = ("chain", "closed", "labels", "namespace", "owned", "pods", "requests", "sample", "sort_key")

    def __init__(self, sample: Pod, namespace: str, labels: Mapping[str, str], requests: Mapping[str, int]) -> None:
        self.sample = sample
        self.namespace = namespace
        self.labels = labels
        self.requests = dict(requests)
        self.sort_key = (-requests.get("cpu", 0), -requests.get("memory", 0))
        self.pods: list[Pod] = []
        self.closed: Bits = 0
        """Places that are not for these pods."""
        self.chain: list[Shape] = []
        """Relaxations made so far, the original first."""
        self.owned: Owned


GPU_RESOURCES = ("nvidia.com/gpu", "amd.com/gpu", "habana.ai/gaudi", "aws.amazon.com/neuron")


def gpu_count(resources: Mapping[str, int]) -> int:
    """Accelerators among some resources, of any vendor."""
    return sum(resources.get(name, 0) for name in GPU_RESOURCES)
