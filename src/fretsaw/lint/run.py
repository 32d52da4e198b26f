"""All rules over all views of the input."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import msgspec

from fretsaw.api.document import Document
from fretsaw.api.manifest import Manifests
from fretsaw.lint.allow import Allowance, allowances
from fretsaw.lint.found import SEVERITIES, Finding, Found
from fretsaw.lint.given import Input
from fretsaw.lint.rule import Rule, all_rules
from fretsaw.lint.views import View

_LONGEST = 60
"""Lines of a text in which a word is looked for."""


class Report(msgspec.Struct, frozen=True):
    """What a run found."""

    findings: tuple[Finding, ...]
    """By file, line and rule."""
    allowed: tuple[tuple[Finding, str], ...] = ()
    """What comments allow, with their reasons."""
    notes: tuple[str, ...] = ()
    """Comments that allow nothing."""

    def count(self, severity: str) -> int:
        """How many findings are so grave."""
        return sum(finding.severity == severity for finding in self.findings)

    def at_least(self, severity: str) -> bool:
        """Whether any finding is so grave or graver."""
        return any(self.count(one) for one in SEVERITIES[: SEVERITIES.index(severity) + 1])


def lint(manifests: Manifests, rules: Iterable[Rule] | None = None, *, region: str = "us-east-1") -> Report:
    """Look at everything. rules: these in place of all. region: where pools are that do not say it.

    Never raises for what the input holds.
    """
    given = Input(manifests, region)
    wanted = all_rules() if rules is None else tuple(rules)
    findings = sorted({finding.order: finding for finding in _findings(given, wanted)}.items())
    comments = list(allowances(given.documents))
    allowing = [one for one in comments if isinstance(one, Allowance)]
    notes = [str(one) for one in comments if not isinstance(one, Allowance)]
    kept, allowed, used = [], [], set()
    for _, finding in findings:
        allowance = next((one for one in allowing if one.covers(finding)), None)
        if allowance is None:
            kept.append(finding)
        else:
            used.add(allowance)
            allowed.append((finding, allowance.reason))
    if rules is None:
        notes += [_unused(one) for one in allowing if one not in used]
    return Report(tuple(kept), tuple(allowed), tuple(notes))


def _unused(one: Allowance) -> str:
    return f"{one.file}:{one.line}: allows {', '.join(sorted(one.codes))}, which is not found"


def _findings(given: Input, rules: Iterable[Rule]) -> Iterator[Finding]:
    for rule in rules:
        for on in rule.on:
            for view in given.views(on, even_invalid=rule.even_invalid):
                for found in rule.check(view, given):
                    yield _finding(rule, view, found)


def _finding(rule: Rule, view: View, found: Found) -> Finding:
    document: Document = view.document
    line = document.line_of(found.path)
    return Finding(
        rule=rule.code,
        name=rule.name,
        severity=found.severity or rule.severity,
        file=document.file,
        line=_line_with(document, line, found.word) if found.word else line,
        object=document.object,
        path=found.path,
        message=found.message,
        fix=found.fix,
        proof=found.proof,
        usd_per_hour=found.usd_per_hour,
        edits=found.edits,
    )


def _line_with(document: Document, line: int, word: str) -> int:
    """The first line from that of a field on that holds a word; the field's own where none does."""
    lines = document.chunk.text.split("\n")
    first = line - document.chunk.line
    return next((line + n for n, text in enumerate(lines[first : first + _LONGEST]) if word in text), line)
