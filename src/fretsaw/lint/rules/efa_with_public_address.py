"""Several EFA interfaces and a public address

The class has `efa-only` interfaces and `associatePublicIPAddress: true`.

Why: EC2 refuses to give a public address to an instance with several network cards: every launch fails.

Example:
    apiVersion: karpenter.k8s.aws/v1
    kind: EC2NodeClass
    metadata: {name: efa}
    spec:
      amiSelectorTerms: [{alias: al2023@v20260801}]
      role: KarpenterNodeRole
      subnetSelectorTerms: [{tags: {karpenter.sh/discovery: ml}}]
      securityGroupSelectorTerms: [{tags: {karpenter.sh/discovery: ml}}]
      associatePublicIPAddress: true
      networkInterfaces:
        - {networkCardIndex: 0, deviceIndex: 0, interfaceType: interface}
        - {networkCardIndex: 1, deviceIndex: 1, interfaceType: efa-only}

Fix: Leave the public address out, and use private subnets with a NAT gateway.

Source: EC2 user guide, EFA limitations.
"""

from __future__ import annotations

from collections.abc import Iterator

from fretsaw.lint.found import Found
from fretsaw.lint.given import Input
from fretsaw.lint.rule import rule
from fretsaw.lint.tree import maps
from fretsaw.lint.views import NodeClass


@rule("AWS110", "error", on=NodeClass)
def efa_with_public_address(node_class: NodeClass, given: Input) -> Iterator[Found]:
    """Classes with EFA and a public address."""
    kinds = [one.get("interfaceType") for _, one in maps(node_class.spec.get("networkInterfaces"))]
    if node_class.spec.get("associatePublicIPAddress") is True and "efa-only" in kinds:
        yield Found(
            "spec.associatePublicIPAddress",
            f"a public address and {len(kinds)} network interfaces: EC2 refuses every launch",
            fix="leave associatePublicIPAddress out",
        )
