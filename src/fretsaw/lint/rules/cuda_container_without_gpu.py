"""A container that uses a GPU and asks for none

Image or command need a GPU, and the pod is let onto GPU nodes by its toleration, but it asks for no device.

Why: Nothing is reserved: it sees GPUs only where the runtime shows all of them to everybody, and then it shares them
with the pod that has asked for them and may take its memory. The autoscaler buys whatever is cheapest for a pod
without a GPU.

Example:
    apiVersion: v1
    kind: Pod
    metadata: {name: gpu-debug}
    spec:
      tolerations: [{key: nvidia.com/gpu, operator: Exists, effect: NoSchedule}]
      containers: [{name: debug, image: 'nvidia/cuda:12.8.0-base-ubuntu24.04', args: [nvidia-smi]}]

Fix: Ask for what is used: `resources: {limits: {nvidia.com/gpu: '1'}}`. To look at a node whose GPUs are taken, use
`kubectl debug node/NAME` instead.

Source: EKS AL2023 NVIDIA images (default runtime is nvidia: NVIDIA_VISIBLE_DEVICES of the image decides);
kubernetes.io, Schedule GPUs.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from fretsaw.lint.found import Found
from fretsaw.lint.given import Input
from fretsaw.lint.market import NVIDIA
from fretsaw.lint.rule import rule
from fretsaw.lint.work import Work

_USES = re.compile(r"nvidia|cuda|vllm|tritonserver|torchrun|(?<![a-z])gpu(?![a-z])")
_SYSTEM = ("kube-system", "gpu-operator", "nvidia-device-plugin", "monitoring")


@rule("GPU104", "warning", on=Work)
def cuda_container_without_gpu(work: Work, given: Input) -> Iterator[Found]:
    """Pods on GPU nodes with a GPU's software and without a GPU."""
    if work.devices or work.is_daemon or work.namespace in _SYSTEM or work.spec.resource_claims:
        return
    if not any(one.key == NVIDIA for one in work.spec.tolerations):
        return
    for number, container in enumerate(work.spec.containers):
        if not _USES.search(" ".join((container.image, *container.command, *container.args)).lower()):
            continue
        landing = given.landing(work)
        proof = ""
        if landing:
            proof = f"its node is the cheapest of pool {landing[0].pool.name}: {landing[0].offer.cheapest}"
        yield Found(
            work.container_path(number, "resources"),
            f"{container.image} needs a GPU and none is asked for: it gets one only by accident, and shares it",
            fix="write resources: {limits: {nvidia.com/gpu: '1'}}",
            proof=proof,
        )
