"""From bytes to raw trees: YAML or JSON, several documents in one text, each with the lines of its fields.

A broken document does not hide its neighbours. Nothing here knows Kubernetes kinds; `api.manifest` calls it.
Limits on size, depth and aliases are there so that a hostile file ends in a message instead of an exhausted machine.
"""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Iterator
from typing import Any, Final

import yaml

from fretsaw.api import scalars
from fretsaw.api.scalars import Scalar, resolve

Path = tuple[str | int, ...]
Lines = dict[Path, int]

MAX_BYTES: Final = 64 * 2**20
MAX_DEPTH: Final = 100
"""Real manifests stay below 25; the limit protects the stack."""
MAX_NODES: Final = 5_000_000
"""Values in one document; 20,000 pods in one List take a million."""
MAX_ALIASED: Final = 100_000
"""Values that the aliases of a document unfold to."""

_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_MARKER = re.compile(r"^---(?=[ \t\r\n]|\Z)", re.MULTILINE)
_NOTHING = re.compile(r"(?:[ \t]*(?:#[^\n]*|%[^\n]*|\.\.\.[ \t]*)?(?:\r?\n|\Z))*\Z")
_PLACEHOLDER = re.compile(r"\{\{.*?\}\}+|\$\{[^}\n]*\}|<<[A-Za-z_][^<>\n]*>>|\$\([A-Za-z_][\w.]*\)|\$[A-Z_][A-Z0-9_]+")
_SPACE = re.compile(r"[ \t\r\n]*")
_ONE_KIND: Final = bytes.maketrans(b"{}", b"[]")
_NO_BRACKETS: Final = bytes(byte for byte in range(256) if byte not in b"{}[]")
_TEXT_TAGS: Final = ("tag:yaml.org,2002:str", "tag:yaml.org,2002:binary", "tag:yaml.org,2002:timestamp", "!")
_PLAIN_TAGS: Final = tuple(f"tag:yaml.org,2002:{name}" for name in ("int", "float", "bool", "null"))


class TextError(Exception):
    """A text that is no YAML or JSON; `line` counts from 1 in the chunk."""

    def __init__(self, line: int, message: str, right: str = "") -> None:
        super().__init__(line, message, right)
        self.line = line
        self.message = message
        self.right = right


def placeholder(text: str) -> str:
    """The first thing in a text that Helm or envsubst would replace, or an empty text."""
    match = _PLACEHOLDER.search(text)
    return match.group() if match else ""


def decode(data: bytes) -> str:
    """The text of a file. Raises TextError for binary data and other encodings than UTF-8."""
    if len(data) > MAX_BYTES:
        raise TextError(1, f"the file is larger than {MAX_BYTES // 2**20} MiB", "split it into several files")
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        raise TextError(1, "the file is UTF-16", "save it as UTF-8")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise TextError(line, f"not UTF-8 text: byte 0x{data[error.start]:02x}", "save it as UTF-8") from error
    if "\0" in text:
        raise TextError(text.count("\n", 0, text.index("\0")) + 1, "a binary file", "give YAML or JSON")
    return text


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    tree = dict(pairs)
    if len(tree) != len(pairs):
        raise ValueError("duplicate key")  # the YAML reader says where
    return tree


def _json_integer(text: str) -> int | float:
    return int(text) if len(text) < 19 else _json_float(text) if len(text) > 20 else scalars.integer(text)


def _json_float(text: str) -> int | float:
    value = scalars.number(text)
    if isinstance(value, str):
        raise ValueError(text)  # beyond what a float can hold
    return value


def _no_constant(text: str) -> float:
    raise ValueError(text)


_JSON: Final = json.JSONDecoder(
    object_pairs_hook=_pairs, parse_int=_json_integer, parse_float=_json_float, parse_constant=_no_constant
)


class Chunk:
    """The text between two `---` lines, and where it begins."""

    def __init__(self, text: str, line: int) -> None:
        self.text = text
        self.line = line
        self._lines: dict[int, Lines] | None = None

    def documents(self, duplicates: list[tuple[int, int, str]]) -> list[Any]:
        """The raw trees in it, mostly one. Duplicate keys are appended as (second line, first line, key).

        Raises TextError.
        """
        if self.text.lstrip()[:1] in ("{", "["):
            trees = _json_values(self.text)
            if trees is not None:
                return trees
        reader = _Reader(self.text, None)
        trees = reader.trees()
        offset = self.line - 1
        duplicates.extend((second + offset, first + offset, key) for second, first, key in reader.duplicates)
        return trees

    def line_of(self, document: int, path: Path) -> int:
        """The line of a field, or of its nearest ancestor that is in the text."""
        if self._lines is None:
            self._lines = _lines(self.text)
        lines = self._lines.get(document, {})
        while path and path not in lines:
            path = path[:-1]
        return lines.get(path, 1) + self.line - 1


