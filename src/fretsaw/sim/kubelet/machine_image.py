"""What a node class says about the machine: its image, and the disk that container images are written to.

Source: AWS provider v1.14 (AMI families by alias; Bottlerocket's data volume is /dev/xvdb, instance stores as RAID0).
"""

from __future__ import annotations

from fretsaw.api.nodeclass import EC2NodeClass, EC2NodeClassSpec
from fretsaw.sim.gpu_stack import NodeImage
from fretsaw.sim.kubelet.settings import NodeSettings

_DEFAULT: NodeImage = "al2023-operator"


def image_of(settings: NodeSettings, name: str, node_class: EC2NodeClass | None) -> NodeImage:
    """The image of a node of this class; the settings' word goes before the class's. name: of the class."""
    named = settings.images.get(name) or settings.image
    if named is not None:
        return named
    spec = _spec(node_class)
    if spec is None:
        return _DEFAULT
    aliased = any((term.alias or "").startswith("bottlerocket@") for term in spec.ami_selector_terms)
    return "bottlerocket" if aliased or spec.ami_family == "Bottlerocket" else _DEFAULT


def disk_of(settings: NodeSettings, image: NodeImage, node_class: EC2NodeClass | None) -> int | None:
    """MiB a second of the volume with the container images; None for an instance store, which is fast enough."""
    spec = _spec(node_class)
    if spec is None:
        return settings.disk_mib_per_s
    if spec.instance_store_policy == "RAID0":
        return None
    data = "/dev/xvdb" if image == "bottlerocket" else "/dev/xvda"
    mappings = spec.block_device_mappings
    chosen = next((m for m in mappings if m.root_volume), None)
    chosen = chosen or next((m for m in mappings if m.device_name == data), None)
    told = chosen.ebs.throughput if chosen is not None and chosen.ebs is not None else None
    return told or settings.disk_mib_per_s


def _spec(node_class: EC2NodeClass | None) -> EC2NodeClassSpec | None:
    return node_class.spec if node_class is not None else None
