"""Whether a new node of a pool can hold given pods: requirements, offerings, room. Used by the checker."""

from __future__ import annotations

import json

from support import kube
from support.kube import Amounts, Obj, Spans
from support.overlays import Priced
from support.world import World

_SIMULATED = {
    "karpenter.sh/registered": kube.span("In", ["true"]),
    "karpenter.sh/initialized": kube.span("In", ["true"]),
}
_MOST_COMBOS = 4096


def pod_signature(pod: Obj) -> str:
    """Equal for pods that ask for the same node."""
    spec = pod["spec"]
    parts = [spec.get("nodeSelector"), spec.get("affinity"), spec.get("tolerations"), spec.get("volumes")]
    parts += [spec.get("topologySpreadConstraints"), sorted(kube.pod_requests(spec).items())]
    return json.dumps([kube.namespaced(pod).split("/")[0], kube.labels_of(pod), *parts], sort_keys=True)


class NodeFit:
    """Answers about new nodes of one cluster."""

    def __init__(self, world: World, priced: Priced) -> None:
        self.world = world
        self.priced = priced
        self.narrowed = {key for pod in world.pods.values() for key in narrowing_keys(world, pod)}
        """Keys of which some pod may narrow a node's values in a way that the plan does not tell."""
        self._daemon_need: dict[tuple[str, str], Amounts] = {}
        self._opens: dict[tuple[str, str], bool] = {}
        self._spans = {name: world.type_spans(name) for name in world.types}

    def combos(self, pool: str, pods: list[Obj]) -> list[Spans]:
        """Every way to meet the pool and one alternative of each pod and volume; empty when there is none."""
        base = self.world.pool_spans(pool)
        if base is None:
            return []
        choices = {
            json.dumps([_plain(o) for o in options]): options for pod in pods for options in self._alternatives(pod)
        }
        defined = set(base) | self.world.well_known
        defined |= {
            key for options in choices.values() for option in options for key, one in option.items() if one.negative
        }
        combos = [base]
        for options in choices.values():
            usable = [o for o in options if all(one.negative or key in defined for key, one in o.items())]
            joined = [kube.merged(combo, option) for combo in combos for option in usable]
            combos = _distinct([one for one in joined if one is not None])[:_MOST_COMBOS]
        return combos

    def _alternatives(self, pod: Obj) -> list[list[Spans]]:
        volumes = [self.world.volume_options(claim) for claim in self.world.claims_of(pod)]
        return [kube.node_options(pod["spec"]), *volumes]

    def type_spans(self, name: str, combo: Spans) -> bool:
        """Whether the type's own values leave the combination possible."""
        spans = self._spans[name]
        return all(kube.meet(one, spans[key]) is not None for key, one in combo.items() if key in spans)

    def offerings(self, pool: str, name: str, combos: list[Spans]) -> list[Obj]:
        """Offerings on sale that suit some combination, with the price that the pool pays."""
        suited = [combo for combo in combos if self.type_spans(name, combo)]
        return [
            o
            for o in self.priced.offerings(pool, name)
            if o.get("available", True) and any(_sold(o, c) for c in suited)
        ]

    def type_problems(self, pool: str, name: str, combos: list[Spans], requests: Amounts, pods: list[Obj]) -> list[str]:
        """Why a type cannot be this node."""
        problems = []
        if not any(self.type_spans(name, combo) for combo in combos):
            problems.append("does not meet the requirements")
        elif not self.offerings(pool, name, combos):
            problems.append("has no offering on sale that suits")
        room = {**self.world.type_allocatable(name), **self.priced.extra_capacity(pool, name)}
        missing = kube.exceeds(kube.add(requests, self.daemon_need(pool, name)), room)
        if missing:
            problems.append(f"has not enough {', '.join(missing)}")
        daemon_ports = [port for spec in self._daemon_specs(pool, name) for port in kube.host_ports(spec)]
        own = [port for pod in pods for port in kube.host_ports(pod["spec"])]
        if any(kube.ports_clash(a, b) for a in own for b in daemon_ports):
            problems.append("has a daemon pod on a host port of its pods")
        return problems

    def daemon_need(self, pool: str, name: str) -> Amounts:
        """What the daemon pods of such a node ask for."""
        key = (pool, name)
        if key not in self._daemon_need:
            total: Amounts = {}
            for spec in self._daemon_specs(pool, name):
                total = kube.add(total, kube.pod_requests(spec))
            self._daemon_need[key] = total
        return self._daemon_need[key]

    def _daemon_specs(self, pool: str, name: str) -> list[Obj]:
        """Daemon pods that such a node gets. Source: Karpenter v1.14 scheduler.go (daemon overhead groups)."""
        base = self.world.pool_spans(pool)
        if base is None:
            return []
        template = base | _SIMULATED
        found = []
        for _, spec in self.world.daemons():
            if spec.get("resourceClaims") or kube.untolerated(self.world.pool_taints(pool), spec):
                continue
            if any(self._daemon_lands(template, name, option) for option in kube.node_options(spec)):
                found.append(spec)
        return found

    def _daemon_lands(self, template: Spans, name: str, option: Spans) -> bool:
        known = set(template) | self.world.well_known
        if any(not one.negative and key not in known for key, one in option.items()):
            return False
        return kube.merged(template, option) is not None and self.type_spans(name, option)

    def opens(self, pool: str, pod: Obj) -> bool:
        """Whether the pool would open a node for this pod alone."""
        key = (pool, pod_signature(pod))
        if key not in self._opens:
            self._opens[key] = self._would_open(pool, pod)
        return self._opens[key]

    def _would_open(self, pool: str, pod: Obj) -> bool:
        ready = (self.world.pools[pool].get("status") or {}).get("conditions") or []
        if kube.terminating(self.world.pools[pool]) or any(
            c["type"] == "Ready" and c["status"] != "True" for c in ready
        ):
            return False
        taints = self.world.pool_taints(pool)
        if kube.untolerated(taints, pod["spec"]) or any(t.get("effect") == "PreferNoSchedule" for t in taints):
            return False
        requirements = self.world.pools[pool]["spec"]["template"]["spec"].get("requirements") or []
        if any(item.get("minValues") for item in requirements):
            return False  # whether enough types survive is not worth a second implementation here
        combos = self.combos(pool, [pod])
        need = kube.pod_requests(pod["spec"])
        return any(not self.type_problems(pool, name, combos, need, [pod]) for name in self.world.types)

    def depends_on_others(self, pod: Obj) -> bool:
        """Whether more than the pod and the pool decides: topology, preferences, volumes, alternatives, reservations."""
        return bool(narrowing_keys(self.world, pod)) or any(narrowing_keys(self.world, other) for other in self._shy())

    def _shy(self) -> list[Obj]:
        """Pods whose anti-affinity may keep others away."""
        return [
            pod
            for pod in self.world.pods.values()
            if ((pod.get("spec") or {}).get("affinity") or {}).get("podAntiAffinity")
        ]


