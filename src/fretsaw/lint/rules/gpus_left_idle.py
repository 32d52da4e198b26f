"""Every machine that fits has more GPUs than the pods need

All types that the pool can buy for the workload have more GPUs than all its pods together ask for.

Why: The rest is paid for and idle, unless other pods happen to use it: seven of eight H100s are $48 an hour.

Example:
    apiVersion: karpenter.sh/v1
    kind: NodePool
    metadata: {name: gpu}
    spec:
      template:
        spec:
          requirements: [{key: node.kubernetes.io/instance-type, operator: In, values: [g5.12xlarge, g5.48xlarge]}]
          nodeClassRef: {group: karpenter.k8s.aws, kind: EC2NodeClass, name: gpu}
    ---
    apiVersion: v1
    kind: Pod
    metadata: {name: notebook}
    spec:
      containers: [{name: notebook, image: 'jupyter:v1', resources: {limits: {nvidia.com/gpu: '1'}}}]

Fix: Allow smaller machines in the pool, or in another one that these pods can use.

Source: EC2 instance types (GPUs by size).
"""

from __future__ import annotations

from collections.abc import Iterator

from fretsaw.api.labels import INSTANCE_TYPE
from fretsaw.lint.found import Found
from fretsaw.lint.given import Input
from fretsaw.lint.kinds import first_landing
from fretsaw.lint.market import AWS_LABEL, DEVICES
from fretsaw.lint.rule import rule
from fretsaw.lint.work import Work


@rule("COST107", "warning", on=Work)
def gpus_left_idle(work: Work, given: Input) -> Iterator[Found]:
    """Workloads smaller than the smallest machine that takes them."""
    landing = first_landing(work, given)
    resource = next((r for r in work.devices if r in DEVICES), None)
    if landing is None or resource is None or work.is_daemon:
        return
    wanted = work.devices[resource] * work.copies
    fewest = min((landing.offer.amount(name, resource) for name in landing.offer.names), default=0)
    others = sum(
        other.devices.get(resource, 0) * other.copies for other in given.first_in(landing.pool) if other is not work
    )
    if fewest <= wanted + others:
        return
    cheapest = landing.offer.cheapest
    has = landing.offer.amount(cheapest.type, resource)
    idle = cheapest.usd * (has - wanted) / has
    smaller = landing.pool.offer_without(INSTANCE_TYPE, AWS_LABEL + "gpu-count", AWS_LABEL + "size")
    smaller = smaller.holding(work.requests)
    better = smaller.cheapest if smaller and smaller.cheapest.usd < cheapest.usd else None
    yield Found(
        work.path("spec.containers"),
        f"needs {wanted} of {resource}, and the smallest machine that takes it has {fewest}",
        fix="allow machines with fewer GPUs",
        proof=f"pool {landing.pool.name} buys {cheapest}, {has - wanted} of {has} idle"
        + (f"; without its requirement on the size {better}" if better else ""),
        usd_per_hour=idle,
    )
