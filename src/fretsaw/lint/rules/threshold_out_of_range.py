"""A threshold that the metric can never reach

A metric of DCGM is compared with a number outside of what it can be: a ratio from 0 to 1 with a percentage, a
percentage with more than 100.

Why: The alert never fires, or fires for ever. `DCGM_FI_PROF_*_ACTIVE` are ratios, `DCGM_FI_DEV_*_UTIL` percentages;
they are easily taken for each other.

Example:
    apiVersion: monitoring.coreos.com/v1
    kind: PrometheusRule
    metadata: {name: gpu, labels: {release: kube-prometheus-stack}}
    spec: {groups: [{name: gpu, rules: [{alert: Busy, expr: 'avg(DCGM_FI_PROF_GR_ENGINE_ACTIVE) > 90'}]}]}

Fix: Compare with 0.9, or ask `DCGM_FI_DEV_GPU_UTIL`.

Source: dcgm-exporter, default counters (units).
"""

from __future__ import annotations

from collections.abc import Iterator

import promql_parser as promql

from fretsaw.lint.found import Found
from fretsaw.lint.given import Input
from fretsaw.lint.metrics import DCGM
from fretsaw.lint.query import Query, walked
from fretsaw.lint.rule import rule

_KEEPING = {
    "avg_over_time",
    "max_over_time",
    "min_over_time",
    "last_over_time",
    "quantile_over_time",
    "avg",
    "max",
    "min",
}
_SIDES = {">": "<", "<": ">", ">=": "<=", "<=": ">=", "==": "==", "!=": "!="}


@rule("OBS108", "error", on=Query)
def threshold_out_of_range(query: Query, given: Input) -> Iterator[Found]:
    """Comparisons whose answer is known beforehand."""
    if query.tree is None:
        return
    for node in walked(query.tree):
        if not isinstance(node, promql.BinaryExpr) or str(node.op) not in _SIDES:
            continue
        sign, left, right = str(node.op), _bare(node.lhs), _bare(node.rhs)
        if isinstance(left, promql.NumberLiteral):
            sign, left, right = _SIDES[sign], right, left
        name = _measured(left)
        gauge = DCGM.get(name)
        if gauge is None or not isinstance(right, promql.NumberLiteral):
            continue
        if verdict := _verdict(gauge.low, gauge.high, sign, right.val):
            span_text = f"{gauge.low:g} to {gauge.high:g}" if gauge.high is not None else f"{gauge.low:g} and more"
            yield Found(
                query.path,
                f"{query.heading}: {name} {sign} {right.val:g} is {verdict} true: it is {span_text}",
                fix="compare with a number in its range" + (", such as 0.9 for 90 %" if gauge.high == 1 else ""),
                word=name,
                severity="error" if verdict == "never" else "warning",
            )


def _bare(node: promql.Expr) -> promql.Expr:
    while isinstance(node, promql.ParenExpr):
        node = node.expr
    return node


def _measured(node: promql.Expr) -> str:
    """The metric whose values an expression has, in its own unit; empty where it has another."""
    node = _bare(node)
    if isinstance(node, promql.VectorSelector):
        return node.name or ""
    if isinstance(node, promql.MatrixSelector):
        return node.vector_selector.name or ""
    if isinstance(node, promql.Call) and node.func.name in _KEEPING and node.args:
        return _measured(node.args[-1])
    if isinstance(node, promql.AggregateExpr) and str(node.op) in _KEEPING:
        return _measured(node.expr)
    return ""


def _verdict(low: float | None, high: float | None, sign: str, number: float) -> str:
    """`never`, `always`, or empty where it depends."""
    above, below = high is not None and number > high, low is not None and number < low
    at_top, at_bottom = high is not None and number == high, low is not None and number == low
    if (sign in (">", ">=", "==") and above) or (sign in ("<", "<=", "==") and below):
        return "never"
    if (sign == ">" and at_top) or (sign == "<" and at_bottom):
        return "never"
    if (sign in ("<", "<=", "!=") and above) or (sign in (">", ">=", "!=") and below):
        return "always"
    return ""
