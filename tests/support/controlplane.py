"""A real Kubernetes control plane on the loopback: etcd, API server, scheduler and controller manager, without a kubelet.

    with ControlPlane() as plane:
        plane.api("GET", "/api/v1/namespaces")
        plane.kubeconfig("admin")          # a file for any client
        with plane.paused("etcd"): ...     # faults: stop, start, kill, pause, resume

It is up in seconds and leaves nothing behind, however the test ends. Nodes are objects without machines: a test makes
them ready and moves their pods itself. `support.controlplane_serve` keeps one up.
"""

from __future__ import annotations

import base64
import json
import random
import secrets
import shutil
import socket
import ssl
import tempfile
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any

import yaml

from support.controlplane_api import Api, ApiError, until
from support.controlplane_binaries import COMPONENTS, commands, missing
from support.controlplane_process import Guard, Process

__all__ = ["COMPONENTS", "Api", "ApiError", "ControlPlane", "missing", "until"]

START_S = 120.0
"""A component that is not ready by then never will be. It takes 3 seconds; a loaded machine takes more."""
PORTS = range(18000, 30000)
"""Below those that Linux gives to outgoing connections: a component finds its port free again when it comes back."""
OWN_USERS: Mapping[str, tuple[str, list[str]]] = {
    "admin": ("admin", ["system:masters"]),
    "system:kube-scheduler": ("scheduler", []),
    "system:kube-controller-manager": ("controller-manager", ["system:masters"]),
}
"""Who there is always, as `name: (uid, groups)`. The controller manager runs all its loops under one name (they have no
service accounts of their own here), which needs every right."""


