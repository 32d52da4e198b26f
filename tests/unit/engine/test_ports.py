"""Host ports."""

from __future__ import annotations

import msgspec
import pytest

from fretsaw.api.pod import PodSpec
from fretsaw.engine.ports import HostPort, clash, host_ports


@pytest.mark.parametrize(
    ("a", "b", "answer"),
    [
        pytest.param(("0.0.0.0", 80, "TCP"), ("0.0.0.0", 80, "TCP"), True, id="the same"),
        pytest.param(
            ("10.0.0.1", 80, "TCP"), ("0.0.0.0", 80, "TCP"), True, id="an unspecified address is every address"
        ),
        pytest.param(("10.0.0.1", 80, "TCP"), ("::", 80, "TCP"), True, id="in either family"),
        pytest.param(("10.0.0.1", 80, "TCP"), ("10.0.0.2", 80, "TCP"), False, id="two addresses"),
        pytest.param(("0.0.0.0", 80, "TCP"), ("0.0.0.0", 80, "UDP"), False, id="two protocols"),
        pytest.param(("0.0.0.0", 80, "TCP"), ("0.0.0.0", 81, "TCP"), False, id="two ports"),
    ],
)
def test_what_conflicts(a: tuple[str, int, str], b: tuple[str, int, str], answer: bool) -> None:
    first, second = (HostPort(port, protocol, ip) for ip, port, protocol in (a, b))
    assert first.conflicts(second) is second.conflicts(first) is answer


def test_host_ports_come_from_containers_alone() -> None:
    ports = [
        {"containerPort": 1, "hostPort": 90, "protocol": "UDP"},
        {"containerPort": 2},
        {"containerPort": 3, "hostPort": 80, "hostIP": "10.0.0.1"},
    ]
    spec = {"containers": [{"name": "a", "ports": ports}, {"name": "b", "ports": ports}]}
    spec["initContainers"] = [{"name": "i", "ports": [{"containerPort": 1, "hostPort": 70}]}]
    assert [str(p) for p in host_ports(msgspec.convert(spec, PodSpec))] == ["10.0.0.1:80/TCP", "0.0.0.0:90/UDP"]


def test_a_clash_names_the_wanted_port() -> None:
    web, dns = HostPort(80, "TCP", "10.0.0.1"), HostPort(53, "UDP", "0.0.0.0")
    assert clash((dns, web), (HostPort(80, "TCP", "0.0.0.0"),)) == web
    assert clash((dns, web), ()) is None
    assert clash((), (web,)) is None
