"""Kubernetes rules on plain dictionaries, written down a second time for the checker: plain before fast, nothing of the engine.

Quantities are integers in thousandths of the resource's unit, so that millicores and bytes share one type.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator
from fractions import Fraction
from typing import Any, NamedTuple

Obj = dict[str, Any]
Amounts = dict[str, int]

HOSTNAME = "kubernetes.io/hostname"
ZONE = "topology.kubernetes.io/zone"
CAPACITY_TYPE = "karpenter.sh/capacity-type"
INSTANCE_TYPE = "node.kubernetes.io/instance-type"
NODE_POOL = "karpenter.sh/nodepool"
CORE_WELL_KNOWN = {
    NODE_POOL,
    ZONE,
    "topology.kubernetes.io/region",
    INSTANCE_TYPE,
    "kubernetes.io/arch",
    "kubernetes.io/os",
    CAPACITY_TYPE,
    "node.kubernetes.io/windows-build",
}
_ALIASES = {
    "failure-domain.beta.kubernetes.io/zone": ZONE,
    "failure-domain.beta.kubernetes.io/region": "topology.kubernetes.io/region",
    "beta.kubernetes.io/arch": "kubernetes.io/arch",
    "beta.kubernetes.io/os": "kubernetes.io/os",
    "beta.kubernetes.io/instance-type": INSTANCE_TYPE,
}
_SUFFIX = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_BINARY = {"Ki": 1, "Mi": 2, "Gi": 3, "Ti": 4, "Pi": 5, "Ei": 6}
_QUANTITY = re.compile(r"^([+-]?(?:\d+\.?\d*|\.\d+))(?:([eE][+-]?\d+)|([KMGTPE]i|[numkMGTPE]?))$")


def milli(quantity: object) -> int:
    """A Kubernetes quantity in thousandths, rounded up."""
    match = _QUANTITY.match(str(quantity).strip())
    if match is None:
        raise ValueError(f"not a quantity: {quantity!r}")
    number, exponent, suffix = Fraction(match[1]), match[2], match[3] or ""
    if exponent:
        scale = Fraction(10) ** int(exponent[1:])
    elif suffix in _BINARY:
        scale = Fraction(1024) ** _BINARY[suffix]
    else:
        scale = Fraction(10) ** _SUFFIX[suffix]
    return math.ceil(number * scale * 1000)


def amounts(texts: Obj | None) -> Amounts:
    """A resource map as integers."""
    return {name: milli(text) for name, text in (texts or {}).items()}


def add(left: Amounts, right: Amounts) -> Amounts:
    """Sum per resource."""
    return {name: left.get(name, 0) + right.get(name, 0) for name in {**left, **right}}


def exceeds(need: Amounts, room: Amounts) -> list[str]:
    """Resources of which more is needed than there is."""
    return sorted(name for name, amount in need.items() if amount > max(0, room.get(name, 0)))


def meta(obj: Obj) -> Obj:
    """The object's metadata, empty when absent."""
    return obj.get("metadata") or {}


def namespaced(obj: Obj) -> str:
    """`namespace/name`."""
    return f"{meta(obj).get('namespace') or 'default'}/{meta(obj)['name']}"


def labels_of(obj: Obj) -> dict[str, str]:
    """The object's labels under their current keys."""
    return {normal(key): str(value) for key, value in (meta(obj).get("labels") or {}).items()}


def normal(key: str) -> str:
    """The current name of a label key."""
    return _ALIASES.get(key, key)


def container_requests(container: Obj) -> Amounts:
    """Requests of one container; a limit without a request is a request."""
    resources = container.get("resources") or {}
    return amounts({**(resources.get("limits") or {}), **(resources.get("requests") or {})})


def _larger(left: Amounts, right: Amounts) -> Amounts:
    return {name: max(left.get(name, 0), right.get(name, 0)) for name in {**left, **right}}


def pod_requests(spec: Obj) -> Amounts:
    """What one pod takes of a node, with one of `pods`.

    Source: kubernetes.io, "Sidecar Containers" (resource sharing within containers) and "Pod Overhead".
    """
    running: Amounts = {}
    for container in spec.get("containers") or []:
        running = add(running, container_requests(container))
    sidecars: Amounts = {}
    peak: Amounts = {}
    for container in spec.get("initContainers") or []:
        own = container_requests(container)
        if container.get("restartPolicy") == "Always":
            sidecars = add(sidecars, own)
            peak = _larger(peak, sidecars)
        else:
            peak = _larger(peak, add(sidecars, own))
    total = _larger(add(running, sidecars), peak)
    whole_pod = container_requests({"resources": spec.get("resources")})
    for name, amount in whole_pod.items():
        if name in ("cpu", "memory") or name.startswith("hugepages-"):
            total[name] = amount
    total = add(total, amounts(spec.get("overhead")))
    total["pods"] = 1000
    return total


def tolerated(taint: Obj, tolerations: Iterable[Obj]) -> bool:
    """Whether some toleration covers the taint."""
    for toleration in tolerations:
        key, operator = toleration.get("key") or "", toleration.get("operator") or "Equal"
        if toleration.get("effect") and toleration["effect"] != taint.get("effect"):
            continue
        if key and key != taint["key"]:
            continue
        if operator == "Exists" or (key and (toleration.get("value") or "") == (taint.get("value") or "")):
            return True
    return False


def untolerated(taints: Iterable[Obj], spec: Obj) -> list[Obj]:
    """NoSchedule and NoExecute taints that keep the pod away."""
    hard = [taint for taint in taints if taint.get("effect") in ("NoSchedule", "NoExecute")]
    return [taint for taint in hard if not tolerated(taint, spec.get("tolerations") or [])]


