"""The page says ratios, keeps unlike prices apart and shouts when the bound is broken."""

from __future__ import annotations

from pathlib import Path

from bench import results, table
from bench.mixes import Mix
from bench.objects import Json

MIX = Mix("gpu-test-10", 10, "ten pods", dict)


def ours(price: float, unschedulable: int = 0) -> Json:
    return {
        "seconds": 0.1, "processSeconds": 0.4, "peakMemoryBytes": 50 * 2**20, "pricePerHour": price,
        "lowerBoundPerHour": 6.0, "gap": price / 6 - 1, "nodes": 3, "unschedulable": unschedulable,
    }  # fmt: skip


def peer_run(price: float, unschedulable: int = 0) -> Json:
    return {
        "seconds": 2.0, "solveSeconds": 1.9, "pricePerHour": price, "peakMemoryBytes": 100 * 2**20,
        "nodes": 4, "unschedulable": unschedulable, "timedOut": False,
    }  # fmt: skip


def figures(peer_runs: list[Json] | None, cost: Json | None = None) -> Json:
    peer = {"peer": "Karpenter core v1", "runs": peer_runs} if peer_runs else None
    return {
        "mix": MIX.name, "pods": 10, "date": "2026-01-02", "peer": peer,
        "ours": {"first-fit": ours(8.0), "cost": cost or ours(6.0)},
    }  # fmt: skip


def page(folder: Path, kept: Json) -> str:
    results.save(folder, f"{MIX.name}.json", kept)
    return table.page([MIX, Mix("never-run", 1, "", dict)], folder)


def row(text: str, section: str) -> list[str]:
    lines = text.split(f"## {section}\n")[1].splitlines()
    return [cell.strip() for cell in next(line for line in lines if line.startswith(f"| {MIX.name}")).split("|")][1:-1]


def test_row_compares_with_the_mean_of_the_peers_runs(tmp_path: Path) -> None:
    text = page(tmp_path, figures([peer_run(9.0), peer_run(11.0)]))
    assert row(text, "Speed")[1:6] == ["100", "100", "5", "**20.0**", "**20.0**"]
    assert row(text, "Price") == [
        MIX.name, "3 / 3 / 4", "8.00", "6.00", "10.00", "9.00 – 11.00", "**0.800**", "**0.600**",
        "6.00", "0.00 %", "66.67 %", "0 / 0",
    ]  # fmt: skip
    assert row(text, "Memory")[1:] == ["50", "50", "100", "**0.50**", "**0.50**"]


def test_price_ratio_is_left_out_when_the_peer_places_fewer_pods(tmp_path: Path) -> None:
    cells = row(page(tmp_path, figures([peer_run(9.0, unschedulable=2)])), "Price")
    assert cells[6:8] == ["–", "–"]
    assert cells[-1] == "0 / 2"


def test_row_without_the_peer_keeps_our_figures(tmp_path: Path) -> None:
    text = page(tmp_path, figures(None))
    assert row(text, "Speed") == [MIX.name, "100", "100", "–", "–", "–", "0.100 / 0.100", "0.40 / 0.40", "–", "–"]
    assert "not run here" in text


def test_peer_below_the_bound_is_called_out(tmp_path: Path) -> None:
    assert "the bound is wrong" in page(tmp_path, figures([peer_run(5.9)]))
    assert "the bound is wrong" not in page(tmp_path, figures([peer_run(5.9, unschedulable=1)]))


def test_page_with_nothing_measured_says_so(tmp_path: Path) -> None:
    assert "Nothing is measured yet." in table.page([MIX], tmp_path)


def test_saved_figures_come_back_and_leave_no_part_behind(tmp_path: Path) -> None:
    results.save(tmp_path, "a.json", {"x": 1})
    assert results.load(tmp_path, "a.json") == {"x": 1}
    assert results.load(tmp_path, "b.json") is None
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]
