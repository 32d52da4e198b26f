"""A disruption budget of 0 that always holds

A budget of 0 without a schedule and without reasons blocks every voluntary disruption, also that of empty nodes.

Why: Nodes whose work is done are never taken away: they are billed until they expire. `consolidateAfter` has no
effect, and drifted nodes (new images, security fixes) stay as they are.

Example:
    apiVersion: karpenter.sh/v1
    kind: NodePool
    metadata: {name: gpu-training}
    spec:
      template:
        spec:
          requirements:
            - {key: karpenter.k8s.aws/instance-gpu-name, operator: In, values: [a100, h100]}
          nodeClassRef: {group: karpenter.k8s.aws, kind: EC2NodeClass, name: gpu}
      disruption:
        consolidationPolicy: WhenEmpty
        consolidateAfter: 30m
        budgets:
          - nodes: '0'

Fix: Name what shall not happen: with `reasons: [Underutilized, Drifted]` running work stays protected, and empty
nodes go. Pods that must not be moved say so themselves with `karpenter.sh/do-not-disrupt`.

Source: Karpenter v1.14 nodepool.go (GetAllowedDisruptionsByReason): the strictest budget that holds wins.
"""

from __future__ import annotations

from collections.abc import Iterator

from fretsaw.engine.disruption.budgets import allowed
from fretsaw.lint.found import Found, Set
from fretsaw.lint.given import Input
from fretsaw.lint.market import a_month
from fretsaw.lint.rule import rule
from fretsaw.lint.views import Disrupting

_NODES = 100
_KEEP = ["Underutilized", "Drifted"]


@rule("DRAIN101", "error", on=Disrupting, fixes=True)
def zero_budget(disrupting: Disrupting, given: Input) -> Iterator[Found]:
    """Budgets of nothing, for everything, for ever."""
    for number, budget in enumerate(disrupting.disruption.budgets):
        if budget.nodes not in ("0", "0%") or budget.schedule is not None or budget.reasons is not None:
            continue
        path = f"{disrupting.prefix}.budgets[{number}]"
        pool = given.pool_of(disrupting)
        after = disrupting.disruption.consolidate_after
        proof, usd = "", None
        if pool is not None and pool.offer:
            usd = pool.offer.cheapest.usd
            most = allowed(pool.obj, _NODES, "Empty", 0)
            proof = (
                f"of {_NODES} empty nodes the budgets let {most} go; each costs {a_month(usd)} or more, "
                f"until it expires ({pool.template.expire_after})"
            )
        yield Found(
            path,
            f"blocks every voluntary disruption, of empty nodes too: consolidateAfter {after} never takes effect",
            fix="write reasons: [Underutilized, Drifted] beside it, so that empty nodes go",
            proof=proof,
            usd_per_hour=usd,
            edits=(Set(f"{path}.reasons", _KEEP),),
        )
