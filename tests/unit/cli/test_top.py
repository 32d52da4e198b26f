"""`fretsaw top`: the picture at any size, what a key does, and the table that is printed once."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import msgspec
import pytest

from fretsaw.api.times import MINUTE, SECOND
from fretsaw.cli import main, top_cmd
from fretsaw.cli.top_view import Choice, Frame, screen, short, whole
from fretsaw.live.board import Board, Group, Line, Waiting
from fretsaw.live.told import Told
from support.builders import claim, node, pod, pool
from support.listing_server import ListingServer

NOW = 1_790_000_000_000
GPU = "nvidia.com/gpu"
ROOM = {"cpu": 8000, "memory": 32 * 2**30, GPU: 1}


def line(name: str, pool: str = "gpu", price: float | None = 1.0, gpus: int = 0, cpu: int = 4000, **more: Any) -> Line:
    """A node."""
    base: dict[str, Any] = {
        "instance_type": "g5.2xlarge",
        "zone": "us-east-1a",
        "capacity_type": "spot",
        "state": "",
        "age": 3 * MINUTE,
        "pods": 2,
        "asked": {"cpu": cpu, "memory": 8 * 2**30, GPU: gpus},
        "room": ROOM,
    }
    return Line(name=name, pool=pool, price=price, **{**base, **more})


BOARD = Board(
    (
        Group("(no NodePool)", (line("system", "(no NodePool)", None, instance_type="", capacity_type="", cpu=1000, room={"cpu": 2000, "memory": 2**34}),)),
        Group("gpu", (line("ip-10-0-0-1.ec2.internal", gpus=1), line("ip-10-0-0-2.ec2.internal", price=2.0, state="not ready"))),
        Group("idle", ()),
    ),
    (
        Waiting("ml/train", 3, 5 * MINUTE, "no pool fits: gpu: 8 GPUs asked, 4 left of its limit 16; 3 more pools refused it", 24),
        Waiting("web/a", 1, 9 * SECOND, "full", 0),
    ),
    4,
    (
        Told(NOW - 20 * SECOND, "Pod ml/train-0", "FailedScheduling", "no pool\nfits", True, 3),
        Told(NOW - 2 * MINUTE, "NodeClaim gpu-x", "Launched", "launched"),
    ),
    6,
)  # fmt: skip
FRAME = Frame("https://cluster", NOW)


def text(lines: list[Any]) -> str:
    """Lines as they are printed."""
    return "".join(f"{one.plain}\n" for one in lines)


def test_the_whole_table() -> None:
    assert text(whole(BOARD, FRAME, Choice(), 100)) == (
        "fretsaw top  https://cluster  14:13:20 UTC\n"
        "3 nodes · $3.000/h + 1 unpriced · GPUs 1/2 · 4 pending · 6 pods · CPU 50% · memory 30%\n"
        "\n"
        "node           type        zone        capacity  GPUs         CPU  mem  pods    $/h  age\n"
        "gpu  2 nodes · $3.000/h · GPUs 1/2\n"
        "  ip-10-0-0-2  g5.2xlarge  us-east-1a  spot       0/1  ░░░░░  50%  25%     2  2.000   3m  not ready\n"
        "  ip-10-0-0-1  g5.2xlarge  us-east-1a  spot       1/1  █████  50%  25%     2  1.000   3m\n"
        "(no NodePool)  1 node · price not known\n"
        "  system       –           us-east-1a  –            –         50%  50%     2      –   3m\n"
        "no node in idle\n"
        "\n"
        "Pending (4)\n"
        "    5m  ml/train ×3  24 GPUs\n"
        "        no pool fits: gpu: 8 GPUs asked, 4 left of its limit 16; 3 more pools refused it\n"
        "    9s  web/a  full\n"
        "\n"
        "Decisions (2)\n"
        "   20s  FailedScheduling ×3  Pod ml/train-0  no pool fits\n"
        "    2m  Launched  NodeClaim gpu-x  launched\n"
    )


@pytest.mark.parametrize("width", [40, 60, 80, 200])
@pytest.mark.parametrize("height", [1, 2, 5, 8, 12, 16, 24, 60])
def test_a_screen_is_exactly_as_large_as_the_terminal(width: int, height: int) -> None:
    lines = screen(BOARD, FRAME, Choice(), width, height)
    assert len(lines) == height
    assert all(one.cell_len <= width for one in lines)
    assert "quit" in lines[-1].plain


def test_a_screen_of_80_by_24_has_everything_of_a_small_cluster() -> None:
    shown = text(screen(BOARD, FRAME, Choice(), 80, 24))
    for word in ("ip-10-0-0-1", "ip-10-0-0-2", "not ready", "ml/train", "web/a", "FailedScheduling", "Launched", "age"):
        assert word in shown


def test_a_narrow_screen_keeps_what_matters_most() -> None:
    shown = text(screen(BOARD, FRAME, Choice(), 60, 24))
    assert "us-east-1a" not in shown
    for word in ("node", "type", "GPUs", "CPU", "$/h", "not ready", "4 pending"):
        assert word in shown


def test_what_does_not_fit_is_counted() -> None:
    many = msgspec.structs.replace(BOARD, groups=(Group("gpu", tuple(line(f"n{n}") for n in range(100))),))
    lines = screen(many, FRAME, Choice(), 80, 24)
    shown = text(lines)
    assert "more lines" in shown
    assert "Pending (4)" in shown
    assert "Decisions (2)" in shown
    assert "Decisions" not in text(screen(many, FRAME, Choice(), 80, 12))


def test_notices_stand_above_the_nodes() -> None:
    lost = Frame("https://cluster", NOW, ("reconnecting: no answer for 3 s",))
    assert text(screen(BOARD, lost, Choice(), 80, 24)).splitlines()[2] == "reconnecting: no answer for 3 s"


def test_before_everything_is_read_there_are_no_figures() -> None:
    shown = text(screen(Board((), (), 0, (), 0), Frame("https://cluster", NOW, ready=False), Choice(), 80, 8))
    assert "reading the cluster …" in shown
    assert "0 nodes" not in shown


def test_an_empty_cluster_says_so() -> None:
    shown = text(whole(Board((), (), 0, (), 0), FRAME, Choice(), 80))
    assert "0 nodes · $0.000/h · GPUs 0/0 · 0 pending · 0 pods · CPU – · memory –\n\nno node\n" in shown


@pytest.mark.parametrize(
    ("sort", "names"),
    [
        ("price", ["b", "c", "a"]),
        ("idle GPUs", ["b", "c", "a"]),
        ("CPU", ["a", "b", "c"]),
        ("age", ["c", "b", "a"]),
        ("name", ["a", "b", "c"]),
    ],
)
def test_nodes_are_sorted_within_their_pool(sort: str, names: list[str]) -> None:
    lines = (
        line("a", price=1.0, gpus=1, cpu=1000, age=3 * MINUTE),
        line("b", price=3.0, gpus=0, cpu=2000, age=2 * MINUTE),
        line("c", price=2.0, gpus=0, cpu=3000, age=1 * MINUTE),
    )
    board = Board((Group("gpu", lines),), (), 0, (), 0)
    shown = [row.split()[0] for row in text(whole(board, FRAME, Choice(sort), 100)).splitlines() if row[:2] == "  "]
    assert shown == names


def test_keys_go_through_all_orders_and_all_pools() -> None:
    choice = Choice()
    seen = []
    for _ in range(5):
        choice = choice.next_sort()
        seen.append(choice.sort)
    assert seen == ["idle GPUs", "CPU", "age", "name", "price"]
    pools = ["a", "b"]
    assert [Choice(pool=p).next_pool(pools).pool for p in ("", "a", "b", "gone")] == ["a", "b", "", "a"]


def test_one_pool_hides_the_others() -> None:
    shown = text(whole(BOARD, FRAME, Choice(pool="gpu"), 100))
    assert "ip-10-0-0-1" in shown
    assert "system" not in shown
    assert "idle" not in shown


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [(0, "0s"), (119, "119s"), (120, "2m"), (7199, "119m"), (7200, "2h"), (172799, "47h"), (172800, "2d")],
)
def test_spans_are_short(seconds: int, expected: str) -> None:
    assert short(seconds * SECOND) == expected


def test_a_table_is_printed_once_where_there_is_no_terminal(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    objects = [pool("gpu"), claim("c", "gpu", "g5.xlarge", zone="us-east-1a"), node("own"), pod("p")]
    with ListingServer(tmp_path, objects, missing=["NodeClaim"], forbidden=["Event"]) as server:
        assert main.run(["top", "--kubeconfig", server.kubeconfig]) == 0
    printed = capfd.readouterr()
    assert printed.err == ""
    rows = printed.out.splitlines()
    assert rows[0].startswith(f"fretsaw top  {server.url}  ")
    assert rows[1:4] == [
        "1 node · price not known · GPUs 0/0 · 1 pending · 0 pods · CPU 0% · memory 0%",
        "not allowed to list Event",
        "not in this cluster: NodeClaim",
    ]


def test_a_terminal_that_cannot_move_its_cursor_gets_the_table(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal, other = os.openpty()
    with os.fdopen(terminal, "wb"), os.fdopen(other, "w") as out:
        monkeypatch.setattr("sys.stdout", out)
        monkeypatch.setenv("TERM", "dumb")
        assert not top_cmd._is_screen()
        monkeypatch.setenv("TERM", "xterm")
        assert top_cmd._is_screen()
