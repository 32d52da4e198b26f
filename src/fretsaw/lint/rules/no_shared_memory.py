"""Several GPU processes with 64 MiB of shared memory

PyTorch's workers and NCCL pass data through `/dev/shm`. A container has 64 MiB of it unless a volume is mounted
there.

Why: Training stops after minutes or hours with "bus error" or an NCCL error that does not name the cause; the node
has been paid for up to then.

Example:
    apiVersion: v1
    kind: Pod
    metadata: {name: train}
    spec:
      tolerations: [{key: nvidia.com/gpu, operator: Exists}]
      containers:
        - name: train
          image: pytorch-training:v1
          command: [torchrun, train.py]
          resources: {limits: {nvidia.com/gpu: '4'}}

Fix: Mount `emptyDir: {medium: Memory}` at /dev/shm. What is written there counts against the memory limit.

Source: PyTorch documentation, multiprocessing (shared memory in containers); NCCL documentation, troubleshooting.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from fretsaw.api.resources import units
from fretsaw.lint.found import Found
from fretsaw.lint.given import Input
from fretsaw.lint.market import NVIDIA, counted
from fretsaw.lint.rule import rule
from fretsaw.lint.work import Work


@rule("GPU118", "warning", on=Work)
def no_shared_memory(work: Work, given: Input) -> Iterator[Found]:
    """Work with several GPU processes whose container has the default /dev/shm; KubeRay mounts one by itself."""
    if work.raw_spec.get("hostIPC") is True or work.is_daemon or work.kind.startswith("Ray"):
        return
    for number, container in enumerate(work.spec.containers):
        gpus = int(units(NVIDIA, container.resources.requests.get(NVIDIA, 0)))
        words = " ".join((container.image, *container.command, *container.args)).lower()
        spreads = gpus >= 2 or (gpus and re.search("torchrun|torch.distributed|deepspeed", words))
        if not spreads or any(mount.mount_path.startswith("/dev/shm") for mount in container.volume_mounts):
            continue
        yield Found(
            work.container_path(number, "volumeMounts"),
            f"{counted(gpus, 'GPU')} with the default 64 MiB of /dev/shm: NCCL and data loaders run out of it",
            fix="add a volume {name: shm, emptyDir: {medium: Memory}} and mount it at /dev/shm",
        )
