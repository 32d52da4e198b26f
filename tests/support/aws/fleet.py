"""CreateFleet as EC2 does it: by allocation strategy, with stock, refusals, reservations and errors for each pool.

moto's own takes the first override and never refuses. This one launches through moto's RunInstances, so that all the
rest of moto sees ordinary instances, and adds what those lack: spot request, reservation, profile, further interfaces.
"""

from __future__ import annotations

import secrets
from datetime import UTC, datetime
from typing import Any

import msgspec

from support.aws.describing import left
from support.aws.world import World, world

_SPOT_BY_PRIORITY = "capacity-optimized-prioritized"
_ON_DEMAND_BY_PRIORITY = "prioritized"
OUT = "InsufficientInstanceCapacity"
_OUT_TEXT = (
    "We currently do not have sufficient {type} capacity in the Availability Zone you requested ({zone}). "
    "Our system will be working on provisioning additional capacity."
)
_FULL_TEXT = "There are not enough free addresses in subnet '{subnet}' to satisfy the requested number of instances."


class RefusedError(Exception):
    """A pool that gives nothing: EC2's code and message."""


class Pool(msgspec.Struct, frozen=True):
    """One override of one launch template."""

    template: dict[str, Any]
    """The specification, with id and version."""
    data: dict[str, Any]
    """The template's data, with the override laid over it."""
    override: dict[str, Any]
    zone: str
    capacity: str

    @property
    def offering(self) -> tuple[str, str, str]:
        """As stock and prices have it."""
        return self.data.get("InstanceType", ""), self.zone, self.capacity

    @property
    def told(self) -> dict[str, Any]:
        """As the answer names it."""
        return {"LaunchTemplateSpecification": self.template, "Overrides": self.override}


def create_fleet(self: Any) -> Any:
    """The response method of EC2 for an instant fleet. self: moto's EC2Response."""
    from moto.core.responses import ActionResult

    asked = {
        name: self._get_param(name)
        for name in (
            "LaunchTemplateConfigs",
            "TargetCapacitySpecification",
            "SpotOptions",
            "OnDemandOptions",
            "TagSpecifications",
            "Type",
            "Context",
        )
    }
    pools = _pools(self.ec2_backend, asked)
    self.error_on_dryrun()
    return ActionResult(_once(self._get_param("ClientToken"), asked, lambda: _fleet(self.ec2_backend, asked, pools)))


def _once(token: str | None, asked: dict[str, Any], act: Any) -> Any:
    """What was answered to the same token before, else what is done now."""
    from moto.ec2.exceptions import EC2ClientError

    known, text = world().fleets, repr(asked)
    if token in known:
        if known[token][0] != text:
            raise EC2ClientError("IdempotentParameterMismatch", "The token was used with other parameters.")
        return known[token][1]
    answer = act()
    if token:
        known[token] = (text, answer)
    return answer


def _pools(ec2: Any, asked: dict[str, Any]) -> list[Pool]:
    """Every override, resolved. Raises what EC2 raises for a missing template or subnet."""
    capacity = (asked["TargetCapacitySpecification"] or {}).get("DefaultTargetCapacityType") or "on-demand"
    found = []
    for config in asked["LaunchTemplateConfigs"] or []:
        named = dict(config["LaunchTemplateSpecification"])
        if "LaunchTemplateId" in named:
            template = ec2.get_launch_template(template_id=named["LaunchTemplateId"])
        else:
            template = ec2.get_launch_template_by_name(name=named["LaunchTemplateName"])
        version = template.get_version(named.get("Version") or "$Default")
        named |= {"LaunchTemplateId": template.id, "Version": str(version.number)}
        named.pop("LaunchTemplateName", None)
        for override in config.get("Overrides") or [{}]:
            data = {**version.data, **override}
            zone = ec2.get_subnet(data["SubnetId"]).availability_zone if data.get("SubnetId") else ""
            found.append(Pool(named, data, dict(override), zone or data.get("AvailabilityZone", ""), capacity))
    return found


