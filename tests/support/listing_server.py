"""An API server that lists what it is given, page by page, over plain HTTP: for what only reads, and reads once."""

from __future__ import annotations

import json
import threading
from collections import defaultdict
from collections.abc import Iterable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import parse_qs, urlsplit

from fretsaw.api.kinds import KINDS
from fretsaw.kube.client import path_of

Obj = dict[str, Any]
TOKEN = "secret"


class ListingServer:
    """`with ListingServer(objects) as server: fretsaw snapshot --kubeconfig server.kubeconfig`"""

    def __init__(
        self,
        folder: Path,
        objects: Iterable[Obj] = (),
        *,
        missing: Iterable[str] = (),
        forbidden: Iterable[str] = (),
        page: int = 500,
        expire: Mapping[str, int] | None = None,
        namespace: str = "",
    ) -> None:
        """missing, forbidden: kinds. page: the most objects of a page. expire: how many further pages of a kind have
        run out when they are asked for. namespace: of the kubeconfig's context."""
        self.missing, self.forbidden = set(missing), set(forbidden)
        self.page, self.expire = page, dict(expire or {})
        self.broken = False
        """Whether it answers everything with 503."""
        self.asked: list[str] = []
        """Paths with their queries, as they were asked for."""
        self._by_path: dict[str, list[Obj]] = defaultdict(list)
        self._kinds = {path_of(name): name for _, name in KINDS} | {"/api/v1/events": "Event"}
        for obj in objects:
            self._put(obj)
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                status, body = server.answer(self.path, self.headers.get("Authorization", ""))
                data = json.dumps(body).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, format: str, *args: Any) -> None:
                """Not onto the terminal."""

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._http.daemon_threads = True
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.01,), daemon=True)
        self.url = f"http://127.0.0.1:{self._http.server_address[1]}"
        self.kubeconfig = str(_kubeconfig(folder, self.url, namespace))

    def __enter__(self) -> ListingServer:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.shutdown()
        self._http.server_close()

    def _put(self, obj: Obj) -> None:
        path = "/api/v1/events" if obj["kind"] == "Event" else path_of(obj["kind"])
        self._by_path[path].append({key: value for key, value in obj.items() if key not in ("apiVersion", "kind")})

    def answer(self, target: str, authorization: str) -> tuple[int, Obj]:
        """(status, body) of a GET."""
        self.asked.append(target)
        if self.broken:
            return _refused(503, "ServiceUnavailable", "etcd is away")
        url = urlsplit(target)
        query = {key: values[0] for key, values in parse_qs(url.query).items()}
        if authorization != f"Bearer {TOKEN}":
            return _refused(401, "Unauthorized", "Unauthorized")
        if url.path == "/version":
            return 200, {"major": "1", "minor": "34", "gitVersion": "v1.34.1"}
        path, namespace = _in_all_namespaces(url.path)
        kind = self._kinds.get(path, "")
        if not kind or kind in self.missing:
            return _refused(404, "NotFound", "the server could not find the requested resource")
        if kind in self.forbidden:
            return _refused(403, "Forbidden", f'User "u" cannot list {kind}')
        found = [o for o in self._by_path[path] if not namespace or o["metadata"].get("namespace") == namespace]
        return self._page(kind, found, query)

    def _page(self, kind: str, found: list[Obj], query: Mapping[str, str]) -> tuple[int, Obj]:
        start = int(query.get("continue", 0))
        if start and self.expire.get(kind, 0):
            self.expire[kind] -= 1
            return _refused(410, "Expired", "the provided continue parameter is too old")
        size = min(self.page, int(query.get("limit", len(found) or 1)))
        metadata = {"resourceVersion": "7"}
        if start + size < len(found):
            metadata["continue"] = str(start + size)
        return 200, {"kind": f"{kind}List", "metadata": metadata, "items": found[start : start + size]}


def _in_all_namespaces(path: str) -> tuple[str, str]:
    """`/api/v1/namespaces/ml/pods` as (`/api/v1/pods`, `ml`)."""
    head, inside, rest = path.partition("/namespaces/")
    namespace, slash, plural = rest.partition("/")
    return (f"{head}/{plural}", namespace) if inside and slash else (path, "")


def _refused(status: int, reason: str, message: str) -> tuple[int, Obj]:
    return status, {"kind": "Status", "reason": reason, "message": message, "code": status}


def _kubeconfig(folder: Path, url: str, namespace: str) -> Path:
    path = folder / "kubeconfig"
    context = {"cluster": "c", "user": "u", **({"namespace": namespace} if namespace else {})}
    whole = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "c", "cluster": {"server": url}}],
        "users": [{"name": "u", "user": {"token": TOKEN}}],
        "contexts": [{"name": "test", "context": context}],
        "current-context": "test",
    }
    path.write_text(json.dumps(whole), encoding="utf-8")
    return path
