"""The door before moto: names each request as IAM does, remembers it, and refuses or answers what a test has scripted.

Knows AWS's protocols as far as our calls use them: EC2 and query (forms in, XML out), JSON with a target header, and
the REST call of EKS.
"""

from __future__ import annotations

import io
import json
import re
import threading
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import parse_qsl
from xml.sax.saxutils import escape

import msgspec

from support.aws.world import world

Environ = dict[str, Any]
StartResponse = Callable[..., Any]
Application = Callable[[Environ, StartResponse], Iterable[bytes]]
Answer = Callable[[dict[str, Any]], dict[str, Any]]

_SCOPE = re.compile(r"Credential=([^/]+)/\d+/([^/]+)/([^/]+)/aws4_request")
NEVER_CHANGE = frozenset({"ec2:DescribeInstanceTypes", "ec2:DescribeInstanceTypeOfferings"})
_CLUSTER = re.compile(r"^/clusters/[^/]+$")


class Asked(msgspec.Struct, frozen=True):
    """A request that came. parameters: flat for forms (`Filter.1.Name`), as sent for JSON."""

    call: str
    region: str
    parameters: dict[str, Any]
    key: str
    """Of the credentials that it was signed with."""
    agent: str


class Fault(msgspec.Struct):
    """What is answered in the place of what is right."""

    code: str
    message: str = ""
    status: int = 400
    times: int | None = 1
    """How often; None: until it is taken back."""
    after: bool = False
    """Do what was asked, then answer this: the answer was lost."""
    when: Callable[[dict[str, Any]], bool] | None = None
    """Only for requests with such parameters."""


class Gate:
    """A WSGI application in front of moto's."""

    def __init__(self, inner: Application) -> None:
        self.asked: list[Asked] = []
        self.answers: dict[str, Answer] = {}
        """Calls that moto does not know, of services that speak JSON."""
        self._inner = inner
        self._answered: dict[Any, tuple[str, list[tuple[str, str]], bytes]] = {}
        self._faults: dict[str, list[Fault]] = {}
        self._lock = threading.Lock()

    def script(self, call: str, fault: Fault) -> None:
        """Answer so when `call` is asked; `*` for any call, `ec2:*` for any of a service."""
        with self._lock:
            self._faults.setdefault(call, []).append(fault)

    def unscript(self, call: str = "") -> None:
        """Forget the faults of a call, or all."""
        with self._lock:
            if call:
                self._faults.pop(call, None)
            else:
                self._faults.clear()

    def forget(self) -> None:
        """As after the start, but for `answers`."""
        self.unscript()
        self.asked.clear()

    def __call__(self, environ: Environ, start: StartResponse) -> Iterable[bytes]:
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        environ["wsgi.input"] = io.BytesIO(body)
        asked = _named(environ, body)
        if asked is None:
            return self._inner(environ, start)
        self.asked.append(asked)
        fault = self._due(asked)
        if fault is not None:
            if fault.after:
                b"".join(self._inner(environ, lambda status, headers, info=None: None))
            return _refuse(environ, start, asked, fault)
        if (answer := self.answers.get(asked.call)) is not None:
            return _json(start, 200, answer(asked.parameters))
        if asked.call in NEVER_CHANGE:
            return self._kept(asked, environ, start)
        return self._inner(environ, start)

    def _kept(self, asked: Asked, environ: Environ, start: StartResponse) -> Iterable[bytes]:
        """moto's answer, made once: it needs five seconds for all instance types."""
        key = (asked.call, asked.region, world().every_type, repr(sorted(asked.parameters.items())))
        if key not in self._answered:
            told: list[Any] = []
            body = b"".join(self._inner(environ, lambda status, headers, info=None: told.extend((status, headers))))
            self._answered[key] = (told[0], told[1], body)
        status, headers, body = self._answered[key]
        start(status, headers)
        return [body]

    def _due(self, asked: Asked) -> Fault | None:
        service = asked.call.partition(":")[0]
        with self._lock:
            for key in (asked.call, f"{service}:*", "*"):
                for fault in self._faults.get(key, ()):
                    if fault.times == 0 or (fault.when is not None and not fault.when(asked.parameters)):
                        continue
                    if fault.times is not None:
                        fault.times -= 1
                    return fault
        return None


def _named(environ: Environ, body: bytes) -> Asked | None:
    """What is asked; None for what is no call to AWS, such as moto's own pages."""
    if (scope := _SCOPE.search(environ.get("HTTP_AUTHORIZATION", ""))) is None:
        return None
    key, region, service = scope.groups()
    parameters: dict[str, Any]
    if target := environ.get("HTTP_X_AMZ_TARGET", ""):
        operation, parameters = target.rpartition(".")[2], json.loads(body or b"{}")
    elif environ["REQUEST_METHOD"] == "GET" and service == "eks" and _CLUSTER.match(environ["PATH_INFO"]):
        operation, parameters = "DescribeCluster", {"name": environ["PATH_INFO"].rpartition("/")[2]}
    else:
        parameters = dict(parse_qsl(body.decode(), keep_blank_values=True))
        operation = parameters.pop("Action", "")
        parameters.pop("Version", None)
    return Asked(f"{service}:{operation}", region, parameters, key, environ.get("HTTP_USER_AGENT", ""))


def _refuse(environ: Environ, start: StartResponse, asked: Asked, fault: Fault) -> list[bytes]:
    message = fault.message or f"{fault.code}, as the test wants it"
    if environ.get("HTTP_X_AMZ_TARGET") or asked.call.startswith("eks:"):
        return _json(start, fault.status, {"__type": fault.code, "message": message}, fault.code)
    inside = f"<Code>{escape(fault.code)}</Code><Message>{escape(message)}</Message>"
    if asked.call.startswith("ec2:"):
        text = f"<Response><Errors><Error>{inside}</Error></Errors><RequestID>test</RequestID></Response>"
    else:
        text = f"<ErrorResponse><Error><Type>Sender</Type>{inside}</Error><RequestId>test</RequestId></ErrorResponse>"
    return _send(start, fault.status, text.encode(), [("Content-Type", "text/xml")])


def _json(start: StartResponse, status: int, value: dict[str, Any], error: str = "") -> list[bytes]:
    headers = [("Content-Type", "application/x-amz-json-1.1")]
    if error:
        headers.append(("x-amzn-ErrorType", error))
    return _send(start, status, json.dumps(value).encode(), headers)


def _send(start: StartResponse, status: int, body: bytes, headers: list[tuple[str, str]]) -> list[bytes]:
    start(f"{status} Scripted", [*headers, ("Content-Length", str(len(body)))])
    return [body]
