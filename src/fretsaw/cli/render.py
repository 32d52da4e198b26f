"""Draws a Plan on a terminal or into a file: headline, nodes by pool, pending pods, where the prices come from.

Called by `fretsaw plan`; the only module of the command that imports rich. The text is the same with and without
colour, and fits 80 columns as long as the names do.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TextIO

from rich.console import Console
from rich.text import Text

from fretsaw.cli.view import (
    HOURS_PER_MONTH,
    NodeGroup,
    Pending,
    all_on_demand,
    counted,
    named,
    natural,
    node_groups,
    pending,
    price_sources,
)
from fretsaw.engine.plan import Plan, Refusal
from fretsaw.report import table


@dataclass(frozen=True)
class Prices:
    """What the footnote says of the catalog: its region and day, and the notes that its makers attached."""

    region: str = ""
    as_of: str = ""
    notes: tuple[str, ...] = ()


def console(file: TextIO | None = None, width: int | None = None, color: bool | None = None) -> Console:
    """A console for `draw`.

    file: standard output if None. width: that of the terminal, of COLUMNS or 80 if None. color: whether to colour;
    None lets the terminal, NO_COLOR and FORCE_COLOR decide.
    """
    return Console(file=file, width=width, highlight=False, no_color=None if color is None else not color, emoji=False)


def draw(out: Console, plan: Plan, prices: Prices, *, wide: bool = False) -> None:
    """Print the whole plan. wide: also CPU and memory fill, the number of types to choose from, and each pod's node."""
    _print(out, headline(plan))
    for line in comparisons(plan):
        _print(out, line)
    for line in _nodes(out, plan, wide=wide):
        _print(out, line)
    _existing(out, plan, wide=wide)
    _pending(out, plan, wide=wide)
    if plan.launches:
        out.print()
        paragraph(out, Text(footnote(plan, prices), "dim"))


def headline(plan: Plan) -> Text:
    """Pods, nodes and money in one line."""
    if not plan.pods:
        return Text("No pod is waiting for a place.", "bold")
    waiting = plan.pods - plan.scheduled
    if not plan.scheduled:
        return Text(
            "1 pod stays pending" if plan.pods == 1 else f"All {counted(plan.pods, 'pod')} stay pending", "bold"
        )
    placed = counted(plan.pods, "pod") if not waiting else f"{plan.scheduled:,} of {counted(plan.pods, 'pod')}"
    where = [counted(len(plan.launches), "new node")] if plan.launches else []
    where += [counted(len(plan.filled), "existing node")] if plan.filled else []
    line = Text(f"{placed} placed on {' and '.join(where)}", "bold")
    if plan.launches:
        line.append(f": {usd(plan.usd_per_hour)}/h, {usd_per_month(plan.usd_per_hour)}/month", "green")
    return line


def comparisons(plan: Plan) -> list[Text]:
    """What the price is to be measured against: on demand, first-fit, the proven bound; only those that are known."""
    price = plan.usd_per_hour
    rows: list[tuple[float, str]] = []
    if price and (on_demand := all_on_demand(plan)) is not None:
        rows.append((on_demand, f"for the same nodes on demand: {_saving(price, on_demand)}"))
    if price and plan.first_fit_usd_per_hour is not None and plan.packing != "first-fit":
        rows.append(
            (plan.first_fit_usd_per_hour, f"with first-fit packing: {_saving(price, plan.first_fit_usd_per_hour)}")
        )
    if price and plan.bound is not None and plan.bound.tightest > 0:  # a bound of zero says nothing
        rows.append((plan.bound.tightest, f"proven lower bound: {_gap(price, plan.bound.tightest)}"))
    amounts = [usd(amount, like=price) for amount, _ in rows]
    width = max(map(len, amounts), default=0)
    return [Text(f"  {amount:>{width}}/h  {words}") for amount, (_, words) in zip(amounts, rows, strict=True)]


def footnote(plan: Plan, prices: Prices) -> str:
    """Where the prices come from, and which of them are not published ones."""
    catalog = " ".join(part for part in (prices.region, f"catalog of {prices.as_of}" if prices.as_of else "") if part)
    parts = [f"Prices: {catalog or 'catalog without a date'}"]
    return "; ".join([*parts, *price_sources(plan), *prices.notes]) + "."


def usd(amount: float, like: float | None = None) -> str:
    """`$1,234.56`, or `$1.234` below ten dollars, where the third decimal makes a difference.

    like: the amount that decides about the decimals, for amounts that stand below each other; `amount` itself if None.
    """
    return f"${amount:,.3f}" if (amount if like is None else like) < 10 else f"${amount:,.2f}"


def usd_per_month(usd_per_hour: float) -> str:
    """`$9,012` for a month of 730 hours."""
    return f"${usd_per_hour * HOURS_PER_MONTH:,.0f}"


def _saving(price: float, other: float) -> str:
    if other <= 0 or abs(other - price) / other < 0.0005:
        return "the same"
    change = (other - price) / other
    return f"{change:.0%} saved" if change > 0 else f"{-change:.1%} less than here"


def _gap(price: float, bound: float) -> str:
    gap = (price - bound) / bound
    return "no plan is cheaper" if gap < 0.0005 else f"this plan is within {gap:.1%} of the best"


