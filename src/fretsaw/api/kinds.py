"""Which kinds are read, under which API versions, and into which structs."""

from __future__ import annotations

from typing import Final

import msgspec

from fretsaw.api import autoscaling, node, pod, policy, storage, workload
from fretsaw.api.meta import Object

KARPENTER: Final = "karpenter.sh"
AWS: Final = "karpenter.k8s.aws"
BUFFERS: Final = "autoscaling.x-k8s.io"


class Kind(msgspec.Struct, frozen=True):
    """A kind that is read."""

    group: str
    name: str
    versions: tuple[str, ...]
    """Accepted versions, the one to write first."""
    struct: str | type[Object]
    """The struct, or `module:name` of one that is only imported when such an object appears."""
    namespaced: bool = True

    @property
    def is_custom(self) -> bool:
        """Whether a CRD defines it, so that `api.validate` checks it."""
        return isinstance(self.struct, str)

    @property
    def api_version(self) -> str:
        """The apiVersion to write."""
        return f"{self.group}/{self.versions[0]}" if self.group else self.versions[0]

    def load_struct(self) -> type[Object]:
        """The struct's class."""
        if not isinstance(self.struct, str):
            return self.struct
        module, _, name = self.struct.partition(":")
        found: type[Object] = getattr(__import__(module, fromlist=[name]), name)
        return found


def _core(struct: type[Object], group: str = "", *, versions: str = "v1", namespaced: bool = True) -> Kind:
    return Kind(group, struct.__name__, tuple(versions.split()), struct, namespaced)


def _custom(group: str, name: str, version: str, *, namespaced: bool = False) -> Kind:
    return Kind(group, name, (version,), f"fretsaw.api.{name.lower().removeprefix('ec2')}:{name}", namespaced)


KINDS: Final[dict[tuple[str, str], Kind]] = {
    (kind.group, kind.name): kind
    for kind in (
        _core(pod.Pod),
        _core(workload.PodTemplate),
        _core(workload.ReplicationController),
        _core(node.Node, namespaced=False),
        _core(policy.Namespace, namespaced=False),
        _core(policy.Service),
        _core(storage.PersistentVolumeClaim),
        _core(storage.PersistentVolume, namespaced=False),
        _core(workload.Deployment, "apps"),
        _core(workload.ReplicaSet, "apps"),
        _core(workload.StatefulSet, "apps"),
        _core(workload.DaemonSet, "apps"),
        _core(workload.Job, "batch"),
        _core(workload.CronJob, "batch"),
        _core(autoscaling.HorizontalPodAutoscaler, "autoscaling", versions="v2 v1"),
        _core(policy.PodDisruptionBudget, "policy"),
        _core(policy.PriorityClass, "scheduling.k8s.io", namespaced=False),
        _core(policy.RuntimeClass, "node.k8s.io", namespaced=False),
        _core(storage.StorageClass, "storage.k8s.io", namespaced=False),
        _core(node.CSINode, "storage.k8s.io", namespaced=False),
        _core(node.VolumeAttachment, "storage.k8s.io", namespaced=False),
        _custom(KARPENTER, "NodePool", "v1"),
        _custom(KARPENTER, "NodeClaim", "v1"),
        _custom(KARPENTER, "NodeOverlay", "v1alpha1"),
        _custom(BUFFERS, "CapacityBuffer", "v1beta1", namespaced=True),
        _custom(AWS, "EC2NodeClass", "v1"),
    )
}

_OLD_GROUPS: Final = {
    ("extensions", "Deployment"): "apps",
    ("extensions", "DaemonSet"): "apps",
    ("extensions", "ReplicaSet"): "apps",
    ("autoscaling.k8s.io", "CapacityBuffer"): BUFFERS,
}
"""Groups that a kind has left; and groups that are easily taken for its own."""

_GROUPLESS: Final = frozenset(name for group, name in KINDS if group == "")


def split(api_version: str) -> tuple[str, str]:
    """Group and version; the core group is empty."""
    group, _, version = api_version.rpartition("/")
    return group, version


def find(api_version: str, kind: str) -> Kind | None:
    """The kind that an object is of, whatever its version; None for kinds that are not read."""
    group, _ = split(api_version)
    return KINDS.get((_OLD_GROUPS.get((group, kind), group), kind)) or _misplaced(group, kind)


def _misplaced(group: str, kind: str) -> Kind | None:
    """A known kind under a group that cannot be a custom resource's own: `v1 Deployment`, `batch/v1 NodePool`."""
    if "." in group and group not in {known for known, _ in KINDS}:
        return None
    owners = [found for (_, name), found in KINDS.items() if name == kind]
    return owners[0] if owners else None


def groups_of(kind: str) -> frozenset[str]:
    """The groups under which a kind of that name is read."""
    return frozenset(group for group, name in KINDS if name == kind)
