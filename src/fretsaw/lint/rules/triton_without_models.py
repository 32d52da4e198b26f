"""Triton without a model repository

The container runs Triton, and neither command nor arguments say where the models are.

Why: The image's own entry point starts a shell, or the server ends at once: it does not start without
`--model-repository`. The GPU node is bought all the same.

Example:
    apiVersion: v1
    kind: Pod
    metadata: {name: triton}
    spec:
      containers:
        - {name: triton, image: 'nvcr.io/nvidia/tritonserver:25.08-py3', resources: {limits: {nvidia.com/gpu: '1'}}}

Fix: Write `args: [tritonserver, --model-repository=/models]`.

Source: NVIDIA Triton Inference Server, quick start.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from fretsaw.lint.found import Found
from fretsaw.lint.given import Input
from fretsaw.lint.rule import rule
from fretsaw.lint.work import Work


@rule("WORK105", "error", on=Work)
def triton_without_models(work: Work, given: Input) -> Iterator[Found]:
    """Triton's image without its one required option."""
    for number, container in enumerate(work.spec.containers):
        words = " ".join((*container.command, *container.args))
        if "tritonserver:" not in container.image or re.search(r"--model-(repository|store)|\.(sh|py)\b|sleep", words):
            continue
        if any(one.name in ("MODEL_REPOSITORY", "TRITON_MODEL_REPOSITORY") for one in container.env):
            continue
        yield Found(
            work.container_path(number, "args"),
            "Triton is not told where its models are: it does not start",
            fix="write args: [tritonserver, --model-repository=/models]",
        )
