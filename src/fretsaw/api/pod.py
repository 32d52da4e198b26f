"""Pods: every field that placement, eviction or a report reads. Quantities stay text (see `api.resources`)."""

# ruff: noqa: RUF012 (msgspec copies an empty default for every object)

from __future__ import annotations

from msgspec import field

from fretsaw.api.affinity import (
    Affinity,
    NodeAffinity,
    NodeSelector,
    NodeSelectorRequirement,
    NodeSelectorTerm,
    PodAffinity,
    PodAffinityTerm,
    PreferredNodeTerm,
    PreferredPodTerm,
    Toleration,
    TopologySpreadConstraint,
)
from fretsaw.api.meta import Condition, Object, ObjectMeta, Value
from fretsaw.api.resources import Quantities

__all__ = [
    "Affinity",
    "ClaimVolume",
    "Container",
    "ContainerPort",
    "ContainerResourceStatus",
    "ContainerState",
    "ContainerStateRunning",
    "ContainerStateTerminated",
    "ContainerStateWaiting",
    "ContainerStatus",
    "EnvVar",
    "EphemeralVolume",
    "NodeAffinity",
    "NodeSelector",
    "NodeSelectorRequirement",
    "NodeSelectorTerm",
    "Pod",
    "PodAffinity",
    "PodAffinityTerm",
    "PodResourceClaim",
    "PodSchedulingGate",
    "PodSpec",
    "PodStatus",
    "PodTemplateSpec",
    "PreferredNodeTerm",
    "PreferredPodTerm",
    "Probe",
    "ResourceClaimName",
    "ResourceRequirements",
    "Toleration",
    "TopologySpreadConstraint",
    "Volume",
    "VolumeClaimSpec",
    "VolumeClaimTemplate",
    "VolumeMount",
]


class ResourceClaimName(Value, frozen=True):
    """A container's use of a pod's resource claim."""

    name: str = ""
    request: str = ""


class ResourceRequirements(Value, frozen=True):
    """What is asked for and capped, as quantity texts by resource name."""

    requests: Quantities = {}
    limits: Quantities = {}
    claims: tuple[ResourceClaimName, ...] = ()


class ContainerPort(Value, frozen=True):
    """A port of a container; only those with a host port matter for placement."""

    container_port: int = 0
    host_port: int = 0
    host_ip: str = field(default="", name="hostIP")
    protocol: str = "TCP"
    name: str = ""


class EnvVar(Value, frozen=True):
    """A variable with a literal value; `valueFrom` is left in the raw tree."""

    name: str = ""
    value: str = ""


class VolumeMount(Value, frozen=True):
    """Where a container sees a volume."""

    name: str = ""
    mount_path: str = ""
    read_only: bool = False


class Probe(Value, frozen=True):
    """When the kubelet asks a container how it is; what it asks does not matter here. 0 stands for the default."""

    initial_delay_seconds: int = 0
    period_seconds: int = 10
    timeout_seconds: int = 1
    success_threshold: int = 1
    failure_threshold: int = 3


class Container(Value, frozen=True):
    """A container or an init container; `restart_policy` Always makes the latter a sidecar."""

    name: str = ""
    image: str = ""
    resources: ResourceRequirements = ResourceRequirements()
    ports: tuple[ContainerPort, ...] = ()
    restart_policy: str = ""
    command: tuple[str, ...] = ()
    args: tuple[str, ...] = ()
    env: tuple[EnvVar, ...] = ()
    volume_mounts: tuple[VolumeMount, ...] = ()
    readiness_probe: Probe | None = None
    startup_probe: Probe | None = None
    liveness_probe: Probe | None = None

    @property
    def is_sidecar(self) -> bool:
        """Whether an init container keeps running beside the others."""
        return self.restart_policy == "Always"


class ClaimVolume(Value, frozen=True):
    """A volume from a PersistentVolumeClaim of the pod's namespace."""

    claim_name: str = ""
    read_only: bool = False


class VolumeClaimSpec(Value, frozen=True):
    """The spec of a PersistentVolumeClaim."""

    storage_class_name: str | None = None
    """None means the default class, an empty text means no class at all."""
    volume_name: str = ""
    access_modes: tuple[str, ...] = ()
    resources: ResourceRequirements = ResourceRequirements()
    volume_mode: str = ""


