"""Places for pods: nodes that exist, and nodes that this plan opens.

Both answer `why_not(mold)`: a reason that holds for good, whatever other pods do, since a place only ever gets fuller.
They are written to by the pass alone.
"""

from __future__ import annotations

import msgspec

from fretsaw.api.node import Taint
from fretsaw.engine.ports import HostPort, clash
from fretsaw.engine.requests import Amounts, add
from fretsaw.engine.requirements import Conflict, Requirements
from fretsaw.engine.shape import Mold, Shape
from fretsaw.engine.taints import untolerated
from fretsaw.engine.template import Template
from fretsaw.engine.universe import Bits

Reason = str | Conflict


class ExistingNode:
    """A node of the cluster with the room that is left on it."""

    __slots__ = ("attached", "bit", "free", "hostname", "limits", "name", "pods", "ports", "requirements", "taints")

    def __init__(
        self,
        name: str,
        hostname: str,
        bit: Bits,
        requirements: Requirements,
        taints: tuple[Taint, ...],
        free: Amounts,
    ) -> None:
        self.name = name
        self.hostname = hostname
        self.bit = bit
        self.requirements = requirements
        """With the host name."""
        self.taints = taints
        self.free = free
        self.ports: list[HostPort] = []
        self.attached: dict[str, set[str]] = {}
        """Claims that take a slot, by driver."""
        self.limits: dict[str, int] = {}
        self.pods: list[str] = []

    def moved(self, bit: Bits) -> ExistingNode:
        """The same place under another bit; what is on it is shared, so neither may be written to."""
        other = ExistingNode(self.name, self.hostname, bit, self.requirements, self.taints, self.free)
        other.ports, other.attached, other.limits = self.ports, self.attached, self.limits
        return other

    def copy(self) -> ExistingNode:
        """Another place in the same state, so that this one stays as it is."""
        other = self.moved(self.bit)
        other.free = dict(self.free)
        other.ports, other.pods = list(self.ports), list(self.pods)
        other.attached = {driver: set(claims) for driver, claims in self.attached.items()}
        return other

    def why_not(self, mold: Mold, wanted: Requirements) -> Reason | None:
        """Why the node can never take such a pod, None if it might. wanted: the requirements with any host name."""
        taint = untolerated(self.taints, mold.tolerations)
        if taint is not None:
            return f"taint {taint} not tolerated"
        if (driver := self._volumes_full(mold)) is not None:
            return f"its limit of {self.limits[driver]} volumes of {driver} is reached"
        if mold.ports and (port := clash(mold.ports, self.ports)) is not None:
            return f"host port {port} is taken"
        short = next((r for r, amount in mold.requests if amount > self.free.get(r, 0)), None)
        if short is None:
            short = next((r for r, amount in self.free.items() if amount < 0), None)
        if short is not None:
            return f"not enough {short}"
        return self.requirements.conflict(wanted)

    def _volumes_full(self, mold: Mold) -> str | None:
        wanted: dict[str, set[str]] = {}
        for driver, claim in mold.attachments:
            wanted.setdefault(driver, set()).add(claim)
        for driver, claims in wanted.items():
            limit = self.limits.get(driver)
            if limit is not None and len(self.attached.get(driver, set()) | claims) > limit:
                return driver
        return None

    def take(self, pod: str, mold: Mold) -> None:
        """Put a pod here. Its labels stay what they are, whatever the pod demands of labels that it lacks."""
        self.pods.append(pod)
        for resource, amount in mold.requests:
            self.free[resource] = self.free.get(resource, 0) - amount
        self.hold(mold.ports, mold.attachments)

    def hold(self, ports: tuple[HostPort, ...], attachments: tuple[tuple[str, str], ...]) -> None:
        """Note the ports and volume slots of a pod."""
        self.ports.extend(ports)
        for driver, claim in attachments:
            self.attached.setdefault(driver, set()).add(claim)


class OpenNode:
    """A node that the plan opens: what it must be, which types it can still be, and what is on it."""

    __slots__ = (
        "bit",
        "charged",
        "held",
        "index",
        "min_values_lowered",
        "pods",
        "ports",
        "requirements",
        "shapes",
        "stamp",
        "template",
        "types",
        "used",
    )  # fmt: skip

    def __init__(self, template: Template, index: int, types: Bits) -> None:
        self.template = template
        self.index = index
        self.bit = 1 << index
        self.types = types
        self.requirements = template.requirements
        self.used: Amounts = {}
        self.pods: list[str] = []
        self.shapes: list[Shape] = []
        """The shape with which each pod was placed, in step with `pods`."""
        self.ports: list[HostPort] = []
        self.charged: Amounts = {}
        """What the node took of its pool's limits."""
        self.held: frozenset[str] = frozenset()
        self.min_values_lowered = False
        self.stamp = 0
        """When it got its last pod, as a number of the pass."""

    @property
    def hostname(self) -> str:
        """A name that no other node has."""
        return f"\x00{self.index}"

    def copy(self) -> OpenNode:
        """Another node in the same state, so that this one stays as it is."""
        other = OpenNode(self.template, self.index, self.types)
        other.requirements, other.held = self.requirements, self.held
        other.used, other.charged = dict(self.used), dict(self.charged)
        other.pods, other.shapes, other.ports = list(self.pods), list(self.shapes), list(self.ports)
        other.min_values_lowered, other.stamp = self.min_values_lowered, self.stamp
        return other

    def roomy(self, mold: Mold) -> Bits:
        """The surviving types with room for one more such pod; 0 when there is none, or its ports are taken."""
        types = self.types
        holding, used = self.template.room.holding, self.used
        for resource, amount in mold.requests:
            types &= holding(resource, used.get(resource, 0) + amount)
            if not types:
                return 0
        if mold.ports:
            if clash(mold.ports, self.ports) is not None:
                return 0
            types &= ~self.template.port_blocked(mold.ports)
        return types

    def take(self, pod: str, shape: Shape, fit: Fit) -> None:
        """Put a pod here, and narrow the node to what fits it."""
        mold = shape.mold
        self.pods.append(pod)
        self.shapes.append(shape)
        self.requirements = fit.requirements
        self.types = fit.types
        self.held = fit.held
        add(self.used, dict(mold.requests))
        self.ports.extend(mold.ports)


class Fit(msgspec.Struct, frozen=True, gc=False):
    """How a place can take a pod: the requirements, types and reservations that are then left of it."""

    requirements: Requirements
    types: Bits = 0
    held: frozenset[str] = frozenset()
    min_values_lowered: bool = False
