"""Whatever a file holds, a run ends in findings: no rule raises."""

from __future__ import annotations

import copy
import os
from pathlib import Path
from typing import Any

import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fretsaw.api.manifest import Manifests, load, parse
from fretsaw.lint.run import lint
from support.lint_cases import bases

ODD: list[Any] = [
    None,
    "",
    "x",
    "*",
    "${X}",
    -1,
    0,
    10**30,
    0.5,
    True,
    [],
    {},
    [[]],
    [None],
    {"a": {"b": [1]}},
    "0 0 * * *",
]


def _places(tree: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    found = [path] if path else []
    items = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    for key, value in items:
        found += _places(value, (*path, key))
    return found


@settings(
    max_examples=int(os.environ.get("FRETSAW_FUZZ", "100")),
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    derandomize=True,
)
@given(data=st.data())
def test_a_platform_with_some_fields_made_odd(data: st.DataObject) -> None:
    trees = copy.deepcopy(list(bases().values()))
    for _ in range(data.draw(st.integers(1, 4))):
        tree = data.draw(st.sampled_from(trees))
        *before, last = data.draw(st.sampled_from(_places(tree)))
        inner = tree
        for step in before:
            inner = (
                inner[step] if isinstance(inner, dict | list) and (isinstance(inner, dict) or step < len(inner)) else {}
            )
        if isinstance(inner, dict) or (isinstance(inner, list) and isinstance(last, int) and last < len(inner)):
            inner[last] = copy.deepcopy(data.draw(st.sampled_from(ODD)))
    lint(parse(yaml.safe_dump_all(trees, allow_unicode=True), "odd.yaml"))


def test_things_that_are_no_manifests() -> None:
    for text in (
        "",
        "- 1\n- 2\n",
        "just text\n",
        "groups: 3\nrules: {custom: 7}\npanels: [1, {targets: x}]\ndisruption: [1]\n",
        "driver: {enabled: x}\ntoolkit: [1]\ngfd: {enabled: 3}\n",
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: d}\ndata: {d.json: '{\"panels\": [', e.json: '\"panels\"'}\n",
        "apiVersion: monitoring.coreos.com/v1\nkind: PrometheusRule\nspec: {groups: [{rules: [{expr: [1]}, 3]}, 4]}\n",
        "apiVersion: nvidia.com/v1\nkind: ClusterPolicy\nspec: 3\n",
        "a: {{ .Values.x }}\n{{- end }}\n",
    ):
        lint(parse(text, "x.yaml"))


def test_nothing_at_all_gives_an_empty_report() -> None:
    report = lint(Manifests([]))
    assert (report.findings, report.allowed, report.notes) == ((), (), ())


def test_a_folder_of_charts(tmp_path: Path) -> None:
    (tmp_path / "deployment.yaml").write_text("kind: {{ .Values.kind }}\n{{- if .x }}\nspec: {}\n{{- end }}\n")
    assert lint(load([tmp_path])).findings == ()
