"""Nodes follow the latest image

The AMI alias ends in `@latest`: each release of the image makes all nodes of the class drift.

Why: About once a week every GPU node is replaced, running work or not, as far as budgets allow; and a driver that is
new on Tuesday has been tried by nobody. It cannot be told either which image a node had last month.

Example:
    apiVersion: karpenter.k8s.aws/v1
    kind: EC2NodeClass
    metadata: {name: gpu}
    spec:
      amiSelectorTerms: [{alias: al2023@latest}]
      role: KarpenterNodeRole
      subnetSelectorTerms: [{tags: {karpenter.sh/discovery: ml}}]
      securityGroupSelectorTerms: [{tags: {karpenter.sh/discovery: ml}}]

Fix: Pin a version (`al2023@v20260801`), and raise it when it has been tried.

Source: Karpenter documentation, managing AMIs ("latest" is not recommended in production).
"""

from __future__ import annotations

from collections.abc import Iterator

from fretsaw.lint.found import Found
from fretsaw.lint.given import Input
from fretsaw.lint.market import listed
from fretsaw.lint.rule import rule
from fretsaw.lint.tree import maps
from fretsaw.lint.views import NodeClass


@rule("AWS104", "warning", on=NodeClass)
def image_latest(node_class: NodeClass, given: Input) -> Iterator[Found]:
    """Classes whose alias is not pinned."""
    if not node_class.alias.endswith("@latest"):
        return
    pools = given.pools_of(node_class)
    gpu = [pool for pool in pools if pool.is_accelerated]
    for number, term in maps(node_class.spec.get("amiSelectorTerms")):
        if term.get("alias") == node_class.alias:
            family = node_class.alias.partition("@")[0]
            yield Found(
                f"spec.amiSelectorTerms[{number}].alias",
                f"{node_class.alias}: every release of the image replaces all nodes of this class",
                fix=f"pin a version, such as {family}@v20260801",
                proof=f"drifts with it: {listed([pool.name for pool in gpu or pools])}" if pools else "",
                severity="warning" if gpu else "info",
            )
