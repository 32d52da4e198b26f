"""What is asked of the Kubernetes API is what `controllers.permissions` allows: everything, and nothing beside it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any, cast

import msgspec
import pytest
from msgspec.structs import replace

from fretsaw.controllers.announcer import Announcer
from fretsaw.controllers.clock import SteadyClock
from fretsaw.controllers.cloud import Cloud
from fretsaw.controllers.inbox import Inbox
from fretsaw.controllers.leader import Election, Terms
from fretsaw.controllers.manager import Manager
from fretsaw.controllers.performer import Performer
from fretsaw.controllers.permissions import LEASES, READS, WRITES, Rule
from fretsaw.engine import actions as a
from fretsaw.engine import events as e
from fretsaw.engine.options import Options
from fretsaw.engine.state import SEEN, ClusterState
from fretsaw.kube.client import Client, decoder
from fretsaw.kube.errors import AlreadyExists, NotFound
from support import builders
from support.rbac import Need, need

EVENT = {"metadata": {"name": "event", "namespace": "default"}, "count": 1, "lastTimestamp": "", "message": ""}


class Server:
    """Takes note of what each request needs. `answers` by need: a document, or an error to raise."""

    def __init__(self, answers: Mapping[Need, Any] | None = None) -> None:
        self.asked: set[Need] = set()
        self.beside: set[str] = set()
        """Paths that are no resources."""
        self._answers = dict(answers or {})

    async def request(
        self, method: str, path: str, *, query: Mapping[str, str] | None = None, body: Any = None, **_: Any
    ) -> bytes:
        return msgspec.json.encode(self._answer(method, path, query, body))

    async def stream(self, path: str, query: Mapping[str, str], idle_s: float) -> AsyncIterator[bytes]:
        self._answer("GET", path, query, None)
        await asyncio.Event().wait()
        yield b""

    def _answer(self, method: str, path: str, query: Mapping[str, str] | None, body: Any) -> Any:
        wanted = need(method, path, query)
        if wanted is None:
            self.beside.add(path)
            return {}
        self.asked.add(wanted)
        answer = self._answers.get(wanted, {"metadata": {"resourceVersion": "7"}, "items": []})
        if isinstance(answer, Exception):
            raise answer
        return answer

    @property
    def client(self) -> Client:
        return Client(cast(Any, self))


def allowed(rules: tuple[Rule, ...]) -> set[Need]:
    return {pair for rule in rules for pair in rule.pairs}


def _read(tree: dict[str, Any]) -> Any:
    return decoder(tree["kind"]).decode(msgspec.json.encode({"status": {}, **tree}))


def _told(obj: Any) -> Any:
    """The object with something new in its metadata and, where the engine writes it, its status."""
    labelled = replace(obj, metadata=replace(obj.metadata, labels={**obj.metadata.labels, "new": "label"}))
    match type(obj).__name__:
        case "NodeClaim":
            return replace(labelled, status=replace(obj.status, image_id="ami-1"))
        case "NodePool":
            return replace(labelled, status=replace(obj.status, nodes=1))
        case "EC2NodeClass":
            return replace(labelled, status=replace(obj.status, instance_profile="profile"))
        case _:
            return labelled


CLAIM = _read(builders.claim("gpu-1", "gpu", "g5.xlarge"))
NODE = _read(builders.node("gpu-1"))
POOL = _read(builders.pool("gpu"))
POD = _read(builders.pod("job"))
TERMS = {
    "amiSelectorTerms": [{"alias": "al2023@latest"}],
    "subnetSelectorTerms": [{"id": "subnet-1"}],
    "securityGroupSelectorTerms": [{"id": "sg-1"}],
}
CLASS = _read(builders.named("EC2NodeClass", "karpenter.k8s.aws/v1", "default", TERMS))

ACTIONS: dict[type[a.Action], a.Action] = {
    type(action): action
    for action in (
        a.CreateClaim(CLAIM),
        a.UpdateClaim(_told(CLAIM)),
        a.UpdateNode(_told(NODE)),
        a.UpdatePool(_told(POOL)),
        a.DeleteClaim("gpu-1", "empty"),
        a.DeleteNode("gpu-1"),
        a.LaunchInstance(CLAIM),
        a.TerminateInstance("aws:///z-a/i-1", "gpu-1"),
        a.Evict("default/job", "", "gpu-1", "drained"),
        a.DeletePod("default/job", "", 30, "drained"),
        a.NominatePod("default/job", "gpu-1"),
        a.Tell("NodePool/gpu", "Ready", "it is"),
    )
}


class Provider:
    """A cloud that does nothing but say how a class should be."""

    async def launch(self, *_: Any) -> e.InstanceCreated:
        raise AssertionError("nothing here waits for the cloud")

    terminate = launch

    async def class_as_it_should_be(self, node_class: Any) -> Any:
        return _told(node_class)

    async def catalog(self, node_class: Any) -> None:
        return None

    async def instances(self) -> tuple[()]:
        return ()

    def unavailable(self) -> frozenset[Any]:
        return frozenset()


async def _act(server: Server) -> None:
    """Every action there is, one after the other."""
    state = ClusterState()
    for obj in (CLAIM, NODE, POOL, POD):
        state.apply(e.Changed(obj))
    performer = Performer(
        server.client,
        cast(Any, Provider()),
        state,
        Inbox(),
        put=lambda event: None,
        allowed=lambda: True,
        failed=lambda action, error: pytest.fail(f"{action}: {error!r}"),
    )
    for action in ACTIONS.values():
        await performer.perform([action])
    await performer.close()


async def _act_after_lost_answer(server: Server) -> None:
    server._answers[("karpenter.sh", "nodeclaims", "create")] = AlreadyExists("POST", 409, "AlreadyExists", "")
    await _act(server)


async def _write_classes(server: Server) -> None:
    state = ClusterState()
    state.apply(e.Changed(CLASS))
    for part in ("", "/status"):
        server._answers[("karpenter.k8s.aws", f"ec2nodeclasses{part}", "patch")] = msgspec.to_builtins(CLASS)
    cloud = Cloud(
        cast(Any, Provider()),
        server.client,
        state,
        Inbox(),
        SteadyClock(),
        put=lambda event: None,
        leading=lambda: True,
        failed=lambda what, error: pytest.fail(f"{what}: {error!r}"),
    )
    await _while(cloud.run(_at_once), cloud.ready.is_set)


async def _announce(server: Server) -> None:
    """A new event, and one that is counted."""

    class Recorder:
        def heard(self, *_: Any) -> list[dict[str, Any]]:
            return [EVENT, {**EVENT, "count": 2}]

    announcer = Announcer(cast(Any, Recorder()), lambda what, error: pytest.fail(f"{what}: {error!r}"))
    announcer.speaks = True
    announcer.heard(0, e.Gone("Pod", "default/job"), ClusterState())
    await _while(announcer.run(server.client), lambda: len(server.asked) == 2)


async def _watch(server: Server) -> None:
    manager = Manager(
        server.client, Options(), SteadyClock(), Inbox(), ClusterState(), [], took=lambda seconds, turn: None
    )
    await _while(manager.watch(), lambda: len(server.asked) == 2 * len(SEEN))


async def _elect(server: Server) -> None:
    """The lease is made, then renewed, then given back."""
    terms = Terms(retry_s=0.001)
    election = Election(cast(Any, server), "kube-system", "lease", "me", terms)
    server._answers[("coordination.k8s.io", "leases", "get")] = NotFound("GET", 404, "NotFound", "")
    await election.acquire()
    held = {"metadata": {"resourceVersion": "1"}, "spec": {"holderIdentity": "me"}}
    server._answers[("coordination.k8s.io", "leases", "get")] = held
    await election.acquire()
    await election.release()


async def _at_once() -> None:
    return None


async def _while(work: Awaitable[None], done: Callable[[], bool]) -> None:
    """Let something that never ends go on until a condition holds."""
    task = asyncio.ensure_future(work)
    async with asyncio.timeout(10):
        while not done():
            if task.done():
                task.result()
            await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def _asked(*parts: Callable[[Server], Awaitable[None]]) -> set[Need]:
    found: set[Need] = set()
    for part in parts:
        server = Server()
        asyncio.run(cast(Any, part(server)))
        assert server.beside == set()
        found |= server.asked
    return found


def test_every_action_is_among_those_performed_here() -> None:
    assert set(ACTIONS) == set(a.AnyAction.__args__)


def test_watching_needs_what_the_reads_allow_and_all_of_it() -> None:
    assert _asked(_watch) == allowed(READS)


def test_acting_needs_what_the_writes_allow_and_all_of_it() -> None:
    assert _asked(_act, _act_after_lost_answer, _write_classes, _announce) == allowed(WRITES)


def test_election_needs_what_the_leases_allow_and_all_of_it() -> None:
    assert _asked(_elect) == allowed(LEASES)


def test_nothing_is_allowed_twice() -> None:
    pairs = [pair for rule in (*READS, *WRITES, *LEASES) for pair in sorted(rule.pairs)]
    assert sorted(pairs) == sorted(set(pairs))


@pytest.mark.parametrize(
    ("method", "path", "query", "wanted"),
    [
        ("GET", "/api/v1/pods", {}, ("", "pods", "list")),
        ("GET", "/api/v1/pods", {"watch": "1"}, ("", "pods", "watch")),
        ("GET", "/api/v1/namespaces", {}, ("", "namespaces", "list")),
        ("GET", "/api/v1/namespaces/a", {}, ("", "namespaces", "get")),
        ("GET", "/api/v1/namespaces/a/pods", {}, ("", "pods", "list")),
        ("POST", "/api/v1/namespaces/a/pods/p/eviction", {}, ("", "pods/eviction", "create")),
        ("PATCH", "/apis/karpenter.sh/v1/nodeclaims/c/status", {}, ("karpenter.sh", "nodeclaims/status", "patch")),
        ("PUT", "/apis/coordination.k8s.io/v1/namespaces/n/leases/l", {}, ("coordination.k8s.io", "leases", "update")),
        ("GET", "/version", {}, None),
    ],
)
def test_request_needs(method: str, path: str, query: dict[str, str], wanted: Need | None) -> None:
    assert need(method, path, query) == wanted
