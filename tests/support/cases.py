"""Case files of placement: reading them, and comparing a plan with what a case expects.

A file is `{catalogs: {name: catalog}, defaults: {catalog, objects}, cases: [{name, why, catalog?, objects, onlyOwn?,
settings?, expect}]}`. An object with `x-count: N` becomes N copies named name-0 … name-(N-1).
"""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from support import kube
from support.kube import Obj
from support.world import World

PACKINGS = ("first-fit", "cost")
_LAYOUT = {"nodes", "together", "apart"}
"""What a cheaper plan may do otherwise."""


@dataclass(frozen=True)
class Case:
    """One case with its objects spelled out."""

    file: str
    name: str
    objects: list[Obj]
    catalog: Obj
    expect: Obj
    settings: Obj = field(default_factory=dict)
    packings: tuple[str, ...] = PACKINGS
    why: str = ""

    @property
    def id(self) -> str:
        """`file::name`, as it stands in lists of differences."""
        return f"{self.file}::{self.name}"


def expanded(objects: Iterable[Obj]) -> Iterator[Obj]:
    """Objects with `x-count` spelled out."""
    for obj in objects:
        count = obj.get("x-count")
        for number in range(1 if count is None else count):
            one = copy.deepcopy(obj)
            one.pop("x-count", None)
            if count is not None:
                one["metadata"]["name"] = f"{obj['metadata']['name']}-{number}"
            yield one


def read_cases(path: Path) -> list[Case]:
    """All cases of one file, in its order."""
    content = yaml.load(path.read_text(encoding="utf-8"), yaml.CSafeLoader)
    defaults = content.get("defaults") or {}
    cases = []
    for case in content["cases"]:
        shared = [] if case.get("onlyOwn") else defaults.get("objects") or []
        objects = list(expanded([*shared, *(case.get("objects") or [])]))
        catalog = content["catalogs"][case.get("catalog") or defaults["catalog"]]
        packings = (case["packing"],) if "packing" in case else PACKINGS
        settings = case.get("settings") or {}
        cases.append(Case(path.name, case["name"], objects, catalog, case["expect"], settings, packings, case["why"]))
    return cases


_KEYWORDS: dict[tuple[str, str], tuple[str, bool]] = {
    ("preference_policy", "Respect"): ("respect_preferences", True),
    ("preference_policy", "Ignore"): ("respect_preferences", False),
    ("min_values_policy", "Strict"): ("best_effort_min_values", False),
    ("min_values_policy", "BestEffort"): ("best_effort_min_values", True),
}
"""The words of Karpenter's options, which cases use, as keywords of `plan_objects`."""


def keywords(settings: Obj) -> Obj:
    """Settings of a case as keywords of `plan_objects`."""
    return dict(_KEYWORDS.get((name, str(value)), (name, value)) for name, value in settings.items())


def full(name: str) -> str:
    """`namespace/name` of a name that may lack the namespace."""
    return name if "/" in name else f"default/{name}"


