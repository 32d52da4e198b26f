"""Verbs on typed objects. A kind is named as users write it (`Pod`, `NodeClaim`); `api.kinds` says where it is served.

Objects come back as structs of `api`, whose unknown fields are left out: what is written back is therefore a patch of
what has changed, never the whole object.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from functools import cache
from typing import Any

import msgspec

from fretsaw.api.decode import to_struct
from fretsaw.api.kinds import KINDS, Kind
from fretsaw.api.meta import Object
from fretsaw.kube.access import Access
from fretsaw.kube.http import Http, Limits

PAGE = 500
"""Objects of one page of a list, as kubectl asks for."""
MANAGER = "fretsaw"
MERGE = "application/merge-patch+json"
APPLY = "application/apply-patch+yaml"
Unreadable = Callable[[str, str, str], None]
"""Called with (kind, key, what is wrong) for an object that cannot be read; it is then left out."""


class ListMeta(msgspec.Struct, rename="camel"):
    """Of a page: the version that it shows, and how to go on."""

    resource_version: str = ""
    continue_: str = msgspec.field(default="", name="continue")


class _Page(msgspec.Struct):
    metadata: ListMeta
    items: list[msgspec.Raw] | None = None


class Listed(msgspec.Struct, frozen=True):
    """All objects of a kind at one moment."""

    resource_version: str
    objects: tuple[Any, ...]


@cache
def kind_named(kind: str) -> Kind:
    """Where a kind is served. Raises KeyError for one that is not read."""
    return next(known for (_, name), known in KINDS.items() if name == kind)


@cache
def decoder(kind: str) -> msgspec.json.Decoder[Any]:
    """Reads one object's JSON."""
    return msgspec.json.Decoder(kind_named(kind).load_struct())


@cache
def plural(kind: str) -> str:
    """The kind as it stands in a path."""
    low = kind.lower()
    if low.endswith("s"):
        return f"{low}es"
    return f"{low[:-1]}ies" if low.endswith("y") and low[-2] not in "aeiou" else f"{low}s"


def path_of(kind: str, key: str | None = None, subresource: str = "") -> str:
    """The path of a kind, of an object (`namespace/name`, or a name), or of a part of it."""
    known = kind_named(kind)
    root = f"/apis/{known.api_version}" if known.group else f"/api/{known.versions[0]}"
    if key is None:
        return f"{root}/{plural(kind)}"
    namespace, _, name = key.rpartition("/")
    inside = f"/namespaces/{namespace}" if known.namespaced else ""
    return f"{root}{inside}/{plural(kind)}/{name}{f'/{subresource}' if subresource else ''}"


class Client:
    """The verbs. All of them raise the errors of `kube.errors`."""

    def __init__(self, http: Http, unreadable: Unreadable | None = None) -> None:
        self.http = http
        self._unreadable = unreadable if unreadable is not None else _ignore

    @classmethod
    @asynccontextmanager
    async def connect(
        cls, access: Access, limits: Limits | None = None, *, agent: str = MANAGER
    ) -> AsyncIterator[Client]:
        """A client for as long as the block lasts."""
        async with Http(access, limits, agent=agent) as http:
            yield cls(http)

    def on_unreadable(self, told: Unreadable) -> None:
        """Call `told` for objects that cannot be read."""
        self._unreadable = told

    # Reading

    async def get(self, kind: str, key: str) -> Any:
        """One object. Raises NotFound."""
        return self.decoded(kind, await self.http.request("GET", path_of(kind, key)))

    async def list(self, kind: str, *, labels: str = "", fields: str = "") -> Listed:
        """All objects of a kind, page by page. labels, fields: selectors."""
        query = {"limit": str(PAGE), "labelSelector": labels, "fieldSelector": fields}
        query = {name: value for name, value in query.items() if value}
        found: list[Any] = []
        while True:
            page = msgspec.json.decode(await self.http.request("GET", path_of(kind), query=query), type=_Page)
            decoded = (self.decoded(kind, bytes(raw)) for raw in page.items or ())
            found.extend(obj for obj in decoded if obj is not None)
            if not page.metadata.continue_:
                return Listed(page.metadata.resource_version, tuple(found))
            query["continue"] = page.metadata.continue_

    def decoded(self, kind: str, text: bytes) -> Any:
        """An object from its JSON; None, and somebody is told, where it is no such object."""
        try:
            return decoder(kind).decode(text)
        except msgspec.ValidationError:
            tree = msgspec.json.decode(text)
            obj, problems = to_struct(tree, kind_named(kind).load_struct())  # once more, nulls left out
            if obj is None:
                metadata = tree.get("metadata") or {}
                key = "/".join(filter(None, (metadata.get("namespace"), metadata.get("name", "?"))))
                self._unreadable(kind, key, "; ".join(map(str, problems)))
            return obj

    # Writing

    async def create(self, kind: str, obj: Object | Mapping[str, Any], *, namespace: str = "") -> Any:
        """Make an object, which has a name: asked again after silence, it is the same one. Raises AlreadyExists."""
        known = kind_named(kind)
        tree = obj if isinstance(obj, Mapping) else msgspec.to_builtins(obj)
        tree = {"apiVersion": known.api_version, "kind": kind, **tree}
        home = namespace or tree["metadata"].get("namespace", "default")
        path = path_of(kind, f"{home}/") if known.namespaced else path_of(kind)
        query = {"fieldManager": MANAGER}
        return self.decoded(kind, await self.http.request("POST", path.rstrip("/"), query=query, body=tree, again=True))

    async def patch(self, kind: str, key: str, patch: Mapping[str, Any], subresource: str = "") -> Any:
        """Merge these fields into an object. Name its resourceVersion to have a change of others refused (Conflict)."""
        path, query = path_of(kind, key, subresource), {"fieldManager": MANAGER}
        return self.decoded(kind, await self.http.request("PATCH", path, query=query, body=patch, content=MERGE))

    async def apply(self, kind: str, key: str, tree: Mapping[str, Any], *, force: bool = True) -> Any:
        """Server-side apply: these fields are ours, what we had and do not name goes. force: take them from others."""
        query = {"fieldManager": MANAGER, "force": "true" if force else "false"}
        body = {"apiVersion": kind_named(kind).api_version, "kind": kind, **tree}
        answer = await self.http.request("PATCH", path_of(kind, key), query=query, body=body, content=APPLY)
        return self.decoded(kind, answer)

    async def delete(self, kind: str, key: str, *, uid: str = "", grace_s: int | None = None) -> None:
        """Ask for an object's deletion. uid: only of that one (Conflict if it is another)."""
        options: dict[str, Any] = {"apiVersion": "v1", "kind": "DeleteOptions"}
        if uid:
            options["preconditions"] = {"uid": uid}
        if grace_s is not None:
            options["gracePeriodSeconds"] = grace_s
        await self.http.request("DELETE", path_of(kind, key), body=options)

    async def evict(self, pod: str, uid: str) -> None:
        """Ask the eviction API. Raises TooManyRequests where a budget says no, Conflict for another pod of that name.

        It is asked once: who evicts decides when to ask again.
        """
        namespace, _, name = pod.rpartition("/")
        body = {
            "apiVersion": "policy/v1",
            "kind": "Eviction",
            "metadata": {"name": name, "namespace": namespace},
            "deleteOptions": {"preconditions": {"uid": uid}} if uid else {},
        }
        await self.http.request("POST", path_of("Pod", pod, "eviction"), body=body, again=False, patience_s=0)


def _ignore(kind: str, key: str, wrong: str) -> None:
    """Nobody wants to know."""
