"""A rate of something that is no counter

`rate` or `increase` of a gauge: of how much there is, not of how often something happened.

Why: Every fall counts as a restart of a counter, so the number is made up. `DCGM_FI_DEV_XID_ERRORS` is the code of
the last error: its increase from 13 to 31 is not 18 errors.

Example:
    apiVersion: monitoring.coreos.com/v1
    kind: PrometheusRule
    metadata: {name: gpu, labels: {release: kube-prometheus-stack}}
    spec: {groups: [{name: gpu, rules: [{alert: Xid, expr: 'increase(DCGM_FI_DEV_XID_ERRORS[5m]) > 0'}]}]}

Fix: Use `delta` or `changes`, or compare the gauge itself (`DCGM_FI_DEV_XID_ERRORS > 0`).

Source: Prometheus documentation, functions (rate, increase); dcgm-exporter, default counters.
"""

from __future__ import annotations

from collections.abc import Iterator

from fretsaw.lint.found import Found
from fretsaw.lint.given import Input
from fretsaw.lint.metrics import DCGM, known
from fretsaw.lint.query import Query
from fretsaw.lint.rule import rule

_COUNTING = ("rate", "irate", "increase", "resets")


@rule("OBS112", "warning", on=Query)
def rate_of_gauge(query: Query, given: Input) -> Iterator[Found]:
    """Functions of counters over gauges."""
    for one in query.selectors:
        metric, gauge = known(one.name), DCGM.get(one.name)
        is_gauge = (metric is not None and metric.type == "gauge") or (gauge is not None and gauge.type == "gauge")
        if one.function in _COUNTING and is_gauge:
            yield Found(
                query.path,
                f"{query.heading}: {one.function}() of {one.name}, which is a gauge",
                fix="use delta or changes, or compare the gauge itself",
                word=one.name,
            )