class Answer:
    """A plan with look-ups that expectations need."""

    def __init__(self, case: Case, plan: Obj) -> None:
        self.case = case
        self.plan = plan
        self.world = World(case.objects, case.catalog)
        self.node_of = {name: node for node in plan["nodes"] for name in node["pods"]}
        self.host_of = {name: host["name"] for host in plan["existing"] for name in host["pods"]}
        self.placed = {*self.node_of, *self.host_of}

    def failures(self, without: frozenset[str] = frozenset()) -> list[str]:
        """What the plan does otherwise than expected; `without` names keys that are not asked for."""
        found = []
        for key, wanted in self.case.expect.items():
            if key not in without:
                found += [f"{key}: {text}" for text in getattr(self, f"_{_python(key)}")(wanted)]
        return found

    def layout_failures(self) -> list[str]:
        """As `failures`, without what a cheaper plan may do otherwise."""
        return self.failures(frozenset(_LAYOUT))

    def _scheduled(self, wanted: Any) -> Iterator[str]:
        if wanted == "none":
            yield from (f"{name} is placed" for name in sorted(self.placed))
            return
        names = self.world.batch if wanted == "all" else [full(name) for name in wanted]
        yield from (f"{name} is not placed" for name in names if name not in self.placed)

    def _unscheduled(self, wanted: list[str]) -> Iterator[str]:
        yield from (f"{full(name)} is placed" for name in wanted if full(name) in self.placed)

    def _nodes(self, wanted: Any) -> Iterator[str]:
        yield from _range(len(self.plan["nodes"]), wanted)

    def _scheduled_count(self, wanted: Any) -> Iterator[str]:
        yield from _range(len(self.placed), wanted)

    def _existing(self, wanted: dict[str, list[str]]) -> Iterator[str]:
        for host, names in wanted.items():
            there = sorted(pod for pod, place in self.host_of.items() if place == host)
            if there != sorted(map(full, names)):
                yield f"{host} takes {there}, expected {sorted(map(full, names))}"

    def _together(self, wanted: list[list[str]]) -> Iterator[str]:
        for names in wanted:
            places = {name: self.node_of.get(full(name), {}).get("name") for name in names}
            if None in places.values() or len(set(places.values())) != 1:
                yield f"{places}"

    def _apart(self, wanted: list[list[str]]) -> Iterator[str]:
        for names in wanted:
            places = {name: self.node_of.get(full(name), {}).get("name") for name in names}
            if None in places.values() or len(set(places.values())) != len(names):
                yield f"{places}"

    def _placed(self, wanted: dict[str, Obj]) -> Iterator[str]:
        for name, fields in wanted.items():
            node = self.node_of.get(full(name))
            if node is None:
                yield f"{name} is on no new node"
                continue
            for key, allowed in fields.items():
                if node[key] not in (allowed if isinstance(allowed, list) else [allowed]):
                    yield f"{name} has {key} {node[key]}, expected {allowed}"

    def _allows(self, wanted: dict[str, list[str]]) -> Iterator[str]:
        for name, types in wanted.items():
            there = self.node_of.get(full(name), {}).get("instanceTypes", [])
            missing = sorted(set(types) - set(there))
            if missing:
                yield f"the node of {name} may not become {missing}, only {there}"

    def _forbids(self, wanted: dict[str, list[str]]) -> Iterator[str]:
        for name, types in wanted.items():
            there = self.node_of.get(full(name), {}).get("instanceTypes", [])
            if set(types) & set(there):
                yield f"the node of {name} may become {sorted(set(types) & set(there))}"

    def _skew(self, wanted: Obj) -> Iterator[str]:
        zones = Counter({node["zone"]: 0 for node in self.plan["nodes"]})
        for name, node in self.node_of.items():
            if kube.selects({"matchLabels": wanted["selector"]}, kube.labels_of(self.world.pods[name])):
                zones[node["zone"]] += 1
        if zones and max(zones.values()) - min(zones.values()) > wanted["max"]:
            yield f"{dict(zones)}"

    def _counts(self, wanted: list[Obj]) -> Iterator[str]:
        for count in wanted:
            groups: Counter[str | None] = Counter()
            for name in self.placed:
                if kube.selects({"matchLabels": count["selector"]}, kube.labels_of(self.world.pods[name])):
                    groups[self._value(name, count["by"])] += 1
            if sorted(groups.values()) != sorted(count["are"]):
                yield f"by {count['by']} {dict(groups)}, expected sizes {count['are']}"

    def _same(self, wanted: list[Obj]) -> Iterator[str]:
        for group in wanted:
            values = {name: self._value(full(name), group["by"]) for name in group["pods"]}
            if len(set(values.values())) != 1 or None in values.values():
                yield f"{group['by']} {values}"

    def _differ(self, wanted: list[Obj]) -> Iterator[str]:
        for group in wanted:
            values = {name: self._value(full(name), group["by"]) for name in group["pods"]}
            if len(set(values.values())) != len(values) or None in values.values():
                yield f"{group['by']} {values}"

    def _expect_reason(self, wanted: dict[str, Any]) -> Iterator[str]:
        """Every text occurs, whatever its case, in the pod's reasons; a pod may have several."""
        reasons = {entry["pod"]: entry["reasons"] for entry in self.plan["unschedulable"]}
        for name, texts in wanted.items():
            said = " | ".join(
                f"{one['nodePool']}: {one['reason']} {one.get('field', '')}" for one in reasons.get(full(name), [])
            )
            for text in texts if isinstance(texts, list) else [texts]:
                if text.lower() not in said.lower():
                    yield f"{name}: {text!r} is not in {said!r}"

    def _price(self, wanted: float) -> Iterator[str]:
        if abs(self.plan["pricePerHour"] - wanted) > 1e-6:
            yield f"{self.plan['pricePerHour']}, expected {wanted}"

    def _value(self, name: str, by: str) -> str | None:
        node = self.node_of.get(name)
        if node is None:
            return self._host_value(name, by)
        if by == "node":
            return str(node["name"])
        if "/" not in by:
            return str(node[by])
        values = (self.world.types[node["instanceType"]].get("labels") or {}).get(by)
        return str(values[0]) if values else None

    def _host_value(self, name: str, by: str) -> str | None:
        host = self.world.hosts.get(self.host_of.get(name, ""))
        if host is None or by == "node":
            return host.name if host else None
        keys = {
            "zone": kube.ZONE,
            "capacityType": kube.CAPACITY_TYPE,
            "nodePool": kube.NODE_POOL,
            "instanceType": kube.INSTANCE_TYPE,
        }
        return host.domain(keys.get(by, by))


def _python(key: str) -> str:
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in key)


def _range(seen: int, wanted: Any) -> Iterator[str]:
    low, high = (wanted.get("min", 0), wanted.get("max", seen)) if isinstance(wanted, dict) else (wanted, wanted)
    if not low <= seen <= high:
        yield f"{seen}, expected {wanted}"
