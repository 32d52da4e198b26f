"""Fretsaw's own kinds on a real API server."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

from support.controlplane_api import Api, ApiError, until


def custom_resources(*options: str) -> list[Any]:
    """The CustomResourceDefinitions that `fretsaw crds` prints."""
    command = [sys.executable, "-m", "fretsaw", "crds", "--output", "json", *options]
    printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return list(json.loads(printed)["items"])


def install(api: Api, definitions: Sequence[Any]) -> None:
    """Apply CustomResourceDefinitions and return when their objects can be made."""
    for definition in definitions:
        api.apply(definition)
    for definition in definitions:
        _wait(api, definition)


def _wait(api: Api, definition: Any) -> None:
    name, path = definition["metadata"]["name"], api.path(definition)
    until(lambda: established(api("GET", path)), f"{name} is established")
    until(lambda: served(api, definition), f"{name} is served")


def established(definition: Any) -> bool:
    """True once the server has taken up the kind."""
    conditions = definition.get("status", {}).get("conditions") or []
    return any(each["type"] == "Established" and each["status"] == "True" for each in conditions)


def served(api: Api, definition: Any) -> bool:
    """True once its objects can be listed, which may be a moment later: not found, then "storage is (re)initializing"."""
    spec = definition["spec"]
    try:
        api("GET", f"/apis/{spec['group']}/{spec['versions'][0]['name']}/{spec['names']['plural']}")
    except ApiError as error:
        if error.status in {404, 429}:
            return False
        raise
    return True
