"""Budgets that never open a window

The windows in which nothing may be disrupted leave no hour in which something may.

Why: The strictest budget that holds wins, and windows only ever close. Where they overlap to cover the whole week,
empty, drifted and half-used nodes stay until they expire.

Example:
    apiVersion: karpenter.sh/v1
    kind: NodePool
    metadata: {name: gpu}
    spec:
      template:
        spec:
          requirements: [{key: karpenter.k8s.aws/instance-gpu-name, operator: In, values: [l4]}]
          nodeClassRef: {group: karpenter.k8s.aws, kind: EC2NodeClass, name: gpu}
      disruption:
        consolidateAfter: 5m
        budgets:
          - {nodes: '0', schedule: '0 0 * * *', duration: 12h}
          - {nodes: '0', schedule: '0 12 * * *', duration: 12h}

Fix: Shorten the windows so that some hours are left, or name reasons: empty nodes need no window.

Source: Karpenter v1.14 nodepool.go (GetAllowedDisruptionsByReason); schedules are in UTC.
"""

from __future__ import annotations

from collections.abc import Iterator

from fretsaw.lint.found import Found
from fretsaw.lint.given import Input
from fretsaw.lint.market import listed
from fretsaw.lint.pool import Pool
from fretsaw.lint.rule import rule
from fretsaw.lint.windows import NODES, REASONS, allowed_in, hours


@rule("DRAIN103", "error", on=Pool)
def budget_never_opens(pool: Pool, given: Input) -> Iterator[Found]:
    """Reasons for which nothing is ever allowed, by schedules."""
    budgets = pool.spec.disruption.budgets
    if not any(one.schedule is not None for one in budgets):
        return
    if any(one.nodes in ("0", "0%") and one.schedule is None and one.reasons is None for one in budgets):
        return  # DRAIN101 says it
    closed = [reason for reason in REASONS if max(allowed_in(budgets, reason)) == 0]
    first = next((n for n, one in enumerate(budgets) if one.nodes in ("0", "0%") and one.schedule is not None), None)
    if closed and first is not None:
        yield Found(
            f"spec.disruption.budgets[{first}]",
            f"the budgets leave no hour in which a node may go for {listed([str(reason) for reason in closed])}",
            fix="shorten the windows, or give them reasons so that empty nodes may go",
            proof=f"in {len(hours(budgets))} hours of five weeks the budgets allow 0 of {NODES} nodes",
            usd_per_hour=pool.offer.cheapest.usd if pool.offer else None,
        )
