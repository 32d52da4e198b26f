"""Spread, pod affinity and anti-affinity of a plan, judged on the final state.

kube-scheduler judges each placement at its time. Here a plan passes when the final state could have come about in some
order: pods that count for a spread without having it may come last in their own domain and first in the others, and one
pod of a set that needs itself may come first. Where a node's value of a topology key is open (a pool's `In` of several
values on a key of its own) the groups over that key are not judged. A node's zone is that of its cheapest offering.
"""

from __future__ import annotations

import itertools
import json
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

from support import kube
from support.kube import Obj
from support.world import World


@dataclass
class Seat:
    """A pod that has, or will have, its place."""

    pod: Obj
    place: str
    batch: bool

    @property
    def labels(self) -> dict[str, str]:
        return kube.labels_of(self.pod)

    @property
    def space(self) -> str:
        return kube.namespaced(self.pod).split("/")[0]


def violations(world: World, plan: Obj) -> list[str]:
    """Every broken topology rule of the plan."""
    rules = _Rules(world, plan)
    return [*rules.spreads(), *rules.affinities(), *rules.anti_affinities()]


class _Rules:
    def __init__(self, world: World, plan: Obj) -> None:
        self.world = world
        self.nodes = {node["name"]: node for node in plan["nodes"]}
        placed = {name: g["name"] for g in (*plan["nodes"], *plan["existing"]) for name in g["pods"]}
        self.seats = [Seat(world.pods[name], place, True) for name, place in placed.items()]
        for host in world.hosts.values():
            running = [pod for pod in host.pods if not kube.finished(pod) and kube.namespaced(pod) not in placed]
            self.seats += [Seat(pod, host.name, False) for pod in running if kube.namespaced(pod) not in world.batch]
        self._domains: dict[tuple[str, str], str | None] = {}
        self._spaces = {kube.meta(one)["name"]: kube.labels_of(one) for one in world.kind("Namespace")}

    # Domains ---------------------------------------------------------------------------------------------------

    def domain(self, place: str, key: str) -> str | None:
        """Value of the key at a place; None when it has none; "?" when the pool leaves it open."""
        if (place, key) not in self._domains:
            host = self.world.hosts.get(place)
            self._domains[place, key] = host.domain(key) if host else self._new_domain(self.nodes[place], key)
        return self._domains[place, key]

    def _new_domain(self, node: Obj, key: str) -> str | None:
        known = {
            kube.HOSTNAME: node["name"],
            kube.ZONE: node["zone"],
            kube.CAPACITY_TYPE: node["capacityType"],
            kube.INSTANCE_TYPE: node["instanceType"],
            kube.NODE_POOL: node["nodePool"],
        }
        if key in known:
            return str(known[key])
        pool = self.world.pool_spans(node["nodePool"]) or {}
        own = self.world.type_spans(node["instanceType"]).get(key)
        one = pool.get(key)
        met = kube.meet(own, one) if own is not None and one is not None else own or one
        if met is None or met == kube.ABSENT:
            return None
        return next(iter(met.values)) if not met.complement and len(met.values) == 1 else "?"

    # Spread ----------------------------------------------------------------------------------------------------

    def spreads(self) -> Iterator[str]:
        """Hard spreads whose final counts no order of placement can explain."""
        groups: dict[str, list[Seat]] = defaultdict(list)
        rules: dict[str, Obj] = {}
        for seat in self.seats:
            for rule in seat.pod["spec"].get("topologySpreadConstraints") or []:
                if seat.batch and rule.get("whenUnsatisfiable") == "DoNotSchedule":
                    identity = self._spread_identity(seat, rule)
                    groups[identity].append(seat)
                    rules[identity] = rule
        for identity, members in groups.items():
            yield from self._spread(rules[identity], members)

    def _spread_identity(self, seat: Seat, rule: Obj) -> str:
        spec = seat.pod["spec"]
        parts: list[object] = [seat.space, rule, self._selector(seat, rule), spec.get("nodeSelector")]
        parts += [kube.required_terms(spec)]
        if rule.get("nodeTaintsPolicy") == "Honor":
            parts.append(spec.get("tolerations"))
        return json.dumps(parts, sort_keys=True)

    def _selector(self, seat: Seat, rule: Obj) -> Obj | None:
        selector = rule.get("labelSelector")
        own = [key for key in rule.get("matchLabelKeys") or [] if key in seat.labels]
        if not own:
            return selector
        extra = [{"key": key, "operator": "In", "values": [seat.labels[key]]} for key in own]
        return {**(selector or {}), "matchExpressions": [*((selector or {}).get("matchExpressions") or []), *extra]}

    def _spread(self, rule: Obj, members: list[Seat]) -> Iterator[str]:
        key, skew, first = kube.normal(rule["topologyKey"]), rule["maxSkew"], members[0]
        selector = self._selector(first, rule)
        inside = {id(seat) for seat in members}
        fixed: dict[str, int] = defaultdict(int)
        total: dict[str, int] = defaultdict(int)
        for seat in self.seats:
            domain = self.domain(seat.place, key)
            if domain == "?":
                return
            if domain is None or not self._counts(seat, first, selector, rule):
                continue
            total[domain] += 1
            if not seat.batch or id(seat) in inside:
                fixed[domain] += 1
        lowest = self._lowest(rule, first, total)
        self_matching = kube.selects(selector, first.labels)
        for domain in sorted({str(self.domain(seat.place, key)) for seat in members}):
            count = fixed[domain] if self_matching else sum(1 for s in self._bound(key, domain, first, selector, rule))
            if count - lowest > skew:
                yield f"spread over {key}: {count} in {domain}, least {lowest}, maxSkew {skew} ({kube.namespaced(first.pod)})"

    def _bound(self, key: str, domain: str, first: Seat, selector: Obj | None, rule: Obj) -> Iterator[Seat]:
        for seat in self.seats:
            if not seat.batch and self.domain(seat.place, key) == domain and self._counts(seat, first, selector, rule):
                yield seat

    def _counts(self, seat: Seat, owner: Seat, selector: Obj | None, rule: Obj) -> bool:
        if seat.space != owner.space or (not seat.batch and kube.terminating(seat.pod)):
            return False
        matches = kube.selects(selector, seat.labels) or (selector is None and not seat.batch)
        return matches and self._eligible(seat.place, owner, rule)

    def _eligible(self, place: str, owner: Seat, rule: Obj) -> bool:
        """Whether a place counts: the owner's selector and affinity, and its tolerations where the rule honours taints."""
        host = self.world.hosts.get(place)
        if host is None:
            pool = self.nodes[place]["nodePool"]
            honours = rule.get("nodeTaintsPolicy") == "Honor"
            if honours and kube.untolerated(self.world.pool_taints(pool), owner.pod["spec"]):
                return False
            return rule.get("nodeAffinityPolicy") == "Ignore" or self._new_node_suits(place, owner)
        if rule.get("nodeTaintsPolicy") == "Honor" and kube.untolerated(host.taints, owner.pod["spec"]):
            return False
        if rule.get("nodeAffinityPolicy") == "Ignore":
            return True
        return any(kube.admits(option, host.labels) for option in kube.node_options(owner.pod["spec"]))

    def _new_node_suits(self, place: str, owner: Seat) -> bool:
        for option in kube.node_options(owner.pod["spec"]):
            values = {key: self.domain(place, key) for key in option}
            if all(v == "?" or (option[k].has(v) if v is not None else option[k].negative) for k, v in values.items()):
                return True
        return False

    def _lowest(self, rule: Obj, owner: Seat, total: dict[str, int]) -> int:
        key = kube.normal(rule["topologyKey"])
        if key == kube.HOSTNAME:
            return 0
        domains = self._universe(key, rule, owner)
        if len(domains) < (rule.get("minDomains") or 1):
            return 0
        return min((total.get(domain, 0) for domain in domains), default=0)

    def _universe(self, key: str, rule: Obj, owner: Seat) -> set[str]:
        """Values that the owner may go to: of pools and of eligible nodes. Source: Karpenter v1.14 topology.go."""
        allowed = self._pod_domains(key, owner)
        found: set[str] = set()
        for name, pool in self.world.pools.items():
            base = self.world.pool_spans(name)
            if base is None or pool["spec"].get("replicas") is not None or kube.terminating(pool):
                continue
            if rule.get("nodeTaintsPolicy") == "Honor" and kube.untolerated(
                self.world.pool_taints(name), owner.pod["spec"]
            ):
                continue
            found |= self._pool_values(key, base)
        for host in self.world.hosts.values():
            value = host.domain(key)
            if value is not None and not host.leaving and self._eligible(host.name, owner, rule):
                found.add(value)
        return {value for value in found if any(one.has(value) for one in allowed)}

    def _pool_values(self, key: str, base: kube.Spans) -> set[str]:
        values: set[str] = set()
        for name in self.world.types:
            spans = self.world.type_spans(name)
            if any(kube.meet(one, spans[k]) is None for k, one in base.items() if k in spans):
                continue
            sides = [side[key] for side in (base, spans) if key in side]
            met = kube.meet(sides[0], sides[-1]) if sides else None
            if met is not None and not met.complement:
                values |= met.values
        return values

    @staticmethod
    def _pod_domains(key: str, owner: Seat) -> list[kube.Span]:
        anywhere = kube.span("Exists")
        return [option.get(key, anywhere) for option in kube.node_options(owner.pod["spec"])]

    # Affinity --------------------------------------------------------------------------------------------------

    def _terms(self, seat: Seat, name: str) -> list[Obj]:
        affinity = (seat.pod["spec"].get("affinity") or {}).get(name) or {}
        return list(affinity.get("requiredDuringSchedulingIgnoredDuringExecution") or [])

    def _matches(self, term: Obj, owner: Seat, other: Seat) -> bool:
        listed, selector = set(term.get("namespaces") or []), term.get("namespaceSelector")
        if selector is not None:
            listed |= {name for name, labels in self._spaces.items() if kube.selects(selector, labels)}
            if selector == {}:
                listed.add(other.space)
        elif not listed:
            listed = {owner.space}
        return other.space in listed and kube.selects(term.get("labelSelector"), other.labels)

    def affinities(self) -> Iterator[str]:
        """Pods without the company they need."""
        for identity, (term, members) in self._shared_terms("podAffinity").items():
            key = kube.normal(term["topologyKey"])
            targets: dict[str, list[Seat]] = defaultdict(list)
            for seat in self.seats:
                domain = self.domain(seat.place, key)
                alive = seat.batch or not kube.terminating(seat.pod)
                if domain is not None and alive and self._matches(term, members[0], seat):
                    targets[domain].append(seat)
            if "?" not in targets:
                yield from self._affinity(key, term, members, targets, identity)

    def _affinity(
        self, key: str, term: Obj, members: list[Seat], targets: dict[str, list[Seat]], identity: str
    ) -> Iterator[str]:
        begun: dict[str, list[Seat]] = {}
        for seat in members:
            domain = self.domain(seat.place, key)
            who = kube.namespaced(seat.pod)
            if domain == "?":
                return
            company = [other for other in targets.get(str(domain), []) if other is not seat]
            if domain is None:
                yield f"affinity over {key}: the node of {who} has no such label"
            elif not company and not self._matches(term, seat, seat):
                yield f"affinity over {key}: {who} is in {domain} without the pods it needs"
            elif all(other.batch and self._has(other, "podAffinity", identity) for other in company):
                begun.setdefault(domain, []).append(seat)
        for domain, other in itertools.permutations(sorted({*begun, *targets}), 2):
            if domain not in begun or not targets.get(other):
                continue
            who = f"{kube.namespaced(begun[domain][0].pod)} begins in {domain}, pods it needs are in {other}"
            free = self._cannot_reach(key, begun[domain], other)
            if any(not seat.batch for seat in targets[other]):
                if not free:
                    yield f"affinity over {key}: {who}"
            elif other in begun and domain < other and not free and not self._cannot_reach(key, begun[other], domain):
                yield f"affinity over {key}: {who}"

    def _cannot_reach(self, key: str, seats: list[Seat], domain: str) -> bool:
        """Whether one of the pods may not go to the domain, so that it may begin a set of its own."""
        return any(all(not one.has(domain) for one in self._pod_domains(key, seat)) for seat in seats)

    def _has(self, seat: Seat, name: str, identity: str) -> bool:
        return any(self._identity(seat, term) == identity for term in self._terms(seat, name))

    @staticmethod
    def _identity(seat: Seat, term: Obj) -> str:
        return json.dumps([seat.space, term], sort_keys=True)

    def _shared_terms(self, name: str) -> dict[str, tuple[Obj, list[Seat]]]:
        groups: dict[str, tuple[Obj, list[Seat]]] = {}
        for seat in self.seats:
            for term in self._terms(seat, name) if seat.batch else []:
                groups.setdefault(self._identity(seat, term), (term, []))[1].append(seat)
        return groups

    def anti_affinities(self) -> Iterator[str]:
        """Pods beside pods that they shun, or that shun them."""
        groups: dict[str, tuple[Obj, list[Seat]]] = {}
        for seat in self.seats:
            for term in self._terms(seat, "podAntiAffinity"):
                groups.setdefault(self._identity(seat, term), (term, []))[1].append(seat)
        for term, owners in groups.values():
            key = kube.normal(term["topologyKey"])
            shunned: dict[str, list[Seat]] = defaultdict(list)
            for seat in self.seats:
                domain = self.domain(seat.place, key)
                if domain not in (None, "?") and self._matches(term, owners[0], seat):
                    shunned[str(domain)].append(seat)
            for owner in owners:
                domain = str(self.domain(owner.place, key))
                for other in shunned.get(domain, []):
                    if other is not owner and self._clash(owner, other):
                        names = f"{kube.namespaced(owner.pod)} shuns {kube.namespaced(other.pod)}"
                        yield f"anti-affinity over {key}: {names}, both in {domain}"
                        break

    @staticmethod
    def _clash(owner: Seat, other: Seat) -> bool:
        """Two running pods are not this plan's doing; a leaving pod that is shunned does not count."""
        if not owner.batch and not other.batch:
            return False
        return other.batch or not kube.terminating(other.pod)
