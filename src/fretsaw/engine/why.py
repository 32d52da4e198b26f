"""Why no pool took a pod: one refusal a pool, the nearest miss first, each naming the field to change.

Runs after a pass, for the pods that are left only: the hot path keeps no reasons.
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

from fretsaw.api.labels import CAPACITY_TYPE, ZONE
from fretsaw.api.resources import render
from fretsaw.engine.firstfit import DEFERRED, FirstFit
from fretsaw.engine.groups import OPEN, Group
from fretsaw.engine.places import OpenNode
from fretsaw.engine.plan import Refusal
from fretsaw.engine.ports import clash
from fretsaw.engine.requirement import Requirement
from fretsaw.engine.requirements import Conflict, Requirements
from fretsaw.engine.reservations import NONE_LEFT
from fretsaw.engine.shape import Kind, Shape
from fretsaw.engine.taints import untolerated
from fretsaw.engine.template import Template, min_values_unmet
from fretsaw.engine.universe import Bits

_Miss = tuple[int, str, str]
"""(how many hurdles were cleared, reason, field)."""
NO_MISS: _Miss = (9, "no place at the moment", "")


def refusals(done: FirstFit, kind: Kind) -> tuple[Refusal, ...]:
    """Why each pool refused a pod of this kind, with all its wishes given up; the nearest miss first."""
    shape = last_shape(done, kind)
    if shape.contradiction is not None:
        asked = f"the pod's own requirements for the label {shape.contradiction} contradict each other"
        return (Refusal("", asked, _field(shape, shape.contradiction)),)
    misses = [(miss(done, t, shape), i, t.name) for i, t in enumerate(done.prepared.templates)]
    misses.sort(key=lambda m: (-m[0][0], m[1]))
    found = [Refusal(name, reason, field) for (_, reason, field), _, name in misses]
    unusable = sorted(done.prepared.unusable.items())
    found.extend(Refusal(name, reason, f"nodepool/{name}") for name, reason in unusable)
    return tuple(found) or (Refusal("", "there is no NodePool that could make a node for it", "nodepool"),)


def last_shape(done: FirstFit, kind: Kind) -> Shape:
    """The kind's shape with every wish given up."""
    depth = len(kind.chain)
    while done.prepared.shape(kind, depth) is not None:
        depth += 1
    return kind.chain[-1]


def miss(done: FirstFit, template: Template, shape: Shape) -> _Miss:
    """The first hurdle that a new node of this pool fails for the pod."""
    taint = untolerated(template.taints, shape.mold.tolerations)
    if taint is not None:
        nearest = _miss_of_a_tolerant_pod(done, template, shape) == NO_MISS
        return 8 if nearest else 0, f"taint {taint} not tolerated", "pod spec.tolerations"
    return _miss_of_a_tolerant_pod(done, template, shape)


def _miss_of_a_tolerant_pod(done: FirstFit, template: Template, shape: Shape) -> _Miss:
    """The first hurdle behind the taints."""
    mold, universe = shape.mold, template.universe
    conflict = template.requirements.conflict(mold.requirements, universe.well_known)
    if conflict is not None:
        return 1, _conflict_text(conflict, universe.well_known), _field(shape, conflict.key)
    if not mold.on_new_hosts:
        return 1, "the pod asks for one host by name", "pod spec.affinity.nodeAffinity"
    node = OpenNode(template, len(done.open), template.types)
    base = template.requirements.merged(mold.requirements)
    matching = template.types & universe.compatible(base)
    if not matching:
        return 2, _no_type_text(template, mold.requirements), _field(shape, _culprit(template, mold.requirements))
    return _room_miss(done, template, shape, node, base) or _last_miss(done, template, shape, base)


