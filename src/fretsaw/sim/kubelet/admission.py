"""Whether the kubelet takes a pod that was bound to its node.

Source: kubelet (HandlePodAdditions): device allocation first, then the scheduler's general predicates.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from fretsaw.api.node import Taint
from fretsaw.api.pod import Pod
from fretsaw.engine.requests import Amounts
from fretsaw.engine.taints import untolerated
from fretsaw.sim.gpu_sharing import Sharing
from fretsaw.sim.gpu_stack import NVIDIA_GPU
from fretsaw.sim.kubelet.devices import Devices, devices_of, is_device

UNEXPECTED = "UnexpectedAdmissionError"


class Rejection(msgspec.Struct, frozen=True):
    """Why a pod is refused: it ends Failed with this reason."""

    reason: str
    message: str


def devices_refused(requests: Amounts, devices: Devices, sharing: Sharing) -> Rejection | None:
    """Why a pod cannot have its devices; None where it can.

    A device that the node does not have (yet, or any more) is unexpected as well: the scheduler saw it.
    """
    for resource, wanted in devices_of(requests).items():
        if sharing.is_shared and sharing.fail_multiple and wanted > 1 and resource.startswith(NVIDIA_GPU):
            why = f"request for {wanted} of a shared resource, of which one is given at most"
            return Rejection(UNEXPECTED, f"Pod was rejected: Allocate failed due to {resource}: {why}")
        free = devices.free(resource)
        if wanted > free:
            why = f"requested number of devices unavailable for {resource}. Requested: {wanted}, Available: {free}"
            return Rejection(UNEXPECTED, f"Pod was rejected: Allocate failed due to {why}, which is unexpected")
    return None


def predicates_refused(
    pod: Pod, requests: Amounts, used: Mapping[str, int], allocatable: Mapping[str, int], taints: tuple[Taint, ...]
) -> Rejection | None:
    """Why a pod does not fit beside the pods that the kubelet has; None where it does.

    Of taints only NoExecute counts here.
    """
    for resource, wanted in requests.items():
        room = allocatable.get(resource, 0)
        if wanted and not is_device(resource) and used.get(resource, 0) + wanted > room:
            numbers = f"requested: {wanted}, used: {used.get(resource, 0)}, capacity: {room}"
            return Rejection(
                f"OutOf{resource}", f"Pod was rejected: Node didn't have enough resource: {resource}, {numbers}"
            )
    evicting = [taint for taint in taints if taint.effect == "NoExecute"]
    if (taint := untolerated(evicting, pod.spec.tolerations)) is not None:
        return Rejection("TaintToleration", f"Pod was rejected: the node has the taint {taint}")
    return None
