"""Which writes the Nodes of fake machines come to, against an API server in a dictionary that sometimes fails."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec.structs import replace

from fretsaw.api.meta import ObjectMeta
from fretsaw.api.node import Node, NodeSpec, Taint
from fretsaw.kube.errors import AlreadyExists, Conflict, KubeError, NotFound, Unreachable
from fretsaw.kubelet import KubeletSettings
from fretsaw.kubelet.machine import Machine
from fretsaw.kubelet.nodes import Nodes
from fretsaw.kubelet.settings import fixed
from fretsaw.providers.fake.faults import FAULTS
from support.virtual_ec2 import START
from unit.providers.fake.worlds import Time, cloud, order

SETTINGS = KubeletSettings(boot=fixed(1), ready=fixed(1), gpu=fixed(1), startup_taints=fixed(1))


class Server:
    """Nodes and leases, and what was asked for."""

    def __init__(self) -> None:
        self.http = self
        self.nodes: dict[str, dict[str, Any]] = {}
        self.leases: dict[str, str] = {}
        self.calls: list[str] = []
        self.fails: list[tuple[str, KubeError, bool]] = []
        """(beginning of a call, error, whether it takes effect all the same), each once."""

    def _asked(self, call: str, effect: Any) -> Any:
        self.calls.append(call)
        failing = next((one for one in self.fails if call.startswith(one[0])), None)
        if failing is None:
            return effect()
        self.fails.remove(failing)
        if failing[2]:
            effect()
        raise failing[1]

    async def create(self, kind: str, tree: dict[str, Any]) -> Node:
        """A Node is made."""
        name = tree["metadata"]["name"]

        def effect() -> Node:
            if name in self.nodes:
                raise AlreadyExists("POST", 409, "AlreadyExists", name)
            self.nodes[name] = {**tree, "metadata": {**tree["metadata"], "uid": f"uid-{name}", "resourceVersion": "1"}}
            return self.node(name)

        found: Node = self._asked(f"create {name}", effect)
        return found

    async def get(self, kind: str, name: str) -> Node:
        """A Node is read."""
        return self.node(name)

    async def patch(self, kind: str, name: str, patch: Mapping[str, Any]) -> None:
        """Labels or taints are merged."""

        def effect() -> None:
            if "spec" in patch:
                self.nodes[name]["spec"]["taints"] = patch["spec"]["taints"] or []
            else:
                self.nodes[name]["metadata"]["labels"] |= patch["metadata"]["labels"]

        self._asked(f"{'taints' if 'spec' in patch else 'labels'} {name}", effect)

    async def request(self, method: str, path: str, *, body: Any, content: str = "", again: bool = False) -> bytes:
        """A status or a lease is written."""
        name = body["metadata"]["name"] if method == "POST" else path.removesuffix("/status").rpartition("/")[2]

        def effect() -> None:
            if "/leases" in path:
                if method == "PATCH" and name not in self.leases:
                    raise NotFound("PATCH", 404, "NotFound", name)
                self.leases[name] = body["spec"]["renewTime"]
            elif name not in self.nodes:
                raise NotFound("PATCH", 404, "NotFound", name)
            else:
                self.nodes[name]["status"] |= body["status"]

        what = "lease" if "/leases" in path else "status"
        self._asked(f"{what} {name}", effect)
        return b"{}"

    def node(self, name: str) -> Node:
        """A Node as it is."""
        return msgspec.convert(self.nodes[name], Node)


class Ground:
    """A cloud, a server and the kubelets between them; one step after the other."""

    def __init__(self, claim_taints: tuple[Taint, ...] = ()) -> None:
        self.time = Time()
        self.cloud = cloud(self.time, pending_s=0)
        self.server = Server()
        self.ready: list[str] = []
        self.problems: list[str] = []
        self.nodes = Nodes(
            self.server,  # type: ignore[arg-type]
            self.cloud,
            SETTINGS,
            look=lambda machine: self.ready.append(machine.name),
            ended=lambda machine: None,
            failed=lambda what, why: self.problems.append(what),
        )
        self.taints = claim_taints

    def launch(self, name: str = "c-0", **annotations: str) -> str:
        """An instance that runs: its provider id."""
        made = order(name)
        claim = made.claim
        metadata = replace(claim.metadata, annotations=annotations)
        claim = replace(claim, metadata=metadata, spec=replace(claim.spec, startup_taints=self.taints))
        created = self.cloud.launch(replace(made, claim=claim)).created
        asyncio.run(self._settle())
        return created.provider_id

    async def _settle(self) -> None:
        self.cloud.settle()

    def sync(self, id_: str, seconds: float = 0) -> list[str]:
        """What is asked of the server when a machine is looked at, so much later."""
        self.time.pass_(seconds)
        before = len(self.server.calls)
        asyncio.run(self._sync(id_))
        return self.server.calls[before:]

    async def _sync(self, id_: str) -> None:
        for name in self.server.nodes:
            self.nodes.changed(name, self.server.node(name))
        try:
            await self.nodes._sync(id_)
        except KubeError as error:
            self.problems.append(str(error))

    def machine(self, name: str) -> Machine:
        """The machine of a Node."""
        found = self.nodes.machine(name)
        assert found is not None
        return found


FIRST, SECOND = "ip-10-0-0-1.ec2.internal", "ip-10-0-0-2.ec2.internal"


def started(*args: Any) -> Ground:
    """Kubelets that listen to their cloud."""
    ground = Ground(*args)
    ground.nodes.start()
    return ground


def test_a_node_from_its_join_to_its_devices_in_few_writes() -> None:
    ground = started()
    id_ = ground.launch()
    assert ground.sync(id_) == []
    assert ground.sync(id_, 1) == [f"create {FIRST}", f"lease {FIRST}"]
    assert ground.sync(id_) == []
    assert ground.ready == []
    assert ground.sync(id_, 1) == [f"status {FIRST}"]
    assert ground.ready == [FIRST]
    assert ground.sync(id_, 1)[:1] == [f"status {FIRST}"]
    assert ground.server.nodes[FIRST]["status"]["allocatable"]["nvidia.com/gpu"] == "1"
    assert ground.sync(id_, 100) == []


def test_a_node_whose_making_was_not_answered_is_made_once() -> None:
    ground = started()
    id_ = ground.launch()
    ground.server.fails = [
        ("create", Unreachable("server", "reset"), True),
        ("create", Unreachable("server", "reset"), False),
    ]
    ground.sync(id_, 1)
    ground.sync(id_, 1)
    assert ground.sync(id_) == [f"create {FIRST}", f"lease {FIRST}"]
    assert list(ground.server.nodes) == [FIRST]
    assert ground.machine(FIRST).uid == f"uid-{FIRST}"
    assert len(ground.problems) == 2


def test_a_name_that_is_taken_is_passed_over() -> None:
    ground = started()
    other = Node(ObjectMeta(name=FIRST), NodeSpec(provider_id="aws:///z-a/i-other"))
    ground.server.nodes[FIRST] = msgspec.to_builtins(other)
    id_ = ground.launch()
    ground.sync(id_, 1)
    assert ground.sync(id_) == [f"create {SECOND}", f"lease {SECOND}"]


def test_a_status_that_was_not_written_is_written_later() -> None:
    ground = started()
    id_ = ground.launch()
    ground.sync(id_, 1)
    ground.server.fails = [("status", Unreachable("server", "away"), False)]
    assert ground.sync(id_, 1) == [f"status {FIRST}"]
    assert ground.sync(id_) == [f"status {FIRST}"]
    ready = [one["status"] for one in ground.server.nodes[FIRST]["status"]["conditions"] if one["type"] == "Ready"]
    assert ready == ["True"]


def test_startup_taints_are_removed_and_removed_again() -> None:
    starting = Taint("example.com/starting", "NoSchedule")
    ground = started((starting,))
    id_ = ground.launch()
    for seconds in (1, 1):
        ground.sync(id_, seconds)
    ground.server.fails = [("taints", Conflict("PATCH", 409, "Conflict", ""), False)]
    assert f"taints {FIRST}" in ground.sync(id_, 1)
    assert starting in ground.server.node(FIRST).spec.taints
    ground.sync(id_)
    assert starting not in ground.server.node(FIRST).spec.taints
    assert len(ground.server.node(FIRST).spec.taints) == 2
    ground.server.nodes[FIRST]["spec"]["taints"] = [{"key": starting.key, "effect": starting.effect}]
    assert ground.sync(id_) == [f"taints {FIRST}"]


def test_a_fault_on_the_node_is_suffered_once() -> None:
    ground = started()
    id_ = ground.launch()
    for seconds in (1, 1, 1):
        ground.sync(id_, seconds)
    ground.server.nodes[FIRST]["metadata"]["annotations"] = {FAULTS: "not-ready=10s"}
    ground.sync(id_)
    until = ground.machine(FIRST).down_until
    assert until == START + 13_000
    ground.sync(id_, 5)
    assert ground.machine(FIRST).down_until == until
    ground.server.nodes[FIRST]["metadata"]["annotations"] = {FAULTS: "nonsense"}
    ground.sync(id_)
    assert ground.problems == [f"node/{FIRST}"]


def test_a_claim_with_a_fault_that_is_none_gets_a_node_all_the_same() -> None:
    ground = started()
    id_ = ground.launch(**{FAULTS: "nonsense"})
    assert ground.problems == ["nodeclaim/c-0"]
    assert ground.sync(id_, 1) == [f"create {FIRST}", f"lease {FIRST}"]


def test_a_machine_that_has_ended_writes_nothing() -> None:
    ground = started()
    id_ = ground.launch()
    ground.sync(id_, 1)

    async def end() -> None:
        ground.cloud.terminate(id_)

    asyncio.run(end())
    assert ground.sync(id_, 10) == []
    assert ground.nodes.machine(FIRST) is None


def test_a_lease_that_is_gone_is_made_again() -> None:
    ground = started()
    id_ = ground.launch()
    ground.sync(id_, 1)
    ground.server.leases.clear()
    asyncio.run(ground.nodes._beat(ground.machine(FIRST), ground.time()))
    assert ground.server.leases == {FIRST: "2026-01-01T00:00:01.000000Z"}
