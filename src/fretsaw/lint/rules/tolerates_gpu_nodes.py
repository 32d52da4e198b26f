"""A pod without a GPU that is let onto GPU nodes

The pod asks for no accelerator, and tolerates every taint, or that of GPU nodes.

Why: It fills CPU and memory that the GPUs there need, keeps the node from being empty, and so from being taken away.
A GPU hour is paid for a web server.

Example:
    apiVersion: apps/v1
    kind: Deployment
    metadata: {name: web}
    spec:
      selector: {matchLabels: {app: web}}
      template:
        metadata: {labels: {app: web}}
        spec:
          tolerations: [{operator: Exists}]
          containers: [{name: web, image: 'nginx:1.29'}]

Fix: Tolerate only what is meant, by key. Daemons that belong on every node are not reported.

Source: kubernetes.io, Taints and Tolerations (an empty key with Exists tolerates everything).
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from fretsaw.api.node import Taint
from fretsaw.engine.taints import tolerates
from fretsaw.lint.found import Found
from fretsaw.lint.given import Input
from fretsaw.lint.market import DEVICES, NVIDIA
from fretsaw.lint.rule import rule
from fretsaw.lint.work import Work

_SYSTEM = ("kube-system", "gpu-operator", "nvidia-device-plugin", "monitoring", "karpenter")
_USES = re.compile(r"nvidia|cuda|vllm|tritonserver|torchrun|(?<![a-z])gpu(?![a-z])")


@rule("COST106", "warning", on=Work)
def tolerates_gpu_nodes(work: Work, given: Input) -> Iterator[Found]:
    """Pods without devices that tolerate GPU nodes."""
    if work.devices or work.is_daemon or work.namespace in _SYSTEM or work.spec.resource_claims:
        return
    if _USES.search(work.words):
        return  # GPU104 says it
    for number, one in enumerate(work.spec.tolerations):
        if not tolerates(one, Taint(NVIDIA, "NoSchedule", "true")) or one.key not in ("", *DEVICES):
            continue
        gpu = [landing for landing in given.landing(work) if landing.pool.is_accelerated]
        yield Found(
            work.path(f"spec.tolerations[{number}]"),
            f"needs no accelerator and tolerates {one.key or 'every taint'}: it runs on GPU nodes, too",
            fix="tolerate only the taints that are meant, by key",
            proof=f"pool {gpu[0].pool.name} would buy {gpu[0].offer.cheapest} for it" if gpu else "",
            usd_per_hour=gpu[0].offer.cheapest.usd if gpu else None,
        )
