"""A GPU workload whose image may change under it

The image has the tag `latest`, or none.

Why: After an interruption the pod comes back with another version: a run resumes with other code than it began with,
replicas differ. And `latest` is pulled anew on each start, gigabytes on a node that is paid for.

Example:
    apiVersion: v1
    kind: Pod
    metadata: {name: training}
    spec:
      containers: [{name: training, image: 'training:latest', resources: {limits: {nvidia.com/gpu: '1'}}}]

Fix: Name a version or a digest.

Source: kubernetes.io, Images (avoid latest; pull policy Always).
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from fretsaw.lint.found import Found
from fretsaw.lint.given import Input
from fretsaw.lint.rule import rule
from fretsaw.lint.work import Work

_NAME = re.compile(r"[a-z0-9][a-z0-9._:/@-]*")
"""What is no name of an image is something that will be filled in."""


@rule("WORK108", "info", on=Work)
def image_tag_moves(work: Work, given: Input) -> Iterator[Found]:
    """Containers with devices and a tag that moves."""
    for number, container in enumerate(work.spec.containers):
        asks = any(resource in container.resources.requests for resource in work.devices)
        tag = container.image.rpartition("/")[2].partition(":")[2]
        if asks and "@" not in container.image and tag in ("", "latest") and _NAME.fullmatch(container.image):
            yield Found(
                work.container_path(number, "image"),
                f"{container.image or 'the image'} may be another one after each restart",
                fix="name a version or a digest",
            )
