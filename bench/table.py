"""The page of figures, in Markdown, from the files in `bench/out`. Every row says ratios, not only absolutes."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Sequence
from pathlib import Path

from bench import karpenter, results
from bench.mixes import Mix
from bench.objects import Json

NONE = "–"
MIB = 2**20
WORDS = ("mix", "what")
HALF_MILLISECOND = 0.0005
"""A plan's seconds are rounded to milliseconds; 0.000 counts as this."""

HEAD = """# Benchmarks

Fretsaw and the scheduler of Karpenter ({peer}) on the same documents, on one machine, one after the other.
This page is written by `python -m bench`; the figures behind it are in `bench/out`, and `python -m bench --table-only`
makes the page again from them.

{machine}

## How it is measured

- A mix is one document: a catalog and Kubernetes objects, all pods waiting. Both planners read the same file, each in a
  process of its own. Ours plans once in a process, so nothing is cached from an earlier plan; the peer runs several
  times (column *runs*), since its answers differ from run to run.
- **Seconds** are those of scheduling: ours from the plan's own `seconds`; the peer's over NewTopology, NewScheduler and
  Solve, with five workers as in its own benchmark. Reading the input is in neither. *Process* is our whole process from
  start to exit: interpreter, imports, reading, planning.
- **Speed** is pods a second, ratio = ours / the peer's mean. **Price** is the sum of the nodes' cheapest available
  offerings, ratio = ours / the peer's mean: 0.70 means 30 % less. Where the two place different numbers of pods the
  price ratio is left out, and the last column of the row tells why.
- **Bound** is the price below which no set of nodes can hold these pods under these NodePools; *over* is how far a
  price lies above it.
- **Memory** is the highest resident size of the process (VmHWM), the input included; the peer's is the mean of its
  runs.
- `diverse-N` and `preferences-4000` are Karpenter's own benchmark mixes, rebuilt; the `gpu-…` mixes use the shipped
  EC2 catalog; `openb` is the pod list of a real GPU cluster (Alibaba, 2023), all pods at once, parts of a GPU rounded
  up to one.
"""


def page(mixes: Sequence[Mix], folder: Path) -> str:
    """The whole page for the mixes that have figures in `folder`, in the order of `mixes`."""
    rows = [(mix, loaded) for mix in mixes if (loaded := results.load(folder, f"{mix.name}.json")) is not None]
    figures = [each for _, each in rows]
    environment = results.load(folder, results.ENVIRONMENT)
    parts = [
        HEAD.format(peer=_peer_name(figures), machine=_machine(environment, figures)),
        "## In short\n\n" + _summary(figures, environment),
        "## Speed\n\n" + _table(SPEED, map(_speed, figures)),
        "## Price\n\n" + _table(PRICE, map(_price, figures)),
        "## Memory\n\n" + _table(MEMORY, map(_memory, figures)),
        "## The mixes\n\n" + _table(("mix", "pods", "what"), ((m.name, str(m.pods), m.about) for m, _ in rows)),
    ]
    return "\n".join(part.rstrip() + "\n" for part in parts)


SPEED = (
    "mix", "ours first-fit pods/s", "ours cost pods/s", "peer pods/s", "first-fit ÷ peer", "cost ÷ peer",
    "ours s (first-fit / cost)", "process s", "peer s", "runs",
)  # fmt: skip
PRICE = (
    "mix", "nodes (first-fit / cost / peer)", "ours first-fit $/h", "ours cost $/h", "peer mean $/h", "peer min – max",
    "first-fit ÷ peer", "cost ÷ peer", "bound $/h", "cost over bound", "peer over bound", "unplaced (ours / peer)",
)  # fmt: skip
MEMORY = ("mix", "ours first-fit MiB", "ours cost MiB", "peer MiB", "first-fit ÷ peer", "cost ÷ peer")


def _speed(figures: Json) -> list[str]:
    first, cost, other = _parts(figures)
    pods = figures["pods"]
    ours = [_rate(pods, each) for each in (first, cost)]
    theirs = pods / karpenter.mean(other, "seconds") if other else None
    seconds = f"{_of(first, 'seconds', 3)} / {_of(cost, 'seconds', 3)}"
    process = f"{_of(first, 'processSeconds')} / {_of(cost, 'processSeconds')}"
    return [
        figures["mix"], *(_number(each, 0) for each in ours), _number(theirs, 0),
        *(_ratio(each, theirs, 1) for each in ours), seconds, process,
        _mean(other, "seconds", 2), _runs(other),
    ]  # fmt: skip


def _price(figures: Json) -> list[str]:
    first, cost, other = _parts(figures)
    bound = _bound(figures)
    prices = [each["pricePerHour"] if each else None for each in (first, cost)]
    theirs = karpenter.mean(other, "pricePerHour") if other else None
    nodes = f"{_of(first, 'nodes', 0)} / {_of(cost, 'nodes', 0)} / {_mean(other, 'nodes', 0)}"
    compared = theirs if same_pods(figures) else None
    return [
        figures["mix"], nodes, *(_number(each, 2) for each in prices), _number(theirs, 2), _range(other),
        *(_ratio(each, compared, 3) for each in prices),
        _number(bound, 2), _over(prices[1], bound), _over(theirs, bound),
        f"{_of(cost, 'unschedulable', 0)} / {_most(other, 'unschedulable')}",
    ]  # fmt: skip


def _memory(figures: Json) -> list[str]:
    first, cost, other = _parts(figures)
    ours = [each["peakMemoryBytes"] / MIB if each else None for each in (first, cost)]
    theirs = karpenter.mean(other, "peakMemoryBytes") / MIB if other else None
    ratios = [_ratio(each, theirs, 2) for each in ours]
    return [figures["mix"], *(_number(each, 0) for each in (*ours, theirs)), *ratios]


