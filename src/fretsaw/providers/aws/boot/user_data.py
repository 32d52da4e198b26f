"""The user data of a node, in its family's format."""

from __future__ import annotations

import base64
import tomllib
from collections.abc import Callable, Mapping

from fretsaw.errors import LaunchFailed
from fretsaw.providers.aws.boot import al2, al2023, bottlerocket, windows
from fretsaw.providers.aws.boot.mime import NotMultipart
from fretsaw.providers.aws.boot.values import Boot

MOST_BYTES = 16384
"""What EC2 takes, before base64."""


def _custom(boot: Boot) -> str:
    return boot.custom


_FAMILIES: Mapping[str, Callable[[Boot], str]] = {
    "AL2": al2.user_data,
    "AL2023": al2023.user_data,
    "Bottlerocket": bottlerocket.user_data,
    "Custom": _custom,
    "Windows2019": windows.user_data,
    "Windows2022": windows.user_data,
    "Windows2025": windows.user_data,
}


def user_data(boot: Boot) -> str:
    """The text, as the node reads it. Raises LaunchFailed where the user's part cannot be read, or all is too long."""
    try:
        text = _FAMILIES[boot.family](boot)
    except NotMultipart as error:
        why = f"EC2NodeClass spec.userData: says that it is MIME, and is not multipart: {error}"
        raise LaunchFailed("UserDataInvalid", why) from error
    except tomllib.TOMLDecodeError as error:
        raise LaunchFailed("UserDataInvalid", f"EC2NodeClass spec.userData: not TOML: {error}") from error
    size = len(text.encode())
    if size > MOST_BYTES:
        own = len(boot.custom.encode())
        why = f"user data of {boot.family} has {size} bytes, {own} of them spec.userData (at most {MOST_BYTES})"
        raise LaunchFailed("UserDataSizeLimitExceeded", why)
    return text


def encoded(text: str) -> str:
    """As EC2 wants it."""
    return base64.b64encode(text.encode()).decode()
