"""What `fretsaw run` asks of the Kubernetes API, and why: the rules of its role, no more and no less.

The Helm chart's ClusterRole and Role have these rules. A test performs every action and compares what was asked with
this table, in both directions; another compares the table with the chart.
`GET /version` needs no rule: Kubernetes lets every authenticated user ask it (system:public-info-viewer).
"""

from __future__ import annotations

from itertools import groupby

import msgspec

from fretsaw.engine.state import SEEN
from fretsaw.kube.client import kind_named, plural


class Rule(msgspec.Struct, frozen=True):
    """Verbs on resources of one API group."""

    why: str
    group: str
    resources: tuple[str, ...]
    """Plurals, with a subresource after a slash: `pods/eviction`."""
    verbs: tuple[str, ...]

    @property
    def manifest(self) -> dict[str, list[str]]:
        """As it stands in a role."""
        return {"apiGroups": [self.group], "resources": [*self.resources], "verbs": [*self.verbs]}

    @property
    def pairs(self) -> frozenset[tuple[str, str, str]]:
        """(group, resource, verb), each alone."""
        return frozenset((self.group, resource, verb) for resource in self.resources for verb in self.verbs)


_WATCHED: dict[str, str] = {
    "": "pods that wait and pods that run, their nodes, and the volumes that tie them to zones",
    "apps": "whom pods belong to, and DaemonSets, which take room on new nodes",
    "autoscaling.x-k8s.io": "room that is to be kept free",
    "karpenter.k8s.aws": "how nodes shall be made",
    "karpenter.sh": "which nodes may be made, and which have been",
    "policy": "which pods may be moved now",
    "storage.k8s.io": "where volumes can be, and which are attached",
}
"""Why the kinds of each API group are watched. A group without a reason has no business in the role."""


def _watched() -> tuple[Rule, ...]:
    """One rule for each group of kinds that are watched."""
    named = sorted((kind_named(kind).group, plural(kind)) for kind in SEEN)
    return tuple(
        Rule(_WATCHED[group], group, tuple(resource for _, resource in resources), ("list", "watch"))
        for group, resources in groupby(named, key=lambda pair: pair[0])
    )


READS: tuple[Rule, ...] = _watched()
"""All that `fretsaw run --observe-only` needs."""

WRITES: tuple[Rule, ...] = (
    Rule(
        "orders nodes; a claim whose creation was not answered is asked for",
        "karpenter.sh", ("nodeclaims",), ("get", "create", "patch", "delete"),
    ),
    Rule("tells how far a claim has come", "karpenter.sh", ("nodeclaims/status",), ("patch",)),
    Rule("writes a pool's hash, and what it has", "karpenter.sh", ("nodepools", "nodepools/status"), ("patch",)),
    Rule(
        "writes a class's finalizer and hash, and what its selectors found",
        "karpenter.k8s.aws", ("ec2nodeclasses", "ec2nodeclasses/status"), ("patch",),
    ),
    Rule("labels, taints and finalizers of nodes; their end", "", ("nodes",), ("patch", "delete")),
    Rule("drains nodes within disruption budgets", "", ("pods/eviction",), ("create",)),
    Rule("drains nodes whose grace period ends", "", ("pods",), ("delete",)),
    Rule("hands the plan to kube-scheduler (status.nominatedNodeName)", "", ("pods/status",), ("patch",)),
    Rule("tells what was decided and why", "", ("events",), ("create", "patch")),
)  # fmt: skip
"""What acting needs beside that. NodeOverlays and CapacityBuffers are only read; Secrets are never touched."""

LEASE_CREATE = Rule(
    "makes the lease; creation cannot be narrowed to a name", "coordination.k8s.io", ("leases",), ("create",)
)
LEASE_HOLD = Rule("takes, renews and gives back the lease", "coordination.k8s.io", ("leases",), ("get", "update"))
"""Only of the lease by that name."""
LEASES: tuple[Rule, ...] = (LEASE_CREATE, LEASE_HOLD)
"""In the lease's namespace only."""
