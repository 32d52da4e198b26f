"""Taints and tolerations.

Source: kubernetes.io, Taints and Tolerations; Karpenter v1.14 pkg/scheduling/taints.go (every effect counts, also
PreferNoSchedule until a pod's wishes are relaxed).
"""

from __future__ import annotations

from collections.abc import Iterable

from fretsaw.api.affinity import Toleration
from fretsaw.api.node import Taint

DISRUPTED = Taint("karpenter.sh/disrupted", "NoSchedule")
UNREGISTERED = Taint("karpenter.sh/unregistered", "NoExecute")
PREFER_NO_SCHEDULE = "PreferNoSchedule"
TOLERATE_PREFERENCES = Toleration(operator="Exists", effect=PREFER_NO_SCHEDULE)
EPHEMERAL = (
    Taint("node.kubernetes.io/not-ready", "NoSchedule"),
    Taint("node.kubernetes.io/not-ready", "NoExecute"),
    Taint("node.kubernetes.io/unreachable", "NoSchedule"),
    Taint("node.cloudprovider.kubernetes.io/uninitialized", "NoSchedule", "true"),
    UNREGISTERED,
)
"""Taints that a starting node carries for a while; matched by key and effect."""
_READINESS_PREFIX = "readiness.k8s.io/"


def tolerates(toleration: Toleration, taint: Taint) -> bool:
    """Whether one toleration covers one taint."""
    if toleration.effect and toleration.effect != taint.effect:
        return False
    if toleration.key and toleration.key != taint.key:
        return False
    if toleration.operator == "Exists":
        return True
    return bool(toleration.key) and toleration.operator in ("", "Equal") and toleration.value == taint.value


def untolerated(taints: Iterable[Taint], tolerations: Iterable[Toleration]) -> Taint | None:
    """The first taint that none of the tolerations covers, None when all are covered."""
    held = tuple(tolerations)
    return next((taint for taint in taints if not any(tolerates(t, taint) for t in held)), None)


def same(a: Taint, b: Taint) -> bool:
    """Whether two taints are of one key and effect: Kubernetes' MatchTaint."""
    return a.key == b.key and a.effect == b.effect


def is_ephemeral(taint: Taint) -> bool:
    """Whether a node loses this taint by itself while it starts."""
    return taint.key.startswith(_READINESS_PREFIX) or any(same(taint, known) for known in EPHEMERAL)
