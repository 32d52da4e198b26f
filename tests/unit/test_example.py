"""The shipped GPU platform example: valid, complete, and object for object the platform that the expectations are about."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from fretsaw import load
from support.shared import shared

EXAMPLES = Path(__file__).parents[2] / "examples"
MANIFESTS = load([EXAMPLES / "gpu-platform"])
NUMBERED = sorted([*EXAMPLES.glob("gpu-platform/*.yaml"), *EXAMPLES.glob("gpu-platform-extras/*.yaml")])


def test_no_object_has_an_error() -> None:
    assert [str(error) for error in MANIFESTS.errors] == []


def test_every_node_class_claim_and_namespace_that_is_named_is_there() -> None:
    classes = {node_class.metadata.name for node_class in MANIFESTS.objects("EC2NodeClass")}
    assert {pool.spec.template.spec.node_class_ref.name for pool in MANIFESTS.objects("NodePool")} == classes
    namespaces = {document.name for document in MANIFESTS.of("Namespace")}
    assert {document.namespace for document in MANIFESTS.documents} <= {*namespaces, "", "default"}


@pytest.mark.parametrize("number", range(1, 26))
def test_the_objects_are_those_of_the_reference_platform(number: int) -> None:
    (reference,) = shared("examples", "seed").glob(f"{number:02}-*.yaml")
    (ours,) = (path for path in NUMBERED if path.name.startswith(f"{number:02}-"))
    assert list(yaml.safe_load_all(ours.read_text())) == list(yaml.safe_load_all(reference.read_text()))


def test_the_guide_names_every_file() -> None:
    guide = (EXAMPLES / "gpu-platform" / "README.md").read_text(encoding="utf-8")
    assert [path.name for path in EXAMPLES.glob("gpu-platform/*.yaml") if f"`{path.name[:2]}" not in guide] == []
