"""How we say who we are: the Authorization header, kept until it runs out or is refused.

Source: kubernetes.io, Authenticating, "client-go credential plugins"; client-go token_source (cached for a minute).
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import re
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from fretsaw.api.times import millis
from fretsaw.errors import UserError
from fretsaw.kube.kubeconfig import Exec, User

EXEC_TIMEOUT_S = 60.0
"""An exec plugin may ask a browser or a slow directory, but not for ever."""
READ_ANEW_S = 60.0
"""A kubelet renews a service account's token in its file; client-go reads it once a minute, too."""
EARLY_S = 30.0
"""A token is renewed so long before it runs out."""
_PLAIN = re.compile(r"[\x21-\x7e]+")
"""What can stand in a header: a token with a line break in it would be a second header."""


class Credentials(Protocol):
    """Gives the Authorization header."""

    async def header(self, *, refused: str | None = None) -> str | None:
        """Its value, None for none. refused: a value that the server did not take. The same value again means that
        there is no other. Raises UserError where there is none at all."""


class Anonymous:
    """No header: a client certificate says who we are, or nothing does."""

    async def header(self, *, refused: str | None = None) -> str | None:
        """See Credentials."""
        return None


class Fixed:
    """Always the same."""

    def __init__(self, value: str) -> None:
        self._value = value

    async def header(self, *, refused: str | None = None) -> str | None:
        """See Credentials."""
        return self._value


class TokenFile:
    """A token that somebody renews in its file. A file that cannot be read later on leaves the token as it was."""

    def __init__(self, path: str | Path) -> None:
        self._path = Path(path)
        self._value = ""
        self._read = 0.0

    async def header(self, *, refused: str | None = None) -> str | None:
        """See Credentials."""
        if not self._value or refused == self._value or time.monotonic() - self._read > READ_ANEW_S:
            try:
                self._value = f"Bearer {self._token()}"
            except UserError:
                if not self._value:
                    raise
            self._read = time.monotonic()
        return self._value

    def _token(self) -> str:
        where = str(self._path)
        try:
            token = self._path.read_text(encoding="utf-8").strip()
        except OSError as error:
            raise UserError(where, "the token cannot be read", error.strerror or str(error)) from error
        except UnicodeDecodeError as error:
            raise UserError(where, "not a token", "not text") from error
        return plain(token, where)


class ExecToken:
    """A token that another program gives, such as `aws eks get-token`. It is run once for all who wait for it."""

    def __init__(self, command: Exec, file: Path, cluster: Mapping[str, Any] | None = None) -> None:
        """file: the kubeconfig that names the program. cluster: what the program is told of the server, if it asks."""
        self._command, self._where = command, str(file)
        # As the shell: a name is looked for in PATH, a path with a slash is relative, here to the kubeconfig.
        program = command.command
        self._program = str(file.parent / program) if os.sep in program else program
        self._cluster = cluster if command.provide_cluster_info else None
        self._value = ""
        self._until = 0.0
        self._lock = asyncio.Lock()

    async def header(self, *, refused: str | None = None) -> str | None:
        """See Credentials."""
        async with self._lock:
            if not self._value or refused == self._value or time.time() >= self._until:
                self._take(await self._run())
        return self._value

    async def _run(self) -> bytes:
        command, about = self._command, {"interactive": False, **({"cluster": self._cluster} if self._cluster else {})}
        said = {"apiVersion": command.api_version, "kind": "ExecCredential", "spec": about}
        env = {**os.environ, **{one.name: one.value for one in command.env}, "KUBERNETES_EXEC_INFO": json.dumps(said)}
        pipe = asyncio.subprocess.PIPE
        try:
            process = await asyncio.create_subprocess_exec(
                self._program, *command.args, env=env, stdin=asyncio.subprocess.DEVNULL, stdout=pipe, stderr=pipe
            )
        except (OSError, ValueError) as error:
            hint = " ".join(command.install_hint.split()) or "install it, or choose another user in the kubeconfig"
            raise UserError(self._where, f"exec plugin {command.command} cannot be run", str(error), hint) from error
        return await self._answer(process)

    async def _answer(self, process: asyncio.subprocess.Process) -> bytes:
        """What the program prints. Whatever happens, it has ended afterwards."""
        name = f"exec plugin {self._command.command}"
        try:
            async with asyncio.timeout(EXEC_TIMEOUT_S):
                out, err = await process.communicate()
        except TimeoutError as error:
            raise UserError(self._where, f"{name} gave no token in {EXEC_TIMEOUT_S:g} s") from error
        finally:
            if process.returncode is None:
                process.kill()
                await process.communicate()
        if process.returncode:
            said = " ".join(err.decode("utf-8", "replace").split())[-300:]
            raise UserError(self._where, f"{name} failed with {process.returncode}", said)
        return out

    def _take(self, out: bytes) -> None:
        try:
            status = json.loads(out)["status"]
            token, expires = status["token"], status.get("expirationTimestamp")
            until = millis(expires) / 1000 - EARLY_S if expires else float("inf")
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            right = "an ExecCredential with status.token; client certificates from plugins are not supported"
            raise UserError(self._where, f"exec plugin {self._command.command} gave no token", right=right) from error
        self._value = f"Bearer {plain(token, f'{self._where}: exec plugin {self._command.command}')}"
        self._until = until


def of_user(user: User, file: Path, cluster: Mapping[str, Any]) -> Credentials:
    """What a user of a kubeconfig says to a server. file: where the user was found. Raises UserError."""
    where = str(file)
    if user.impersonate:
        raise UserError(where, "impersonation is not supported", f"as: {user.impersonate}", "a user of its own")
    if user.token_file:
        return TokenFile(file.parent / user.token_file)
    if user.token:
        return Fixed(f"Bearer {plain(user.token, where)}")
    if user.exec is not None:
        return ExecToken(user.exec, file, cluster)
    if user.username:
        pair = base64.b64encode(f"{user.username}:{user.password}".encode()).decode()
        return Fixed(f"Basic {pair}")
    if user.auth_provider is not None:
        raise UserError(where, "auth-provider is no longer a part of Kubernetes", right="use an exec plugin")
    return Anonymous()


def plain(token: object, where: str) -> str:
    """The token, which is one word. Raises UserError."""
    if not isinstance(token, str) or not _PLAIN.fullmatch(token):
        raise UserError(where, "not a token", "empty" if not token else "", "one word of printable ASCII")
    return token
