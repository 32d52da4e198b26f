"""Root volumes with performance that is paid on every node

IOPS above 3,000 and throughput above 125 MiB/s of gp3 are billed for each node, whether used or not.

Why: What a volume may do at most is paid by the month and node. GPU machines have local NVMe that is faster and
included.

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
        - {deviceName: /dev/xvda, ebs: {volumeSize: 500Gi, volumeType: gp3, iops: 16000, throughput: 1000}}

Fix: Use the local disks (`instanceStorePolicy: RAID0`) for images and scratch data, and leave gp3 at its base.

Source: AWS EBS pricing, gp3 in us-east-1: $0.08 a GB-month, $0.005 an IOPS over 3,000, $0.04 a MiB/s over 125.
"""

from __future__ import annotations

from collections.abc import Iterator

from fretsaw.lint.found import Found
from fretsaw.lint.given import Input
from fretsaw.lint.market import HOURS_A_MONTH, dollars
from fretsaw.lint.rule import rule
from fretsaw.lint.tree import a_map
from fretsaw.lint.views import NodeClass

_BASE_IOPS, _BASE_THROUGHPUT = 3000, 125
_USD_IOPS, _USD_THROUGHPUT = 0.005, 0.04
_WORTH_USD = 30
"""A month and node; less is not worth a line."""


@rule("COST110", "info", on=NodeClass)
def volume_performance_paid(node_class: NodeClass, given: Input) -> Iterator[Found]:
    """gp3 volumes far above their base."""
    for number, mapping in node_class.mappings:
        ebs = a_map(mapping.get("ebs"))
        iops, throughput = ebs.get("iops"), ebs.get("throughput")
        if ebs.get("volumeType") != "gp3":
            continue
        extra = max((iops if isinstance(iops, int) else 0) - _BASE_IOPS, 0) * _USD_IOPS
        extra += max((throughput if isinstance(throughput, int) else 0) - _BASE_THROUGHPUT, 0) * _USD_THROUGHPUT
        if extra >= _WORTH_USD:
            yield Found(
                f"spec.blockDeviceMappings[{number}].ebs",
                f"{iops or _BASE_IOPS} IOPS and {throughput or _BASE_THROUGHPUT} MiB/s are paid on every node",
                fix="set instanceStorePolicy: RAID0 and leave gp3 at 3000 IOPS and 125 MiB/s",
                proof=f"over the base: {dollars(extra)} a month and node, on top of the volume's size",
                usd_per_hour=extra / HOURS_A_MONTH,
            )
