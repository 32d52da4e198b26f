"""Reading a cluster: pages, namespaces, and what is not there or not allowed."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from fretsaw.errors import UserError
from fretsaw.kube.errors import Denied, Expired, NotFound, Unreachable
from fretsaw.live import connection
from fretsaw.live.connection import Way, connected
from fretsaw.live.reading import ALL, Reading, read
from support.builders import node, pod
from support.listing_server import ListingServer


def namespace(name: str) -> dict[str, Any]:
    """A Namespace."""
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}


PODS = [pod(f"p{n}", namespace="ml" if n % 2 else "web") for n in range(5)]
OBJECTS = [*PODS, node("a"), namespace("ml"), namespace("web")]


def reading(server: ListingServer, **given: Any) -> Reading:
    """What is read of the server."""

    async def run() -> Reading:
        async with connected(Way(server.kubeconfig)) as found:
            return await read(found, 1000, **given)

    return asyncio.run(run())


def test_everything_is_read_page_by_page_and_names_its_kind(tmp_path: Path) -> None:
    counts: list[int] = []
    with ListingServer(tmp_path, OBJECTS, page=2) as server:
        found = reading(server, counted=counts.append)
    assert list(found.trees) == list(ALL)
    assert found.trees["Pod"] == tuple(PODS)
    assert [tree["metadata"]["name"] for tree in found.trees["Node"]] == ["a"]
    assert (found.server, found.version, found.taken, found.namespace) == (server.url, "v1.34.1", 1000, "default")
    assert (found.missing, found.forbidden) == ((), ())
    assert max(counts) == len(OBJECTS)
    assert len(list(found.objects())) == len(OBJECTS)


def test_a_namespace_limits_the_kinds_that_have_one(tmp_path: Path) -> None:
    with ListingServer(tmp_path, OBJECTS) as server:
        found = reading(server, namespaces=("ml", "ml"))
    assert [tree["metadata"]["name"] for tree in found.trees["Pod"]] == ["p1", "p3"]
    assert len(found.trees["Node"]) == 1
    assert len(found.trees["Namespace"]) == 2


def test_an_unknown_namespace_is_wrong_input(tmp_path: Path) -> None:
    with ListingServer(tmp_path, OBJECTS) as server, pytest.raises(UserError) as error:
        reading(server, namespaces=("lm",))
    assert str(error.value) == "--namespace: no such namespace: lm (known: ml, web)"


def test_kinds_that_are_not_there_or_not_allowed_are_named(tmp_path: Path) -> None:
    with ListingServer(tmp_path, OBJECTS, missing=["NodePool"], forbidden=["Node", "Namespace"]) as server:
        found = reading(server, namespaces=("ml",))
    assert (found.missing, found.forbidden) == (("NodePool",), ("Node", "Namespace"))
    assert "Node" not in found.trees
    assert len(found.trees["Pod"]) == 2


def test_what_is_needed_has_to_be_there(tmp_path: Path) -> None:
    with ListingServer(tmp_path, forbidden=["Pod"]) as server, pytest.raises(Denied, match="cannot list Pod"):
        reading(server, needed=("Pod",))
    with ListingServer(tmp_path, missing=["NodePool"]) as server, pytest.raises(NotFound):
        reading(server, needed=("NodePool",))


def test_a_user_who_may_list_nothing_is_refused(tmp_path: Path) -> None:
    with ListingServer(tmp_path, forbidden=ALL) as server, pytest.raises(Denied):
        reading(server)


def test_pages_that_ran_out_are_read_anew(tmp_path: Path) -> None:
    with ListingServer(tmp_path, OBJECTS, page=2, expire={"Pod": 2}) as server:
        assert reading(server).trees["Pod"] == tuple(PODS)
    with ListingServer(tmp_path, OBJECTS, page=2, expire={"Pod": 3}) as server, pytest.raises(Expired):
        reading(server)


def test_the_namespace_of_the_context_is_known(tmp_path: Path) -> None:
    with ListingServer(tmp_path, namespace="ml") as server:
        assert reading(server, kinds=("Pod",)).namespace == "ml"


def test_nobody_there_is_unreachable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "PATIENCE_S", 0.0)
    with ListingServer(tmp_path) as server:
        pass
    with pytest.raises(Unreachable, match="does not answer"):
        reading(server)


def test_what_is_not_installed_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "NEEDED", ("msgspec", "no_such_package"))
    with ListingServer(tmp_path) as server, pytest.raises(UserError) as error:
        reading(server)
    expected = (
        'reading a live cluster needs packages that are not installed: no_such_package (pip install "fretsaw[run]")'
    )
    assert str(error.value) == expected
