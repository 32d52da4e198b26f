"""Which proxy leads to a server, by the environment.

Source: golang.org/x/net/http/httpproxy, which kubectl asks: HTTPS_PROXY, HTTP_PROXY and NO_PROXY, also in lower case;
NO_PROXY has names, `.suffixes`, addresses and networks, each with or without a port.
"""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from urllib.parse import urlsplit

from fretsaw.errors import UserError

_PORTS = {"http": 80, "https": 443}


def proxy_for(server: str, environment: Mapping[str, str]) -> str:
    """The URL of the proxy to a server; empty for none. Raises UserError for one that cannot be used."""
    url = urlsplit(server)
    name = f"{url.scheme.upper()}_PROXY"
    proxy = environment.get(name) or environment.get(name.lower(), "")
    excepted = environment.get("NO_PROXY") or environment.get("no_proxy", "")
    if not proxy or not _goes_through(url.hostname or "", url.port or _PORTS[url.scheme], excepted):
        return ""
    return usable(proxy, name)


def usable(proxy: str, where: str) -> str:
    """The proxy's URL with its scheme. Raises UserError for one that cannot be used."""
    full = proxy if "://" in proxy else f"http://{proxy}"
    try:
        url = urlsplit(full)
        good = url.scheme in _PORTS and bool(url.hostname) and (url.port or 1) > 0
    except ValueError:
        good = False
    if not good:
        raise UserError(where, "not a proxy that can be used", _without_password(full), "http://host:port")
    return full


def _without_password(url: str) -> str:
    scheme, _, rest = url.partition("://")
    return f"{scheme}://{rest.rpartition('@')[2]}"


def _goes_through(host: str, port: int, excepted: str) -> bool:
    address = _address(host)
    if host == "localhost" or (address is not None and address.is_loopback):
        return False
    return not any(_matches(entry.strip().lower(), host, address, port) for entry in excepted.split(","))


def _matches(entry: str, host: str, address: IPv4Address | IPv6Address | None, port: int) -> bool:
    """Whether an entry of NO_PROXY is about this server."""
    if entry in ("", "*"):
        return entry == "*"
    if "/" in entry:
        try:
            return address is not None and address in ip_network(entry, strict=False)
        except ValueError:
            return False
    name, wanted = _split_port(entry)
    if wanted is not None and wanted != port:
        return False
    if address is not None:
        return _address(name) == address
    name = name.removeprefix("*")
    return host.endswith(name) if name.startswith(".") else host == name or host.endswith(f".{name}")


def _split_port(entry: str) -> tuple[str, int | None]:
    if _address(entry) is not None:
        return entry, None
    name, colon, port = entry.rpartition(":")
    if colon and port.isdecimal():
        return name.strip("[]"), int(port)
    return entry.strip("[]"), None


def _address(text: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(text)
    except ValueError:
        return None
