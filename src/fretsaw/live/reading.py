"""Every object of every kind that Fretsaw reads, once, as the server gives it.

Kinds that the server does not have, or does not let us list, are left out and named: a reading says what it lacks.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from typing import Any

import msgspec

from fretsaw.api.kinds import KINDS
from fretsaw.api.times import Millis
from fretsaw.errors import UserError
from fretsaw.kube.client import PAGE, ListMeta, kind_named, path_of
from fretsaw.kube.errors import Denied, Expired, KubeError, NotFound
from fretsaw.kube.http import Http
from fretsaw.live.connection import Connection

Tree = dict[str, Any]
Counted = Callable[[int], None]
"""Called with the number of objects that were read so far."""
ALL = tuple(name for _, name in KINDS)
"""The kinds that `plan` and `simulate` read, in the order in which a file would best name them."""
ATTEMPTS = 3
"""How often a list is begun anew whose next page has run out: a server keeps pages for some minutes."""
AT_ONCE = 4
"""Kinds that are listed at the same time."""


class _Page(msgspec.Struct):
    metadata: ListMeta
    items: list[Tree] | None = None


class Reading(msgspec.Struct, frozen=True):
    """A cluster at about one moment: each kind is from one moment, the kinds are from some seconds."""

    server: str
    version: str
    taken: Millis
    trees: dict[str, tuple[Tree, ...]]
    """By kind, in the order of `ALL`."""
    missing: tuple[str, ...] = ()
    """Kinds that the server does not have."""
    forbidden: tuple[str, ...] = ()
    """Kinds that we may not list."""
    namespaces: tuple[str, ...] = ()
    """What it was limited to; empty for no limit."""
    namespace: str = "default"
    """Of the context that led there."""

    def objects(self) -> Iterator[Tree]:
        """All objects, kind by kind."""
        for trees in self.trees.values():
            yield from trees


async def read(
    connection: Connection,
    taken: Millis,
    *,
    kinds: Iterable[str] = ALL,
    namespaces: Sequence[str] = (),
    needed: Collection[str] = (),
    counted: Counted = lambda number: None,
) -> Reading:
    """All objects of these kinds. taken: the time, for the reading to tell. namespaces: only objects of these, and
    those of kinds without namespaces. needed: kinds without which a reading is of no use.

    Raises UserError for a namespace that there is not, KubeError where the server fails, or does not let us list what
    is needed, or anything at all.
    """
    wanted = tuple(kinds)
    lister = _Lister(connection.client.http, namespaces, counted)
    answers = await asyncio.gather(*(lister.of(kind) for kind in wanted))
    found = dict(zip(wanted, answers, strict=True))
    refusals = {kind: answer for kind, answer in found.items() if isinstance(answer, KubeError)}
    for kind, error in refusals.items():
        if not _is_left_out(error) or kind in needed or len(refusals) == len(wanted):
            raise error
    trees = {kind: answer for kind, answer in found.items() if not isinstance(answer, KubeError)}
    _check(namespaces, trees.get("Namespace"))
    return Reading(
        connection.server,
        connection.version,
        taken,
        trees,
        tuple(kind for kind, error in refusals.items() if isinstance(error, NotFound)),
        tuple(kind for kind, error in refusals.items() if not isinstance(error, NotFound)),
        tuple(namespaces),
        connection.namespace or "default",
    )


def _is_left_out(error: KubeError) -> bool:
    """Whether it only means that a kind is not there, or not for us. To be unknown (401) means more than that."""
    return isinstance(error, NotFound) or (isinstance(error, Denied) and error.status == 403)


def _check(namespaces: Sequence[str], known: Sequence[Tree] | None) -> None:
    """Raises UserError for a namespace that is not among those that are known."""
    if known is None:
        return
    names = {tree["metadata"]["name"] for tree in known}
    for name in namespaces:
        if name not in names:
            raise UserError("--namespace", "no such namespace", name, f"known: {', '.join(sorted(names))}")


class _Lister:
    """Lists kinds page by page, a few at a time."""

    def __init__(self, http: Http, namespaces: Sequence[str], counted: Counted) -> None:
        self._http = http
        self._namespaces = namespaces
        self._told = counted
        self._count = 0
        self._turn = asyncio.Semaphore(AT_ONCE)

    async def of(self, kind: str) -> tuple[Tree, ...] | KubeError:
        """All objects of a kind, or why there are none."""
        async with self._turn:
            try:
                return tuple([tree for path in self._paths(kind) for tree in await self._listed(kind, path)])
            except KubeError as error:
                return error

    def _paths(self, kind: str) -> list[str]:
        if not self._namespaces or not kind_named(kind).namespaced:
            return [path_of(kind)]
        return [path_of(kind, f"{namespace}/").rstrip("/") for namespace in dict.fromkeys(self._namespaces)]

    async def _listed(self, kind: str, path: str) -> list[Tree]:
        for attempt in range(ATTEMPTS):
            try:
                return await self._pages(kind, path)
            except Expired:
                if attempt == ATTEMPTS - 1:
                    raise
        raise AssertionError("the last attempt answers or raises")

    async def _pages(self, kind: str, path: str) -> list[Tree]:
        query = {"limit": str(PAGE)}
        head = {"apiVersion": kind_named(kind).api_version, "kind": kind}  # a list's items do not name their kind
        found: list[Tree] = []
        while True:
            page = msgspec.json.decode(await self._http.request("GET", path, query=query), type=_Page)
            items = page.items or []
            found += [{**head, **item} for item in items]
            self._count += len(items)
            self._told(self._count)
            if not page.metadata.continue_:
                return found
            query["continue"] = page.metadata.continue_
