"""A virtual EC2 for tests: catalogs and claims in a line, everything that takes time fixed, all reports kept."""

from __future__ import annotations

from typing import Any, TypeVar

from fretsaw.api.catalog import Catalog, InstanceType, Offering
from fretsaw.api.meta import ObjectMeta
from fretsaw.api.nodeclaim import NodeClaim, NodeClaimResources, NodeClaimSpec, NodeClassRef
from fretsaw.api.selection import NodeSelectorRequirement
from fretsaw.api.times import SECOND, Millis
from fretsaw.engine.events import Event, InstanceCreated, LaunchRefused
from fretsaw.sim.cloud import Cloud, CloudSettings
from fretsaw.sim.instance import Instance
from fretsaw.sim.journal import Fact
from fretsaw.sim.spread import Spread
from fretsaw.sim.world import World

START: Millis = 1_767_225_600_000
"""2026-01-01T00:00:00Z."""
POOL = "gpu"
AWS = "karpenter.k8s.aws"
E = TypeVar("E", bound=Event)


def offering(zone: str, capacity_type: str, price: float, **more: Any) -> Offering:
    """One way to buy."""
    return Offering(zone, capacity_type, price, **more)


def reserved(zone: str, id_: str, count: int, price: float = 1e-7, **labels: str) -> Offering:
    """A reservation of a type. labels: `type`, `interruptible`."""
    own = {"id": id_, "type": "default", "interruptible": "false", **labels}
    named = {f"{AWS}/capacity-reservation-{key}": value for key, value in own.items()}
    return Offering(zone, "reserved", price, count > 0, named, count)


def instance_type(name: str, *offerings: Offering, cpu: int = 4, memory: str = "16Gi", gpus: int = 1) -> InstanceType:
    """A type with 10 % of its CPU set aside; labels as the catalog has them."""
    capacity = {"cpu": str(cpu), "memory": memory, "pods": "58", "vpc.amazonaws.com/efa": "1"}
    labels = {
        "kubernetes.io/arch": ["amd64"],
        f"{AWS}/instance-family": [name.partition(".")[0]],
        f"{AWS}/instance-tenancy": ["default", "dedicated"],
    }
    if gpus:
        capacity["nvidia.com/gpu"] = str(gpus)
        labels[f"{AWS}/instance-gpu-count"] = [str(gpus)]
    return InstanceType(name, capacity, {"cpu": f"{cpu * 100}m"}, labels, list(offerings))


def both(on_demand: float, spot: float, zones: str = "ab") -> tuple[Offering, ...]:
    """On-demand and spot in zones `z-a`, `z-b` …"""
    return tuple(
        offering(f"z-{z}", kind, price) for z in zones for kind, price in (("on-demand", on_demand), ("spot", spot))
    )


def catalog(*types: InstanceType) -> Catalog:
    """A catalog."""
    return Catalog(list(types), region="us-east-1")


G5 = instance_type("g5.xlarge", *both(1.006, 0.4))
G6 = instance_type("g6.xlarge", *both(0.8, 0.35))


def claim(name: str = "c-0", *requirements: tuple[Any, ...], pool: str = POOL, **requests: str) -> NodeClaim:
    """A NodeClaim for a GPU; requirements as (key, operator, value, …), requests with `_` for what Python forbids."""
    asked = {{"gpu": "nvidia.com/gpu", "efa": "vpc.amazonaws.com/efa"}.get(k, k): v for k, v in requests.items()}
    return NodeClaim(
        metadata=ObjectMeta(name=name, labels={"karpenter.sh/nodepool": pool}),
        spec=NodeClaimSpec(
            node_class_ref=NodeClassRef("karpenter.k8s.aws", "EC2NodeClass", "default"),
            requirements=tuple(NodeSelectorRequirement(r[0], r[1], tuple(r[2:])) for r in requirements),
            resources=NodeClaimResources(dict(asked or {"nvidia.com/gpu": "1"})),
        ),
    )


def capacity(*kinds: str) -> tuple[Any, ...]:
    """The requirement of a capacity type."""
    return ("karpenter.sh/capacity-type", "In", *kinds)


FIXED = {
    "create": Spread.fixed(1 * SECOND),
    "pending": Spread.fixed(20 * SECOND),
    "shutting_down": Spread.fixed(30 * SECOND),
    "queue_lag": Spread.fixed(0),
    "batch_idle": 0,
    "spot_path": None,
    "rebalance": None,
    "collect_leaked": False,
}
"""Settings under which times can be written down."""


class Ec2:
    """A cloud and what it said."""

    def __init__(self, *types: InstanceType, seed: int = 1, start: Millis = START, **settings: Any) -> None:
        self.world = World(start, seed)
        self.events: list[tuple[Millis, Event]] = []
        self.world.on_report(lambda event: self.events.append((self.world.loop.now - start, event)))
        self.start = start
        self.catalog = catalog(*(types or (G5, G6)))
        self.cloud = Cloud(self.world, {POOL: self.catalog}, CloudSettings(**{**FIXED, **settings}))

    def run(self, to: Millis) -> None:
        """Let time pass until so long after the start."""
        self.world.loop.run(self.start + to)

    def launch(self, *claims: NodeClaim) -> list[Instance | LaunchRefused]:
        """Ask for instances and wait for the answers: 1 s, as nothing else of the cloud takes less."""
        seen = len(self.events)
        for one in claims:
            self.cloud.launch(one)
        self.world.loop.run(self.world.loop.now + SECOND)
        found: dict[str, Instance | LaunchRefused] = {}
        for _, event in self.events[seen:]:
            if isinstance(event, InstanceCreated):
                instance = self.cloud.instance(event.provider_id)
                assert instance is not None
                found[event.claim] = instance
            elif isinstance(event, LaunchRefused):
                found[event.claim] = event
        return [found[one.metadata.name] for one in claims]

    def one(self, *requirements: tuple[Any, ...], name: str = "c-0", **requests: str) -> Instance:
        """Launch one instance, which must succeed."""
        (answer,) = self.launch(claim(name, *requirements, **requests))
        assert isinstance(answer, Instance), answer
        return answer

    def said(self, kind: type[E]) -> list[tuple[Millis, E]]:
        """The reports of one kind, with the time since the start."""
        return [(at, event) for at, event in self.events if isinstance(event, kind)]

    def facts(self, what: str) -> list[Fact]:
        """What the journal has of one kind."""
        return [fact for fact in self.world.journal.facts if fact.what == what]
