"""The default budget on GPU nodes

The pool consolidates running nodes and has no budgets: the default of 10 % holds, rounded up.

Why: Of one to ten nodes 10 % is one: with three model servers on three nodes a third of the capacity is drained at
once, for as long as a new node needs to load the model; and with hundred nodes ten go together.

Example:
    apiVersion: karpenter.sh/v1
    kind: NodePool
    metadata: {name: gpu}
    spec:
      template:
        spec:
          requirements: [{key: karpenter.k8s.aws/instance-gpu-name, operator: In, values: [l4]}]
          nodeClassRef: {group: karpenter.k8s.aws, kind: EC2NodeClass, name: gpu}
      disruption: {consolidationPolicy: WhenEmptyOrUnderutilized, consolidateAfter: 5m}

Fix: Write budgets that fit: a number of nodes, and for `Underutilized` and `Drifted` a window outside busy hours.

Source: Karpenter v1.14 NodePool defaults (budgets: nodes 10%); percentages are rounded up.
"""

from __future__ import annotations

from collections.abc import Iterator

from fretsaw.engine.disruption.budgets import allowed
from fretsaw.lint.found import Found
from fretsaw.lint.given import Input
from fretsaw.lint.rule import rule
from fretsaw.lint.views import Disrupting
from fretsaw.lint.windows import NODES, allowed_in


@rule("DRAIN110", "info", on=Disrupting)
def default_budget(disrupting: Disrupting, given: Input) -> Iterator[Found]:
    """Accelerated pools that consolidate without budgets of their own."""
    pool = given.pool_of(disrupting)
    if pool is None or not pool.is_accelerated or pool.is_static or disrupting.has_budgets:
        return
    if disrupting.disruption.consolidation_policy == "WhenEmpty":
        return
    budgets = pool.spec.disruption.budgets
    few = allowed(pool.obj, 3, "Underutilized", 0)
    yield Found(
        f"{disrupting.prefix}.budgets",
        "running GPU nodes are consolidated under the default budget of 10 %, rounded up",
        fix="write budgets, such as [{nodes: '1'}], and a window for Underutilized and Drifted",
        proof=f"of 3 nodes {few} may be drained at once, of {NODES} {max(allowed_in(budgets, 'Underutilized'))}",
    )
