"""What an API server knows, without a socket: objects with versions, lists in pages, a log to watch, compaction.

Tests change objects by `put` and `delete`; clients come through `handle` and `watch`, which `support.api_server` serves
over HTTP and `support.memory_http` in virtual time.
"""

from __future__ import annotations

import asyncio
import re
import uuid
from collections.abc import AsyncGenerator, Mapping
from typing import Any

import msgspec

from fretsaw.api.kinds import KINDS
from fretsaw.controllers.patches import difference
from fretsaw.kube.client import kind_named, path_of, plural

Tree = dict[str, Any]
_PATH = re.compile(
    r"(?P<root>/api/v1|/apis/[^/]+/[^/]+)(?:/namespaces/(?P<namespace>[^/]+)(?=/))?/(?P<plural>[^/]+)"
    r"(?:/(?P<name>[^/]+))?(?:/(?P<part>[^/]+))?"
)
_WORDS = {
    400: "BadRequest",
    404: "NotFound",
    409: "Conflict",
    410: "Expired",
    422: "Invalid",
    429: "TooManyRequests",
    500: "InternalError",
    504: "Timeout",
}


def status(code: int, reason: str = "", message: str = "", **details: Any) -> Tree:
    """A Status object that says no."""
    reason = reason or _WORDS.get(code, "")
    tree = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, "reason": reason}
    return {**tree, "message": message or reason, **({"details": details} if details else {})}


class Collection:
    """All objects of one kind."""

    def __init__(self) -> None:
        self.objects: dict[str, Tree] = {}
        self.log: list[tuple[int, str, Tree]] = []
        self.floor = 0
        """A watch must begin at this version or later."""
        self.stirred = asyncio.Event()
        self.cut = asyncio.Event()
        """Set to end all watches."""
        self.watches = 0
        """How many there are at the moment."""

    def stir(self) -> None:
        """Wake whoever watches."""
        self.stirred.set()
        self.stirred = asyncio.Event()