def chunks(text: str) -> Iterator[Chunk]:
    """The documents of a text. A marker at the start of a line ends a document whatever comes before it."""
    marks = [match.start() for match in _MARKER.finditer(text)]
    line = 1
    for begin, end in zip([-1, *marks], [*marks, len(text)], strict=True):
        # The marker's own dashes are blanked, so that `--- {a: 1}` still reads and lines stay right.
        body = text[:end] if begin < 0 else "   " + text[begin + 3 : end]
        if not _NOTHING.match(body):
            yield Chunk(body, line)
        line += body.count("\n")


def _json_values(text: str) -> list[Any] | None:
    """The JSON values of a text one after another; None where it is not plain JSON (YAML then has the last word)."""
    values: list[Any] = []
    try:
        position = _skip_space(text, 0)
        while position < len(text):
            value, position = _JSON.raw_decode(text, position)
            values.append(value)
            position = _skip_space(text, position)
        if _maybe_deep(text) or ("\\u" in text and "\\ud" in text.lower()):
            return None  # the YAML reader says where it is too deep, or which escape is no character
    except (ValueError, RecursionError):
        return None
    return values


def _skip_space(text: str, position: int) -> int:
    match = _SPACE.match(text, position)
    return match.end() if match else position


def _maybe_deep(text: str) -> bool:
    """Whether JSON may nest more than MAX_DEPTH levels (brackets in strings can make it say so wrongly).

    Cost: a few milliseconds per 10 MB, since each round removes the innermost level of all brackets at once.
    """
    brackets = text.encode("utf-8", "replace").translate(_ONE_KIND, _NO_BRACKETS)
    if len(brackets) <= MAX_DEPTH:
        return False
    for _ in range(MAX_DEPTH):
        shorter = brackets.replace(b"[]", b"")
        if len(shorter) == len(brackets):
            break
        brackets = shorter
    return bool(brackets)


def _lines(text: str) -> dict[int, Lines]:
    """The lines of every field of every document of a chunk."""
    found: dict[int, Lines] = {}
    with contextlib.suppress(TextError):  # whoever read the text first has reported it
        _Reader(text, found).trees()
    return found


