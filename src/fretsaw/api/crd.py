"""CustomResourceDefinitions, generated from the structs of the custom resources.

`schema(kind)` is the validators' form, with our own `x-fretsaw-…` keys; `crd(kind)` is what an API server takes.
Structural schema: every node has a type (or is int-or-string), there is no `$ref`, and null is not a type.
"""

from __future__ import annotations

import copy
from functools import cache
from importlib import import_module
from typing import Any, Final

import msgspec

from fretsaw.api.schema import AWS_ONLY, DEFAULT, REPLACE, RULES, Schema


class Resource(msgspec.Struct, frozen=True, kw_only=True):
    """Names and extras of one custom resource. `columns`: name, JSON path, type, priority."""

    group: str
    version: str
    kind: str
    plural: str
    struct: str
    categories: tuple[str, ...]
    columns: tuple[tuple[str, str, str, int], ...]
    short_names: tuple[str, ...] = ()
    namespaced: bool = False
    scale: bool = False
    aws: bool = False
    """Whether the kind is the AWS provider's own."""

    @property
    def api_version(self) -> str:
        """`group/version`."""
        return f"{self.group}/{self.version}"

    @property
    def name(self) -> str:
        """Name of the CRD."""
        return f"{self.plural}.{self.group}"


def _condition(type_: str) -> str:
    return f'.status.conditions[?(@.type=="{type_}")].status'


_READY = ("Ready", _condition("Ready"), "string", 0)
_AGE = ("Age", ".metadata.creationTimestamp", "date", 0)
_WEIGHT = ("Weight", ".spec.weight", "integer", 1)


def _label(key: str) -> str:
    return ".metadata.labels." + key.replace(".", r"\.")


RESOURCES: Final = (
    Resource(
        group="karpenter.sh",
        version="v1",
        kind="NodePool",
        plural="nodepools",
        struct="nodepool",
        categories=("karpenter",),
        scale=True,
        columns=(
            ("NodeClass", ".spec.template.spec.nodeClassRef.name", "string", 0),
            ("Nodes", ".status.nodes", "string", 0),
            _READY,
            _AGE,
            _WEIGHT,
            ("CPU", ".status.resources.cpu", "string", 1),
            ("Memory", ".status.resources.memory", "string", 1),
        ),
    ),
    Resource(
        group="karpenter.sh",
        version="v1",
        kind="NodeClaim",
        plural="nodeclaims",
        struct="nodeclaim",
        categories=("karpenter",),
        columns=(
            ("Type", _label("node.kubernetes.io/instance-type"), "string", 0),
            ("Capacity", _label("karpenter.sh/capacity-type"), "string", 0),
            ("Zone", _label("topology.kubernetes.io/zone"), "string", 0),
            ("Node", ".status.nodeName", "string", 0),
            _READY,
            _AGE,
            ("ImageID", ".status.imageID", "string", 1),
            ("ID", ".status.providerID", "string", 1),
            ("NodePool", _label("karpenter.sh/nodepool"), "string", 1),
            ("NodeClass", ".spec.nodeClassRef.name", "string", 1),
            ("Drifted", _condition("Drifted"), "string", 1),
        ),
    ),
    Resource(
        group="karpenter.sh",
        version="v1alpha1",
        kind="NodeOverlay",
        plural="nodeoverlays",
        struct="nodeoverlay",
        categories=("karpenter",),
        short_names=("overlays",),
        columns=(_READY, _AGE, _WEIGHT),
    ),
    Resource(
        group="autoscaling.x-k8s.io",
        version="v1beta1",
        kind="CapacityBuffer",
        plural="capacitybuffers",
        struct="capacitybuffer",
        categories=("autoscaling",),
        short_names=("cb",),
        namespaced=True,
        columns=(
            ("Strategy", ".spec.provisioningStrategy", "string", 0),
            ("PodTemplate", ".status.podTemplateRef.name", "string", 0),
            ("Replicas", ".status.replicas", "integer", 0),
            ("ConditionsType", ".status.conditions[*].type", "string", 0),
            ("ConditionsStatus", ".status.conditions[*].status", "string", 0),
            ("ConditionsReason", ".status.conditions[*].reason", "string", 0),
            _AGE,
        ),
    ),
    Resource(
        group="karpenter.k8s.aws",
        version="v1",
        kind="EC2NodeClass",
        plural="ec2nodeclasses",
        struct="nodeclass",
        categories=("karpenter",),
        short_names=("ec2nc", "ec2ncs"),
        aws=True,
        columns=(_READY, _AGE, ("Role", ".spec.role", "string", 1)),
    ),
)
BY_KIND: Final = {resource.kind: resource for resource in RESOURCES}

