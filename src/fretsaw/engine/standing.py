"""Where the pods of a pass stand, and what that allows the next one.

Places are grouped by the requirement that they have for each topology key, so that a group is asked once for all places
of a zone; the host name needs no grouping, since groups of the host name keep masks of places themselves.
"""

from __future__ import annotations

from collections.abc import Iterator

from fretsaw.api.labels import HOSTNAME
from fretsaw.api.node import Taint
from fretsaw.engine.groups import ANTI_AFFINITY, NODES, OPEN, Group
from fretsaw.engine.requirement import Requirement
from fretsaw.engine.requirements import Requirements
from fretsaw.engine.shape import Shape
from fretsaw.engine.topology import Topology
from fretsaw.engine.universe import Bits

_States = dict[str, dict[Requirement | None, Bits]]


class Standing:
    """The places of one pass by their topology requirements. The pass tells it of every change."""

    def __init__(self, topology: Topology) -> None:
        self._keys = topology.keys()
        self._states: tuple[_States, _States] = ({}, {})
        for key in self._keys:
            self._states[NODES][key], self._states[OPEN][key] = {}, {}

    @property
    def watches(self) -> bool:
        """Whether it has to be told of the places at all."""
        return bool(self._keys)

    def allowed(self, shape: Shape, space: int, places: Bits) -> Bits:
        """The places of `places` that every topology group of the pod admits for now."""
        for group in shape.host_groups:
            places = group.hosts(space, places, matches=shape.matches[group])
        for key, groups in shape.by_key:
            if not places:
                return 0
            reachable = 0
            for state, mask in self._states[space][key].items():
                if mask & places and self._passable(shape, key, groups, state, space):
                    reachable |= mask
            places &= reachable
        return places

    def _passable(
        self, shape: Shape, key: str, groups: tuple[Group, ...], state: Requirement | None, space: int
    ) -> bool:
        wanted = shape.mold.requirements.get(key)
        for alternative in shape.mold.alternatives:
            node = state
            for more in (wanted, alternative.get(key)):
                if more is not None:
                    node = more if node is None else node & more
            if node is None:
                if space == NODES:
                    return False
                node = Requirement(key, complement=True)
            if node and self._choices(shape, groups, node):
                return True
        return False

    def _choices(self, shape: Shape, groups: tuple[Group, ...], node: Requirement) -> tuple[Requirement, ...]:
        """The ways to narrow `node` that all groups of one key admit."""
        pod = shape.strict.get(node.key)
        found: tuple[Requirement, ...] = (node,)
        for group in groups:
            options = group.options(matches=shape.matches[group], pod=pod, node=node)
            found = tuple(both for a in found for o in options if (both := a & o))
        return found

    def narrowings(
        self, shape: Shape, space: int, base: Requirements, may_be_absent: frozenset[str] = frozenset()
    ) -> Iterator[Requirements]:
        """The requirements that a place with `base` would have, for each choice of domains that topology leaves."""
        results = [base]
        for key, groups in shape.by_key:
            node = base.get(key)
            if node is None:
                if space == NODES or key not in may_be_absent:
                    return
                node = Requirement(key, complement=True)
            choices = self._choices(shape, groups, node)
            results = [r.with_(choice) for r in results for choice in choices]
        yield from results

    def record(
        self,
        shape: Shape,
        space: int,
        bit: Bits,
        hostname: str,
        taints: tuple[Taint, ...],
        requirements: Requirements,
    ) -> None:
        """Count the pod in every group that sees it."""
        for group in shape.counted:
            node_filter = group.spec.node_filter
            if not node_filter.trivial and not node_filter.matches(taints, requirements):
                continue
            if group.key == HOSTNAME:
                group.record_host(hostname, space, bit)
                continue
            domain = requirements.get(group.key)
            if domain is None or domain.complement:
                continue
            if group.spec.kind == ANTI_AFFINITY or len(domain.values) == 1:
                for value in domain.values:
                    group.record(value)
        for group in shape.inverse:
            if group.key == HOSTNAME:
                group.record_host(hostname, space, bit)
            elif (domain := requirements.get(group.key)) is not None and not domain.complement:
                for value in domain.values:
                    group.record(value)

    def enter(self, space: int, bit: Bits, requirements: Requirements) -> None:
        """A place has these requirements from now on."""
        for key in self._keys:
            states = self._states[space][key]
            state = requirements.get(key)
            states[state] = states.get(state, 0) | bit

    def leave(self, space: int, bit: Bits, requirements: Requirements) -> None:
        """A place has these requirements no longer."""
        for key in self._keys:
            states = self._states[space][key]
            state = requirements.get(key)
            left = states[state] & ~bit
            if left:
                states[state] = left
            else:
                del states[state]
