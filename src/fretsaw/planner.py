"""From manifests to a plan: the one way for the command line, for Python users and for tests.

    from fretsaw import load, plan
    answer = plan(load(["examples/gpu-platform"]))

Reads files and the shipped catalog, hands the engine a Cluster, and shapes its answer as the documented JSON.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from fretsaw.api import admission
from fretsaw.api.catalog import Catalog
from fretsaw.api.document import Document
from fretsaw.api.expand import expand
from fretsaw.api.manifest import Manifests, load, no_collection
from fretsaw.api.nodepool import NodePool
from fretsaw.api.yamltext import Chunk
from fretsaw.engine.cluster import Cluster
from fretsaw.engine.plan import Plan
from fretsaw.engine.schedule import schedule
from fretsaw.engine.settings import Settings
from fretsaw.errors import UserError

if TYPE_CHECKING:
    from fretsaw.sim.scenario.read import Reading
    from fretsaw.sim.simulation import Simulation

__all__ = ["cluster_of", "from_objects", "load", "plan", "plan_objects", "simulation", "to_json"]

NODE_CLASS = "EC2NodeClass"


def plan(
    manifests: Manifests,
    catalog: Catalog | None = None,
    *,
    region: str = "us-east-1",
    vm_memory_overhead_percent: float = 0.075,
    progress: Callable[[int, int], None] | None = None,
    explain: str | None = None,
    **settings: Any,
) -> Plan:
    """Decide which nodes to buy for the pods of `manifests`, at the lowest price that the search finds.

    catalog: instance types and prices to use as they are; without one the shipped catalog of `region`, adapted to each
    pool's EC2NodeClass. explain: `namespace/name` of a pod; `Plan.explanation` is then about it. settings: fields of
    `engine.settings.Settings`, such as `packing="first-fit"`.
    Objects with errors are left out; look at `manifests.errors` first. Raises UserError for an empty catalog, an
    unknown region or a setting that does not exist.
    """
    cluster = cluster_of(manifests, catalog, region=region, vm_memory_overhead_percent=vm_memory_overhead_percent)
    started = time.perf_counter()
    with no_collection():
        return schedule(
            cluster,
            _settings(settings),
            elapsed=lambda: time.perf_counter() - started,
            progress=progress,
            explain=explain,
        )


def plan_objects(
    objects: Sequence[Mapping[str, Any]],
    catalog: Catalog | Mapping[str, Any],
    **settings: Any,
) -> dict[str, Any]:
    """Plan raw Kubernetes objects against a catalog in the catalog file's shape; the documented JSON as a dict.

    `seconds` is the time of the pass itself, without reading the objects.
    """
    known = catalog if isinstance(catalog, Catalog) else msgspec.convert(catalog, Catalog)
    cluster = cluster_of(from_objects(objects), known)
    started = time.perf_counter()
    with no_collection():
        answer = schedule(cluster, _settings(settings), elapsed=lambda: time.perf_counter() - started)
    return to_json(answer, time.perf_counter() - started)


def _settings(given: Mapping[str, Any]) -> Settings:
    """Settings from their own names, or from the peer's names of its two policies."""
    given = dict(given)
    if (policy := given.pop("preference_policy", None)) is not None:
        given["respect_preferences"] = policy == "Respect"
    if (policy := given.pop("min_values_policy", None)) is not None:
        given["best_effort_min_values"] = policy == "BestEffort"
    unknown = sorted(set(given) - set(Settings.__struct_fields__))
    if unknown:
        raise UserError(
            "settings", "unknown setting", ", ".join(unknown), f"known: {', '.join(Settings.__struct_fields__)}"
        )
    return Settings(**given)


def from_objects(objects: Iterable[Mapping[str, Any]]) -> Manifests:
    """Raw objects as if they had been read from a file; an object without a namespace is in `default`."""
    chunk = Chunk("", 1)
    documents = [Document("<objects>", raw, chunk, i) for i, raw in enumerate(objects)]
    for document in documents:
        admission.examine(document)
    return Manifests(documents)


