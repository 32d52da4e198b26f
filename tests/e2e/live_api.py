"""The API server's calls over connections that stay open: thousands of them, from many threads."""

from __future__ import annotations

import http.client
import json
import threading
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

import yaml

from support.controlplane import Api, ApiError, ControlPlane
from support.controlplane_api import JSON, MERGE


class KeptApi(Api):
    """See Api; each thread has a connection of its own."""

    def __init__(self, plane: ControlPlane) -> None:
        config = yaml.safe_load(plane.kubeconfig().read_text(encoding="utf-8"))
        super().__init__(plane.api.url, config["users"][0]["user"]["token"], plane.api._tls)
        self._address = urlsplit(plane.api.url)
        self._mine = threading.local()
        self._open: list[http.client.HTTPSConnection] = []

    def __call__(
        self, method: str, path: str, body: Any = None, *, content: str = "", accept: str = JSON, timeout_s: float = 30
    ) -> Any:
        """See Api. A call whose connection the server closed meanwhile is made again."""
        kind = content or (MERGE if method == "PATCH" else JSON)
        headers = {"Authorization": f"Bearer {self._token}", "Accept": accept, "Content-Type": kind}
        data = None if body is None else json.dumps(body).encode()
        try:
            status, said = self._asked(method, path, data, headers)
        except (http.client.RemoteDisconnected, ConnectionError):
            self._mine.connection = None
            status, said = self._asked(method, path, data, headers)
        answer: Any = said.decode(errors="replace")
        with suppress(ValueError):
            answer = json.loads(said)
        if status >= 400:
            raise ApiError(method, path, status, answer)
        return answer

    def close(self) -> None:
        """Close the connections of all threads."""
        for connection in self._open:
            connection.close()

    def _asked(self, method: str, path: str, data: bytes | None, headers: dict[str, str]) -> tuple[int, bytes]:
        if getattr(self._mine, "connection", None) is None:
            host, port = self._address.hostname or "", self._address.port
            self._mine.connection = http.client.HTTPSConnection(host, port, context=self._tls, timeout=30)
            self._open.append(self._mine.connection)
        connection: http.client.HTTPSConnection = self._mine.connection
        connection.request(method, path, data, headers)
        with connection.getresponse() as response:
            return response.status, response.read()
