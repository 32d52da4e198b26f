"""GPU nodes go the moment that they are quiet

`consolidateAfter` is less than a minute, or left at its default of 0s, on a pool of GPUs.

Why: A node that is free between two jobs is ended and bought again: minutes of start-up, image pull and model loading
are paid for each time, and pods wait for them.

Example:
    apiVersion: karpenter.sh/v1
    kind: NodePool
    metadata: {name: gpu}
    spec:
      template:
        spec:
          requirements: [{key: karpenter.k8s.aws/instance-gpu-name, operator: In, values: [l4]}]
          nodeClassRef: {group: karpenter.k8s.aws, kind: EC2NodeClass, name: gpu}

Fix: Write `consolidateAfter: 5m` or so: about what a new node takes to be useful.

Source: Karpenter v1.14 NodePool defaults (consolidateAfter 0s); AWS figures for pulls of model servers' images (40 s
to 10 min).
"""

from __future__ import annotations

from collections.abc import Iterator

from fretsaw.api.times import HOUR, span
from fretsaw.lint.found import Found
from fretsaw.lint.given import Input
from fretsaw.lint.rule import rule
from fretsaw.lint.views import Disrupting


@rule("COST104", "info", on=Disrupting)
def gpu_nodes_churn(disrupting: Disrupting, given: Input) -> Iterator[Found]:
    """Accelerated pools without patience."""
    pool = given.pool_of(disrupting)
    after = span(disrupting.disruption.consolidate_after)
    if pool is None or pool.is_static or not pool.is_accelerated or after is None or after >= HOUR // 60:
        return
    said = "" if disrupting.is_given else " (the default)"
    yield Found(
        f"{disrupting.prefix}.consolidateAfter",
        f"a GPU node may go {disrupting.disruption.consolidate_after}{said} after its last change, and be bought again",
        fix="write consolidateAfter: 5m or so",
    )
