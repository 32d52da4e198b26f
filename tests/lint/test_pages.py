"""The pages of the rules are what the rules say, and the table of metrics is what is served."""

from __future__ import annotations

import re
from pathlib import Path

from fretsaw.controllers.telemetry.metrics import GROUPS
from fretsaw.controllers.telemetry.nodes import NODE
from fretsaw.lint.metrics import DROPPED, METRICS, RENAMED
from fretsaw.lint.reference import pages
from fretsaw.lint.rule import all_rules

ROOT = Path(__file__).parents[2]


def test_the_pages_are_made_from_the_rules() -> None:
    folder = ROOT / "docs" / "rules"
    written = {path.name: path.read_text() for path in folder.glob("*.md")}
    assert written == pages(), "run: python -m fretsaw.lint docs/rules"


def test_the_guide_speaks_of_rules_that_there_are() -> None:
    text = (ROOT / "docs" / "lint.md").read_text()
    named = set(re.findall(r"\b(?:GPU|SPOT|DRAIN|COST|AWS|POOL|WORK|OBS)\d{3}\b", text))
    assert named <= {rule.code for rule in all_rules()}


def test_rules_name_rules_that_there_are() -> None:
    known = {rule.code for rule in all_rules()}
    for rule in all_rules():
        page = rule.page
        text = " ".join((page.what, page.why, page.fix))
        assert set(re.findall(r"\b(?:GPU|SPOT|DRAIN|COST|AWS|POOL|WORK|OBS)\d{3}\b", text)) <= known


def test_every_metric_that_is_served_is_known_with_its_labels() -> None:
    for group in GROUPS:
        for family in group.families:
            if not family.name.startswith("karpenter_"):
                continue
            known = METRICS[family.name]
            of_nodes = family.labels[: len(NODE)] == NODE
            labels = family.labels[len(NODE) :] if of_nodes else family.labels
            assert (known.type, known.labels, known.of_nodes) == (family.type, frozenset(labels), of_nodes)


def test_old_names_are_not_today_s_and_new_ones_are() -> None:
    assert not (RENAMED.keys() | DROPPED.keys()) & METRICS.keys()
    assert set(RENAMED.values()) <= METRICS.keys()
