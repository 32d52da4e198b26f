"""`--fix`: the edits of all findings, made in the files, until nothing more can be mended."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from pathlib import Path

import msgspec

from fretsaw.api import manifest
from fretsaw.api.document import Document
from fretsaw.api.manifest import Manifests
from fretsaw.errors import UserError
from fretsaw.lint.edit import Place, edited
from fretsaw.lint.found import Finding
from fretsaw.lint.rule import Rule
from fretsaw.lint.run import Report, lint

_ROUNDS = 5
"""A fix may bring another rule's fix up; more rounds than this would be two that undo each other."""


class Fixed(msgspec.Struct, frozen=True):
    """What was mended."""

    before: dict[str, str]
    """The texts of the files that changed, as they were."""
    after: dict[str, str]
    findings: tuple[Finding, ...]
    """What was mended, in order."""
    report: Report
    """What is left."""


def reader(sources: Iterable[str]) -> Callable[[dict[str, str]], Manifests]:
    """Reads the sources, with given texts in place of some of their files."""
    named = list(sources)

    def read(texts: dict[str, str]) -> Manifests:
        loaded = manifest.load(named)
        if not texts:
            return loaded
        documents: list[Document] = []
        done: set[str] = set()
        for document in loaded.documents:
            if document.file not in texts:
                documents.append(document)
            elif document.file not in done:
                done.add(document.file)
                documents += manifest.parse(texts[document.file], document.file).documents
        return Manifests(documents)

    return read


def fix(
    read: Callable[[dict[str, str]], Manifests], rules: Iterable[Rule] | None, *, region: str, write: bool = True
) -> Fixed:
    """Mend what can be mended. read: the input, with the texts of some files in place of what is on disk.

    write: whether files are written, each as a whole. Raises UserError for a file that cannot be written.
    """
    before: dict[str, str] = {}
    after: dict[str, str] = {}
    mended: list[Finding] = []
    chosen = None if rules is None else tuple(rules)
    for _ in range(_ROUNDS):
        manifests = read(after)
        report = lint(manifests, chosen, region=region)
        done = _round(manifests, report, before, after)
        mended += done
        if not done:
            break
    report = lint(read(after), chosen, region=region)
    if write:
        for file, text in after.items():
            _write(file, text)
    return Fixed(before, after, tuple(mended), report)


def _round(manifests: Manifests, report: Report, before: dict[str, str], after: dict[str, str]) -> list[Finding]:
    """Make the edits of all findings once, the last lines of a file first; which findings they were."""
    documents = {(d.file, d.line): d for d in manifests.documents}
    by_file: dict[str, list[Finding]] = defaultdict(list)
    for finding in report.findings:
        if finding.edits:
            by_file[finding.file].append(finding)
    done = []
    for file, findings in by_file.items():
        text = after.get(file) or _readable(file)
        if text is None:
            continue
        changed = text
        for finding in sorted(findings, key=lambda one: -one.line):
            document = _document(documents, finding)
            if document is None:
                continue
            changed, made = edited(changed, Place(document), finding.edits)
            if made:
                done.append(finding)
        if changed != text:
            before.setdefault(file, text)
            after[file] = changed
    return done


def _document(documents: dict[tuple[str, int], Document], finding: Finding) -> Document | None:
    """The document that a finding is in: the last one that begins at or before its line."""
    found = [d for (file, line), d in documents.items() if file == finding.file and line <= finding.line]
    return max((d for d in found if d.object == finding.object), key=lambda d: d.line, default=None)


def _readable(file: str) -> str | None:
    """The text of a file that can be written back; None for standard input, packed files and what is not UTF-8."""
    try:
        data = Path(file).read_bytes()
        text = data.decode()
    except (OSError, ValueError):
        return None
    return None if "\r" in text or text.startswith("\ufeff") else text


def _write(file: str, text: str) -> None:
    target = Path(file)
    try:
        target.write_bytes(text.encode())
    except OSError as error:
        raise UserError(file, "cannot be written", error.strerror or str(error)) from error
