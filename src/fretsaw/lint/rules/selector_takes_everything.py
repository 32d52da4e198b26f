"""Subnets or security groups of everybody

A selector term matches every subnet, or every security group, that has some tag at all.

Why: Nodes land in public subnets, in another cluster's, or with security groups of another VPC, with which no
instance can be launched: provisioning times out, and the reason stands in the node class' status only.

Example:
    apiVersion: karpenter.k8s.aws/v1
    kind: EC2NodeClass
    metadata: {name: gpu}
    spec:
      amiSelectorTerms: [{alias: al2023@v20260801}]
      role: KarpenterNodeRole
      subnetSelectorTerms: [{tags: {karpenter.sh/discovery: '*'}}]
      securityGroupSelectorTerms: [{tags: {karpenter.sh/discovery: ml}}]

Fix: Name the cluster in the tag's value, and add a tag for private subnets.

Source: Karpenter documentation, NodeClasses (subnetSelectorTerms, "*" matches any value).
"""

from __future__ import annotations

from collections.abc import Iterator

from fretsaw.lint.found import Found
from fretsaw.lint.given import Input
from fretsaw.lint.rule import rule
from fretsaw.lint.tree import maps
from fretsaw.lint.views import NodeClass


@rule("AWS106", "warning", on=NodeClass)
def selector_takes_everything(node_class: NodeClass, given: Input) -> Iterator[Found]:
    """Terms all of whose tags are open."""
    for field in ("subnetSelectorTerms", "securityGroupSelectorTerms"):
        for number, term in maps(node_class.spec.get(field)):
            tags = term.get("tags")
            if not isinstance(tags, dict) or term.get("id") or term.get("name") or any(v != "*" for v in tags.values()):
                continue
            what = "every one with such a tag" if tags else "every one of the account and region"
            yield Found(
                f"spec.{field}[{number}].tags",
                f"selects {what}, other clusters' and other networks' too",
                fix="name the cluster in the tag's value",
            )
