"""An image family that has ended

Amazon Linux 2 images for EKS ended on 2025-11-26, and the alias is refused from Kubernetes 1.33 on.

Why: No fixes come any more; and on the day of the cluster's upgrade the node class is no longer ready, and nothing
can be bought.

Example:
    apiVersion: karpenter.k8s.aws/v1
    kind: EC2NodeClass
    metadata: {name: gpu}
    spec:
      amiSelectorTerms: [{alias: al2@latest}]
      role: KarpenterNodeRole
      subnetSelectorTerms: [{tags: {karpenter.sh/discovery: ml}}]
      securityGroupSelectorTerms: [{tags: {karpenter.sh/discovery: ml}}]

Fix: Move to `al2023@v…` or `bottlerocket@v…`. Boot scripts change: AL2023 takes a NodeConfig document.

Source: EKS user guide, AL2 end of support; Karpenter AWS provider v1.14 (UnsupportedAlias).
"""

from __future__ import annotations

from collections.abc import Iterator

from fretsaw.lint.found import Found
from fretsaw.lint.given import Input
from fretsaw.lint.rule import rule
from fretsaw.lint.views import NodeClass


@rule("AWS112", "warning", on=NodeClass)
def image_family_ended(node_class: NodeClass, given: Input) -> Iterator[Found]:
    """Classes of Amazon Linux 2."""
    if node_class.family != "al2":
        return
    yield Found(
        "spec.amiFamily" if node_class.spec.get("amiFamily") else "spec.amiSelectorTerms[0].alias",
        "Amazon Linux 2 images ended in November 2025, and Kubernetes 1.33 and newer refuse them",
        fix="move to al2023 or bottlerocket",
    )
