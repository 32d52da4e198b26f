"""A board as lines of text, for any width and height. Nothing here reads a key, a clock or a socket."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from rich.text import Text

from fretsaw.api.times import Millis
from fretsaw.cli.render import usd
from fretsaw.cli.view import counted, natural
from fretsaw.live.board import Board, Group, Line, Waiting
from fretsaw.live.told import Told
from fretsaw.report import table

SORTS: dict[str, Callable[[Line], tuple[object, ...]]] = {
    "price": lambda line: (-(line.price or 0.0),),
    "idle GPUs": lambda line: (line.gpus[0] - line.gpus[1],),
    "CPU": lambda line: (line.fill("cpu") or 0.0,),
    "age": lambda line: (line.age,),
    "name": lambda line: (),
}
"""What nodes are sorted by, within their pool; every order ends in the name."""
ORDERS = tuple(SORTS)
CAPACITY = {"spot": "green", "on-demand": "yellow", "reserved": "blue"}
SHARE = 4
"""Lines of the shortest section that says something: an empty one, the title, an entry, and how many more there are."""
SHOWN_TOLD = 10
"""Decisions in a table that is printed once."""


@dataclass(frozen=True)
class Choice:
    """What the user has chosen to see."""

    sort: str = ORDERS[0]
    pool: str = ""
    """Only this one; empty for all."""

    def next_sort(self) -> Choice:
        """The next order."""
        return replace(self, sort=ORDERS[(ORDERS.index(self.sort) + 1) % len(ORDERS)])

    def next_pool(self, pools: Sequence[str]) -> Choice:
        """The next pool, and after the last one all of them."""
        names = ["", *pools]
        here = names.index(self.pool) if self.pool in names else 0
        return replace(self, pool=names[(here + 1) % len(names)])


@dataclass(frozen=True)
class Frame:
    """What stands around the board."""

    server: str
    now: Millis
    notices: tuple[str, ...] = ()
    """What is wrong, such as a connection that is lost."""
    ready: bool = True
    """Whether everything has been read."""


def whole(board: Board, frame: Frame, choice: Choice, width: int) -> list[Text]:
    """All lines, as many as there are: for a file or a pipe."""
    return [
        *_head(board, frame),
        Text(),
        *_nodes(board, choice, width),
        *_section("Pending", board.pending, _pending(board, width)),
        *_section("Decisions", len(board.told), [_told(one, frame.now) for one in board.told[:SHOWN_TOLD]]),
    ]


def screen(board: Board, frame: Frame, choice: Choice, width: int, height: int) -> list[Text]:
    """Exactly `height` lines of at most `width` cells: what does not fit is counted."""
    head = _head(board, frame)
    foot = Text(f"q quit · s sort: {choice.sort} · p pool: {choice.pool or 'all'}", "dim")
    if not frame.ready:
        body = [Text(), Text("reading the cluster …", "dim")]
    else:
        body = _body(board, frame, choice, width, max(height - len(head) - 1, 3))
    lines = [*head, *body][: height - 1]
    lines += [Text()] * (height - 1 - len(lines))
    lines.append(foot)
    for line in lines:
        line.truncate(width, overflow="ellipsis")
    return lines


def _body(board: Board, frame: Frame, choice: Choice, width: int, height: int) -> list[Text]:
    """Nodes above, pending pods and decisions below; each gets its share, and what others leave.

    Where there is no room for all three, the nodes stay the longest.
    """
    nodes = [Text(), *_nodes(board, choice, width)]
    pending = _section("Pending", board.pending, _pending(board, width))
    told = _section("Decisions", len(board.told), [_told(one, frame.now) for one in board.told])
    told = told if height >= 3 * SHARE else []
    pending = pending if height >= 2 * SHARE else []
    share = max(height // 4, SHARE)
    below = min(len(pending), share) + min(len(told), share)
    top = min(len(nodes), height - below)
    left = height - top
    first = min(len(pending), max(share, left - min(len(told), share)))
    return [*_cut(nodes, top), *_cut(pending, first), *_cut(told, left - first)]


def _cut(lines: list[Text], height: int) -> list[Text]:
    """The first lines, the last of them a count of those that are left out."""
    if len(lines) <= height:
        return lines
    if height <= 2:
        return lines[:height]
    return [*lines[: height - 1], Text(f"  … {len(lines) - height + 1:,} more lines", "dim")]


def _head(board: Board, frame: Frame) -> list[Text]:
    clock = datetime.fromtimestamp(frame.now / 1000, UTC).strftime("%H:%M:%S UTC")
    lines = [Text.assemble(("fretsaw top", "bold"), "  ", frame.server, "  ", clock)]
    if frame.ready:
        lines.append(_totals(board))
    return lines + [Text(notice, "bold red") for notice in frame.notices]


def _totals(board: Board) -> Text:
    all_nodes = board.whole
    asked, room = all_nodes.gpus
    line = Text(f"{counted(len(all_nodes.lines), 'node')} · {_money(all_nodes)} · GPUs {asked}/{room}")
    line.append(" · ").append(f"{board.pending:,} pending", "bold red" if board.pending else "")
    line.append(f" · {counted(board.bound, 'pod')} · CPU {_percent(all_nodes.fill('cpu'))}")
    return line.append(f" · memory {_percent(all_nodes.fill('memory'))}")


# Nodes


def _nodes(board: Board, choice: Choice, width: int) -> list[Text]:
    groups = [group for group in board.groups if group.pool == choice.pool or not choice.pool]
    groups = sorted(groups, key=lambda group: (-group.price, natural(group.pool)))
    full = [_sorted(group, choice.sort) for group in groups if group.lines]
    empty = [group.pool for group in groups if not group.lines]
    found: list[Text] = []
    if full:
        rows = table.lines(table.fitting(_columns([line for group in full for line in group.lines]), width))
        found.append(next(rows))
        for group in full:
            found.append(_heading(group))
            found += [next(rows) for _ in group.lines]
    else:
        found.append(Text("no node", "dim"))
    if empty:
        found.append(Text(f"no node in {', '.join(empty)}", "dim"))
    return found


def _sorted(group: Group, sort: str) -> Group:
    key = SORTS[sort]
    return Group(group.pool, tuple(sorted(group.lines, key=lambda line: (*key(line), natural(line.name)))))


def _heading(group: Group) -> Text:
    asked, room = group.gpus
    gpus = f" · GPUs {asked}/{room}" if room else ""
    return Text.assemble(
        (group.pool, "bold cyan"), (f"  {counted(len(group.lines), 'node')} · {_money(group)}{gpus}", "dim")
    )


def _money(group: Group) -> str:
    """`$3.000/h`, and how many nodes are not in it."""
    unpriced = sum(line.price is None for line in group.lines)
    if unpriced and unpriced == len(group.lines):
        return "price not known"
    return f"{usd(group.price)}/h{f' + {unpriced} unpriced' if unpriced else ''}"


def _columns(lines: Sequence[Line]) -> list[table.Column]:
    def cells(make: Callable[[Line], str | Text]) -> list[Text]:
        return [made if isinstance(made := make(line), Text) else Text(made) for line in lines]

    return [
        table.Column("node", cells(lambda line: f"  {line.name.partition('.')[0]}")),
        table.Column("type", cells(lambda line: line.instance_type or "–")),
        table.Column("zone", cells(lambda line: line.zone), drop=5),
        table.Column("capacity", cells(_capacity), drop=3),
        table.Column("GPUs", cells(_gpus), right=True),
        table.Column("", cells(_bar), drop=6),
        table.Column("CPU", cells(lambda line: _percent(line.fill("cpu"))), right=True),
        table.Column("mem", cells(lambda line: _percent(line.fill("memory"))), right=True, drop=2),
        table.Column("pods", cells(lambda line: str(line.pods)), right=True, drop=4),
        table.Column("$/h", cells(lambda line: f"{line.price:,.3f}" if line.price is not None else "–"), right=True),
        table.Column("age", cells(lambda line: short(line.age)), right=True, drop=1),
        table.Column("", cells(lambda line: Text(line.state, "yellow"))),
    ]


def _capacity(line: Line) -> Text:
    return Text(line.capacity_type or "–", CAPACITY.get(line.capacity_type, ""))


def _gpus(line: Line) -> str:
    asked, room = line.gpus
    return f"{asked}/{room}" if room else "–"


def _bar(line: Line) -> Text:
    asked, room = line.gpus
    return table.bar(asked / room, cells=5) if room else Text()


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{share:.0%}"


# Pods that wait, and what was decided


def _section(title: str, count: int, lines: list[Text]) -> list[Text]:
    if not lines:
        return []
    return [Text(), Text(f"{title} ({count:,})", "bold"), *lines]


def _pending(board: Board, width: int) -> list[Text]:
    """A line for each, and one more below it for a reason that is too long for the rest of the first."""
    found: list[Text] = []
    for one in board.waiting:
        line = _waiting(one)
        if not one.why or line.cell_len + 2 + len(one.why) <= width:
            found.append(line.append(f"  {one.why}" if one.why else "", "dim"))
        else:
            found += [line, Text(f"{' ' * 8}{one.why}", "dim")]
    return found


def _waiting(one: Waiting) -> Text:
    many = f" ×{one.count}" if one.count > 1 else ""
    return Text.assemble(f"  {short(one.age):>4}  ", (one.name, "bold"), many, _asked(one.gpus))


def _asked(gpus: int) -> str:
    return f"  {counted(gpus, 'GPU')}" if gpus else ""


def _told(one: Told, now: Millis) -> Text:
    again = f" ×{one.count}" if one.count > 1 else ""
    return Text.assemble(
        f"  {short(max(now - one.at, 0)):>4}  ",
        (one.reason, "yellow" if one.warning else "green"),
        again,
        f"  {one.about}",
        (f"  {' '.join(one.message.split())}", "dim"),
    )


def short(span: Millis) -> str:
    """`45s`, `12m`, `3h`, `8d`: a span in at most four cells."""
    seconds = span // 1000
    for size, unit, most in ((1, "s", 120), (60, "m", 7200), (3600, "h", 172800)):
        if seconds < most:
            return f"{seconds // size}{unit}"
    return f"{seconds // 86400}d"
