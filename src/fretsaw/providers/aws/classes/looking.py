"""Asks EC2 and SSM what a class's selectors find: one part for each selector, whatever becomes of the others.

Source: AWS provider v1.14 pkg/controllers/nodeclass (reasons, messages), pkg/providers/* (how long answers count).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from fretsaw.api.nodeclass import EC2NodeClassSpec, PlacementGroupSelector
from fretsaw.api.times import HOUR, MINUTE, Millis
from fretsaw.providers.aws.calls.asking import Asking, AwsError
from fretsaw.providers.aws.classes import aliases, images, networks, selectors
from fretsaw.providers.aws.classes import part as p
from fretsaw.providers.aws.classes.cluster import Known
from fretsaw.providers.aws.classes.memory import Memory
from fretsaw.providers.aws.classes.networks import NO_GROUP, Group
from fretsaw.providers.aws.classes.part import Part, Trouble, fails, holds, open_
from fretsaw.providers.aws.classes.selectors import Query

FOUND = MINUTE
"""How long what a selector found counts. Source: subnet, security group, image, reservation, placement group caches."""
ALIAS = 24 * HOUR
PARAMETER = 5 * MINUTE
KNOWN_GROUP = 24 * HOUR
"""How long a placement group is still used that cannot be asked for."""
DEPRECATED = 30 * MINUTE
"""How old a parameter's answer may be whose image is deprecated: a newer one may have taken its place."""
NO_VERSION = Trouble("EKS does not say the cluster's version of Kubernetes, which an alias's images depend on")
NO_IMAGES = "AMISelector did not match any AMIs"
NO_SUBNETS = "SubnetSelector did not match any Subnets"
NO_GROUPS = "SecurityGroupSelector did not match any SecurityGroups"
_MISSING = ("ParameterNotFound", "ParameterVersionNotFound")
Items = list[dict[str, Any]]
Value = str | Trouble | None
"""A parameter's: as it is, why it could not be asked for, or that there is none."""


