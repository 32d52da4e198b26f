"""A Karpenter metric that there never was

The name begins with `karpenter_` and is neither one of today's metrics nor an old one.

Why: The expression is always empty: an alert that cannot fire, a panel without a line.

Example:
    apiVersion: monitoring.coreos.com/v1
    kind: PrometheusRule
    metadata: {name: gpu, labels: {release: kube-prometheus-stack}}
    spec: {groups: [{name: gpu, rules: [{alert: Failed, expr: 'increase(karpenter_nodeclaims_failed_total[5m]) > 0'}]}]}

Fix: Look the name up in the metrics reference.

Source: Karpenter v1.14 and its AWS provider, metrics reference.
"""

from __future__ import annotations

from collections.abc import Iterator
from difflib import get_close_matches

from fretsaw.lint.found import Found
from fretsaw.lint.given import Input
from fretsaw.lint.metrics import DROPPED, METRICS, PREFIX, RENAMED, base, known
from fretsaw.lint.query import Query
from fretsaw.lint.rule import rule


@rule("OBS107", "warning", on=Query)
def metric_unknown(query: Query, given: Input) -> Iterator[Found]:
    """Names under Karpenter's prefix that nothing exports."""
    for name in query.names:
        known_somehow = known(name) or base(name, RENAMED) or base(name, DROPPED)
        if (
            query.tree is None
            or not name.startswith(PREFIX)
            or known_somehow
            or name == f"{PREFIX}build_info"
            or ":" in name
        ):
            continue
        near = get_close_matches(name, METRICS, n=1, cutoff=0.7)
        yield Found(
            query.path,
            f"{query.heading}: Karpenter exports no {name}: it is always empty",
            fix=f"did you mean {near[0]}?" if near else "look the name up in the metrics reference",
            word=name,
        )
