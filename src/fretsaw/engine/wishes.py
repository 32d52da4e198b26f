"""A pod's placement wishes, and how they are given up one by one when it finds no place.

Wishes are treated as requirements at first. After each failed attempt the first that applies is dropped, in this order:
a required node-affinity term (they are alternatives), the heaviest preferred pod affinity, pod anti-affinity and node
affinity, a ScheduleAnyway spread, and last the respect for PreferNoSchedule taints.

Source: Karpenter v1.14 pkg/controllers/provisioning/scheduling/preferences.go (Relax order).
"""

from __future__ import annotations

import msgspec

from fretsaw.api.affinity import (
    NodeSelectorRequirement,
    NodeSelectorTerm,
    PodAffinityTerm,
    Toleration,
    TopologySpreadConstraint,
)
from fretsaw.api.labels import normalize
from fretsaw.api.pod import PodSpec
from fretsaw.engine.requirement import Requirement
from fretsaw.engine.requirements import Requirements
from fretsaw.engine.taints import PREFER_NO_SCHEDULE, TOLERATE_PREFERENCES

SCHEDULE_ANYWAY = "ScheduleAnyway"


class Wishes(msgspec.Struct, frozen=True):
    """Everything in a pod's spec that decides where it may go, apart from resources, ports and volumes."""

    selector: tuple[tuple[str, str], ...]
    required_terms: tuple[NodeSelectorTerm, ...]
    preferred_nodes: tuple[NodeSelectorTerm, ...]
    affinity: tuple[PodAffinityTerm, ...]
    anti_affinity: tuple[PodAffinityTerm, ...]
    preferred_affinity: tuple[PodAffinityTerm, ...]
    preferred_anti_affinity: tuple[PodAffinityTerm, ...]
    spreads: tuple[TopologySpreadConstraint, ...]
    tolerations: tuple[Toleration, ...]

    @classmethod
    def of(cls, spec: PodSpec, *, respect_preferences: bool = True) -> Wishes:
        """The wishes of a pod; preferences heaviest first, or left out altogether."""
        affinity = spec.affinity
        nodes = affinity.node_affinity if affinity else None
        near = affinity.pod_affinity if affinity else None
        far = affinity.pod_anti_affinity if affinity else None
        keep = respect_preferences
        return cls(
            selector=tuple(sorted(spec.node_selector.items())),
            required_terms=nodes.required.node_selector_terms if nodes and nodes.required else (),
            preferred_nodes=tuple(
                t.preference for t in sorted(nodes.preferred if nodes and keep else (), key=lambda t: -t.weight)
            ),
            affinity=near.required if near else (),
            anti_affinity=far.required if far else (),
            preferred_affinity=tuple(
                t.pod_affinity_term for t in sorted(near.preferred if near and keep else (), key=lambda t: -t.weight)
            ),
            preferred_anti_affinity=tuple(
                t.pod_affinity_term for t in sorted(far.preferred if far and keep else (), key=lambda t: -t.weight)
            ),
            spreads=tuple(
                s for s in spec.topology_spread_constraints if keep or s.when_unsatisfiable != SCHEDULE_ANYWAY
            ),
            tolerations=spec.tolerations,
        )

    def relaxed(self, *, tolerate_preferences: bool) -> Wishes | None:
        """The wishes with one given up, None when none is left.

        tolerate_preferences: whether any pool has a PreferNoSchedule taint, so that tolerating those helps.
        """
        change = msgspec.structs.replace
        if len(self.required_terms) > 1:
            return change(self, required_terms=self.required_terms[1:])
        if self.preferred_affinity:
            return change(self, preferred_affinity=self.preferred_affinity[1:])
        if self.preferred_anti_affinity:
            return change(self, preferred_anti_affinity=self.preferred_anti_affinity[1:])
        if self.preferred_nodes:
            return change(self, preferred_nodes=self.preferred_nodes[1:])
        for i, spread in enumerate(self.spreads):
            if spread.when_unsatisfiable == SCHEDULE_ANYWAY:
                rest = list(self.spreads)
                rest[i] = rest[-1]
                return change(self, spreads=tuple(rest[:-1]))
        if tolerate_preferences and not self._tolerates_preferences():
            return change(self, tolerations=(*self.tolerations, TOLERATE_PREFERENCES))
        return None

    def _tolerates_preferences(self) -> bool:
        return any(t.effect == PREFER_NO_SCHEDULE and not t.key and t.operator == "Exists" for t in self.tolerations)

    def strict(self) -> Requirements:
        """What the node must have: the selector and the first required term."""
        return Requirements([*self._selected(), *(expressions(self.required_terms[0]) if self.required_terms else ())])

    def requirements(self) -> Requirements:
        """`strict` and the heaviest wish for a node, as if it were required."""
        if not self.preferred_nodes:
            return self.strict()
        return Requirements([*self.strict(), *expressions(self.preferred_nodes[0])])

    def contradiction(self) -> str | None:
        """The label for which the pod's own demands leave no value though one needs it, None when there is none.

        Differs: the peer reads `team In [red]` and `team DoesNotExist` together as the latter, and buys a node on which
        the pod will never run.
        """
        parts = [*self._selected(), *(expressions(self.required_terms[0]) if self.required_terms else ())]
        if self.preferred_nodes:
            parts += expressions(self.preferred_nodes[0])
        together = Requirements(parts)
        return next((p.key for p in parts if not p.forbids and not together.get(p.key)), None)

    def alternatives(self) -> tuple[Requirements, ...]:
        """The selector with each required term in turn: the nodes that count for a spread match one of these."""
        if not self.required_terms:
            return (Requirements(self._selected()),)
        return tuple(Requirements([*self._selected(), *expressions(term)]) for term in self.required_terms)

    def _selected(self) -> list[Requirement]:
        return [Requirement(normalize(key), (value,)) for key, value in self.selector]

    @property
    def any_preference(self) -> bool:
        """Whether something here could be given up."""
        return bool(
            len(self.required_terms) > 1
            or self.preferred_nodes
            or self.preferred_affinity
            or self.preferred_anti_affinity
            or any(s.when_unsatisfiable == SCHEDULE_ANYWAY for s in self.spreads)
        )


def expressions(term: NodeSelectorTerm) -> list[Requirement]:
    """A term's expressions as requirements."""
    return [requirement_of(e) for e in term.match_expressions]


def requirement_of(expression: NodeSelectorRequirement) -> Requirement:
    """One expression as a requirement, its key normalised."""
    return Requirement.of(normalize(expression.key), expression.operator, expression.values)