def narrowing_keys(world: World, pod: Obj) -> set[str]:
    """Label keys that the pod's topology, preferences, OR terms, volumes and reservations may narrow."""
    spec = pod.get("spec") or {}
    affinity = spec.get("affinity") or {}
    keys = {rule["topologyKey"] for rule in spec.get("topologySpreadConstraints") or []}
    for name in ("podAffinity", "podAntiAffinity"):
        for entry in _entries(affinity.get(name) or {}):
            keys.add(entry["topologyKey"])
    preferred = (affinity.get("nodeAffinity") or {}).get("preferredDuringSchedulingIgnoredDuringExecution") or []
    terms = kube.required_terms(spec)
    for term in [*(entry["preference"] for entry in preferred), *(terms if len(terms) > 1 else [])]:
        keys |= {item["key"] for item in term.get("matchExpressions") or []}
    for claim in world.claims_of(pod):
        options = world.volume_options(claim)
        keys |= {key for option in options if len(options) > 1 for key in option}
    if any(o["capacityType"] == "reserved" for one in world.types.values() for o in one["offerings"]):
        keys.add(kube.CAPACITY_TYPE)
    return {kube.normal(key) for key in keys}


def _entries(affinity: Obj) -> list[Obj]:
    soft = affinity.get("preferredDuringSchedulingIgnoredDuringExecution") or []
    required = affinity.get("requiredDuringSchedulingIgnoredDuringExecution") or []
    return [*required, *(entry["podAffinityTerm"] for entry in soft)]


def _sold(offering: Obj, combo: Spans) -> bool:
    labels = {
        **{kube.normal(key): str(value) for key, value in (offering.get("labels") or {}).items()},
        kube.ZONE: offering["zone"],
        kube.CAPACITY_TYPE: offering["capacityType"],
    }
    return all(combo[key].has(value) for key, value in labels.items() if key in combo)


def _plain(option: Spans) -> list[object]:
    return [[key, one.complement, sorted(one.values), one.low, one.high] for key, one in sorted(option.items())]


def _distinct(combos: list[Spans]) -> list[Spans]:
    return list({json.dumps(_plain(combo)): combo for combo in combos}.values())
