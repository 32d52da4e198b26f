"""The exporter's pod is taken for the one that uses the GPU

A query selects `pod`, `namespace` or `container` of a DCGM metric. Without `honorLabels` these are the exporter's
own.

Why: The series of the workload are under `exported_pod` and `exported_namespace`: the query is empty, or adds all
GPUs of a node to the exporter. An autoscaler on it scales by the wrong number.

Example:
    apiVersion: monitoring.coreos.com/v1
    kind: PrometheusRule
    metadata: {name: gpu, labels: {release: kube-prometheus-stack}}
    spec: {groups: [{name: gpu, rules: [{alert: Idle, expr: 'DCGM_FI_DEV_GPU_UTIL{namespace="ml"} < 10'}]}]}

Fix: Write `exported_pod` and so on, or set `honorLabels: true` in the ServiceMonitor.

Source: Prometheus documentation, scrape_config (honor_labels); dcgm-exporter, labels of pods.
"""

from __future__ import annotations

from collections.abc import Iterator

from fretsaw.lint.found import Found
from fretsaw.lint.given import Input
from fretsaw.lint.query import Query
from fretsaw.lint.rule import rule
from fretsaw.lint.tree import maps

_OWN = ("pod", "namespace", "container")


@rule("OBS111", "warning", on=Query)
def exporter_pod_label(query: Query, given: Input) -> Iterator[Found]:
    """Matchers on the target's labels of DCGM's metrics."""
    honoured = any(
        endpoint.get("honorLabels") is True
        for monitor in given.by_kind.get("ServiceMonitor", ())
        if "dcgm" in str(monitor.at("spec", "selector"))
        for _, endpoint in maps(monitor.at("spec", "endpoints"))
    )
    for one in query.selectors:
        odd = [label for label, sign, value in one.matchers if label in _OWN and (sign, value) != ("!=", "")]
        if not honoured and one.name.startswith("DCGM_") and odd:
            yield Found(
                query.path,
                f"{query.heading}: {odd[0]} of {one.name} is the exporter's, not of the pod with the GPU",
                fix=f"write exported_{odd[0]}, or honorLabels: true in the ServiceMonitor",
                word=one.name,
            )
