"""The page `docs/metrics.md`, made from the tables of the metrics themselves."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from fretsaw.controllers.telemetry.conditions import BUCKETS, OWN, TWIN
from fretsaw.controllers.telemetry.families import DURATIONS, OBJECTIVES, Family
from fretsaw.controllers.telemetry.metrics import GROUPS
from fretsaw.controllers.telemetry.nodes import NODE

HEAD = """\
# Metrics

What `fretsaw run` tells at `/metrics`, in Prometheus' text format. Names, types and labels are Karpenter's v1.14, so
that its dashboards and alerts go on to work; metrics that only Fretsaw has begin with `fretsaw_`. The library's metrics
of the process (`process_*`, `python_*`) stand at the end of the page.

Counters begin at 0 with each start, and count what happens from then on. A replica that does not lead tells only of its
calls. Gauges are read from the cluster's state at
the moment of the scrape: series of an object that is gone are gone, too.

This page is made from the code: `python -m fretsaw.controllers.telemetry > docs/metrics.md`.
"""
DIFFERENT = (
    (
        "`karpenter_scheduler_queue_depth`, `karpenter_scheduler_unfinished_work_seconds`",
        "never there: a pass does not report how far it is. How long turns take is in `fretsaw_turn_duration_seconds`.",
    ),
    (
        "`karpenter_voluntary_disruption_eligible_nodes`",
        "never there: which nodes a method could take is worked out within a turn, as far as needed, and not kept.",
    ),
    (
        "`karpenter_voluntary_disruption_decision_evaluation_duration_seconds`",
        "only for consolidations that were found (until their validation is over), not for looks that find nothing: "
        "the engine has no clock. Drift, which is not validated, has none.",
    ),
    (
        "`karpenter_voluntary_disruption_consolidation_timeouts_total`",
        "stays at 0 unless rounds are limited in time.",
    ),
    (
        "`karpenter_consolidation_score`, `karpenter_consolidation_moves_total`",
        "only `approved`: rejected moves are not kept. A score is taken from the event that tells of it, which is not "
        "repeated about the same object within two minutes.",
    ),
    (
        "`karpenter_scheduler_scheduling_duration_seconds`",
        "observed once for each turn that did the work, and not twice for each pass.",
    ),
    (
        "`karpenter_scheduler_unschedulable_pods_count`",
        "only for the provisioner, and with pods that wait for a reservation; virtual pods of buffers left out.",
    ),
    (
        "`karpenter_scheduler_pending_pods_by_effective_zone_count`",
        "without the zones that topology spread and pod affinity leave, which take a pass to find out.",
    ),
    (
        "`karpenter_nodepools_allowed_disruptions`, `karpenter_nodepools_nodes_consuming_budgets`",
        "always there and up to date, for every pool and reason; in Karpenter only while there are candidates.",
    ),
    (
        "`karpenter_nodes_*`, label `phase`",
        "always empty: nodes have not had a phase for years.",
    ),
    (
        "`karpenter_build_info`, labels `goversion` and `goarch`",
        "Python's version, and the machine's architecture.",
    ),
    (
        "`karpenter_interruption_*`, `karpenter_cloudprovider_instance_*`, `karpenter_cloudprovider_batcher_*`",
        "of the AWS provider, which tells them itself or not at all; they are not made here.",
    ),
    (
        "controller-runtime, workqueue, leader-election and Go process metrics",
        "there are no such controllers, queues and runtime.",
    ),
)


def page() -> str:
    """The whole page."""
    return "\n".join((HEAD, *_groups(), *_labels(), *_differences()))


def _groups() -> Iterator[str]:
    for group in GROUPS:
        if group.title == "Status conditions":
            yield from _conditions()
            continue
        yield f"## {group.title}\n"
        yield from _table(group.families)


def _conditions() -> Iterator[str]:
    yield "## Status conditions\n"
    yield "Of NodeClaims, NodePools, nodes and CapacityBuffers. The names without a kind are Karpenter's deprecated"
    yield "ones; nodes are not among those. Histograms have buckets " + _bounds(BUCKETS) + ".\n"
    for six in (*OWN.values(), TWIN):
        yield from _table(six.all, told_buckets=False)


def _table(families: Iterable[Family], *, told_buckets: bool = True) -> Iterator[str]:
    yield "| name | type | labels | what it says |\n|---|---|---|---|"
    for family in families:
        said = family.help
        if family.buckets and told_buckets:
            said += f" Buckets: {'DB' if family.buckets == DURATIONS else _bounds(family.buckets)}."
        yield f"| `{family.name}` | {family.type} | {_names(family)} | {said} |"
    yield ""


def _names(family: Family) -> str:
    labels = family.labels
    if labels[: len(NODE)] == NODE:
        return ", ".join(("node labels", *(f"`{label}`" for label in labels[len(NODE) :])))
    return ", ".join(f"`{label}`" for label in labels)


def _bounds(buckets: tuple[float, ...]) -> str:
    shown = [str(int(bound)) if bound == int(bound) else str(round(bound, 6)) for bound in buckets]
    return ", ".join(shown) if len(shown) <= SHOWN else f"{shown[0]}, {shown[1]}, … {shown[-1]}"


SHOWN = 12
"""Bounds that are written out."""


def _labels() -> Iterator[str]:
    yield "## Labels, buckets and quantiles\n"
    yield f"Node labels: {', '.join(f'`{label}`' for label in NODE)}.\n"
    yield f"DB: {', '.join(str(bound) for bound in DURATIONS)} seconds.\n"
    quantiles = ", ".join(f"{q:g}" for q in OBJECTIVES)
    yield f"Summaries have the quantiles {quantiles} of the last ten minutes; NaN where nothing was observed in them.\n"
    yield "`resource_type`: the resource's name in lower case with `_` for `-`; cpu counts in cores, memory in bytes.\n"


def _differences() -> Iterator[str]:
    yield "## What is different from Karpenter, and what is missing\n"
    yield "| metric | here |\n|---|---|"
    for names, how in DIFFERENT:
        yield f"| {names} | {how} |"
    yield ""
