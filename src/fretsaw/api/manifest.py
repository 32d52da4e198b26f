"""Files in, objects and all their problems out; and objects back to YAML.

The valid rest is always loaded: a broken file, document or field never hides another one.
"""

from __future__ import annotations

import gc
import os
import stat
import sys
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import yaml

from fretsaw.api import admission, scalars, yamltext
from fretsaw.api.document import Document, Located
from fretsaw.api.kinds import groups_of, split
from fretsaw.api.meta import Object
from fretsaw.api.problem import Problem
from fretsaw.api.yamltext import Chunk, TextError

__all__ = ["Document", "Located", "Manifests", "Problem", "dump", "load", "no_collection", "parse"]

SUFFIXES: Final = (".yaml", ".yml", ".json")
MAX_DOCUMENTS: Final = 500_000
STDIN: Final = "-"
GZIP: Final = b"\x1f\x8b"
"""How a packed file begins."""


class Manifests:
    """Everything that was loaded, in the order of the files."""

    def __init__(self, documents: Iterable[Document]) -> None:
        self.documents: tuple[Document, ...] = tuple(documents)

    @property
    def problems(self) -> tuple[Located, ...]:
        """All problems of all documents with file and line."""
        return tuple(located for document in self.documents if document.problems for located in document.located())

    @property
    def errors(self) -> tuple[Located, ...]:
        """The problems that make an object unusable."""
        return tuple(located for located in self.problems if located.severity == "error")

    @property
    def warnings(self) -> tuple[Located, ...]:
        """The other problems."""
        return tuple(located for located in self.problems if located.severity == "warning")

    def of(self, kind: str) -> tuple[Document, ...]:
        """The documents of a kind that is read, other groups' kinds of the same name left out."""
        groups = groups_of(kind)
        return tuple(
            document
            for document in self.documents
            if document.kind == kind and split(document.api_version)[0] in groups
        )

    def objects(self, kind: str) -> tuple[Any, ...]:
        """The typed objects of a kind, without those whose types are wrong."""
        return tuple(document.obj for document in self.of(kind) if document.obj is not None)


def load(paths: Iterable[str | Path], *, stdin: bytes | None = None) -> Manifests:
    """All objects of files, folders (recursive) and `-` (standard input, or the bytes given).

    Never raises for what it reads: unreadable files and wrong objects become problems of their document.
    """
    with no_collection():
        documents = list(_load(paths, stdin))
        admission.across(documents)
    return Manifests(documents)


def _load(paths: Iterable[str | Path], stdin: bytes | None) -> Iterator[Document]:
    """The documents of all files, each file once however often it is named."""
    done: set[Path] = set()
    for path in paths:
        for file in _files(path):
            if isinstance(file, Document):
                yield file
            elif file == STDIN:
                yield from _read(file, stdin)
            elif (real := _real(file)) not in done:
                done.add(real)
                yield from _read(file, stdin)


def _real(file: str) -> Path:
    try:
        return Path(file).resolve()
    except (OSError, RuntimeError, ValueError):  # a circle of links, or a name with a null character
        return Path(file)


@contextmanager
def no_collection() -> Iterator[None]:
    """Keeps the cycle collector still: everything made here stays, and walking it again and again doubles the time."""
    running = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if running:
            gc.enable()


def parse(text: str | bytes, file: str = "<text>") -> Manifests:
    """All objects of a text."""
    with no_collection():
        documents = list(_objects(file, text.encode() if isinstance(text, str) else text))
        admission.across(documents)
    return Manifests(documents)


def _broken(file: str, message: str, right: str = "", line: int = 1, seen: str = "") -> Document:
    """A document that stands for a text that is no object."""
    document = Document(file, None, Chunk("", line))
    document.problems = (Problem("", message, by="file", right=right, seen=seen),)
    return document


def _files(path: str | Path) -> Iterator[str | Document]:
    """The files that a path stands for, or a document with what is wrong with it."""
    text = os.fspath(path)
    if text == STDIN:
        yield STDIN
    elif not os.path.isdir(text):
        yield text
    else:
        files = list(_walk(text))
        yield from files
        if not files:
            yield _broken(text, "no manifest in this folder", f"files that end in {', '.join(SUFFIXES)}")


def _walk(folder: str) -> Iterator[str]:
    """The manifests of a folder and its subfolders by name; hidden ones are left out."""
    for base, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            if name.lower().removesuffix(".gz").endswith(SUFFIXES) and not name.startswith("."):
                yield os.path.join(base, name)


def _read(file: str, stdin: bytes | None) -> Iterator[Document]:
    """The objects of one file."""
    try:
        if file == STDIN:
            data = sys.stdin.buffer.read(yamltext.MAX_BYTES + 1) if stdin is None else stdin
        else:
            with open(file, "rb") as stream:
                data = stream.read(yamltext.MAX_BYTES + 1)
        data = _unpacked(data)
    except (OSError, ValueError, zlib.error) as error:
        yield _unreadable(file, error)
        return
    yield from _objects("<stdin>" if file == STDIN else file, data)


