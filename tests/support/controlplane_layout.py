"""The files, ports and flags of one control plane: what each component is told, and what clients are given."""

from __future__ import annotations

import base64
import random
import secrets
import socket
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import yaml

from support.controlplane_binaries import COMPONENTS

Users = Mapping[str, tuple[str, list[str]]]
"""`{name: (uid, groups)}`."""
OWN_USERS: Users = {
    "admin": ("admin", ["system:masters"]),
    "system:kube-scheduler": ("scheduler", []),
    "system:kube-controller-manager": ("controller-manager", ["system:masters"]),
}
"""Who there is always. The controller manager runs all its loops under one name (they have no service accounts of their
own here), which needs every right."""
PORTS = range(18000, 30000)
"""Below those that Linux gives to outgoing connections: a component finds its port free again when it comes back."""
_PEERS = "etcd peers"


class Layout:
    """Where everything of one control plane is, from before its start until after its end."""

    def __init__(self, folder: Path, users: Users) -> None:
        """Chooses ports and tokens; writes nothing yet."""
        self.folder = folder
        self.users = {**OWN_USERS, **users}
        self.tokens = {name: secrets.token_hex(16) for name in self.users}
        names = (*COMPONENTS, _PEERS)
        self.ports = dict(zip(names, _free_ports(len(names)), strict=True))

    @property
    def certificate(self) -> Path:
        """The API server's certificate and the authority that signed it, both made by the server at its first start."""
        return self.folder / "certificates" / "apiserver.crt"

    @property
    def etcd_data(self) -> Path:
        """What etcd stores."""
        return self.folder / "etcd"

    def url(self, name: str) -> str:
        """Where a component listens: etcd without TLS, the others with certificates that they signed themselves."""
        return f"{'http' if name.startswith('etcd') else 'https'}://127.0.0.1:{self.ports[name]}"

    def log(self, name: str) -> Path:
        """What a component writes."""
        return self.folder / f"{name}.log"

    def prepare(self) -> None:
        """Write the files that have to be there before the start."""
        self.folder.mkdir(parents=True, exist_ok=True)
        rows = [f'{self.tokens[name]},{name},{uid},"{",".join(groups)}"' for name, (uid, groups) in self.users.items()]
        _write_private(self._token_file, "\n".join(rows) + "\n")
        _write_private(self._signing_key, _new_key())

    def kubeconfig(self, user: str, token: str) -> Path:
        """Write a kubeconfig file; the API server has started."""
        path = self.folder / "kubeconfigs" / f"{user.replace(':', '-')}.yaml"
        path.parent.mkdir(exist_ok=True)
        _write_private(path, yaml.safe_dump(self._config(user, token), sort_keys=False))
        return path

    def _config(self, user: str, token: str) -> dict[str, Any]:
        authority = base64.b64encode(self.certificate.read_bytes()).decode()
        cluster = {"server": self.url("kube-apiserver"), "certificate-authority-data": authority}
        return {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "control-plane", "cluster": cluster}],
            "users": [{"name": user, "user": {"token": token}}],
            "contexts": [{"name": user, "context": {"cluster": "control-plane", "user": user}}],
            "current-context": user,
        }

    def flags(self, name: str) -> list[str]:
        """What a component is told; those before it in COMPONENTS have started."""
        if name == "etcd":
            return self._etcd()
        return self._apiserver() if name == "kube-apiserver" else self._client(name)

    def _etcd(self) -> list[str]:
        clients, peers = self.url("etcd"), self.url(_PEERS)
        return [
            f"--data-dir={self.etcd_data}",
            f"--listen-client-urls={clients}",
            f"--advertise-client-urls={clients}",
            f"--listen-peer-urls={peers}",
            f"--initial-advertise-peer-urls={peers}",
            f"--initial-cluster=default={peers}",
            "--unsafe-no-fsync",  # only a crash of the whole machine would lose data
            "--log-level=warn",
        ]

    def _apiserver(self) -> list[str]:
        return [
            f"--etcd-servers={self.url('etcd')}",
            "--bind-address=127.0.0.1",
            "--advertise-address=127.0.0.1",
            f"--secure-port={self.ports['kube-apiserver']}",
            f"--cert-dir={self.certificate.parent}",
            "--service-cluster-ip-range=10.96.0.0/16",
            "--endpoint-reconciler-type=none",  # an endpoint may not be a loopback address
            "--authorization-mode=RBAC",
            f"--token-auth-file={self._token_file}",
            "--service-account-issuer=https://kubernetes.default.svc",
            f"--service-account-key-file={self._signing_key}",
            f"--service-account-signing-key-file={self._signing_key}",
            "--disable-admission-plugins=ServiceAccount",  # pods need not wait for accounts that nothing here uses
            "--allow-privileged=true",
        ]

    def _client(self, name: str) -> list[str]:
        user = f"system:{name}"
        return [
            f"--kubeconfig={self.kubeconfig(user, self.tokens[user])}",
            "--leader-elect=false",
            "--bind-address=127.0.0.1",
            f"--secure-port={self.ports[name]}",
            # Tests make pods by the hundred; the defaults are for components that share their API server with others.
            "--kube-api-qps=500",
            "--kube-api-burst=1000",
        ]

    @property
    def _token_file(self) -> Path:
        return self.folder / "tokens.csv"

    @property
    def _signing_key(self) -> Path:
        return self.folder / "service-accounts.pem"


def _write_private(path: Path, text: str) -> None:
    path.touch(mode=0o600)
    path.write_text(text, encoding="utf-8")


def _free_ports(number: int) -> list[int]:
    """Ports that nobody listens on; which ones is left to chance, since others choose at the same time."""
    found: set[int] = set()
    while len(found) < number:
        port = random.choice(PORTS)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            found.add(port)
    return sorted(found)


def _new_key() -> str:
    """A P-256 private key as PEM, for which any number will do: neither openssl nor a library is needed.

    Source: RFC 5915 (ECPrivateKey) with the OID of prime256v1. The first bit is 0, so that it is below the curve's order.
    """
    number = bytes([secrets.randbelow(128)]) + secrets.token_bytes(31)
    der = bytes.fromhex("30310201010420") + number + bytes.fromhex("a00a06082a8648ce3d030107")
    return f"-----BEGIN EC PRIVATE KEY-----\n{base64.encodebytes(der).decode()}-----END EC PRIVATE KEY-----\n"
