"""Verbs on typed objects. A kind is named as users write it (`Pod`, `NodeClaim`); `api.kinds` says where it is served.

Objects come back as structs of `api`, whose unknown fields are left out: what is written back is therefore a patch of
what has changed, never the whole object.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from functools import cache
from typing import Any, TypeVar

import msgspec

from fretsaw.api.decode import to_struct
from fretsaw.api.kinds import KINDS, Kind
from fretsaw.api.meta import Object
from fretsaw.kube.access import Access
from fretsaw.kube.errors import NO_JSON, Expired, NotUnderstood
from fretsaw.kube.http import Http, Limits

PAGE = 500
"""Objects of one page of a list, as kubectl asks for."""
PAGED_TRIES = 2
"""So often a list is begun with pages; one without them cannot expire in the middle."""
MANAGER = "fretsaw"
MERGE = "application/merge-patch+json"
APPLY = "application/apply-patch+yaml"
Shape = TypeVar("Shape")
Unreadable = Callable[[str, str, str], None]
"""Called with (kind, key, what is wrong) for an object that cannot be read; it is then left out."""


class ListMeta(msgspec.Struct, rename="camel"):
    """Of a page: the version that it shows, and how to go on."""

    resource_version: str = ""
    continue_: str | None = msgspec.field(default=None, name="continue")


class _Page(msgspec.Struct):
    metadata: ListMeta
    items: list[msgspec.Raw] | None = None


class Identity(msgspec.Struct, rename="camel"):
    """Which object it is, and at which version."""

    name: str
    uid: str = ""
    resource_version: str = ""
    namespace: str = ""


class Bare(msgspec.Struct):
    """An object of which only that is read."""

    metadata: Identity


class _Kinded(msgspec.Struct):
    kind: str = ""


class _Version(msgspec.Struct, rename="camel"):
    group_version: str


class _Group(msgspec.Struct):
    versions: list[_Version]


class _Groups(msgspec.Struct):
    groups: list[_Group]


class _Resource(msgspec.Struct):
    name: str


class _Resources(msgspec.Struct):
    resources: list[_Resource]


class Listed(msgspec.Struct, frozen=True):
    """All objects of a kind at one moment."""

    resource_version: str
    objects: tuple[Any, ...]
    unread: dict[str, str] = {}
    """Uid by key of those that are there and cannot be read."""


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


def key_of(kind: str, identity: Identity) -> str:
    """`namespace/name`, or the name of a kind without namespaces."""
    return f"{identity.namespace}/{identity.name}" if kind_named(kind).namespaced else identity.name


def shaped(what: str, text: bytes | msgspec.Raw, shape: type[Shape]) -> Shape:
    """The JSON in this shape. Raises NotUnderstood. what: verb and path that it answers."""
    try:
        return msgspec.json.decode(text, type=shape)
    except NO_JSON as error:
        said = " ".join(bytes(text)[:80].decode("utf-8", "replace").split())
        raise NotUnderstood(what, f"{error}: {said!r}") from error


def bare_of(text: bytes | msgspec.Raw) -> Identity | None:
    """Which object it is; None where it does not say."""
    try:
        return msgspec.json.decode(text, type=Bare).metadata
    except NO_JSON:
        return None


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
        """All objects of a kind, page by page. labels, fields: selectors.

        Where the server forgets the moment that the pages show, it begins again, the last time without pages.
        Raises Expired where even that does not help.
        """
        query = {"limit": str(PAGE), "labelSelector": labels, "fieldSelector": fields}
        query = {name: value for name, value in query.items() if value}
        for _ in range(PAGED_TRIES):
            try:
                return await self._paged(kind, query)
            except Expired:
                continue
        del query["limit"]
        return await self._paged(kind, query)

    async def _paged(self, kind: str, query: Mapping[str, str]) -> Listed:
        path, more = path_of(kind), ""
        version, unread, found = "", {}, []
        while True:
            text = await self.http.request("GET", path, query={**query, "continue": more} if more else query)
            page = shaped(f"GET {path}", text, _Page)
            if not page.metadata.resource_version:
                raise NotUnderstood(f"GET {path}", "a list without a resourceVersion")
            version = version or page.metadata.resource_version
            for raw in page.items or ():
                obj = self.decoded(kind, raw)
                if obj is not None:
                    found.append(obj)
                elif (bare := bare_of(raw)) is not None:
                    unread[key_of(kind, bare)] = bare.uid
            if not page.metadata.continue_:
                return Listed(version, tuple(found), unread)
            more = page.metadata.continue_

    async def serves(self, kind: str) -> bool:
        """Whether the server has the kind, by what it says of itself: a mere 404 may be somebody else's."""
        known = kind_named(kind)
        if not known.is_custom:
            return True
        groups = shaped("GET /apis", await self.http.request("GET", "/apis"), _Groups)
        if not any(version.group_version == known.api_version for group in groups.groups for version in group.versions):
            return False
        path = f"/apis/{known.api_version}"
        resources = shaped(f"GET {path}", await self.http.request("GET", path), _Resources)
        return any(resource.name == plural(kind) for resource in resources.resources)

    def decoded(self, kind: str, text: bytes | msgspec.Raw) -> Any:
        """An object from its JSON; None, and somebody is told, where it is no such object.

        Raises NotUnderstood for what is no JSON.
        """
        try:
            obj, wrong = decoder(kind).decode(text), ""
        except NO_JSON:
            tree = shaped(f"read {kind}", text, object)
            if isinstance(tree, dict):
                obj, problems = to_struct(tree, kind_named(kind).load_struct())  # once more, nulls left out
                wrong = "; ".join(map(str, problems))
            else:
                obj, wrong = None, f"must be a map: {str(tree)[:40]}"
        if obj is not None and obj.metadata.name:
            return obj
        bare = bare_of(text)
        self._unreadable(kind, key_of(kind, bare) if bare is not None else "?", wrong or "metadata.name: missing")
        return None

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

    async def delete(self, kind: str, key: str, *, uid: str = "", grace_s: int | None = None) -> Any:
        """Ask for an object's deletion; the object where something still holds it, None where it has gone.

        uid: only of that one (Conflict if it is another).
        """
        options: dict[str, Any] = {"apiVersion": "v1", "kind": "DeleteOptions"}
        if uid:
            options["preconditions"] = {"uid": uid}
        if grace_s is not None:
            options["gracePeriodSeconds"] = grace_s
        path = path_of(kind, key)
        text = await self.http.request("DELETE", path, body=options)
        obj = self.decoded(kind, text) if shaped(f"DELETE {path}", text, _Kinded).kind == kind else None
        return obj if obj is not None and obj.metadata.deletion_timestamp else None

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
