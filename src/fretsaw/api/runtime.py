"""What an API server admits and the controllers refuse: they would set ValidationSucceeded=False, or cannot read it.

Each function takes an object as stored (see `api.structural.prepared`) whose schema is in order.
Source: Karpenter v1.14 runtime validation of NodePool, NodeOverlay and CapacityBuffer.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from fretsaw.api import labels
from fretsaw.api.cron import schedule_problem
from fretsaw.api.problem import Problem
from fretsaw.api.resources import BadDuration, BadQuantity, duration_ns, parse

Tree = dict[str, Any]

_OWN_RESOURCES: Final = ("cpu", "memory", "ephemeral-storage", "pods")
_PROVIDER_RESOURCES: Final = (
    "aws.amazon.com/neuron",
    "aws.amazon.com/neuroncore",
    "habana.ai/gaudi",
    "vpc.amazonaws.com/efa",
    "vpc.amazonaws.com/pod-eni",
)
_SCALABLE: Final = ("Deployment", "ReplicaSet", "StatefulSet")


def refused(path: str, message: str, seen: str = "", right: str = "") -> Problem:
    """A problem that controllers have with the object."""
    return Problem(path, message, by="runtime", seen=seen, right=right)


def node_pool(tree: Tree) -> Iterator[Problem]:
    """Problems of a NodePool's template, budgets and limits."""
    spec = tree["spec"]
    template = spec["template"]
    yield from _labels(template.get("metadata", {}).get("labels", {}), "spec.template.metadata.labels")
    yield from _node_spec(template["spec"], "spec.template.spec", pool=True)
    disruption = spec.get("disruption", {})
    yield from _duration(disruption.get("consolidateAfter"), "spec.disruption.consolidateAfter")
    for index, budget in enumerate(disruption.get("budgets", [])):
        yield from _budget(budget, f"spec.disruption.budgets[{index}]")
    yield from _quantities(spec.get("limits", {}), "spec.limits")


def node_claim(tree: Tree) -> Iterator[Problem]:
    """Problems of a NodeClaim: the same as of a pool's template, which it copies."""
    spec = tree["spec"]
    yield from _node_spec(spec, "spec", pool=False)
    yield from _quantities(spec.get("resources", {}).get("requests", {}), "spec.resources.requests")


def node_overlay(tree: Tree) -> Iterator[Problem]:
    """Problems of a NodeOverlay's requirements and capacity."""
    spec = tree["spec"]
    yield from _requirements(spec["requirements"], "spec.requirements", pool=False)
    capacity = spec.get("capacity", {})
    for name in sorted(capacity):
        if name in _OWN_RESOURCES or name in _PROVIDER_RESOURCES:
            yield refused(
                f"spec.capacity.{name}",
                "invalid resource restricted",
                seen=name,
                right="overlays add extended resources that the cloud provider does not count itself",
            )
    yield from _quantities(capacity, "spec.capacity")


def capacity_buffer(tree: Tree) -> Iterator[Problem]:
    """Problems of a CapacityBuffer's references and limits."""
    spec = tree["spec"]
    target = spec.get("scalableRef")
    if target is None and "podTemplateRef" not in spec:
        yield refused("spec", "names no pods to keep room for", right="set podTemplateRef or scalableRef")
    if target is not None:
        group, kind = target.get("apiGroup", ""), target["kind"]
        if group not in ("", "apps"):
            yield refused("spec.scalableRef.apiGroup", "unsupported API group", seen=group, right="apps")
        if kind not in _SCALABLE:
            yield refused("spec.scalableRef.kind", "unsupported kind", seen=kind, right=", ".join(_SCALABLE))
    yield from _quantities(spec.get("limits", {}), "spec.limits")


def _node_spec(spec: Tree, path: str, *, pool: bool) -> Iterator[Problem]:
    yield from _taints(spec, path)
    yield from _requirements(spec["requirements"], f"{path}.requirements", pool=pool)
    for name in ("terminationGracePeriod", "expireAfter"):
        yield from _duration(spec.get(name), f"{path}.{name}")


