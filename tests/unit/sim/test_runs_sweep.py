"""A grid's runs, what is kept of them and found again, and which point is the best."""

from __future__ import annotations

import csv
import sys
from pathlib import Path

import pyarrow.parquet as parquet
import pytest

from fretsaw.errors import UserError
from fretsaw.sim.many import export
from fretsaw.sim.many.axes import grid
from fretsaw.sim.many.figures import known
from fretsaw.sim.many.override import changed
from fretsaw.sim.many.rows import ROWS, Figures, Rows, fingerprint, key
from fretsaw.sim.many.sweep import Summary, Sweep, summaries, told
from fretsaw.sim.many.task import Task
from support import tiny

COST = known("cost", "")


def sweep(*sets: str, seeds: int = 3) -> Sweep:
    return Sweep("tiny.yaml", grid(sets), tuple(range(1, seeds + 1)))


def figures(cost: float, failed: float = 0, landing: float | None = None) -> Figures:
    return {"cost": cost, "expectations failed": failed, "violations": 0, "planned landing": landing}


def done(asked: Sweep, *costs: list[float], failed: tuple[float, ...] = ()) -> dict[Task, Figures]:
    """Costs by point and seed."""
    wrong = failed or (0,) * len(costs)
    return {
        asked.task(point, seed): figures(cost, bad)
        for point, row, bad in zip(asked.points, costs, wrong, strict=True)
        for seed, cost in zip(asked.seeds, row, strict=True)
    }


def marks(found: list[Summary]) -> str:
    return "".join("*" if one.best else "~" if one.as_good else "-" for one in found)


def test_runs_go_seed_by_seed_through_all_points() -> None:
    asked = sweep("a=1,2", seeds=2)
    assert [str(task) for task in asked.tasks] == [
        f"tiny.yaml a={a} with seed {seed}" for seed in (1, 2) for a in (1, 2)
    ]
    assert sweep("a=1", "b=x").paths == ("a", "b")


# The best


def test_the_cheapest_is_the_best_and_those_that_chance_may_have_put_behind_are_marked() -> None:
    asked = sweep("a=1,2,3")
    # the second is a little dearer on two of three seeds; the third by about two on each
    found = summaries(asked, done(asked, [10, 20, 30], [11, 19.5, 30.4], [12, 22.1, 31.9]), COST)
    assert marks(found) == "*~-"
    assert [one.figures["cost"].mean for one in found] == [20, pytest.approx(20.3), 22]


def test_a_point_that_breaks_expectations_is_never_the_best() -> None:
    asked = sweep("a=1,2")
    costs = done(asked, [1, 1, 1], [9, 9, 9], failed=(1, 0))
    assert marks(summaries(asked, costs, COST)) == "-*"


def test_more_can_be_better() -> None:
    asked = sweep("a=1,2", seeds=2)
    rows = {task: figures(1, landing=0.9 if "a=2" in str(task) else 0.8) for task in asked.tasks}
    assert marks(summaries(asked, rows, known("planned landing", ""))) == "-*"


def test_the_first_of_equals_is_the_best_and_the_others_are_as_good() -> None:
    asked = sweep("a=1,2", seeds=2)
    assert marks(summaries(asked, done(asked, [1, 2], [1, 2]), COST)) == "*~"


def test_points_without_runs_are_shown_and_not_the_best() -> None:
    asked = sweep("a=1,2", seeds=2)
    part = {task: found for task, found in done(asked, [1, 2], [3, 4]).items() if "a=2" in str(task)}
    found = summaries(asked, part, COST)
    assert marks(found) == "-*"
    assert [one.runs for one in found] == [0, 2]
    assert marks(summaries(asked, {}, COST)) == "--"


def test_the_summary_for_programs() -> None:
    asked = sweep("a=1", seeds=2)
    found = told(asked, summaries(asked, done(asked, [1, 3]), COST), COST)
    metrics = found["points"][0].pop("metrics")
    assert found == {
        "scenario": "tiny.yaml", "seeds": [1, 2], "by": "cost",
        "points": [{"set": {"a": "1"}, "runs": 2, "best": True, "asGood": False}],
    }  # fmt: skip
    # mean 2, deviation sqrt(2), t(0.975, 1) = 12.706205: the ends are 12.706205 away
    assert metrics[0] == {"name": "cost", "unit": "money", "mean": 2.0, "low": -10.706204736, "high": 14.706204736}
    assert [metric["name"] for metric in metrics] == ["cost", "expectations failed", "violations"]


