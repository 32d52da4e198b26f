"""How `fretsaw lint` shows findings, rules and changes on a terminal or in a file."""

from __future__ import annotations

from difflib import unified_diff
from itertools import groupby
from typing import TYPE_CHECKING

import click
from rich.padding import Padding
from rich.text import Text

from fretsaw.cli import errors
from fretsaw.cli.render import console
from fretsaw.lint.found import SEVERITIES, Finding
from fretsaw.lint.market import a_month, dollars
from fretsaw.lint.rule import FAMILIES, all_rules, chosen
from fretsaw.lint.run import Report

if TYPE_CHECKING:
    from rich.console import Console

    from fretsaw.api.document import Document
    from fretsaw.api.manifest import Manifests
    from fretsaw.lint.fixing import Fixed

_COLOURS = {"error": "red", "warning": "yellow", "info": "cyan"}
_MARGIN = 9


def show(manifests: Manifests, report: Report) -> None:
    """All findings, file by file, with the lines that they are about."""
    out = console()
    documents = _Documents(manifests)
    for file, findings in groupby(report.findings, key=lambda one: one.file):
        out.print(Text(file, "bold"), soft_wrap=True)
        for finding in findings:
            _show_one(out, finding, documents.line(finding))
        out.print()
    out.print(_summary(manifests, report), soft_wrap=True)


class _Documents:
    """The lines of the input's texts."""

    def __init__(self, manifests: Manifests) -> None:
        self._by_file: dict[str, list[Document]] = {}
        for document in manifests.documents:
            self._by_file.setdefault(document.file, []).append(document)

    def line(self, finding: Finding) -> str:
        """The line of a finding as it is written; empty where there is no text."""
        for document in self._by_file.get(finding.file, ()):
            number = finding.line - document.chunk.line
            lines = document.chunk.text.split("\n") if document.object == finding.object else []
            if 0 <= number < len(lines):
                return lines[number].rstrip()
        return ""


def _show_one(out: Console, one: Finding, source: str) -> None:
    where = " ".join(part for part in (one.object, one.path) if part)
    colour = _COLOURS[one.severity]
    out.print(
        Text.assemble(
            (f"  line {one.line}: ", "dim"), (f"{one.severity} {one.rule}", colour), f" {one.name}  ", (where, "cyan")
        ),
        soft_wrap=True,
    )
    if source:
        out.print(Text.assemble((f"{one.line:>6} │ ", "dim"), source), soft_wrap=True)
    _paragraph(out, Text(one.message))
    if one.proof:
        _paragraph(out, Text.assemble(("proof: ", "bold"), one.proof))
    if one.usd_per_hour:
        _paragraph(
            out, Text.assemble(("at risk: ", "bold"), f"{dollars(one.usd_per_hour)}/h, {a_month(one.usd_per_hour)}")
        )
    if one.fix:
        _paragraph(out, Text.assemble(("fix: ", "green"), one.fix, (" [--fix]" if one.edits else "", "dim")))


def _paragraph(out: Console, text: Text) -> None:
    """On a terminal long text wraps under itself; in a file a line stays a line."""
    if out.is_terminal:
        out.print(Padding(text, (0, 0, 0, _MARGIN)))
    else:
        out.print(Text(" " * _MARGIN) + text, soft_wrap=True)


def _summary(manifests: Manifests, report: Report) -> Text:
    objects = sum(1 for document in manifests.documents if document.kind)
    if not report.findings:
        return Text(f"{_counted(objects, 'object')} judged: nothing found{_allowed(report)}", "green")
    parts = [_counted(report.count(s), "note" if s == "info" else s) for s in SEVERITIES if report.count(s)]
    fixable = sum(bool(one.edits) for one in report.findings)
    text = f"{_counted(objects, 'object')} judged: {', '.join(parts)}{_allowed(report)}"
    if fixable:
        text += f"; --fix mends {fixable}"
    return Text(text, "red" if report.count("error") else "yellow")


def _allowed(report: Report) -> str:
    return f"; {len(report.allowed)} allowed by comments" if report.allowed else ""


def _counted(number: int, word: str) -> str:
    return f"{number} {word}" if number == 1 else f"{number} {word}s"


def explain(name: str) -> int:
    """The pages of the rules of a code or name."""
    out = console()
    for rule in chosen((name,), ()):
        page = rule.page
        head = Text.assemble((f"{rule.code} {rule.name}", "bold"), f"  ({rule.severity})\n{page.title}\n")
        out.print(head, soft_wrap=True)
        parts = (("", page.what), ("Why", page.why), ("Example", page.example), ("Fix", page.fix))
        for title, body in (*parts, ("Source", page.source)):
            if title:
                out.print(Text(title, "bold"))
            out.print(Text(body + "\n"), soft_wrap=True)
    return errors.DONE


def list_rules() -> int:
    """Every rule in a line, by family."""
    out = console()
    for family, rules in groupby(all_rules(), key=lambda one: one.family):
        out.print(Text(f"{family}: {FAMILIES[family]}", "bold"))
        for rule in rules:
            fix = ", --fix" if rule.fixes else ""
            out.print(Text(f"  {rule.code:<9}{rule.name:<42} {rule.page.title} ({rule.severity}{fix})"), soft_wrap=True)
    return errors.DONE


def show_diff(fixed: Fixed) -> None:
    """What would change, as a unified diff."""
    for file, after in fixed.after.items():
        before = fixed.before[file]
        for line in unified_diff(before.splitlines(True), after.splitlines(True), f"a/{file}", f"b/{file}"):
            click.echo(line, nl=False)
            if not line.endswith("\n"):
                click.echo("\n\\ No newline at end of file")


def tell_fixed(fixed: Fixed, *, written: bool) -> None:
    """How much was mended, on standard error."""
    number, files, left = len(fixed.findings), len(fixed.after), len(fixed.report.findings)
    verb = "mended" if written else "could be mended"
    errors.say("note", f"{_counted(number, 'finding')} {verb} in {_counted(files, 'file')}; {left} left")
