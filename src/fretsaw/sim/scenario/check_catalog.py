"""Whether the instance types and zones that a scenario names are in the catalog, once that is known."""

from __future__ import annotations

from collections.abc import Iterable
from fnmatch import fnmatchcase

from fretsaw.api.catalog import Catalog
from fretsaw.api.rules_text import near
from fretsaw.sim.scenario.cloud import Where
from fretsaw.sim.scenario.context import Context
from fretsaw.sim.scenario.expect import Expectation
from fretsaw.sim.scenario.faults import Fault


def check(context: Context, catalog: Catalog, expectations: Iterable[Expectation]) -> None:
    """Report types and zones of the scenario that no offering of the catalog has."""
    types = tuple(item.name for item in catalog.instance_types)
    zones = tuple(dict.fromkeys(offering.zone for item in catalog.instance_types for offering in item.offerings))
    cloud = context.scenario.cloud
    reclaims = cloud.spot.reclaims
    for where in (*cloud.stock, *reclaims.rates, *reclaims.bursts, *cloud.spot.prices.steps):
        _where(context, where, types, zones)
    for reservation in cloud.reservations:
        _known(context, context.path(reservation, "type"), (reservation.type,), types, "instance type")
        _known(context, context.path(reservation, "zone"), (reservation.zone,), zones, "zone")
    for fault in context.scenario.faults:
        for where in _of_fault(fault):
            _where(context, where, types, zones)
    texts = [" ".join(text.split()) for text in context.scenario.expect]
    for expectation in expectations:
        if expectation.query.type:
            path = f"expect[{texts.index(expectation.text)}]"
            _known(context, path, (expectation.query.type,), types, "instance type")


def _of_fault(fault: Fault) -> Iterable[Where]:
    fields = (getattr(fault, name) for name in fault.__struct_fields__)
    return (field for field in fields if isinstance(field, Where))


def _where(context: Context, where: Where, types: tuple[str, ...], zones: tuple[str, ...]) -> None:
    _known(context, context.path(where, "types"), where.types or (), types, "instance type")
    _known(context, context.path(where, "zones"), where.zones or (), zones, "zone")


def _known(context: Context, path: str, patterns: Iterable[str], known: tuple[str, ...], what: str) -> None:
    for pattern in patterns:
        if not any(fnmatchcase(name, pattern) for name in known):
            meant = near(pattern, known) if "*" not in pattern else ""
            context.report(path, f"the catalog has no such {what}", pattern, f"did you mean {meant}?" if meant else "")
