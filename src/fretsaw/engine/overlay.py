"""NodeOverlays: corrections of prices and capacities, applied to each pool's catalog before anything is planned.

Source: Karpenter v1.14 pkg/controllers/nodeoverlay, pkg/cloudprovider/overlay.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from fretsaw.api.catalog import Catalog, InstanceType, Offering
from fretsaw.api.labels import CAPACITY_TYPE, INSTANCE_TYPE, NODEPOOL, ZONE, normalize
from fretsaw.api.nodeoverlay import NodeOverlay
from fretsaw.api.nodepool import NodePool
from fretsaw.engine.cluster import Cluster
from fretsaw.engine.requirement import Requirement
from fretsaw.engine.requirements import Requirements

_RESTRICTED = frozenset(
    {
        "cpu",
        "memory",
        "ephemeral-storage",
        "pods",
        "vpc.amazonaws.com/pod-eni",
        "vpc.amazonaws.com/efa",
        "aws.amazon.com/neuron",
        "aws.amazon.com/neuroncore",
        "habana.ai/gaudi",
    }
)
"""Resources that an overlay may not set."""


class _Claim(msgspec.Struct, frozen=True):
    """Who set a value first, with what weight."""

    weight: int
    value: str


def overlaid(cluster: Cluster) -> tuple[dict[str, Catalog], list[str]]:
    """(each pool's catalog with the overlays applied, one note for each overlay that was left out).

    Overlays go by weight, then name, both descending. An overlay that would set a price or a resource that one of equal
    weight has set on the same type of the same pool is in conflict and left out as a whole.
    """
    if not cluster.overlays:
        return dict(cluster.catalogs), []
    order = sorted(cluster.overlays, key=lambda o: o.metadata.name, reverse=True)
    order.sort(key=lambda o: -(o.spec.weight or 0))
    store: dict[tuple[str, str, str], _Claim] = {}
    notes = []
    pools = [p for p in cluster.pools if p.metadata.name in cluster.catalogs]
    for overlay in order:
        changes = _changes(overlay, pools, cluster.catalogs)
        refused = sorted(set(overlay.spec.capacity) & _RESTRICTED)
        clash = next((k for k in changes if k in store and store[k].weight == (overlay.spec.weight or 0)), None)
        if refused:
            notes.append(f"nodeoverlay/{overlay.metadata.name} is left out: it may not set {', '.join(refused)}")
        elif clash is not None:
            what = "price" if clash[2].startswith("price ") else f"capacity {clash[2]}"
            notes.append(
                f"nodeoverlay/{overlay.metadata.name} is left out: another overlay of equal weight sets the {what} of "
                f"{clash[1]} in nodepool/{clash[0]}"
            )
        else:
            for key, value in changes.items():
                store.setdefault(key, _Claim(overlay.spec.weight or 0, value))
    by_pool: dict[str, dict[tuple[str, str], str]] = {}
    for (pool, name, what), claim in store.items():
        by_pool.setdefault(pool, {})[name, what] = claim.value
    return {p: _changed(c, by_pool[p]) if p in by_pool else c for p, c in cluster.catalogs.items()}, notes


def _changes(
    overlay: NodeOverlay, pools: list[NodePool], catalogs: Mapping[str, Catalog]
) -> dict[tuple[str, str, str], str]:
    """What an overlay sets: (pool, type, `price <offering>` or resource) → text."""
    wanted = Requirements(Requirement.of(normalize(r.key), r.operator, r.values) for r in overlay.spec.requirements)
    price = overlay.spec.price or overlay.spec.price_adjustment
    found: dict[tuple[str, str, str], str] = {}
    for pool in pools:
        name = pool.metadata.name
        labels = [
            Requirement(NODEPOOL, (name,)),
            *Requirements.of_labels(pool.spec.template.metadata.labels),
        ]
        catalog = catalogs[name]
        keys = {normalize(k) for t in catalog.instance_types for k in t.labels}
        for instance_type in catalog.instance_types:
            has = Requirements([*labels, *_type_requirements(instance_type, keys)])
            if has.conflict(wanted) is not None:
                continue
            offerings = [o for o in instance_type.offerings if _matches(o, wanted)]
            if not offerings:
                continue
            if price:
                for offering in offerings:
                    found[name, instance_type.name, f"price {_identity(offering)}"] = price
            for resource, quantity in overlay.spec.capacity.items():
                found[name, instance_type.name, resource] = str(quantity)
    return found


def _type_requirements(instance_type: InstanceType, keys: set[str]) -> list[Requirement]:
    labels = {normalize(k): v for k, v in instance_type.labels.items()}
    return [
        Requirement(INSTANCE_TYPE, (instance_type.name,)),
        Requirement(ZONE, {o.zone for o in instance_type.offerings}),
        Requirement(CAPACITY_TYPE, {o.capacity_type for o in instance_type.offerings}),
        *(Requirement(key, labels.get(key, ())) for key in sorted(keys)),
    ]


def _matches(offering: Offering, wanted: Requirements) -> bool:
    labels = {ZONE: offering.zone, CAPACITY_TYPE: offering.capacity_type}
    labels.update((normalize(k), v) for k, v in offering.labels.items())
    return Requirements.of_labels(labels).conflict(wanted, None) is None


def _identity(offering: Offering) -> str:
    return f"{offering.zone} {offering.capacity_type} {sorted(offering.labels.items())}"


def _changed(catalog: Catalog, changes: Mapping[tuple[str, str], str]) -> Catalog:
    replace = msgspec.structs.replace
    types = []
    for instance_type in catalog.instance_types:
        name = instance_type.name
        offerings = [
            replace(o, price=adjusted(o.price, changes[key]), price_source="nodeoverlay") if key in changes else o
            for o in instance_type.offerings
            for key in [(name, f"price {_identity(o)}")]
        ]
        capacity = {r: q for (t, r), q in changes.items() if t == name and not r.startswith("price ")}
        types.append(replace(instance_type, offerings=offerings, capacity={**instance_type.capacity, **capacity}))
    return replace(catalog, instance_types=types)


def adjusted(price: float, change: str) -> float:
    """The price after a change: `x` replaces it, `±x` adds, `±x%` scales; never below 0."""
    if change[0] not in "+-":
        return float(change)
    amount = price * float(change[:-1]) / 100 if change.endswith("%") else float(change)
    return max(round(price + amount, 9), 0.0)
