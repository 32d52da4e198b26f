"""Where the API server is, and how to say who we are: from a kubeconfig, or from inside a pod.

kubeconfig files are read by lightkube; tokens of exec plugins are kept until they run out.
Source: kubernetes.io, Organizing Cluster Access Using kubeconfig Files; client-go credential plugins.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import ssl
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from fretsaw.api.times import millis
from fretsaw.errors import UserError

if TYPE_CHECKING:
    from lightkube.config.kubeconfig import SingleConfig
    from lightkube.config.models import User, UserExec

SERVICE_ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount"
EXEC_TIMEOUT_S = 60.0
"""An exec plugin may ask a browser or a slow directory, but not for ever."""
READ_ANEW_S = 60.0
"""A kubelet renews a service account's token in its file; client-go reads it once a minute, too."""
EARLY_S = 30.0
"""A token is renewed so long before it runs out."""


class Credentials(Protocol):
    """Gives the Authorization header."""

    async def header(self, *, renew: bool) -> str | None:
        """Its value, None for none. renew: the server has refused the last one."""


class Anonymous:
    """No header: a client certificate says who we are, or nothing does."""

    async def header(self, *, renew: bool) -> str | None:
        """See Credentials."""
        return None


class Fixed:
    """Always the same."""

    def __init__(self, value: str) -> None:
        self._value = value

    async def header(self, *, renew: bool) -> str | None:
        """See Credentials."""
        return self._value


class TokenFile:
    """A token that somebody renews in its file."""

    def __init__(self, path: str | Path) -> None:
        self._path = Path(path)
        self._token = ""
        self._read = 0.0

    async def header(self, *, renew: bool) -> str | None:
        """See Credentials. Raises UserError where the file cannot be read."""
        if renew or not self._token or time.monotonic() - self._read > READ_ANEW_S:
            try:
                self._token = self._path.read_text().strip()
            except OSError as error:
                raise UserError(str(self._path), "the token cannot be read", error.strerror or str(error)) from error
            self._read = time.monotonic()
        return f"Bearer {self._token}"


class ExecToken:
    """A token that another program gives, such as `aws eks get-token`."""

    def __init__(self, command: UserExec, where: str, cwd: Path | None = None) -> None:
        self._command = command
        self._where = where
        self._cwd = cwd
        self._token = ""
        self._until = 0.0
        self._lock = asyncio.Lock()

    async def header(self, *, renew: bool) -> str | None:
        """See Credentials. Raises UserError where the program is not there, fails or answers nonsense."""
        async with self._lock:
            if renew or time.time() >= self._until:
                self._take(await self._run())
        return f"Bearer {self._token}"

    async def _run(self) -> bytes:
        command = [self._command.command, *(self._command.args or ())]
        env = {**os.environ, **{one.name: one.value for one in self._command.env or ()}}
        version = self._command.apiVersion
        about = {"apiVersion": version, "kind": "ExecCredential", "spec": {"interactive": False}}
        env["KUBERNETES_EXEC_INFO"] = json.dumps(about)
        try:
            process = await asyncio.create_subprocess_exec(
                *command, env=env, cwd=self._cwd, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
            )
            out, err = await asyncio.wait_for(process.communicate(), EXEC_TIMEOUT_S)
        except OSError as error:
            hint = self._command.installHint or "install it, or choose another user in the kubeconfig"
            raise UserError(self._where, f"exec plugin {command[0]} cannot be run", str(error), hint) from error
        except TimeoutError as error:
            process.kill()
            raise UserError(self._where, f"exec plugin {command[0]} gave no token in {EXEC_TIMEOUT_S:.0f} s") from error
        if process.returncode:
            said = " ".join(err.decode("utf-8", "replace").split())[-300:]
            raise UserError(self._where, f"exec plugin {command[0]} failed with {process.returncode}", said)
        return out

    def _take(self, out: bytes) -> None:
        try:
            status = json.loads(out)["status"]
            self._token = status["token"]
            expires = status.get("expirationTimestamp")
            self._until = millis(expires) / 1000 - EARLY_S if expires else float("inf")
        except (ValueError, KeyError, TypeError) as error:
            right = "an ExecCredential with status.token; client certificates from plugins are not supported"
            raise UserError(self._where, f"exec plugin {self._command.command} gave no token", right=right) from error


class Access(msgspec.Struct, frozen=True, eq=False):
    """All that is needed to talk to one API server."""

    server: str
    """Its URL, without a slash at the end."""
    tls: ssl.SSLContext | None
    credentials: Credentials
    namespace: str = "default"


