"""An expression that Prometheus refuses

The PromQL expression does not parse, or applies a function to the wrong type.

Why: One bad expression keeps its whole rule file from being loaded: all other alerts of the file are gone, too.

Example:
    apiVersion: monitoring.coreos.com/v1
    kind: PrometheusRule
    metadata: {name: gpu, labels: {release: kube-prometheus-stack}}
    spec: {groups: [{name: gpu, rules: [{alert: Launches, expr: 'rate(karpenter_nodeclaims_created_total) > 1'}]}]}

Fix: Correct the expression; `promtool check rules` says the same.

Source: Prometheus documentation, querying basics.
"""

from __future__ import annotations

from collections.abc import Iterator

from fretsaw.lint.found import Found
from fretsaw.lint.given import Input
from fretsaw.lint.query import Query
from fretsaw.lint.rule import rule


@rule("OBS106", "error", on=Query)
def query_refused(query: Query, given: Input) -> Iterator[Found]:
    """Expressions that do not parse."""
    if query.error:
        yield Found(
            query.path,
            f"{query.heading}: Prometheus refuses it: {query.error}",
            fix="correct it: until then none of the file's rules is loaded" if query.sort != "panel" else "correct it",
        )
    elif not query.text.strip() and query.sort in ("alert", "record"):
        yield Found(query.path, f"{query.heading}: there is no expression", fix="write one")
