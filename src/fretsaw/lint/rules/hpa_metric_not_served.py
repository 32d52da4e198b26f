"""An autoscaler on a metric that nobody serves

The HorizontalPodAutoscaler asks for a custom or external metric, and no rule of a metrics adapter in the input makes
it.

Why: The autoscaler reports FailedGetPodsMetric and never changes the number of replicas: at the peak there are too
few, at night too many GPUs.

Example:
    apiVersion: autoscaling/v2
    kind: HorizontalPodAutoscaler
    metadata: {name: llm}
    spec:
      scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: llm}
      maxReplicas: 10
      metrics:
        - {type: Pods, pods: {metric: {name: gpu_utilization}, target: {type: AverageValue, averageValue: '70'}}}

Fix: Add a rule to prometheus-adapter that maps `DCGM_FI_DEV_GPU_UTIL` with its labels `exported_namespace` and
`exported_pod` to that name; or use KEDA with a Prometheus trigger.

Source: kubernetes.io, HorizontalPodAutoscaler walkthrough (custom metrics); prometheus-adapter documentation.
"""

from __future__ import annotations

from collections.abc import Iterator

from fretsaw.lint.found import Found
from fretsaw.lint.given import Input
from fretsaw.lint.rule import rule
from fretsaw.lint.tree import at, maps
from fretsaw.lint.views import Thing


@rule("OBS105", "warning", on="HorizontalPodAutoscaler")
def hpa_metric_not_served(thing: Thing, given: Input) -> Iterator[Found]:
    """Autoscalers with metrics that no adapter of the input has."""
    rules = given.adapter_rules
    for number, metric in maps(thing.at("spec", "metrics")):
        kind = str(metric.get("type", "")).lower()
        name = at(metric, kind, "metric", "name")
        if kind not in ("pods", "object", "external") or not isinstance(name, str):
            continue
        if any(name in rule or "${" in rule for rule in rules) or name.startswith(("s0-", "s1-")):
            continue
        where = "the adapter's rules do not have it" if rules else "no rules of a metrics adapter are in the input"
        yield Found(
            f"spec.metrics[{number}].{kind}.metric.name",
            f"who serves {name}? {where}: without it the number of replicas never changes",
            fix="add a rule to prometheus-adapter, and give its values file; or use KEDA",
            severity=None if rules or given.neighbours(thing) else "info",
        )
