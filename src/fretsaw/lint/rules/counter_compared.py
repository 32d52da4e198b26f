"""An alert on a counter's height

A counter is compared with a number as it is.

Why: Counters only rise: once over the threshold the alert fires until the next restart, and is silenced. What happens
after that wakes nobody.

Example:
    apiVersion: monitoring.coreos.com/v1
    kind: PrometheusRule
    metadata: {name: gpu, labels: {release: kube-prometheus-stack}}
    spec: {groups: [{name: gpu, rules: [{alert: Errors, expr: 'karpenter_cloudprovider_errors_total > 0'}]}]}

Fix: Compare what was added: `increase(…[15m]) > 0`.

Source: Prometheus documentation, metric types (counter).
"""

from __future__ import annotations

from collections.abc import Iterator

import promql_parser as promql

from fretsaw.lint.found import Found
from fretsaw.lint.given import Input
from fretsaw.lint.metrics import DCGM, known
from fretsaw.lint.query import Query, walked
from fretsaw.lint.rule import rule

_SIGNS = (">", ">=", "<", "<=", "==", "!=")


@rule("OBS113", "warning", on=Query)
def counter_compared(query: Query, given: Input) -> Iterator[Found]:
    """Alerts with a bare counter on one side of a comparison."""
    if query.tree is None or query.sort != "alert":
        return
    for node in walked(query.tree):
        if not isinstance(node, promql.BinaryExpr) or str(node.op) not in _SIGNS:
            continue
        for side in (node.lhs, node.rhs):
            name = (side.name or "") if isinstance(side, promql.VectorSelector) else ""
            metric, gauge = known(name), DCGM.get(name)
            if (metric and metric.type == "counter") or (gauge and gauge.type == "counter"):
                yield Found(
                    query.path,
                    f"alert {query.called}: {name} only rises: once over the threshold it fires for good",
                    fix=f"write increase({name}[15m])",
                    word=name,
                )
