"""Nodes that nothing may disrupt, but expiry

The pool's budgets keep nodes from being disrupted, or its pods ask for that, and `expireAfter` is not Never.

Why: Expiry does not ask budgets. A run that was to be left alone is drained when its node reaches that age; the
default is 30 days. "Training nodes do not expire" needs the word Never.

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
          expireAfter: 720h
      disruption:
        consolidationPolicy: WhenEmpty
        consolidateAfter: 30m
        budgets: [{nodes: '0', reasons: [Drifted, Underutilized]}]

Fix: Write `expireAfter: Never` if that is what is meant, and renew nodes by drift in a window; or accept that age,
and let runs be shorter.

Source: Karpenter v1.14 documentation, disruption (expiration is forceful and does not respect budgets).
"""

from __future__ import annotations

from collections.abc import Iterator

from fretsaw.lint.found import Found
from fretsaw.lint.given import Input
from fretsaw.lint.market import listed
from fretsaw.lint.pool import SPEC, Pool
from fretsaw.lint.rule import rule
from fretsaw.lint.tree import a_map


@rule("DRAIN102", "warning", on=Pool)
def expiry_ignores_budgets(pool: Pool, given: Input) -> Iterator[Found]:
    """Pools that are protected from all but their age."""
    if pool.template.expire_after == "Never" or not pool.is_accelerated:
        return
    zero = any(one.nodes in ("0", "0%") for one in pool.spec.disruption.budgets)
    protected = [work.title for work in given.first_in(pool) if work.is_protected and work.trains]
    if not zero and not protected:
        return
    why = "budgets of 0" if zero else f"do-not-disrupt of {listed(protected)}"
    given_there = "expireAfter" in a_map(pool.at("spec", "template", "spec"))
    said = "" if given_there else " (the default)"
    yield Found(
        f"{SPEC}.expireAfter",
        f"{why} or not, every node is drained at the age of {pool.template.expire_after}{said}: expiry does not ask",
        fix="write expireAfter: Never if these nodes shall not expire",
        severity=None if zero else "info",
    )
