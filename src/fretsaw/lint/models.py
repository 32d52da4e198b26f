"""What a model server says of its model: how large it is, in which numbers, over how many GPUs.

Sizes are read from the model's name (`Llama-3-8B`, `Mixtral-8x7B`); what has no size in its name is not judged.
Source: rule of thumb of model serving guides: weights in GiB = billions of parameters × bytes / 1.074; beside them
about 1.5 GiB of the runtime and room for the key-value cache.
"""

from __future__ import annotations

import re

import msgspec

from fretsaw.api.pod import Container
from fretsaw.lint.work import Work

_SIZE = re.compile(r"(?<![\w.])(?:(\d+)x)?(\d+(?:\.\d+)?)b(?![a-z])")
_FOUR_BITS = re.compile(r"awq|gptq|int4|4bit|4-bit|w4a16|nf4|mxfp4|fp4|gpt-oss|q4_")
_EIGHT_BITS = re.compile(r"fp8|int8|8bit|8-bit|w8a8|q8_")
_SHARED_EXPERTS = 0.84
"""Experts share their attention: Mixtral 8x7B has 47, not 56, billion parameters."""
_RUNTIME_GIB = 1.5
_SERVERS = re.compile(r"vllm|tritonserver|text-generation|tgi|sglang|lmdeploy|trtllm|tensorrt")


class Model(msgspec.Struct, frozen=True):
    """A model as a server is told to run it."""

    name: str
    billions: float
    bytes: float
    gpus: int
    """Over how many GPUs it is divided."""
    utilisation: float
    argument: str
    """Where the name stands: `args` or `command`."""

    @property
    def weights_gib(self) -> float:
        """What the weights take."""
        return self.billions * self.bytes / 1.074

    @property
    def needed_mib(self) -> int:
        """The least memory that each GPU must have, without any room for the cache."""
        return round((self.weights_gib + _RUNTIME_GIB * self.gpus) / self.gpus / self.utilisation * 1024)

    @property
    def numbers(self) -> str:
        """How a parameter is kept."""
        return {0.5: "4-bit", 1: "8-bit", 2: "16-bit", 4: "32-bit"}.get(self.bytes, f"{self.bytes:g}-byte")


def model_of(work: Work, container: Container) -> Model | None:
    """The model of a container that serves one; None where it serves none, or does not say how large it is."""
    words = " ".join((container.name, container.image, *container.command, *container.args)).lower()
    if not _SERVERS.search(words):
        return None
    name = work.argument(container, "--model", "--model-id", "--model-path", "--served-model-name") or _positional(
        container
    )
    variables = {one.name: one.value for one in container.env}
    name = name or variables.get("MODEL_ID") or variables.get("MODEL_NAME") or ""
    if name.startswith("$"):
        name = variables.get(name.strip("$(){}"), "")
    match = _SIZE.search(name.lower().replace("_", "-").replace("-", " "))
    if match is None:
        return None
    billions = float(match[2]) * (int(match[1]) * _SHARED_EXPERTS if match[1] else 1)
    dtype = (work.argument(container, "--dtype") or "").lower()
    quantized = f"{name} {work.argument(container, '--quantization', '-q', '--quantize') or ''}".lower()
    size = 0.5 if _FOUR_BITS.search(quantized) else 1.0 if _EIGHT_BITS.search(quantized) else 2.0
    size = 4.0 if dtype in ("float32", "float") and size == 2.0 else size
    return Model(
        name, billions, size, _parallel(work, container), _utilisation(work, container), _field(container, name)
    )


def _positional(container: Container) -> str | None:
    """`vllm serve MODEL`."""
    words = [word for part in (*container.command, *container.args) for word in part.split()]
    for number, word in enumerate(words[:-1]):
        if word == "serve" and not words[number + 1].startswith("-"):
            return words[number + 1].strip("'\"")
    return None


def parallel(work: Work, container: Container, *names: str) -> int | None:
    """A whole number of the command line; None where it is not given or is no number."""
    value = work.argument(container, *names)
    return int(value) if value is not None and value.isdigit() else None


def _parallel(work: Work, container: Container) -> int:
    across = parallel(work, container, "--tensor-parallel-size", "-tp", "--tp", "--tp-size", "--num-shard") or 1
    along = parallel(work, container, "--pipeline-parallel-size", "-pp", "--pp-size") or 1
    return max(across * along, 1)


def _utilisation(work: Work, container: Container) -> float:
    given = work.argument(container, "--gpu-memory-utilization", "--mem-fraction-static", "--cuda-memory-fraction")
    try:
        value = float(given or 0.9)
    except ValueError:
        return 0.9
    return value if 0.05 < value <= 1 else 0.9


def _field(container: Container, name: str) -> str:
    return "args" if any(name in part for part in container.args) else "command" if container.command else "image"
