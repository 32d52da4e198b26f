"""What has to be right of a class before anything is launched, as far as it takes no launch to see. Pure.

Source: AWS provider v1.14 pkg/controllers/nodeclass (validation.go): the order of the checks, reasons and messages.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any

import msgspec

from fretsaw.api import kubelet
from fretsaw.api.labels import EC2NODECLASS, NODEPOOL
from fretsaw.api.nodeclass import EC2NodeClass, EC2NodeClassSpec
from fretsaw.api.problem import Problem
from fretsaw.api.resources import BadQuantity, parse
from fretsaw.providers.aws.classes import part as p
from fretsaw.providers.aws.classes.cluster import Known
from fretsaw.providers.aws.classes.part import Part, Trouble, fails, open_
from fretsaw.providers.aws.nodeclass_view import NodeClassView

NEEDED = (p.AMIS, p.PROFILE, p.GROUPS, p.SUBNETS)
"""Conditions without which no launch can be tried."""
AWAITING = "Awaiting AMI, Instance Profile, Security Group, and Subnet resolution"
_RESTRICTED = (
    re.compile(r"kubernetes\.io/cluster/[0-9A-Za-z][A-Za-z0-9\-_]*"),
    re.compile(re.escape(NODEPOOL)),
    re.compile(r"karpenter\.sh/nodeclaim"),
    re.compile(re.escape(EC2NODECLASS)),
    re.compile(r"eks:eks-cluster-name"),
)


def family_of(spec: EC2NodeClassSpec) -> str:
    """The family of images that bootstraps the nodes."""
    return NodeClassView(msgspec.to_builtins(spec)).family


def first_wrong(node_class: EC2NodeClass, known: Known) -> Part | None:
    """What keeps a class from being launched, by the first check that fails; None where all pass.

    node_class: with the conditions of all other parts.
    """
    spec = node_class.spec
    if spec is None:
        return awaiting(node_class)
    family = family_of(spec)
    checks: tuple[Callable[[], Part | None], ...] = (
        lambda: _range(family, known),
        lambda: _kubelet(spec, family),
        lambda: awaiting(node_class),
        lambda: _tags(spec),
    )
    return next((found for check in checks if (found := check()) is not None), None)


def awaiting(node_class: EC2NodeClass) -> Part | None:
    """Whether something else has to be found first. What was found for an older class counts as not known."""
    generation = node_class.metadata.generation
    now = [c for c in node_class.status.conditions if c.type in NEEDED and c.observed_generation == generation]
    if any(c.status == "False" for c in now):
        return Part(p.VALID, "False", "DependenciesNotReady", AWAITING)
    if sum(c.status == "True" for c in now) < len(NEEDED):
        return Part(p.VALID, "Unknown", "DependenciesNotReady", AWAITING)
    return None


def _range(family: str, known: Known) -> Part | None:
    if family != "AL2023" or known.cluster.cidr:
        return None
    trouble = known.trouble or Trouble("EKS tells no range of service addresses, which AL2023 needs")
    if trouble.passing:
        return open_(p.VALID, trouble)
    return Part(p.VALID, "False", "ClusterCIDRResolutionFailed", trouble.text, troubles=(trouble,))


def _kubelet(spec: EC2NodeClassSpec, family: str) -> Part | None:
    """The kubelet's settings: their form, then expressions, then what the family can render."""
    given = spec.kubelet or {}
    form = list(kubelet.problems(_without_expressions(given), ""))
    every = list(kubelet.problems(given, ""))
    rendered = list(kubelet.problems(given, family))
    if form:
        return fails(p.VALID, "InvalidKubeletConfiguration", _texts(form))
    if every:
        return fails(p.VALID, "KubeletExpressionsDisabled", _texts(every))
    if rendered:
        return fails(p.VALID, "UnsupportedKubeletConfiguration", _texts(rendered))
    return None


def _without_expressions(given: dict[str, Any]) -> dict[str, Any]:
    """The settings without the texts that can only be expressions."""
    found = {name: value for name, value in given.items() if not (name == "maxPods" and isinstance(value, str))}
    for name in ("kubeReserved", "systemReserved"):
        if isinstance(amounts := found.get(name), dict):
            found[name] = {key: value for key, value in amounts.items() if not _is_expression(value)}
    return found


def _is_expression(value: Any) -> bool:
    if not isinstance(value, str) or value.startswith("-"):
        return False
    try:
        parse(value)
    except BadQuantity:
        return True
    return False


def _tags(spec: EC2NodeClassSpec) -> Part | None:
    wrong = sorted(key for key in spec.tags if any(one.fullmatch(key) for one in _RESTRICTED))
    if not wrong:
        return None
    message = "; ".join(f'spec.tags: "{key}" is set for you (leave it out)' for key in wrong)
    return fails(p.VALID, "TagValidationFailed", message)


def _texts(problems: Iterable[Problem]) -> str:
    return "; ".join(map(str, problems))
