"""Judges a plan against the rules of its objects, without a line of the engine.

`check` answers with a list of violations, empty when the plan is valid. Rules that depend on the order of placement are
judged on the final state (see `topology_rules`). Not judged: whether a preference could have been kept, which of several
values a node gets for a label that its pool leaves open, and whether an unplaced pod could have been placed.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterable, Mapping

from support import kube, overlays, topology_rules
from support.fitting import NodeFit, pod_signature
from support.kube import Amounts, Obj
from support.world import Host, World

_EPS = 1e-6
_MOST_TYPES = 60


def check(
    objects: list[Obj],
    catalog: Obj,
    plan_dict: Obj,
    *,
    packing: str,
    pessimistic: bool = False,
    settings: Mapping[str, object] | None = None,
) -> list[str]:
    """Every rule that the plan breaks, as sentences.

    pessimistic: charge a pool's limits with the largest type that each node may still become, not with the chosen one.
    settings: the keywords that the plan was made with; `min_values_policy` matters here.
    """
    return _Check(objects, catalog, plan_dict, packing, pessimistic, dict(settings or {})).run()


class _Check:
    def __init__(
        self, objects: list[Obj], catalog: Obj, plan: Obj, packing: str, pessimistic: bool, settings: dict[str, object]
    ) -> None:
        self.world = World(objects, catalog)
        self.plan = plan
        self.packing = packing
        self.pessimistic = pessimistic
        self.settings = settings
        self.found: list[str] = []
        self.priced = overlays.priced(self.world)
        self.fit = NodeFit(self.world, self.priced)

    def run(self) -> list[str]:
        self._names()
        if self.found:
            return self.found  # the rest looks names up
        self._totals()
        for node in self.plan["nodes"]:
            self._node(node)
        for filled in self.plan["existing"]:
            self._existing(filled)
        self._pods()
        self._limits()
        self._reservations()
        self._weights()
        self.found += topology_rules.violations(self.world, self.plan)
        return self.found

    def _say(self, where: str, what: str) -> None:
        self.found.append(f"{where}: {what}")

    # Names and sums --------------------------------------------------------------------------------------------

    def _names(self) -> None:
        placed = _placed(self.plan)
        waiting = [entry["pod"] for entry in self.plan["unschedulable"]]
        for name, times in Counter([*placed, *waiting]).items():
            if times > 1:
                self._say(name, f"appears {times} times")
            if name not in self.world.pods:
                self._say(name, "is no pod of the input")
        for name in placed:
            if name in self.world.pods and name not in self.world.batch:
                self._say(name, "is placed, and does not wait for a place")
        for name in sorted(set(self.world.batch) - set(placed) - set(waiting)):
            self._say(name, "waits for a place and does not appear")
        for name, times in Counter(node["name"] for node in self.plan["nodes"]).items():
            if times > 1 or name in self.world.hosts:
                self._say(name, "is the name of several nodes")
        for entry in self.plan["existing"]:
            if entry["name"] not in self.world.hosts:
                self._say(entry["name"], "does not exist")
        for node in self.plan["nodes"]:
            if node["nodePool"] not in self.world.pools:
                self._say(node["name"], f"nodepool {node['nodePool']} does not exist")
            unknown = [name for name in {node["instanceType"], *node["instanceTypes"]} if name not in self.world.types]
            if unknown:
                self._say(node["name"], f"instance types {unknown} do not exist")
        for entry in self.plan["unschedulable"]:
            if not entry["reasons"] or not all(reason["reason"].strip() for reason in entry["reasons"]):
                self._say(entry["pod"], "stays pending without a reason")

    def _totals(self) -> None:
        plan = self.plan
        price = sum(node["pricePerHour"] for node in plan["nodes"])
        if abs(price - plan["pricePerHour"]) > _EPS:
            self._say("pricePerHour", f"{plan['pricePerHour']} is not the sum {price}")
        if plan["scheduled"] != len(_placed(plan)):
            self._say("scheduled", f"{plan['scheduled']} is not {len(_placed(plan))}")
        if plan["pods"] != len(_placed(plan)) + len(plan["unschedulable"]):
            self._say("pods", f"{plan['pods']} is not placed and unschedulable together")
        bound, gap = plan["lowerBoundPerHour"], plan["gap"]
        if bound is None:
            return
        if bound > plan["pricePerHour"] + _EPS:
            self._say("lowerBoundPerHour", f"{bound} is above the price {plan['pricePerHour']}")
        if bound > 0 and (gap is None or abs(gap - (plan["pricePerHour"] - bound) / bound) > 1e-4):
            self._say("gap", f"{gap} is not the distance from {bound} to {plan['pricePerHour']}")

    # New nodes -------------------------------------------------------------------------------------------------

    def _node(self, node: Obj) -> None:
        where, pods = node["name"], [self.world.pods[name] for name in node["pods"]]
        if not pods:
            self._say(where, "is empty")
        self._pool(node, pods)
        self._ports(where, pods, [])
        if not node["instanceTypes"] or node["instanceType"] != node["instanceTypes"][0]:
            self._say(where, "its type is not the first of its types")
            return
        if len(node["instanceTypes"]) > _MOST_TYPES or len(set(node["instanceTypes"])) < len(node["instanceTypes"]):
            self._say(where, f"types must be at most {_MOST_TYPES} and different")
        combos = self.fit.combos(node["nodePool"], pods)
        if not combos:
            self._say(where, "no node satisfies the pool and all its pods together")
            return
        requests: Amounts = {}
        for pod in pods:
            requests = kube.add(requests, kube.pod_requests(pod["spec"]))
        for name in node["instanceTypes"]:
            for problem in self.fit.type_problems(node["nodePool"], name, combos, requests, pods):
                self._say(where, f"{name} {problem}")
        self._choice(node, combos)
        self._min_values(node)

    def _pool(self, node: Obj, pods: list[Obj]) -> None:
        pool = self.world.pools[node["nodePool"]]
        if pool["spec"].get("replicas") is not None:
            self._say(node["name"], "a static pool is no source of nodes")
        ready = [one for one in (pool.get("status") or {}).get("conditions") or [] if one["type"] == "Ready"]
        if kube.terminating(pool) or any(one["status"] != "True" for one in ready):
            self._say(node["name"], "its pool is deleting or not ready")
        for pod in pods:
            for taint in kube.untolerated(self.world.pool_taints(node["nodePool"]), pod["spec"]):
                self._say(node["name"], f"{kube.namespaced(pod)} does not tolerate {taint['key']}:{taint['effect']}")

    def _choice(self, node: Obj, combos: list[kube.Spans]) -> None:
        """The chosen offering exists and is the cheapest one, for some choice of zones and capacity types left open."""
        where, name = node["name"], node["instanceType"]
        sold = self.fit.offerings(node["nodePool"], name, combos)
        here = [o for o in sold if (o["zone"], o["capacityType"]) == (node["zone"], node["capacityType"])]
        if not any(abs(o["price"] - node["pricePerHour"]) < _EPS for o in here):
            self._say(
                where, f"{name} {node['capacityType']} in {node['zone']} is not on sale for {node['pricePerHour']}"
            )
            return
        lists = {one: self.fit.offerings(node["nodePool"], one, combos) for one in node["instanceTypes"]}
        cells = sorted({(o["zone"], o["capacityType"]) for offers in lists.values() for o in offers})
        zones, kinds = sorted({zone for zone, _ in cells}), sorted({kind for _, kind in cells})
        windows = itertools.product(
            self._open(kube.ZONE, zones, node["zone"]), self._open(kube.CAPACITY_TYPE, kinds, node["capacityType"])
        )
        if not any(self._cheapest_first(node, lists, zone, kind) for zone, kind in windows):
            self._say(where, f"{name} is not the cheapest choice, or its types are not sorted by price")

    def _open(self, key: str, values: list[str], chosen: str) -> list[set[str]]:
        """Sets of values that topology or a preference may have left open; with neither, all of them."""
        other_keys = {
            k for offers in self.world.types.values() for o in offers["offerings"] for k in o.get("labels") or {}
        }
        return list(_subsets(values, chosen)) if self.fit.narrowed & {key, *other_keys} else [set(values)]

    def _cheapest_first(self, node: Obj, lists: dict[str, list[Obj]], zones: set[str], kinds: set[str]) -> bool:
        prices = []
        for offers in lists.values():
            open_ = [o["price"] for o in offers if o["zone"] in zones and o["capacityType"] in kinds]
            if not open_:
                return False
            prices.append(min(open_))
        in_order = all(a <= b + _EPS for a, b in itertools.pairwise(prices))
        return in_order and abs(prices[0] - node["pricePerHour"]) < _EPS

    def _min_values(self, node: Obj) -> None:
        if self.settings.get("min_values_policy") == "BestEffort":
            return
        for item in self.world.pools[node["nodePool"]]["spec"]["template"]["spec"].get("requirements") or []:
            values = {
                v
                for name in node["instanceTypes"]
                for v in self.world.type_spans(name).get(item["key"], kube.ABSENT).values
            }
            if item.get("minValues") and len(values) < item["minValues"]:
                self._say(node["name"], f"{len(values)} values of {item['key']}, minValues {item['minValues']}")

    # Existing nodes --------------------------------------------------------------------------------------------

    def _existing(self, filled: Obj) -> None:
        host = self.world.hosts[filled["name"]]
        pods = [self.world.pods[name] for name in filled["pods"]]
        if host.leaving:
            self._say(host.name, "is leaving and takes no pods")
        for problem in host_problems(self.world, host, pods):
            self._say(host.name, problem)
        staying = [pod for pod in host.pods if not kube.finished(pod)]
        self._ports(host.name, pods, staying)

    def _ports(self, where: str, pods: list[Obj], staying: list[Obj]) -> None:
        taken = [port for pod in staying for port in kube.host_ports(pod["spec"])]
        for pod in pods:
            own = list(kube.host_ports(pod["spec"]))
            if any(kube.ports_clash(a, b) for a in own for b in taken):
                self._say(where, f"host port of {kube.namespaced(pod)} is taken")
            taken += own

    # Pods ------------------------------------------------------------------------------------------------------

    def _pods(self) -> None:
        for name in _placed(self.plan):
            pod = self.world.pods[name]
            options = kube.node_options(pod["spec"])
            keys = {key for option in options for key in option}
            terms = kube.required_terms(pod["spec"])
            if kube.HOSTNAME in keys or any(term.get("matchFields") for term in terms):
                self._say(name, "asks for a host by name and is placed")
            if any(key.startswith("karpenter.sh/") and key not in self.world.well_known for key in keys):
                self._say(name, "asks for a restricted label and is placed")
            reason = self.world.unusable_claim(pod)
            if reason:
                self._say(name, f"is placed, and its claim {reason}")
            if pod["spec"].get("resourceClaims"):
                self._say(name, "is placed, and has resource claims")

    # Pools -----------------------------------------------------------------------------------------------------

    def _limits(self) -> None:
        for pool in self.world.pools:
            limits = kube.amounts(self.world.pools[pool]["spec"].get("limits"))
            nodes = [node for node in self.plan["nodes"] if node["nodePool"] == pool]
            running = [h for h in self.world.hosts.values() if h.labels.get(kube.NODE_POOL) == pool and not h.leaving]
            if nodes and limits.pop("nodes", -1) == 1000 * len(running):
                self._say(pool, "has no node left of its limit")
            for resource, limit in limits.items():
                charged = [self._charge(node, resource) for node in nodes]
                used = sum(host.capacity.get(resource, 0) for host in running)
                if sum(charged) > 0 and used + sum(charged) > limit:
                    self._say(pool, f"limit of {resource} exceeded: {(used + sum(charged)) / 1000} of {limit / 1000}")

    def _charge(self, node: Obj, resource: str) -> int:
        names = node["instanceTypes"] if self.pessimistic else [node["instanceType"]]
        return max(kube.amounts(self.priced.capacity(node["nodePool"], name)).get(resource, 0) for name in names)

    def _reservations(self) -> None:
        """No reservation gives more instances than it has."""
        used = Counter((n["instanceType"], n["zone"]) for n in self.plan["nodes"] if n["capacityType"] == "reserved")
        for (name, zone), times in used.items():
            offers = [
                o for o in self.world.types[name]["offerings"] if o["capacityType"] == "reserved" and o["zone"] == zone
            ]
            left = sum(o.get("reservationCapacity") or 0 for o in offers if o.get("available", True))
            if times > left:
                self._say(name, f"{times} reserved instances in {zone}, {left} left")

    def _weights(self) -> None:
        """A node of a lighter pool holds a pod that no heavier pool would have opened a node for."""
        heavier_limited = {name for name, pool in self.world.pools.items() if pool["spec"].get("limits")}
        for node in self.plan["nodes"]:
            weight = self.world.pools[node["nodePool"]]["spec"].get("weight") or 0
            heavier = [
                name
                for name, pool in self.world.pools.items()
                if (pool["spec"].get("weight") or 0) > weight and pool["spec"].get("replicas") is None
            ]
            pods = {pod_signature(pod): pod for pod in (self.world.pods[name] for name in node["pods"])}
            if heavier and not any(self._may_open(pod, heavier, heavier_limited) for pod in pods.values()):
                self._say(node["name"], "every pod on it would have opened a node of a heavier pool")

    def _may_open(self, pod: Obj, heavier: list[str], limited: set[str]) -> bool:
        """Whether a pod may have been refused by all heavier pools; True where order or preferences decide."""
        if self.fit.depends_on_others(pod):
            return True
        return not any(name not in limited and self.fit.opens(name, pod) for name in heavier)


def _placed(plan: Obj) -> list[str]:
    return [name for group in (*plan["nodes"], *plan["existing"]) for name in group["pods"]]


def _subsets(values: Iterable[str], must: str) -> Iterable[set[str]]:
    others = [value for value in values if value != must]
    for size in range(len(others), -1, -1):
        for chosen in itertools.combinations(others, size):
            yield {must, *chosen}


def host_problems(world: World, host: Host, pods: list[Obj]) -> list[str]:
    """Why an existing node cannot hold these further pods: taints, room, labels, volumes."""
    problems = []
    need: Amounts = {}
    for pod in pods:
        name, spec = kube.namespaced(pod), pod["spec"]
        need = kube.add(need, kube.pod_requests(spec))
        problems += [f"{name} does not tolerate {t['key']}" for t in kube.untolerated(host.taints, spec)]
        if not any(kube.admits(option, host.labels) for option in kube.node_options(spec)):
            problems.append(f"its labels do not suit {name}")
        for claim in world.claims_of(pod):
            if not any(kube.admits(option, host.labels) for option in world.volume_options(claim)):
                problems.append(f"volume {claim} of {name} cannot be used there")
    missing = kube.exceeds(need, host_room(world, host))
    if missing:
        problems.append(f"has not enough {', '.join(missing)}")
    attached = {claim for pod in [*host.pods, *pods] for claim in world.claims_of(pod) if not kube.finished(pod)}
    for driver, limit in host.volume_limits.items():
        count = sum(world.driver(claim) == driver for claim in attached)
        added = {claim for pod in pods for claim in world.claims_of(pod) if world.driver(claim) == driver}
        if added and count > limit:
            problems.append(f"{count} volumes of {driver}, at most {limit}")
    return problems


def host_room(world: World, host: Host) -> Amounts:
    """Allocatable minus what runs there minus daemon pods that are still to come."""
    used: Amounts = {}
    running_daemons: Amounts = {}
    for pod in host.pods:
        if kube.finished(pod):
            continue
        used = kube.add(used, kube.pod_requests(pod["spec"]))
        if kube.owned_by(pod, "DaemonSet"):
            running_daemons = kube.add(running_daemons, kube.pod_requests(pod["spec"]))
    daemons: Amounts = {}
    for _, spec in world.daemons():
        fits = any(kube.admits(option, host.labels) for option in kube.node_options(spec))
        if fits and not kube.untolerated(host.taints, spec):
            daemons = kube.add(daemons, kube.pod_requests(spec))
    to_come = {name: max(0, amount - running_daemons.get(name, 0)) for name, amount in daemons.items()}
    return {name: amount - used.get(name, 0) - to_come.get(name, 0) for name, amount in host.allocatable.items()}
