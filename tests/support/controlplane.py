"""A real Kubernetes control plane on the loopback: etcd, API server, scheduler and controller manager, without a kubelet.

    with ControlPlane() as plane:
        plane.api("GET", "/api/v1/namespaces")
        plane.kubeconfig("admin")          # a file for any client
        with plane.paused("etcd"): ...     # faults: stop, start, kill, pause, resume

It is up in seconds and leaves nothing behind, however the test ends. Nodes are objects without machines: a test makes
them ready and moves their pods itself. `support.controlplane_serve` keeps one up.
"""

from __future__ import annotations

import shutil
import ssl
import tempfile
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from support.controlplane_api import Api, ApiError, until
from support.controlplane_binaries import COMPONENTS, commands, missing
from support.controlplane_layout import Layout, Users
from support.controlplane_process import Guard, Process

__all__ = ["COMPONENTS", "Api", "ApiError", "ControlPlane", "missing", "until"]

START_S = 120.0
"""A component that is not ready by then never will be. It takes 3 seconds; a loaded machine takes more."""
HEALTH = {
    "etcd": "/health",
    "kube-apiserver": "/readyz",
    "kube-scheduler": "/readyz",
    "kube-controller-manager": "/healthz",
}
"""What answers 200 once a component does its work."""


class ControlPlane:
    """The components, each with a log in `folder`, and clients for them."""

    def __init__(
        self,
        folder: Path | None = None,
        *,
        users: Users | None = None,
        flags: Mapping[str, Sequence[str]] | None = None,
        components: Sequence[str] = COMPONENTS,
    ) -> None:
        """Nothing is started before `with` or `start_all()`.

        folder: kept at the end with the logs but without the data; a temporary one that is removed when there is none.
        users: `{name: (uid, groups)}` beside the admin; they may do what RBAC allows them.
        flags: more flags by component, such as `{"kube-scheduler": ["--feature-gates=…=false"]}`; the last one counts.
        components: fewer of them, such as an API server alone. Those that cannot be had here are left out.
        """
        self._kept = folder is not None
        self.folder = Path(tempfile.mkdtemp(prefix="control-plane-")) if folder is None else folder.resolve()
        self._layout = Layout(self.folder, users or {})
        self._flags = dict(flags or {})
        self._wanted = [name for name in COMPONENTS if name in components]
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

    def __exit__(self, *_: object) -> None:
        self.close()

    def start_all(self) -> None:
        """Start every component, and return when all do their work."""
        self._layout.prepare()
        found = commands()
        self._guard = Guard()
        for name in self._wanted:
            if name in found:
                command = [*found[name], *self._layout.flags(name), *self._flags.get(name, ())]
                self._processes[name] = Process(name, command, self._layout.log(name), self._guard)
                self.start(name)

    def close(self) -> None:
        """End all components at once, with what they stored."""
        for process in reversed(self._processes.values()):
            process.kill()
        if self._guard is not None:
            self._guard.close()
            self._guard = None
        shutil.rmtree(self._layout.etcd_data if self._kept else self.folder, ignore_errors=True)

    # Its components

    @property
    def components(self) -> list[str]:
        """Those that were asked for and can be had here; with the binaries of a test environment that may be only two."""
        return list(self._processes)

    def start(self, name: str) -> None:
        """Start a component and return when it does its work."""
        process = self._processes[name]
        process.start()
        until(lambda: self._healthy(process), f"{name} is ready, see {process.log}", START_S)

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
        """The process id of a component that runs."""
        return self._processes[name].pid

    def log(self, name: str) -> Path:
        """What a component wrote."""
        return self._layout.log(name)

    def url(self, name: str = "kube-apiserver") -> str:
        """Where a component listens."""
        return self._layout.url(name)

    def _healthy(self, process: Process) -> bool:
        if not process.running:
            raise RuntimeError(f"{process.name} ended at its start:\n{process.last_words()}")
        try:
            with urllib.request.urlopen(
                self.url(process.name) + HEALTH[process.name], timeout=5, context=_trusting()
            ) as response:
                return bool(response.status == 200)
        except OSError:
            return False

    # Its users

    @property
    def api(self) -> Api:
        """Calls as the admin, who may do everything."""
        if self._api is None:
            self._api = self.api_of("admin")
        return self._api

    def api_of(self, user: str) -> Api:
        """Calls as a user."""
        return self.api_with(self._layout.tokens[user])

    def api_with(self, token: str) -> Api:
        """Calls with a token, such as that of a service account."""
        return Api(self.url(), token, ssl.create_default_context(cafile=str(self._layout.certificate)))

    def kubeconfig(self, user: str = "admin") -> Path:
        """A kubeconfig file for a user."""
        return self._layout.kubeconfig(user, self._layout.tokens[user])

    def service_account_kubeconfig(self, namespace: str, name: str, seconds: int = 3600) -> Path:
        """A kubeconfig file for a service account that exists; see `service_account_token`."""
        token = self.service_account_token(namespace, name, seconds)
        return self._layout.kubeconfig(f"{namespace}-{name}", token)

    def service_account_token(self, namespace: str, name: str, seconds: int = 3600) -> str:
        """A new token for a service account that exists. It ends by itself, after 600 seconds at the earliest."""
        path = f"/api/v1/namespaces/{namespace}/serviceaccounts/{name}/token"
        asked = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest"}
        answer = self.api("POST", path, {**asked, "spec": {"expirationSeconds": seconds}})
        return str(answer["status"]["token"])


def _trusting() -> ssl.SSLContext:
    """For questions after health, to certificates that are not known yet."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
