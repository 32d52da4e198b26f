"""The API server as a function of method and path, for tests: no client library, nothing cached, nothing retried."""

from __future__ import annotations

import json
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

T = TypeVar("T")
Json = Any
"""Whatever JSON holds."""

JSON = "application/json"
MERGE = "application/merge-patch+json"
APPLY = "application/apply-patch+yaml"
TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io"


class ApiError(Exception):
    """The API server answered, and it was no. `status` is its HTTP status, `body` what it said (mostly a Status object)."""

    def __init__(self, method: str, path: str, status: int, body: Json) -> None:
        super().__init__(method, path, status, body)
        self.method, self.path, self.status, self.body = method, path, status, body

    @property
    def reason(self) -> str:
        """The machine-readable word, such as NotFound or Invalid."""
        return str(self.body.get("reason", "")) if isinstance(self.body, dict) else ""

    @property
    def causes(self) -> list[dict[str, str]]:
        """One `{reason, message, field}` for each problem of an object that was refused."""
        details = self.body.get("details") if isinstance(self.body, dict) else None
        return list((details or {}).get("causes") or [])

    def __str__(self) -> str:
        said = self.body.get("message", self.body) if isinstance(self.body, dict) else self.body
        return f"{self.method} {self.path}: {self.status} {said}"


class Api:
    """`api("GET", "/api/v1/nodes")`, as one user of one API server.

    A refusal raises ApiError; no connection raises ConnectionError, no answer in time TimeoutError (both are OSErrors).
    """

    def __init__(self, url: str, token: str, tls: ssl.SSLContext) -> None:
        self.url = url
        self._token, self._tls = token, tls
        self._plurals: dict[tuple[str, str], tuple[str, bool]] = {}

    def __call__(
        self, method: str, path: str, body: Json = None, *, content: str = "", accept: str = JSON, timeout_s: float = 30
    ) -> Json:
        """What the server answers: parsed JSON, or text where it is none.

        content: the body's type; a PATCH is a merge patch unless it says something else.
        """
        kind = content or (MERGE if method == "PATCH" else JSON)
        headers = {"Authorization": f"Bearer {self._token}", "Accept": accept, "Content-Type": kind}
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data=data, headers=headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=timeout_s, context=self._tls) as response:
                return _parsed(response.read())
        except urllib.error.HTTPError as error:
            with error:
                raise ApiError(method, path, error.code, _parsed(error.read())) from None
        except urllib.error.URLError as error:
            raise (error.reason if isinstance(error.reason, OSError) else error) from None

    def watch(self, path: str) -> Iterator[bytes]:
        """The lines of a watch, until the server ends it."""
        request = urllib.request.Request(
            f"{self.url}{path}?watch=1", headers={"Authorization": f"Bearer {self._token}"}
        )
        with urllib.request.urlopen(request, context=self._tls) as response:
            yield from response

    def path(self, manifest: Json, *, collection: bool = False) -> str:
        """Where an object is kept, or the collection it is created in; asks the server once for each kind."""
        version, metadata = manifest["apiVersion"], manifest["metadata"]
        root = f"/apis/{version}" if "/" in version else f"/api/{version}"
        plural, namespaced = self._kind(root, manifest["kind"])
        folder = f"/namespaces/{metadata.get('namespace', 'default')}" if namespaced else ""
        return f"{root}{folder}/{plural}" + ("" if collection else f"/{metadata['name']}")

    def create(self, manifest: Json) -> Json:
        """Create an object; it may have a `generateName`."""
        return self("POST", self.path(manifest, collection=True), manifest)

    def apply(self, manifest: Json) -> Json:
        """Create an object or make it so (server-side apply)."""
        return self("PATCH", f"{self.path(manifest)}?fieldManager=tests&force=true", manifest, content=APPLY)

    def delete(self, manifest: Json) -> None:
        """Delete an object at once and in the background; one that is not there is as good."""
        options = {"gracePeriodSeconds": 0, "propagationPolicy": "Background"}
        try:
            self("DELETE", self.path(manifest), options)
        except ApiError as error:
            if error.status != 404:
                raise

    def items(self, path: str) -> list[Json]:
        """The objects of a collection."""
        found: list[Json] = self("GET", path)["items"]
        return found

    def _kind(self, root: str, kind: str) -> tuple[str, bool]:
        if (root, kind) not in self._plurals:
            for resource in self("GET", root)["resources"]:
                if "/" not in resource["name"]:
                    self._plurals[root, resource["kind"]] = (resource["name"], resource["namespaced"])
        return self._plurals[root, kind]


def until(condition: Callable[[], T], what: str, timeout_s: float = 30, every_s: float = 0.05) -> T:
    """The first true answer of `condition`; a TimeoutError that says `what` was waited for, and the last answer."""
    deadline = time.monotonic() + timeout_s
    while not (answer := condition()):
        if time.monotonic() > deadline:
            raise TimeoutError(f"not within {timeout_s:g} s: {what} (last answer: {answer!r})")
        time.sleep(every_s)
    return answer


def _parsed(body: bytes) -> Json:
    try:
        return json.loads(body)
    except ValueError:
        return body.decode(errors="replace")