def _fleet(ec2: Any, asked: dict[str, Any], pools: list[Pool]) -> dict[str, Any]:
    wanted = int(asked["TargetCapacitySpecification"]["TotalTargetCapacity"])
    tags = _tags(asked["TagSpecifications"])
    fleet = f"fleet-{secrets.token_hex(16)}"
    told, errors = [], []
    ranked = sorted(enumerate(pools), key=lambda pair: (_rank(pair[1], asked), pair[0]))
    for _, pool in ranked:
        ids: list[str] = []
        try:
            while len(ids) < wanted:
                ids.append(_launch(ec2, pool, tags, fleet))
        except RefusedError as refused:
            errors.append(dict(zip(("ErrorCode", "ErrorMessage"), refused.args, strict=True)) | _about(pool))
        if ids:
            told.append({"InstanceIds": ids, "InstanceType": pool.data["InstanceType"]} | _about(pool))
        wanted -= len(ids)
        if not wanted:
            break
    return {"FleetId": fleet, "Instances": told, "Errors": errors}


def _about(pool: Pool) -> dict[str, Any]:
    return {"LaunchTemplateAndOverrides": pool.told, "Lifecycle": _lifecycle(pool)}


def _lifecycle(pool: Pool) -> str:
    return "spot" if pool.capacity == "spot" else "on-demand"


def _rank(pool: Pool, asked: dict[str, Any]) -> float:
    """What the allocation strategy orders by: the lower, the earlier."""
    options = asked["SpotOptions" if pool.capacity == "spot" else "OnDemandOptions"] or {}
    strategy = options.get("AllocationStrategy")
    if strategy in (_SPOT_BY_PRIORITY, _ON_DEMAND_BY_PRIORITY):
        return float(pool.override.get("Priority", "inf"))
    price = world().price(pool.offering)
    return float("inf") if price is None else price


def _launch(ec2: Any, pool: Pool, tags: dict[str, dict[str, str]], fleet: str) -> str:
    """One instance of a pool. Raises RefusedError."""
    now = world()
    _check(ec2, pool, now)
    kept = _reserve(ec2, pool, now)
    profile = _profile(ec2, pool)
    interfaces = pool.data.get("NetworkInterfaces") or [{}]
    merged = _tags(pool.data.get("TagSpecifications"))
    for kind, given in tags.items():
        merged[kind] = {**merged.get(kind, {}), **given}
    merged["instance"] = {**merged.get("instance", {}), "aws:ec2:fleet-id": fleet}
    reservation = ec2.run_instances(
        image_id=pool.data["ImageId"],
        count=1,
        user_data=pool.data.get("UserData"),
        security_group_names=[],
        security_group_ids=list(interfaces[0].get("Groups") or pool.data.get("SecurityGroupIds") or []),
        instance_type=pool.data["InstanceType"],
        is_instance_type_default=False,
        subnet_id=pool.data.get("SubnetId"),
        key_name=None,
        monitoring_state="enabled" if (pool.data.get("Monitoring") or {}).get("Enabled") else "disabled",
        metadata_options=pool.data.get("MetadataOptions") or {},
        tags=merged,
        lifecycle="spot" if pool.capacity == "spot" else None,
    )
    instance = reservation.instances[0]
    now.take(pool.offering, 1)
    now.launched.append(instance.id)
    _dress(ec2, instance, pool, kept, profile, interfaces)
    if now.hidden_looks:
        now.hidden[instance.id] = now.hidden_looks
    if now.dying:
        _die(instance, *now.dying.pop(0))
    return str(instance.id)


def _check(ec2: Any, pool: Pool, now: World) -> None:
    name, zone, _ = pool.offering
    if refusal := now.refusal(pool.offering):
        raise RefusedError(*refusal)
    if pool.data.get("ImageId") not in ec2.amis:
        raise RefusedError("InvalidAMIID.NotFound", f"The image id '[{pool.data.get('ImageId')}]' does not exist")
    if pool.data.get("SubnetId") in now.full_subnets:
        raise RefusedError("InsufficientFreeAddressesInSubnet", _FULL_TEXT.format(subnet=pool.data["SubnetId"]))
    left = now.left(pool.offering)
    if left is not None and left <= 0:
        raise RefusedError(OUT, _OUT_TEXT.format(type=name, zone=zone))


