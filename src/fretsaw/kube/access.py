"""Where the API server is, and how to say who we are: from a kubeconfig, or from inside a pod.

Source: kubernetes.io, Organizing Cluster Access Using kubeconfig Files; Accessing the Kubernetes API from a Pod.
"""

from __future__ import annotations

import base64
import os
import ssl
import tempfile
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec

from fretsaw.errors import UserError
from fretsaw.kube.credentials import Credentials, TokenFile, of_user
from fretsaw.kube.kubeconfig import Chosen, Cluster, User, choose
from fretsaw.kube.proxies import proxy_for, usable

SERVICE_ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount"
KUBECONFIG = "~/.kube/config"


class Access(msgspec.Struct, frozen=True, eq=False):
    """All that is needed to talk to one API server."""

    server: str
    """Its URL, without a slash at the end. It may have a path, as behind Rancher."""
    tls: ssl.SSLContext | None
    credentials: Credentials
    namespace: str = "default"
    proxy: str = ""
    """URL of the proxy that leads there, empty for none."""
    server_name: str = ""
    """The name in the server's certificate, where it is not that of the URL."""


def load_access(kubeconfig: str | None = None, context: str | None = None) -> Access:
    """Access by the named kubeconfig; without a name by those of $KUBECONFIG, of the pod we run in, of ~/.kube/config.

    Raises UserError that names the file and what is wrong with it.
    """
    if kubeconfig:
        paths = [kubeconfig]
    elif named := list(filter(None, os.environ.get("KUBECONFIG", "").split(os.pathsep))):
        paths = named
    elif Path(SERVICE_ACCOUNT, "token").exists():
        return in_cluster(SERVICE_ACCOUNT)
    else:
        paths = [KUBECONFIG]
    return _of_chosen(choose([Path(path).expanduser() for path in paths], context))


def in_cluster(folder: str = SERVICE_ACCOUNT) -> Access:
    """Access with the service account of the pod that we run in."""
    right = "run in a pod with a service account, or name a kubeconfig with --kubeconfig"
    try:
        host, port = os.environ["KUBERNETES_SERVICE_HOST"], os.environ["KUBERNETES_SERVICE_PORT"]
        tls = _as_kubectl(ssl.create_default_context(cafile=str(Path(folder, "ca.crt"))))
        namespace = Path(folder, "namespace").read_text(encoding="utf-8").strip()
    except KeyError as error:
        raise UserError(folder, "no way into the cluster", f"{error.args[0]} is not set", right) from error
    except (OSError, ValueError) as error:
        raise UserError(folder, "no way into the cluster", str(error), right) from error
    server = f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}"
    proxy = proxy_for(server, os.environ)
    return Access(server, tls, TokenFile(Path(folder, "token")), namespace or "default", proxy)


def _of_chosen(chosen: Chosen) -> Access:
    cluster, where = chosen.cluster, str(chosen.cluster_file)
    server = _url(cluster, where)
    tls = None
    if server.startswith("https"):
        tls = _authority(cluster, chosen.cluster_file)
        _present(tls, chosen.user, chosen.user_file)
    proxy = usable(cluster.proxy_url, where) if cluster.proxy_url else proxy_for(server, os.environ)
    credentials = of_user(chosen.user, chosen.user_file, _told(cluster, server))
    return Access(server, tls, credentials, chosen.namespace, proxy, cluster.tls_server_name)


def _url(cluster: Cluster, where: str) -> str:
    """The server's URL; without a scheme it is that of kubectl: https where there is something to check."""
    text = cluster.server
    if text and "://" not in text:
        checked = cluster.certificate_authority or cluster.certificate_authority_data
        text = f"https://{text}" if checked or cluster.insecure_skip_tls_verify else f"http://{text}"
    try:
        url = urlsplit(text)
        good = url.scheme in ("http", "https") and bool(url.hostname) and (url.port or 1) > 0
    except ValueError:
        good = False
    if not good or url.username is not None or url.query or url.fragment:
        raise UserError(where, "not a server that can be reached", cluster.server or "empty", "https://host:port")
    return text.rstrip("/")


def _told(cluster: Cluster, server: str) -> dict[str, Any]:
    """What an exec plugin is told of a server. Source: client.authentication.k8s.io/v1, Cluster."""
    told: dict[str, Any] = {
        "server": server,
        "tls-server-name": cluster.tls_server_name,
        "insecure-skip-tls-verify": cluster.insecure_skip_tls_verify,
        "certificate-authority-data": cluster.certificate_authority_data,
        "proxy-url": cluster.proxy_url,
    }
    return {name: value for name, value in told.items() if value}


# Certificates


def _authority(cluster: Cluster, file: Path) -> ssl.SSLContext:
    """Whose signature a server's certificate must have."""
    where = f"{file} certificate-authority"
    try:
        if cluster.certificate_authority_data:
            where += "-data"
            data = _decoded(cluster.certificate_authority_data)
            tls = ssl.create_default_context(cadata=data.decode("ascii", "ignore"))  # around the PEM may be comments
        elif cluster.certificate_authority:
            tls = ssl.create_default_context(cafile=str(file.parent / cluster.certificate_authority))
        else:
            tls = ssl.create_default_context()
    except (OSError, ValueError) as error:
        raise UserError(where, "not a certificate that can be used", str(error)) from error
    if cluster.insecure_skip_tls_verify:
        tls.check_hostname, tls.verify_mode = False, ssl.CERT_NONE
    return _as_kubectl(tls)


def _as_kubectl(tls: ssl.SSLContext) -> ssl.SSLContext:
    """Not stricter than kubectl: many clusters' own certificates lack what Python 3.13 asks for by default."""
    tls.verify_flags &= ~ssl.VERIFY_X509_STRICT
    return tls


def _present(tls: ssl.SSLContext, user: User, file: Path) -> None:
    """Our own certificate. OpenSSL takes files only, so what stands in the kubeconfig itself is a file for a moment."""
    if not (user.client_certificate or user.client_certificate_data):
        return
    where = f"{file} client-certificate or client-key"
    try:
        with tempfile.TemporaryDirectory() as folder:
            certificate = _file(folder, "cert", user.client_certificate_data, file.parent / user.client_certificate)
            named = file.parent / user.client_key if user.client_key else certificate  # one file may hold both
            key = _file(folder, "key", user.client_key_data, named)
            # The empty password: without it OpenSSL asks on the terminal for that of an encrypted key, and waits.
            tls.load_cert_chain(certificate, key, password="")
    except (OSError, ValueError) as error:
        raise UserError(where, "cannot be used", str(error), "a PEM certificate and its key") from error


def _file(folder: str, name: str, data: str, named: Path) -> Path:
    """The file itself, or one with the data, which comes first where there are both."""
    if not data:
        return named
    path = Path(folder, name)
    path.touch(mode=0o600)
    path.write_bytes(_decoded(data))
    return path


def _decoded(data: str) -> bytes:
    """Of base64, which may be broken into lines. Raises ValueError."""
    return base64.b64decode("".join(data.split()), validate=True)
