"""Findings for programs: the documented JSON, SARIF 2.1.0, and annotations of a GitHub workflow."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import PurePath
from typing import Any

from fretsaw import __version__
from fretsaw.lint.found import Finding
from fretsaw.lint.rule import Rule
from fretsaw.lint.run import Report

_SARIF_LEVEL = {"error": "error", "warning": "warning", "info": "note"}
_GITHUB_LEVEL = {"error": "error", "warning": "warning", "info": "notice"}


def as_json(report: Report) -> dict[str, Any]:
    """The documented shape; `proof` and `usdPerHour` (null where it is not known) are beside it."""
    return {
        "findings": [
            {
                "rule": one.rule,
                "severity": one.severity,
                "file": one.file,
                "line": one.line,
                "object": one.object,
                "path": one.path,
                "message": one.message,
                "fix": one.fix,
                "name": one.name,
                "proof": one.proof,
                "usdPerHour": None if one.usd_per_hour is None else round(one.usd_per_hour, 4),
                "fixable": bool(one.edits),
            }
            for one in report.findings
        ]
    }


def as_sarif(report: Report, rules: Iterable[Rule]) -> dict[str, Any]:
    """SARIF 2.1.0; what comments allow is in it as suppressed, with the reason."""
    known = list(rules)
    number = {one.code: n for n, one in enumerate(known)}
    results = [_result(one, number) for one in report.findings]
    results += [
        {**_result(one, number), "suppressions": [{"kind": "inSource", "justification": reason}]}
        for one, reason in report.allowed
    ]
    driver = {
        "name": "fretsaw",
        "version": __version__,
        "rules": [_descriptor(one) for one in known],
    }
    return {
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{"tool": {"driver": driver}, "results": results, "columnKind": "unicodeCodePoints"}],
    }


def _descriptor(rule: Rule) -> dict[str, Any]:
    page = rule.page
    return {
        "id": rule.code,
        "name": rule.name,
        "shortDescription": {"text": page.title},
        "fullDescription": {"text": page.what},
        "help": {"text": f"{page.why}\n\n{page.fix}"},
        "defaultConfiguration": {"level": _SARIF_LEVEL[rule.severity]},
    }


def _result(one: Finding, number: dict[str, int]) -> dict[str, Any]:
    physical = {
        "artifactLocation": {"uri": PurePath(one.file).as_posix()},
        "region": {"startLine": max(one.line, 1)},
    }
    logical = {"fullyQualifiedName": f"{one.object} {one.path}".strip()}
    return {
        "ruleId": one.rule,
        "ruleIndex": number[one.rule],
        "level": _SARIF_LEVEL[one.severity],
        "message": {"text": whole(one)},
        "locations": [{"physicalLocation": physical, "logicalLocations": [logical]}],
        "partialFingerprints": {"fretsaw/v1": f"{one.rule}:{one.object}:{one.path}"},
    }


def whole(one: Finding) -> str:
    """Message, proof and fix as sentences in one line."""
    parts = (one.message, one.proof, one.fix)
    return " ".join(part if part.endswith((".", "?", "!")) else f"{part}." for part in parts if part)


def as_github(report: Report) -> Iterator[str]:
    """One workflow command a finding."""
    for one in report.findings:
        where = f"file={_property(one.file)},line={max(one.line, 1)},title={_property(f'{one.rule} {one.name}')}"
        text = f"{one.object}: {whole(one)}" if one.object else whole(one)
        yield f"::{_GITHUB_LEVEL[one.severity]} {where}::{_data(text)}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