class _Reader:
    """Builds raw trees from YAML events; with `lines` given, notes where each path is."""

    def __init__(self, text: str, lines: dict[int, Lines] | None) -> None:
        self._text = text
        self._all_lines = lines
        self._lines: Lines | None = None
        self._anchors: dict[str, tuple[Any, int]] = {}
        self._open: set[str] = set()
        self._nodes = 0
        self._aliased = 0
        self.duplicates: list[tuple[int, int, str]] = []

    def trees(self) -> list[Any]:
        """All documents of the text. Raises TextError."""
        loader = None
        try:
            loader = _Loader(self._text)
            self._next = loader.get_event
            return self._documents()
        except yaml.MarkedYAMLError as error:
            raise _text_error(error, self._text.rstrip().count("\n") + 1) from error
        except yaml.reader.ReaderError as error:
            line = self._text.count("\n", 0, error.position) + 1
            seen = error.character if isinstance(error.character, int) else ord(error.character)
            raise TextError(line, f"a character that YAML does not allow: U+{seen:04X}") from error
        except UnicodeEncodeError as error:
            raise TextError(1, "a character that is no Unicode text") from error
        finally:
            if loader is not None:
                loader.dispose()

    def _documents(self) -> list[Any]:
        trees: list[Any] = []
        while True:
            event = self._next()
            if isinstance(event, yaml.StreamEndEvent):
                return trees
            if isinstance(event, yaml.DocumentStartEvent):
                self._anchors, self._nodes, self._aliased = {}, 0, 0
                if self._all_lines is not None:
                    self._lines = self._all_lines.setdefault(len(trees), {})
                trees.append(self._value(self._next(), (), 0))

    def _value(self, event: Any, path: Path, depth: int) -> Any:
        """The value that begins with an event."""
        if self._lines is not None and path not in self._lines:
            self._lines[path] = event.start_mark.line + 1
        self._nodes += 1
        if isinstance(event, yaml.AliasEvent):
            return self._alias(event)
        before = self._nodes
        if event.anchor:
            self._open.add(event.anchor)
        value = self._plain(event, path, depth)
        if event.anchor:
            self._open.discard(event.anchor)
            self._anchors[event.anchor] = (value, self._nodes - before + 1)
        if self._nodes > MAX_NODES:
            raise TextError(event.start_mark.line + 1, f"more than {MAX_NODES} values in one document")
        return value

    def _plain(self, event: Any, path: Path, depth: int) -> Any:
        if isinstance(event, yaml.ScalarEvent):
            return _scalar(event)
        if depth >= MAX_DEPTH:
            raise TextError(event.start_mark.line + 1, f"nested more than {MAX_DEPTH} levels deep")
        if isinstance(event, yaml.MappingStartEvent):
            return self._mapping(event, path, depth + 1)
        return self._sequence(path, depth + 1)

    def _alias(self, event: Any) -> Any:
        """What an alias stands for, counted as if it were written out."""
        line = event.start_mark.line + 1
        if event.anchor in self._open:
            raise TextError(line, f"the alias *{event.anchor} contains itself")
        if event.anchor not in self._anchors:
            raise TextError(line, f"the alias *{event.anchor} has no anchor before it")
        value, size = self._anchors[event.anchor]
        self._nodes += size
        self._aliased += size
        if self._aliased > MAX_ALIASED:
            raise TextError(line, f"aliases that unfold to more than {MAX_ALIASED} values")
        return value

    def _sequence(self, path: Path, depth: int) -> list[Any]:
        items: list[Any] = []
        while True:
            event = self._next()
            if isinstance(event, yaml.SequenceEndEvent):
                return items
            items.append(self._value(event, (*path, len(items)) if self._lines is not None else path, depth))

    def _mapping(self, start: Any, path: Path, depth: int) -> dict[str, Any]:
        tree: dict[str, Any] = {}
        key_lines: dict[str, int] = {}
        merged: dict[str, Any] = {}
        while True:
            event = self._next()
            if isinstance(event, yaml.MappingEndEvent):
                return {**merged, **tree} if merged else tree
            key = _key(event, start)
            line = event.start_mark.line + 1
            here = path
            if self._lines is not None:
                here = (*path, key)
                self._lines[here] = line
            value = self._value(self._next(), here, depth)
            if key == "<<" and not event.style and _is_merge(value):
                merged = {**_merge(value), **merged}
                continue
            if key in tree:
                self.duplicates.append((line, key_lines[key], key))
            tree[key], key_lines[key] = value, line


def _is_merge(value: Any) -> bool:
    return isinstance(value, dict) or (isinstance(value, list) and all(isinstance(item, dict) for item in value))


def _merge(value: Any) -> dict[str, Any]:
    """The fields that a merge key brings in; of several maps the first has the last word."""
    if isinstance(value, dict):
        return value
    result: dict[str, Any] = {}
    for item in reversed(value):
        result.update(item)
    return result


def _scalar(event: Any) -> Scalar:
    """A scalar's value; quoted ones are text, explicit core tags are obeyed."""
    text: str = event.value
    tag = event.tag
    if tag is None or tag in _PLAIN_TAGS:
        if tag is None and not event.implicit[0]:
            return text
        try:
            return resolve(text)
        except ValueError:
            raise TextError(event.start_mark.line + 1, f"{text} is no number that Kubernetes takes") from None
    if tag in _TEXT_TAGS:
        return text
    raise TextError(event.start_mark.line + 1, f"the tag {tag} is not known", "write the value itself")


def _key(event: Any, start: Any) -> str:
    """A key as JSON has it: text."""
    line = event.start_mark.line + 1
    if not isinstance(event, yaml.ScalarEvent):
        raise TextError(start.start_mark.line + 1, "a key that is a map, a list or an alias")
    value = _scalar(event)
    if isinstance(value, str):
        return value
    if value is None:
        raise TextError(line, "an empty key")
    return str(value).lower() if isinstance(value, bool) else str(value)


def _text_error(error: Any, last: int) -> TextError:
    """The parser's own words; what is missing at the end of the text is missing after its `last` line."""
    mark = error.problem_mark or error.context_mark
    words = " ".join(part for part in (error.context, error.problem) if part)
    return TextError(min(mark.line + 1, last) if mark else 1, f"not YAML: {words}")
