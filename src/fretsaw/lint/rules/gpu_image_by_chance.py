"""GPU nodes whose image is chosen by architecture alone

The class of a GPU pool selects images by id, name or tags. Only an alias knows which types need an image with a
driver.

Why: The newest image that matches is taken for GPU and other types alike. If it has no driver, the node comes up,
costs what a GPU costs, and never offers a GPU.

Example:
    apiVersion: karpenter.k8s.aws/v1
    kind: EC2NodeClass
    metadata: {name: gpu}
    spec:
      amiFamily: AL2023
      amiSelectorTerms: [{tags: {team: ml}}]
      role: KarpenterNodeRole
      subnetSelectorTerms: [{tags: {karpenter.sh/discovery: ml}}]
      securityGroupSelectorTerms: [{tags: {karpenter.sh/discovery: ml}}]
    ---
    apiVersion: karpenter.sh/v1
    kind: NodePool
    metadata: {name: gpu}
    spec:
      template:
        spec:
          requirements: [{key: karpenter.k8s.aws/instance-gpu-name, operator: In, values: [l4]}]
          nodeClassRef: {group: karpenter.k8s.aws, kind: EC2NodeClass, name: gpu}

Fix: Use an alias, or a class for GPU pools alone whose terms match only images with a driver; then allow this with
that reason.

Source: Karpenter AWS provider v1.14 (amiSelectorTerms: variants exist for aliases only).
"""

from __future__ import annotations

from collections.abc import Iterator

from fretsaw.lint.found import Found
from fretsaw.lint.given import Input
from fretsaw.lint.market import listed
from fretsaw.lint.rule import rule
from fretsaw.lint.views import NodeClass


@rule("AWS105", "info", on=NodeClass)
def gpu_image_by_chance(node_class: NodeClass, given: Input) -> Iterator[Found]:
    """Classes without an alias under pools with GPUs; those that only GPU pools use are milder."""
    pools = given.pools_of(node_class)
    gpu = [pool.name for pool in pools if pool.is_accelerated]
    others = [pool.name for pool in pools if not pool.is_accelerated]
    if node_class.alias or not gpu:
        return
    yield Found(
        "spec.amiSelectorTerms",
        f"images are matched by architecture alone: {listed(gpu)} get a driver only if the newest match has one"
        + (f", and so does {listed(others)}, which needs none" if others else ""),
        fix="use an alias (al2023@v…, bottlerocket@v…), or terms that match only images with a driver",
        severity="warning" if others else None,
    )
