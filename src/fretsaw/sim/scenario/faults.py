"""What a scenario lets go wrong, and what its operators do, at given times."""

# ruff: noqa: RUF012 (msgspec copies an empty default for every object)

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from msgspec import Meta

from fretsaw.sim.scenario.cloud import Where
from fretsaw.sim.scenario.part import Count, Part, Positive
from fretsaw.sim.scenario.units import AnyObject, Duration, Rate, Share, Texts


class Target(Where, frozen=True, kw_only=True):
    """Nodes: those that every given field matches."""

    SHORT: ClassVar[str] = "nodes"

    nodes: Texts | None = None
    """Names of nodes or of their claims."""
    pools: Texts | None = None
    """NodePools."""
    share: Share = 1.0
    """Of those that match, so many, by chance."""
    count: Positive | None = None
    """Of those that match, so many at most, by chance."""


class Missing(Target, frozen=True, kw_only=True):
    """Nodes with fewer GPUs than their type has."""

    missing: Positive = 1
    """GPUs that do not appear."""


class Xid(Target, frozen=True, kw_only=True):
    """A GPU error that the driver reports."""

    SHORT: ClassVar[str] = "code"

    code: Annotated[int, Meta(ge=1, le=200)]
    """The Xid, such as 79 (GPU has fallen off the bus)."""


class Slow(Target, frozen=True, kw_only=True):
    """Slow image pulls."""

    SHORT: ClassVar[str] = "times"

    times: Annotated[float, Meta(gt=1, le=1000)]
    """How much longer pulls take."""


class Drift(Part, frozen=True, kw_only=True):
    """Nodes that are no longer what their node class asks for."""

    SHORT: ClassVar[str] = "nodeClass"

    node_class: str
    """The node class."""
    reason: Literal["AMIDrift", "SubnetDrift", "SecurityGroupDrift", "CapacityReservationDrift", "NodeClassDrift"] = (
        "AMIDrift"
    )
    """What does not fit any more."""


class Interrupt(Target, frozen=True, kw_only=True):
    """Something that AWS announces about instances."""

    SHORT: ClassVar[str] = "kind"

    kind: Literal[
        "rebalance_recommendation",
        "capacity_reservation_interrupted",
        "scheduled_change",
        "instance_stopped",
        "instance_terminated",
        "instance_status",
    ]
    """What is announced; reclaims have a fault of their own."""


class ApiThrottle(Part, frozen=True, kw_only=True):
    """EC2 takes fewer calls."""

    SHORT: ClassVar[str] = "rate"

    rate: Rate
    """So many fill up again."""
    burst: Count = 1
    """So many at once."""


class Patch(Part, frozen=True, kw_only=True):
    """A change of an object."""

    object: str
    """As kind/namespace/name, or kind/name for kinds without namespaces."""
    merge: AnyObject
    """What is merged into it; null removes a field (RFC 7386)."""


class Fault(Part, frozen=True, kw_only=True):
    """Something that happens at a time."""

    ONE_OF: ClassVar[tuple[str, ...]] = (
        "out", "gpuNeverRegisters", "gpuMissing", "xid", "slowPulls", "neverRegisters", "notReady", "drift", "reclaim",
        "interrupt", "apiThrottle", "apply", "patch", "delete", "scale",
    )  # fmt: skip
    INSTANT: ClassVar[tuple[str, ...]] = ("xid", "drift", "reclaim", "interrupt", "apply", "patch", "delete", "scale")
    """Faults that have no duration."""

    at: Duration
    """When."""
    for_: Duration | None = None
    """How long; without it, to the scenario's end."""
    repeat: Duration | None = None
    """Again after so long, until the end."""
    why: str = ""
    """What it stands for, in free text."""
    out: Where | None = None
    """EC2 has none of these offerings."""
    gpu_never_registers: Target | None = None
    """On nodes that start in this time, no GPU appears."""
    gpu_missing: Missing | None = None
    """On nodes that start in this time, some GPUs do not appear."""
    xid: Xid | None = None
    """A GPU fails on running nodes."""
    slow_pulls: Slow | None = None
    """Images come slowly to nodes."""
    never_registers: Target | None = None
    """Nodes that start in this time never join."""
    not_ready: Target | None = None
    """Running nodes stop reporting."""
    drift: Drift | None = None
    """Nodes of a class drift."""
    reclaim: Target | None = None
    """EC2 takes spot instances back, with notice."""
    interrupt: Interrupt | None = None
    """AWS announces something about instances."""
    api_throttle: ApiThrottle | None = None
    """EC2 takes fewer calls."""
    apply: tuple[AnyObject, ...] = ()
    """An operator applies these objects."""
    patch: tuple[Patch, ...] = ()
    """An operator changes these objects."""
    delete: tuple[str, ...] = ()
    """An operator deletes these objects, each as kind/namespace/name or kind/name."""
    scale: dict[str, Count] = {}
    """An operator sets the replicas of these workloads, each as kind/namespace/name."""

    @property
    def kind(self) -> str:
        """Which of its fields it is about, by its YAML name; empty where that holds nothing."""
        return next((name for name in self.ONE_OF if getattr(self, _snake(name))), "")


def _snake(name: str) -> str:
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name)
