"""A master address that no Service has

Workers are told a host name for rank 0, and no Service of the input has that name.

Why: The name does not resolve: all workers wait for each other until their timeout, half an hour on GPUs that do
nothing.

Example:
    apiVersion: batch/v1
    kind: Job
    metadata: {name: pretraining}
    spec:
      completionMode: Indexed
      parallelism: 4
      completions: 4
      template:
        spec:
          restartPolicy: OnFailure
          containers:
            - {name: t, image: 'training:v1', args: [--nnodes=4, --master_addr=training-master, train.py]}

Fix: Make a headless Service for the pods, set `subdomain` to its name, and use rank 0's own name:
`--master_addr=<job>-0.<service>`.

Source: kubernetes.io, Job with Pod-to-Pod communication; PyTorch documentation, torchrun.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from fretsaw.lint.found import Found
from fretsaw.lint.given import Input
from fretsaw.lint.rule import rule
from fretsaw.lint.work import Work

_OPTIONS = ("--master_addr", "--master-addr", "--rdzv_endpoint", "--rdzv-endpoint", "--coordinator_address")
_LOCAL = re.compile(r"localhost|127\.|0\.0\.0\.0|\d+\.\d+\.\d+\.\d+$|\$|\{|^$")


@rule("WORK102", "warning", on=Work)
def master_without_service(work: Work, given: Input) -> Iterator[Found]:
    """Workers with a rendezvous whose host no Service of the input gives."""
    if work.kind not in ("Job", "CronJob", "Pod", "StatefulSet", "Deployment"):
        return
    services = {one.name for one in given.by_kind.get("Service", ()) if one.namespace == work.namespace}
    for number, container in enumerate(work.spec.containers):
        said = work.argument(container, *_OPTIONS)
        variables = {one.name: one.value for one in container.env}
        host = (said if said is not None else variables.get("MASTER_ADDR", "")).partition(":")[0]
        words = host.split(".")
        if _LOCAL.search(host) or words[0] in services or (len(words) > 1 and words[1] in services):
            continue
        yield Found(
            work.container_path(number, "args" if said is not None else "env"),
            f"rank 0 is looked for at {host}, and no Service of namespace {work.namespace} has that name",
            severity=None if given.neighbours(work) else "info",
            fix=f"add a headless Service {work.name}, write subdomain: {work.name}, and use {work.name}-0.{work.name}",
        )
