"""A GPU pool that may buy Arm machines

The pool says nothing of the architecture, and among its GPU types is g5g, whose CPU is Arm.

Why: Images for x86 fail there with "exec format error". g5g is the cheapest type with a GPU, so it is the first
choice.

Example:
    apiVersion: karpenter.sh/v1
    kind: NodePool
    metadata: {name: gpu}
    spec:
      template:
        spec:
          requirements:
            - {key: karpenter.k8s.aws/instance-gpu-count, operator: Gt, values: ['0']}
            - {key: karpenter.k8s.aws/instance-gpu-manufacturer, operator: In, values: [nvidia]}
          nodeClassRef: {group: karpenter.k8s.aws, kind: EC2NodeClass, name: gpu}

Fix: Add the requirement `kubernetes.io/arch In [amd64]`, or build images for both architectures and say so with `In
[amd64, arm64]`.

Source: EC2 instance types (g5g: Graviton2 with T4G); Karpenter documentation, well-known labels.
"""

from __future__ import annotations

from collections.abc import Iterator

from fretsaw.api.labels import ARCH
from fretsaw.engine.requirement import Requirement
from fretsaw.lint.found import Append, Found
from fretsaw.lint.given import Input
from fretsaw.lint.market import counted
from fretsaw.lint.pool import SPEC, Pool
from fretsaw.lint.rule import rule


@rule("GPU120", "warning", on=Pool, fixes=True)
def arm_gpus_admitted(pool: Pool, given: Input) -> Iterator[Found]:
    """Accelerated pools with types of both architectures that do not say so."""
    if not pool.is_accelerated or ARCH in pool.requirements:
        return
    x86 = pool.offer_with(Requirement(ARCH, ("amd64",)))
    arm = pool.offer_with(Requirement(ARCH, ("arm64",)))
    if not x86 or not arm:
        return
    yield Found(
        f"{SPEC}.requirements",
        f"admits {counted(len(arm), 'type')} with an Arm CPU: images for x86 do not run there",
        fix="add the requirement kubernetes.io/arch In [amd64], or name both architectures if images are for both",
        proof=f"the first choice is {pool.offer.cheapest}; with amd64 it is {x86.cheapest}",
        usd_per_hour=arm.cheapest.usd,
        edits=(Append(f"{SPEC}.requirements", {"key": ARCH, "operator": "In", "values": ["amd64"]}),),
    )
