"""The generated CRDs: laws of structural schemas, names and columns, and rules that compile."""

from collections.abc import Iterator
from typing import Any

import pytest

from fretsaw.api import cel
from fretsaw.api.crd import RESOURCES, Resource, crd, schema
from fretsaw.api.schema import INT_OR_STRING, PRESERVE, RULES
from fretsaw.api.schema_check import check, re2
from fretsaw.api.structural import prepared

KINDS = [resource.kind for resource in RESOURCES]
ALLOWED = {
    "additionalProperties", "anyOf", "default", "description", "enum", "format", "items", "maxItems", "maxLength", "maxProperties",
    "maximum", "minItems", "minLength", "minimum", "pattern", "properties", "required", "type", INT_OR_STRING, PRESERVE, RULES,
    "x-kubernetes-list-map-keys", "x-kubernetes-list-type", "x-kubernetes-map-type",
}  # fmt: skip


def nodes(schema: dict[str, Any], path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Every schema node with its path."""
    yield path, schema
    for name, child in schema.get("properties", {}).items():
        yield from nodes(child, f"{path}.{name}")
    for key in ("items", "additionalProperties"):
        if key in schema:
            yield from nodes(schema[key], f"{path}[]")


def openapi(kind: str) -> dict[str, Any]:
    """The schema that the API server gets."""
    (version,) = crd(kind)["spec"]["versions"]
    return version["schema"]["openAPIV3Schema"]


@pytest.mark.parametrize("kind", KINDS)
def test_every_node_is_structural(kind: str) -> None:
    for path, node in nodes(openapi(kind)):
        assert set(node) <= ALLOWED, path
        assert "type" in node or node.get(INT_OR_STRING) is True, path
        assert not ("properties" in node and "additionalProperties" in node), path
        assert set(node.get("required", ())) <= set(node.get("properties", ())), path


@pytest.mark.parametrize("kind", KINDS)
def test_every_field_is_described(kind: str) -> None:
    undescribed = [p for p, node in nodes(openapi(kind)) if not p.endswith("[]") and not node.get("description")]
    assert undescribed == [".metadata"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("aws", [True, False])
def test_every_rule_compiles_and_has_a_message(kind: str, aws: bool) -> None:
    found = [rule for _, node in nodes(schema(kind, aws=aws)) for rule in node.get(RULES, ())]
    assert found
    for rule in found:
        assert rule["message"]
        cel.compiled(rule["rule"])


@pytest.mark.parametrize("kind", KINDS)
def test_every_pattern_compiles_and_every_default_is_valid(kind: str) -> None:
    for path, node in nodes(schema(kind)):
        if "pattern" in node:
            re2(node["pattern"])
        if "default" in node:
            made = prepared(node["default"], node)
            assert check(made, node)[0] == [], path
            assert cel.broken_rules(made, node, []) == [], path


def test_only_the_aws_flavour_has_the_rule_on_its_label_domain() -> None:
    domain = 'label domain "karpenter.k8s.aws" is restricted'
    for kind in ("NodePool", "NodeClaim", "NodeOverlay"):
        with_rule, without = (
            [rule["message"] for _, node in nodes(schema(kind, aws=aws)) for rule in node.get(RULES, ())]
            for aws in (True, False)
        )
        assert domain in with_rule
        assert [message for message in with_rule if message != domain] == without


@pytest.mark.parametrize("resource", RESOURCES, ids=KINDS)
def test_names_scope_and_subresources(resource: Resource) -> None:
    made = crd(resource.kind)
    names = made["spec"]["names"]
    (version,) = made["spec"]["versions"]
    assert made["metadata"]["name"] == f"{names['plural']}.{made['spec']['group']}"
    assert names["singular"] == resource.kind.lower()
    assert made["spec"]["scope"] == ("Namespaced" if resource.kind == "CapacityBuffer" else "Cluster")
    assert (version["served"], version["storage"]) == (True, True)
    assert version["subresources"]["status"] == {}
    assert ("scale" in version["subresources"]) == (resource.kind == "NodePool")


@pytest.mark.parametrize(
    ("kind", "wide", "short"),
    [
        ("NodePool", ["Weight", "CPU", "Memory"], ["NodeClass", "Nodes", "Ready", "Age"]),
        (
            "NodeClaim",
            ["ImageID", "ID", "NodePool", "NodeClass", "Drifted"],
            ["Type", "Capacity", "Zone", "Node", "Ready", "Age"],
        ),
        ("NodeOverlay", ["Weight"], ["Ready", "Age"]),
        (
            "CapacityBuffer",
            [],
            ["Strategy", "PodTemplate", "Replicas", "ConditionsType", "ConditionsStatus", "ConditionsReason", "Age"],
        ),
        ("EC2NodeClass", ["Role"], ["Ready", "Age"]),
    ],
)
def test_printer_columns(kind: str, wide: list[str], short: list[str]) -> None:
    columns = crd(kind)["spec"]["versions"][0]["additionalPrinterColumns"]
    assert [column["name"] for column in columns if column.get("priority")] == wide
    assert [column["name"] for column in columns if not column.get("priority")] == short


def test_columns_of_status_and_spec_point_at_fields_of_the_schema() -> None:
    for kind in KINDS:
        known = {path for path, _ in nodes(openapi(kind))}
        for column in crd(kind)["spec"]["versions"][0]["additionalPrinterColumns"]:
            path = column["jsonPath"]
            if path.startswith(".status.resources"):
                path = ".status.resources[]"
            elif "[" in path:
                path = ".status.conditions"
            assert path.startswith(".metadata") or path in known, (kind, path)


def test_the_same_bytes_every_time_and_no_shared_state() -> None:
    first = crd("NodePool")
    first["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"].clear()
    assert crd("NodePool") != first