def cluster_of(
    manifests: Manifests,
    catalog: Catalog | None = None,
    *,
    region: str = "us-east-1",
    vm_memory_overhead_percent: float = 0.075,
) -> Cluster:
    """The engine's view of the manifests: objects without errors, workloads as pods, a catalog for each pool."""
    if catalog is not None and not catalog.instance_types:
        raise UserError("catalog", "holds no instance type", right="at least one entry in instanceTypes")
    expanded = expand(manifests)
    pools = tuple(_sound(manifests, "NodePool"))
    catalogs, unready = _catalogs(pools, manifests, catalog, region, vm_memory_overhead_percent)
    for document in manifests.of("NodePool"):
        if document.has_errors:
            unready[document.name] = "it is not valid (see the problems of the input)"
    return Cluster(
        pools=pools,
        catalogs=catalogs,
        unready=unready,
        overlays=tuple(_sound(manifests, "NodeOverlay")),
        buffers=tuple(_sound(manifests, "CapacityBuffer")),
        pods=expanded.pods,
        nodes=tuple(_sound(manifests, "Node")),
        node_claims=tuple(_sound(manifests, "NodeClaim")),
        csi_nodes=tuple(_sound(manifests, "CSINode")),
        daemon_sets=expanded.daemon_sets,
        claims=expanded.claims,
        volumes=tuple(_sound(manifests, "PersistentVolume")),
        storage_classes=tuple(_sound(manifests, "StorageClass")),
        namespaces=tuple(_sound(manifests, "Namespace")),
        disruption_budgets=tuple(_sound(manifests, "PodDisruptionBudget")),
        deployments=tuple(_sound(manifests, "Deployment")),
        replica_sets=tuple(_sound(manifests, "ReplicaSet")),
        stateful_sets=tuple(_sound(manifests, "StatefulSet")),
        pod_templates=tuple(_sound(manifests, "PodTemplate")),
    )


def simulation(reading: Reading, *, seed: int | None = None, length: int | None = None) -> Simulation:
    """A scenario, ready to run. seed, length (milliseconds): in place of its own.

    Raises UserError where the scenario has errors.
    """
    from fretsaw.sim.simulation import Simulation

    scenario = reading.usable()
    catalog = read_catalog(reading.folder / scenario.cluster.catalog) if scenario.cluster.catalog else None
    cluster = cluster_of(reading.manifests, catalog, region=scenario.cluster.region)
    for known in {id(c): c for c in cluster.catalogs.values()}.values():
        problems = reading.against(known)
        if any(problem.severity == "error" for problem in problems):
            raise UserError("", "\n".join(str(problem) for problem in problems))
    catalogs = _with_reservations(cluster, reading, anywhere=catalog is not None)
    return Simulation(reading, catalogs, cluster.unready, seed=seed, length=length)


def _with_reservations(cluster: Cluster, reading: Reading, *, anywhere: bool) -> dict[str, Catalog]:
    """The pools' catalogs with the scenario's reservations: those that the pool's node class selects.

    anywhere: node classes do not matter. A term with other fields than an id is taken to select all.
    """
    from fretsaw.sim.cloud.reserved import with_reservations

    classes = {d.name: d.raw for d in reading.manifests.of(NODE_CLASS)}
    made: dict[tuple[int, frozenset[str]], Catalog] = {}
    found = {}
    for pool in cluster.pools:
        catalog = cluster.catalogs.get(pool.metadata.name)
        if catalog is None:
            continue
        raw = classes.get(pool.spec.template.spec.node_class_ref.name) or {}
        terms = (raw.get("spec") or {}).get("capacityReservationSelectorTerms") or ()
        every = anywhere or not classes or any(set(term) - {"id"} for term in terms)
        chosen = [r for r in reading.usable().cloud.reservations if every or any(r.id == t.get("id") for t in terms)]
        key = (id(catalog), frozenset(r.id for r in chosen))
        if key not in made:
            made[key] = with_reservations(catalog, chosen)
        found[pool.metadata.name] = made[key]
    return found


def _sound(manifests: Manifests, kind: str) -> Iterable[Any]:
    return (d.obj for d in manifests.of(kind) if d.obj is not None and not d.has_errors)


