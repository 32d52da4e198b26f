"""One volume for pods on several nodes

Several GPU pods mount the same claim, and it may be mounted by one node only (ReadWriteOnce).

Why: One GPU a pod means a node each: the second node is bought, and its pod waits in ContainerCreating for a volume
that never comes. The node is paid for.

Example:
    apiVersion: v1
    kind: PersistentVolumeClaim
    metadata: {name: models}
    spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 200Gi}}}
    ---
    apiVersion: apps/v1
    kind: Deployment
    metadata: {name: llm}
    spec:
      replicas: 3
      selector: {matchLabels: {app: llm}}
      template:
        metadata: {labels: {app: llm}}
        spec:
          containers: [{name: vllm, image: 'vllm/vllm-openai:v0.11.0', resources: {limits: {nvidia.com/gpu: '1'}}}]
          volumes: [{name: models, persistentVolumeClaim: {claimName: models}}]

Fix: Use a file system that many nodes can mount (EFS, FSx for Lustre: ReadWriteMany or ReadOnlyMany), or a
StatefulSet with a claim for each pod.

Source: kubernetes.io, Persistent Volumes (access modes); EBS CSI driver (ReadWriteOnce).
"""

from __future__ import annotations

from collections.abc import Iterator

from fretsaw.lint.found import Found
from fretsaw.lint.given import Input
from fretsaw.lint.market import listed
from fretsaw.lint.rule import rule
from fretsaw.lint.work import Work

_MANY = ("ReadWriteMany", "ReadOnlyMany")


@rule("WORK104", "error", on=Work)
def volume_of_one_node(work: Work, given: Input) -> Iterator[Found]:
    """Replicas with devices that share a claim of one node."""
    scaled = [one.at("spec", "maxReplicas") for one in given.autoscalers(work)]
    pods = max([work.copies, *(most for most in scaled if isinstance(most, int))])
    if pods < 2 or not work.devices or work.is_daemon:
        return
    for number, name, claim in given.claims(work):
        path = work.path(f"spec.volumes[{number}].persistentVolumeClaim.claimName")
        if claim is None:
            yield Found(
                path,
                f"{pods} pods mount {name}, which is not in the input: it has to be ReadWriteMany (EFS, FSx)",
                fix="make it of a file system that many nodes can mount",
                severity="info",
            )
        elif not set(claim.access_modes) & set(_MANY):
            yield Found(
                path,
                f"{pods} pods with devices mount {name}, which is {listed(list(claim.access_modes))}: of one node",
                fix="use ReadWriteMany (EFS, FSx), or a StatefulSet with a claim for each pod",
            )
