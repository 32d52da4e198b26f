"""EC2's own answers as bundled with moto: instance types and their zones. Read from its files, no server started."""

from __future__ import annotations

import gzip
import json
from collections import defaultdict
from typing import Any, NamedTuple

from fretsaw.errors import UserError
from fretsaw.providers.aws import inputs
from fretsaw.providers.aws.ec2_rows import baseline_mbps, type_row, usable
from fretsaw.providers.aws.snapshot import Device, TypeRow

_SOURCE = "ec2-types"
_FOLDER = ("ec2", "resources")


class Offerings(NamedTuple):
    """Zones of a region, and the zones of each type as letters."""

    zones: dict[str, str]
    letters: dict[str, str]


def type_rows() -> list[TypeRow]:
    """Every type that the peer would see: hvm, on amd64 or arm64; and the documented ones that EC2's list lacks."""
    table = _bundle("instance_types.json.gz")
    rows = [_row(entry) for _, entry in sorted(table.items()) if usable(entry)]
    return rows + [row for row in _extra_rows() if row.name not in table]


def _row(entry: dict[str, Any]) -> TypeRow:
    known = inputs.network().get(entry["InstanceType"])
    return type_row(
        entry,
        network_mbps=known.mbps if known else baseline_mbps(entry),
        branch_interfaces=known.branch_interfaces if known else None,
        source=_SOURCE,
    )


def _extra_rows() -> list[TypeRow]:
    extra = inputs.extra_types()
    shared = extra.shared
    return [
        TypeRow(
            name=name,
            arch="amd64",
            vcpus=item.vcpus,
            memory_mib=item.memory_mib,
            cpu_manufacturer=shared.cpu_manufacturer,
            clock_mhz=shared.clock_mhz,
            ebs_mbps=item.ebs_mbps,
            network_mbps=inputs.network()[name].mbps,
            nvme_gb=item.nvme_gb,
            instance_storage_gb=item.nvme_gb,
            hypervisor="nitro",
            flags="aceos",
            ipv4_per_interface=item.ipv4_per_interface,
            default_card=0,
            card_interfaces=(item.interfaces,),
            efa_interfaces=None,
            branch_interfaces=inputs.network()[name].branch_interfaces,
            gpus=(Device(shared.gpu.name, shared.gpu.manufacturer, item.gpus, shared.gpu.memory_mib),),
            source=extra.source,
        )
        for name, item in extra.types.items()
    ]


def offerings(region: str) -> Offerings:
    """Zones of a region with their ids, and which zones offer each type.

    The two bundled lists, by zone name and by zone id, come from one account and name no pairs: a name and an id are
    the same zone when they offer the same types. Raises UserError when that does not tell them apart.
    """
    by_name = _zones_of(f"instance_type_offerings/availability-zone/{region}.json.gz")
    by_id = _zones_of(f"instance_type_offerings/availability-zone-id/{region}.json.gz")
    zones: dict[str, str] = {}
    letters: dict[str, str] = defaultdict(str)
    for zone, types in sorted(by_name.items()):
        same = [zone_id for zone_id, offered in sorted(by_id.items()) if offered == types]
        if len(same) != 1:
            raise UserError(region, "cannot tell the zone's id", zone, "leave the region out of the build")
        zones[zone] = same[0]
        for name in types:
            letters[name] += zone[-1]
    return Offerings(zones, dict(letters))


def _zones_of(name: str) -> dict[str, set[str]]:
    found: dict[str, set[str]] = defaultdict(set)
    for item in _bundle(name):
        found[item["Location"]].add(item["InstanceType"])
    return dict(found)


def _bundle(name: str) -> Any:
    path = inputs.bundled("moto").joinpath(*_FOLDER, name)
    return json.loads(gzip.decompress(path.read_bytes()))
