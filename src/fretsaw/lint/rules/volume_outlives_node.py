"""Volumes that stay when their node goes

`deleteOnTermination: false`.

Why: Each node leaves a volume behind that nobody uses and that is billed until somebody finds it: with Spot and
consolidation that is several a day.

Example:
    apiVersion: karpenter.k8s.aws/v1
    kind: EC2NodeClass
    metadata: {name: gpu}
    spec:
      amiSelectorTerms: [{alias: al2023@v20260801}]
      role: KarpenterNodeRole
      subnetSelectorTerms: [{tags: {karpenter.sh/discovery: ml}}]
      securityGroupSelectorTerms: [{tags: {karpenter.sh/discovery: ml}}]
      blockDeviceMappings:
        - {deviceName: /dev/xvda, ebs: {volumeSize: 200Gi, volumeType: gp3, deleteOnTermination: false}}

Fix: Write `deleteOnTermination: true`; keep data in PersistentVolumes.

Source: EC2 user guide, preserve data when an instance is terminated.
"""

from __future__ import annotations

from collections.abc import Iterator

from fretsaw.lint.found import Found, Set
from fretsaw.lint.given import Input
from fretsaw.lint.market import dollars
from fretsaw.lint.rule import rule
from fretsaw.lint.tree import at
from fretsaw.lint.views import NodeClass

_USD_A_GB = 0.08


@rule("COST114", "warning", on=NodeClass, fixes=True)
def volume_outlives_node(node_class: NodeClass, given: Input) -> Iterator[Found]:
    """Mappings that keep the volume."""
    for number, mapping in node_class.mappings:
        if at(mapping, "ebs", "deleteOnTermination") is False:
            path = f"spec.blockDeviceMappings[{number}].ebs.deleteOnTermination"
            size = str(at(mapping, "ebs", "volumeSize") or "")
            usd = int(size.removesuffix("Gi")) * _USD_A_GB if size.endswith("Gi") and size[:-2].isdigit() else None
            yield Found(
                path,
                "every node leaves its volume behind, and it is billed from then on",
                fix="write true",
                proof=f"{dollars(usd)} a month for each node that ever was" if usd else "",
                edits=(Set(path, True),),
            )
