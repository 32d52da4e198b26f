"""GPU mixes on the shipped EC2 catalog, and one real cluster's pods.

A shape is (GPUs, vCPU, GiB); a mix draws its pods from weighted shapes. Sizes stay within what a node of that many
GPUs leaves for pods, so that every pod can be placed.
"""

from __future__ import annotations

import csv
import os
from collections.abc import Sequence
from pathlib import Path
from random import Random

from bench.objects import (
    ARCH,
    CAPACITY_TYPE,
    CATEGORY,
    GPU_MANUFACTURER,
    GPU_MEMORY,
    GPU_NAME,
    GPU_TOLERATION,
    NVIDIA_GPU,
    Json,
    need,
    node_pool,
    pod,
    required_affinity,
)

Shape = tuple[int, int, int]  # GPUs, vCPU, GiB

EIGHT_SHAPES: tuple[Shape, ...] = (
    (1, 3, 12),
    (1, 6, 24),
    (1, 14, 50),
    (1, 7, 100),
    (2, 12, 80),
    (4, 40, 160),
    (4, 24, 300),
    (8, 90, 320),
)
CPU_HEAVY: tuple[Shape, ...] = ((1, 7, 16), (1, 15, 24), (1, 30, 48), (1, 12, 20), (2, 40, 64), (4, 90, 128))
MEMORY_HEAVY: tuple[Shape, ...] = ((1, 3, 28), (1, 4, 56), (1, 8, 110), (1, 8, 220), (2, 16, 340), (4, 24, 700))
INFERENCE: tuple[Shape, ...] = ((1, 3, 12),) * 14 + ((1, 7, 28),) * 4 + ((2, 14, 56), (4, 46, 170))
MODEL_NEEDS: tuple[Json, ...] = (
    need(GPU_NAME, "In", "l4"),
    need(GPU_NAME, "In", "a10g", "l4"),
    need(GPU_NAME, "In", "l40s"),
    need(GPU_NAME, "NotIn", "t4", "v100"),
    need(GPU_MEMORY, "Gt", "40000"),
)


def shapes(catalog: Json, count: int, capacity_types: Sequence[str] = ("on-demand",)) -> Json:
    """Eight shapes of 1, 2, 4 and 8 GPUs; one pool of every NVIDIA type."""
    return _document(catalog, [_gpu_pool("gpu", capacity_types)], _draw(EIGHT_SHAPES, count))


def cpu_heavy(catalog: Json, count: int) -> Json:
    """Pods that run out of CPU before they run out of GPUs."""
    return _document(catalog, [_gpu_pool("gpu", ("on-demand",))], _draw(CPU_HEAVY, count))


def memory_heavy(catalog: Json, count: int) -> Json:
    """Pods that run out of memory before they run out of GPUs; spot and on-demand."""
    return _document(catalog, [_gpu_pool("gpu", ("spot", "on-demand"))], _draw(MEMORY_HEAVY, count))


def inference(catalog: Json, count: int) -> Json:
    """Mostly small servers of one GPU, a few large ones; a spot pool before an on-demand pool."""
    pools = [_gpu_pool("gpu-spot", ("spot",), weight=20), _gpu_pool("gpu-on-demand", ("on-demand",), weight=10)]
    return _document(catalog, pools, _draw(INFERENCE, count))


def models(catalog: Json, count: int) -> Json:
    """Pods that ask for GPU models or GPU memory; an inference pool (g) and a training pool (p), on-demand."""
    pools = [
        _gpu_pool("inference", ("on-demand",), "g", "gr", weight=10),
        _gpu_pool("training", ("on-demand",), "p"),
    ]
    random = Random(7)
    pods = _draw(((1, 3, 12), (1, 7, 26), (1, 14, 50), (2, 12, 80), (4, 40, 160)), count)
    for each in pods:
        each["spec"]["affinity"] = required_affinity(random.choice(MODEL_NEEDS))
    return _document(catalog, pools, pods)


def openb(catalog: Json) -> Json:
    """The 8,152 pods of Alibaba's 2023 GPU cluster, all at once.

    A pod that asks for a part of a GPU gets a whole one here: parts are not offered by plain `nvidia.com/gpu`.
    Raises FileNotFoundError where the trace is absent.
    """
    with trace_file().open(newline="") as file:
        pods = [_openb_pod(row) for row in csv.DictReader(file)]
    general = node_pool("general", need(CATEGORY, "In", "c", "m", "r"), *_common(("on-demand",)))
    return _document(catalog, [_gpu_pool("gpu", ("on-demand",), weight=10), general], pods)


def trace_file() -> Path:
    """Where the openb trace is expected: in the folder `shared` beside the checkout, or in $FRETSAW_SHARED."""
    beside = Path(__file__).resolve().parents[2] / "shared"
    return Path(os.environ.get("FRETSAW_SHARED", beside)) / "data/openb-gpu-2023/openb_pod_list_default.csv"


def _openb_pod(row: dict[str, str]) -> Json:
    requests = {"cpu": f"{row['cpu_milli']}m", "memory": f"{row['memory_mib']}Mi"}
    if row["num_gpu"] == "0":
        return pod(row["name"], requests)
    requests[NVIDIA_GPU] = row["num_gpu"]
    return pod(row["name"], requests, tolerations=[GPU_TOLERATION])


def _document(catalog: Json, pools: list[Json], pods: list[Json]) -> Json:
    return {"catalog": catalog, "objects": [*pools, *pods]}


def _common(capacity_types: Sequence[str]) -> tuple[Json, ...]:
    return need(ARCH, "In", "amd64"), need(CAPACITY_TYPE, "In", *capacity_types)


def _gpu_pool(name: str, capacity_types: Sequence[str], *categories: str, weight: int = 0) -> Json:
    category = need(CATEGORY, "In", *(categories or ("g", "gr", "p")))
    nvidia = need(GPU_MANUFACTURER, "In", "nvidia")
    return node_pool(name, category, nvidia, *_common(capacity_types), weight=weight, tainted=True)


def _draw(choice: Sequence[Shape], count: int) -> list[Json]:
    random = Random(11)
    return [_gpu_pod(f"gpu-{i}", random.choice(choice)) for i in range(count)]


def _gpu_pod(name: str, shape: Shape) -> Json:
    gpus, cpu, gib = shape
    requests = {"cpu": str(cpu), "memory": f"{gib}Gi", NVIDIA_GPU: str(gpus)}
    return pod(name, requests, tolerations=[GPU_TOLERATION])
