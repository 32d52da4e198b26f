"""A pool for NVIDIA's software that also buys AMD's GPUs

The requirements say "has a GPU", and g4ad types have one: AMD's, with resource `amd.com/gpu`, under the NVIDIA image.

Why: A node with an AMD GPU never offers `nvidia.com/gpu`; pods that only need to be on a GPU node land there first,
since g4ad is cheap, and fail. The node is paid for and never becomes ready for GPU work.

Example:
    apiVersion: karpenter.sh/v1
    kind: NodePool
    metadata: {name: gpu}
    spec:
      template:
        spec:
          requirements:
            - {key: karpenter.k8s.aws/instance-gpu-count, operator: Gt, values: ['0']}
            - {key: karpenter.k8s.aws/instance-category, operator: In, values: [g, p]}
          taints: [{key: nvidia.com/gpu, effect: NoSchedule}]
          nodeClassRef: {group: karpenter.k8s.aws, kind: EC2NodeClass, name: gpu}

Fix: Add the requirement `karpenter.k8s.aws/instance-gpu-manufacturer In [nvidia]`.

Source: EC2 instance types (g4ad: Radeon Pro V520); Karpenter AWS provider v1.14 (image variant: "gpu-count exists").
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from fretsaw.api.labels import CAPACITY_TYPE, ZONE
from fretsaw.engine.universe import bits
from fretsaw.lint.found import Append, Found
from fretsaw.lint.given import Input
from fretsaw.lint.market import AWS_LABEL, NVIDIA, counted, listed
from fretsaw.lint.pool import SPEC, Pool
from fretsaw.lint.rule import rule

_KEY = "instance-gpu-manufacturer"
_AMD = "amd.com/gpu"


@rule("GPU105", "warning", on=Pool, fixes=True)
def amd_gpus_admitted(pool: Pool, given: Input) -> Iterator[Found]:
    """Accelerated pools with both makers' GPUs."""
    universe = pool.universe
    amd = universe.compatible(pool.requirements.without(ZONE, CAPACITY_TYPE)) & universe.capacity_room.holding(_AMD, 1)
    if not pool.is_accelerated or NVIDIA not in pool.resources or not amd:
        return
    names = sorted((universe.names[t] for t in bits(amd)), key=lambda name: (len(name), name))
    bought = msgspec.structs.replace(pool.offer, types=pool.offer.types & amd)
    proof = (
        f"{listed(names)} meet its requirements; with one more {len(pool.offer) - len(bought)} NVIDIA types are left"
    )
    domain = "eks.amazonaws.com" if pool.template.node_class_ref.group == "eks.amazonaws.com" else "karpenter.k8s.aws"
    yield Found(
        pool.path_of(AWS_LABEL + "gpu-count"),
        f"admits {counted(len(names), 'type')} with AMD GPUs, on which nothing of NVIDIA's runs",
        fix=f"add the requirement {domain}/{_KEY} In [nvidia]",
        proof=f"{proof}; the cheapest of them is {bought.cheapest}" if bought else proof,
        usd_per_hour=bought.cheapest.usd if bought else None,
        edits=(Append(f"{SPEC}.requirements", {"key": f"{domain}/{_KEY}", "operator": "In", "values": ["nvidia"]}),),
    )
