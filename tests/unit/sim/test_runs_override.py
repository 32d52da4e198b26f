"""Settings in place of what a scenario and its manifests say: where they go, and what is told of those that cannot."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from fretsaw.errors import UserError
from fretsaw.sim.many.axes import axis, grid
from fretsaw.sim.many.override import Setting, changed
from fretsaw.sim.many.place import place, steps
from fretsaw.sim.scenario.read import Reading
from support import tiny


def at(path: Path, *settings: str) -> Reading:
    return changed(path, [Setting(*setting.split("=", 1)) for setting in settings])


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tiny.files(tmp_path)


# Fields of the scenario


@pytest.mark.parametrize(
    ("tree", "path", "expected"),
    [
        ({}, "cluster.settings.packing", {"cluster": {"settings": {"packing": "X"}}}),
        ({"for": "1h"}, "for", {"for": "X"}),
        ({"work": [{"for": "a"}, {"for": "b"}]}, "work[1].runs", {"work": [{"for": "a"}, {"for": "b", "runs": "X"}]}),
        ({"work": [{"for": "a"}]}, "work.0.starts.image", {"work": [{"for": "a", "starts": {"image": "X"}}]}),
        ({"work": [{"for": ["a", "b"]}]}, "work[0].for[1]", {"work": [{"for": ["a", "X"]}]}),
        ({"work": [{"for": "a", "runs": {"mean": "1h"}}]}, "work[0].runs.mean", {"work": [{"for": "a", "runs": {"mean": "X"}}]}),
        (
            {"work": [{"arrivals": {"poisson": "1/h"}}]},
            "work[0].make.metadata.labels[a.b/c]",
            {"work": [{"arrivals": {"poisson": "1/h"}, "make": {"metadata": {"labels": {"a.b/c": "X"}}}}]},
        ),
    ],
)  # fmt: skip
def test_a_field_is_set_whether_it_stands_there_or_not(tree: Any, path: str, expected: Any) -> None:
    before = repr(tree)
    assert place(tree, steps(path), "X") == expected
    assert repr(tree) == before


@pytest.mark.parametrize(
    ("reclaims", "path", "expected"),
    [
        ("advisor", "rate", {"rate": "X"}),
        ({"by": "off", "out": "5m"}, "rate", {"rate": "X", "out": "5m"}),
        ("advisor", "out", {"by": "advisor", "out": "X"}),
        ({"rate": "1%/h"}, "by", {"by": "X"}),
    ],
)
def test_short_forms_are_written_out_and_fields_that_exclude_each_other_give_way(
    reclaims: Any, path: str, expected: Any
) -> None:
    found = place({"cloud": {"spot": {"reclaims": reclaims}}}, steps(f"cloud.spot.reclaims.{path}"), "X")
    assert found == {"cloud": {"spot": {"reclaims": expected}}}


def test_the_scenario_is_read_with_the_settings(file: Path) -> None:
    scenario = at(file, "cluster.settings.packing=first-fit", "cloud.spot.reclaims.rate=20%/h", "for=2h").usable()
    assert scenario.cluster.settings.placing.packing == "first-fit"
    assert scenario.cloud.spot.reclaims.rate == pytest.approx(0.2)
    assert scenario.for_ == 2 * 3600 * 1000
    assert changed(file).usable().cluster.settings.placing.packing == "cost"


# Objects of the manifests


@pytest.mark.parametrize("name", ["nodepool/gpu", "NodePool/gpu", "nodepool/default/gpu"])
def test_an_object_of_a_manifest_is_changed(file: Path, name: str) -> None:
    reading = at(file, f"{name}.spec.disruption.consolidateAfter=10m", f"{name}.spec.limits[nvidia.com/gpu]=4")
    (pool,) = reading.manifests.objects("NodePool")
    assert pool.spec.disruption.consolidate_after == "10m"
    assert pool.spec.disruption.consolidation_policy == "WhenEmpty"
    assert dict(pool.spec.limits) == {"nvidia.com/gpu": 4}
    (before,) = changed(file).manifests.objects("NodePool")
    assert before.spec.disruption.consolidate_after == "1m"


def test_an_object_that_the_scenario_holds_is_changed_in_its_place(file: Path) -> None:
    reading = at(file, "ec2nodeclass/al2023.spec.role=other", "nodepool/gpu.spec.weight=7")
    assert [d.object for d in reading.manifests.documents] == ["EC2NodeClass/al2023", "NodePool/gpu"]
    (node_class,) = reading.manifests.of("EC2NodeClass")
    assert node_class.raw["spec"]["role"] == "other"


def test_names_with_dots_are_found_by_the_longest(file: Path) -> None:
    pool = file.parent / "pool.yaml"
    pool.write_text(f"{pool.read_text()}---\n{tiny.POOL.replace('name: gpu', 'name: gpu.large')}")
    reading = at(file, "nodepool/gpu.large.spec.weight=7")
    assert {p.metadata.name: p.spec.weight for p in reading.manifests.objects("NodePool")} == {
        "gpu": None,
        "gpu.large": 7,
    }


# What cannot be


@pytest.mark.parametrize(
    ("setting", "told"),
    [
        ("clustr.settings.packing=cost", '--set clustr.settings.packing: unknown path: "clustr" (did you mean cluster?)'),
        ("cluster.settings.packin=cost", '"packin" (did you mean cluster.settings.packing?)'),
        ("work[7].runs=1m", 'no such entry: "7" (work has 2 entries, work[0] to work[1])'),
        ("work[x].runs=1m", 'no such entry: "x"'),
        ("faults[0].at=1m", "faults is empty"),
        ("for.days=3", "for is no map and no list"),
        ("nodepool/gpus.spec.weight=1", "nodepool/gpus (did you mean nodepool/gpu?)"),
        ("deployment/web.spec.replicas=1", "no such object in the scenario's manifests: deployment/web"),
        ("nodepool/gpu=1", "names no field (such as nodepool/gpu.spec.weight)"),
        ("cluster.settings.packing=costs", '--set cluster.settings.packing=costs: cluster.settings.packing: not a known value: "costs" (did you mean cost?)'),
        ("nodepool/gpu.spec.weight=500", "--set nodepool/gpu.spec.weight=500: nodepool/gpu spec.weight: is too large: 500 (at most 100)"),
        ("nodepool/gpu.spec.weigth=5", 'nodepool/gpu spec.weigth: unknown field (did you mean "weight"?)'),
        ("work[1].make.spec.backofLimit=5", "job/tune spec.backofLimit: no such field, it has no effect (did you mean backoffLimit?)"),
        ("work[0].runs.high=1m", "--set work[0].runs.high=1m: work[0].runs: not a spread with low <= typical <= high"),
        ("cluster.catalog=none.json", "cluster.catalog: no such catalog"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_told_with_the_setting(file: Path, setting: str, told: str) -> None:
    with pytest.raises(UserError) as error:
        at(file, setting)
    assert told in str(error.value)


def test_of_two_settings_the_one_that_is_wrong_is_named(file: Path) -> None:
    with pytest.raises(UserError) as error:
        at(file, "cluster.settings.packing=cost", "for=soon")
    assert str(error.value) == '--set for=soon: for: not a duration: "soon" (such as 30m, 1h30m or 7d)'


def test_a_scenario_that_is_wrong_by_itself_is_told_as_it_is(file: Path) -> None:
    file.write_text(file.read_text().replace("for: 1h", "for: soon"))
    with pytest.raises(UserError, match=r"tiny.yaml:3 scenario/tiny for: not a duration"):
        at(file, "cluster.settings.packing=cost")
    with pytest.raises(UserError, match="cannot be read"):
        changed(file.parent / "nothing.yaml")


# Values and grids


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("a=cost,first-fit", ["cost", "first-fit"]),
        ("a=1%/h, 5%/h", ["1%/h", "5%/h"]),
        ("a=1,2.5,true,null", [1, 2.5, True, None]),
        ("a={low: 1m, high: 2m},{mean: 5m}", [{"low": "1m", "high": "2m"}, {"mean": "5m"}]),
        ("a=[x, y],[]", [["x", "y"], []]),
        ("""a="1,5",'x'""", ["1,5", "x"]),
        ("a=it's,so", ["it's", "so"]),
        ("a=*/5 * * * *", ["*/5 * * * *"]),
        ('a=""', [""]),
        ("a=b=c", ["b=c"]),
    ],
)
def test_values_are_read_as_a_file_would_be(text: str, values: list[Any]) -> None:
    assert [setting.value for setting in axis(text)] == values
    assert {setting.path for setting in axis(text)} == {"a"}


@pytest.mark.parametrize(
    ("sets", "told"),
    [
        (["nope"], "not a setting"),
        (["=1"], "not a setting"),
        (["a="], "an empty value"),
        (["a=1,,2"], "an empty value"),
        (["a={b"], "not a YAML value"),
        (["a=1,2,1"], "a value stands twice: 1"),
        (["a=1", "a=2"], "the path stands twice"),
        (["seed=1,2"], "the seed is no setting"),
    ],
)
def test_what_is_no_grid_is_refused(sets: list[str], told: str) -> None:
    with pytest.raises(UserError, match=told):
        grid(sets)


def test_a_grid_has_all_combinations_and_the_last_changes_fastest() -> None:
    found = [" ".join(map(str, point)) for point in grid(["a=1,2", "b=x,y"])]
    assert found == ["a=1 b=x", "a=1 b=y", "a=2 b=x", "a=2 b=y"]
    assert grid([]) == ((),)
