"""Work that comes while a scenario runs."""

from __future__ import annotations

from pathlib import Path
from random import Random
from typing import Any

import pytest
from msgspec.structs import replace

from fretsaw.api.meta import Object, ObjectMeta, OwnerReference
from fretsaw.api.pod import Pod
from fretsaw.api.times import DAY, HOUR, MINUTE, Millis
from fretsaw.api.workload import Job
from fretsaw.sim.scenario.model import Arrives
from fretsaw.sim.work.arrivals import Maker, times
from fretsaw.sim.work.works import ScenarioWorks
from fretsaw.sim.world import World
from support.scenarios import JOB, scenario

MONDAY = 1_767_571_200_000


def _times(text: str, span: Millis = 7 * DAY, seed: int = 1) -> list[Millis]:
    entry = scenario(f"work: [{{arrivals: {text}, like: job/ml/train}}]").usable().work[0]
    assert isinstance(entry, Arrives)
    return [when - MONDAY for when in times(entry.arrivals, MONDAY, MONDAY + span, Random(seed))]


def _run(
    text: str, span: Millis = 7 * DAY, seed: int = 1, folder: Path | str = ".", **more: Any
) -> tuple[World, list[tuple[float, str]]]:
    """The world after the run, and (hours, what was made)."""
    reading = scenario(f"work: {text}", folder)
    world = World(MONDAY, seed)
    seen: list[tuple[float, str]] = []

    def watch(old: Object | None, new: Object | None) -> None:
        if old is None and new is not None:
            seen.append(((world.loop.now - MONDAY) / HOUR, new.name))

    world.store.watch_all(watch)
    maker = Maker(world, ScenarioWorks(world.store, ()), MONDAY + span, Path(folder), **more)
    maker.start(reading.usable().work, reading.models)
    world.loop.run(MONDAY + span)
    return world, seen


@pytest.mark.parametrize(
    ("text", "hours"),
    [
        ("{at: [5h, 2h]}", [2, 5]),
        ('{every: "0 22 * * *", until: 2d}', [22, 46]),
        ('{every: "0 0 * * *", until: 1d}', [0, 24]),
        ('{every: "0 22 * * *", from: 30h, limit: 2}', [46, 70]),
        ('{every: "0 12 * * SAT"}', [132]),
        ("{at: [1h, 2h, 3h], from: 90m, until: 150m}", [2]),
        ("{at: [1h, 2h, 3h], limit: 1}", [1]),
        ("{poisson: 0/h}", []),
    ],
)
def test_times_are_those_of_the_schedule(text: str, hours: list[float]) -> None:
    assert [when / HOUR for when in _times(text)] == hours


def test_random_arrivals_have_their_rate_and_their_seed() -> None:
    found = _times("{poisson: 30/h}")
    assert abs(len(found) - 30 * 24 * 7) < 4 * (30 * 24 * 7) ** 0.5
    assert found == sorted(found) == _times("{poisson: 30/h}")
    assert found != _times("{poisson: 30/h}", seed=2)
    assert all(when >= 3 * HOUR for when in _times("{poisson: 30/h, from: 3h}"))


def test_each_object_gets_a_name_of_its_own() -> None:
    world, seen = _run(f"[{{arrivals: {{at: [1h, 2h]}}, make: {JOB}, count: 2}}]")
    assert seen == [(1, "tune-1"), (1, "tune-2"), (2, "tune-3"), (2, "tune-4")]
    assert len({obj.metadata.uid for obj in world.store.all("Job").values()}) == 4


def test_names_that_are_taken_are_passed_over() -> None:
    reading = scenario(f"work: [{{arrivals: {{at: [1h]}}, make: {JOB}, count: 2}}]")
    world = World(MONDAY)
    world.store.put(Job(ObjectMeta("tune-1", "ml")))
    Maker(world, ScenarioWorks(world.store, ()), MONDAY + DAY).start(reading.usable().work, reading.models)
    world.loop.run(MONDAY + DAY)
    assert list(world.store.all("Job")) == ["ml/tune-1", "ml/tune-2", "ml/tune-3"]


def test_a_copy_of_a_workload_has_its_spec_and_nothing_of_its_life() -> None:
    world, _ = _run("[{arrivals: {at: [1h]}, like: job/ml/train}]")
    copy = world.store.get("Job", "ml/train-1")
    assert copy.spec.template.spec.containers[0].image == "train"
    assert copy.metadata.creation_timestamp == "2026-01-05T01:00:00Z"


def test_what_stays_for_a_while_is_deleted_then() -> None:
    world, seen = _run(f"[{{arrivals: {{at: [1h, 5h]}}, make: {JOB}, stays: 2h}}]", span=6 * HOUR)
    assert [name for _, name in seen] == ["tune-1", "tune-2"]
    assert list(world.store.all("Job")) == ["ml/tune-2"]


def test_objects_pass_through_admission() -> None:
    def admit(obj: Object) -> Object:
        return replace(obj, metadata=replace(obj.metadata, labels={"admitted": "yes"}))

    world, _ = _run(f"[{{arrivals: {{at: [1h]}}, make: {JOB}}}]", admit=admit)
    assert world.store.get("Job", "ml/tune-1").metadata.labels == {"admitted": "yes"}


def test_entries_draw_from_streams_of_their_own() -> None:
    alone = _run(f"[{{for: job/ml/train}}, {{arrivals: {{poisson: 1/h}}, make: {JOB}}}]")[1]
    more = _run(f"[{{arrivals: {{poisson: 5/h}}, like: job/ml/train}}, {{arrivals: {{poisson: 1/h}}, make: {JOB}}}]")[1]
    assert alone == [entry for entry in more if entry[1].startswith("tune-")]


def test_recorded_work_is_made_when_it_came_and_behaves_as_it_did(tmp_path: Path) -> None:
    rows = "job_type,total_steps,arrival_s,scale_factor\nA,100,0,1\nA,300,3600,2\nA,100,3600,1\nA,100,90000000,1\n"
    (tmp_path / "t.csv").write_text(rows)
    reading = scenario("work: [{trace: {format: philly, file: t.csv, namespace: ml, runs: 10m}}]", tmp_path)
    world = World(MONDAY)
    works = ScenarioWorks(world.store, ())
    Maker(world, works, MONDAY + DAY, tmp_path).start(reading.usable().work, {})
    world.loop.run(MONDAY + DAY)
    assert {key: job.metadata.creation_timestamp for key, job in world.store.all("Job").items()} == {
        "ml/philly-00000": "2026-01-05T00:00:00Z",
        "ml/philly-00001": "2026-01-05T01:00:00Z",
        "ml/philly-00002": "2026-01-05T01:00:00Z",
    }
    job = world.store.get("Job", "ml/philly-00001")
    pod = Pod(
        ObjectMeta("x", "ml", owner_references=(OwnerReference("Job", job.name, job.metadata.uid, controller=True),))
    )
    runs = works.behavior(pod).runs
    assert runs is not None
    assert runs.low == 30 * MINUTE
