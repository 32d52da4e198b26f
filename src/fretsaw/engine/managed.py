"""Which claims and nodes are ours: those of a node class that the provider knows.

Source: Karpenter v1.14 pkg/utils/nodeclaim, pkg/utils/node (managed predicates).
"""

from __future__ import annotations

from fretsaw.api.labels import EC2NODECLASS
from fretsaw.api.node import Node
from fretsaw.api.nodeclaim import NodeClaim

MANAGED = frozenset({EC2NODECLASS})
"""Labels `<group>/<kind in lower case>` of the node classes that are supported."""


def is_managed_claim(claim: NodeClaim) -> bool:
    """Whether the claim's node class is supported; others belong to somebody else."""
    return claim.spec.node_class_ref.label in MANAGED


def is_managed_node(node: Node) -> bool:
    """Whether the node carries the label of a supported node class, whatever its value."""
    return not MANAGED.isdisjoint(node.metadata.labels)
