"""A root volume that is too small for GPU images

The node class serves GPU pools, and the volume that holds images has less than 100 GiB: 20 GiB where nothing is said.

Why: An image with CUDA and a model server unpacks to 20 to 40 GiB. The node fills up, pods are evicted for want of
disk, or the launch itself fails because the image's snapshot is larger than the volume.

Example:
    apiVersion: karpenter.k8s.aws/v1
    kind: EC2NodeClass
    metadata: {name: gpu}
    spec:
      amiSelectorTerms: [{alias: al2023@v20260801}]
      role: KarpenterNodeRole
      subnetSelectorTerms: [{tags: {karpenter.sh/discovery: ml}}]
      securityGroupSelectorTerms: [{tags: {karpenter.sh/discovery: ml}}]

Fix: Map the root device (`/dev/xvda`; Bottlerocket `/dev/xvdb`) with 100 GiB or more, or use the local disks for
images with `instanceStorePolicy: RAID0`.

Source: Karpenter AWS provider v1.14 (default 20Gi); sizes of NVIDIA's and vLLM's images (9 GiB packed and more).
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from fretsaw.lint.found import Found
from fretsaw.lint.given import Input
from fretsaw.lint.market import listed
from fretsaw.lint.rule import rule
from fretsaw.lint.tree import at
from fretsaw.lint.views import NodeClass

_LEAST_GIB = 100
_DEFAULT_GIB = 20
_UNITS = {"Gi": 1.0, "G": 0.93, "Ti": 1024.0, "T": 931.0}


@rule("AWS101", "warning", on=NodeClass)
def root_volume_too_small(node_class: NodeClass, given: Input) -> Iterator[Found]:
    """Classes of GPU pools whose images have little room."""
    pools = [pool for pool in given.pools_of(node_class) if pool.is_accelerated]
    for_gpus = bool(pools) or (not given.pools and "gpu" in node_class.name)
    if not for_gpus or not node_class.root_device or node_class.spec.get("instanceStorePolicy") == "RAID0":
        return
    root = next(((n, one) for n, one in node_class.mappings if one.get("deviceName") == node_class.root_device), None)
    if root is None and node_class.mappings:
        return  # AWS108 says it
    size = _gib(at(root[1], "ebs", "volumeSize")) if root else float(_DEFAULT_GIB)
    if size is None or size >= _LEAST_GIB:
        return
    yield Found(
        f"spec.blockDeviceMappings[{root[0]}].ebs.volumeSize" if root else "spec.blockDeviceMappings",
        f"{node_class.root_device} has {size:.0f} GiB{'' if root else ' by default'}: GPU images need 100 or more",
        fix=f"map {node_class.root_device} with volumeSize: 200Gi, or write instanceStorePolicy: RAID0",
        proof=f"used by {listed([pool.name for pool in pools])}" if pools else "",
    )


def _gib(value: object) -> float | None:
    match = re.fullmatch(r"(\d+)(Gi|G|Ti|T)", value) if isinstance(value, str) else None
    return int(match[1]) * _UNITS[match[2]] if match else None
