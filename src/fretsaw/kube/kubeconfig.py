"""kubeconfig files: read, put together as kubectl does, and one context chosen.

Where several files are named, the first that has an entry of a name wins, and the first that names a current context.
Paths in a file are relative to that file. What is wrong is told with the file and the entry, and never quotes a secret.
Source: kubernetes.io, Organizing Cluster Access Using kubeconfig Files, "Merging kubeconfig files".
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import yaml

from fretsaw.api.decode import strip_nulls
from fretsaw.errors import UserError

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class Cluster(msgspec.Struct, frozen=True, rename="kebab"):
    """An API server, and how to know that it is the right one."""

    server: str = ""
    certificate_authority: str = ""
    certificate_authority_data: str = ""
    insecure_skip_tls_verify: bool = False
    tls_server_name: str = ""
    proxy_url: str = ""


class Variable(msgspec.Struct, frozen=True):
    """One of an exec plugin's environment."""

    name: str
    value: str


class Exec(msgspec.Struct, frozen=True, rename="camel"):
    """A program that gives tokens."""

    command: str
    api_version: str = "client.authentication.k8s.io/v1"
    args: tuple[str, ...] = ()
    env: tuple[Variable, ...] = ()
    install_hint: str = ""
    provide_cluster_info: bool = False


class User(msgspec.Struct, frozen=True, rename="kebab"):
    """Who we are."""

    client_certificate: str = ""
    client_certificate_data: str = ""
    client_key: str = ""
    client_key_data: str = ""
    token: str = ""
    token_file: str = msgspec.field(default="", name="tokenFile")
    username: str = ""
    password: str = ""
    exec: Exec | None = None
    auth_provider: dict[str, Any] | None = None
    impersonate: str = msgspec.field(default="", name="as")


class Context(msgspec.Struct, frozen=True, rename="kebab"):
    """A user of a cluster."""

    cluster: str = ""
    user: str = ""
    namespace: str = ""


class _Named(msgspec.Struct, frozen=True):
    name: str


class _NamedCluster(_Named, frozen=True):
    cluster: Cluster = Cluster()


class _NamedUser(_Named, frozen=True):
    user: User = User()


class _NamedContext(_Named, frozen=True):
    context: Context = Context()


class _File(msgspec.Struct, frozen=True, rename="kebab"):
    current_context: str = ""
    clusters: tuple[_NamedCluster, ...] = ()
    users: tuple[_NamedUser, ...] = ()
    contexts: tuple[_NamedContext, ...] = ()


class Chosen(msgspec.Struct, frozen=True):
    """What one context comes to. The files are those that the entries were found in."""

    cluster: Cluster
    cluster_file: Path
    user: User
    user_file: Path
    namespace: str


def choose(paths: Sequence[Path], context: str | None = None) -> Chosen:
    """The named context of these files, or the current one. Raises UserError.

    Files that are not there are left out, as long as there is one.
    """
    files = {path: _read(path) for path in paths if path.exists()}
    where = ":".join(map(str, paths))
    if not files:
        raise UserError(where, "no such kubeconfig", right="name one with --kubeconfig or $KUBECONFIG")
    name = context or next((file.current_context for file in files.values() if file.current_context), "")
    about, home = _of(files, "context", name, where)
    here = f"{home} context/{name}"
    cluster, cluster_file = _of(files, "cluster", about.context.cluster, here)
    user, user_file = User(), home
    if about.context.user:
        found, user_file = _of(files, "user", about.context.user, here)
        user = found.user
    return Chosen(cluster.cluster, cluster_file, user, user_file, about.context.namespace or "default")


def _read(path: Path) -> _File:
    where = str(path)
    try:
        tree = yaml.load(path.read_text(encoding="utf-8"), Loader=_LOADER)
    except UnicodeDecodeError as error:
        raise UserError(where, "not a kubeconfig", "not UTF-8 text") from error
    except OSError as error:
        raise UserError(where, "the kubeconfig cannot be read", error.strerror or str(error)) from error
    except (yaml.YAMLError, ValueError) as error:  # its own text quotes lines, which may be those with the token
        raise UserError(where, "not a kubeconfig", f"not YAML{_place(error)}") from None
    if tree is not None and not isinstance(tree, dict):
        raise UserError(where, "not a kubeconfig", f"a {type(tree).__name__}", "a map with clusters, users, contexts")
    try:
        return msgspec.convert(strip_nulls(tree or {}), _File)
    except msgspec.ValidationError as error:
        raise UserError(where, "not a kubeconfig", str(error)) from error


def _place(error: Exception) -> str:
    """Where YAML ends to be YAML, and why, if the reader knows."""
    mark, problem = getattr(error, "problem_mark", None), getattr(error, "problem", None)
    return f", line {mark.line + 1}: {problem}" if mark is not None else ""


def _of(files: dict[Path, _File], kind: str, name: str, where: str) -> tuple[Any, Path]:
    """The first entry of a name, and its file."""
    known: set[str] = set()
    for path, file in files.items():
        entries: Iterable[Any] = getattr(file, f"{kind}s")
        for entry in entries:
            if name and entry.name == name:
                return entry, path
            known.add(entry.name)
    wrong = f"no such {kind}" if name else f"no {kind} is chosen"
    raise UserError(where, wrong, name, f"known: {', '.join(sorted(known)) or 'none'}")
