"""The three metrics APIs of a cluster, served beside its API server: what a table says that its pods use.

The API server reaches it by a Service whose external name is this machine, and does not look at its certificate.
"""

from __future__ import annotations

import json
import ssl
import threading
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

from e2e.live_api import KeptApi
from kubernetes.driver import Obj
from support.controlplane import ControlPlane, until

VERSIONS = {
    "metrics.k8s.io": "v1beta1",
    "custom.metrics.k8s.io": "v1beta2",
    "external.metrics.k8s.io": "v1beta1",
}
_SERVICE = {"name": "metrics", "namespace": "default"}


class LiveMetrics:
    """Serves from its making to `close`. `values`: by namespace and metric, a number or a map by pod; None for none."""

    def __init__(self, plane: ControlPlane, api: KeptApi) -> None:
        self.values: dict[str, Obj] = {}
        self._api = api
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        certificate = plane.folder / "certificates" / "apiserver.crt"
        tls.load_cert_chain(certificate, certificate.with_suffix(".key"))
        self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()
        self._register()

    def close(self) -> None:
        """Serve no more."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _register(self) -> None:
        port = self._server.server_address[1]
        spec = {"type": "ExternalName", "externalName": "localhost", "ports": [{"port": port}]}
        self._api("POST", "/api/v1/namespaces/default/services", {"metadata": _SERVICE, "spec": spec})
        path = "/apis/apiregistration.k8s.io/v1/apiservices"
        for group, version in VERSIONS.items():
            told = {
                "group": group,
                "version": version,
                "service": {**_SERVICE, "port": port},
                "insecureSkipTLSVerify": True,
                "groupPriorityMinimum": 100,
                "versionPriority": 100,
            }
            self._api("POST", path, {"metadata": {"name": f"{version}.{group}"}, "spec": told})
        for group, version in VERSIONS.items():
            until(lambda name=f"{version}.{group}": self._available(f"{path}/{name}"), f"{group} is available")

    def _available(self, path: str) -> bool:
        conditions = self._api("GET", path).get("status", {}).get("conditions", [])
        return any(c["type"] == "Available" and c["status"] == "True" for c in conditions)

    def answer(self, path: str) -> Obj | None:
        """What is at a path; None for nothing."""
        parts = urlsplit(path).path.strip("/").split("/")
        if len(parts) < 3 or parts[1] not in VERSIONS:
            return None
        group, version = parts[1], parts[2]
        if len(parts) == 3:
            return {"kind": "APIResourceList", "groupVersion": f"{group}/{version}", "resources": _RESOURCES[group]}
        namespace, rest = parts[4], parts[5:]
        if group == "external.metrics.k8s.io":
            return self._external(namespace, rest[0])
        if group == "custom.metrics.k8s.io":
            return self._custom(namespace, *rest)
        return self._usage(namespace)

    def _external(self, namespace: str, metric: str) -> Obj | None:
        value = self.values.get(namespace, {}).get(metric)
        items = [] if value is None else [{"metricName": metric, "timestamp": _now(), "value": str(value)}]
        return {"kind": "ExternalMetricValueList", "apiVersion": "external.metrics.k8s.io/v1beta1", "items": items}

    def _custom(self, namespace: str, resource: str, name: str, metric: str) -> Obj | None:
        if resource == "pods":
            values = {pod: self._of(namespace, metric, pod) for pod in self._running(namespace)}
            kind = "Pod"
        else:
            values, kind = {name: self._of(namespace, metric, name)}, "Ingress"
        items = [
            {
                "describedObject": {"kind": kind, "namespace": namespace, "name": each},
                "metric": {"name": metric},
                "timestamp": _now(),
                "value": str(value),
            }
            for each, value in values.items()
            if value is not None
        ]
        return (
            {"kind": "MetricValueList", "apiVersion": "custom.metrics.k8s.io/v1beta2", "items": items}
            if items
            else None
        )

    def _usage(self, namespace: str) -> Obj:
        items = []
        for pod in self._running(namespace):
            found = {"cpu": self._of(namespace, "cpu", pod), "memory": self._of(namespace, "memory", pod)}
            usage = {name: f"{value}m" if name == "cpu" else str(value) for name, value in found.items() if value}
            if usage:
                metadata = {"name": pod, "namespace": namespace}
                containers = [{"name": "c", "usage": usage}]
                items.append({"metadata": metadata, "timestamp": _now(), "window": "30s", "containers": containers})
        return {"kind": "PodMetricsList", "apiVersion": "metrics.k8s.io/v1beta1", "items": items}

    def _running(self, namespace: str) -> list[str]:
        pods = self._api.items(f"/api/v1/namespaces/{namespace}/pods")
        return [pod["metadata"]["name"] for pod in pods if pod["status"]["phase"] == "Running"]

    def _of(self, namespace: str, metric: str, name: str) -> Any:
        found = self.values.get(namespace, {}).get(metric)
        return found.get(name) if isinstance(found, dict) else found


_RESOURCES = {
    "metrics.k8s.io": [
        {"name": "pods", "singularName": "", "namespaced": True, "kind": "PodMetrics", "verbs": ["list"]}
    ],
    "custom.metrics.k8s.io": [],
    "external.metrics.k8s.io": [],
}


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _handler(metrics: LiveMetrics) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            found = metrics.answer(self.path)
            missing = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "NotFound", "code": 404}
            body = json.dumps(found or missing).encode()
            self.send_response(200 if found else 404)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    return Handler
