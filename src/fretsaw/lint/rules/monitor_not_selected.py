"""A ServiceMonitor or PrometheusRule that no Prometheus picks up

The object has none of the labels by which a Prometheus selects what it reads.

Why: Nothing is scraped and no rule is loaded, without an error anywhere: kube-prometheus-stack selects `release: <its
name>`.

Example:
    apiVersion: monitoring.coreos.com/v1
    kind: PrometheusRule
    metadata: {name: gpu, namespace: monitoring}
    spec: {groups: [{name: gpu, rules: [{alert: GPUIdle, expr: 'DCGM_FI_DEV_GPU_UTIL < 10'}]}]}

Fix: Add the label, such as `release: kube-prometheus-stack`; or let Prometheus select everything
(`ruleSelectorNilUsesHelmValues: false`), give its Prometheus object, and this is not reported.

Source: Prometheus Operator documentation, Prometheus (ruleSelector, serviceMonitorSelector); kube-prometheus-stack
values.
"""

from __future__ import annotations

from collections.abc import Iterator

from fretsaw.lint.found import Found
from fretsaw.lint.given import Input
from fretsaw.lint.market import listed
from fretsaw.lint.rule import rule
from fretsaw.lint.tree import at, texts
from fretsaw.lint.views import Thing

_FIELD = {
    "ServiceMonitor": "serviceMonitorSelector",
    "PodMonitor": "podMonitorSelector",
    "PrometheusRule": "ruleSelector",
}
_USUAL = ("release", "prometheus", "app.kubernetes.io/part-of")


@rule("OBS104", "warning", on=("ServiceMonitor", "PodMonitor", "PrometheusRule"))
def monitor_not_selected(thing: Thing, given: Input) -> Iterator[Found]:
    """Monitors and rules that the Prometheus of the input, or the usual one, does not select."""
    servers = [one for one in given.by_kind.get("Prometheus", ()) if one.document.api_version.startswith("monitoring.")]
    if servers:
        wanted = [server.at("spec", _FIELD[thing.kind]) for server in servers]
        if any(
            isinstance(one, dict) and texts(one.get("matchLabels")).items() <= thing.labels.items() for one in wanted
        ):
            return
        labels = listed([f"{k}: {v}" for one in wanted for k, v in texts(at(one, "matchLabels")).items()])
        message = f"Prometheus {listed([server.name for server in servers])} selects {labels or 'none'}, which it lacks"
        yield Found("metadata.labels", message, fix="add the labels that it selects", severity="error")
    elif not set(_USUAL) & thing.labels.keys():
        yield Found(
            "metadata.labels",
            f"a {thing.kind} without a label that a Prometheus selects: by default kube-prometheus-stack reads only "
            "what has its release",
            fix="add the label release: <name of the chart's release>",
        )