class VolumeClaimTemplate(Value, frozen=True):
    """A claim to be made, for an ephemeral volume or for each pod of a StatefulSet."""

    metadata: ObjectMeta = ObjectMeta()
    spec: VolumeClaimSpec = VolumeClaimSpec()

    @property
    def name(self) -> str:
        """`metadata.name`."""
        return self.metadata.name


class EphemeralVolume(Value, frozen=True):
    """A generic ephemeral volume: its claim is called `<pod>-<volume>`."""

    volume_claim_template: VolumeClaimTemplate | None = None


class Volume(Value, frozen=True):
    """A volume of a pod; other sources than claims do not matter for placement and are kept as a name only."""

    name: str = ""
    persistent_volume_claim: ClaimVolume | None = None
    ephemeral: EphemeralVolume | None = None


class PodSchedulingGate(Value, frozen=True):
    """Something that keeps a pod out of scheduling."""

    name: str = ""


class PodResourceClaim(Value, frozen=True):
    """A device claim of a pod (dynamic resource allocation)."""

    name: str = ""
    resource_claim_name: str = ""
    resource_claim_template_name: str = ""


class PodSpec(Value, frozen=True):
    """The spec of a pod or of a workload's template."""

    containers: tuple[Container, ...] = ()
    init_containers: tuple[Container, ...] = ()
    node_selector: dict[str, str] = {}
    affinity: Affinity | None = None
    tolerations: tuple[Toleration, ...] = ()
    topology_spread_constraints: tuple[TopologySpreadConstraint, ...] = ()
    volumes: tuple[Volume, ...] = ()
    overhead: Quantities = {}
    resources: ResourceRequirements | None = None
    """Pod-level requests and limits."""
    node_name: str = ""
    priority: int | None = None
    priority_class_name: str = ""
    preemption_policy: str = ""
    scheduler_name: str = ""
    scheduling_gates: tuple[PodSchedulingGate, ...] = ()
    resource_claims: tuple[PodResourceClaim, ...] = ()
    host_network: bool = False
    restart_policy: str = ""
    runtime_class_name: str = ""
    service_account_name: str = ""
    termination_grace_period_seconds: int | None = None


class ContainerResourceStatus(Value, frozen=True):
    """What a running container has now, which an in-place resize may have left apart from its spec."""

    requests: Quantities = {}
    limits: Quantities = {}


class ContainerStateWaiting(Value, frozen=True):
    """Not started yet, or between two starts: `ContainerCreating`, `CrashLoopBackOff`."""

    reason: str = ""
    message: str = ""


class ContainerStateRunning(Value, frozen=True):
    """Running."""

    started_at: str | None = None


class ContainerStateTerminated(Value, frozen=True):
    """Ended: `Completed` with exit code 0, else `Error`, `OOMKilled` and others."""

    exit_code: int = 0
    reason: str = ""
    message: str = ""
    started_at: str | None = None
    finished_at: str | None = None


class ContainerState(Value, frozen=True):
    """One of three; none at all means waiting."""

    waiting: ContainerStateWaiting | None = None
    running: ContainerStateRunning | None = None
    terminated: ContainerStateTerminated | None = None


class ContainerStatus(Value, frozen=True):
    """How a container is, and what in-place resize gave it (KEP-1287)."""

    name: str = ""
    allocated_resources: Quantities = {}
    resources: ContainerResourceStatus | None = None
    ready: bool = False
    started: bool | None = None
    restart_count: int = 0
    state: ContainerState = ContainerState()
    last_state: ContainerState = ContainerState()


class PodStatus(Value, frozen=True):
    """Phase, conditions and what the kubelet granted."""

    phase: str = ""
    conditions: tuple[Condition, ...] = ()
    nominated_node_name: str = ""
    start_time: str | None = None
    container_statuses: tuple[ContainerStatus, ...] = ()
    init_container_statuses: tuple[ContainerStatus, ...] = ()
    allocated_resources: Quantities = {}
    resources: ContainerResourceStatus | None = None
    resize: str = ""
    reason: str = ""
    message: str = ""


class PodTemplateSpec(Value, frozen=True):
    """The pod of a workload."""

    metadata: ObjectMeta = ObjectMeta()
    spec: PodSpec = PodSpec()


class Pod(Object, frozen=True):
    """A pod."""

    spec: PodSpec = PodSpec()
    status: PodStatus = PodStatus()

    @property
    def key(self) -> str:
        """`namespace/name`."""
        return self.metadata.key

    @property
    def is_terminal(self) -> bool:
        """Whether it has run to its end and needs no place."""
        return self.status.phase in ("Succeeded", "Failed")