def _labels(own: Mapping[str, str], path: str) -> Iterator[Problem]:
    for key, value in sorted(own.items()):
        here = f"{path}.{key}"
        if key == labels.NODEPOOL:
            yield refused(here, f'label "{key}" is restricted', right="it is set for you")
        if not labels.is_qualified_name(key):
            right = "an optional DNS prefix and a slash, then at most 63 letters, digits, '-', '_' or '.'"
            yield refused(here, "is not a label key", seen=f'"{key}"', right=right)
        if not labels.is_label_value(value):
            yield refused(here, "is not a label value", seen=f'"{value}"')
        if (why := labels.restricted(key)) is not None:
            yield refused(here, why, right="use a domain of your own")


def _requirements(items: Sequence[Tree], path: str, *, pool: bool) -> Iterator[Problem]:
    for index, item in enumerate(items):
        here = f"{path}[{index}]"
        key = item["key"]
        if pool and labels.normalize(key) == labels.NODEPOOL:
            yield refused(f"{here}.key", f'label "{key}" is restricted', right="a pool may not choose by its own name")
        why = labels.requirement_problem(key, item["operator"], item.get("values", []), item.get("minValues"))
        if why is not None:
            yield refused(here, f"invalid value: {why} in requirements, restricted")


def _taints(spec: Tree, path: str) -> Iterator[Problem]:
    first: dict[tuple[str, str], str] = {}
    for name in ("taints", "startupTaints"):
        for index, taint in enumerate(spec.get(name, [])):
            here = f"{path}.{name}[{index}]"
            yield from _taint(taint, here)
            pair = (taint["key"], taint["effect"])
            if pair in first:
                yield from _duplicate(pair, here, first[pair])
            first.setdefault(pair, here)


def _duplicate(pair: tuple[str, str], here: str, first: str) -> Iterator[Problem]:
    """Named at the second taint; at both when one is a startup taint, as either may be the one to drop."""
    message = f"duplicate taint Key/Effect pair {pair[0]}={pair[1]}"
    if first.rpartition("[")[0] != here.rpartition("[")[0]:
        yield refused(first, message, right=f"{here} has it too")
    yield refused(here, message, right=f"{first} has it already; the value does not count")


def _taint(taint: Tree, path: str) -> Iterator[Problem]:
    for name in ("key", "value"):
        text = taint.get(name, "")
        if text and not labels.is_qualified_name(text):
            right = "a name of at most 63 characters, after an optional DNS prefix and a slash"
            yield refused(f"{path}.{name}", "is not a qualified name", seen=f'"{text}"', right=right)
    added = taint.get("timeAdded", "")
    if added != added.upper():
        yield refused(f"{path}.timeAdded", "does not decode as a time", seen=added, right="T and Z in upper case")


def _budget(budget: Tree, path: str) -> Iterator[Problem]:
    nodes, schedule = budget.get("nodes", ""), budget.get("schedule")
    if not nodes.endswith("%") and labels.as_int64(nodes) is None:
        yield refused(f"{path}.nodes", "is too large a number", seen=nodes, right="the pool could not disrupt a node")
    if schedule is not None and (why := schedule_problem(schedule)) is not None:
        right = f"{why}; with one unreadable schedule the pool could not disrupt a node"
        yield refused(f"{path}.schedule", "is no schedule", seen=f'"{schedule}"', right=right)
    yield from _duration(budget.get("duration"), f"{path}.duration")


def _duration(text: str | None, path: str) -> Iterator[Problem]:
    if text is None or text == "Never":
        return
    try:
        duration_ns(text)
    except BadDuration as error:
        yield refused(path, "does not decode as a duration", seen=text, right=error.right)


def _quantities(amounts: Mapping[str, Any], path: str) -> Iterator[Problem]:
    for name, amount in sorted(amounts.items()):
        try:
            parse(amount)
        except BadQuantity as error:
            yield refused(f"{path}.{name}", "does not decode as a quantity", seen=str(amount), right=error.right)
