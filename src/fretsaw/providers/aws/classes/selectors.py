"""Selector terms as questions to EC2.

Of a term that says more than one thing the id counts before the name, the name before the tags; only a reservation's id
and tags are two questions. Terms that ask for ids are one question together, every other term is one of its own.
Source: AWS provider v1.14 pkg/providers/{subnet,securitygroup,capacityreservation,placementgroup,amifamily}.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import msgspec

from fretsaw.api.nodeclass import (
    AMISelectorTerm,
    CapacityReservationSelectorTerm,
    PlacementGroupSelector,
    SecurityGroupSelectorTerm,
    SubnetSelectorTerm,
)

ANY = "*"
_IMAGES_PAGE = 1000
_NETWORK_PAGE = 500
_RESERVATIONS_PAGE = 1000
_DEFAULT_OWNERS = ("self", "amazon")
"""Of images by name, so that nobody's public image of the same name is taken."""


class Query(msgspec.Struct, frozen=True):
    """One call: its name, the field of its answer that has the items, and what it is asked."""

    call: str
    field: str
    parameters: dict[str, Any]
    absent: tuple[str, ...] = ()
    """Codes that mean that there is no such thing."""
    paged: bool = True

    @property
    def key(self) -> bytes:
        """Equal for equal questions."""
        return msgspec.json.encode((self.call, self.parameters), order="deterministic")


def subnets(terms: Iterable[SubnetSelectorTerm]) -> tuple[Query, ...]:
    """All of `terms`."""
    found = list(terms)
    asked = [_filter("subnet-id", ids)] if (ids := [term.id for term in found if term.id]) else []
    asked += [_tags(term.tags) for term in found if not term.id and term.tags is not None]
    return tuple(_network("ec2:DescribeSubnets", "Subnets", filters) for filters in asked)


def security_groups(terms: Iterable[SecurityGroupSelectorTerm]) -> tuple[Query, ...]:
    """All of `terms`."""
    found = list(terms)
    asked = [_filter("group-id", ids)] if (ids := [term.id for term in found if term.id]) else []
    named = [term.name for term in found if term.name and not term.id]
    asked += [_filter("group-name", named)] if named else []
    asked += [_tags(term.tags) for term in found if not term.id and not term.name and term.tags is not None]
    return tuple(_network("ec2:DescribeSecurityGroups", "SecurityGroups", filters) for filters in asked)


def capacity_reservations(terms: Iterable[CapacityReservationSelectorTerm]) -> tuple[Query, ...]:
    """All of `terms`; only reservations that are active."""
    return tuple(query for term in terms for query in _reservation(term))


def _reservation(term: CapacityReservationSelectorTerm) -> Iterator[Query]:
    active = _filter("state", ("active",))
    if term.id:
        # A single id, as one that is gone fails the call.
        yield _reservations({"CapacityReservationIds": [term.id], "Filters": active})
    filters = [
        *(_filter("owner-id", (term.owner_id,)) if term.owner_id else ()),
        *(_filter("instance-match-criteria", (term.instance_match_criteria,)) if term.instance_match_criteria else ()),
        *_tags(term.tags),
    ]
    if filters or not term.id:
        yield _reservations({"Filters": [*filters, *active], "MaxResults": _RESERVATIONS_PAGE})


def _reservations(parameters: dict[str, Any]) -> Query:
    absent = ("InvalidCapacityReservationId.NotFound",)
    return Query("ec2:DescribeCapacityReservations", "CapacityReservations", parameters, absent)


def placement_group(selector: PlacementGroupSelector) -> Query:
    """The group, if it is available."""
    which = {"GroupIds": [selector.id]} if selector.id else {"GroupNames": [selector.name or ""]}
    parameters = {**which, "Filters": _filter("state", ("available",))}
    absent = ("InvalidPlacementGroup.Unknown", "InvalidPlacementGroupId.Malformed")
    return Query("ec2:DescribePlacementGroups", "PlacementGroups", parameters, absent, paged=False)


def images(terms: Iterable[AMISelectorTerm], of_parameters: Sequence[str] = ()) -> tuple[Query, ...]:
    """All of `terms` but aliases. of_parameters: the image ids that SSM parameters have come to, aliases' included."""
    found = [term for term in terms if not term.alias]
    ids = [*(term.id for term in found if term.id), *of_parameters]
    asked = [_image(_filter("image-id", _once(ids)))] if ids else []
    asked += [_image(*_named_image(term)) for term in found if not term.id and not term.ssm_parameter]
    return tuple(asked)


def _named_image(term: AMISelectorTerm) -> tuple[list[dict[str, Any]], tuple[str, ...]]:
    owners = (term.owner,) if term.owner else _DEFAULT_OWNERS if term.name else ()
    name = _filter("name", (term.name,)) if term.name else []
    return [*name, *_tags(term.tags)], owners


def _image(filters: list[dict[str, Any]], owners: Sequence[str] = ()) -> Query:
    parameters: dict[str, Any] = {
        "Filters": [*filters, *_filter("state", ("available",))],
        # Deprecated images are still better than none.
        "IncludeDeprecated": True,
        "MaxResults": _IMAGES_PAGE,
    }
    if owners:
        parameters["Owners"] = list(owners)
    return Query("ec2:DescribeImages", "Images", parameters)


def _network(call: str, field: str, filters: list[dict[str, Any]]) -> Query:
    given = {"Filters": filters} if filters else {}
    return Query(call, field, {**given, "MaxResults": _NETWORK_PAGE})


def _tags(tags: Mapping[str, str] | None) -> list[dict[str, Any]]:
    """All have to be there; the value `*` asks for the key alone. EC2 itself knows `*` and `?` inside of a value."""
    return [
        {"Name": "tag-key", "Values": [key]} if value == ANY else {"Name": f"tag:{key}", "Values": [value]}
        for key, value in sorted((tags or {}).items())
    ]


def _filter(name: str, values: Iterable[str]) -> list[dict[str, Any]]:
    return [{"Name": name, "Values": list(values)}]


def _once(ids: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(ids))