def load_access(kubeconfig: str | None = None, context: str | None = None) -> Access:
    """Access by the named kubeconfig; without a name that of $KUBECONFIG, of the pod we run in, of ~/.kube/config.

    Raises UserError that names the file and what is wrong with it.
    """
    if kubeconfig is None and "KUBECONFIG" not in os.environ and Path(SERVICE_ACCOUNT, "token").exists():
        return in_cluster()
    path = kubeconfig or os.environ.get("KUBECONFIG", "").split(os.pathsep)[0] or "~/.kube/config"
    return _of_file(Path(path).expanduser(), context)


def in_cluster(folder: str = SERVICE_ACCOUNT) -> Access:
    """Access with the service account of the pod that we run in."""
    try:
        host, port = os.environ["KUBERNETES_SERVICE_HOST"], os.environ["KUBERNETES_SERVICE_PORT"]
        tls = ssl.create_default_context(cafile=str(Path(folder, "ca.crt")))
        namespace = Path(folder, "namespace").read_text().strip()
    except (KeyError, OSError) as error:
        raise UserError(folder, "no way into the cluster", str(error), "name a kubeconfig with --kubeconfig") from error
    host = f"[{host}]" if ":" in host else host
    return Access(f"https://{host}:{port}", tls, TokenFile(Path(folder, "token")), namespace)


def _of_file(path: Path, context: str | None) -> Access:
    from lightkube.config.kubeconfig import KubeConfig
    from lightkube.core.exceptions import ConfigError

    where = str(path)
    if not path.is_file():
        raise UserError(where, "no such kubeconfig", right="name one with --kubeconfig or $KUBECONFIG")
    try:
        known = KubeConfig.from_file(path)
        found = known.get(context)
    except (ConfigError, msgspec.ValidationError, KeyError, ValueError, TypeError, AttributeError) as error:
        raise UserError(where, "not a kubeconfig", str(error) or type(error).__name__) from error
    except Exception as error:  # the YAML parser's own
        raise UserError(where, "not a kubeconfig", " ".join(str(error).split())) from error
    if found is None:
        names = ", ".join(sorted(known.contexts)) or "none"
        raise UserError(where, "no such context", context or "none is current", f"known: {names}")
    return _of_config(found, where)


def _of_config(config: SingleConfig, where: str) -> Access:
    server = config.cluster.server.rstrip("/")
    tls = _tls(config, where) if server.startswith("https") else None
    return Access(server, tls, _credentials(config, where), config.namespace)


def _tls(config: SingleConfig, where: str) -> ssl.SSLContext:
    cluster, user = config.cluster, config.user
    try:
        if cluster.certificate_auth_data:
            tls = ssl.create_default_context(cadata=base64.b64decode(cluster.certificate_auth_data).decode())
        elif cluster.certificate_auth:
            tls = ssl.create_default_context(cafile=str(config.abs_file(cluster.certificate_auth)))
        else:
            tls = ssl.create_default_context()
        if cluster.insecure:
            tls.check_hostname, tls.verify_mode = False, ssl.CERT_NONE
        if user is not None:
            _present(tls, config, user)
    except (OSError, ValueError) as error:
        raise UserError(where, "a certificate or key cannot be used", str(error)) from error
    return tls


def _present(tls: ssl.SSLContext, config: SingleConfig, user: User) -> None:
    """Our own certificate. OpenSSL takes files only, so what stands in the kubeconfig itself is a file for a moment."""
    if user.client_cert_data and user.client_key_data:
        with tempfile.TemporaryDirectory() as folder:
            files = [Path(folder, "cert"), Path(folder, "key")]
            for file, data in zip(files, (user.client_cert_data, user.client_key_data), strict=True):
                file.touch(mode=0o600)
                file.write_bytes(base64.b64decode(data))
            tls.load_cert_chain(*map(str, files))
    elif user.client_cert:
        key = str(config.abs_file(user.client_key)) if user.client_key else None
        tls.load_cert_chain(str(config.abs_file(user.client_cert)), key)


def _credentials(config: SingleConfig, where: str) -> Credentials:
    user: Any = config.user
    if user is None:
        return Anonymous()
    if user.token_file:
        return TokenFile(Path(config.abs_file(user.token_file)))
    if user.token:
        return Fixed(f"Bearer {user.token}")
    if user.exec:
        return ExecToken(user.exec, where, config.fname.parent if config.fname is not None else None)
    if user.username and user.password:
        pair = base64.b64encode(f"{user.username}:{user.password}".encode()).decode()
        return Fixed(f"Basic {pair}")
    if user.auth_provider:
        raise UserError(where, "auth-provider is no longer a part of Kubernetes", right="use an exec plugin")
    return Anonymous()
