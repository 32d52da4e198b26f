"""A value that no instance type has

A requirement lists values of which some exist on no instance type of the catalog.

Why: The value is silently without effect: what was meant to widen the choice does not. A type that is no longer sold
(p3.2xlarge) looks like a fallback and is none.

Example:
    apiVersion: karpenter.sh/v1
    kind: NodePool
    metadata: {name: gpu}
    spec:
      template:
        spec:
          requirements:
            - {key: node.kubernetes.io/instance-type, operator: In, values: [g5.xlarge, g6.xlarge, p3.2xlarge]}
          nodeClassRef: {group: karpenter.k8s.aws, kind: EC2NodeClass, name: gpu}

Fix: Correct the value, or take it out. GPU names are EC2's in lower case (`a10g`), not the driver's (`NVIDIA-A10G`).

Source: EC2 DescribeInstanceTypes; Karpenter documentation, well-known labels.
"""

from __future__ import annotations

from collections.abc import Iterator
from difflib import get_close_matches

from fretsaw.api.labels import ARCH, INSTANCE_TYPE
from fretsaw.lint.found import Found
from fretsaw.lint.given import Input
from fretsaw.lint.market import AWS_LABEL, listed
from fretsaw.lint.pool import SPEC, Pool, own_key
from fretsaw.lint.rule import rule

_KEYS = (
    INSTANCE_TYPE,
    ARCH,
    *(
        AWS_LABEL + name
        for name in (
            "family",
            "category",
            "size",
            "gpu-name",
            "gpu-manufacturer",
            "accelerator-name",
            "cpu-manufacturer",
            "generation",
            "gpu-count",
            "cpu",
        )
    ),
)


@rule("POOL104", "warning", on=Pool)
def value_unknown(pool: Pool, given: Input) -> Iterator[Found]:
    """Lists in which some value is on no type."""
    for number, one in enumerate(pool.template.requirements):
        key = own_key(one.key)
        if key not in _KEYS or one.operator not in ("In", "NotIn"):
            continue
        there = set(pool.universe.values_of(key, pool.universe.all))
        unknown = [value for value in one.values if value not in there]
        if not unknown or (one.operator == "In" and len(unknown) == len(one.values) and not pool.offer):
            continue  # POOL102 says it
        near = {value: get_close_matches(_plain(value), sorted(there), n=1, cutoff=0.6) for value in unknown}
        hints = [f"{value} is perhaps {close[0]}" for value, close in near.items() if close]
        yield Found(
            f"{SPEC}.requirements[{number}].values",
            f"no instance type of {pool.region} has {listed(unknown)}: without effect",
            fix=f"correct it, or take it out{f' ({listed(hints)})' if hints else ''}",
            severity="info" if one.operator == "NotIn" else None,
        )


def _plain(value: str) -> str:
    """A value as EC2 would write it: the driver puts the maker in front of the GPU's name."""
    return value.lower().removeprefix("nvidia-").removeprefix("tesla-")
