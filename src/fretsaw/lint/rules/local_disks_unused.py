"""Local disks that are paid for and not used

The types of the class' GPU pools have local NVMe disks, and there is no `instanceStorePolicy`.

Why: The disks are part of the price, and invisible to pods: images and scratch data go to a slower volume that costs
extra.

Example:
    apiVersion: karpenter.k8s.aws/v1
    kind: EC2NodeClass
    metadata: {name: gpu}
    spec:
      amiSelectorTerms: [{alias: al2023@v20260801}]
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
          requirements: [{key: karpenter.k8s.aws/instance-gpu-name, operator: In, values: [a10g]}]
          nodeClassRef: {group: karpenter.k8s.aws, kind: EC2NodeClass, name: gpu}

Fix: Write `instanceStorePolicy: RAID0`: kubelet and containerd then live on the local disks.

Source: Karpenter documentation, instanceStorePolicy; EC2 instance types (instance storage).
"""

from __future__ import annotations

from collections.abc import Iterator

from fretsaw.lint.found import Found
from fretsaw.lint.given import Input
from fretsaw.lint.rule import rule
from fretsaw.lint.views import NodeClass


@rule("AWS111", "info", on=NodeClass)
def local_disks_unused(node_class: NodeClass, given: Input) -> Iterator[Found]:
    """Classes of GPU pools that leave instance stores alone."""
    if node_class.spec.get("instanceStorePolicy") or node_class.family not in ("al2023", "bottlerocket"):
        return
    for pool in given.pools_of(node_class):
        if not pool.is_accelerated:
            continue
        having = [name for name in pool.offer.names if pool.offer.label(name, "local-nvme")]
        if len(having) * 2 > len(pool.offer):
            size = int(pool.offer.label(having[0], "local-nvme"))
            yield Found(
                "spec.instanceStorePolicy",
                f"{len(having)} of {len(pool.offer)} types of pool {pool.name} have local disks, which pods cannot use",
                fix="write instanceStorePolicy: RAID0",
                proof=f"{having[0]} has {size} GB of NVMe in its price",
            )
            return
