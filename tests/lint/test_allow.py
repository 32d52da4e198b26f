"""Comments that allow a finding: where they stand, what they cover, and that they need a reason."""

from __future__ import annotations

import pytest

from fretsaw.api.manifest import parse
from fretsaw.lint.rule import chosen
from fretsaw.lint.run import Report, lint

POOL = """\
apiVersion: karpenter.sh/v1
kind: NodePool
metadata: {{name: gpu}}
spec:
  template:
    spec:
      requirements:
        - {{key: karpenter.k8s.aws/instance-gpu-name, operator: In, values: [l4]}}
      nodeClassRef: {{group: karpenter.k8s.aws, kind: EC2NodeClass, name: gpu}}
  disruption:
    consolidateAfter: 5m{after}
    {above}
    budgets:
      - nodes: '0'{beside}
"""
ALLOW = "# fretsaw: allow DRAIN101 because the auditors want it"


def judged(head: str = "", above: str = "", beside: str = "", after: str = "") -> Report:
    text = head + POOL.format(above=above or "# nothing", beside=beside, after=after)
    return lint(parse(text, "pool.yaml"), chosen(["DRAIN101", "GPU101"], []))


def codes(report: Report) -> list[str]:
    return [one.rule for one in report.findings]


def test_without_a_comment_both_are_found() -> None:
    assert sorted(codes(judged())) == ["DRAIN101", "GPU101"]


@pytest.mark.parametrize(
    "where",
    [{"head": f"{ALLOW}\n"}, {"head": f"# a pool\n\n{ALLOW}\n# more\n"}, {"above": ALLOW}, {"beside": f" {ALLOW}"}],
)
def test_a_comment_above_the_object_above_the_line_or_at_its_end_allows_it(where: dict[str, str]) -> None:
    report = judged(**where)
    assert codes(report) == ["GPU101"]
    assert [(one.rule, why) for one, why in report.allowed] == [("DRAIN101", "the auditors want it")]
    assert report.notes == ()


def test_a_comment_elsewhere_allows_nothing() -> None:
    assert "DRAIN101" in codes(judged(after=f" {ALLOW}"))


def test_one_comment_may_name_several_rules() -> None:
    report = judged(head="# fretsaw: allow DRAIN101, GPU101 because this is a drill\n")
    assert codes(report) == []
    assert len(report.allowed) == 2


@pytest.mark.parametrize(
    ("comment", "note"),
    [
        ("# fretsaw: allow DRAIN101", "without a reason"),
        ("# fretsaw: allow DRAIN101 because", "without a reason"),
        ("# fretsaw: allow everything because I say so", "cannot be read"),
    ],
)
def test_without_a_reason_it_is_not_obeyed_and_that_is_said(comment: str, note: str) -> None:
    report = judged(above=comment)
    assert "DRAIN101" in codes(report)
    assert len(report.notes) == 1
    assert note in report.notes[0] or "cannot be read" in report.notes[0]
    assert report.notes[0].startswith("pool.yaml:12: ")


def test_an_allowance_of_what_is_not_found_is_said_when_all_rules_ran() -> None:
    text = "# fretsaw: allow SPOT101 because of old times\n" + POOL.format(above="#", beside="", after="")
    assert lint(parse(text, "pool.yaml")).notes == ("pool.yaml:1: allows SPOT101, which is not found",)
    assert lint(parse(text, "pool.yaml"), chosen(["DRAIN"], [])).notes == ()


def test_a_live_object_allows_by_annotation() -> None:
    annotations = "annotations: {fretsaw.dev/allow: 'DRAIN101 because of the audit; GPU101 because they are few'}"
    text = POOL.format(above="#", beside="", after="").replace("{name: gpu}", f"{{name: gpu, {annotations}}}", 1)
    report = lint(parse(text, "<cluster>"), chosen(["DRAIN101", "GPU101"], []))
    assert codes(report) == []
    assert len(report.allowed) == 2
