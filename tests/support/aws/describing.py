"""What moto describes wrongly or not at all: pages, spot prices, reservations, placement groups, status, new instances.

Each function takes the place of the method of that name of moto's EC2Response.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from typing import Any

from support.aws.world import is_shown, world

Method = Callable[[Any], Any]
_PRODUCT = "Linux/UNIX"
_FAILING = {"instance-status.status": "InstanceStatus", "system-status.status": "SystemStatus"}


def _result(value: dict[str, Any]) -> Any:
    from moto.core.responses import ActionResult

    return ActionResult(value)


def _refuse(code: str, message: str) -> Exception:
    from moto.ec2.exceptions import EC2ClientError

    return EC2ClientError(code, message)


def _page(self: Any, field: str, items: list[Any], largest: int) -> Any:
    """One page, as MaxResults and NextToken want it; `largest` where nothing is said."""
    start = int(self._get_param("NextToken") or 0)
    end = start + min(int(self._get_param("MaxResults") or largest), largest)
    return _result({field: items[start:end], "NextToken": str(end) if end < len(items) else None})


def describe_instance_types(self: Any) -> Any:
    """In pages of at most 100; unless `every_type`, only the types that tests use."""
    self.error_on_dryrun()
    names = self._get_param("InstanceTypes", [])
    found = _once(self, names, self._filters_from_querystring())
    if not names and not world().every_type:
        found = [one for one in found if is_shown(one["InstanceType"])]
    return _page(self, "InstanceTypes", found, 100)


_DESCRIBED: dict[str, list[Any]] = {}


def _once(self: Any, names: list[str], filters: dict[str, Any]) -> list[Any]:
    """moto's types, filtered once for all pages: to filter takes longer than all the rest."""
    key = repr((self.region, names, sorted(filters.items())))
    if key not in _DESCRIBED:
        _DESCRIBED[key] = self.ec2_backend.describe_instance_types(names, filters)
    return _DESCRIBED[key]


def describe_instance_type_offerings(self: Any) -> Any:
    """In pages of at most 1,000."""
    self.error_on_dryrun()
    filters = self._filters_from_querystring()
    found = self.ec2_backend.describe_instance_type_offerings(self._get_param("LocationType"), filters)
    if not world().every_type:
        found = [one for one in found if is_shown(one["InstanceType"])]
    return _page(self, "InstanceTypeOfferings", found, 1000)


def describe_spot_price_history(self: Any) -> Any:
    """The present price of each type in each zone, of both products that Linux nodes are."""
    self.error_on_dryrun()
    names, products = set(self._get_param("InstanceTypes", [])), self._get_param("ProductDescriptions", [])
    offered = self.ec2_backend.describe_instance_type_offerings("availability-zone", {})
    now = datetime.now(UTC)
    rows = []
    for one in offered:
        name, zone = one["InstanceType"], one["Location"]
        if (names and name not in names) or not (world().every_type or is_shown(name)):
            continue
        if (price := world().spot(name, zone)) is None:
            continue
        shared = {"InstanceType": name, "AvailabilityZone": zone, "SpotPrice": f"{price:.6f}", "Timestamp": now}
        rows += [shared | {"ProductDescription": product} for product in products or [_PRODUCT]][:1]
    return _page(self, "SpotPriceHistory", rows, 1000)


def describe_capacity_reservations(self: Any) -> Any:
    """Those that the test has made."""
    self.error_on_dryrun()
    known, ids = world().reservations, self._get_param("CapacityReservationIds", [])
    if missing := [one for one in ids if one not in known]:
        text = f"The capacity reservation '{missing[0]}' does not exist"
        raise _refuse("InvalidCapacityReservationId.NotFound", text)
    fields = {
        "state": "State",
        "owner-id": "OwnerId",
        "instance-type": "InstanceType",
        "availability-zone": "AvailabilityZone",
        "instance-match-criteria": "InstanceMatchCriteria",
    }
    found = [
        {**entry, "AvailableInstanceCount": left(self.ec2_backend, entry)}
        for name, entry in sorted(known.items())
        if (not ids or name in ids) and _passes(entry, self._filters_from_querystring(), fields)
    ]
    return _page(self, "CapacityReservations", found, 1000)


def left(ec2: Any, entry: dict[str, Any]) -> int:
    """Instances that a reservation still has: its count, less those that are there."""
    used: int = sum(
        getattr(one, "capacity_reservation_id", "") == entry["CapacityReservationId"]
        for one in ec2.all_instances()
        if one.state != "terminated"
    )
    total: int = entry["AvailableInstanceCount"]
    return total - int(used)


