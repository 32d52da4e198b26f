"""A ServiceMonitor for a port that the Service does not have

`endpoints[].port` is the name of a Service's port, and the Service has none of that name.

Why: Nothing is scraped. Dashboards are empty and alerts never fire; the GPU Operator's Service calls its port
`gpu-metrics`, the stand-alone chart `metrics`.

Example:
    apiVersion: monitoring.coreos.com/v1
    kind: ServiceMonitor
    metadata: {name: dcgm-exporter, namespace: gpu-operator, labels: {release: kube-prometheus-stack}}
    spec:
      selector: {matchLabels: {app: nvidia-dcgm-exporter}}
      endpoints: [{port: metrics, interval: 15s}]

Fix: Write the Service's own name of the port.

Source: gpu-operator v26 (Service nvidia-dcgm-exporter: gpu-metrics 9400); dcgm-exporter chart; Karpenter chart
(http-metrics).
"""

from __future__ import annotations

from collections.abc import Iterator

from fretsaw.lint.found import Found, Set
from fretsaw.lint.given import Input
from fretsaw.lint.market import listed
from fretsaw.lint.rule import rule
from fretsaw.lint.tree import a_list, maps, texts
from fretsaw.lint.views import Thing

_KNOWN = (
    ("app", "nvidia-dcgm-exporter", "gpu-metrics", "the GPU Operator's Service"),
    ("app.kubernetes.io/name", "dcgm-exporter", "metrics", "the chart dcgm-exporter"),
    ("app.kubernetes.io/name", "karpenter", "http-metrics", "the chart karpenter"),
)


@rule("OBS103", "error", on="ServiceMonitor", fixes=True)
def monitor_port_unknown(thing: Thing, given: Input) -> Iterator[Found]:
    """Monitors of known Services, or of Services of the input, with another port."""
    labels = texts(thing.at("spec", "selector", "matchLabels"))
    ports, whose = _ports(thing, labels, given)
    for number, endpoint in maps(thing.at("spec", "endpoints")):
        port = endpoint.get("port")
        if not ports or not isinstance(port, str) or port in ports:
            continue
        path = f"spec.endpoints[{number}].port"
        yield Found(
            path,
            f"{whose} has no port {port}: nothing is scraped",
            fix=f"write {listed(ports)}",
            edits=(Set(path, ports[0]),) if len(ports) == 1 else (),
        )


def _ports(thing: Thing, labels: dict[str, str], given: Input) -> tuple[list[str], str]:
    """The names that the selected Service's ports have, and what it is called; none where it is not known."""
    names = {*_namespaces(thing), thing.namespace} if _namespaces(thing) else {thing.namespace}
    for service in given.by_kind.get("Service", ()):
        if labels and service.namespace in names and labels.items() <= service.labels.items():
            found = [str(one["name"]) for _, one in maps(service.at("spec", "ports")) if one.get("name")]
            return found, f"Service {service.name}"
    return next((([port], whose) for key, value, port, whose in _KNOWN if labels.get(key) == value), ([], ""))


def _namespaces(thing: Thing) -> list[str]:
    return [str(name) for name in a_list(thing.at("spec", "namespaceSelector", "matchNames"))]
