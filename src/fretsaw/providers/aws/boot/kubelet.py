"""The kubelet's settings of a node: what it says of itself, and its configuration with everything filled in.

Source: Karpenter AWS provider v1.14 pkg/providers/amifamily (resolver.go) and …/bootstrap (kubelet arguments).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from fretsaw.api.labels import CAPACITY_TYPE, domain
from fretsaw.api.node import Taint
from fretsaw.api.resources import BadQuantity, units
from fretsaw.engine.joining import DO_NOT_SYNC
from fretsaw.engine.taints import UNREGISTERED

_NOT_BY_THE_KUBELET = ("kubernetes.io", "k8s.io", "node-restriction")
"""Domains of labels that the API server does not let a kubelet set; the controllers do that."""
_RESERVED = ("systemReserved", "kubeReserved")


def node_labels(given: Mapping[str, str], capacity_type: str, family: str) -> dict[str, str]:
    """The labels that the kubelet registers its node with, sorted."""
    found = {**given, CAPACITY_TYPE: capacity_type}
    if family != "Custom":
        found[DO_NOT_SYNC] = "true"
    return {key: found[key] for key in sorted(found) if _is_allowed(domain(key))}


def _is_allowed(name: str) -> bool:
    return not any(name == one or name.endswith(f".{one}") for one in _NOT_BY_THE_KUBELET) and not name.startswith(
        "node-restriction."
    )


def node_taints(taints: Iterable[Taint], startup: Iterable[Taint]) -> tuple[Taint, ...]:
    """The taints that the kubelet registers its node with; no pod comes before the node is registered."""
    found = (*taints, *startup)
    has = any((one.key, one.effect) == (UNREGISTERED.key, UNREGISTERED.effect) for one in found)
    return found if has else (*found, UNREGISTERED)


def resolved(given: Mapping[str, Any] | None, pods: int, dns_ip: str) -> dict[str, Any]:
    """The configuration for a type that takes so many pods. Expressions are left out: their gate is off."""
    found = dict(given or {})
    if not _is_integer(found.get("maxPods")):
        found["maxPods"] = pods
    for field in _RESERVED:
        if field in found:
            found[field] = {name: text for name, text in dict(found[field]).items() if _is_quantity(name, text)}
    if not found.get("clusterDNS") and dns_ip:
        found["clusterDNS"] = [dns_ip]
    return found


def _is_integer(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_quantity(name: str, text: Any) -> bool:
    try:
        units(name, text)
    except (BadQuantity, TypeError):
        return False
    return True


def arguments(labels: Mapping[str, str], taints: Iterable[Taint], kubelet: Mapping[str, Any]) -> list[str]:
    """The kubelet's command line for families that take one, what is not set left out."""
    taint_texts = [f"{one.key}={one.value}:{one.effect}" if one.value else str(one) for one in taints]
    texts = [
        f"--node-labels={_quoted(_pairs(labels, '='))}" if labels else "",
        f"--register-with-taints={_quoted(','.join(taint_texts))}" if taint_texts else "",
        f"--max-pods={kubelet['maxPods']}" if "maxPods" in kubelet else "",
        f"--pods-per-core={kubelet['podsPerCore']}" if kubelet.get("podsPerCore") else "",
        *(_map(kubelet, field, flag, sign) for field, flag, sign in _MAPS),
        *(f"--{flag}={_text(kubelet[field])}" for field, flag in _SCALARS if kubelet.get(field) is not None),
    ]
    return [text for text in texts if text]


_MAPS = (
    ("systemReserved", "system-reserved", "="),
    ("kubeReserved", "kube-reserved", "="),
    ("evictionHard", "eviction-hard", "<"),
    ("evictionSoft", "eviction-soft", "<"),
    ("evictionSoftGracePeriod", "eviction-soft-grace-period", "="),
)
_SCALARS = (
    ("evictionMaxPodGracePeriod", "eviction-max-pod-grace-period"),
    ("imageGCHighThresholdPercent", "image-gc-high-threshold"),
    ("imageGCLowThresholdPercent", "image-gc-low-threshold"),
    ("cpuCFSQuota", "cpu-cfs-quota"),
)


def _map(kubelet: Mapping[str, Any], field: str, flag: str, sign: str) -> str:
    return f"--{flag}={_quoted(_pairs(kubelet[field], sign))}" if kubelet.get(field) else ""


def _pairs(values: Mapping[str, Any], sign: str) -> str:
    return ",".join(f"{key}{sign}{values[key]}" for key in sorted(values))


def _quoted(text: str) -> str:
    return f'"{text}"'


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
