"""A training pool that says "has a GPU" where large machines are meant

`instance-gpu-count Gt 0` is true of every GPU type; in a pool for training it admits machines with one GPU.

Why: The cheapest type wins: a run that was meant for eight GPUs with NVLink is spread over machines with one GPU
each, joined by the ordinary network, and takes several times as long.

Example:
    apiVersion: karpenter.sh/v1
    kind: NodePool
    metadata: {name: gpu-training}
    spec:
      template:
        spec:
          requirements:
            - {key: karpenter.k8s.aws/instance-gpu-name, operator: In, values: [a100, h100, a10g]}
            - {key: karpenter.k8s.aws/instance-gpu-count, operator: Gt, values: ['0']}
          nodeClassRef: {group: karpenter.k8s.aws, kind: EC2NodeClass, name: gpu}

Fix: Say how many GPUs a machine shall have at least (`Gt ['3']` admits four and more), or leave the requirement out
if small machines are welcome.

Source: Karpenter documentation, well-known labels (instance-gpu-count is the number of GPUs of the instance).
"""

from __future__ import annotations

from collections.abc import Iterator

from fretsaw.engine.requirement import Requirement
from fretsaw.lint.found import Found
from fretsaw.lint.given import Input
from fretsaw.lint.market import AWS_LABEL, counted
from fretsaw.lint.pool import Pool
from fretsaw.lint.rule import rule


@rule("GPU106", "info", on=Pool)
def training_pool_admits_single_gpus(pool: Pool, given: Input) -> Iterator[Found]:
    """Pools for training with `Gt 0` and machines of one GPU."""
    key = AWS_LABEL + "gpu-count"
    asked = pool.requirements.get(key)
    if not pool.is_for_training or asked is None or asked.gte != 1:
        return
    single = pool.offer.only("gpu-count", "1")
    large = pool.offer_with(Requirement(key, complement=True, gte=4))
    if not single or not large:
        return
    yield Found(
        pool.path_of(key),
        f"Gt 0 only says that there is a GPU: {counted(len(single), 'type')} of {len(pool.offer)} have a single one",
        fix="write Gt ['3'] for machines with four GPUs or more, or leave the requirement out",
        proof=f"the first choice is {pool.offer.cheapest}; with Gt 3 it is {large.cheapest}",
    )
