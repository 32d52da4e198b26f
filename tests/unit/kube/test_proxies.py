"""Proxies of the environment, as kubectl understands them."""

from __future__ import annotations

import pytest

from fretsaw.errors import UserError
from fretsaw.kube.proxies import proxy_for, usable

SERVER = "https://api.example.com:6443"


@pytest.mark.parametrize(
    ("environment", "proxy"),
    [
        ({}, ""),
        ({"HTTPS_PROXY": "http://p:3128"}, "http://p:3128"),
        ({"https_proxy": "p:3128"}, "http://p:3128"),
        ({"HTTPS_PROXY": "http://big", "https_proxy": "http://small"}, "http://big"),
        ({"HTTP_PROXY": "http://p"}, ""),
        ({"HTTPS_PROXY": ""}, ""),
    ],
)
def test_proxy_of_an_https_server(environment: dict[str, str], proxy: str) -> None:
    assert proxy_for(SERVER, environment) == proxy


def test_proxy_of_an_http_server() -> None:
    assert proxy_for("http://api:8080", {"HTTP_PROXY": "http://p", "HTTPS_PROXY": "http://q"}) == "http://p"


@pytest.mark.parametrize(
    ("server", "excepted", "direct"),
    [
        (SERVER, "*", True),
        (SERVER, "api.example.com", True),
        (SERVER, "example.com", True),
        (SERVER, ".example.com", True),
        (SERVER, "*.example.com", True),
        (SERVER, " other , Example.COM ", True),
        (SERVER, "ample.com", False),
        (SERVER, "example.com:6443", True),
        (SERVER, "example.com:443", False),
        ("https://example.com", ".example.com", False),
        ("https://example.com", "example.com:443", True),
        ("https://10.0.0.1", "10.0.0.0/8", True),
        ("https://10.0.0.1", "10.0.0.1", True),
        ("https://10.0.0.1", "10.0.0.1:443", True),
        ("https://10.0.0.1", "10.0.0.1:6443", False),
        ("https://11.0.0.1", "10.0.0.0/8,10.0.0.0/99", False),
        ("https://[fd00::1]:6443", "fd00::/8", True),
        ("https://[fd00::1]:6443", "fd00:0::1", True),
        ("https://[fd00::1]:6443", "[fd00::1]:6443", True),
        ("https://[fd00::1]:6443", "10.0.0.0/8", False),
        ("https://localhost:6443", "", True),
        ("https://127.0.0.1:6443", "", True),
        ("https://[::1]:6443", "", True),
        (SERVER, "", False),
    ],
)
def test_exceptions(server: str, excepted: str, direct: bool) -> None:
    environment = {"HTTPS_PROXY": "http://p", "no_proxy": excepted}
    assert (proxy_for(server, environment) == "") is direct


@pytest.mark.parametrize("proxy", ["socks5://p:1080", "http://", "http://p:port", "http://p:99999"])
def test_proxy_that_cannot_be_used_is_told_with_its_variable(proxy: str) -> None:
    with pytest.raises(UserError, match=r"^HTTPS_PROXY: not a proxy that can be used: .*http://host:port"):
        proxy_for(SERVER, {"HTTPS_PROXY": proxy})


def test_password_of_a_proxy_is_not_told() -> None:
    with pytest.raises(UserError) as told:
        usable("socks5://me:secret@p:1080", "config")
    assert "secret" not in str(told.value)