class Looking:
    """The looks, and what they have found on the way. Answers are remembered by what was asked."""

    def __init__(self, aws: Asking, memory: Memory) -> None:
        self._aws, self._memory = aws, memory
        self._groups: dict[bytes, tuple[Group, Millis]] = {}
        self.instances_left: dict[str, int] = {}
        """Capacity reservation → instances that it had left when EC2 was last asked; no place for it in the status."""

    async def subnets(self, spec: EC2NodeClassSpec, now: Millis) -> Part:
        """`status.subnets`."""
        items, troubles = await self._all(selectors.subnets(spec.subnet_selector_terms), now)
        if found := networks.subnets(items):
            return holds(p.SUBNETS, troubles, subnets=found)
        return _nothing(fails(p.SUBNETS, "SubnetsNotFound", NO_SUBNETS, subnets=()), troubles)

    async def security_groups(self, spec: EC2NodeClassSpec, now: Millis) -> Part:
        """`status.securityGroups`."""
        items, troubles = await self._all(selectors.security_groups(spec.security_group_selector_terms), now)
        if found := networks.security_groups(items):
            return holds(p.GROUPS, troubles, security_groups=found)
        return _nothing(fails(p.GROUPS, "SecurityGroupsNotFound", NO_GROUPS, security_groups=()), troubles)

    async def capacity_reservations(self, spec: EC2NodeClassSpec, now: Millis, *, fresh: bool = False) -> Part:
        """`status.capacityReservations`, which may be none. fresh: ask even if it is known."""
        queries = selectors.capacity_reservations(spec.capacity_reservation_selector_terms)
        if fresh:
            for query in queries:
                self._memory.forget(query.key)
        items, troubles = await self._all(queries, now)
        found = networks.capacity_reservations(items, now)
        if troubles and not found:
            return open_(p.RESERVATIONS, *troubles)
        return holds(p.RESERVATIONS, troubles, capacity_reservations=found)

    async def placement_group(self, spec: EC2NodeClassSpec, now: Millis) -> Part:
        """Whether the group is there; the status does not keep it (see `group`)."""
        selector = spec.placement_group_selector
        if selector is None:
            return holds(p.PLACEMENT)
        try:
            found = await self._group(selector, now)
        except AwsError as error:
            trouble = Trouble.of(error)
            if error.retry:
                return open_(p.PLACEMENT, trouble)
            message = f"Failed to resolve placement group: {trouble.text}"
            return Part(p.PLACEMENT, "False", "PlacementGroupResolutionFailed", message, troubles=(trouble,))
        if not found.id:
            message = f'Placement group "{selector.id or selector.name}" not found'
            return fails(p.PLACEMENT, "PlacementGroupNotFound", message)
        return holds(p.PLACEMENT)

    async def group(self, spec: EC2NodeClassSpec, now: Millis) -> Group | None:
        """The class's placement group, for a day also where EC2 does not say; NO_GROUP where it wants none, or there is
        none. None where nobody knows."""
        if (selector := spec.placement_group_selector) is None:
            return NO_GROUP
        try:
            return await self._group(selector, now)
        except AwsError:
            known = self._groups.get(selectors.placement_group(selector).key)
            return known[0] if known is not None and now - known[1] < KNOWN_GROUP else None

    async def _group(self, selector: PlacementGroupSelector, now: Millis) -> Group:
        query = selectors.placement_group(selector)
        items = await self._found(query, now)
        found = next((networks.group(item) for item in items if item.get("GroupId")), NO_GROUP)
        self._groups[query.key] = (found, now)
        return found

    # Images

    async def images(self, spec: EC2NodeClassSpec, known: Known, now: Millis) -> Part:
        """`status.amis`. The cluster's version counts for aliases only."""
        terms = spec.ami_selector_terms
        if named := next((term.alias for term in terms if term.alias), None):
            return await self._of_alias(aliases.alias(named), known, now)
        names = [term.ssm_parameter for term in terms if term.ssm_parameter and not term.id]
        values = [await self._value(name, PARAMETER, now) for name in names]
        lost = tuple(value for value in values if isinstance(value, Trouble))
        ids = [value for value in values if isinstance(value, str) and value.startswith("ami-")]
        items, troubles = await self._all(selectors.images(terms, ids), now)
        found = [one for item in items for one in images.read(item, ((),), now)]
        return _images(found, lost + troubles)

    async def _of_alias(self, alias: aliases.Alias, known: Known, now: Millis) -> Part:
        if not known.kubernetes:
            return open_(p.AMIS, known.trouble or NO_VERSION)
        if why_not := aliases.unsupported(alias, known.kubernetes):
            return fails(p.AMIS, "UnsupportedAlias", why_not, amis=())
        parameters = aliases.parameters(alias, known.kubernetes)
        values = [await self._value(one.name, ALIAS, now) for one in parameters]
        lost = tuple(value for value in values if isinstance(value, Trouble))
        variants: dict[str, tuple[images.Variant, ...]] = {}
        for parameter, value in zip(parameters, values, strict=True):
            if isinstance(value, str) and value.startswith("ami-"):
                variants[value] = variants.get(value, ()) + parameter.variants
        items, troubles = await self._all(selectors.images((), tuple(variants)), now)
        found = [one for item in items for one in images.read(item, variants.get(item["ImageId"], ()), now)]
        self._doubt(parameters, values, {one.id for one in found if one.deprecated}, now)
        return _images(found, lost + troubles)

    def _doubt(
        self,
        parameters: Sequence[aliases.Parameter],
        values: Sequence[str | Trouble | None],
        old: set[str],
        now: Millis,
    ) -> None:
        """Ask again for what an alias's newest image is where the one that is known has been deprecated."""
        for parameter, value in zip(parameters, values, strict=True):
            asked = self._memory.asked(_key(parameter.name))
            if parameter.mutable and value in old and asked is not None and now - asked >= DEPRECATED:
                self._memory.forget(_key(parameter.name))

    async def _value(self, name: str, ttl: Millis, now: Millis) -> Value:
        """A parameter's value, None where there is no such parameter: an old release lacks some variant's image."""

        async def ask() -> str | None:
            try:
                answer = await self._aws.ask("ssm:GetParameter", Name=name)
            except AwsError as error:
                if error.code in _MISSING:
                    return None
                raise
            return str((answer.get("Parameter") or {}).get("Value") or "")

        try:
            value = await self._memory.get(_key(name), ttl, now, ask)
        except AwsError as error:
            return Trouble.of(error)
        # What was not there may be published any minute.
        asked = self._memory.asked(_key(name))
        if value is None and asked is not None and now - asked >= PARAMETER:
            self._memory.forget(_key(name))
        return value

    # Asking

    async def _all(self, queries: Iterable[Query], now: Millis) -> tuple[Items, tuple[Trouble, ...]]:
        """The items of all queries, and why some could not be asked."""
        items: Items = []
        troubles: list[Trouble] = []
        for query in queries:
            try:
                items += await self._found(query, now)
            except AwsError as error:
                troubles.append(Trouble.of(error))
        return items, tuple(dict.fromkeys(troubles))

    async def _found(self, query: Query, now: Millis) -> Items:
        async def ask() -> Items:
            try:
                items = await self._pages(query)
            except AwsError as error:
                if error.code in query.absent:
                    return []
                raise
            if query.field == "CapacityReservations":
                self.instances_left |= networks.instances_left(items)
            return items

        return await self._memory.get(query.key, FOUND, now, ask)

    async def _pages(self, query: Query) -> Items:
        if query.paged:
            return await self._aws.pages(query.call, query.field, **query.parameters)
        answer = await self._aws.ask(query.call, **query.parameters)
        return list(answer.get(query.field) or ())


def _images(found: Iterable[images.Image], troubles: tuple[Trouble, ...]) -> Part:
    if amis := images.amis(found):
        return holds(p.AMIS, tuple(dict.fromkeys(troubles)), amis=amis)
    return _nothing(fails(p.AMIS, "AMINotFound", NO_IMAGES, amis=()), tuple(dict.fromkeys(troubles)))


def _nothing(part: Part, troubles: tuple[Trouble, ...]) -> Part:
    """Nothing was found; where something could not be asked, nobody knows whether there is anything."""
    return open_(part.condition, *troubles) if troubles else part


def _key(parameter: str) -> tuple[str, str]:
    return ("ssm:GetParameter", parameter)
