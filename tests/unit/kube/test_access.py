"""From a kubeconfig, or a pod, to a server that answers: over TLS, with certificates, through proxies."""

from __future__ import annotations

import asyncio
import base64
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from fretsaw.errors import UserError
from fretsaw.kube import access as module
from fretsaw.kube.access import Access, in_cluster, load_access
from fretsaw.kube.client import Client
from fretsaw.kube.errors import Unreachable
from fretsaw.kube.http import Http, Limits
from support.api_server import ApiServer, served
from support.certificates import Certificates, certificates

Write = Callable[..., str]


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No way in but those of the test."""
    for name in ("KUBECONFIG", "KUBERNETES_SERVICE_HOST", "KUBERNETES_SERVICE_PORT"):
        monkeypatch.delenv(name, raising=False)
    for name in ("HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY", "https_proxy", "http_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setattr(module, "SERVICE_ACCOUNT", str(tmp_path / "account"))


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """`write(cluster={…}, user={…})` is the path of a kubeconfig."""

    def written(cluster: dict[str, Any], user: dict[str, Any] | None = None, name: str = "config") -> str:
        config = {
            "current-context": "x",
            "clusters": [{"name": "c", "cluster": cluster}],
            "users": [{"name": "u", "user": user or {}}],
            "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
        }
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(yaml.safe_dump(config))
        return str(path)

    return written


@pytest.fixture(scope="module")
def pem(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return certificates(tmp_path_factory.mktemp("certificates"))


def _b64(path: Path) -> str:
    return base64.b64encode(path.read_bytes()).decode()


# Where


def test_order_of_the_places_that_are_looked_at(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pem: Certificates
) -> None:
    with pytest.raises(UserError, match=r"home/.kube/config: no such kubeconfig"):
        load_access()
    write({"server": "http://home"}, name="home/.kube/config")
    monkeypatch.setenv("KUBECONFIG", "")
    assert load_access().server == "http://home"
    _account(tmp_path / "account", pem, monkeypatch)
    assert load_access().server == "https://10.96.0.1:443"
    monkeypatch.setenv("KUBECONFIG", f"{tmp_path}/not-there:{write({'server': 'http://env'}, name='env')}:")
    assert load_access().server == "http://env"
    assert load_access(write({"server": "http://flag"}, name="flag")).server == "http://flag"


def _account(folder: Path, pem: Certificates, monkeypatch: pytest.MonkeyPatch, host: str = "10.96.0.1") -> None:
    folder.mkdir(exist_ok=True)
    (folder / "token").write_text("of-account")
    (folder / "namespace").write_text("karpenter\n")
    (folder / "ca.crt").write_bytes(pem.authority.read_bytes())
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", host)
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "443")


def test_pod_with_an_ipv6_address_and_a_proxy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pem: Certificates
) -> None:
    _account(tmp_path / "account", pem, monkeypatch, "fd00::1")
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy:3128")
    found = load_access()
    assert (found.server, found.namespace, found.proxy) == ("https://[fd00::1]:443", "karpenter", "http://proxy:3128")
    assert asyncio.run(found.credentials.header()) == "Bearer of-account"
    monkeypatch.setenv("NO_PROXY", "fd00::/8")
    assert load_access().proxy == ""


def test_no_way_into_the_cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pem: Certificates) -> None:
    folder = tmp_path / "account"
    with pytest.raises(UserError, match="no way into the cluster: KUBERNETES_SERVICE_HOST is not set"):
        in_cluster(str(folder))
    _account(folder, pem, monkeypatch)
    (folder / "ca.crt").write_text("nonsense")
    with pytest.raises(UserError, match=rf"^{folder}: no way into the cluster: .*--kubeconfig"):
        in_cluster(str(folder))


@pytest.mark.parametrize(
    ("server", "expected"),
    [
        ("http://one:8080/", "http://one:8080"),
        ("https://rancher.example/k8s/clusters/c-1/", "https://rancher.example/k8s/clusters/c-1"),
        ("one:8080", "http://one:8080"),
        ("https://[::1]:6443", "https://[::1]:6443"),
    ],
)
def test_url_of_a_server(write: Write, server: str, expected: str) -> None:
    assert load_access(write({"server": server})).server == expected


def test_server_without_a_scheme_that_is_to_be_checked_is_https(write: Write) -> None:
    assert load_access(write({"server": "one", "insecure-skip-tls-verify": True})).server == "https://one"


@pytest.mark.parametrize(
    "server", ["", "ftp://one", "https://", "http://one:port", "https://me:pw@one", "http://o?x=1"]
)
def test_server_that_cannot_be_reached(write: Write, server: str) -> None:
    path = write({"server": server})
    with pytest.raises(UserError, match=rf"^{path}: not a server that can be reached: .*\(https://host:port\)"):
        load_access(path)


def test_proxy_of_the_kubeconfig_comes_before_that_of_the_environment(
    write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://env")
    assert load_access(write({"server": "https://one"})).proxy == "http://env"
    assert load_access(write({"server": "https://one", "proxy-url": "http://file"})).proxy == "http://file"
    path = write({"server": "https://one", "proxy-url": "socks5://file"})
    with pytest.raises(UserError, match=rf"^{path}: not a proxy that can be used"):
        load_access(path)


# Certificates


def _server_tls(pem: Certificates, *, clients: bool = False) -> ssl.SSLContext:
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(pem.server, pem.server_key)
    if clients:
        tls.verify_mode = ssl.CERT_REQUIRED
        tls.load_verify_locations(pem.authority)
        tls.verify_flags &= ~ssl.VERIFY_X509_STRICT
    return tls


async def _asks(access: Access) -> int:
    async with Client.connect(access, Limits(patience_s=0)) as client:
        return len((await client.list("Pod")).objects)


def _ask(write: Write, pem: Certificates, cluster: dict[str, Any], user: dict[str, Any], *, clients: bool) -> int:
    async def main() -> int:
        async with served(tls=_server_tls(pem, clients=clients)) as server:
            server.put("Pod", "a/x")
            return await _asks(load_access(write({"server": server.url, **cluster}, user)))

    return asyncio.run(main())


def test_authority_as_file_as_data_or_unchecked(write: Write, pem: Certificates, tmp_path: Path) -> None:
    (tmp_path / "beside.pem").write_bytes(pem.authority.read_bytes())
    broken = "\n".join(_b64(pem.authority)[i : i + 64] for i in range(0, len(_b64(pem.authority)), 64))
    for cluster in (
        {"certificate-authority": "beside.pem"},
        {"certificate-authority-data": broken},
        {"certificate-authority-data": _b64(pem.authority), "certificate-authority": "not-there"},
        {"insecure-skip-tls-verify": True},
    ):
        assert _ask(write, pem, cluster, {}, clients=False) == 1


def test_server_that_nobody_vouches_for_is_not_spoken_to(write: Write, pem: Certificates) -> None:
    with pytest.raises(Unreachable, match="CERTIFICATE_VERIFY_FAILED"):
        _ask(write, pem, {}, {}, clients=False)


def test_name_in_the_certificate_may_be_another(write: Write, pem: Certificates) -> None:
    cluster = {"certificate-authority-data": _b64(pem.authority)}
    assert _ask(write, pem, {**cluster, "tls-server-name": "kubernetes"}, {}, clients=False) == 1
    with pytest.raises(Unreachable, match="Hostname mismatch"):
        _ask(write, pem, {**cluster, "tls-server-name": "other"}, {}, clients=False)


def test_client_certificate_as_files_as_data_or_one_of_each(write: Write, pem: Certificates, tmp_path: Path) -> None:
    cluster = {"certificate-authority-data": _b64(pem.authority)}
    (tmp_path / "both.pem").write_bytes(pem.client.read_bytes() + pem.client_key.read_bytes())
    for user in (
        {"client-certificate": str(pem.client), "client-key": str(pem.client_key)},
        {"client-certificate-data": _b64(pem.client), "client-key-data": _b64(pem.client_key)},
        {"client-certificate-data": _b64(pem.client), "client-key": str(pem.client_key)},
        {"client-certificate": str(pem.client), "client-key-data": _b64(pem.client_key)},
        {"client-certificate": "both.pem"},
    ):
        assert _ask(write, pem, cluster, user, clients=True) == 1
    with pytest.raises(Unreachable):
        _ask(write, pem, cluster, {}, clients=True)


def test_certificates_that_cannot_be_used(write: Write, pem: Certificates) -> None:
    server = {"server": "https://one"}
    for cluster, user, said in (
        (
            {"certificate-authority": "not-there"},
            {},
            "certificate-authority: not a certificate that can be used: .*No su",
        ),
        ({"certificate-authority-data": "!"}, {}, "certificate-authority-data: not a certificate that can be used"),
        ({"certificate-authority-data": "QUJD"}, {}, "certificate-authority-data: not a certificate that can be used"),
        ({}, {"client-certificate": "not-there"}, "client-certificate or client-key: cannot be used: .*No such file"),
        ({}, {"client-certificate": str(pem.client)}, "client-certificate or client-key: cannot be used"),
        ({}, {"client-certificate": str(pem.client), "client-key": str(pem.server_key)}, ".*: cannot be used"),
        # Without a terminal nobody can be asked for the password, and with one nobody shall be.
        ({}, {"client-certificate": str(pem.client), "client-key": str(pem.encrypted_key)}, ".*: cannot be used"),
    ):
        path = write({**server, **cluster}, user)
        with pytest.raises(UserError, match=rf"^{path} {said}"):
            load_access(path)


# Ways


def test_path_before_all_paths_and_ipv6(write: Write) -> None:
    async def main(**served_as: str) -> int:
        async with served(**served_as) as server:  # type: ignore[arg-type]
            server.put("Pod", "a/x")
            return await _asks(load_access(write({"server": server.url + "/"})))

    assert asyncio.run(main(prefix="/k8s/clusters/c-1")) == 1
    assert asyncio.run(main(host="::1")) == 1


def test_proxy_is_asked_in_the_place_of_the_server() -> None:
    async def main() -> tuple[bytes, list[str]]:
        heard: list[str] = []

        async def proxy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            heard.append((await reader.readuntil(b"\r\n\r\n")).decode().splitlines()[0])
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi")
            writer.close()
            await writer.wait_closed()

        async with await asyncio.start_server(proxy, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            async with served() as api:
                access = Access("http://api.example", None, api.access.credentials, proxy=f"http://127.0.0.1:{port}")
                async with Http(access) as http:
                    return await http.request("GET", "/version"), heard

    assert asyncio.run(main()) == (b"hi", ["GET http://api.example/version HTTP/1.1"])


def test_environment_of_other_programs_is_not_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A password in ~/.netrc is not for an API server, and a proxy that `Access` does not name is not asked."""
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / ".netrc").write_text("machine 127.0.0.1 login me password secret\n")
    (tmp_path / "home" / ".netrc").chmod(0o600)
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")

    async def main() -> ApiServer:
        async with served() as server:
            await _asks(server.access)
            return server

    assert "Authorization" not in asyncio.run(main()).asked[0].headers
