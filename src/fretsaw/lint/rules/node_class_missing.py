"""A pool whose node class is not there

The input has node classes, and not the one that the pool names.

Why: The pool never becomes ready, and its pods stay Pending with a message about other pools.

Example:
    apiVersion: karpenter.sh/v1
    kind: NodePool
    metadata: {name: multi-arch}
    spec:
      template:
        spec:
          requirements: [{key: karpenter.k8s.aws/instance-category, operator: In, values: [c, m]}]
          nodeClassRef: {group: karpenter.k8s.aws, kind: EC2NodeClass, name: default}
    ---
    apiVersion: karpenter.k8s.aws/v1
    kind: EC2NodeClass
    metadata: {name: gpu}
    spec:
      amiSelectorTerms: [{alias: al2023@v20260801}]
      role: KarpenterNodeRole
      subnetSelectorTerms: [{tags: {karpenter.sh/discovery: ml}}]
      securityGroupSelectorTerms: [{tags: {karpenter.sh/discovery: ml}}]

Fix: Add the class, or name one that there is.

Source: Karpenter documentation, NodePools (nodeClassRef; NodeClassReady condition).
"""

from __future__ import annotations

from collections.abc import Iterator

from fretsaw.lint.found import Found
from fretsaw.lint.given import Input
from fretsaw.lint.market import listed
from fretsaw.lint.pool import SPEC, Pool
from fretsaw.lint.rule import rule


@rule("POOL103", "warning", on=Pool)
def node_class_missing(pool: Pool, given: Input) -> Iterator[Found]:
    """Pools that name an EC2NodeClass which the input lacks."""
    reference = pool.template.node_class_ref
    known = sorted({document.name for document in given.documents if document.kind == reference.kind})
    made_by_eks = reference.group == "eks.amazonaws.com" and reference.name == "default"
    if not known or made_by_eks or reference.name in known or reference.kind not in ("EC2NodeClass", "NodeClass"):
        return
    yield Found(
        f"{SPEC}.nodeClassRef.name",
        f"{reference.kind} {reference.name} is not in the input: the pool is not ready without it",
        fix=f"add it, or name one that there is ({listed(known)})",
    )
