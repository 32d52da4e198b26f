"""All that was read, as views, and how the objects hang together."""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from typing import Any, TypeVar

import msgspec

from fretsaw.api.document import Document
from fretsaw.api.manifest import Manifests
from fretsaw.api.nodepool import Disruption
from fretsaw.api.pod import VolumeClaimSpec
from fretsaw.api.problem import Problem
from fretsaw.api.storage import PersistentVolumeClaim
from fretsaw.lint.market import Offer
from fretsaw.lint.placing import Landing, place
from fretsaw.lint.pool import Pool
from fretsaw.lint.query import Query, queries_of
from fretsaw.lint.tree import a_map, at, maps, texts
from fretsaw.lint.views import Disrupting, NodeClass, Thing, Values, View
from fretsaw.lint.work import Work, selected, works_of

_OPERATOR_PARTS = {"driver", "toolkit", "devicePlugin", "dcgmExporter", "migManager", "gfd", "nfd", "mig", "cdi"}
_V = TypeVar("_V", bound=View)


class Input:
    """The input of one run. Immutable but for answers that are remembered."""

    def __init__(self, manifests: Manifests, region: str = "us-east-1") -> None:
        self.region = region
        self.documents = manifests.documents
        self.sound = tuple(document for document in manifests.documents if is_sound(document))
        self._landings: dict[int, tuple[tuple[Landing, ...], dict[str, str]]] = {}

    @cached_property
    def things(self) -> tuple[Thing, ...]:
        """Every map of the input, as a plain tree."""
        return tuple(Thing(document) for document in self.sound if isinstance(document.raw, dict))

    @cached_property
    def all_things(self) -> tuple[Thing, ...]:
        """The same with objects that have errors."""
        return tuple(Thing(document) for document in self.documents if isinstance(document.raw, dict))

    @cached_property
    def by_kind(self) -> dict[str, list[Thing]]:
        """Things by kind."""
        found: dict[str, list[Thing]] = defaultdict(list)
        for thing in self.things:
            found[thing.kind].append(thing)
        return found

    @cached_property
    def pools(self) -> tuple[Pool, ...]:
        """NodePools, in the order in which they are asked for a new node."""
        pools = [Pool(d, self.region) for d in self.sound if d.kind == "NodePool" and d.obj is not None]
        return tuple(sorted(pools, key=lambda pool: pool.order, reverse=True))

    @cached_property
    def classes(self) -> tuple[NodeClass, ...]:
        """EC2NodeClasses."""
        return tuple(NodeClass(d) for d in self.sound if d.kind == "EC2NodeClass" and d.obj is not None)

    @cached_property
    def works(self) -> tuple[Work, ...]:
        """Pod templates; those of PodTemplates, whose pods others make, left out."""
        return tuple(work for d in self.sound if d.kind != "PodTemplate" for work in works_of(d))

    @cached_property
    def queries(self) -> tuple[Query, ...]:
        """PromQL expressions."""
        return tuple(query for d in self.sound for query in queries_of(d))

    @cached_property
    def values(self) -> tuple[Values, ...]:
        """Values of the GPU Operator, and its ClusterPolicies."""
        return tuple(Values(d) for d in self.sound if _is_operator(d))

    @cached_property
    def disrupting(self) -> tuple[Disrupting, ...]:
        """The pools' disruption, and fragments of it."""
        found = [Disrupting(pool.document, pool.spec.disruption, "spec.disruption") for pool in self.pools]
        for document in self.sound:
            tree = a_map(document.raw).get("disruption")
            if not document.kind and isinstance(tree, dict):
                try:
                    found.append(Disrupting(document, msgspec.convert(tree, Disruption), "disruption"))
                except msgspec.ValidationError:
                    continue
        return tuple(found)

    def views(self, on: type | str, *, even_invalid: bool = False) -> Sequence[View]:
        """What a rule looks at."""
        if isinstance(on, str):
            if even_invalid:
                return [thing for thing in self.all_things if on in ("*", thing.kind)]
            return self.things if on == "*" else self.by_kind.get(on, [])
        found: Sequence[View] = getattr(self, _OF[on])
        return found

    def class_of(self, pool: Pool) -> NodeClass | None:
        """The node class that a pool names; of several with that name, the nearest."""
        return nearest(pool, [one for one in self.classes if one.name == pool.class_name])

    def pools_of(self, node_class: NodeClass) -> list[Pool]:
        """The pools that name a node class."""
        return [pool for pool in self.pools if pool.class_name == node_class.name and self.class_of(pool) is node_class]

    def pool_of(self, disrupting: Disrupting) -> Pool | None:
        """The pool whose disruption it is; None for a fragment."""
        return next((pool for pool in self.pools if pool.document is disrupting.document), None)

    @cached_property
    def _asked(self) -> tuple[Pool, ...]:
        """The pools, of several with one name the first: a cluster has only one."""
        return tuple({pool.name: pool for pool in reversed(self.pools)}.values())[::-1]

    def landing(self, work: Work) -> tuple[Landing, ...]:
        """The pools that would buy a node for a pod, in the order in which they are asked."""
        return self._landing(work)[0]

    def refusals(self, work: Work) -> dict[str, str]:
        """Why the other pools would not, by pool."""
        return self._landing(work)[1]

    def _landing(self, work: Work) -> tuple[tuple[Landing, ...], dict[str, str]]:
        known = self._landings.get(id(work))
        if known is None:
            found, refusals = [], {}
            for pool in self._asked:
                answer = place(pool, work)
                if isinstance(answer, Offer):
                    found.append(Landing(pool, answer))
                else:
                    refusals[pool.name] = answer
            known = self._landings[id(work)] = tuple(found), refusals
        return known

    def claims(self, work: Work) -> Iterator[tuple[int, str, VolumeClaimSpec | None]]:
        """(number of the volume, name of the claim, the claim if the input has it) of a pod's volumes."""
        for number, volume in enumerate(work.spec.volumes):
            if volume.persistent_volume_claim is not None:
                name = volume.persistent_volume_claim.claim_name
                yield number, name, self._claims.get((work.namespace, name))

    @cached_property
    def _claims(self) -> dict[tuple[str, str], VolumeClaimSpec]:
        found = (d.obj for d in self.sound if isinstance(d.obj, PersistentVolumeClaim))
        return {(claim.metadata.home, claim.metadata.name): claim.spec for claim in found}

    @cached_property
    def _homes(self) -> dict[str, list[Work]]:
        """Workloads by namespace."""
        found: dict[str, list[Work]] = defaultdict(list)
        for work in self.works:
            found[work.namespace].append(work)
        return found

    def works_in(self, namespace: str) -> list[Work]:
        """The workloads of a namespace."""
        return self._homes.get(namespace, [])

    def selected_by(self, thing: View) -> list[Work]:
        """The workloads of an object's namespace that its selector selects."""
        selector = at(thing.raw, "spec", "selector")
        return [work for work in self.works_in(thing.namespace) if selected(selector, work.pod_labels)]

    @cached_property
    def _budgets(self) -> dict[int, list[Thing]]:
        found: dict[int, list[Thing]] = defaultdict(list)
        for budget in self.by_kind.get("PodDisruptionBudget", ()):
            for work in self.selected_by(budget):
                found[id(work)].append(budget)
        return found

    def budgets_of(self, work: Work) -> list[Thing]:
        """The PodDisruptionBudgets that select a workload's pods."""
        return self._budgets.get(id(work), [])

    @cached_property
    def _landed(self) -> tuple[dict[int, list[Work]], dict[int, list[Work]]]:
        first: dict[int, list[Work]] = defaultdict(list)
        anyhow: dict[int, list[Work]] = defaultdict(list)
        for work in self.works:
            for number, one in enumerate(self.landing(work) if not work.is_daemon else ()):
                anyhow[id(one.pool)].append(work)
                if number == 0:
                    first[id(one.pool)].append(work)
        return first, anyhow

    def first_in(self, pool: Pool) -> list[Work]:
        """The workloads for which a pool is asked first; daemons left out."""
        return self._landed[0].get(id(pool), [])

    def landing_in(self, pool: Pool) -> list[Work]:
        """The workloads that a pool takes; daemons left out."""
        return self._landed[1].get(id(pool), [])

    @cached_property
    def adapter_rules(self) -> tuple[str, ...]:
        """Every rule of prometheus-adapter as a text: from its values, or from its ConfigMap."""
        found: list[str] = []
        for thing in self.things:
            for group in (thing.at("rules"), thing.at("prometheus-adapter", "rules")):
                for name in ("custom", "external", "resource"):
                    found += [str(rule) for _, rule in maps(a_map(group).get(name))]
            if thing.kind == "ConfigMap":
                found += [text for text in texts(thing.at("data")).values() if "seriesQuery" in text]
        return tuple(found)

    @cached_property
    def _scalers(self) -> dict[tuple[str, object, object], list[Thing]]:
        found: dict[tuple[str, object, object], list[Thing]] = defaultdict(list)
        for one in self.by_kind.get("HorizontalPodAutoscaler", ()):
            target = a_map(one.at("spec", "scaleTargetRef"))
            found[one.namespace, str(target.get("kind")), str(target.get("name"))].append(one)
        return found

    def autoscalers(self, work: Work) -> list[Thing]:
        """The HorizontalPodAutoscalers of a workload."""
        return self._scalers.get((work.namespace, work.kind, work.name), [])

    @cached_property
    def _counts(self) -> Counter[str]:
        """Objects by namespace."""
        return Counter(
            document.namespace or "default"
            for document in self.sound
            if document.kind and (document.known is None or document.known.namespaced)
        )

    def neighbours(self, view: View) -> bool:
        """Whether the input has other objects of its namespace: then what is missing among them is missing."""
        return self._counts[view.namespace] > 1


