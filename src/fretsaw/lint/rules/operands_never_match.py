"""Two metrics that never meet

An arithmetic expression joins two of Karpenter's metrics whose labels differ, without `on` or `ignoring`.

Why: Prometheus joins series whose labels are all equal. There are none, so the result is always empty: the alert
cannot fire.

Example:
    apiVersion: monitoring.coreos.com/v1
    kind: PrometheusRule
    metadata: {name: gpu, labels: {release: kube-prometheus-stack}}
    spec:
      groups:
        - name: gpu
          rules:
            - alert: Ended
              expr: karpenter_nodeclaims_terminated_total / karpenter_nodeclaims_created_total > 0.5

Fix: Say what to join on (`on (nodepool)`), and sum both sides by it.

Source: Prometheus documentation, operators (vector matching); Karpenter v1.14 metrics reference.
"""

from __future__ import annotations

from collections.abc import Iterator

import promql_parser as promql

from fretsaw.lint.found import Found
from fretsaw.lint.given import Input
from fretsaw.lint.market import listed
from fretsaw.lint.metrics import known
from fretsaw.lint.query import Query, walked
from fretsaw.lint.rule import rule

_SETS = ("and", "or", "unless")


@rule("OBS109", "error", on=Query)
def operands_never_match(query: Query, given: Input) -> Iterator[Found]:
    """Binary operations of bare metrics with different labels."""
    if query.tree is None:
        return
    for node in walked(query.tree):
        if not isinstance(node, promql.BinaryExpr) or str(node.op) in _SETS:
            continue
        if node.modifier is not None and node.modifier.matching is not None:
            continue
        left, right = _series(node.lhs), _series(node.rhs)
        one, other = known(left), known(right)
        if one is None or other is None or one.labels == other.labels or one.of_nodes != other.of_nodes:
            continue
        differ = sorted(one.labels ^ other.labels)
        both = sorted(one.labels & other.labels)
        yield Found(
            query.path,
            f"{query.heading}: {left} and {right} differ in {listed(differ)}: they never match",
            fix=f"sum both by ({', '.join(both)}) and write on ({', '.join(both)})" if both else "sum both sides",
            word=left,
        )


def _series(node: object) -> str:
    """The metric of an expression that keeps all its labels."""
    while isinstance(node, promql.ParenExpr):
        node = node.expr
    if isinstance(node, promql.Call) and node.func.name in ("rate", "increase", "irate", "delta") and node.args:
        node = node.args[0]
    if isinstance(node, promql.MatrixSelector):
        node = node.vector_selector
    return (node.name or "") if isinstance(node, promql.VectorSelector) else ""