def describe_placement_groups(self: Any) -> Any:
    """Those that the test has made."""
    self.error_on_dryrun()
    known = world().placement_groups.values()
    ids, names = self._get_param("GroupIds", []), self._get_param("GroupNames", [])
    missing = [one for one in ids if one not in {entry["GroupId"] for entry in known}]
    missing += [one for one in names if one not in {entry["GroupName"] for entry in known}]
    if missing:
        raise _refuse("InvalidPlacementGroup.Unknown", f"The Placement Group '{missing[0]}' is unknown.")
    fields = {"state": "State", "strategy": "Strategy", "group-name": "GroupName"}
    found = [
        entry
        for entry in known
        if (not ids or entry["GroupId"] in ids)
        and (not names or entry["GroupName"] in names)
        and _passes(entry, self._filters_from_querystring(), fields)
    ]
    return _result({"PlacementGroups": found})


def _passes(entry: dict[str, Any], filters: dict[str, list[str]], fields: dict[str, str]) -> bool:
    tags = {tag["Key"]: tag["Value"] for tag in entry.get("Tags", [])}
    for name, values in filters.items():
        if name == "tag-key":
            seen = list(tags)
        elif name.startswith("tag:"):
            seen = [tags[name[4:]]] if name[4:] in tags else []
        elif name in fields:
            seen = [str(entry.get(fields[name]))]
        else:
            raise _refuse("InvalidParameterValue", f"The filter '{name}' is invalid.")
        if not any(fnmatchcase(one, value) for one in seen for value in values):
            return False
    return True


def describe_instances(usual: Method) -> Method:
    """As moto's, but for new instances that nobody has heard of yet."""

    def describe(self: Any) -> Any:
        hidden = world().hidden
        now = {name for name, looks in hidden.items() if looks > 0}
        for name in now:
            hidden[name] -= 1
        if missing := now.intersection(self._get_param("InstanceIds", [])):
            text = f"The instance ID '{min(missing)}' does not exist"
            raise _refuse("InvalidInstanceID.NotFound", text)
        answer = usual(self)
        if now:
            answer.result["Reservations"] = [
                one for one in answer.result["Reservations"] if not any(i.id in now for i in one.instances)
            ]
        return answer

    return describe


def describe_instance_status(self: Any) -> Any:
    """Running instances, with what the test says of them; filters as the interruption loop uses them."""
    self.error_on_dryrun()
    ids, filters = self._get_param("InstanceIds", []), self._filters_from_querystring()
    everything = self._get_bool_param("IncludeAllInstances", False)
    found = []
    for instance in self.ec2_backend.all_instances():
        if (ids and instance.id not in ids) or not (everything or instance.state == "running"):
            continue
        told = _status(instance)
        if all(_status_passes(told, name, values) for name, values in filters.items()):
            found.append(told)
    return _page(self, "InstanceStatuses", found, 1000)


def _status(instance: Any) -> dict[str, Any]:
    return {
        "InstanceId": instance.id,
        "AvailabilityZone": instance.availability_zone,
        "InstanceState": {"Name": instance.state, "Code": instance.state_code},
        "InstanceStatus": instance.instance_status,
        "SystemStatus": instance.system_status,
        **world().statuses.get(instance.id, {}),
    }


def _status_passes(told: dict[str, Any], name: str, values: list[str]) -> bool:
    if name == "event.code":
        return any(event["Code"] in values for event in told.get("Events", []))
    if name in _FAILING:
        return told[_FAILING[name]]["Status"] in values
    raise _refuse("InvalidParameterValue", f"The filter '{name}' is invalid.")


def describe_launchless(usual: Method) -> Method:
    """A describing method of moto's that forgets what a dry run is."""

    def describe(self: Any) -> Any:
        self.error_on_dryrun()
        return usual(self)

    return describe


FORGET_DRY_RUN = (
    "describe_availability_zones",
    "describe_images",
    "describe_launch_templates",
    "describe_security_groups",
    "describe_subnets",
)
"""Methods that answer a dry run as if it were none."""

REPLACED: tuple[Method, ...] = (
    describe_instance_types,
    describe_instance_type_offerings,
    describe_spot_price_history,
    describe_capacity_reservations,
    describe_placement_groups,
    describe_instance_status,
)
