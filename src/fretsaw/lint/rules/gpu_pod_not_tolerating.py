"""A pod that asks for a GPU and does not tolerate its taint

GPU pools are tainted (GPU101), and the pod has no toleration for that taint.

Why: The pod stays Pending while GPUs stand idle; with an untainted pool among others it lands where nobody meant it
to.

Example:
    apiVersion: v1
    kind: Pod
    metadata: {name: train}
    spec:
      containers:
        - {name: train, image: 'train:v1', resources: {limits: {nvidia.com/gpu: '1'}}}

Fix: Add `tolerations: [{key: nvidia.com/gpu, operator: Exists, effect: NoSchedule}]`. EKS does not add it by itself.

Source: kubernetes.io, Taints and Tolerations; EKS user guide, GPU nodes.
"""

from __future__ import annotations

from collections.abc import Iterator

from fretsaw.api.node import Taint
from fretsaw.engine.taints import untolerated
from fretsaw.lint.found import Found
from fretsaw.lint.given import Input
from fretsaw.lint.kinds import tolerating
from fretsaw.lint.market import DEVICES, counted
from fretsaw.lint.rule import rule
from fretsaw.lint.work import Work


@rule("GPU102", "error", on=Work, fixes=True)
def gpu_pod_not_tolerating(work: Work, given: Input) -> Iterator[Found]:
    """Pods with devices whom every pool that has them keeps off."""
    resource = next((r for r in work.devices if r in DEVICES), None)
    if resource is None or work.is_daemon:
        return
    pools = [pool for pool in given.pools if resource in pool.resources]
    usual = Taint(resource, "NoSchedule", "true")
    keys = {t.key for pool in pools if (t := pool.keeps_off(work.spec.tolerations)) is not None}
    if pools and (resource not in keys or given.landing(work)):
        return
    if not pools and untolerated([usual], work.spec.tolerations) is None:
        return
    yield Found(
        work.path("spec.tolerations"),
        f"asks for {resource} and does not tolerate the taint {resource} that such nodes have",
        fix=f"add the toleration {{key: {resource}, operator: Exists, effect: NoSchedule}}",
        proof=f"none of {counted(len(pools), 'pool')} with {resource} takes it" if pools else "",
        edits=tolerating(work, resource),
        severity=None if pools else "info",
    )
