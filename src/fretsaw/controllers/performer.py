"""Does what a turn wants: writes to Kubernetes and orders to the cloud.

Actions on one object are done in their order, those on different objects at the same time. `perform` returns when the
writes are answered, so that the next turn sees them; the cloud is not waited for. Nothing is lost by a failure: the
next turn looks at what is there and wants again what is still missing.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from fretsaw.api.catalog import Catalog
from fretsaw.api.labels import NODEPOOL
from fretsaw.api.meta import Object
from fretsaw.api.nodeclaim import NodeClaim
from fretsaw.controllers.inbox import Inbox
from fretsaw.controllers.overlaid import Overlaid
from fretsaw.controllers.patches import written
from fretsaw.engine import actions as a
from fretsaw.engine import events as e
from fretsaw.engine.state import ClusterState, key_of
from fretsaw.errors import InstanceNotFound, LaunchFailed, NotReady, OutOfCapacity, ProviderError
from fretsaw.kube.client import Client
from fretsaw.kube.errors import AlreadyExists, ApiError, Conflict, KubeError, NotFound
from fretsaw.ports import CloudProvider

LAUNCH_TIMEOUT_S = 120.0
"""An order that is not answered by then is given up here, and made again by the engine: it is the same instance."""
TERMINATE_TIMEOUT_S = 30.0
Failed = Callable[[a.Action, Exception], None]
"""Called with an action that came to nothing, and why."""


class Performer:
    """Acts for one engine. put: takes answers as events. allowed: whether we still may; asked before every action."""

    def __init__(
        self,
        client: Client,
        provider: CloudProvider,
        state: ClusterState,
        inbox: Inbox,
        *,
        put: Callable[[e.Event], None],
        allowed: Callable[[], bool],
        failed: Failed,
    ) -> None:
        self._client, self._provider, self._state, self._inbox = client, provider, state, inbox
        self._put, self._allowed, self._failed = put, allowed, failed
        self._overlaid = Overlaid()
        self._orders: dict[tuple[str, str], asyncio.Task[None]] = {}
        """Orders to the cloud that are not answered yet, by what they are and the claim's uid or the instance."""

    async def perform(self, actions: Iterable[a.Action]) -> None:
        """Do all of this. Returns when the writes are answered."""
        first: list[a.Action] = []
        then: list[a.Action] = []
        for action in actions:
            (first if isinstance(action, a.NominatePod) else then).append(action)
        await self._side_by_side(first)  # a node must not be open to all before they are made
        await self._side_by_side(then)

    async def _side_by_side(self, actions: Iterable[a.Action]) -> None:
        lanes: dict[tuple[str, str], list[a.Action]] = defaultdict(list)
        for action in actions:
            lanes[lane(action)].append(action)
        await asyncio.gather(*(self._in_order(lane) for lane in lanes.values()))

    async def close(self) -> None:
        """Give up what is not answered yet."""
        tasks = list(self._orders.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _in_order(self, actions: list[a.Action]) -> None:
        for action in actions:
            if not self._allowed():
                return
            try:
                await self._do(action)
            except (KubeError, ProviderError) as error:
                self._failed(action, error)
                if not isinstance(error, NotFound):
                    return  # what follows was meant for an object that had this done first

    async def _do(self, action: a.Action) -> None:
        match action:
            case a.CreateClaim(claim):
                await self._create(claim)
            case a.UpdateClaim(obj) | a.UpdateNode(obj) | a.UpdatePool(obj):
                await self._update(obj)
            case a.DeleteClaim(name):
                await self._delete("NodeClaim", name)
            case a.DeleteNode(name):
                await self._delete("Node", name)
            case a.LaunchInstance(claim):
                self._order("launch", claim.metadata.uid, lambda: self._launch(action, claim))
            case a.TerminateInstance(provider_id):
                self._order("terminate", provider_id, lambda: self._terminate(action, provider_id))
            case a.Evict():
                await self._evict(action)
            case a.DeletePod(pod, uid, grace_s):
                await self._client.delete("Pod", pod, uid=uid, grace_s=grace_s)
            case a.NominatePod(pod, node):
                await self._nominate(pod, node)
            case a.Tell():
                pass  # the announcer has heard it

    # Kubernetes

    async def _create(self, claim: NodeClaim) -> None:
        try:
            self._seen(await self._client.create("NodeClaim", claim))
        except AlreadyExists:  # the answer to an earlier try was lost
            self._seen(await self._client.get("NodeClaim", claim.metadata.name))

    async def _update(self, after: Object) -> None:
        """Write the difference to the object as the turn saw it."""
        kind, key = type(after).__name__, key_of(after)
        before = self._state.get(kind, key)
        if before is None:
            return
        async for obj in written(self._client, before, after, self._inbox.version(kind, key)):
            self._seen(obj)

    async def _delete(self, kind: str, name: str) -> None:
        obj = self._state.get(kind, name)
        self._seen(await self._client.delete(kind, name, uid=obj.metadata.uid if obj is not None else ""))

    async def _nominate(self, pod: str, node: str) -> None:
        found = self._state.pods.get(pod)
        if found is None or found.spec.node_name:
            return
        patch = {"metadata": {"uid": found.metadata.uid}, "status": {"nominatedNodeName": node or None}}
        self._seen(await self._client.patch("Pod", pod, patch, "status"))

    async def _evict(self, action: a.Evict) -> None:
        """Every answer is told, since the engine waits for it; a pod that is not there any more needs no eviction."""
        refused = ""
        try:
            await self._client.evict(action.pod, action.uid)
        except (NotFound, Conflict):
            pass
        except ApiError as error:
            refused = f"{error.status} {error.reason}: {error.message}"
        except KubeError as error:
            refused = str(error)
        self._put(e.EvictionAnswered(action.pod, refused))

    def _seen(self, obj: Any) -> None:
        """Take note of an object as the server has just answered it."""
        if obj is not None:
            self._put(e.Changed(obj))

    # The cloud

    def _order(self, what: str, about: str, work: Callable[[], Awaitable[None]]) -> None:
        """Have it done beside everything else, unless the same is being done already."""
        if (what, about) in self._orders:
            return

        async def ordered() -> None:
            try:
                await work()
            finally:
                del self._orders[what, about]

        self._orders[what, about] = asyncio.create_task(ordered(), name=f"{what} {about}")

    async def _launch(self, action: a.Action, claim: NodeClaim) -> None:
        name, ref = claim.metadata.name, claim.spec.node_class_ref
        try:
            async with asyncio.timeout(LAUNCH_TIMEOUT_S):
                node_class = self._state.get(ref.kind, ref.name)
                created = await self._provider.launch(claim, node_class, self._catalog(claim))
        except OutOfCapacity as error:
            self._put(e.OfferingsOut(self._provider.unavailable()))
            self._refused(action, e.LaunchRefused(name, "InsufficientCapacity", str(error)), error)
        except NotReady as error:
            self._refused(action, e.LaunchRefused(name, "NodeClassNotReady", str(error)), error)
        except LaunchFailed as error:
            self._refused(action, e.LaunchRefused(name, "CreateError", error.message, error.reason), error)
        except (ProviderError, TimeoutError) as error:
            why = str(error) or f"no answer in {LAUNCH_TIMEOUT_S:.0f} s"
            self._refused(action, e.LaunchRefused(name, "Other", why), error)
        else:
            self._put(created)

    def _catalog(self, claim: NodeClaim) -> Catalog | None:
        """What the claim's pool can launch, where overlays make that another than its class says."""
        pool = claim.metadata.labels.get(NODEPOOL, "")
        found = self._overlaid.catalogs(self._state).get(pool)
        return None if found is self._state.catalogs.get(pool) else found

    def _refused(self, action: a.Action, event: e.LaunchRefused, error: Exception) -> None:
        self._failed(action, error)
        self._put(event)

    async def _terminate(self, action: a.Action, provider_id: str) -> None:
        """The engine asks again until the cloud does not know the instance any more."""
        try:
            async with asyncio.timeout(TERMINATE_TIMEOUT_S):
                await self._provider.terminate(provider_id)
        except InstanceNotFound:
            self._put(e.InstanceGone(provider_id))
        except (ProviderError, TimeoutError) as error:
            self._failed(action, error)


def lane(action: a.Action) -> tuple[str, str]:
    """(kind, key) of what an action is about: actions of one lane are done in their order."""
    match action:
        case a.CreateClaim(claim) | a.UpdateClaim(claim) | a.LaunchInstance(claim):
            return "NodeClaim", claim.metadata.name
        case a.DeleteClaim(name):
            return "NodeClaim", name
        case a.UpdateNode(node):
            return "Node", node.metadata.name
        case a.DeleteNode(name):
            return "Node", name
        case a.UpdatePool(pool):
            return "NodePool", pool.metadata.name
        case a.TerminateInstance(_, claim):
            return "NodeClaim", claim
        case a.Evict(pod) | a.DeletePod(pod) | a.NominatePod(pod):
            return "Pod", pod
        case a.Tell(about):
            return "Tell", about
        case _:
            raise TypeError(f"no such action: {action}")
