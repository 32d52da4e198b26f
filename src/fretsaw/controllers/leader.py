"""Who acts: one of several replicas, by a Lease of the Kubernetes API.

The holder writes the lease every few seconds. Another replica takes it when nobody has written for its whole duration,
as far as that replica has seen, so that clocks need not agree. The holder counts itself out earlier than that: what it
sent before has been answered or given up by the time another begins. A holder that ends gives the lease back.
Source: kubernetes.io, Leases; client-go leaderelection (defaults 15 s, 10 s, 2 s).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import msgspec

from fretsaw.kube.errors import AlreadyExists, Conflict, KubeError, NotFound
from fretsaw.kube.http import Http


class Terms(msgspec.Struct, frozen=True, kw_only=True):
    """How a lease is held."""

    duration_s: float = 15.0
    """Others take the lease when it has not been renewed for so long."""
    renew_s: float = 10.0
    """The holder gives up when it could not renew for so long."""
    retry_s: float = 2.0
    """Time between two tries."""


class Election:
    """One replica's part in it."""

    def __init__(self, http: Http, namespace: str, name: str, identity: str, terms: Terms | None = None) -> None:
        """identity: of this process; no other may ever have the same one."""
        self._http = http
        self._root = f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases"
        self._name, self._namespace, self.identity = name, namespace, identity
        self.terms = terms if terms is not None else Terms()
        self._seen: tuple[str, float] = ("", 0.0)
        """The lease's last version, and when we first saw it."""
        self._renewed: float | None = None
        self.holder = ""
        """Who holds the lease, as far as we know."""
        self.problem = ""

    @property
    def leading(self) -> bool:
        """Whether we hold the lease, and have renewed it in time."""
        return self._renewed is not None and time.monotonic() - self._renewed < self.terms.renew_s

    async def acquire(self) -> None:
        """Return when we hold the lease."""
        while True:
            started = time.monotonic()
            if await self._tried(self._take):
                self._renewed = started
                return
            await asyncio.sleep(self.terms.retry_s)

    async def keep(self) -> None:
        """Renew the lease; return when it is lost."""
        while self.leading:
            await asyncio.sleep(self.terms.retry_s)
            started = time.monotonic()
            if await self._tried(self._take):
                self._renewed = started
            elif self.holder not in ("", self.identity):
                break
        self._renewed = None

    async def release(self) -> None:
        """Give the lease back, so that another need not wait."""
        if self._renewed is None:
            return
        self._renewed = None
        await self._tried(self._give_back)

    async def _tried(self, what: Callable[[], Any]) -> bool:
        """Whether it could be done."""
        try:
            async with asyncio.timeout(self.terms.renew_s / 2):
                done: bool = await what()
        except (Conflict, AlreadyExists):
            return False  # somebody else was faster
        except (KubeError, TimeoutError) as error:
            self.problem = str(error) or "the lease cannot be written: timed out"
            return False
        self.problem = ""
        return done

    async def _take(self) -> bool:
        try:
            lease = await self._request("GET", self._name)
        except NotFound:
            await self._request("POST", "", self._tree({}, {}, transitions=0))
            self.holder = self.identity
            return True
        spec, version = lease.get("spec", {}), lease["metadata"]["resourceVersion"]
        self.holder = spec.get("holderIdentity") or ""
        if self.holder not in ("", self.identity) and not self._lapsed(version, spec):
            return False
        moved = int(self.holder != self.identity)
        tree = self._tree(lease["metadata"], spec, transitions=int(spec.get("leaseTransitions") or 0) + moved)
        await self._request("PUT", self._name, tree)
        self.holder = self.identity
        return True

    def _lapsed(self, version: str, spec: dict[str, Any]) -> bool:
        """Whether its holder has been silent for as long as it said it could be."""
        now = time.monotonic()
        if self._seen[0] != version:
            self._seen = (version, now)
        return now - self._seen[1] >= float(spec.get("leaseDurationSeconds") or self.terms.duration_s)

    async def _give_back(self) -> bool:
        lease = await self._request("GET", self._name)
        if lease.get("spec", {}).get("holderIdentity") == self.identity:
            lease["spec"] |= {"holderIdentity": "", "leaseDurationSeconds": 1, "renewTime": _now()}
            await self._request("PUT", self._name, lease)
        return True

    def _tree(self, metadata: dict[str, Any], spec: dict[str, Any], *, transitions: int) -> dict[str, Any]:
        ours = spec.get("holderIdentity") == self.identity
        now = _now()
        return {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": metadata or {"name": self._name, "namespace": self._namespace},
            "spec": {
                "holderIdentity": self.identity,
                "leaseDurationSeconds": max(1, round(self.terms.duration_s)),
                "acquireTime": spec.get("acquireTime", now) if ours else now,
                "renewTime": now,
                "leaseTransitions": transitions,
            },
        }

    async def _request(self, method: str, name: str, body: Any = None) -> Any:
        path = f"{self._root}/{name}" if name else self._root
        text = await self._http.request(method, path, body=body, patience_s=0, again=False)
        return msgspec.json.decode(text)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