def _nodes(out: Console, plan: Plan, *, wide: bool) -> Iterator[Text]:
    """The node table: a heading for each pool, then its rows."""
    pools = node_groups(plan)
    rows = [group for groups in pools.values() for group in groups]
    if not rows:
        return
    lines = table.lines(table.fitting(_columns(rows, wide=wide), out.width))
    yield Text()
    yield next(lines)
    for pool, groups in pools.items():
        yield Text(pool, "bold cyan")
        for group in groups:
            yield next(lines)
            if wide:
                yield from (_pods_of(launch.name, launch.pods) for launch in group.launches)


def _columns(rows: list[NodeGroup], *, wide: bool) -> list[table.Column]:
    def cells(make: Callable[[NodeGroup], str | Text], style: str = "") -> list[Text]:
        return [made if isinstance(made := make(g), Text) else Text(made, style) for g in rows]

    most = max(len(f"{g.count:,}") for g in rows)
    columns = [
        table.Column("nodes", cells(lambda g: f"  {g.count:>{most},} × {g.instance_type}")),
        table.Column("zone", cells(lambda g: g.zone)),
        table.Column("capacity", cells(_capacity)),
        table.Column("pods", cells(lambda g: f"{len(g.pods):,}"), right=True, drop=4),
        table.Column("$ each", cells(lambda g: f"{g.each:,.3f}"), right=True, drop=1),
        table.Column("$/h", cells(lambda g: f"{g.usd_per_hour:,.3f}", "bold"), right=True),
        table.Column("$/month", cells(lambda g: f"{g.usd_per_hour * HOURS_PER_MONTH:,.0f}"), right=True, drop=2),
        table.Column("GPUs", cells(_gpus), right=True),
        table.Column("", cells(_gpu_bar), drop=3),
    ]
    if wide:
        columns += [
            table.Column("CPU", cells(lambda g: _percent(g.fill("cpu"))), right=True),
            table.Column("memory", cells(lambda g: _percent(g.fill("memory"))), right=True),
            table.Column("types", cells(lambda g: f"{g.choices}"), right=True, drop=5),
        ]
    return columns


def _capacity(group: NodeGroup) -> Text:
    colours = {"spot": "green", "on-demand": "yellow", "reserved": "blue"}
    return Text(group.capacity_type, colours.get(group.capacity_type, ""))


def _gpus(group: NodeGroup) -> str:
    requested, bought = group.gpus
    return f"{requested}/{bought}" if bought else "–"


def _gpu_bar(group: NodeGroup) -> Text:
    requested, bought = group.gpus
    return table.bar(requested / bought, cells=5) if bought else Text()


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{share:.0%}"


def _pods_of(node: str, pods: tuple[str, ...]) -> Text:
    return Text(f"      {node}: {named(tuple(sorted(pods, key=natural)), most=6)}", "dim")


def _existing(out: Console, plan: Plan, *, wide: bool) -> None:
    if not plan.filled:
        return
    filled = sorted(plan.filled, key=lambda node: (-len(node.pods), natural(node.name)))
    out.print()
    title = Text("On nodes that exist already:", "bold")
    if wide:
        _print(out, title)
        for node in filled:
            _print(out, _pods_of(node.name, node.pods))
        return
    nodes = [f"{node.name} ({counted(len(node.pods), 'pod')})" for node in filled[:5]]
    rest = f" and {counted(len(filled) - 5, 'more node')}" if len(filled) > 5 else ""
    paragraph(out, title + Text(" " + ", ".join(nodes) + rest))


def _pending(out: Console, plan: Plan, *, wide: bool) -> None:
    entries = pending(plan)
    if not entries:
        return
    out.print()
    out.print(Text(f"Pending: {counted(len(plan.unplaced), 'pod')}", "bold red"))
    for entry in entries:
        _entry(out, entry, wide=wide)


def _entry(out: Console, entry: Pending, *, wide: bool) -> None:
    """One line if it fits, else the pods on one line and the reason below."""
    pods = Text(f"  {named(entry.pods)}", "bold")
    reason = _reason(entry.refusals)
    if len(pods) + 2 + len(reason) <= out.width:
        out.print(pods + Text("  ") + reason)
    else:
        _print(out, pods)
        paragraph(out, reason, indent=4)
    if wide:
        for refusal in entry.refusals[1:]:
            paragraph(out, _refusal(refusal), indent=4)


def _reason(refusals: tuple[Refusal, ...]) -> Text:
    """The nearest miss with the field to change, then the most common reason of the rest, and how many are left."""
    if not refusals:
        return Text("no NodePool is there to take it")
    text = _refusal(refusals[0])
    if rest := Counter(refusal.reason for refusal in refusals[1:]):
        reason, count = min(rest.items(), key=lambda item: (-item[1], item[0]))
        text.append(f"; {counted(count, 'more pool')}: {reason}", "dim")
        if others := rest.total() - count:
            text.append(f"; {others} for other reasons", "dim")
    return text


def _refusal(refusal: Refusal) -> Text:
    text = Text(f"{refusal.node_pool}: {refusal.reason}" if refusal.node_pool else refusal.reason)
    if refusal.field:
        text.append(" → ", "dim").append(refusal.field, "cyan")
    return text


def paragraph(out: Console, text: Text, indent: int = 0) -> None:
    """Text broken between words, every line `indent` cells in."""
    for line in text.wrap(out, max(out.width - indent, 20)):
        line.rstrip()
        _print(out, Text(" " * indent) + line)


def _print(out: Console, line: Text) -> None:
    """A line that is never broken or cut: a terminal that is too narrow breaks it itself, a file keeps it whole."""
    out.print(line, no_wrap=True, overflow="ignore", crop=False)