class Span(NamedTuple):
    """The values that one requirement leaves to one label key."""

    complement: bool
    values: frozenset[str]
    low: int | None = None
    high: int | None = None

    @property
    def negative(self) -> bool:
        """NotIn or DoesNotExist: satisfied by a label that is not there."""
        return bool(self.values) if self.complement else not self.values

    def has(self, value: str) -> bool:
        """Whether a label with this value satisfies the requirement."""
        return (value not in self.values if self.complement else value in self.values) and self._bounded(value)

    def _bounded(self, value: str) -> bool:
        if self.low is None and self.high is None:
            return True
        try:
            number = int(value)
        except ValueError:
            return False
        return (self.low is None or number >= self.low) and (self.high is None or number <= self.high)


ABSENT = Span(False, frozenset())
Spans = dict[str, Span]


def span(operator: str, values: Iterable[object] = ()) -> Span:
    """One requirement as a span."""
    texts = [str(value) for value in values]
    if operator in ("In", "NotIn"):
        return Span(operator == "NotIn", frozenset(texts))
    if operator == "DoesNotExist":
        return ABSENT
    if operator == "Exists":
        return Span(True, frozenset())
    bound = int(texts[0])
    low = {"Gt": bound + 1, "Gte": bound}.get(operator)
    high = {"Lt": bound - 1, "Lte": bound}.get(operator)
    return Span(True, frozenset(), low, high)


def meet(left: Span, right: Span) -> Span | None:
    """Both requirements at once; None when no label, and no missing label, satisfies both."""
    lows = [bound for bound in (left.low, right.low) if bound is not None]
    highs = [bound for bound in (left.high, right.high) if bound is not None]
    low, high = max(lows, default=None), min(highs, default=None)
    both_negative = left.negative and right.negative
    if left.complement and right.complement:
        if low is not None and high is not None and low > high:
            return None
        return Span(True, left.values | right.values, low, high)
    concrete = left.values if not left.complement else right.values
    kept = frozenset(value for value in concrete if left.has(value) and right.has(value))
    return Span(False, kept) if kept or both_negative else None


def expressions(items: Iterable[Obj]) -> Spans | None:
    """Requirements of one list, keys joined; None when they contradict each other."""
    spans: Spans = {}
    for item in items:
        key, one = normal(item["key"]), span(item["operator"], item.get("values") or ())
        met = meet(spans[key], one) if key in spans else one
        if met is None:
            return None
        spans[key] = met
    return spans


def merged(left: Spans, right: Spans) -> Spans | None:
    """Two sets of requirements at once, None when they contradict each other."""
    result = dict(left)
    for key, one in right.items():
        met = meet(result[key], one) if key in result else one
        if met is None:
            return None
        result[key] = met
    return result


def required_terms(spec: Obj) -> list[Obj]:
    """Terms of the required node affinity, empty when there is none."""
    node_affinity = (spec.get("affinity") or {}).get("nodeAffinity") or {}
    required = node_affinity.get("requiredDuringSchedulingIgnoredDuringExecution") or {}
    return list(required.get("nodeSelectorTerms") or [])


def node_options(spec: Obj) -> list[Spans]:
    """The ways in which a node may satisfy selector and required affinity: one for each OR term."""
    selector = [{"key": k, "operator": "In", "values": [v]} for k, v in (spec.get("nodeSelector") or {}).items()]
    terms = required_terms(spec)
    bodies = [term.get("matchExpressions") or [] for term in terms] if terms else [[]]
    options = [expressions([*selector, *body]) for body in bodies]
    return [option for option in options if option is not None]


def admits(option: Spans, labels: dict[str, str]) -> bool:
    """Whether a node with exactly these labels satisfies the option."""
    return all(one.has(labels[key]) if key in labels else one.negative for key, one in option.items())


def selects(selector: Obj | None, labels: dict[str, str]) -> bool:
    """Label selector match; no selector selects nothing, an empty one everything."""
    if selector is None:
        return False
    if any(labels.get(key) != str(value) for key, value in (selector.get("matchLabels") or {}).items()):
        return False
    for item in selector.get("matchExpressions") or []:
        one = span(item["operator"], item.get("values") or ())
        value = labels.get(item["key"])
        if not (one.has(value) if value is not None else one.negative):
            return False
    return True


def host_ports(spec: Obj) -> Iterator[tuple[str, int, str]]:
    """(IP, port, protocol) that the pod's containers take of the node."""
    for container in spec.get("containers") or []:
        for port in container.get("ports") or []:
            if port.get("hostPort"):
                yield port.get("hostIP") or "0.0.0.0", int(port["hostPort"]), port.get("protocol") or "TCP"


def ports_clash(left: tuple[str, int, str], right: tuple[str, int, str]) -> bool:
    """Equal port and protocol, and equal or unspecified addresses."""
    anywhere = {"0.0.0.0", "::"}
    return left[1:] == right[1:] and (left[0] == right[0] or bool(anywhere & {left[0], right[0]}))


def owned_by(pod: Obj, kind: str) -> bool:
    """Whether an owner of this kind stands on the pod."""
    return any(owner.get("kind") == kind for owner in meta(pod).get("ownerReferences") or [])


def finished(pod: Obj) -> bool:
    """Succeeded or Failed."""
    return (pod.get("status") or {}).get("phase") in ("Succeeded", "Failed")


def terminating(pod: Obj) -> bool:
    """Deletion has begun."""
    return bool(meta(pod).get("deletionTimestamp"))
