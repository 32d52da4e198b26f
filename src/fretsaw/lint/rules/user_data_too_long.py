"""A boot script that is longer than EC2 takes

`userData` has more than 16 KiB, or comes near it: the autoscaler adds its own part.

Why: The node class never becomes ready, and no pool that uses it can buy a node.

Example:
    apiVersion: karpenter.k8s.aws/v1
    kind: EC2NodeClass
    metadata: {name: gpu}
    spec:
      amiSelectorTerms: [{alias: al2023@v20260801}]
      role: KarpenterNodeRole
      subnetSelectorTerms: [{tags: {karpenter.sh/discovery: ml}}]
      securityGroupSelectorTerms: [{tags: {karpenter.sh/discovery: ml}}]
      userData: SCRIPT-OF-15-KB

Fix: Fetch a long script from S3, or put what it installs into the image.

Source: EC2 user guide, user data (16 KB before encoding); Karpenter AWS provider v1.14 (UserDataSizeLimitExceeded).
"""

from __future__ import annotations

from collections.abc import Iterator

from fretsaw.lint.found import Found
from fretsaw.lint.given import Input
from fretsaw.lint.rule import rule
from fretsaw.lint.views import NodeClass

_MOST = 16384
_OWN = 1500
"""About what is added: cluster, endpoint, certificate, labels, taints."""


@rule("AWS109", "error", on=NodeClass)
def user_data_too_long(node_class: NodeClass, given: Input) -> Iterator[Found]:
    """Boot scripts at or over the limit."""
    size = len(node_class.user_data.encode())
    if size > _MOST - _OWN:
        yield Found(
            "spec.userData",
            f"{size:,} bytes: EC2 takes {_MOST:,}, about {_OWN:,} of which are added",
            fix="fetch the script from S3, or put what it installs into the image",
        )