class ApiStore:
    """Objects of all kinds under one version that grows."""

    def __init__(self) -> None:
        self.version = 100
        self.collections: dict[str, Collection] = {}
        self.missing: set[str] = set()
        """Kinds that are not served."""
        self._pages: dict[str, tuple[int, list[Tree]]] = {}
        """What is left of a list, by the token to continue with."""

    # What tests do

    def of(self, kind: str) -> Collection:
        """The objects of a kind."""
        return self.collection(path_of(kind))

    def collection(self, path: str) -> Collection:
        """The objects under a path such as `/api/v1/pods`."""
        return self.collections.setdefault(path, Collection())

    def put(self, kind: str, key: str, **fields: Any) -> Tree:
        """Make an object, or change it."""
        known = kind_named(kind)
        namespace, _, name = key.rpartition("/")
        metadata = {"name": name, **({"namespace": namespace} if namespace else {}), **fields.pop("metadata", {})}
        tree = {"apiVersion": known.api_version, "kind": kind, "metadata": metadata, **fields}
        return self._store(self.of(kind), key, tree)

    def delete(self, kind: str, key: str) -> None:
        """End an object."""
        self._remove(self.of(kind), key)

    def compact(self, kind: str) -> None:
        """Forget the past: watches from an older version, and the rest of lists that have begun, are refused."""
        self.of(kind).floor = self.version
        self._pages.clear()

    def cut(self, kind: str) -> None:
        """End all watches of a kind, whatever they have not read yet."""
        collection = self.of(kind)
        collection.cut.set()
        collection.cut = asyncio.Event()

    def tell(self, kind: str, line: Tree) -> None:
        """Say something to all watches of a kind that no change has caused, such as an ERROR."""
        collection = self.of(kind)
        collection.log.append((self.version, "", line))
        collection.stir()

    def remove_kind(self, kind: str) -> None:
        """Take away a kind with its objects, as with its CRD."""
        for key in list(self.of(kind).objects):
            self.delete(kind, key)
        self.missing.add(kind)
        self.cut(kind)

    def versions(self, kind: str) -> dict[str, tuple[str, str]]:
        """(uid, resource version) of each object by key."""
        objects = self.of(kind).objects.items()
        return {key: (tree["metadata"]["uid"], tree["metadata"]["resourceVersion"]) for key, tree in objects}

    # What clients do

    def serves(self, path: str) -> bool:
        """Whether the kind of a collection is there."""
        return all(path_of(kind) != path for kind in self.missing)

    def handle(self, method: str, path: str, query: Mapping[str, str], body: Any) -> tuple[int, Tree]:
        """Status and answer of a request that is no watch."""
        if path == "/apis" or (path.startswith("/apis/") and path.count("/") == 3):
            return self._discovery(path)
        found = _PATH.fullmatch(path)
        if found is None or not self.serves(f"{found['root']}/{found['plural']}"):
            return 404, status(404, message="404 page not found")
        collection = self.collection(f"{found['root']}/{found['plural']}")
        if found["name"] is None:
            return self._list(collection, query) if method == "GET" else self._create(collection, body)
        key = f"{found['namespace']}/{found['name']}" if found["namespace"] else found["name"]
        if key not in collection.objects:
            return 404, status(404, message=f"{found['plural']} {found['name']!r} not found")
        return self._one(collection, key, method, body)

    async def watch(self, path: str, query: Mapping[str, str]) -> AsyncGenerator[Tree, None]:
        """Lines of a watch, one for each event; the first is an ERROR where the version is too old."""
        collection = self.collection(path)
        since = int(query["resourceVersion"])
        if since < collection.floor:
            yield {"type": "ERROR", "object": status(410, message="too old resource version")}
            return
        place = next((i for i, (at, _, _) in enumerate(collection.log) if at > since), len(collection.log))
        cut = collection.cut
        collection.watches += 1
        try:
            while not cut.is_set():
                for _, kind, tree in collection.log[place:]:
                    place += 1
                    yield {"type": kind, "object": tree} if kind else tree
                if place == len(collection.log):
                    await _first(collection.stirred, cut)
        finally:
            collection.watches -= 1

    # Within

    def _discovery(self, path: str) -> tuple[int, Tree]:
        served = [kind for kind in KINDS.values() if kind.group and kind.name not in self.missing]
        if path == "/apis":
            versions = sorted({kind.api_version for kind in served})
            groups = [{"name": one.split("/")[0], "versions": [{"groupVersion": one}]} for one in versions]
            return 200, {"kind": "APIGroupList", "groups": groups}
        names = [plural(kind.name) for kind in served if f"/apis/{kind.api_version}" == path]
        if not names:
            return 404, status(404)
        return 200, {"kind": "APIResourceList", "resources": [{"name": name} for name in names]}

    def _list(self, collection: Collection, query: Mapping[str, str]) -> tuple[int, Tree]:
        version, items = self.version, list(collection.objects.values())
        if token := query.get("continue"):
            if token not in self._pages:
                return 410, status(410, message="the provided continue parameter is too old")
            version, items = self._pages[token]
        metadata: Tree = {"resourceVersion": str(version)}
        limit = int(query.get("limit", "0"))
        if limit and len(items) > limit:
            metadata["continue"] = uuid.uuid4().hex
            self._pages[metadata["continue"]] = version, items[limit:]
            items = items[:limit]
        return 200, {"kind": "List", "apiVersion": "v1", "metadata": metadata, "items": items}

    def _create(self, collection: Collection, body: Tree) -> tuple[int, Tree]:
        namespace, name = body["metadata"].get("namespace"), body["metadata"]["name"]
        key = f"{namespace}/{name}" if namespace else name
        if key in collection.objects:
            return 409, status(409, "AlreadyExists", f"{name!r} already exists")
        return 201, self._store(collection, key, body)

    def _one(self, collection: Collection, key: str, method: str, body: Any) -> tuple[int, Tree]:
        tree = collection.objects[key]
        if method == "GET":
            return 200, tree
        if method == "DELETE":
            uid = (body or {}).get("preconditions", {}).get("uid", tree["metadata"]["uid"])
            if uid != tree["metadata"]["uid"]:
                return 409, status(409, message="the UID in the precondition does not match")
            return 200, self._remove(collection, key)
        wanted = body.get("metadata", {}).get("resourceVersion", tree["metadata"]["resourceVersion"])
        if wanted != tree["metadata"]["resourceVersion"]:
            return 409, status(409, message="the object has been modified")
        new = body if method == "PUT" else merged(tree, body)
        return 200, tree if not difference(tree, new) else self._store(collection, key, new)

    def _store(self, collection: Collection, key: str, tree: Tree) -> Tree:
        self.version += 1
        old = collection.objects.get(key)
        uid = old["metadata"]["uid"] if old is not None else uuid.uuid4().hex
        tree = {**tree, "metadata": {**tree["metadata"], "uid": uid, "resourceVersion": str(self.version)}}
        collection.objects[key] = tree
        collection.log.append((self.version, "MODIFIED" if old is not None else "ADDED", tree))
        collection.stir()
        return tree

    def _remove(self, collection: Collection, key: str) -> Tree:
        self.version += 1
        tree = collection.objects.pop(key)
        tree = {**tree, "metadata": {**tree["metadata"], "resourceVersion": str(self.version)}}
        collection.log.append((self.version, "DELETED", tree))
        collection.stir()
        return tree


async def _first(*events: asyncio.Event) -> None:
    """Return when one of them is set."""
    waits = [asyncio.ensure_future(event.wait()) for event in events]
    try:
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()


def merged(tree: Any, patch: Any) -> Any:
    """A tree after a merge patch, word by word as the standard has it. Source: RFC 7386, section 2."""
    if not isinstance(patch, dict):
        return patch
    result = dict(tree) if isinstance(tree, dict) else {}
    for name, value in patch.items():
        if value is None:
            result.pop(name, None)
        else:
            result[name] = merged(result.get(name), value)
    return result


def encoded(tree: Any) -> bytes:
    """As it is sent."""
    return msgspec.json.encode(tree)
