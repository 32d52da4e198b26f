"""A reading as one file, which `plan -f` and `simulate -f` read: YAML documents, or a List as JSON; packed or not."""

from __future__ import annotations

import gzip
import json
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from fretsaw import __version__
from fretsaw.api.manifest import dump
from fretsaw.api.times import rfc3339
from fretsaw.errors import UserError
from fretsaw.live.clean import cleaned
from fretsaw.live.reading import Reading, Tree

PACKED = ".gz"


def render(reading: Reading, name: str = "", *, with_env: bool = False) -> bytes:
    """The file's content. name: decides by its end: `.json` for a List, `.gz` for packed."""
    trees = (cleaned(tree, with_env=with_env) for tree in reading.objects())
    plain = name.removesuffix(PACKED)
    text = _list(reading, trees) if plain.endswith(".json") else _documents(reading, trees)
    data = text.encode()
    return gzip.compress(data, mtime=0) if name.endswith(PACKED) else data


def write(path: str, data: bytes) -> None:
    """Put the file there as a whole, or not at all. Raises UserError where it cannot be written."""
    target = Path(path)
    beside = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        if target.exists() and not target.is_file():  # a pipe or a device takes the content, and stays what it is
            target.write_bytes(data)
            return
        beside.write_bytes(data)
        beside.replace(target)
    except OSError as error:
        with suppress(OSError):
            beside.unlink(missing_ok=True)
        raise UserError(path, "cannot be written", error.strerror or str(error)) from error


def about(reading: Reading) -> dict[str, Any]:
    """Where and when a reading is from, and what it lacks."""
    found = {
        "server": reading.server,
        "kubernetes": reading.version,
        "taken": rfc3339(reading.taken),
        "fretsaw": __version__,
        "namespaces": list(reading.namespaces),
        "forbidden": list(reading.forbidden),
        "missing": list(reading.missing),
    }
    return {key: value for key, value in found.items() if value}


_WORDS = {
    "server": "Cluster",
    "kubernetes": "Kubernetes",
    "taken": "Taken",
    "fretsaw": "By fretsaw",
    "namespaces": "Only of the namespaces",
    "forbidden": "Left out, not allowed",
    "missing": "Left out, not in the cluster",
}


def _documents(reading: Reading, trees: Iterator[Tree]) -> str:
    lines = []
    for key, value in about(reading).items():
        lines.append(f"# {_WORDS[key]}: {', '.join(value) if isinstance(value, list) else value}\n")
    return "".join(lines) + "---\n" + dump(trees)


def _list(reading: Reading, trees: Iterator[Tree]) -> str:
    whole = {"apiVersion": "v1", "kind": "List", "about": about(reading), "items": list(trees)}
    return json.dumps(whole, ensure_ascii=False, separators=(",", ":")) + "\n"
