"""An object without what nobody plans with, and without what may be secret.

Taken out: `managedFields`, which are half of an object, and kubectl's copy of what was applied. Values that programs
get their passwords by are replaced unless they are asked for: those of containers' `env`, and a node class's
`userData`. Names stay, and so do references to Secrets and ConfigMaps, whose content is never read.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from fretsaw.live.reading import Tree

APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
REMOVED = "(removed)"
"""Stands for a value that was replaced."""
_CONTAINERS = ("containers", "initContainers", "ephemeralContainers")
_POD_SPECS: dict[str, tuple[str, ...]] = {
    "Pod": ("spec",),
    "PodTemplate": ("template", "spec"),
    "CronJob": ("spec", "jobTemplate", "spec", "template", "spec"),
    **dict.fromkeys(
        ("Deployment", "ReplicaSet", "ReplicationController", "StatefulSet", "DaemonSet", "Job"),
        ("spec", "template", "spec"),
    ),
}
"""Where a kind keeps a pod's spec."""


def cleaned(tree: Tree, *, with_env: bool = False) -> Tree:
    """A copy of the tree that is fit to be kept. with_env: with all values."""
    found = _without_noise(tree)
    if with_env:
        return found
    kind = tree.get("kind", "")
    if kind in _POD_SPECS:
        return _changed(found, _POD_SPECS[kind], _without_values)
    if kind == "EC2NodeClass":
        return _changed(found, ("spec",), lambda spec: {**spec, "userData": REMOVED} if "userData" in spec else spec)
    return found


def _without_noise(tree: Tree) -> Tree:
    metadata = {key: value for key, value in tree.get("metadata", {}).items() if key != "managedFields"}
    annotations = {key: value for key, value in (metadata.pop("annotations", None) or {}).items() if key != APPLIED}
    if annotations:
        metadata["annotations"] = annotations
    return {**tree, "metadata": metadata}


def _changed(tree: Tree, path: tuple[str, ...], change: Any) -> Tree:
    """The tree with another value at a path; as it is where the path leads nowhere."""
    if not path:
        changed: Tree = change(tree)
        return changed
    inner = tree.get(path[0])
    return {**tree, path[0]: _changed(inner, path[1:], change)} if isinstance(inner, dict) else tree


def _without_values(spec: Tree) -> Tree:
    return {key: list(_containers(value)) if key in _CONTAINERS else value for key, value in spec.items()}


def _containers(containers: list[Tree] | None) -> Iterator[Tree]:
    for container in containers or ():
        env = container.get("env")
        yield {**container, "env": [_variable(one) for one in env]} if env else container


def _variable(one: Tree) -> Tree:
    return {**one, "value": REMOVED} if one.get("value") else one
