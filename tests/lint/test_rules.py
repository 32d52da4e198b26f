"""Every rule has a page, a source, an example in which it finds something, and a table whose cases hold."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from fretsaw.api.manifest import parse
from fretsaw.lint import rules
from fretsaw.lint.edit import Place, edited
from fretsaw.lint.found import Finding
from fretsaw.lint.rule import FAMILIES, Rule, all_rules
from fretsaw.lint.run import lint
from support.lint_cases import CASES, Case, bases, table

RULES = all_rules()
MODULES = {rule.module.rpartition(".")[2]: rule for rule in RULES}
TABLES = [case for name in sorted(MODULES) if (CASES / f"{name}.yaml").exists() for case in table(name)]


def findings(text: str, rule: Rule) -> list[Finding]:
    return list(lint(parse(text, "case.yaml"), [rule]).findings)


def test_there_are_as_many_rules_as_promised_in_every_family() -> None:
    assert len(RULES) >= 60
    assert {rule.family for rule in RULES} == set(FAMILIES)


def test_a_file_is_a_rule_and_is_named_as_it() -> None:
    files = {path.stem for path in Path(rules.__path__[0]).glob("*.py")} - {"__init__"}
    assert files == set(MODULES)
    assert [rule.name for rule in MODULES.values()] == [name.replace("_", "-") for name in MODULES]
    assert len({rule.code for rule in RULES}) == len(RULES)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.code)
def test_a_rule_has_a_page_with_a_source_and_a_table_with_both_sorts_of_cases(rule: Rule) -> None:
    page = rule.page
    assert all((page.title, page.what, page.why, page.example, page.fix, page.source))
    assert not page.title.endswith(".")
    cases = table(rule.module.rpartition(".")[2])
    assert {case.fails for case in cases} == {True, False}
    assert len({case.name for case in cases}) == len(cases)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.code)
def test_a_rule_finds_something_in_the_example_of_its_page(rule: Rule) -> None:
    assert findings(rule.page.example.replace("SCRIPT-OF-15-KB", "x" * 15_000), rule)


def test_every_table_belongs_to_a_rule() -> None:
    assert {path.stem for path in CASES.glob("*.yaml")} == set(MODULES)


@pytest.mark.parametrize("case", [c for c in TABLES if c.fails], ids=str)
def test_what_is_wrong_is_found(case: Case) -> None:
    found = findings(case.text, MODULES[case.table])
    assert found, "nothing was found"
    shown = "\n".join(f"{one.path}: {one.message} {one.proof} {one.fix}" for one in found)
    if case.at is not None:
        assert case.at in [one.path for one in found], shown
    assert case.says in shown, shown
    assert case.count in (None, len(found)), shown
    assert case.severity is None or {one.severity for one in found} == {case.severity}


@pytest.mark.parametrize("case", [c for c in TABLES if not c.fails], ids=str)
def test_what_is_right_is_not_found(case: Case) -> None:
    assert [(one.path, one.message) for one in findings(case.text, MODULES[case.table])] == []


@pytest.mark.parametrize("case", [c for c in TABLES if c.fails and MODULES[c.table].fixes], ids=str)
def test_a_fix_mends_what_was_found_and_keeps_what_is_valid_valid(case: Case) -> None:
    rule, text = MODULES[case.table], case.text
    for one in findings(text, rule):
        documents = [d for d in parse(text, "case.yaml").documents if d.object == one.object and d.line <= one.line]
        if one.edits:
            text, made = edited(text, Place(max(documents, key=lambda d: d.line)), one.edits)
            assert made == len(one.edits), one
    assert [one for one in findings(text, rule) if one.edits] == []
    assert {str(p) for p in parse(text).errors} <= {str(p) for p in parse(case.text).errors}


def test_rules_that_mend_are_marked_and_only_they() -> None:
    mending = {case.table for case in TABLES for one in findings(case.text, MODULES[case.table]) if one.edits}
    assert mending == {name for name, rule in MODULES.items() if rule.fixes}


@pytest.mark.parametrize("name", sorted(bases()))
def test_no_more_than_notes_are_found_in_a_base_alone(name: str) -> None:
    report = lint(parse(yaml.safe_dump(bases()[name]), f"{name}.yaml"))
    grave = [one for one in report.findings if one.severity != "info"]
    assert [f"{one.rule} {one.path}: {one.message} {one.proof}" for one in grave] == []


def test_nothing_is_found_in_all_bases_together() -> None:
    report = lint(parse(yaml.safe_dump_all(bases().values()), "platform.yaml"))
    assert [f"{one.rule} {one.object} {one.path}: {one.message} {one.proof}" for one in report.findings] == []