_OF: dict[Any, str] = {
    Pool: "pools",
    NodeClass: "classes",
    Work: "works",
    Query: "queries",
    Values: "values",
    Disrupting: "disrupting",
}


def nearest(view: View, found: Iterable[_V]) -> _V | None:
    """Of objects with one name, that of the same file, else of the same folder, else the first."""
    here = view.document.file
    folder = os.path.dirname(here)

    def distance(one: _V) -> int:
        other = one.document.file
        return 0 if other == here else 1 if os.path.dirname(other) == folder else 2

    return min(found, key=distance, default=None)


def is_sound(document: Document) -> bool:
    """Whether rules may look at it: nothing is wrong with it but that another file has such an object, too."""
    return not any(problem.severity == "error" and not is_repeated(problem) for problem in document.problems)


def is_repeated(problem: Problem) -> bool:
    """Whether it says that another file has the object, too: an API server would take both in turn."""
    return problem.path == "metadata.name" and problem.message.startswith("the same object ")


def _is_operator(document: Document) -> bool:
    """Values of the GPU Operator's chart are told by their keys."""
    if document.kind == "ClusterPolicy":
        return document.api_version.startswith("nvidia.com/")
    tree = a_map(document.raw)
    if document.kind or tree.get("apiVersion"):
        return False
    parts = [key for key in _OPERATOR_PARTS & tree.keys() if isinstance(tree[key], dict)]
    return len(parts) >= 2 and any("enabled" in tree[key] for key in parts)
