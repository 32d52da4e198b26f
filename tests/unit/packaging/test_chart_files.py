"""The chart says what the code says: CRDs, rules, settings, versions. Nothing is rendered; `tests/e2e` does that."""

from __future__ import annotations

import json
import re
import tomllib
from typing import Any

import jsonschema
import pytest
import yaml
from click.testing import CliRunner

from fretsaw.api.crd import crd
from fretsaw.cli.crds_cmd import KINDS, crds
from fretsaw.cli.run_cmd import run
from fretsaw.controllers.permissions import LEASE_CREATE, LEASE_HOLD, READS, WRITES
from fretsaw.controllers.settings import GATES, TABLE, Setting
from support.helm import CHART, as_written, values

SCHEMA = json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))
SETTINGS = SCHEMA["properties"]["settings"]["properties"]
PROJECT = tomllib.loads((CHART.parents[1] / "pyproject.toml").read_text(encoding="utf-8"))["project"]
TEXTS = (
    "-1", "0", "1", "250", "65535", "65536", "1000000", "2147483648", "2147483649", "1.5", "true", "false", "10s",
    "500ms", "1m30s", "1.5h", "10", "s", "10d", "1m 30s", "debug", "info", "warn", "json", "text", "Respect", "Ignore",
    "respect", "Strict", "BestEffort", "cost", "first-fit", "anything",
)  # fmt: skip
"""What somebody may write behind a setting."""
NARROWER = {("metrics-port", "0"), ("health-probe-port", "0")}
"""What the program takes and the chart does not: a port that the system chooses cannot be named by a probe."""


def camel(name: str) -> str:
    """`batch-idle-duration`, `NodeRepair` as Helm's values have names."""
    head, *rest = re.split(r"-|(?<=[a-z])(?=[A-Z])", name)
    return head.lower() + "".join(part.capitalize() for part in rest)


# CRDs


def test_there_is_a_file_for_each_kind_and_no_other() -> None:
    names = {f"{group}_{plural}.yaml" for plural, _, group in (_name(kind).partition(".") for kind in KINDS)}
    assert {path.name for path in (CHART / "crds").iterdir()} == names


@pytest.mark.parametrize("kind", KINDS)
def test_crd_is_what_the_command_prints(kind: str) -> None:
    """`fretsaw crds --kind … > charts/fretsaw/crds/…` renews it."""
    plural, _, group = _name(kind).partition(".")
    printed = CliRunner().invoke(crds, ["--kind", kind], standalone_mode=False).output
    assert (CHART / "crds" / f"{group}_{plural}.yaml").read_text(encoding="utf-8") == printed


def _name(kind: str) -> str:
    name: str = crd(kind)["metadata"]["name"]
    return name


# Rules


def test_cluster_role_has_the_rules_of_the_code() -> None:
    text = (CHART / "templates" / "clusterrole.yaml").read_text(encoding="utf-8")
    rules = text.partition("rules:\n")[2].partition("---\n")[0]
    reads, _, rest = rules.partition("  {{- if not .Values.observeOnly }}\n")
    writes, _, enforced = rest.partition("  {{- if .Values.rbac.ownerReferencesEnforced }}\n")
    assert reads == as_written(READS)
    assert writes == as_written(WRITES)
    assert yaml.safe_load(enforced.partition("  {{-")[0]) == [
        {"apiGroups": ["karpenter.sh"], "resources": ["nodepools/finalizers"], "verbs": ["update"]}
    ]


def test_role_has_the_rules_of_the_code_and_holds_one_lease() -> None:
    text = (CHART / "templates" / "role.yaml").read_text(encoding="utf-8")
    rules = text.partition("rules:\n")[2].partition("---\n")[0]
    named = "    resourceNames: [{{ .Values.settings.leaderElectionName | quote }}]\n"
    assert rules == as_written([LEASE_CREATE, LEASE_HOLD]) + named


# Settings


def test_every_setting_is_in_the_values_with_its_default() -> None:
    found = {name: _written(value) for name, value in values()["settings"].items()}
    assert found == {camel(setting.flag): _default(setting) for setting in TABLE}


def test_every_setting_is_in_the_schema_and_no_other() -> None:
    assert set(SETTINGS) == {camel(setting.flag) for setting in TABLE}
    assert SCHEMA["properties"]["settings"]["additionalProperties"] is False
    gates = SETTINGS["featureGates"]
    assert gates == {
        "type": "object",
        "additionalProperties": False,
        "properties": {camel(gate): {"type": "boolean"} for gate in GATES},
    }


@pytest.mark.parametrize("setting", [s for s in TABLE if s.flag != "feature-gates"], ids=lambda s: s.flag)
def test_schema_takes_what_the_program_can_read(setting: Setting) -> None:
    """A name that looks like a number has to be quoted in YAML, so such texts are left out for names."""
    schema = jsonschema.Draft7Validator(SETTINGS[camel(setting.flag)])
    written = {text: yaml.safe_load(text) for text in TEXTS}
    asked = {t: value for t, value in written.items() if setting.read is not str or isinstance(value, str)}
    taken = {text for text, value in asked.items() if schema.is_valid(value)}
    assert taken == {text for text in asked if _readable(setting, text) and (setting.flag, text) not in NARROWER}


@pytest.mark.parametrize("setting", TABLE, ids=lambda s: s.flag)
def test_name_in_the_values_gives_the_environment_variable(setting: Setting) -> None:
    """The chart derives it with Sprig's snakecase and upper."""
    snake = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", camel(setting.flag))
    assert snake.upper() == setting.env


@pytest.mark.parametrize("gate", GATES)
def test_name_in_the_values_gives_the_gate(gate: str) -> None:
    """The chart derives it with Sprig's title."""
    name = camel(gate)
    assert name[0].upper() + name[1:] == gate


def _readable(setting: Setting, text: str) -> bool:
    try:
        setting.read(text)
    except ValueError:
        return False
    return True


def _default(setting: Setting) -> Any:
    return GATES if setting.flag == "feature-gates" else setting.default


def _written(value: Any) -> Any:
    if isinstance(value, dict):
        return {gate: value[camel(gate)] for gate in GATES if camel(gate) in value}
    return str(value).lower() if isinstance(value, bool) else str(value)


# Values


def test_values_are_valid() -> None:
    jsonschema.Draft7Validator.check_schema(SCHEMA)
    jsonschema.Draft7Validator(SCHEMA).validate(values())


def test_schema_has_every_value_and_no_other() -> None:
    """Helm puts `global` among the values of a chart that is part of another."""
    assert set(SCHEMA["properties"]) - {"global"} == set(values())


def test_every_value_is_explained() -> None:
    """A comment above each, or above the first of what is in it."""
    lines = (CHART / "values.yaml").read_text(encoding="utf-8").splitlines()
    bare = [
        line
        for number, line in enumerate(lines)
        if re.match(r"[a-zA-Z]", line) and "#" not in lines[number - 1][:1] + lines[number + 1].lstrip()[:1]
    ]
    assert bare == []


def test_schema_knows_every_provider() -> None:
    choice = next(param.type for param in run.params if param.name == "provider")
    assert set(choice.choices) <= set(SCHEMA["properties"]["provider"]["enum"])  # type: ignore[attr-defined]


# The chart


def test_versions_are_the_project_s() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text(encoding="utf-8"))
    assert (chart["version"], chart["appVersion"]) == (PROJECT["version"], PROJECT["version"])
