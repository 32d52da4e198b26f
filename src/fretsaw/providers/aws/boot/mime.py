"""User data of several parts: MIME multipart, as cloud-init and nodeadm read it.

Source: Karpenter AWS provider v1.14 pkg/providers/amifamily/bootstrap/mime (boundary, order, what survives).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from email import message_from_string
from email.message import Message

import msgspec

BOUNDARY = "//"
SHELL = 'text/x-shellscript; charset="us-ascii"'
NODE_CONFIG = "application/node.eks.aws"
_IS_MIME = re.compile(r"(?i)(MIME-Version|Content-Type):")


class Part(msgspec.Struct, frozen=True):
    """One part. headers: beside its type, as lines."""

    type: str
    body: str
    headers: tuple[str, ...] = ()


class NotMultipart(ValueError):  # noqa: N818 (its readers know it by this name)
    """Text that says that it is MIME, and is not made of parts."""


def is_mime(text: str) -> bool:
    """Whether user data says of itself that it is MIME."""
    return _IS_MIME.match(text.lstrip()) is not None


def parts(text: str, *, headers: bool = False) -> tuple[Part, ...]:
    """The parts of MIME user data. headers: keep those beside the type. Raises NotMultipart."""
    message = message_from_string(text.replace("\r\n", "\n").replace("\r", "\n").lstrip())
    if message.get_content_maintype() != "multipart" or not message.is_multipart():
        raise NotMultipart(f"{message.get_content_type()} (multipart/mixed)")
    return tuple(_part(one, headers) for one in message.get_payload() if isinstance(one, Message))


def _part(one: Message, headers: bool) -> Part:
    others = [f"{key}: {value}" for key, value in one.items() if key.lower() != "content-type"] if headers else []
    # Without its headers nobody could tell how a body is encoded.
    encoded = not headers and one.get("Content-Transfer-Encoding", "7bit").lower() in ("base64", "quoted-printable")
    body = one.get_payload(decode=True) if encoded else one.get_payload()
    text = body.decode(errors="replace") if isinstance(body, bytes) else str(body)
    return Part(one.get("Content-Type", "text/plain"), text, tuple(others))


def joined(found: Iterable[Part]) -> str:
    """One text of all parts, in their order."""
    lines = ["MIME-Version: 1.0", f'Content-Type: multipart/mixed; boundary="{BOUNDARY}"', ""]
    for part in found:
        lines += [f"--{BOUNDARY}", f"Content-Type: {part.type}", *part.headers, "", part.body]
    return "\n".join((*lines, f"--{BOUNDARY}--", ""))
