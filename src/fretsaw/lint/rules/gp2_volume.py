"""Volumes of the old type gp2

`volumeType: gp2`.

Why: gp2 costs a quarter more than gp3 for the same size, and is slower below 1 TiB: images are pulled at its
throughput.

Example:
    apiVersion: karpenter.k8s.aws/v1
    kind: EC2NodeClass
    metadata: {name: gpu}
    spec:
      amiSelectorTerms: [{alias: al2023@v20260801}]
      role: KarpenterNodeRole
      subnetSelectorTerms: [{tags: {karpenter.sh/discovery: ml}}]
      securityGroupSelectorTerms: [{tags: {karpenter.sh/discovery: ml}}]
      blockDeviceMappings: [{deviceName: /dev/xvda, ebs: {volumeSize: 200Gi, volumeType: gp2, encrypted: true}}]

Fix: Write gp3.

Source: AWS EBS pricing (us-east-1: gp2 $0.10, gp3 $0.08 a GB-month).
"""

from __future__ import annotations

from collections.abc import Iterator

from fretsaw.lint.found import Found, Set
from fretsaw.lint.given import Input
from fretsaw.lint.rule import rule
from fretsaw.lint.tree import at
from fretsaw.lint.views import NodeClass


@rule("COST113", "info", on=NodeClass, fixes=True)
def gp2_volume(node_class: NodeClass, given: Input) -> Iterator[Found]:
    """Mappings with gp2."""
    for number, mapping in node_class.mappings:
        if at(mapping, "ebs", "volumeType") == "gp2":
            path = f"spec.blockDeviceMappings[{number}].ebs.volumeType"
            message = "gp2 costs a quarter more than gp3, and is slower below 1 TiB"
            yield Found(path, message, fix="write gp3", edits=(Set(path, "gp3"),))
