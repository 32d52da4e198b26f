"""Volumes that are not encrypted

A block device mapping says `encrypted: false`, or nothing: mappings replace the default, which is encrypted.

Why: Model weights, training data and tokens lie on the disk as they are. Audits find it on the day before a release,
and the fix replaces all nodes.

Example:
    apiVersion: karpenter.k8s.aws/v1
    kind: EC2NodeClass
    metadata: {name: gpu}
    spec:
      amiSelectorTerms: [{alias: al2023@v20260801}]
      role: KarpenterNodeRole
      subnetSelectorTerms: [{tags: {karpenter.sh/discovery: ml}}]
      securityGroupSelectorTerms: [{tags: {karpenter.sh/discovery: ml}}]
      blockDeviceMappings: [{deviceName: /dev/xvda, ebs: {volumeSize: 200Gi, volumeType: gp3}}]

Fix: Write `encrypted: true`; it costs nothing with AWS' own key.

Source: Karpenter AWS provider v1.14 (blockDeviceMappings replace the family's default); EBS encryption.
"""

from __future__ import annotations

from collections.abc import Iterator

from fretsaw.lint.found import Found, Set
from fretsaw.lint.given import Input
from fretsaw.lint.rule import rule
from fretsaw.lint.views import NodeClass


@rule("AWS107", "info", on=NodeClass, fixes=True)
def volume_unencrypted(node_class: NodeClass, given: Input) -> Iterator[Found]:
    """Mappings without encryption."""
    for number, mapping in node_class.mappings:
        ebs = mapping.get("ebs")
        if isinstance(ebs, dict) and ebs.get("encrypted") is not True and not ebs.get("snapshotID"):
            path = f"spec.blockDeviceMappings[{number}].ebs"
            yield Found(
                f"{path}.encrypted",
                "the volume is not encrypted, unless the account does that for all",
                fix="write encrypted: true",
                edits=(Set(f"{path}.encrypted", True),),
            )
