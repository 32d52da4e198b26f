"""A startup taint that nobody is known to remove

`startupTaints` has a key that is none of the drivers' and agents' that remove their own.

Why: The node stays uninitialised for as long as the taint is there: pods do not start, no second node is bought, and
the first one is billed.

Example:
    apiVersion: karpenter.sh/v1
    kind: NodePool
    metadata: {name: gpu}
    spec:
      template:
        spec:
          requirements: [{key: karpenter.k8s.aws/instance-gpu-name, operator: In, values: [l4]}]
          startupTaints: [{key: example.com/not-ready, effect: NoExecute}]
          nodeClassRef: {group: karpenter.k8s.aws, kind: EC2NodeClass, name: gpu}

Fix: Make sure that a DaemonSet removes it (and tolerates it), and allow this with its name as the reason; or make it
an ordinary taint.

Source: Karpenter documentation, startupTaints.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from fretsaw.lint.found import Found
from fretsaw.lint.given import Input
from fretsaw.lint.pool import SPEC, Pool
from fretsaw.lint.rule import rule

_REMOVED = re.compile(
    r"(ebs|efs|fsx|s3)\.csi\.aws\.com/agent-not-ready|node\.cilium\.io/|readiness\.k8s\.io/|node\.kubernetes\.io/"
    r"|projectcalico|istio|nidhogg|nvidia\.com/gpu\.deploy|ebs-csi|linkerd|datadog"
)


@rule("POOL111", "info", on=Pool)
def startup_taint_kept(pool: Pool, given: Input) -> Iterator[Found]:
    """Startup taints of unknown keys."""
    for number, taint in enumerate(pool.template.startup_taints):
        if _REMOVED.search(taint.key):
            continue
        by = [w.title for w in given.works if w.is_daemon and any(t.key == taint.key for t in w.spec.tolerations)]
        if not by:
            yield Found(
                f"{SPEC}.startupTaints[{number}]",
                f"who removes {taint.key}? until then no pod starts, and the node is billed",
                fix="make sure that a DaemonSet removes it, and say which with an allow comment",
            )
