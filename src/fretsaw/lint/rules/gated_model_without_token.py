"""A gated model without a token

The model can be downloaded only by who has accepted its licence, and the container has no token of the hub.

Why: The server ends with 401 after the node was bought and the image pulled; then again with each restart.

Example:
    apiVersion: v1
    kind: Pod
    metadata: {name: llm}
    spec:
      containers:
        - name: vllm
          image: vllm/vllm-openai:v0.11.0
          args: [--model, meta-llama/Llama-3.1-8B-Instruct]
          resources: {limits: {nvidia.com/gpu: '1'}}

Fix: Set `HF_TOKEN` from a Secret, or load the model from a volume or from S3.

Source: Hugging Face documentation, gated models.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from fretsaw.lint.found import Found
from fretsaw.lint.given import Input
from fretsaw.lint.rule import rule
from fretsaw.lint.work import Work, env_names

_GATED = re.compile(
    r"(?<![\w/])(meta-llama/|google/gemma|mistralai/(Mistral-Large|Codestral)|black-forest-labs/FLUX\.1-dev)"
)
_TOKENS = {"HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HUGGINGFACE_TOKEN", "HUGGING_FACE_TOKEN", "HF_API_TOKEN", "*"}


@rule("WORK109", "warning", on=Work)
def gated_model_without_token(work: Work, given: Input) -> Iterator[Found]:
    """Servers of gated models without a token."""
    for number, container in enumerate(work.spec.containers):
        words = " ".join((*container.command, *container.args, *(one.value for one in container.env)))
        match = _GATED.search(words)
        if (
            match is None
            or env_names(work, number) & _TOKENS
            or "HF_TOKEN" in words
            or "HF_HUB_OFFLINE" in str(container)
        ):
            continue
        name = re.match(r"[\w./-]+", words[match.start() :])
        yield Found(
            work.container_path(number, "env"),
            f"{name[0] if name else match[0]} is gated, and the container has no token to download it",
            fix="set HF_TOKEN from a Secret, or load the model from a volume",
        )
