"""Policies and cluster-wide facts that placement and eviction read."""

# ruff: noqa: RUF012 (msgspec copies an empty default for every object)

from __future__ import annotations

from fretsaw.api.affinity import Toleration
from fretsaw.api.meta import Condition, IntOrText, LabelSelector, Object, ObjectMeta, Value
from fretsaw.api.resources import Quantities


class PodDisruptionBudgetSpec(Value, frozen=True):
    """How many pods may be missing; numbers or percentages."""

    min_available: IntOrText | None = None
    max_unavailable: IntOrText | None = None
    selector: LabelSelector | None = None
    unhealthy_pod_eviction_policy: str = "IfHealthyBudget"


class PodDisruptionBudgetStatus(Value, frozen=True):
    """What the cluster last computed."""

    disruptions_allowed: int | None = None
    current_healthy: int | None = None
    desired_healthy: int | None = None
    expected_pods: int | None = None
    observed_generation: int | None = None
    disrupted_pods: dict[str, str] = {}
    """Pods whose eviction was granted and that are still there, with the time of the grant."""
    conditions: tuple[Condition, ...] = ()


class PodDisruptionBudget(Object, frozen=True):
    """Limits voluntary evictions."""

    spec: PodDisruptionBudgetSpec = PodDisruptionBudgetSpec()
    status: PodDisruptionBudgetStatus = PodDisruptionBudgetStatus()

    def selects(self, pod: ObjectMeta) -> bool:
        """Whether it is about a pod. An empty selector selects every pod of the namespace, an absent one none."""
        selector = self.spec.selector
        return selector is not None and self.metadata.home == pod.home and selector.matches(pod.labels)


class PriorityClass(Object, frozen=True):
    """A named priority."""

    value: int = 0
    global_default: bool = False
    preemption_policy: str = "PreemptLowerPriority"


class Namespace(Object, frozen=True):
    """A namespace; its labels count for namespace selectors."""


class ServiceSpec(Value, frozen=True):
    """The pods behind a service."""

    selector: dict[str, str] = {}


class Service(Object, frozen=True):
    """Read for the selectors of default topology spread."""

    spec: ServiceSpec = ServiceSpec()


class RuntimeOverhead(Value, frozen=True):
    """What a runtime takes beside the containers."""

    pod_fixed: Quantities = {}


class RuntimeScheduling(Value, frozen=True):
    """Nodes that have a runtime."""

    node_selector: dict[str, str] = {}
    tolerations: tuple[Toleration, ...] = ()


class RuntimeClass(Object, frozen=True):
    """A container runtime, with its overhead and its nodes."""

    handler: str = ""
    overhead: RuntimeOverhead | None = None
    scheduling: RuntimeScheduling | None = None
