"""A taint that keeps the GPU Operator's own pods off

The pool has a taint beside `nvidia.com/gpu`. The Operator's DaemonSets (device plugin, feature discovery, DCGM)
tolerate only that one.

Why: Without the device plugin `nvidia.com/gpu` never appears on the node: it is never initialised, pods stay Pending,
and no second node is bought, since the first counts as on its way.

Example:
    apiVersion: karpenter.sh/v1
    kind: NodePool
    metadata: {name: gpu}
    spec:
      template:
        spec:
          requirements:
            - {key: karpenter.k8s.aws/instance-gpu-name, operator: In, values: [l4]}
          taints:
            - {key: nvidia.com/gpu, effect: NoSchedule}
            - {key: team, value: vision, effect: NoSchedule}
          nodeClassRef: {group: karpenter.k8s.aws, kind: EC2NodeClass, name: gpu}

Fix: Add the taint to `daemonsets.tolerations` and to the tolerations of the NFD worker in the Operator's values, or
use a label and a nodeSelector instead.

Source: gpu-operator v26 chart values (daemonsets.tolerations); Karpenter documentation, initialised nodes.
"""

from __future__ import annotations

from collections.abc import Iterator

from fretsaw.lint.found import Found
from fretsaw.lint.given import Input
from fretsaw.lint.market import NVIDIA, dollars
from fretsaw.lint.pool import SPEC, Pool
from fretsaw.lint.rule import rule
from fretsaw.lint.tree import at, maps


@rule("GPU115", "warning", on=Pool)
def operands_kept_off(pool: Pool, given: Input) -> Iterator[Found]:
    """Pools of NVIDIA GPUs with taints that the Operator does not tolerate."""
    node_class = given.class_of(pool)
    has_plugin = node_class is not None and node_class.family == "bottlerocket"
    if NVIDIA not in pool.resources or not pool.is_accelerated or has_plugin:
        return
    auto_mode = pool.template.node_class_ref.group == "eks.amazonaws.com"
    tolerated = {
        str(one.get("key"))
        for values in given.values
        for _, one in maps(at(values.values, "daemonsets", "tolerations"))
        if one.get("key") or one.get("operator") == "Exists"
    }
    for number, taint in enumerate(pool.taints):
        if taint.key == NVIDIA or taint.effect == "PreferNoSchedule" or auto_mode or {taint.key, "None"} & tolerated:
            continue
        yield Found(
            f"{SPEC}.taints[{number}]",
            f"the GPU Operator's pods do not tolerate {taint.key}: nvidia.com/gpu would never appear on these nodes",
            fix=f"add {{key: {taint.key}, operator: Exists}} to daemonsets.tolerations of the Operator's values",
            proof=f"a node that never becomes initialised costs {dollars(pool.offer.cheapest.usd)}/h or more",
            usd_per_hour=pool.offer.cheapest.usd,
        )