_ROOT: Final[dict[str, Schema]] = {
    "apiVersion": {"type": "string", "description": "Group and version of this kind."},
    "kind": {"type": "string", "description": "This kind's name."},
    "metadata": {"type": "object"},
}


@cache
def schema(kind: str, *, aws: bool = True) -> Schema:
    """The kind's openAPIV3Schema with our own keys. aws: with the rule on the AWS label domain.

    Shared between callers: do not change it. Raises KeyError for a kind without CRD.
    """
    module = import_module(f"fretsaw.api.{BY_KIND[kind].struct}")
    _, components = msgspec.json.schema_components([getattr(module, kind)])
    root = _structural({"$ref": f"#/$defs/{kind}"}, components, aws)
    root["properties"] |= _ROOT
    return root


def _structural(node: Schema, components: dict[str, Any], aws: bool) -> Schema:
    """A structural copy of a schema that msgspec made: references inlined, null and empty defaults dropped."""
    if (ready := node.get(REPLACE)) is not None:
        return _without_rules_of_others({**_texts(node), **copy.deepcopy(ready)}, aws)
    if (reference := node.get("$ref")) is not None:
        target = components[reference.rpartition("/")[2]]
        return _structural({**target, **{key: value for key, value in node.items() if key != "$ref"}}, components, aws)
    if (choices := node.get("anyOf")) is not None:
        (choice,) = [choice for choice in choices if choice != {"type": "null"}]
        rest = {key: value for key, value in node.items() if key != "anyOf"}
        return _structural({**choice, **rest}, components, aws)
    made = {key: value for key, value in node.items() if key not in ("title", "properties", "items", "required")}
    if "enum" in made:
        made["type"] = "string"
    if "description" in made:
        # Of a struct's docstring the first paragraph is for users, the rest for readers of the code.
        made["description"] = " ".join(made["description"].partition("\n\n")[0].split())
    default = made.pop("default", None)
    if (default := made.pop(DEFAULT, default)) not in (None, {}, [], (), ""):
        made["default"] = default
    return _without_rules_of_others(made | _children(node, components, aws), aws)


def _children(node: Schema, components: dict[str, Any], aws: bool) -> Schema:
    made: Schema = {}
    if node.get("required"):
        made["required"] = sorted(node["required"])
    if "properties" in node:
        made["properties"] = {name: _structural(child, components, aws) for name, child in node["properties"].items()}
    for key in ("items", "additionalProperties"):
        if isinstance(node.get(key), dict):
            made[key] = _structural(node[key], components, aws)
    return made


def _texts(node: Schema) -> Schema:
    return {"description": node["description"]} if "description" in node else {}


def _without_rules_of_others(node: Schema, aws: bool) -> Schema:
    """Drops the AWS provider's rules where they are not wanted, at every depth."""
    if aws:
        return node
    for key, value in node.items():
        if key == RULES:
            node[key] = [rule for rule in value if not rule.get(AWS_ONLY)]
        elif isinstance(value, dict):
            _without_rules_of_others(value, aws)
    return node


def _public(tree: Any) -> Any:
    """A copy without our own keys."""
    if isinstance(tree, dict):
        return {key: _public(value) for key, value in tree.items() if not str(key).startswith("x-fretsaw-")}
    if isinstance(tree, list | tuple):
        return [_public(item) for item in tree]
    return tree


def crd(kind: str, *, aws: bool = True) -> dict[str, Any]:
    """The CustomResourceDefinition of a kind, as apiextensions.k8s.io/v1 takes it.

    aws: with the rule on the AWS label domain, as the AWS provider ships it. Raises KeyError for other kinds.
    """
    resource = BY_KIND[kind]
    subresources: dict[str, Any] = {"status": {}}
    if resource.scale:
        subresources["scale"] = {"specReplicasPath": ".spec.replicas", "statusReplicasPath": ".status.nodes"}
    names: dict[str, Any] = {
        "kind": kind,
        "listKind": f"{kind}List",
        "plural": resource.plural,
        "singular": kind.lower(),
        "categories": list(resource.categories),
    }
    if resource.short_names:
        names["shortNames"] = list(resource.short_names)
    version = {
        "name": resource.version,
        "served": True,
        "storage": True,
        "subresources": subresources,
        "additionalPrinterColumns": [_column(*column) for column in resource.columns],
        "schema": {"openAPIV3Schema": _public(schema(kind, aws=aws))},
    }
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": resource.name},
        "spec": {
            "group": resource.group,
            "names": names,
            "scope": "Namespaced" if resource.namespaced else "Cluster",
            "versions": [version],
        },
    }


def _column(name: str, path: str, type_: str, priority: int) -> dict[str, Any]:
    column: dict[str, Any] = {"name": name, "jsonPath": path, "type": type_}
    return column | ({"priority": priority} if priority else {})
