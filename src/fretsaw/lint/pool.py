"""A NodePool, and what it can buy."""

from __future__ import annotations

from functools import cache, cached_property, lru_cache

import msgspec

from fretsaw.api.affinity import Toleration
from fretsaw.api.document import Document
from fretsaw.api.labels import REGION, ZONE
from fretsaw.api.node import Taint
from fretsaw.api.nodepool import NodePool
from fretsaw.api.selection import NodeSelectorRequirement
from fretsaw.engine.requirement import Requirement
from fretsaw.engine.requirements import Requirements
from fretsaw.engine.taints import untolerated
from fretsaw.engine.template import Template
from fretsaw.engine.universe import Bits, Universe
from fretsaw.lint.market import AWS_LABEL, DEVICES, NVIDIA, Offer, region_of, universe_of
from fretsaw.lint.views import View

SPEC = "spec.template.spec"
_AUTO_MODE = "eks.amazonaws.com/instance-"


@cache
def accelerated(universe: Universe) -> Bits:
    """The types with accelerators; those with a part of a GPU too, which have no device to ask for."""
    found = 0
    for resource in DEVICES:
        found |= universe.capacity_room.holding(resource, 1)
    for name in ("gpu-name", "accelerator-name"):
        found |= universe.satisfying(Requirement(AWS_LABEL + name, complement=True)) & universe.all
    return found & universe.all


@lru_cache(maxsize=65536)
def _untolerated(taints: tuple[Taint, ...], tolerations: tuple[Toleration, ...]) -> Taint | None:
    return untolerated(taints, tolerations)


def own_key(key: str) -> str:
    """EKS Auto Mode's labels of instance types are Karpenter's under another domain."""
    return key.replace(_AUTO_MODE, "karpenter.k8s.aws/instance-", 1) if key.startswith(_AUTO_MODE) else key


class Pool(View):
    """A NodePool. Static pools (`spec.replicas`) are pools, too."""

    def __init__(self, document: Document, region: str) -> None:
        super().__init__(document)
        assert isinstance(document.obj, NodePool)
        self.obj: NodePool = document.obj
        self.spec = self.obj.spec
        self.template = self.obj.spec.template.spec
        self._region = region

    @property
    def taints(self) -> tuple[Taint, ...]:
        """The taints that its nodes keep."""
        return self.template.taints

    def keeps_off(self, tolerations: tuple[Toleration, ...]) -> Taint | None:
        """The first taint that none of these covers; None where all are covered."""
        return _untolerated(self.taints, tolerations)

    @property
    def weight(self) -> int:
        """Its weight; 0 where it has none."""
        return self.spec.weight or 0

    @property
    def order(self) -> tuple[int, str]:
        """Sorts pools, reversed, as they are asked for a new node: by weight, then by the later name."""
        return self.weight, self.name

    @property
    def class_name(self) -> str:
        """The name of its node class."""
        return self.template.node_class_ref.name

    def numbers(self, key: str) -> list[int]:
        """The places in `requirements` that are about a label."""
        return [n for n, one in enumerate(self.template.requirements) if own_key(one.key) == key]

    def path_of(self, key: str) -> str:
        """The path of the first requirement about a label; the list's where there is none."""
        found = self.numbers(key)
        return f"{SPEC}.requirements[{found[0]}]" if found else f"{SPEC}.requirements"

    @cached_property
    def region(self) -> str:
        """Where its nodes are: what its requirements say, else where the linter was told."""
        for one in self.template.requirements:
            for value in one.values:
                if one.key == ZONE and (found := region_of(value)):
                    return found
                if one.key == REGION and one.operator == "In" and region_of(f"{value}a"):
                    return value
        return self._region

    @cached_property
    def universe(self) -> Universe:
        """All that is sold where it is."""
        return universe_of(self.region)

    @cached_property
    def mould(self) -> Template:
        """The engine's view of it, without daemon pods."""
        requirements = tuple(
            msgspec.structs.replace(one, key=own_key(one.key)) if isinstance(one, NodeSelectorRequirement) else one
            for one in self.template.requirements
        )
        template = msgspec.structs.replace(self.template, requirements=requirements)
        whole = msgspec.structs.replace(self.spec.template, spec=template)
        pool = msgspec.structs.replace(self.obj, spec=msgspec.structs.replace(self.spec, template=whole))
        return Template(pool, self.universe, ())

    @property
    def requirements(self) -> Requirements:
        """What every node of it is, as the engine reads it."""
        return self.mould.requirements

    @cached_property
    def offer(self) -> Offer:
        """What it can buy."""
        return Offer.of(self.universe, self.requirements)

    def offer_without(self, *keys: str) -> Offer:
        """What it could buy without its requirements about some labels."""
        return Offer.of(self.universe, self.requirements.without(*keys))

    def offer_with(self, requirement: Requirement) -> Offer:
        """What it could buy with one requirement more, or another one for that label."""
        return Offer.of(self.universe, self.requirements.replaced(requirement))

    @cached_property
    def resources(self) -> frozenset[str]:
        """The accelerators that its types have: one resource, several, or none."""
        offer = self.offer
        return frozenset(r for r in DEVICES if offer and self.universe.capacity_room.holding(r, 1) & offer.types)

    @cached_property
    def is_accelerated(self) -> bool:
        """Whether every type that it can buy has an accelerator, or a part of one."""
        return bool(self.offer) and not self.offer.types & ~accelerated(self.universe)

    @property
    def resource(self) -> str:
        """The accelerator that it is for; NVIDIA's where it has several."""
        return NVIDIA if NVIDIA in self.resources or not self.resources else min(self.resources)

    @property
    def is_static(self) -> bool:
        """Whether it has a fixed number of nodes."""
        return self.spec.replicas is not None

    @property
    def is_spot_only(self) -> bool:
        """Whether all that it can buy is Spot."""
        return self.offer.capacity_types == {"spot"}

    @cached_property
    def words(self) -> str:
        """Its name and its labels, to be searched for what it is meant for."""
        labels = self.spec.template.metadata.labels
        return " ".join((self.name, *labels, *labels.values(), *(t.key for t in self.taints))).lower()

    @property
    def is_for_training(self) -> bool:
        """Whether its name, labels or taints say so."""
        return "train" in self.words and "infer" not in self.words