def _room_miss(done: FirstFit, template: Template, shape: Shape, node: OpenNode, base: Requirements) -> _Miss | None:
    """Hurdles of size: room on any matching type, daemon ports, the pool's limits."""
    universe, mold = template.universe, shape.mold
    matching = template.types & universe.compatible(base)
    roomy = node.roomy(mold) & matching
    if not roomy:
        if mold.ports and (port := clash(mold.ports, [p for p, _ in template.daemon_ports])) is not None:
            return 3, f"host port {port} is taken by a daemon pod on every fitting type", "pod spec.containers[].ports"
        return 3, *_size_text(template, shape, matching)
    allowed = roomy & done._on_sale[template.name]
    if not allowed:
        return 5, *_limit_text(done, template, roomy)
    return None


def _last_miss(done: FirstFit, template: Template, shape: Shape, base: Requirements) -> _Miss:
    """Hurdles behind those: volumes, other pods, what is on sale, minValues, reservations."""
    universe, mold = template.universe, shape.mold
    node = OpenNode(template, len(done.open), done._on_sale[template.name])
    roomy = node.roomy(mold)
    reached = [b for b in mold.alternatives if base.conflict(b, universe.well_known) is None]
    if not reached:
        conflict = next(c for b in mold.alternatives if (c := base.conflict(b, universe.well_known)) is not None)
        return 4, f"its volumes are out of reach: {conflict}", "pod spec.volumes"
    for group in shape.host_groups:
        if not group.hosts(OPEN, node.bit, matches=shape.matches[group]):
            return 6, group.explain(None, None), _group_field(group)
    bases = [base.merged(b) for b in reached]
    blocked = _blocking_group(done, shape, bases, universe.well_known)
    if blocked is not None:
        return 6, *blocked
    narrowed = [n for b in bases for n in done.standing.narrowings(shape, OPEN, b, universe.well_known)] or bases
    on_sale = [(n, t) for n in narrowed if (t := roomy & universe.eligible(n))]
    if not on_sale:
        return (
            7,
            _not_on_sale_text(roomy, narrowed, template),
            f"nodepool/{template.name} spec.template.spec.requirements",
        )
    for requirements, types in on_sale:
        unmet = min_values_unmet(universe, requirements, types)
        if unmet:
            key, (have, need) = min(unmet.items())
            text = f"minValues {need} for {key} cannot be met: {have} left that fit the pod"
            return 8, text, f"nodepool/{template.name} spec.template.spec.requirements[{key}].minValues"
    if done.fit(node, shape) == DEFERRED:
        return 9, NONE_LEFT, "the reservation's size, or wait until one is free"
    return NO_MISS


def _conflict_text(conflict: Conflict, well_known: frozenset[str]) -> str:
    if conflict.existing is None:
        return f'no node of this pool has a label "{conflict.key}"{_hint(conflict.key, well_known)}'
    return f"{_asked(conflict.incoming)}, the pool allows {_allowed(conflict.existing)}"


def _asked(requirement: Requirement) -> str:
    return f"the pod asks for {requirement}"


def _allowed(requirement: Requirement) -> str:
    text = str(requirement)
    return text.removeprefix(requirement.key + " ")


def _hint(key: str, well_known: frozenset[str]) -> str:
    """A known label that the key looks like, if there is one."""
    tail = key.rpartition("/")[2]
    near = sorted(k for k in well_known if key in k or k.endswith("/" + tail))
    near = near or get_close_matches(key, sorted(well_known), n=1, cutoff=0.85)
    return f' (did you mean "{near[0]}"?)' if near else ""


def _culprit(template: Template, wanted: Requirements) -> str:
    """The requirement that alone leaves no type, or else the pair's later one."""
    left = template.types
    for requirement in wanted:
        left &= template.universe.satisfying(requirement)
        if not left:
            return requirement.key
    return ""


def _no_type_text(template: Template, wanted: Requirements) -> str:
    key = _culprit(template, wanted)
    requirement = wanted.get(key)
    if requirement is None:
        return "no instance type of this pool meets the pod's and the pool's requirements together"
    values = list(template.universe.values_of(key, template.types))
    shown = ", ".join(values[:6]) + (f" and {len(values) - 6} more" if len(values) > 6 else "")
    return f"no instance type of this pool has {requirement} (there are: {shown or 'none'})"


