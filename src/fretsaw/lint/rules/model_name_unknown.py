"""A model name that the hub does not have

The name looks like a model of the hub, and is written there in another way.

Why: The server ends with 404 after the node was bought and the image pulled.

Example:
    apiVersion: v1
    kind: Pod
    metadata: {name: llm}
    spec:
      containers:
        - name: vllm
          image: vllm/vllm-openai:v0.11.0
          args: [--model, meta-llama/Llama-3-8B]
          resources: {limits: {nvidia.com/gpu: '1'}}

Fix: Write the hub's own name: the first Llama 3 is `meta-llama/Meta-Llama-3-8B`, Llama 2 is
`meta-llama/Llama-2-7b-hf`.

Source: Hugging Face Hub, names of Meta's models.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from fretsaw.lint.found import Found, Set
from fretsaw.lint.given import Input
from fretsaw.lint.rule import rule
from fretsaw.lint.work import Work

_WRONG = (
    (re.compile(r"(?<![\w/])meta-llama/Llama-3-(8|70)B(-Instruct)?(?![\w.-])"), r"meta-llama/Meta-Llama-3-\1B\2"),
    (re.compile(r"(?<![\w/])meta-llama/Llama-2-(7|13|70)[bB](-chat)?(?![\w.-])"), r"meta-llama/Llama-2-\1b\2-hf"),
    (re.compile(r"(?<![\w/])mistralai/Mistral-7B(-Instruct)?(?![\w.-])"), r"mistralai/Mistral-7B\1-v0.3"),
)


@rule("WORK110", "warning", on=Work, fixes=True)
def model_name_unknown(work: Work, given: Input) -> Iterator[Found]:
    """Names of models that are nearly right."""
    for number, container in enumerate(work.spec.containers):
        for field, parts in (("args", container.args), ("command", container.command)):
            for n, part in enumerate(parts):
                for wrong, right in _WRONG:
                    match = wrong.search(part)
                    if match is None:
                        continue
                    new = match.expand(right)
                    path = work.container_path(number, f"{field}[{n}]")
                    yield Found(
                        path,
                        f"the hub has no {match[0]}",
                        fix=f"write {new}",
                        edits=(Set(path, part.replace(match[0], new)),),
                    )