def _reserve(ec2: Any, pool: Pool, now: World) -> str:
    """The reservation that is used; empty without one."""
    wanted = pool.data.get("CapacityReservationSpecification") or {}
    target: str = (wanted.get("CapacityReservationTarget") or {}).get("CapacityReservationId", "")
    if not target:
        return ""
    entry = now.reservations.get(target)
    if entry is None:
        raise RefusedError("InvalidCapacityReservationId.NotFound", f"The reservation {target} does not exist")
    name, zone, _ = pool.offering
    if (entry["InstanceType"], entry["AvailabilityZone"]) != (name, zone) or left(ec2, entry) <= 0:
        raise RefusedError(
            "ReservationCapacityExceeded", "The requested reservation does not have sufficient capacity."
        )
    return target


def _profile(ec2: Any, pool: Pool) -> dict[str, str] | None:
    from moto.iam.models import iam_backends

    name = (pool.data.get("IamInstanceProfile") or {}).get("Name")
    if not name:
        return None
    profiles: Any = iam_backends[ec2.account_id]["aws"].instance_profiles
    for profile in profiles.values():
        if profile.name == name:
            return {"Arn": profile.arn, "Id": profile.id}
    raise RefusedError(
        "InvalidParameterValue",
        f"Value ({name}) for parameter iamInstanceProfile.name is invalid. Invalid IAM Instance Profile name",
    )


def _dress(
    ec2: Any, instance: Any, pool: Pool, kept: str, profile: dict[str, str] | None, interfaces: list[dict[str, Any]]
) -> None:
    """What moto leaves out of an instance of a fleet."""
    if pool.capacity == "spot":
        instance.spot_instance_request_id = f"sir-{secrets.token_hex(4)}"
    if profile:
        instance.iam_instance_profile = profile
    if kept:
        instance.capacity_reservation_id = kept
    market = (pool.data.get("InstanceMarketOptions") or {}).get("MarketType")
    if market in ("capacity-block", "interruptible-capacity-reservation"):
        instance.lifecycle = market
    wanted = pool.data.get("CapacityReservationSpecification") or {}
    instance.capacity_reservation_specification = {
        "CapacityReservationPreference": wanted.get("CapacityReservationPreference", "open"),
        **({"CapacityReservationTarget": {"CapacityReservationId": kept}} if kept else {}),
    }
    placed = pool.data.get("Placement") or {}
    instance.placement.tenancy = placed.get("Tenancy", "default")
    instance.placement.group_id = placed.get("GroupId")
    instance.placement.partition_number = placed.get("PartitionNumber")
    instance.placement.availability_zone_id = ec2.get_subnet(instance.subnet_id).availability_zone_id
    instance.client_token = None
    for number, wanted_interface in enumerate(interfaces):
        if number:
            instance.nics[number] = ec2.create_network_interface(
                ec2.get_subnet(instance.subnet_id), None, group_ids=list(wanted_interface.get("Groups") or [])
            )
        instance.nics[number].interface_type = wanted_interface.get("InterfaceType", "interface")


def _die(instance: Any, code: str, message: str) -> None:
    from moto.ec2.models.instances import StateReason

    instance._state.name, instance._state.code = "shutting-down", 32
    instance.state_reason = StateReason(message, code)
    instance._reason = f"{code}: {message} ({datetime.now(UTC):%Y-%m-%d %H:%M:%S} GMT)"


def _tags(specifications: Any) -> dict[str, dict[str, str]]:
    """Resource type → tags."""
    return {
        one["ResourceType"]: {tag["Key"]: tag.get("Value", "") for tag in one.get("Tags") or []}
        for one in specifications or []
    }
