"""A budget that changes nothing

A budget for some reasons, or for some hours, is always weaker than another one that holds at the same time.

Why: It was written to allow something ("drift may go on, one at a time"), and budgets do not add up: the strictest
wins. What it was to allow is blocked; drifted nodes stay on an old image for the length of the other budget.

Example:
    apiVersion: karpenter.sh/v1
    kind: NodePool
    metadata: {name: gpu-training}
    spec:
      template:
        spec:
          requirements: [{key: karpenter.k8s.aws/instance-gpu-name, operator: In, values: [a100]}]
          nodeClassRef: {group: karpenter.k8s.aws, kind: EC2NodeClass, name: gpu}
      disruption:
        consolidateAfter: 30m
        budgets:
          - {nodes: '0', schedule: '0 0 * * *', duration: 23h}
          - {nodes: '1', schedule: '0 23 * * *', duration: 1h}
          - {nodes: '1', reasons: [Drifted]}

Fix: Give the strict budget the reasons that it is about (`reasons: [Underutilized, Empty]`), so that it does not hold
for the others.

Source: Karpenter v1.14 nodepool.go (GetAllowedDisruptionsByReason: the minimum over active budgets that name the
reason or none).
"""

from __future__ import annotations

from collections.abc import Iterator

from fretsaw.api.nodepool import Budget
from fretsaw.lint.found import Found
from fretsaw.lint.given import Input
from fretsaw.lint.market import listed
from fretsaw.lint.pool import Pool
from fretsaw.lint.rule import rule
from fretsaw.lint.windows import REASONS, allowed_in, hours, without_effect


@rule("DRAIN104", "warning", on=Pool)
def reason_budget_without_effect(pool: Pool, given: Input) -> Iterator[Found]:
    """Budgets that are never the strictest."""
    budgets = pool.spec.disruption.budgets
    if len(budgets) < 2:
        return
    for number, budget in enumerate(budgets):
        if budget.nodes in ("0", "0%") or not without_effect(budgets, number):
            continue
        times = hours(budgets)
        yield Found(
            f"spec.disruption.budgets[{number}]",
            f"changes nothing: another budget is always as strict, and the strictest wins{_blocked(budgets, budget)}",
            fix="name the reasons of the stricter budget, so that it does not hold for others; or leave this one out",
            proof="with and without it the engine allows the same at every hour of five weeks"
            if len(times) > 1
            else "",
        )


def _blocked(budgets: tuple[Budget, ...], budget: Budget) -> str:
    """How long nothing may go for the reasons that the budget was written for."""
    times, reasons = hours(budgets), budget.reasons or REASONS
    closed = max(sum(most == 0 for most in allowed_in(budgets, reason)) for reason in reasons)
    if not closed:
        return ""
    how_long = f" in {closed} of {len(times)} hours" if len(times) > 1 else ""
    return f"; {listed([str(reason) for reason in reasons])} is blocked{how_long}"
