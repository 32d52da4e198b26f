"""Labels of an EC2 instance type. A label whose value is unknown is left out, which means that it does not exist.

Source: Karpenter AWS provider v1.14 pkg/providers/instancetype types.go (computeRequirements).
"""

from __future__ import annotations

import re

from fretsaw.api import labels as keys
from fretsaw.providers.aws.nodeclass_view import NodeClassView
from fretsaw.providers.aws.snapshot import Device, TypeRow

_PREFIX = f"{keys.AWS_DOMAIN}/instance-"
_SCHEME = re.compile(r"(^[a-z]+)(\-[0-9]+tb)?([0-9]+).*\.")
_BOOL = {True: ["true"], False: ["false"]}


def kebab(text: str) -> str:
    """Lower case with dashes for spaces: `Radeon Pro V520` → `radeon-pro-v520`."""
    return text.lower().replace(" ", "-")


def labels(row: TypeRow, region: str, node_class: NodeClassView) -> dict[str, list[str]]:
    """Every label of a type but zone and capacity type, which its offerings carry."""
    return {
        keys.INSTANCE_TYPE: [row.name],
        keys.ARCH: [row.arch],
        keys.REGION: [region],
        **_system(row, node_class),
        **_names(row.name),
        **_machine(row),
        **_devices(row),
        keys.INSTANCE_TENANCY: ["default", "dedicated"],
        f"{keys.AWS_DOMAIN}/nitro-sandbox": _BOOL[row.has("n")],
    }


def _system(row: TypeRow, node_class: NodeClassView) -> dict[str, list[str]]:
    if not node_class.windows:
        return {keys.OS: ["linux"]}
    # An empty list is a key that no value satisfies: Windows runs on amd64 only.
    found = {keys.OS: ["windows"] if row.arch == "amd64" else []}
    if build := node_class.windows_build:
        found[keys.WINDOWS_BUILD] = [build]
    return found


def _names(name: str) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    if match := _SCHEME.match(name):
        found[_PREFIX + "category"] = [match.group(1)]
        found[_PREFIX + "generation"] = [match.group(3)]
    family, dot, size = name.partition(".")
    if dot and "." not in size:
        found[_PREFIX + "family"] = [family]
        found[_PREFIX + "size"] = [size]
    found[_PREFIX + "capability-flex"] = _BOOL["-flex" in family]
    return found


def _machine(row: TypeRow) -> dict[str, list[str]]:
    found = {
        _PREFIX + "cpu": [str(row.vcpus)],
        _PREFIX + "cpu-manufacturer": [kebab(row.cpu_manufacturer)],
        _PREFIX + "cpu-sustained-clock-speed-mhz": [str(row.clock_mhz)],
        _PREFIX + "memory": [str(row.memory_mib)],
        _PREFIX + "hypervisor": [row.hypervisor],
        _PREFIX + "encryption-in-transit-supported": _BOOL[row.has("e")],
    }
    optional = (("ebs-bandwidth", row.ebs_mbps), ("network-bandwidth", row.network_mbps), ("local-nvme", row.nvme_gb))
    found.update({_PREFIX + name: [str(value)] for name, value in optional if value is not None})
    return found


def _devices(row: TypeRow) -> dict[str, list[str]]:
    """A type with several different devices gets no device labels, only capacity."""
    found: dict[str, list[str]] = {}
    if len(row.gpus) == 1:
        gpu = row.gpus[0]
        found.update(_device("gpu", gpu, gpu.manufacturer))
        found[_PREFIX + "gpu-memory"] = [str(gpu.memory_mib)]
    if len(row.neuron) == 1:
        found.update(_device("accelerator", row.neuron[0], "aws"))
    elif len(row.accelerators) == 1 and not row.neuron:
        found.update(_device("accelerator", row.accelerators[0], row.accelerators[0].manufacturer))
    return found


def _device(kind: str, device: Device, manufacturer: str) -> dict[str, list[str]]:
    return {
        f"{_PREFIX}{kind}-name": [kebab(device.name)],
        f"{_PREFIX}{kind}-manufacturer": [kebab(manufacturer)],
        f"{_PREFIX}{kind}-count": [str(device.count)],
    }
