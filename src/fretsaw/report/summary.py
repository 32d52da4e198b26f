"""The outcome of a simulation on a terminal: what it cost, how long pods waited, what went wrong. One screen, mostly.

The text is the same with and without colour, and fits 80 columns as long as the names do.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.text import Text

from fretsaw.report import facts, table, words
from fretsaw.report.table import Column
from fretsaw.report.terminal import line, paragraph, rows

Result = dict[str, Any]
Row = dict[str, Any]
MOST = 8
"""Workloads that are listed unless all are asked for."""
SHOWN_VIOLATIONS = 10


def draw(out: Console, result: Result, *, wide: bool = False) -> None:
    """Print the summary. wide: all workloads and all disruptions too."""
    _violations(out, result)
    paragraph(out, Text.assemble((f"{facts.title(result)}: ", "bold"), (facts.sentence(result), "bold green")))
    paragraph(out, Text(facts.ran(result), "dim"), indent=2)
    if partial := result.get("partial"):
        reason = f": {partial}" if isinstance(partial, str) else ""
        paragraph(
            out, Text(f"Stopped before its end{reason}: these are the figures of a part.", "bold yellow"), indent=2
        )
    out.print()
    for label, text in figures(result):
        _figure(out, label, text)
    _pools(out, result)
    _workloads(out, result, None if wide else MOST)
    if wide:
        _disruptions(out, result)
    _expectations(out, result)
    for note in result.get("notes") or []:
        paragraph(out, Text(note, "dim"))


def figures(result: Result) -> list[tuple[str, Text]]:
    """The headline figures: a label, and what is known of it."""
    cost, pods, nodes, hours = result["cost"], result["pods"], result["nodes"], result["gpuHours"]
    waits = pods["waitSeconds"]
    lost = sum(row["lostWorkSeconds"] for row in pods["byWorkload"])
    stopped = sum(row["interruptions"] for row in pods["byWorkload"])
    planned = result.get("planned") or {"pods": 0, "landed": 0}
    return [
        ("cost", _parts(words.usd(cost["total"]), *(f"{n} {words.usd(cost[k])}" for n, k in facts.WAYS if cost[k]))),
        ("on demand", _parts(words.usd(cost["allOnDemand"]), _saved(result))),
        ("idle GPUs", _parts(words.usd(cost["idleGpu"]), _of(cost["idleGpu"], cost["total"], "of the cost"))),
        ("GPU hours", _gpus(hours)),
        ("waits", _parts(*(f"{name} {words.span(waits[name])}" for name in ("p50", "p90", "p99", "max")))),
        ("pods", _parts(words.counted(pods["created"], "pod"), f"{pods['succeeded']:,} succeeded",
                        f"{pods['failed']:,} failed", f"{pods['pendingAtEnd']:,} pending at the end")),
        ("nodes", _parts(f"{nodes['peak']:,} at the peak", f"{nodes['launched']:,} launched",
                         f"{nodes['terminated']:,} terminated")),
        ("spot", _parts(words.counted(result["interruptions"], "interruption"),
                        f"{words.counted(stopped, 'pod')} stopped", f"{words.span(lost)} of work lost")),
        ("EC2", _parts(f"{words.counted(result['insufficientCapacity'], 'refusal')} for want of capacity")),
        ("disruptions", _parts(*(f"{count:,} {reason}" for reason, count in result["disruptions"].items()))),
        ("as planned", _parts(f"{planned['landed']:,} of {words.counted(planned['pods'], 'pod')} with a planned node",
                              _of(planned["landed"], planned["pods"]))),
    ]  # fmt: skip


def _parts(first: str, *rest: str) -> Text:
    return Text.assemble((first, "bold"), *((f" · {part}", "") for part in rest if part))


def _saved(result: Result) -> str:
    saved = facts.saving(result)
    if saved is None or abs(saved) < 0.0005:
        return ""
    return f"{words.share(saved)} saved" if saved > 0 else f"{words.share(-saved)} less than here"


def _of(part: float, whole: float, what: str = "") -> str:
    found = words.ratio(part, whole)
    return "" if found is None else f"{words.share(found)} {what}".rstrip()


def _gpus(hours: dict[str, float]) -> Text:
    text = Text.assemble((f"{words.number(hours['bought'])} bought", "bold"))
    for key in ("requested", "used"):
        share = _of(hours[key], hours["bought"])
        text.append(f" · {words.number(hours[key])} {key}" + (f" ({share})" if share else ""))
    return text


def _figure(out: Console, label: str, text: Text) -> None:
    """A label and its text, which goes on below itself where the width does not do."""
    pieces = text.wrap(out, max(out.width - 15, 20))
    for i, piece in enumerate(pieces):
        line(out, Text(f"  {label if not i else '':<13}", "dim"), piece)


def _pools(out: Console, result: Result) -> None:
    by_pool = result["cost"]["byPool"]
    names = [pool for pool in facts.pools(result) if pool in by_pool]
    if not names:
        return
    counts = dict.fromkeys(names, 0)
    for node in facts.nodes(result):
        if node["running"] is not None and facts.pool_of(node) in counts:
            counts[facts.pool_of(node)] += 1
    used = [1 - (words.ratio(by_pool[n]["idleGpu"], by_pool[n]["total"]) or 0.0) for n in names]
    columns = [
        Column("pool", [Text(name, "bold cyan") for name in names]),
        Column("nodes", [Text(f"{counts[name]:,}") for name in names], right=True, drop=4),
        Column("cost", _money([by_pool[n]["total"] for n in names], "bold"), right=True),
        *(Column(n, _money([by_pool[p][k] for p in names]), right=True, drop=3) for n, k in facts.WAYS),
        Column("idle GPUs", _money([by_pool[name]["idleGpu"] for name in names]), right=True),
        Column("in use", [table.bar(share, 5) for share in used], drop=2),
    ]
    out.print()
    rows(out, columns)


def _money(amounts: Sequence[float], style: str = "") -> list[Text]:
    return [Text(words.usd(amount) if amount else words.NONE, style) for amount in amounts]


def _workloads(out: Console, result: Result, most: int | None) -> None:
    """The workloads that cost most, with their waits."""
    costs = {row["workload"]: row["total"] for row in result["cost"]["byWorkload"]}
    found = sorted(
        result["pods"]["byWorkload"], key=lambda row: (-costs.get(row["workload"], 0.0), words.natural(row["workload"]))
    )
    shown = found[:most]
    if not shown:
        return
    columns = [
        Column("workload", [Text(_short(row["workload"]), "bold") for row in shown]),
        Column("cost", _money([costs.get(row["workload"], 0.0) for row in shown]), right=True),
        Column("pods", [Text(f"{row['created']:,}") for row in shown], right=True, drop=3),
        Column("pending", _counts(shown, "pendingAtEnd", "yellow"), right=True, drop=5),
        *(Column(p, [Text(words.span(row["waitSeconds"][p])) for row in shown], right=True, drop=d)
          for p, d in (("p50", 4), ("p90", 2), ("p99", 0))),
        Column("interrupted", _counts(shown, "interruptions", "red"), right=True, drop=6),
    ]  # fmt: skip
    out.print()
    rows(out, columns)
    if len(found) > len(shown):
        line(out, Text(f"and {words.counted(len(found) - len(shown), 'more workload')}", "dim"))


def _short(workload: str) -> str:
    """Namespace and name: the kind is clear to those who wrote it."""
    return workload.partition("/")[2] or workload


def _counts(found: Sequence[Row], key: str, style: str) -> list[Text]:
    return [Text(f"{row[key]:,}", style) if row[key] else Text(words.NONE) for row in found]


def _disruptions(out: Console, result: Result) -> None:
    found = facts.departures(result)
    if not found:
        return
    clock = facts.calendar(result)
    columns = [
        Column("when", [Text(clock.moment(row["at"])) for row in found]),
        Column("reason", [Text(str(row["reason"]), "bold") for row in found]),
        Column("nodes", [Text(_first(row["nodes"])) for row in found]),
        Column("replaced by", [Text(_first(row["replacements"])) for row in found], drop=2),
        Column("saves", [_saves(row) for row in found], right=True, drop=1),
        Column("outcome", [Text(str(row["outcome"]), "red" if _bad(row) else "") for row in found], drop=3),
    ]  # fmt: skip
    out.print()
    rows(out, columns)


def _saves(row: Row) -> Text:
    return Text(words.rate(row["savingsPerHour"]) if row["savingsPerHour"] else words.NONE)


def _bad(row: Row) -> bool:
    return bool(row.get("byCloud")) or str(row["outcome"]).startswith("failed")


def _first(names: Sequence[str]) -> str:
    if not names:
        return words.NONE
    return names[0] if len(names) == 1 else f"{names[0]} and {len(names) - 1} more"


def _expectations(out: Console, result: Result) -> None:
    found = result.get("expectations") or []
    if not found:
        return
    ok, every = facts.met(result)
    out.print()
    line(out, Text(f"Expectations: {ok} of {every} met", "bold green" if ok == every else "bold red"))
    for e in sorted(found, key=lambda e: bool(e["ok"])):
        mark = Text("✓ ", "green") if e["ok"] else Text("✗ ", "bold red")
        line(out, "  ", mark, Text(str(e["text"]), "" if e["ok"] else "bold"), Text(f"  seen: {e['seen']}", "dim"))


def _violations(out: Console, result: Result) -> None:
    """First of all, for then nothing below can be trusted."""
    broken = result.get("violations") or []
    if not broken:
        return
    title = f"{words.counted(len(broken), 'violation')}: do not trust these figures"
    line(out, Text(title, "bold white on red"))
    for text in broken[:SHOWN_VIOLATIONS]:
        paragraph(out, Text(str(text), "red"), indent=2)
    if len(broken) > SHOWN_VIOLATIONS:
        line(out, Text(f"  and {len(broken) - SHOWN_VIOLATIONS} more", "red"))
    out.print()
