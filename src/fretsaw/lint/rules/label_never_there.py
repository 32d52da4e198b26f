"""An alert that asks for a label which the metric does not have

A matcher names a label, or a label's value, that Karpenter never gives this metric.

Why: The expression is always empty: the alert can never fire, and looks as if all were well.

Example:
    apiVersion: monitoring.coreos.com/v1
    kind: PrometheusRule
    metadata: {name: gpu, labels: {release: kube-prometheus-stack}}
    spec:
      groups:
        - name: gpu
          rules:
            - alert: ProvisioningFailed
              expr: increase(karpenter_nodeclaims_terminated_total{reason="ProvisioningFailed"}[15m]) > 0

Fix: Ask a metric that has the label: for launches that fail, `karpenter_nodeclaims_disrupted_total` with
`reason=~"insufficient_capacity|registration_timeout|launch_timeout"`, or `karpenter_cloudprovider_errors_total`.

Source: Karpenter v1.14 metrics reference (labels of each metric).
"""

from __future__ import annotations

from collections.abc import Iterator
from difflib import get_close_matches

from fretsaw.lint.found import Found
from fretsaw.lint.given import Input
from fretsaw.lint.metrics import TARGET_LABELS, known
from fretsaw.lint.query import Query
from fretsaw.lint.rule import rule

_REASONS = {
    "karpenter_nodeclaims_disrupted_total": {
        "empty", "drifted", "underutilized", "expired", "unhealthy", "garbage_collected", "insufficient_capacity",
        "nodeclass_not_ready", "launch_timeout", "registration_timeout",
    },
    "karpenter_voluntary_disruption_decisions_total": {"empty", "drifted", "underutilized"},
    "karpenter_nodeclaims_created_total": {"provisioned", "empty", "drifted", "underutilized"},
}  # fmt: skip


@rule("OBS102", "error", on=Query)
def label_never_there(query: Query, given: Input) -> Iterator[Found]:
    """Matchers that no series of the metric can meet."""
    for one in query.selectors:
        metric = known(one.name)
        if metric is None or metric.of_nodes:
            continue
        odd = sorted(one.labels - metric.labels - TARGET_LABELS)
        has = f"{metric.name} has {', '.join(sorted(metric.labels)) or 'no labels'}"
        never = "it can never fire" if query.sort == "alert" else "it is always empty"
        for label in odd:
            near = get_close_matches(label, sorted(metric.labels), n=1)
            yield Found(
                query.path,
                f"{query.heading}: {one.name} has no label {label}: {never}",
                fix=f"did you mean {near[0]}?" if near else "ask a metric that has the label",
                proof=has,
                word=label,
            )
        reasons = _REASONS.get(metric.name, set())
        for label, sign, value in one.matchers:
            if label == "reason" and sign == "=" and reasons and value not in reasons:
                yield Found(
                    query.path,
                    f'{query.heading}: {one.name} never has reason="{value}": {never}',
                    fix=f"its reasons: {', '.join(sorted(reasons))}",
                    word=value,
                )