# What is kept


def test_rows_are_found_again_and_a_torn_one_is_not(tmp_path: Path) -> None:
    asked = sweep("a=1,2", seeds=1)
    first, second = asked.tasks
    with Rows(tmp_path / "new" / "folder") as rows:
        rows.add("k1", first, figures(1.25, landing=None))
    file = tmp_path / "new" / "folder" / ROWS
    file.write_text(file.read_text() + '{"key": "k2", "figur')
    with Rows(file.parent) as rows:
        assert rows.known == {"k1": figures(1.25)}
        rows.add("k3", second, figures(2))
    with Rows(file.parent) as rows:
        assert rows.known == {"k1": figures(1.25), "k3": figures(2)}


def test_a_folder_that_cannot_be_one_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot keep results here"), Rows(tmp_path / "file"):
        pass


def test_a_key_depends_on_all_that_a_run_depends_on() -> None:
    tasks = [
        Task("s", 1), Task("s", 2), Task("s", 1, length=5), *(Task("s", 1, point) for point in grid(["a=1,2,'1'"])),
    ]  # fmt: skip
    keys = [*(key(task, "x", "1") for task in tasks), key(tasks[0], "y", "1"), key(tasks[0], "x", "2")]
    assert len(set(keys)) == len(keys) == 8
    assert key(Task("s", 1, grid(["a=[1, 2]"])[0]), "x", "1") == key(Task("s", 1, grid(["a=[1,2]"])[0]), "x", "1")


@pytest.mark.parametrize("name", ["tiny.yaml", "pool.yaml", "catalog.json"])
def test_a_fingerprint_depends_on_every_file_of_the_scenario(tmp_path: Path, name: str) -> None:
    file = tiny.files(tmp_path)
    before = fingerprint(file, changed(file))
    (tmp_path / "other.txt").write_text("nobody reads this")
    assert fingerprint(file, changed(file)) == before
    path = tmp_path / name
    path.write_text(
        path.read_text().replace("WhenEmpty", "WhenEmptyOrUnderutilized").replace("tiny", "small").replace("0.4", "0.5")
    )
    assert fingerprint(file, changed(file)) != before


# What is written


def test_results_have_a_row_for_each_run_with_types(tmp_path: Path) -> None:
    asked = sweep("a=1,2", "b=x,{mean: 5m}", "c=true", "d=1,2.5", seeds=2)
    rows = {task: figures(i, landing=None if i else 0.5) for i, task in enumerate(asked.tasks)}
    del rows[asked.tasks[-1]]
    table = parquet.read_table(export.write(asked, rows, tmp_path, "parquet"))
    assert table.num_rows == 15
    types = {field.name: str(field.type) for field in table.schema}
    assert {name: types[name] for name in ("a", "b", "c", "d", "seed", "cost_usd", "lost_work_seconds")} == {
        "a": "int64", "b": "string", "c": "bool", "d": "double", "seed": "int64", "cost_usd": "double", "lost_work_seconds": "double",
    }  # fmt: skip
    first, second = table.to_pylist()[:2]
    assert (first["a"], first["b"], first["c"], first["d"], first["seed"], first["cost_usd"]) == (
        1,
        "x",
        True,
        1.0,
        1,
        0.0,
    )
    assert (second["seed"], second["planned_landing_share"], first["planned_landing_share"]) == (2, None, 0.5)

    with export.write(asked, rows, tmp_path, "csv").open(newline="") as stream:
        lines = list(csv.DictReader(stream))
    assert list(lines[0]) == table.column_names
    assert [(line["a"], line["b"], line["seed"]) for line in lines[:3]] == [
        ("1", "x", "1"),
        ("1", "x", "2"),
        ("1", "x", "1"),
    ]
    assert lines[-1]["b"] == "{mean: 5m}"


def test_without_pyarrow_is_told_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    export.check("csv")
    with pytest.raises(
        UserError, match=r"pyarrow is not installed \(pip install 'fretsaw\[sweep\]', or --format csv\)"
    ):
        export.check("parquet")


def test_a_result_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    asked = sweep(seeds=1)
    with pytest.raises(UserError, match=r"results.csv: cannot be written: No such file"):
        export.write(asked, {asked.tasks[0]: figures(1)}, tmp_path / "nowhere", "csv")
