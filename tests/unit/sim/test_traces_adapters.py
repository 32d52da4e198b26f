"""Adapters of recordings: small tables by hand, then the real files."""

from __future__ import annotations

import gzip
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from fretsaw.api.pod import Pod
from fretsaw.api.times import DAY, HOUR, MINUTE, SECOND
from fretsaw.api.workload import Job
from fretsaw.sim.behavior import Behavior
from fretsaw.sim.scenario.model import LoadTrace, TraceSource
from fretsaw.sim.spread import Spread
from fretsaw.sim.work.traces import helios, openb, philly
from fretsaw.sim.work.traces.play import arrivals
from fretsaw.sim.work.traces.requests import Curve, curve
from fretsaw.sim.work.traces.table import Arriving, BadTrace
from support.shared import shared

OPENB = (
    "name,cpu_milli,memory_mib,num_gpu,gpu_milli,gpu_spec,qos,pod_phase,creation_time,deletion_time,scheduled_time\n"
)
PHILLY = "job_type,total_steps,arrival_s,scale_factor\n"
HELIOS = "time,running_gpu_num,pending_gpu_num\n"
AZURE = "TIMESTAMP,ContextTokens,GeneratedTokens\r\n"
MOONCAKE = "timestamp_ms,input_length,output_length\n"


def _play(tmp_path: Path, format_: Any, text: str, **more: Any) -> list[Arriving]:
    (tmp_path / "t.csv").write_text(text)
    return list(arrivals(TraceSource(format=format_, file="t.csv", **more), tmp_path))


def _requests(arriving: Arriving) -> dict[str, Any]:
    obj = arriving.objects[0]
    spec = obj.spec.template.spec if isinstance(obj, Job) else obj.spec  # type: ignore[attr-defined]
    return dict(spec.containers[0].resources.requests)


# openb


def test_openb_pods_have_their_times_and_requests(tmp_path: Path) -> None:
    text = OPENB + "a,4000,2048,0,0,,LS,Succeeded,100,400,200\nb,500,1024,2,1000,,LS,Failed,160,460,160\n"
    first, second = _play(tmp_path, "openb", text, start=100 * SECOND)
    assert (first.at, first.behavior.runs) == (0, Spread.fixed(200 * SECOND))
    assert (second.at, second.behavior.runs) == (60 * SECOND, Spread.fixed(300 * SECOND))
    assert (_requests(first), _requests(second)) == (
        {"cpu": "4000m", "memory": "2048Mi"},
        {"cpu": "500m", "memory": "1024Mi", "nvidia.com/gpu": "2"},
    )
    assert isinstance(first.objects[0], Pod)
    assert (first.objects[0].spec.tolerations, len(second.objects[0].spec.tolerations)) == ((), 1)  # type: ignore[attr-defined]


def test_openb_speed_shrinks_waiting_and_working_alike(tmp_path: Path) -> None:
    text = OPENB + "a,1,1,0,0,,LS,Succeeded,0,400,200\nb,1,1,0,0,,LS,Succeeded,60,460,160\n"
    assert [(a.at, a.behavior.runs) for a in _play(tmp_path, "openb", text, speed=10.0)] == [
        (0, Spread.fixed(20 * SECOND)),
        (6 * SECOND, Spread.fixed(30 * SECOND)),
    ]


@pytest.mark.parametrize("row", ["a,1,1,1,1000,,LS,Running,0,12902960,5", "a,1,1,1,1000,,LS,Pending,0,12902960,"])
def test_openb_pods_whose_end_was_not_recorded_run_until_they_are_deleted(tmp_path: Path, row: str) -> None:
    assert _play(tmp_path, "openb", OPENB + row + "\n")[0].behavior == Behavior()


def test_openb_running_pods_that_were_deleted_before_the_end_have_an_end(tmp_path: Path) -> None:
    row = "a,1,1,1,1000,,LS,Running,0,105,5\n"
    assert _play(tmp_path, "openb", OPENB + row)[0].behavior.runs == Spread.fixed(100 * SECOND)


