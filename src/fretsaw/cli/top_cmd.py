"""`fretsaw top`: a cluster's nodes, pending pods and decisions on one screen, as they change."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from fretsaw.cli import errors
from fretsaw.cli.live_options import access_options, way

if TYPE_CHECKING:
    from rich.console import Console
    from rich.live import Live

    from fretsaw.cli.top_view import Choice, Frame
    from fretsaw.live.board import Board, Boards
    from fretsaw.live.watching import Watching

EPILOG = """
\b
Examples:
  fretsaw top                    until q
  fretsaw top --context prod
  fretsaw top --once             a table, for a file or a ticket
  watch -n 30 fretsaw top --once

\b
Keys: q quit · s sort by price, idle GPUs, CPU, age or name · p one pool after the other

\b
Exit codes: 0 done · 2 the kubeconfig is wrong · 3 the cluster did not answer at the
start, or lets nothing be read; a connection that is lost later is made again
"""
REFRESH_S = 2.0
"""Ages and the clock go on even where nothing happens."""
LEAST_S = 0.2
"""Between two pictures: what changes in that time is seen together."""


@click.command(epilog=EPILOG, short_help="A cluster's nodes, prices, pending pods and decisions, live.")
@click.option("--once", is_flag=True, help="Print a table and end, as without a terminal.")
@click.option("--catalog", "catalog_file", metavar="FILE", help="Prices, in place of the shipped ones.")
@access_options
def top(once: bool, catalog_file: str | None, kubeconfig: str | None, context: str | None) -> int:
    """Show the nodes of a cluster by pool, with GPUs, price and how full they are, the pods that wait, and why, and
    what the autoscaler decided.

    "Requested" is what pods ask for, of what nodes can give. Prices are those of the catalog, spot prices modelled.
    """
    from fretsaw.live.board import Boards
    from fretsaw.live.connection import connected
    from fretsaw.live.prices import Prices
    from fretsaw.live.watching import Watching
    from fretsaw.planner import read_catalog

    boards = Boards(Prices(read_catalog(catalog_file) if catalog_file else None))

    async def show() -> None:
        async with connected(way(kubeconfig, context)) as connection:
            watching = Watching(connection)
            await watching.look()
            if once or not _is_screen():
                await watching.fill()
                _print(watching, boards)
            else:
                await _Screen(watching, boards).run()

    asyncio.run(show())
    return errors.DONE


def _is_screen() -> bool:
    return sys.stdout.isatty() and os.environ.get("TERM", "dumb") != "dumb"


def _now() -> int:
    return round(time.time() * 1000)


def _board(watching: Watching, boards: Boards) -> Board:
    return boards.board(watching.objects, watching.feed.latest(), _now())


def _frame(watching: Watching) -> Frame:
    from fretsaw.cli.top_view import Frame

    notices = [f"reconnecting: {watching.problem}"] if watching.problem else []
    denied = [*watching.forbidden, *(["Event"] if watching.feed.denied else [])]
    notices += [f"not allowed to list {', '.join(denied)}"] if denied else []
    notices += [f"not in this cluster: {', '.join(watching.missing)}"] if watching.missing else []
    return Frame(watching.connection.server, _now(), tuple(notices), watching.synced)


def _print(watching: Watching, boards: Boards) -> None:
    from fretsaw.cli.render import console
    from fretsaw.cli.top_view import Choice, whole

    out = console()
    for line in whole(_board(watching, boards), _frame(watching), Choice(), out.width):
        out.print(line, no_wrap=True, overflow="ignore", crop=False)


class _Screen:
    """The terminal as long as it is ours."""

    def __init__(self, watching: Watching, boards: Boards) -> None:
        from fretsaw.cli.render import console
        from fretsaw.cli.top_view import Choice

        self._watching, self._boards = watching, boards
        self._choice: Choice = Choice()
        self._ended = False
        self._console: Console = console()

    async def run(self) -> None:
        """Show pictures until the user has seen enough."""
        from rich.live import Live

        watches = asyncio.create_task(self._watching.run())
        try:
            with (
                _keys(self._pressed),
                Live(console=self._console, screen=True, auto_refresh=False, transient=True) as live,
            ):
                while not self._ended:
                    self._draw(live)
                    await self._news(watches)
        finally:
            watches.cancel()
            await asyncio.gather(watches, return_exceptions=True)

    async def _news(self, watches: asyncio.Task[Any]) -> None:
        """Return when there is something new, or time has passed. Raises what a bug in the watches raised."""
        if watches.done():
            watches.result()
        await asyncio.sleep(LEAST_S)
        try:
            async with asyncio.timeout(REFRESH_S):
                await self._watching.changed.wait()
        except TimeoutError:
            pass
        self._watching.changed.clear()

    def _draw(self, live: Live) -> None:
        from rich.console import Group
        from rich.text import Text

        from fretsaw.cli.top_view import screen

        width, height = self._console.size
        board = _board(self._watching, self._boards)
        lines = screen(board, _frame(self._watching), self._choice, width, height)
        for line in lines:
            line.no_wrap = True
        live.update(Group(*lines) if lines else Text(), refresh=True)

    def _pressed(self, key: str) -> None:
        if key in ("q", "Q", "\x03"):
            self._ended = True
        elif key in ("s", "S"):
            self._choice = self._choice.next_sort()
        elif key in ("p", "P"):
            self._choice = self._choice.next_pool(sorted(self._pools()))
        self._watching.changed.set()

    def _pools(self) -> set[str]:
        board = _board(self._watching, self._boards)
        return {group.pool for group in board.groups if group.lines}


@contextmanager
def _keys(pressed: Any) -> Iterator[None]:
    """Calls `pressed` with each key, without waiting for Enter; nothing where standard input is no terminal."""
    if not sys.stdin.isatty():
        yield
        return
    import termios
    import tty

    descriptor = sys.stdin.fileno()
    before = termios.tcgetattr(descriptor)
    loop = asyncio.get_running_loop()

    def read() -> None:
        for key in os.read(descriptor, 64).decode("utf-8", "ignore") or "q":  # no byte at all: the terminal is gone
            pressed(key)

    tty.setcbreak(descriptor)
    loop.add_reader(descriptor, read)
    try:
        yield
    finally:
        loop.remove_reader(descriptor)
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)