def _catalogs(
    pools: Iterable[NodePool],
    manifests: Manifests,
    given: Catalog | None,
    region: str,
    vm_memory_overhead_percent: float,
) -> tuple[dict[str, Catalog], dict[str, str]]:
    """(the catalog of each usable pool, why the others are not usable)."""
    classes = {d.name: d for d in manifests.of(NODE_CLASS)}
    made: dict[str, Catalog] = {}
    catalogs: dict[str, Catalog] = {}
    unready: dict[str, str] = {}
    for pool in pools:
        name, wanted = pool.metadata.name, pool.spec.template.spec.node_class_ref.name
        why = _unready(pool) or ("" if given is not None else _class_problem(wanted, classes))
        if why:
            unready[name] = why
        elif given is not None:
            catalogs[name] = given
        else:
            if wanted not in made:
                made[wanted] = _shipped(classes.get(wanted), region, vm_memory_overhead_percent)
            catalogs[name] = made[wanted]
    return catalogs, unready


def _unready(pool: NodePool) -> str:
    """Why a live pool is not to be used; a pool from a file has no conditions and is ready."""
    if pool.metadata.deletion_timestamp:
        return "it is being deleted"
    ready = next((c for c in pool.status.conditions if c.type == "Ready"), None)
    return "" if ready is None or ready.status == "True" else f"it is not ready: {ready.message or ready.reason}"


def _class_problem(name: str, classes: Mapping[str, Document]) -> str:
    """Why a node class cannot be used. An input without any node class is planned with the defaults."""
    if not classes:
        return ""
    if name not in classes:
        return f'its EC2NodeClass "{name}" is not in the input'
    return f'its EC2NodeClass "{name}" is not valid' if classes[name].has_errors else ""


def _shipped(document: Document | None, region: str, vm_memory_overhead_percent: float) -> Catalog:
    from fretsaw.providers.aws import instance_types

    raw = document.raw if document is not None else {}
    settings = msgspec.structs.replace(instance_types.Settings(), vm_memory_overhead_percent=vm_memory_overhead_percent)
    return instance_types.catalog(region, raw.get("spec"), raw.get("status"), settings=settings)


def _gap(price: float, bound: float | None) -> float | None:
    """How far the price is above the bound, relative; None where there is no bound that says anything."""
    if bound is None or (not bound and price):
        return None
    return round((price - bound) / bound, 9) if bound else 0.0


def to_json(answer: Plan, seconds: float = 0.0) -> dict[str, Any]:
    """The plan in the documented JSON shape."""
    bound = answer.bound.usd_per_hour if answer.bound is not None else None
    return {
        "pricePerHour": answer.usd_per_hour,
        "lowerBoundPerHour": bound,
        "gap": _gap(answer.usd_per_hour, bound),
        "lowerBoundInPoolOrderPerHour": answer.bound.tightest if answer.bound is not None else None,
        "seconds": round(seconds, 3),
        "packing": answer.packing,
        "firstFitPricePerHour": answer.first_fit_usd_per_hour,
        "pods": answer.pods,
        "scheduled": answer.scheduled,
        "nodes": [
            {
                "name": launch.name,
                "nodePool": launch.node_pool,
                "instanceType": launch.choice.instance_type,
                "capacityType": launch.choice.capacity_type,
                "zone": launch.choice.zone,
                "pricePerHour": launch.choice.price_usd_per_hour,
                "priceSource": launch.choice.price_source,
                "pods": list(launch.pods),
                "instanceTypes": [c.instance_type for c in launch.candidates],
            }
            for launch in answer.launches
        ],
        "existing": [{"name": node.name, "pods": list(node.pods)} for node in answer.filled],
        "unschedulable": [
            {
                "pod": unplaced.pod,
                "reasons": [{"nodePool": r.node_pool, "reason": r.reason, "field": r.field} for r in unplaced.refusals],
            }
            for unplaced in answer.unplaced
        ],
        "notes": list(answer.notes),
    }


def read_catalog(path: str | Path) -> Catalog:
    """A catalog file. Raises UserError with all its problems."""
    from fretsaw.providers.aws.catalog_file import read_catalog_file

    return read_catalog_file(path)
