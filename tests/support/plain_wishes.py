"""A pod's placement wishes the plain way, and the order in which they are given up."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from fretsaw.api.affinity import NodeSelectorTerm, PodAffinityTerm, Toleration, TopologySpreadConstraint
from fretsaw.api.labels import normalize
from fretsaw.api.node import Taint
from fretsaw.api.pod import PodSpec
from support import plain_requirements as rq


@dataclass(frozen=True)
class Wishes:
    """Lists in the order in which they are dropped: from the front."""

    selector: rq.Needs
    terms: list[NodeSelectorTerm]
    preferred: list[NodeSelectorTerm]
    near: list[PodAffinityTerm]
    far: list[PodAffinityTerm]
    preferred_near: list[PodAffinityTerm]
    preferred_far: list[PodAffinityTerm]
    spreads: list[TopologySpreadConstraint]
    tolerations: tuple[Toleration, ...]

    def strict(self) -> rq.Needs:
        """The selector and the first required term."""
        return rq.merged(self.selector, _needs(self.terms[0])) if self.terms else self.selector

    def needs(self) -> rq.Needs:
        """The same, and the first preferred term as if it were required."""
        return rq.merged(self.strict(), _needs(self.preferred[0])) if self.preferred else dict(self.strict())

    def ways(self) -> list[rq.Needs]:
        """The selector with each required term."""
        return [rq.merged(self.selector, _needs(t)) for t in self.terms] or [self.selector]

    def contradicts_itself(self) -> bool:
        """Whether a label that has to be there is left without any value."""
        return any(
            rq.is_empty(rules) and not all(rq.absence_will_do((r,)) for r in rules) for rules in self.needs().values()
        )

    def relaxed(self, *, prefers: bool) -> Wishes | None:
        """One step: the first that applies of the documented order."""
        if len(self.terms) > 1:
            return replace(self, terms=self.terms[1:])
        for name in ("preferred_near", "preferred_far", "preferred"):
            if getattr(self, name):
                return replace(self, **{name: getattr(self, name)[1:]})
        soft = [i for i, s in enumerate(self.spreads) if s.when_unsatisfiable == "ScheduleAnyway"]
        if soft:
            rest = [*self.spreads[:-1]]
            if soft[0] < len(rest):
                rest[soft[0]] = self.spreads[-1]
            return replace(self, spreads=rest)
        everything = Toleration(operator="Exists", effect="PreferNoSchedule")
        if prefers and everything not in self.tolerations:
            return replace(self, tolerations=(*self.tolerations, everything))
        return None


def _needs(term: NodeSelectorTerm) -> rq.Needs:
    found: rq.Needs = {}
    for e in term.match_expressions:
        found = rq.merged(found, {normalize(e.key): ((e.operator, tuple(e.values)),)})
    return found


def wishes_of(spec: PodSpec) -> Wishes:
    """The wishes of a pod; among preferences the heaviest first."""
    affinity = spec.affinity
    nodes = affinity.node_affinity if affinity else None
    near = affinity.pod_affinity if affinity else None
    far = affinity.pod_anti_affinity if affinity else None
    return Wishes(
        selector=rq.of_labels({normalize(k): v for k, v in spec.node_selector.items()}),
        terms=list(nodes.required.node_selector_terms) if nodes and nodes.required else [],
        preferred=[t.preference for t in sorted(nodes.preferred, key=lambda t: -t.weight)] if nodes else [],
        near=list(near.required) if near else [],
        far=list(far.required) if far else [],
        preferred_near=[t.pod_affinity_term for t in sorted(near.preferred, key=lambda t: -t.weight)] if near else [],
        preferred_far=[t.pod_affinity_term for t in sorted(far.preferred, key=lambda t: -t.weight)] if far else [],
        spreads=list(spec.topology_spread_constraints),
        tolerations=spec.tolerations,
    )


def tolerated(taints: Iterable[Taint], tolerations: Iterable[Toleration]) -> bool:
    """Whether every taint is covered; every effect counts."""
    return all(any(_covers(t, taint) for t in tolerations) for taint in taints)


def _covers(toleration: Toleration, taint: Taint) -> bool:
    if toleration.effect not in ("", taint.effect):
        return False
    if toleration.operator == "Exists":
        return toleration.key in ("", taint.key)
    return (toleration.key, toleration.value) == (taint.key, taint.value)
