"""The large volume is not the one that holds images

Block devices are mapped, and none of them is the device on which the image family keeps images and pods' files.

Why: The large volume is paid for and empty, while images fill the root volume, whose size is then that of the AMI.

Example:
    apiVersion: karpenter.k8s.aws/v1
    kind: EC2NodeClass
    metadata: {name: gpu}
    spec:
      amiSelectorTerms: [{alias: bottlerocket@v1.50.0}]
      role: KarpenterNodeRole
      subnetSelectorTerms: [{tags: {karpenter.sh/discovery: ml}}]
      securityGroupSelectorTerms: [{tags: {karpenter.sh/discovery: ml}}]
      blockDeviceMappings: [{deviceName: /dev/xvda, ebs: {volumeSize: 200Gi, volumeType: gp3, encrypted: true}}]

Fix: Map `/dev/xvda` for AL2023, and `/dev/xvdb` for Bottlerocket.

Source: Karpenter AWS provider v1.14 (amifamily: ephemeral block device).
"""

from __future__ import annotations

from collections.abc import Iterator

from fretsaw.lint.found import Found
from fretsaw.lint.given import Input
from fretsaw.lint.market import listed
from fretsaw.lint.rule import rule
from fretsaw.lint.views import NodeClass


@rule("AWS108", "warning", on=NodeClass)
def root_device_unmapped(node_class: NodeClass, given: Input) -> Iterator[Found]:
    """Mappings that leave out the device of images."""
    root = node_class.root_device
    names = [str(one.get("deviceName")) for _, one in node_class.mappings]
    if not root or not names or root in names or any(one.get("rootVolume") for _, one in node_class.mappings):
        return
    yield Found(
        "spec.blockDeviceMappings",
        f"{node_class.family} keeps images on {root}, and only {listed(names)} is mapped",
        fix=f"map deviceName: {root}",
    )
