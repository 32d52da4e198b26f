"""One scheduling pass: from the cluster's objects to a Plan.

The main function reads as what happens: prepare, place first-fit, look for cheaper nodes, put the answer together.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable

import msgspec

from fretsaw.engine.cluster import Cluster
from fretsaw.engine.cost import pack
from fretsaw.engine.explain import explanation
from fretsaw.engine.finish import finished, launches
from fretsaw.engine.firstfit import FirstFit
from fretsaw.engine.places import OpenNode
from fretsaw.engine.plan import Bound, Filled, Plan, Refusal, Unplaced
from fretsaw.engine.prepare import Prepared
from fretsaw.engine.settings import Settings
from fretsaw.engine.why import refusals

_CUT = (
    "the search for cheaper nodes was stopped by its time budget: another run may find another plan, "
    "and a larger --budget a cheaper one"
)


def schedule(
    cluster: Cluster,
    settings: Settings | None = None,
    *,
    elapsed: Callable[[], float] | None = None,
    progress: Callable[[int, int], None] | None = None,
    explain: str | None = None,
) -> Plan:
    """Decide which nodes to buy for the pods that wait, and where each pod goes.

    elapsed: seconds since the pass began, for the time budget of the search; None: the budget is not looked at.
    progress: called now and then with (pods placed, pods in all). explain: `namespace/name` of a pod to explain.
    """
    settings = settings or Settings()
    prepared = Prepared(cluster, settings)
    placed = FirstFit(prepared, progress)
    placed.run()
    if settings.packing != "cost":
        return _answer(placed, placed.open, explain=explain)
    before = round(math.fsum(node.price_usd for node in finished(placed.open, settings)[0]), 9)
    packed = pack(placed, elapsed)
    answer = _answer(packed.placed, packed.nodes, packed.bound, before, explain)
    return msgspec.structs.replace(answer, notes=(*answer.notes, _CUT)) if packed.cut else answer


def _answer(
    placed: FirstFit,
    opened: Iterable[OpenNode],
    bound: Bound | None = None,
    first_fit: float | None = None,
    explain: str | None = None,
) -> Plan:
    """The plan of a finished pass."""
    prepared, virtual = placed.prepared, placed.prepared.virtual
    nodes, failed = finished(opened, placed.settings)
    unplaced = [*prepared.refused, *_left_over(placed), *_cut_off(failed)]
    return Plan(
        launches=tuple(launches(nodes)),
        filled=tuple(Filled(n.name, tuple(n.pods)) for n in placed.filled),
        unplaced=tuple(sorted((u for u in unplaced if u.pod not in virtual), key=lambda u: u.pod)),
        packing=placed.settings.packing,
        pods=len(prepared.queue) + len(prepared.refused) - len(virtual & placed.unplaced.keys()),
        bound=bound,
        first_fit_usd_per_hour=first_fit,
        notes=tuple(prepared.notes),
        explanation=explanation(placed, nodes, explain) if explain else None,
    )


def _left_over(placed: FirstFit) -> list[Unplaced]:
    """The pods without a place; equal pods share their reasons."""
    known: dict[int, tuple[Refusal, ...]] = {}
    found = []
    for pod, kind in sorted(placed.unplaced.items()):
        if id(kind) not in known:
            known[id(kind)] = refusals(placed, kind)
        found.append(Unplaced(pod, known[id(kind)]))
    return found


def _cut_off(failed: Iterable[OpenNode]) -> list[Unplaced]:
    """The pods of nodes that fail `minValues` once their types are cut to what a launch may carry."""
    reason = "minValues cannot be met with the number of instance types that a launch may carry"
    return [
        Unplaced(
            pod,
            (Refusal(n.template.name, reason, f"nodepool/{n.template.name} spec.template.spec.requirements"),),
        )
        for n in failed
        for pod in n.pods
    ]
