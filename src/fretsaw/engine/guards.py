"""Pods that look at where other pods are, and pods that others have to look out for."""

from __future__ import annotations

from fretsaw.api.pod import Pod, PodSpec


def looks_at_others(spec: PodSpec) -> bool:
    """Whether a pod has wishes about where other pods are."""
    affinity = spec.affinity
    return bool(spec.topology_spread_constraints) or (
        affinity is not None and (affinity.pod_affinity is not None or affinity.pod_anti_affinity is not None)
    )


def is_guard(pod: Pod) -> bool:
    """Whether a pod keeps others away by a required anti-affinity."""
    affinity = pod.spec.affinity.pod_anti_affinity if pod.spec.affinity is not None else None
    return bool(affinity and affinity.required)
