"""GPU memory as it is written on the box

`instance-gpu-memory` is MiB for each GPU as EC2 reports it: 22888 for an A10G or L4, not 24576.

Why: The value matches no instance type: the pool can buy nothing, or less than it seems.

Example:
    apiVersion: karpenter.sh/v1
    kind: NodePool
    metadata: {name: gpu}
    spec:
      template:
        spec:
          requirements:
            - {key: karpenter.k8s.aws/instance-gpu-memory, operator: In, values: ['24576']}
          nodeClassRef: {group: karpenter.k8s.aws, kind: EC2NodeClass, name: gpu}

Fix: Say how much is needed at least, with `Gt`; or write EC2's own number.

Source: EC2 DescribeInstanceTypes (GpuInfo); Karpenter documentation, well-known labels.
"""

from __future__ import annotations

from collections.abc import Iterator

from fretsaw.lint.found import Found
from fretsaw.lint.given import Input
from fretsaw.lint.market import AWS_LABEL, listed
from fretsaw.lint.pool import SPEC, Pool, own_key
from fretsaw.lint.rule import rule


@rule("GPU110", "error", on=Pool)
def gpu_memory_guessed(pool: Pool, given: Input) -> Iterator[Found]:
    """Lists of GPU memory with numbers that no type has."""
    key = AWS_LABEL + "gpu-memory"
    there = {int(value) for value in pool.universe.values_of(key, pool.universe.all)}
    for number, one in enumerate(pool.template.requirements):
        if own_key(one.key) != key or one.operator != "In":
            continue
        unknown = [value for value in one.values if value.isdigit() and int(value) not in there]
        if unknown:
            hints = ", ".join(f"{value} is perhaps {_nearest(int(value), there)}" for value in unknown)
            yield Found(
                f"{SPEC}.requirements[{number}].values",
                f"no instance type has {listed(unknown)} MiB of GPU memory",
                fix=f"write operator Gt with a number below what you need ({hints})",
                proof=f"there are: {', '.join(str(value) for value in sorted(there))}",
            )


def _nearest(number: int, there: set[int]) -> int:
    return min(there, key=lambda known: (abs(known - number), known))
