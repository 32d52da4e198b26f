"""Traces as files, packed with gzip where the name ends in `.gz`; a reader looks at the content instead."""

from __future__ import annotations

import gzip
import io
import sys
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, cast

from fretsaw.engine.options import Options
from fretsaw.errors import UserError
from fretsaw.trace.codec import Reader, TraceError, Writer

LEVEL = 6
"""Of gzip: a day packs to a fifteenth in a twentieth of a second; above it, that takes many times as long."""
BUFFER = 1 << 18
"""Bytes that are packed at once: to pack line by line costs more than the packing."""
_MAGIC = b"\x1f\x8b"


@contextmanager
def writing(path: Path, options: Options, about: dict[str, Any]) -> Iterator[Writer]:
    """A writer into a file that is whole, as far as it goes, however the block ends. Raises UserError."""
    try:
        raw = open(path, "wb")  # noqa: SIM115
    except OSError as error:
        raise UserError(str(path), "cannot be written", error.strerror or str(error)) from error
    with raw:
        if path.suffix == ".gz":
            # Neither name nor time in the header: equal runs give equal bytes.
            with gzip.GzipFile("", "wb", LEVEL, raw, mtime=0) as packed, io.BufferedWriter(packed, BUFFER) as buffered:
                yield Writer(buffered.write, options, about)
        else:
            yield Writer(raw.write, options, about)


@contextmanager
def reading(name: str) -> Iterator[Reader]:
    """A reader of a file, or of standard input for `-`. Raises UserError, or TraceError with the line."""
    if name == "-":
        yield Reader(_lines(sys.stdin.buffer, "<stdin>"), "<stdin>")
        return
    try:
        raw = open(name, "rb")  # noqa: SIM115
    except (OSError, ValueError) as error:
        raise UserError(name, "cannot be read", getattr(error, "strerror", None) or str(error)) from error
    with raw:
        yield Reader(_lines(raw, name), name)


def _lines(raw: Any, name: str) -> Iterator[bytes]:
    """The lines, unpacked. Raises TraceError where that ends too early."""
    number = 0
    try:
        source = cast(IO[bytes], gzip.GzipFile(fileobj=raw) if raw.peek(2)[:2] == _MAGIC else raw)
        for line in source:
            number += 1
            yield line
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise TraceError(name, number + 1, "the packed file ends in the middle or is damaged", str(error)) from error
    except OSError as error:
        raise UserError(name, "cannot be read", error.strerror or str(error)) from error
