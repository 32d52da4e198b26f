"""An API version that is gone

The object is of a version that today's Kubernetes, or today's Karpenter, does not serve any more.

Why: It is refused on the next apply, or worse: it was never applied, and what it says holds nowhere.

Example:
    apiVersion: karpenter.sh/v1beta1
    kind: NodePool
    metadata: {name: gpu}
    spec: {template: {spec: {requirements: [], nodeClassRef: {name: gpu}}}}

Fix: Write the version of today. `fretsaw validate` names each field of Karpenter's old kinds that has moved.

Source: kubernetes.io, Deprecated API Migration Guide; Karpenter upgrade guides 0.32 and 1.0.
"""

from __future__ import annotations

from collections.abc import Iterator

from fretsaw.lint.found import Found, Set
from fretsaw.lint.given import Input
from fretsaw.lint.rule import rule
from fretsaw.lint.views import Thing

_SAME = {
    ("policy/v1beta1", "PodDisruptionBudget"): "policy/v1",
    ("batch/v1beta1", "CronJob"): "batch/v1",
    ("scheduling.k8s.io/v1beta1", "PriorityClass"): "scheduling.k8s.io/v1",
    ("storage.k8s.io/v1beta1", "StorageClass"): "storage.k8s.io/v1",
    ("storage.k8s.io/v1beta1", "CSIDriver"): "storage.k8s.io/v1",
    ("node.k8s.io/v1beta1", "RuntimeClass"): "node.k8s.io/v1",
    ("rbac.authorization.k8s.io/v1beta1", "ClusterRole"): "rbac.authorization.k8s.io/v1",
    ("rbac.authorization.k8s.io/v1beta1", "ClusterRoleBinding"): "rbac.authorization.k8s.io/v1",
}
"""Versions that only changed their name."""
_OTHER = {
    ("autoscaling/v2beta1", "HorizontalPodAutoscaler"): "autoscaling/v2",
    ("autoscaling/v2beta2", "HorizontalPodAutoscaler"): "autoscaling/v2",
    ("extensions/v1beta1", "Deployment"): "apps/v1",
    ("extensions/v1beta1", "DaemonSet"): "apps/v1",
    ("extensions/v1beta1", "Ingress"): "networking.k8s.io/v1",
    ("networking.k8s.io/v1beta1", "Ingress"): "networking.k8s.io/v1",
    ("apps/v1beta1", "Deployment"): "apps/v1",
    ("apps/v1beta2", "Deployment"): "apps/v1",
    ("apiextensions.k8s.io/v1beta1", "CustomResourceDefinition"): "apiextensions.k8s.io/v1",
    ("resource.k8s.io/v1alpha2", "ResourceClaim"): "resource.k8s.io/v1",
    ("resource.k8s.io/v1alpha2", "ResourceClaimTemplate"): "resource.k8s.io/v1",
    ("resource.k8s.io/v1alpha3", "ResourceClaimTemplate"): "resource.k8s.io/v1",
    ("karpenter.k8s.aws/v1alpha1", "AWSNodeTemplate"): "karpenter.k8s.aws/v1 EC2NodeClass",
    ("karpenter.k8s.aws/v1beta1", "EC2NodeClass"): "karpenter.k8s.aws/v1",
    ("karpenter.sh/v1alpha5", "Provisioner"): "karpenter.sh/v1 NodePool",
    ("karpenter.sh/v1alpha5", "Machine"): "karpenter.sh/v1 NodeClaim",
    ("karpenter.sh/v1beta1", "NodePool"): "karpenter.sh/v1",
    ("karpenter.sh/v1beta1", "NodeClaim"): "karpenter.sh/v1",
}
"""Versions in which fields have changed, too."""


@rule("WORK115", "error", on="*", even_invalid=True, fixes=True)
def old_api_version(thing: Thing, given: Input) -> Iterator[Found]:
    """Objects of versions that are gone."""
    key = (thing.document.api_version, thing.kind)
    if key in _SAME:
        edits = (Set("apiVersion", _SAME[key]),)
        yield Found("apiVersion", f"{key[0]} {key[1]} is gone", fix=f"write {_SAME[key]}", edits=edits)
    elif key in _OTHER:
        moved = "; fields have moved: `fretsaw validate` names them" if "karpenter" in key[0] else "; fields differ"
        yield Found("apiVersion", f"{key[0]} {key[1]} is gone", fix=f"write {_OTHER[key]}{moved}")