def test_openb_parts_of_gpus_are_whole_ones_or_shares(tmp_path: Path) -> None:
    text = OPENB + "a,1,1,1,455,,LS,Succeeded,0,2,1\nb,1,1,1,1000,,LS,Succeeded,0,2,1\n"
    whole = _play(tmp_path, "openb", text)
    assert [_requests(a)["nvidia.com/gpu"] for a in whole] == ["1", "1"]
    parts = _play(tmp_path, "openb", text, gpu_share="example.com/gpu-percent")
    assert [{k: v for k, v in _requests(a).items() if "gpu" in k} for a in parts] == [
        {"example.com/gpu-percent": "46"},
        {"nvidia.com/gpu": "1"},
    ]


def test_openb_models_become_gpu_names_where_they_are_mapped(tmp_path: Path) -> None:
    rows = "".join(
        f"{n},1,1,{gpus},1000,{spec},LS,Succeeded,0,2,1\n"
        for n, gpus, spec in (("a", 1, "T4"), ("b", 1, "T4|V100M16"), ("c", 1, "G2"), ("d", 0, "T4"))
    )
    found = _play(tmp_path, "openb", OPENB + rows, gpu_types={"T4": "t4", "V100M16": "v100"})
    values = []
    for arriving in found:
        affinity = arriving.objects[0].spec.affinity  # type: ignore[attr-defined]
        required = affinity and affinity.node_affinity.required
        values.append(required and required.node_selector_terms[0].match_expressions[0].values)
    assert values == [("t4",), ("t4", "v100"), None, None]


def test_openb_equal_pods_share_one_spec(tmp_path: Path) -> None:
    text = OPENB + "a,1,1,1,1000,,LS,Succeeded,0,2,1\nb,1,1,1,1000,,LS,Succeeded,0,2,1\n"
    one, two = _play(tmp_path, "openb", text, node_selector={"pool": "x"})
    assert one.objects[0].spec is two.objects[0].spec  # type: ignore[attr-defined]
    assert one.objects[0].spec.node_selector == {"pool": "x"}  # type: ignore[attr-defined]


def test_openb_begins_after_the_last_silence_of_over_a_day(tmp_path: Path) -> None:
    rows = "".join(f"p{at},1,1,1,1000,,LS,Succeeded,{at},{at + 9},{at}\n" for at in (0, 5, 200_000, 200_010, 280_000))
    found = _play(tmp_path, "openb", OPENB + rows)
    assert [(a.objects[0].name, a.at) for a in found] == [
        ("p200000", 0),
        ("p200010", 10 * SECOND),
        ("p280000", 80_000 * SECOND),
    ]
    assert len(_play(tmp_path, "openb", OPENB + rows, start=0)) == 5
    assert len(_play(tmp_path, "openb", OPENB + rows, start=0, limit=2)) == 2


def test_rows_that_are_not_in_order_can_be_put_in_order(tmp_path: Path) -> None:
    text = OPENB + "a,1,1,0,0,,LS,Failed,5,9,5\nb,1,1,0,0,,LS,Failed,4,9,5\nc,1,1,0,0,,LS,Failed,5,9,5\n"
    found = _play(tmp_path, "openb", text, sort=True, start=4 * SECOND)
    assert [(a.at, a.objects[0].name) for a in found] == [(0, "b"), (1000, "a"), (1000, "c")]
    assert [a.at for a in _play(tmp_path, "philly", PHILLY + "a,1,5,1\na,1,4,1\n", sort=True)] == [4000, 5000]


def test_openb_pods_can_be_jobs(tmp_path: Path) -> None:
    made = _play(tmp_path, "openb", OPENB + "a,1,1,1,1000,,LS,Succeeded,0,2,1\n", as_="job", namespace="ml")[0].objects
    assert [(type(obj).__name__, obj.namespace, obj.name) for obj in made] == [("Job", "ml", "a")]


# philly and helios


def test_philly_jobs_are_gangs_and_take_their_share_of_the_time(tmp_path: Path) -> None:
    text = PHILLY + "A,100,0.0,1\nB,7,5.5,2\nA,200,60,4\nA,400,120,8\n"
    found = _play(tmp_path, "philly", text, runs=Spread(600, 1200, 1800))
    assert [a.at for a in found] == [0, 5500, 60_000, 120_000]
    jobs = [a.objects[0] for a in found]
    assert [(job.spec.parallelism, job.spec.completions) for job in jobs] == [(1, 1), (2, 2), (4, 4), (8, 8)]  # type: ignore[attr-defined]
    assert [a.behavior.runs for a in found] == [
        Spread(300, 600, 900),
        Spread(600, 1200, 1800),
        Spread(600, 1200, 1800),
        Spread(1200, 2400, 3600),
    ]
    assert _requests(found[0]) == {"cpu": "4", "memory": "16Gi", "nvidia.com/gpu": "1"}


