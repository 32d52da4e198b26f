"""Comments that allow what a rule would find: `# fretsaw: allow GPU101 because the team pays for it`.

Such a comment stands at the end of the line, or above it (then it holds for all that is indented under the line), or
above the object. A live object has no comments: its annotation `fretsaw.dev/allow` holds the same words, several
divided by `;`. Without a reason nothing is allowed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

import msgspec

from fretsaw.api.document import Document
from fretsaw.lint.found import Finding
from fretsaw.lint.tree import a_text, at

ANNOTATION = "fretsaw.dev/allow"
_COMMENT = re.compile(r"(?:^|\s)#\s*fretsaw:\s*allow\b(?P<rest>.*)$")
_WORDS = re.compile(r"\s*(?P<codes>[A-Z]+\d+(?:\s*,\s*[A-Z]+\d+)*)(?:\s+because\s+(?P<reason>\S.*))?\s*$")


class Allowance(msgspec.Struct, frozen=True):
    """What is allowed on which lines of a file."""

    file: str
    line: int
    codes: frozenset[str]
    first: int
    last: int
    """Lines of findings that it covers, both included."""
    reason: str
    object: str = ""
    """Only this one of the file; empty for all."""

    def covers(self, finding: Finding) -> bool:
        """Whether it allows a finding."""
        return (
            finding.rule in self.codes
            and finding.file == self.file
            and self.first <= finding.line <= self.last
            and self.object in ("", finding.object)
        )


class Misread(msgspec.Struct, frozen=True):
    """A comment that allows nothing, and why."""

    file: str
    line: int
    why: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.why}"


def allowances(documents: Iterable[Document]) -> Iterator[Allowance | Misread]:
    """All that the comments and annotations of some documents allow."""
    done: set[int] = set()
    for document in documents:
        if isinstance(text := at(document.raw, "metadata", "annotations", ANNOTATION), str):
            yield from _annotated(document, a_text(text))
        if id(document.chunk) not in done and "fretsaw:" in document.chunk.text:
            done.add(id(document.chunk))
            yield from _commented(document)


def _annotated(document: Document, text: str) -> Iterator[Allowance | Misread]:
    for part in filter(None, (part.strip() for part in text.split(";"))):
        yield _read(document.file, document.line, part, 0, 2**31, document.object)


def _commented(document: Document) -> Iterator[Allowance | Misread]:
    lines = document.chunk.text.split("\n")
    before_all = True
    for number, line in enumerate(lines):
        body = line.strip()
        alone = body.startswith("#")
        match = _COMMENT.search(line)
        if match is not None:
            first, last = (0, len(lines)) if alone and before_all else _covered(lines, number, alone=alone)
            here = document.chunk.line
            yield _read(document.file, number + here, match["rest"], first + here, last + here, "")
        before_all = before_all and (alone or not body or body == "---")


def _covered(lines: list[str], number: int, *, alone: bool) -> tuple[int, int]:
    """The lines that a comment is about, from 0: its own, or the next one with all that is indented under it."""
    if not alone:
        return number, number
    start = number + 1
    while start < len(lines) and (not lines[start].strip() or lines[start].lstrip().startswith("#")):
        start += 1
    if start == len(lines):
        return number, number
    depth = _indent(lines[start])
    end = start
    while end + 1 < len(lines) and (not lines[end + 1].strip() or _indent(lines[end + 1]) > depth):
        end += 1
    return start, end


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())


def _read(file: str, line: int, text: str, first: int, last: int, of: str) -> Allowance | Misread:
    match = _WORDS.match(text)
    if match is None:
        return Misread(file, line, "an allowance that cannot be read: write `allow CODE because REASON`")
    if not match["reason"]:
        return Misread(file, line, f"allows {match['codes']} without a reason: write `allow CODE because REASON`")
    codes = frozenset(code.strip() for code in match["codes"].split(","))
    return Allowance(file, line, codes, first, last, match["reason"].strip(), of)