def _unpacked(data: bytes) -> bytes:
    """The bytes that gzip packed, no more of them than are read of any file. Raises ValueError, or zlib's own error."""
    if not data.startswith(GZIP):
        return data
    unpacking = zlib.decompressobj(wbits=31)
    found = unpacking.decompress(data, yamltext.MAX_BYTES + 1)
    if not unpacking.eof and len(found) <= yamltext.MAX_BYTES:
        raise ValueError("The packed file ends too early")
    return found


def _unreadable(file: str, error: OSError | ValueError | zlib.error) -> Document:
    reason = getattr(error, "strerror", None) or str(error)
    try:
        if stat.S_ISLNK(os.lstat(file).st_mode) and not os.path.exists(file):
            return _broken(file, "a symbolic link that leads nowhere", seen=os.readlink(file))
    except (OSError, ValueError):
        pass
    return _broken(file, f"cannot be read: {reason[:1].lower()}{reason[1:]}")


def _objects(file: str, data: bytes) -> Iterator[Document]:
    """The documents of a file's bytes."""
    try:
        text = yamltext.decode(data)
    except TextError as error:
        yield _broken(file, error.message, error.right, error.line)
        return
    empty = True
    for count, chunk in enumerate(yamltext.chunks(text)):
        if count >= MAX_DOCUMENTS:
            yield _broken(file, f"more than {MAX_DOCUMENTS} documents", "split the file", chunk.line)
            return
        for document in _chunk_objects(file, chunk):
            empty = False
            yield document
    if empty:
        document = _broken(file, "")
        document.problems = (Problem("", "the file holds no object", "warning", "file"),)
        yield document


def _chunk_objects(file: str, chunk: Chunk) -> Iterator[Document]:
    """The objects between two `---` lines."""
    duplicates: list[tuple[int, int, str]] = []
    try:
        trees = chunk.documents(duplicates)
    except TextError as error:
        yield _not_yaml(file, chunk, error)
        return
    twice = tuple(
        Problem("", f'the key "{key}" stands twice in one map, in lines {first} and {second}', by="file")
        for second, first, key in duplicates
    )
    for index, tree in enumerate(trees):
        for document in _items(file, tree, chunk, index):
            admission.examine(document)
            if twice:
                document.problems, twice = (*twice, *document.problems), ()
            yield document


def _not_yaml(file: str, chunk: Chunk, error: TextError) -> Document:
    """A text that does not parse; templates that are not filled in are the usual reason."""
    line = error.line + chunk.line - 1
    lines = chunk.text.split("\n")
    near = "\n".join(lines[max(0, error.line - 2) : error.line + 1])
    if found := yamltext.placeholder(near) or yamltext.placeholder(chunk.text):
        return _broken(
            file,
            "not YAML before its template is filled in",
            f"render it first, with {'helm template' if found.startswith('{{') else 'envsubst or sed'}",
            line,
            found,
        )
    return _broken(file, error.message, error.right, line)


def _items(file: str, tree: Any, chunk: Chunk, index: int, prefix: yamltext.Path = ()) -> Iterator[Document]:
    """The object itself, or the items of a List; nothing for an empty document."""
    if tree is None:
        return
    items = tree.get("items") if isinstance(tree, dict) else None
    kind = tree.get("kind") if isinstance(tree, dict) else None
    if not (isinstance(kind, str) and kind.endswith("List") and isinstance(items, list)) or len(prefix) > 8:
        yield Document(file, tree, chunk, index, prefix)
        return
    defaults = {} if kind == "List" else {"apiVersion": tree.get("apiVersion"), "kind": kind.removesuffix("List")}
    for number, item in enumerate(items):
        whole = {**defaults, **item} if isinstance(item, dict) and defaults else item
        yield from _items(file, whole, chunk, index, (*prefix, "items", number))


class _Dumper(getattr(yaml, "CSafeDumper", yaml.SafeDumper)):  # type: ignore[misc]
    """Writes texts so that `scalars.resolve` reads them back as texts, and no aliases."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _represent_text(dumper: Any, text: str) -> Any:
    try:
        plain = isinstance(scalars.resolve(text), str)
    except ValueError:
        plain = False
    style = "|" if "\n" in text and not text[0].isspace() else None if plain else "'"
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _represent_text)


def dump(documents: Sequence[Document] | Iterable[dict[str, Any] | Object]) -> str:
    """YAML that loads to the same raw trees, one document each."""
    trees = [document.raw if isinstance(document, Document) else document for document in documents]
    text: str = yaml.dump_all(
        trees, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120, default_flow_style=False
    )
    return text


def ignored(manifests: Manifests) -> Counter[str]:
    """How many objects of each kind were not read, by `Kind (apiVersion)`."""
    return Counter(
        f"{document.kind} ({document.api_version})"
        for document in manifests.documents
        if document.kind and document.known is None and document.obj is None and not document.has_errors
    )