def _size_text(template: Template, shape: Shape, matching: Bits) -> tuple[str, str]:
    """The resource that no matching type has enough of, or that they do not have together."""
    for resource, amount in shape.mold.requests:
        if not template.room.holding(resource, amount) & matching:
            most = template.room.largest(resource, matching)
            text = f"asks {_amount(resource, amount)}, the most that a fitting type offers is {_amount(resource, most)}"
            return text, f"pod spec.containers[].resources.requests[{resource}]"
    asked = ", ".join(_amount(r, a) for r, a in shape.mold.requests if r != "pods")
    return f"no instance type of this pool has {asked} together", "pod spec.containers[].resources.requests"


def _amount(resource: str, amount: int) -> str:
    if resource in ("cpu", "memory"):
        return f"{resource} {render(resource, amount)}"
    return f"{render(resource, amount)} {resource}"


def _limit_text(done: FirstFit, template: Template, roomy: Bits) -> tuple[str, str]:
    """The limit that leaves no fitting type."""
    left = done.remaining[template.name]
    for resource, remaining in sorted(left.items()):
        if resource == "nodes":
            excluded = remaining == 0
        else:
            excluded = remaining < 0 or not roomy & ~template.universe.capacity_room.holding(resource, remaining + 1)
        if excluded:
            limit = render(resource, template.limits[resource])
            rest = render(resource, max(remaining, 0))
            text = f"the smallest fitting type exceeds what is left of its limit: {resource} {rest} of {limit}"
            return text, f"nodepool/{template.name} spec.limits[{resource}]"
    return "every fitting type exceeds one of its limits", f"nodepool/{template.name} spec.limits"


def _not_on_sale_text(roomy: Bits, bases: Iterable[Requirements], template: Template) -> str:
    universe = template.universe
    places = sorted(
        {
            f"{z} {c}"
            for b in bases
            for z in universe.values_of(ZONE, roomy)
            for c in universe.values_of(CAPACITY_TYPE, roomy)
            if _admits(b, ZONE, z) and _admits(b, CAPACITY_TYPE, c)
        }
    )
    where = ", ".join(places[:4]) + (f" and {len(places) - 4} more" if len(places) > 4 else "")
    return f"no fitting instance type is on sale in {where or 'any zone that is left'}"


def _admits(requirements: Requirements, key: str, value: str) -> bool:
    requirement = requirements.get(key)
    return requirement is None or requirement.has(value)


def _blocking_group(
    done: FirstFit, shape: Shape, bases: Iterable[Requirements], well_known: frozenset[str]
) -> tuple[str, str] | None:
    """The topology group that leaves a new node no domain."""
    for base in bases:
        if next(done.standing.narrowings(shape, OPEN, base, well_known), None) is not None:
            return None
    for base in bases:
        for key, groups in shape.by_key:
            node = base.get(key)
            if node is None and key not in well_known:
                return f'no node of this pool has the topology label "{key}"', "pod spec.topologySpreadConstraints"
            offered = node if node is not None else Requirement(key, complement=True)
            pod = shape.strict.get(key)
            for group in groups:
                if not group.options(matches=shape.matches[group], pod=pod, node=offered):
                    return group.explain(pod, node), _group_field(group)
            return groups[0].explain(pod, node), _group_field(groups[0])
    return None


def _group_field(group: Group) -> str:
    return {
        "topology spread": "pod spec.topologySpreadConstraints",
        "pod affinity": "pod spec.affinity.podAffinity",
    }.get(group.spec.kind, "pod spec.affinity.podAntiAffinity")


def _field(shape: Shape, key: str) -> str:
    """Where the pod asks for a label."""
    if any(key == name for name, _ in shape.wishes.selector):
        return f"pod spec.nodeSelector[{key}]"
    return "pod spec.affinity.nodeAffinity"