class ControlPlane:
    """The components, each with a log in `folder`, and clients for them."""

    def __init__(
        self,
        folder: Path | None = None,
        *,
        users: Mapping[str, tuple[str, list[str]]] | None = None,
        flags: Mapping[str, Sequence[str]] | None = None,
        components: Sequence[str] = COMPONENTS,
    ) -> None:
        """Nothing is started before `start()` or `with`.

        folder: kept at the end with the logs but without the data; a temporary one that is removed when there is none.
        users: `{name: (uid, [group])}` beside the admin; they may do what RBAC allows them.
        flags: more flags by component, such as `{"kube-scheduler": ["--feature-gates=…=false"]}`; the last one counts.
        components: fewer of them, such as an API server alone. Those that cannot be had here are left out.
        """
        self._kept = folder is not None
        self.folder = Path(tempfile.mkdtemp(prefix="control-plane-")) if folder is None else folder.resolve()
        self._tokens = {name: secrets.token_hex(16) for name in {**OWN_USERS, **(users or {})}}
        self._users = {**OWN_USERS, **(users or {})}
        self._flags = dict(flags or {})
        self._wanted = [name for name in COMPONENTS if name in components]
        self._ports = _free_ports(3)
        self._processes: dict[str, Process] = {}
        self._guard: Guard | None = None
        self._api: Api | None = None

    # Its life

    def __enter__(self) -> ControlPlane:
        try:
            self.start_all()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self.close()

    def start_all(self) -> None:
        """Start every component, and return when the API server serves."""
        self._prepare()
        found = commands()
        self._guard = Guard()
        for name in self._wanted:
            if name in found:
                command = [*found[name], *self._arguments(name), *self._flags.get(name, ())]
                self._processes[name] = Process(name, command, self.folder / f"{name}.log", self._guard)
                self.start(name)

    def close(self) -> None:
        """End all components at once, with what they stored."""
        for process in reversed(self._processes.values()):
            process.kill()
        if self._guard is not None:
            self._guard.close()
            self._guard = None
        shutil.rmtree(self.folder if not self._kept else self.folder / "etcd", ignore_errors=True)

    # Its components

    @property
    def components(self) -> list[str]:
        """Those that can be had here and were asked for; with the binaries of a test environment there may be only two."""
        return list(self._processes)

    def start(self, name: str) -> None:
        """Start a component and return when it answers (scheduler and controller manager: when they run)."""
        process = self._processes[name]
        process.start()
        until(lambda: self._ready(process), f"{name} is ready, see {process.log}", START_S)

    def stop(self, name: str) -> None:
        """End a component as an update would."""
        self._processes[name].stop()

    def kill(self, name: str) -> None:
        """End a component as a lost machine would."""
        self._processes[name].kill()

    def restart(self, name: str) -> None:
        """Stop a component and start it on the same port with the same data."""
        self.stop(name)
        self.start(name)

    def pause(self, name: str) -> None:
        """Let a component hang with its connections open."""
        self._processes[name].pause()

    def resume(self, name: str) -> None:
        """Let a paused component go on."""
        self._processes[name].resume()

    @contextmanager
    def paused(self, name: str) -> Iterator[None]:
        """A component hangs inside the block."""
        self.pause(name)
        try:
            yield
        finally:
            self.resume(name)

    def running(self, name: str) -> bool:
        """True for a component between its start and its end, also while it is paused."""
        return self._processes[name].running

    def pid(self, name: str) -> int:
        """The process id of a component."""
        return self._processes[name].pid

    def log(self, name: str) -> Path:
        """What a component wrote."""
        return self._processes[name].log

    def _ready(self, process: Process) -> bool:
        if not process.running:
            raise RuntimeError(f"{process.name} ended at its start:\n{process.last_words()}")
        try:
            if process.name == "etcd":
                with urllib.request.urlopen(f"{self.etcd_url}/health", timeout=5) as response:
                    return bool(json.load(response)["health"] == "true")
            if process.name == "kube-apiserver":
                return bool(self.api("GET", "/readyz", timeout_s=5) == "ok")
        except (OSError, ApiError, ValueError):
            return False
        return True

    # Its users

    @property
    def url(self) -> str:
        """Where the API server listens."""
        return f"https://127.0.0.1:{self._ports[0]}"

    @property
    def api(self) -> Api:
        """Calls as the admin, who may do everything."""
        if self._api is None:
            self._api = self.api_of("admin")
        return self._api

    def api_of(self, user: str) -> Api:
        """Calls as a user."""
        return self.api_with(self._tokens[user])

    def api_with(self, token: str) -> Api:
        """Calls with a token, such as that of a service account."""
        return Api(self.url, token, ssl.create_default_context(cafile=str(self.certificate)))

    @property
    def certificate(self) -> Path:
        """The API server's certificate, which it signed itself, and the authority that clients trust. It is there once
        the server has started."""
        return self.folder / "certificates" / "apiserver.crt"

    def kubeconfig(self, user: str = "admin") -> Path:
        """A kubeconfig file for a user."""
        return self._written(user, self._tokens[user])

    def service_account_kubeconfig(self, namespace: str, name: str, seconds: int = 3600) -> Path:
        """A kubeconfig file for a service account that exists, with a token that ends (at least 600 seconds)."""
        return self._written(f"{namespace}-{name}", self.service_account_token(namespace, name, seconds))

    def service_account_token(self, namespace: str, name: str, seconds: int = 3600) -> str:
        """A new token for a service account."""
        path = f"/api/v1/namespaces/{namespace}/serviceaccounts/{name}/token"
        asked = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest"}
        answer = self.api("POST", path, {**asked, "spec": {"expirationSeconds": seconds}})
        return str(answer["status"]["token"])

    def _written(self, user: str, token: str) -> Path:
        path = self.folder / "kubeconfigs" / f"{user.replace(':', '-')}.yaml"
        path.parent.mkdir(exist_ok=True)
        path.write_text(yaml.safe_dump(self._kubeconfig(user, token), sort_keys=False), encoding="utf-8")
        path.chmod(0o600)
        return path

    def _kubeconfig(self, user: str, token: str) -> dict[str, Any]:
        authority = base64.b64encode(self.certificate.read_bytes()).decode()
        cluster = {"server": self.url, "certificate-authority-data": authority}
        return {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "control-plane", "cluster": cluster}],
            "users": [{"name": user, "user": {"token": token}}],
            "contexts": [{"name": user, "context": {"cluster": "control-plane", "user": user}}],
            "current-context": user,
        }

    # Its files and flags

    def _prepare(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        rows = [
            f'{self._tokens[name]},{name},{uid},"{",".join(groups)}"' for name, (uid, groups) in self._users.items()
        ]
        self._private("tokens.csv", "\n".join(rows) + "\n")
        self._private("service-accounts.pem", _signing_key())

    def _private(self, name: str, text: str) -> None:
        path = self.folder / name
        path.touch(mode=0o600)
        path.write_text(text, encoding="utf-8")

    @property
    def etcd_url(self) -> str:
        """Where etcd listens, without TLS."""
        return f"http://127.0.0.1:{self._ports[1]}"

    def _arguments(self, name: str) -> list[str]:
        if name == "etcd":
            return self._etcd_flags()
        if name == "kube-apiserver":
            return self._apiserver_flags()
        return [
            f"--kubeconfig={self.kubeconfig(f'system:{name}')}",
            "--leader-elect=false",
            "--secure-port=0",
            # Tests make pods by the hundred; the defaults are for control planes that share their API server.
            "--kube-api-qps=500",
            "--kube-api-burst=1000",
        ]

    def _etcd_flags(self) -> list[str]:
        peers = f"http://127.0.0.1:{self._ports[2]}"
        return [
            f"--data-dir={self.folder / 'etcd'}",
            f"--listen-client-urls={self.etcd_url}",
            f"--advertise-client-urls={self.etcd_url}",
            f"--listen-peer-urls={peers}",
            f"--initial-advertise-peer-urls={peers}",
            f"--initial-cluster=default={peers}",
            "--unsafe-no-fsync",  # only a crash of the whole machine would lose data
            "--log-level=warn",
        ]

    def _apiserver_flags(self) -> list[str]:
        key = self.folder / "service-accounts.pem"
        return [
            f"--etcd-servers={self.etcd_url}",
            "--bind-address=127.0.0.1",
            "--advertise-address=127.0.0.1",
            f"--secure-port={self._ports[0]}",
            f"--cert-dir={self.folder / 'certificates'}",
            "--service-cluster-ip-range=10.96.0.0/16",
            "--endpoint-reconciler-type=none",  # an endpoint may not be a loopback address
            "--authorization-mode=RBAC",
            f"--token-auth-file={self.folder / 'tokens.csv'}",
            "--service-account-issuer=https://kubernetes.default.svc",
            f"--service-account-key-file={key}",
            f"--service-account-signing-key-file={key}",
            "--disable-admission-plugins=ServiceAccount",  # pods need not wait for accounts that nothing here uses
            "--allow-privileged=true",
        ]


def _free_ports(number: int) -> list[int]:
    """Ports that nobody listens on; which ones is left to chance, since others choose at the same time."""
    found: list[int] = []
    while len(found) < number:
        port = random.choice(PORTS)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            found += [port] if port not in found else []
    return found


def _signing_key() -> str:
    """A new P-256 private key as PEM: any number is one, so that neither openssl nor a library is needed.

    Source: RFC 5915, ECPrivateKey, with the OID of prime256v1. The first bit is cleared to stay below the curve's order.
    """
    number = bytes([secrets.randbelow(128)]) + secrets.token_bytes(31)
    der = bytes.fromhex("303102010104 20") + number + bytes.fromhex("a00a06082a8648ce3d030107")
    return f"-----BEGIN EC PRIVATE KEY-----\n{base64.encodebytes(der).decode()}-----END EC PRIVATE KEY-----\n"
