"""Who acts: one of several replicas, by a Lease of the Kubernetes API.

The holder writes the lease every few seconds. Another replica takes it when nobody has written for its whole duration,
as far as that replica has seen, so that clocks need not agree. The holder counts itself out earlier than that, from the
moment it began to ask: an answer that comes late, or never, cannot make two leaders. What it had begun by then may
still arrive in the seconds that are left. A holder that ends gives the lease back.
Source: kubernetes.io, Leases; client-go leaderelection (defaults 15 s, 10 s, 2 s).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

import msgspec

from fretsaw.kube.client import shaped
from fretsaw.kube.errors import AlreadyExists, Conflict, KubeError, NotFound
from fretsaw.kube.http import Http

GIVE_BACK_TRIES = 3
"""The last renewal may still be under way when the lease is given back, and be faster."""


class Terms(msgspec.Struct, frozen=True, kw_only=True):
    """How a lease is held."""

    duration_s: float = 15.0
    """Others take the lease when it has not been renewed for so long."""
    renew_s: float = 10.0
    """The holder gives up when it could not renew for so long."""
    retry_s: float = 2.0
    """Time between two tries."""


class _Meta(msgspec.Struct, rename="camel"):
    resource_version: str


class _Spec(msgspec.Struct, rename="camel"):
    holder_identity: str | None = None
    lease_duration_seconds: int | None = None
    acquire_time: str | None = None
    lease_transitions: int | None = None


class _Lease(msgspec.Struct):
    """What is read of a lease."""

    metadata: _Meta
    spec: _Spec | None = None


def elapsing() -> float:
    """Seconds of a clock that nobody sets and that goes on while the machine sleeps: the others' leases do, too."""
    return time.clock_gettime(_CLOCK)


_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


class Election:
    """One replica's part in it."""

    def __init__(
        self,
        http: Http,
        namespace: str,
        name: str,
        identity: str,
        terms: Terms | None = None,
        *,
        clock: Callable[[], float] = elapsing,
    ) -> None:
        """identity: of this process; no other may ever have the same one. clock: seconds that pass."""
        self._http = http
        self._root = f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases"
        self._name, self._namespace, self.identity = name, namespace, identity
        self.terms = terms if terms is not None else Terms()
        self._clock = clock
        self._seen: tuple[str, float] = ("", 0.0)
        """The lease's last version, and when we first saw it."""
        self._renewed: float | None = None
        self._left: tuple[_Lease, dict[str, Any]] | None = None
        """The lease as the answer to our last write has it; None where that is not known."""
        self._asked = False
        """Whether the lease may have our name: a write whose answer was lost may have been done."""
        self.holder = ""
        """Who holds the lease, as far as we know."""
        self.problem = ""

    @property
    def leading(self) -> bool:
        """Whether we hold the lease, and have renewed it in time."""
        return self._renewed is not None and self._clock() - self._renewed < self.terms.renew_s

    async def acquire(self) -> None:
        """Return when we hold the lease."""
        while True:
            started = self._clock()
            if await self._tried(self._take):
                self._renewed = started
                if self.leading:
                    return
            await asyncio.sleep(self.terms.retry_s)

    async def keep(self) -> None:
        """Renew the lease; return when it is lost. Once lost it is not taken up again: others may have acted."""
        while True:
            await asyncio.sleep(self.terms.retry_s)
            started = self._clock()
            renewed = self.leading and await self._tried(self._renew)
            if not self.leading or self.holder not in ("", self.identity):
                break
            if renewed:
                self._renewed = started
        self._renewed = None

    async def release(self) -> None:
        """Give the lease back, so that another need not wait."""
        self._renewed = None
        for _ in range(GIVE_BACK_TRIES):
            if not self._asked or await self._tried(self._give_back):
                break

    async def _tried(self, what: Callable[[], Awaitable[bool]]) -> bool:
        """Whether it could be done."""
        try:
            async with asyncio.timeout(self.terms.renew_s / 2):
                done = await what()
        except (Conflict, AlreadyExists):
            done = False  # somebody else was faster
        except (KubeError, TimeoutError) as error:
            self.problem = str(error) or "the lease cannot be written: timed out"
            return False
        self.problem = ""
        return done

    async def _renew(self) -> bool:
        """Write the lease as we left it, in one request; where somebody else has written, look first."""
        left, self._left = self._left, None
        if left is None:
            return await self._take()
        spec = left[0].spec or _Spec()
        try:
            await self._write("PUT", self._name, left[1], spec, spec.lease_transitions or 0)
        except (Conflict, NotFound):
            return await self._take()
        return True

    async def _take(self) -> bool:
        try:
            lease, tree = await self._read()
        except NotFound:
            await self._write("POST", "", {"metadata": {"name": self._name, "namespace": self._namespace}}, _Spec(), 0)
            return True
        spec = lease.spec or _Spec()
        self.holder = spec.holder_identity or ""
        if self.holder not in ("", self.identity) and not self._lapsed(lease.metadata.resource_version, spec):
            return False
        transitions = (spec.lease_transitions or 0) + int(self.holder != self.identity)
        await self._write("PUT", self._name, tree, spec, transitions)
        return True

    def _lapsed(self, version: str, spec: _Spec) -> bool:
        """Whether its holder has been silent for as long as it said it could be."""
        now = self._clock()
        if self._seen[0] != version:
            self._seen = (version, now)
        return now - self._seen[1] >= (spec.lease_duration_seconds or self.terms.duration_s)

    async def _give_back(self) -> bool:
        try:
            lease, tree = await self._read()
        except NotFound:
            return True
        if lease.spec is not None and lease.spec.holder_identity == self.identity:
            nobody = {"holderIdentity": "", "leaseDurationSeconds": 1, "renewTime": _now()}
            await self._request("PUT", self._name, _with(tree, nobody))
        self._asked = False
        return True

    async def _read(self) -> tuple[_Lease, dict[str, Any]]:
        """The lease, and all of it: what we do not know of it is written back as it was."""
        return self._understood("GET", await self._request("GET", self._name))

    def _understood(self, method: str, text: bytes) -> tuple[_Lease, dict[str, Any]]:
        what = f"{method} {self._root}/{self._name}"
        return shaped(what, text, _Lease), shaped(what, text, dict)

    async def _write(self, method: str, name: str, tree: dict[str, Any], before: _Spec, transitions: int) -> None:
        """Put our name on the lease."""
        now = _now()
        acquired = before.acquire_time if before.holder_identity == self.identity else None
        spec = {
            "holderIdentity": self.identity,
            "leaseDurationSeconds": max(1, round(self.terms.duration_s)),
            "acquireTime": acquired or now,
            "renewTime": now,
            "leaseTransitions": transitions,
        }
        self._asked = True
        text = await self._request(method, name, _with(tree, spec))
        self._left = self._understood(method, text)
        self.holder = self.identity

    async def _request(self, method: str, name: str, body: Any = None) -> bytes:
        path = f"{self._root}/{name}" if name else self._root
        return await self._http.request(method, path, body=body, patience_s=0, again=False)


def _with(tree: dict[str, Any], spec: dict[str, Any]) -> dict[str, Any]:
    """The lease with these fields."""
    kind = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease"}
    return {**tree, **kind, "spec": {**(tree.get("spec") or {}), **spec}}


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
