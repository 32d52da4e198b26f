"""What CreateFleet is asked, and what it answers: pure functions of values.

Source: Karpenter AWS provider v1.14 pkg/providers/instance (CreateFleet input, overrides, strategies).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from fretsaw.providers.aws.launch import marks

DEFAULT, BLOCK, INTERRUPTIBLE = "default", "capacity-block", "interruptible"
_TAGGED = ("instance", "volume", "fleet")
_INTERRUPTIBLE = "interruptible-capacity-reservation"


class Override(msgspec.Struct, frozen=True, order=True):
    """One offering that may be taken."""

    price: float
    type: str
    zone: str
    subnet_id: str
    image_id: str


class Config(msgspec.Struct, frozen=True):
    """A launch template, and the offerings that are launched by it."""

    template: str
    overrides: tuple[Override, ...]


class Buy(msgspec.Struct, frozen=True):
    """How instances are bought."""

    capacity_type: str
    """`on-demand`, `spot` or `reserved`."""
    reservation: str = ""
    """The kind of reservation of reserved ones: `default`, `capacity-block` or `interruptible`."""
    by_priority: bool = False
    """Whether prices of ours, which overlays have changed, decide; else EC2's own."""
    context: str = ""


class Made(msgspec.Struct, frozen=True):
    """An instance that a fleet launched."""

    id: str
    type: str
    zone: str
    subnet_id: str
    image_id: str


class Failed(msgspec.Struct, frozen=True):
    """An error of a fleet: of an offering, where it names one."""

    code: str
    message: str
    type: str = ""
    zone: str = ""
    subnet_id: str = ""


class Answer(msgspec.Struct, frozen=True):
    """What a fleet came to."""

    made: tuple[Made, ...]
    failed: tuple[Failed, ...]


def request(
    buy: Buy, configs: Sequence[Config], count: int, tags: Mapping[str, str], own: Mapping[str, str]
) -> dict[str, Any]:
    """The parameters of CreateFleet but its token. tags: of everything; own: more, of the instances alone."""
    every = {kind: {**tags, **own} if kind == "instance" else tags for kind in _TAGGED}
    found: dict[str, Any] = {
        "Type": "instant",
        "LaunchTemplateConfigs": [_config(config) for config in configs if config.overrides],
        "TargetCapacitySpecification": {
            "TotalTargetCapacity": count,
            "DefaultTargetCapacityType": _capacity_type(buy),
        },
        "TagSpecifications": [{"ResourceType": kind, "Tags": marks.as_list(every[kind])} for kind in _TAGGED],
        **_options(buy),
    }
    if buy.context:
        found["Context"] = buy.context
    return found


def _capacity_type(buy: Buy) -> str:
    if buy.capacity_type != "reserved":
        return buy.capacity_type
    return {BLOCK: "capacity-block", INTERRUPTIBLE: "reserved-capacity"}.get(buy.reservation, "on-demand")


def _options(buy: Buy) -> dict[str, Any]:
    if buy.capacity_type == "spot":
        strategy = "capacity-optimized-prioritized" if buy.by_priority else "price-capacity-optimized"
        return {"SpotOptions": {"AllocationStrategy": strategy}}
    if buy.capacity_type == "reserved" and buy.reservation == BLOCK:
        return {}
    if buy.capacity_type == "reserved" and buy.reservation == INTERRUPTIBLE:
        return {"ReservedCapacityOptions": {"ReservationTypes": [_INTERRUPTIBLE]}}
    return {"OnDemandOptions": {"AllocationStrategy": "prioritized" if buy.by_priority else "lowest-price"}}


def _config(config: Config) -> dict[str, Any]:
    return {
        "LaunchTemplateSpecification": {"LaunchTemplateName": config.template, "Version": "$Latest"},
        "Overrides": [
            {
                "InstanceType": one.type,
                "SubnetId": one.subnet_id,
                "ImageId": one.image_id,
                "AvailabilityZone": one.zone,
                "Priority": one.price,
            }
            for one in _once(config.overrides)
        ],
    }


def _once(overrides: Iterable[Override]) -> list[Override]:
    """The cheapest of each type and zone, in their order."""
    found: dict[tuple[str, str], Override] = {}
    for one in sorted(overrides):
        found.setdefault((one.type, one.zone), one)
    return list(found.values())


def answer(found: Mapping[str, Any]) -> Answer:
    """What CreateFleet says, in order of instance ids."""
    made = [_made(item, id_) for item in found.get("Instances") or () for id_ in item.get("InstanceIds") or ()]
    return Answer(tuple(sorted(made, key=lambda one: one.id)), tuple(map(_failed, found.get("Errors") or ())))


def _made(item: Mapping[str, Any], id_: str) -> Made:
    override = _override(item)
    return Made(
        id_,
        item.get("InstanceType") or override.get("InstanceType", ""),
        override.get("AvailabilityZone", ""),
        override.get("SubnetId", ""),
        override.get("ImageId", ""),
    )


def _failed(item: Mapping[str, Any]) -> Failed:
    override = _override(item)
    return Failed(
        item.get("ErrorCode", ""),
        item.get("ErrorMessage", ""),
        override.get("InstanceType", ""),
        override.get("AvailabilityZone", ""),
        override.get("SubnetId", ""),
    )


def _override(item: Mapping[str, Any]) -> Mapping[str, Any]:
    return (item.get("LaunchTemplateAndOverrides") or {}).get("Overrides") or {}