def test_philly_means_and_speeds_scale_too(tmp_path: Path) -> None:
    found = _play(
        tmp_path, "philly", PHILLY + "A,100,50,1\n", runs=Spread(600, 600, 600, 600), speed=2.0, start=30 * SECOND
    )
    assert [(a.at, a.behavior.runs) for a in found] == [(10 * SECOND, Spread(300, 300, 300, 300))]


def test_philly_gangs_can_be_bare_pods(tmp_path: Path) -> None:
    made = _play(tmp_path, "philly", PHILLY + "A,100,0,3\n", as_="pod")[0].objects
    assert [(type(obj).__name__, obj.name) for obj in made] == [("Pod", f"philly-00000-{n}") for n in range(3)]


def test_helios_demand_becomes_jobs_of_which_the_oldest_end_first(tmp_path: Path) -> None:
    rows = "".join(
        f"2020-05-01 00:0{minute}:00,{running},{pending}\n"
        for minute, (running, pending) in enumerate(((1, 1), (3, 0), (2, 0), (0, 0), (1, 0)))
    )
    found = _play(tmp_path, "helios", HELIOS + rows)
    assert [(a.at // MINUTE, a.behavior.runs and a.behavior.runs.low // MINUTE) for a in found] == [
        (0, 2),
        (0, 3),
        (1, 2),
        (4, None),
    ]
    assert [a.objects[0].name for a in found] == [f"helios-{n:06}" for n in range(4)]
    assert [a.at // MINUTE for a in _play(tmp_path, "helios", HELIOS + rows, start=4 * MINUTE)] == [0]
    assert len(_play(tmp_path, "helios", HELIOS + rows, limit=1)) == 1
    assert len(_play(tmp_path, "helios", HELIOS + rows, limit=4)) == 4


# Request curves


def _curve(tmp_path: Path, format_: Any, text: str, **more: Any) -> Curve:
    (tmp_path / "r.csv").write_bytes(text.encode())
    return curve(LoadTrace(format=format_, file="r.csv", **more), tmp_path / "r.csv")


def test_requests_are_counted_by_the_minute_and_the_last_piece_by_its_length(tmp_path: Path) -> None:
    rows = "".join(f"{at},10,1\n" for at in (0, 20_000, 40_000, 60_000, 90_000))
    assert _curve(tmp_path, "mooncake", MOONCAKE + rows) == Curve((3 / 60, 2 / 30), 90_000)


def test_a_last_piece_of_some_seconds_is_left_out(tmp_path: Path) -> None:
    rows = "".join(f"{at},10,1\n" for at in (0, 20_000, 65_000))
    assert _curve(tmp_path, "mooncake", MOONCAKE + rows) == Curve((2 / 60,), 60_000)


def test_speed_presses_the_requests_together(tmp_path: Path) -> None:
    rows = "".join(f"{at},10,1\n" for at in range(0, 600_001, 10_000))
    assert _curve(tmp_path, "mooncake", MOONCAKE + rows, speed=10.0) == Curve((1.0,), 60_000)


def test_azures_times_and_line_ends_are_read(tmp_path: Path) -> None:
    rows = "2023-11-16 18:15:46.6805900,374,44\r\n2023-11-16 18:16:16.6805900,10,2\r\n2023-11-16 18:16:45.6805900,6,4"
    found = _curve(tmp_path, "azure-llm", AZURE + rows, counts="tokens")
    assert (found.length, found.rates) == (59_000, (pytest.approx((418 + 12 + 10) / 59),))


def test_helios_demand_is_a_curve_too(tmp_path: Path) -> None:
    rows = "".join(f"2020-05-01 00:0{minute}:00,{gpus},1\n" for minute, gpus in enumerate((1, 3, 5, 7)))
    assert _curve(tmp_path, "helios", HELIOS + rows) == Curve((2.0, 4.0, 6.0, 8.0), 4 * MINUTE)
    assert _curve(tmp_path, "helios", HELIOS + rows, speed=2.0) == Curve((3.0, 7.0), 2 * MINUTE)


# What is wrong

BAD = [
    ("openb", "", "t.csv:1: not such a recording: no column: name, cpu_milli"),
    ("openb", PHILLY, "t.csv:1: not such a recording: no column: name, cpu_milli"),
    ("openb", OPENB + "a,1,1\n", "t.csv:2: a row of another length than the header: 3 fields"),
    ("openb", OPENB + "a,x,1,1,1000,,LS,Succeeded,0,2,1\n", 't.csv:2: cpu_milli is no whole number: "x"'),
    ("openb", OPENB + "a,1,1,1,1000,,LS,Succeeded,9,8,9\n", "t.csv:2: deleted before it was created: 8s"),
    ("openb", OPENB + "a,1,1,1,1000,,LS,Succeeded,0,8,9\n", "t.csv:2: deleted before it was scheduled: 8s"),
    ("openb", OPENB + "a,1,1,1,1000,,LS,Failed,5,9,5\nb,1,1,1,1000,,LS,Failed,4,9,5\n", "t.csv:3: out of order: 1s before the row above (sort: true puts a re-sampled recording in order)"),
    ("openb", OPENB + ",1,1,1,1000,,LS,Succeeded,0,2,1\n", "t.csv:2: a pod without a name"),
    ("philly", PHILLY + "a,1,5,1\n\na,1,4.5,1\n", "t.csv:4: out of order: 0.5s before the row above"),
    ("philly", PHILLY + "a,1,soon,1\n", 't.csv:2: arrival_s is no number of seconds: "soon"'),
    ("philly", PHILLY + "a,1,nan,1\n", 't.csv:2: arrival_s is no number of seconds: "nan"'),
    ("philly", PHILLY + "a,1,5,0\n", "t.csv:2: a job without GPUs"),
    ("helios", HELIOS + "2020-05-01 00:00:00,1,0\n2020-05-01 00:03:00,1,0\n", "t.csv:3: not a minute after the row above: 180s"),
    ("helios", HELIOS + "2020-05-01 00:01:00,1,0\n2020-05-01 00:00:00,1,0\n", "t.csv:3: out of order: 60s before the row above"),
    ("helios", HELIOS + "yesterday,1,0\n", 't.csv:2: time is no time: "yesterday"'),
    ("azure-llm", AZURE + "2023-11-16 18:00:00,1,1\r\n2023-11-16 18:11:00,1,1\r\n", "r.csv:3: a gap in the recording: 660s (at most 10m)"),
    ("mooncake", MOONCAKE + "5,1,1\n4,1,1\n", "r.csv:3: out of order: 0.001s before the row above"),
    ("mooncake", MOONCAKE, "r.csv:1: the recording is empty"),
    ("mooncake", MOONCAKE + "5,1,-1\n", 'r.csv:2: output_length is no whole number: "-1"'),
]  # fmt: skip


@pytest.mark.parametrize(("format_", "text", "problem"), BAD, ids=[problem for _, _, problem in BAD])
def test_a_wrong_recording_is_told_by_file_and_line(tmp_path: Path, format_: str, text: str, problem: str) -> None:
    with pytest.raises(BadTrace) as error:
        _play(tmp_path, format_, text) if format_ in ("openb", "philly", "helios") else _curve(tmp_path, format_, text)
    assert str(error.value).removeprefix(f"{tmp_path}/").startswith(problem)


def test_a_file_that_is_not_what_its_name_says(tmp_path: Path) -> None:
    (tmp_path / "t.csv.gz").write_bytes(b"plain")
    (tmp_path / "u.csv.gz").write_bytes(gzip.compress(HELIOS.encode())[:-9])
    (tmp_path / "v.csv").write_bytes(b"\xff\xfe")
    for name in ("t.csv.gz", "u.csv.gz", "v.csv", "gone.csv"):
        with pytest.raises(BadTrace, match="cannot be read"):
            list(arrivals(TraceSource(format="helios", file=name), tmp_path))


def test_recordings_are_read_as_they_are_asked_for(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text(OPENB + "a,1,1,0,0,,LS,Failed,0,2,1\nb,oops\n")
    coming = arrivals(TraceSource(format="openb", file="t.csv", start=0), tmp_path)
    assert next(coming).objects[0].name == "a"
    with pytest.raises(BadTrace):
        next(coming)


# The real files


def test_the_openb_recording() -> None:
    file = shared("data", "openb-gpu-2023", "openb_pod_list_default.csv")
    found = list(arrivals(TraceSource(format="openb", file=file.name), file.parent))
    assert (len(found), openb.busy_from(file)) == (8126, 9_924_220 * SECOND)
    assert [a.at for a in found] == sorted(a.at for a in found)
    gpus = Counter(_requests(a).get("nvidia.com/gpu", "0") for a in found)
    assert (gpus["8"], gpus["4"]) == (43, 15)  # the list has 44 and 15; one of the former comes before
    assert sum(a.behavior.runs is None for a in found) > 897


@pytest.mark.parametrize("variant", ["gpuspec33", "gpushare40"])
def test_the_variants_of_the_openb_recording(variant: str) -> None:
    file = shared("data", "openb-gpu-2023", f"openb_pod_list_{variant}.csv")
    source = TraceSource(
        format="openb", file=file.name, start=0, gpu_types={"T4": "t4"}, gpu_share="example.com/part", sort=True
    )
    found = list(arrivals(source, file.parent))
    assert len(found) == 8152
    assert [a.at for a in found] == sorted(a.at for a in found)
    bound = sum(a.objects[0].spec.affinity is not None for a in found)  # type: ignore[attr-defined]
    assert bound == (1399 if variant == "gpuspec33" else 0)
    assert sum("example.com/part" in _requests(a) for a in found) > 1000


def test_an_openb_list_without_times_is_refused() -> None:
    file = shared("data", "openb-gpu-2023", "openb_pod_list_multigpu20.csv")
    with pytest.raises(BadTrace, match="no column: gpu_spec, pod_phase, creation_time"):
        list(arrivals(TraceSource(format="openb", file=file.name), file.parent))


@pytest.mark.parametrize(
    ("name", "jobs", "largest"), [("0e4a51", 1181, 8), ("103959", 986, 4), ("ed69ec", 951, 1), ("2869ce", 533, 32)]
)
def test_the_philly_recordings(name: str, jobs: int, largest: int) -> None:
    file = shared("data", "philly-gavel", f"{name}.csv")
    found = list(arrivals(TraceSource(format="philly", file=file.name), file.parent))
    assert (len(found), max(a.objects[0].spec.parallelism for a in found)) == (jobs, largest)  # type: ignore[attr-defined]
    assert min(philly.typical_steps(file).values()) >= 1


@pytest.mark.parametrize("name", ["vc3sl", "vchbv"])
def test_the_helios_recordings_have_as_many_jobs_alive_as_gpus_in_demand(name: str) -> None:
    file = shared("data", "helios-vc-2020", f"Earth_{name}.csv.gz")
    demand = list(helios.demand(file))
    assert (len(demand), demand[-1][0]) == (44_640, 44_639 * MINUTE)
    change: Counter[int] = Counter()
    for arriving in arrivals(TraceSource(format="helios", file=file.name), file.parent):
        change[arriving.at] += 1
        if arriving.behavior.runs is not None:
            change[arriving.at + arriving.behavior.runs.low] -= 1
    alive = 0
    for when, gpus in demand:
        alive += change[when]
        assert alive == gpus


def test_the_request_recordings() -> None:
    azure = shared("data", "azure-llm-2023", "AzureLLMInferenceTrace_conv.csv")
    found = curve(LoadTrace(format="azure-llm", file=""), azure)
    assert len(found.rates) == 59
    assert 5 < sum(found.rates) / len(found.rates) < 6
    mooncake = shared("data", "mooncake-llm-2024", "conversation_first_half.csv")
    found = curve(LoadTrace(format="mooncake", file=""), mooncake)
    ends = [min(found.length, (index + 1) * MINUTE) - index * MINUTE for index in range(len(found.rates))]
    total = sum(rate * end / SECOND for rate, end in zip(found.rates, ends, strict=True))
    assert total == pytest.approx(5606)
    assert found.length < HOUR < DAY
