"""Time, price, bound and gap of the covering solver on synthetic GPU mixes over a table of instance types.

Run by hand: `python bench/covering_bench.py path/to/gpu-instances.md [classes …]`. The table is Markdown with the
columns type, acc, n, …, vCPU, GiB, …, $/h, alloc (`3920m/14481Mi/29`).
"""

from __future__ import annotations

import sys
from pathlib import Path
from time import perf_counter

from fretsaw.engine.covering import Config, Item, Problem, solve

GIB = 2**30
PODS = (20, 50, 200, 1000, 2000, 5000)
NVIDIA = {"t4", "a10g", "l4", "l40s", "rtx-pro-4500", "rtx-pro-server-6000", "v100", "a100", "h100", "h200", "b200"}


class Shape:
    """A pod of the mix: GPUs, cores, GiB, and the GPU names that it accepts (none: any)."""

    def __init__(self, gpus: int, cores: float, gib: float, names: str = "", weight: int = 1) -> None:
        self.size = (round(cores * 1000), round(gib * GIB), gpus, 1)
        self.names = set(names.split())
        self.weight = weight


EIGHT = (
    Shape(1, 4, 14, "", 6),
    Shape(1, 8, 30, "", 4),
    Shape(1, 3, 12, "", 5),
    Shape(2, 12, 60, "", 2),
    Shape(4, 16, 64, "", 2),
    Shape(8, 96, 700, "a100 h100 h200", 1),
    Shape(0, 2, 4, "", 6),
    Shape(1, 6, 60, "a100 l40s", 2),
)


def many(classes: int) -> tuple[Shape, ...]:
    """A wide mix, spelled out by arithmetic so that it is the same every time."""
    shapes = []
    for k in range(classes):
        gpus = (0, 1, 1, 1, 2, 4, 1, 8, 0, 1)[k % 10]
        cores = max(0.5, gpus * (2 + k * 7 % 5)) + k % 4 / 2
        gib = max(1.0, gpus * (8 + k * 11 % 23)) + k * 3 % 8
        names = ("", "", "l4", "a10g l4", "l40s", "t4 a10g l4", "a100 h100")[k * 5 % 7] if gpus else ""
        shapes.append(Shape(gpus, cores, gib, names, 1 + k * 13 % 7))
    return tuple(shapes)


def read(path: Path) -> list[tuple[str, str, int, tuple[int, ...], int]]:
    """(type, GPU name, GPUs, capacity, price in micro-USD) of the table's rows with a price and room."""
    rows = []
    for line in path.read_text().splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if len(cells) != 11 or "/" not in cells[10] or not cells[2].isdigit() or cells[9] in ("–", "$/h"):
            continue
        cpu, memory, pods = cells[10].split("/")
        room = (int(cpu[:-1]), int(memory[:-2]) * 2**20, int(cells[2]), int(pods))
        rows.append((cells[0], cells[1], int(cells[2]), room, round(float(cells[9]) * 1e6)))
    return rows


def problem(path: Path, shapes: tuple[Shape, ...], pods: int) -> Problem:
    """The mix with `pods` pods, spread by weight."""
    total = sum(s.weight for s in shapes)
    demand = [max(1, pods * s.weight // total) for s in shapes]
    demand[0] += max(0, pods - sum(demand))
    configs = []
    for name, gpu, _, room, price in read(path):
        if gpu not in NVIDIA:
            continue
        mask = sum(1 << i for i, s in enumerate(shapes) if not s.names or gpu in s.names)
        configs.append(Config(price, room, mask, mask, None, name))
    return Problem(tuple(Item(d, s.size) for d, s in zip(demand, shapes, strict=True)), tuple(configs))


def cpu_problem(classes: int, types: int, pods: int) -> Problem:
    """Pods without GPUs on families whose price is nearly linear in size: hard to pack, little to win."""
    items = []
    for k in range(classes):
        cores, gib = (250, 500, 1000, 1500, 2000, 4000, 7000)[k % 7], (1, 2, 3, 4, 6, 8, 12, 16)[k * 5 % 8]
        items.append(Item(max(1, pods // classes), (cores, gib * GIB + k // 56 * 2**26, 0, 1)))
    everything = (1 << classes) - 1
    configs = []
    for k in range(types):
        cores, ratio = (2, 4, 8, 16, 32, 48, 64, 96, 128, 192)[k % 10], (2, 4, 8)[k // 10 % 3]
        price = round(cores * (34_000 + 2_900 * ratio) * (1 + (k // 30 * 7 % 20 - 8) / 100))
        room = (cores * 1000 - 80 - cores, round(cores * ratio * GIB * 0.925) - 600 * 2**20, 0, min(737, 8 + 8 * cores))
        few = everything if k % 3 else everything & ~(0b1011 << k % 11)
        configs.append(Config(price, room, few, few, None, f"c{k:03d}"))
    return Problem(tuple(items), tuple(configs))


def main() -> None:
    """Print one line per size; `cpu` instead of classes takes the mix without GPUs."""
    path = Path(sys.argv[1])
    if sys.argv[2:] == ["cpu"]:
        for classes, types, pods in ((20, 100, 500), (60, 300, 4000), (210, 600, 20000)):
            line(f"{classes:7} {pods:6}", cpu_problem(classes, types, pods))
        return
    classes = [int(a) for a in sys.argv[2:]] or [8]
    print(f"{'classes':>7} {'pods':>6} {'seconds':>8} {'price $/h':>11} {'bound $/h':>11} {'gap %':>7}  proof")
    for number in classes:
        shapes = EIGHT if number == 8 else many(number)
        for pods in PODS:
            line(f"{number:7} {pods:6}", problem(path, shapes, pods))


def line(head: str, case: Problem) -> None:
    """Solve within two seconds and print the figures."""
    began = perf_counter()
    answer = solve(case, elapsed=lambda: perf_counter() - began)
    took = perf_counter() - began
    price = answer.price or 0
    gap = 100 * (price / max(1, answer.bound) - 1)
    figures = f"{price / 1e6:11.4f} {answer.bound / 1e6:11.4f} {gap:7.3f}"
    late = " (out of time)" if answer.work.out_of_time else ""
    print(f"{head} {took:8.2f} {figures}  {answer.proof}{late}", flush=True)


if __name__ == "__main__":
    main()