def _summary(all_figures: Sequence[Json], environment: Json | None) -> str:
    lines = []
    for packing in ("first-fit", "cost"):
        speeds = [ratio for each in all_figures if (ratio := _speed_ratio(each, packing))]
        prices = [ratio for each in all_figures if (ratio := _price_ratio(each, packing))]
        if speeds:
            middle = f"median {statistics.median(speeds):.1f}"
            lines.append(f"- `--packing {packing}`, speed: {_between(speeds, 1)} times the peer's ({middle}).")
        if prices:
            middle = f"geometric mean {_geometric_mean(prices):.3f}"
            lines.append(f"- `--packing {packing}`, price: {_between(prices, 3)} times the peer's ({middle}).")
    wrong = [each["mix"] for each in all_figures if broken(each)]
    lines += [f"- **{mix}: the peer is below the bound, so the bound is wrong.**" for mix in wrong]
    start_up = (environment or {}).get("startUp")
    if start_up:
        times = f"{start_up['best']:.3f} s at best, {start_up['median']:.3f} s in the median of {start_up['times']}"
        lines.append(f"- `fretsaw --help` takes {times}.")
    return "\n".join(lines or ["Nothing is measured yet."])


def _between(ratios: Sequence[float], digits: int) -> str:
    return f"{len(ratios)} mixes, {min(ratios):,.{digits}f} to {max(ratios):,.{digits}f}"


def same_pods(figures: Json) -> bool:
    """Whether ours and every run of the peer left as many pods unplaced; else their prices cannot be compared."""
    first, cost, other = _parts(figures)
    counts = {each["unschedulable"] for each in (first, cost, *(other["runs"] if other else ())) if each}
    return len(counts) <= 1


def broken(figures: Json) -> bool:
    """Whether a run of the peer that placed all that we placed costs less than our bound; that cannot be."""
    _, cost, other = _parts(figures)
    bound = _bound(figures)
    if bound is None or cost is None or other is None:
        return False
    as_many = [run for run in other["runs"] if run["unschedulable"] <= cost["unschedulable"] and not run["timedOut"]]
    return any(run["pricePerHour"] < bound * (1 - 1e-6) for run in as_many)


def _parts(figures: Json) -> tuple[Json | None, Json | None, Json | None]:
    return figures["ours"].get("first-fit"), figures["ours"].get("cost"), figures["peer"]


def _bound(figures: Json) -> float | None:
    cost = figures["ours"].get("cost")
    return cost["lowerBoundPerHour"] if cost else None


def _speed_ratio(figures: Json, packing: str) -> float | None:
    ours, other = figures["ours"].get(packing), figures["peer"]
    return float(karpenter.mean(other, "seconds") / max(ours["seconds"], HALF_MILLISECOND)) if ours and other else None


def _price_ratio(figures: Json, packing: str) -> float | None:
    ours, other = figures["ours"].get(packing), figures["peer"]
    if not ours or not other or not same_pods(figures):
        return None
    return float(ours["pricePerHour"] / karpenter.mean(other, "pricePerHour"))


def _geometric_mean(values: Sequence[float]) -> float:
    return math.exp(statistics.fmean(math.log(value) for value in values))


def _rate(pods: int, ours: Json | None) -> float | None:
    return pods / max(ours["seconds"], HALF_MILLISECOND) if ours else None


def _number(value: float | None, digits: int) -> str:
    return NONE if value is None else f"{value:,.{digits}f}"


def _of(figures: Json | None, key: str, digits: int = 2) -> str:
    return NONE if figures is None else _number(figures[key], digits)


def _mean(other: Json | None, key: str, digits: int) -> str:
    return _number(karpenter.mean(other, key), digits) if other else NONE


def _ratio(ours: float | None, theirs: float | None, digits: int) -> str:
    return NONE if ours is None or not theirs else f"**{ours / theirs:,.{digits}f}**"


def _over(price: float | None, bound: float | None) -> str:
    return NONE if price is None or not bound else f"{100 * (price / bound - 1):.2f} %"


def _range(other: Json | None) -> str:
    prices = [run["pricePerHour"] for run in other["runs"]] if other else []
    return f"{min(prices):,.2f} – {max(prices):,.2f}" if prices else NONE


def _most(other: Json | None, key: str) -> str:
    return str(max(run[key] for run in other["runs"])) if other else NONE


def _runs(other: Json | None) -> str:
    if not other:
        return NONE
    late = sum(run["timedOut"] for run in other["runs"])
    return f"{len(other['runs'])}" + (f" ({late} timed out)" if late else "")


def _peer_name(all_figures: Sequence[Json]) -> str:
    return next((each["peer"]["peer"] for each in all_figures if each["peer"]), "not run here")


def _machine(environment: Json | None, all_figures: Sequence[Json]) -> str:
    if environment is None or not all_figures:
        return "Nothing is measured yet."
    dates = sorted({each["date"] for each in all_figures})
    when = " to ".join(dict.fromkeys((dates[0], dates[-1])))
    versions = ", ".join(f"{name} {version}" for name, version in environment["versions"].items())
    size = environment["memoryBytes"] / 2**30
    where = f"{environment['cores']} cores of {environment['cpu']}, {size:.0f} GiB, {environment['system']}"
    return f"Measured on {when}: {where}; {versions}."


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    rule = ["---" if name in WORDS else "---:" for name in head]
    lines = [head, rule, *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
