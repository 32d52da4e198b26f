"""What the API server admits of an EC2NodeClass and its controllers refuse or cannot use.

Source: AWS provider v1.14 nodeclass validation.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from fretsaw.api import kubelet
from fretsaw.api.nodeclass_rules import FAMILIES
from fretsaw.api.problem import Problem

Tree = dict[str, Any]


def family_of(spec: Tree) -> str:
    """The image family that bootstraps the nodes: `amiFamily`, else that of the alias; empty when neither says."""
    if family := spec.get("amiFamily"):
        return str(family)
    aliases = [term["alias"] for term in spec.get("amiSelectorTerms", []) if "alias" in term]
    return FAMILIES.get(aliases[0].partition("@")[0], "") if aliases else ""


def node_class(tree: Tree) -> Iterator[Problem]:
    """Problems of an EC2NodeClass that only show at run time."""
    spec = tree.get("spec")
    if spec is None:
        yield _useless("spec", "without a spec the class finds no image, subnet or security group")
        return
    if isinstance(settings := spec.get("kubelet"), dict):
        yield from kubelet.problems(settings, family_of(spec))
    for index, term in enumerate(spec.get("amiSelectorTerms", [])):
        if term.get("alias", "").startswith("al2@"):
            yield _useless(f"spec.amiSelectorTerms[{index}].alias", "AL2 has no images for Kubernetes 1.33 and later")
    for index, mapping in enumerate(spec.get("blockDeviceMappings", [])):
        if mapping.get("ebs", {}).get("volumeSize") in ("T", "Ti"):
            yield _useless(f"spec.blockDeviceMappings[{index}].ebs.volumeSize", "a unit without a number means zero")


def _useless(path: str, message: str) -> Problem:
    """Admitted and never refused, but hardly meant."""
    return Problem(path, message, severity="warning", by="runtime")
