"""What is wrong with a scenario is said all at once, with file and line."""

from __future__ import annotations

from pathlib import Path

import pytest

from fretsaw.api.catalog import Catalog, InstanceType, Offering
from fretsaw.engine.options import Options
from fretsaw.engine.settings import Settings
from fretsaw.errors import UserError
from fretsaw.sim.scenario.cloud import Reclaims
from fretsaw.sim.scenario.faults import Xid
from fretsaw.sim.scenario.model import Arrives, Behaves, Replays, Scenario
from fretsaw.sim.scenario.read import parse, read
from fretsaw.sim.spread import Spread
from support.scenarios import JOB, problems, scenario

ROOT = Path(__file__).parents[3]


def test_the_shipped_scenarios_have_no_errors() -> None:
    files = sorted((ROOT / "scenarios").glob("*.yaml"))
    assert ROOT / "scenarios" / "gpu-platform-week.yaml" in files
    for file in files:
        own = [str(problem) for problem in read(file).problems if problem.file == str(file)]
        assert own == [], "not even a warning of its own"
        assert read(file).errors == (), file


def test_the_week_of_the_gpu_platform_is_read_as_it_says() -> None:
    reading = read(ROOT / "scenarios" / "gpu-platform-week.yaml")
    week = reading.usable()
    assert (week.for_, week.seed, week.start) == (604_800_000, 1, 1_767_571_200_000)
    llm = week.work[0]
    assert isinstance(llm, Behaves)
    assert llm.serves is not None
    assert (llm.starts.image, llm.serves.capacity, llm.serves.load.peak) == (9_350_000_000, 2.5, 50_400_000)
    assert [type(entry) for entry in week.work].count(Arrives) == 3
    assert {name: type(obj).__name__ for name, obj in reading.models.items()} == {8: "Job", 9: "Job", 10: "Job"}
    assert "Deployment/llm-inference" in {f"{type(obj).__name__}/{obj.name}" for obj in reading.objects}


def test_the_smallest_scenario_has_defaults() -> None:
    made = parse("scenario: least\ncluster: {}\n").usable()
    assert made == Scenario(scenario="least", cluster=made.cluster)
    assert (made.for_, made.seed, made.cluster.settings) == (604_800_000, 1, Options())


def test_settings_of_the_engine_and_of_its_placing_stand_side_by_side() -> None:
    reading = parse(
        "scenario: s\ncluster: {settings: {packing: first-fit, maxPodsPerNode: 20, batchIdle: 2s, spotToSpot: true}}"
    )
    expected = Options(placing=Settings(packing="first-fit", max_pods_per_node=20), batch_idle=2000, spot_to_spot=True)
    assert reading.usable().cluster.settings == expected


def test_short_forms_mean_their_field() -> None:
    made = scenario(
        """
        work:
          - for: deployment/serving/web
            serves: {capacity: 1/s, load: 5/s}
        cloud: {spot: {reclaims: off, prices: flat}}
        nodes: {pull: soci}
        faults: [{at: 1h, xid: 79}]
        """
    ).usable()
    web = made.work[0]
    assert isinstance(web, Behaves)
    assert web.serves is not None
    assert (web.serves.load.shape, web.serves.load.rate) == ("constant", 5.0)
    assert made.cloud.spot.reclaims == Reclaims(by="off")
    assert made.nodes.pull.way == "soci"
    assert (made.faults[0].kind, made.faults[0].xid) == ("xid", Xid(code=79))


def test_an_inline_object_takes_the_place_of_a_manifests(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("apiVersion: v1\nkind: Namespace\nmetadata: {name: ml, labels: {from: file}}\n")
    text = "scenario: s\ncluster: {manifests: [a.yaml], objects: [{apiVersion: v1, kind: Namespace, metadata: {name: ml, labels: {from: here}}}]}"
    reading = parse(text, "s.yaml", tmp_path)
    assert reading.errors == ()
    assert [obj.metadata.labels for obj in reading.objects] == [{"from": "here"}]


def test_what_an_arrival_makes_and_a_fault_applies_is_handed_out() -> None:
    reading = scenario(
        f"""
        work:
          - {{arrivals: {{at: [1h]}}, make: {JOB}}}
          - {{arrivals: {{every: '@daily'}}, like: job/ml/train}}
        faults:
          - {{at: 1h, apply: [{{apiVersion: v1, kind: Namespace, metadata: {{name: extra}}}}]}}
          - {{at: 2h, delete: [namespace/extra]}}
        """
    )
    assert reading.errors == ()
    assert {number: obj.name for number, obj in reading.models.items()} == {0: "tune", 1: "train"}
    assert [obj.name for obj in reading.applied[0]] == ["extra"]


def test_usable_raises_with_all_errors() -> None:
    with pytest.raises(UserError) as error:
        scenario("seed: x\nfor: soon\n").usable()
    assert "seed" in str(error.value)
    assert "soon" in str(error.value)


PROBLEMS = [
    ("sede: 3", 'sede: unknown key: "sede" (did you mean seed?)'),
    ("seed: -1", "seed: out of bounds: -1 (at least 0)"),
    ("why: 3", 'why: not a text: 3 (put it in quotes: "3")'),
    ("for: 0.5", "for: not a duration: 0.5 (did you mean 0.5s?)"),
    ("start: 2026-13-01T00:00:00Z", 'start: not a time: "2026-13-01T00:00:00Z" (such as 2026-01-05T00:00:00Z)'),
    ("work: {}", "work: not a list: an empty map (begin each entry with a dash)"),
    ("work: [3]", "work[0]: not a map: 3 (a map with for or arrivals or trace)"),
    ("work: [{runs: 3h}]", "work[0]: missing key: a map with runs (one of for, arrivals, trace)"),
    ("work: [{for: job/ml/train, trace: {}}]", "work[0]: only one of these can be given: a map with for, trace (for or trace)"),
    ("work: [{for: job/ml/tain}]", 'work[0].for: no such workload: "job/ml/tain" (did you mean job/ml/train?)'),
    ("work: [{for: ml/train}]", 'work[0].for: not a workload: "ml/train" (kind/namespace/name, such as job/ml-training/*)'),
    ("work: [{for: node/ml/train}]", 'work[0].for: not a kind that has pods: "node" (one of deployment, statefulset, daemonset, replicaset, replicationcontroller, job, cronjob, pod)'),
    ("work: [{for: job/ml/train, checkpoint: 3m}]", "work[0].checkpoint: of no use without runs: such a pod never ends"),
    ("work: [{for: job/ml/train, runs: 1h, checkpoint: 0}]", "work[0].checkpoint: must be longer than 0"),
    ("work: [{for: job/ml/train, fails: 120%}]", 'work[0].fails: not a share: "120%" (such as 5%, at most 100%)'),
    ("work: [{for: job/ml/train, runs: {low: 1h, high: x}}]", 'work[0].runs.high: not a duration: "x" (such as 30m, 1h30m or 7d)'),
    ("work: [{for: job/ml/train, runs: 1h, serves: {capacity: 1/s, load: 1/s}}]", "work[0].runs: a pod that serves does not end (give one of runs, serves)"),
    ("work: [{for: deployment/serving/web, serves: {capacity: 0/s, load: 1/s}}]", "work[0].serves.capacity: must be more than 0"),
    ("work: [{for: deployment/serving/web, serves: {load: 1/s}}]", "work[0].serves.capacity: missing"),
    ("work: [{for: deployment/serving/web, serves: {capacity: 1/s, load: {profile: steps}}}]", "work[0].serves.load.steps: missing: the profile steps needs it"),
    ("work: [{for: deployment/serving/web, serves: {capacity: 1/s, load: {profile: constant, rate: 1/s, low: 1/s}}}]", "work[0].serves.load.low: not of the profile constant (that has rate)"),
    ("work: [{for: deployment/serving/web, serves: {capacity: 1/s, load: {low: 3/s, high: 1/s}}}]", "work[0].serves.load.low: more than high"),
    ("work: [{for: deployment/serving/web, serves: {capacity: 1/s, load: {steps: [{at: 1h, rate: 1/s}, {at: 1h, rate: 2/s}]}}}]", "work[0].serves.load.steps[1].at: not after the step before it"),
    ("work: [{for: deployment/serving/web, serves: {capacity: 1/s, load: {steps: [{at: 3h, rate: 1/s}], repeat: 2h}}}]", "work[0].serves.load.steps[0].at: after the repetition"),
    ("work: [{for: deployment/serving/web, serves: {capacity: 1/s, load: {rate: 1/s, repeat: 2h}}}]", "work[0].serves.load.repeat: only steps repeat"),
    ("work: [{for: deployment/serving/web, serves: {capacity: 1/s, load: {rate: 1/s, surges: [{at: 8d, for: 1h, times: 2}]}}}]", "work[0].serves.load.surges[0].at: after the scenario's end"),
    ("work: [{for: deployment/serving/web, serves: {capacity: 1/s, load: {profile: day-nite, rate: 1/s}}}]", 'work[0].serves.load.profile: not a known value: "day-nite" (did you mean day-night?)'),
    ("work: [{for: deployment/serving/web, serves: {capacity: 1/s, load: {trace: gone.csv}}}]", 'work[0].serves.load.trace.file: no such recording: "gone.csv" (paths begin at .)'),
    ("work: [{arrivals: {at: [1h]}}]", "work[0]: missing key (one of make, like)"),
    ("work: [{arrivals: {}, like: job/ml/train}]", "work[0].arrivals: missing key (one of every, poisson, at)"),
    ("work: [{arrivals: {at: [1h], poisson: 1/h}, like: job/ml/train}]", "work[0].arrivals.at: only one of these can be given (poisson or at)"),
    ("work: [{arrivals: {at: [8d]}, like: job/ml/train}]", "work[0].arrivals.at[0]: after the scenario's end"),
    ("work: [{arrivals: {poisson: 1/h, from: 8d}, like: job/ml/train}]", "work[0].arrivals.from: after the scenario's end"),
    ("work: [{arrivals: {poisson: 1/h, from: 2d, until: 1d}, like: job/ml/train}]", "work[0].arrivals.until: not after from"),
    ("work: [{arrivals: {every: 0 0 1 7 *}, like: job/ml/train}]", 'work[0].arrivals.every: never comes within the scenario: "0 0 1 7 *"'),
    ("work: [{arrivals: {at: [1h]}, like: job/ml/tran}]", 'work[0].like: no such workload: "job/ml/tran" (did you mean job/ml/train?)'),
    ("work: [{arrivals: {at: [1h]}, like: nodepool/gpu}]", 'work[0].like: not a kind that has pods: "nodepool/gpu"'),
    ("work: [{arrivals: {at: [1h]}, make: {apiVersion: v1, kind: Pod, metadata: {}, spec: {containers: [{name: a}]}}}]", "pod metadata.name: missing (every object needs a name)"),
    ("work: [{arrivals: {at: [1h]}, make: {apiVersion: example.com/v1, kind: Thing, metadata: {name: x}}}]", 'work[0].make: a kind that is not read: "Thing"'),
    ("work: [{arrivals: {at: [1h]}, make: {apiVersion: v1, kind: Pod, metadata: {name: p}, spec: {containers: [{name: a}], nodeSelectr: {}}}}]", 'pod/p spec.nodeSelectr: no such field, it has no effect (did you mean nodeSelector?)'),
    ("work: [{trace: {format: openb, file: gone.csv}}]", 'work[0].trace.file: no such recording: "gone.csv" (paths begin at .)'),
    ("work: [{trace: {format: philly, file: gone.csv, memory: 16GB}}]", 'work[0].trace.memory: not a quantity: "16GB" (did you mean "16Gi"? suffixes are case-sensitive: k M G, Ki Mi Gi)'),
    ("work: [{trace: {format: opnb, file: gone.csv}}]", 'work[0].trace.format: not a known value: "opnb" (did you mean openb?)'),
    ("cloud: {spot: {reclaims: advisr}}", 'cloud.spot.reclaims: not a known value: "advisr" (did you mean advisor?)'),
    ("cloud: {spot: {reclaims: {}}}", "cloud.spot.reclaims: missing key (one of by, rate, trace)"),
    ("cloud: {spot: {reclaims: {trace: gone.csv}}}", 'cloud.spot.reclaims.trace: no such recording: "gone.csv" (paths begin at .)'),
    ("cloud: {spot: {reclaims: {by: off, bursts: [{every: 0, share: 5%}]}}}", "cloud.spot.reclaims.bursts[0].every: must be longer than 0"),
    ("cloud: {spot: {prices: {steps: [{at: 1h}]}}}", "cloud.spot.prices.steps[0]: missing key (one of times, price)"),
    ("cloud: {stock: [{types: g5, count: 3}]}", 'cloud.stock[0].types: not an instance type: "g5" (did you mean g5.*?)'),
    ("cloud: {stock: [{onOff: {available: 1h, out: 0}}]}", "cloud.stock[0].onOff: both must be longer than 0"),
    ("cloud: {stock: [{steps: [{at: 2h, count: 1}, {at: 1h, count: 2}]}]}", "cloud.stock[0].steps[1].at: not after the step before it"),
    ("cloud: {stock: [{capacityTypes: [spott], count: 1}]}", 'cloud.stock[0].capacityTypes[0]: not a known value: "spott" (did you mean spot?)'),
    ("cloud: {reservations: [{id: a, type: p5.48xlarge, zone: z, count: 1, kind: capacity-block}]}", "cloud.reservations[0].ends: missing: a capacity block has an end"),
    ("cloud: {reservations: [{id: a, type: t, zone: z, count: 1, starts: 2h, ends: 1h}]}", "cloud.reservations[0].ends: not after its start"),
    ("cloud: {reservations: [{id: a, type: t, zone: z, count: 1}, {id: a, type: t, zone: z, count: 1}]}", 'cloud.reservations[1].id: stands twice: "a"'),
    ("nodes: {startupTaints: [{key: cni/notready, after: 10s}]}", 'nodes.startupTaints[0].key: no NodePool has such a startup taint: "cni/notready" (did you mean cni/not-ready?)'),
    ("faults: [{at: 8d, out: {types: g5.*}}]", "faults[0].at: after the scenario's end"),
    ("faults: [{at: 1d}]", "faults[0]: missing key (one of out, gpuNeverRegisters, gpuMissing, xid, slowPulls, neverRegisters, notReady, drift, reclaim, interrupt, apiThrottle, apply, patch, delete, scale)"),
    ("faults: [{at: 1d, apply: []}]", "faults[0]: holds nothing to happen"),
    ("faults: [{at: 1d, for: 1h, xid: 79}]", "faults[0].for: xid happens at once"),
    ("faults: [{at: 1d, for: 0, out: {}}]", "faults[0].for: must be longer than 0"),
    ("faults: [{at: 1d, for: 2h, repeat: 1h, out: {}}]", "faults[0].repeat: must be longer than for"),
    ("faults: [{at: 1d, repeat: 1h, out: {}}]", "faults[0].repeat: out without for never ends"),
    ("faults: [{at: 1d, xid: {code: 79, pools: gpus}}]", 'faults[0].xid.pools: no such NodePool: "gpus" (did you mean gpu?)'),
    ("faults: [{at: 1d, neverRegisters: {count: 1}}]", "faults[0].neverRegisters.count: nodes that have yet to start are not known by it (give pools, types, zones, capacityTypes or share)"),
    ("faults: [{at: 1d, drift: al2033}]", 'faults[0].drift.nodeClass: no such EC2NodeClass: "al2033" (did you mean al2023?)'),
    ("faults: [{at: 1d, drift: {nodeClass: al2023, reason: AmiDrift}}]", 'faults[0].drift.reason: not a known value: "AmiDrift" (did you mean AMIDrift?)'),
    ("faults: [{at: 1d, slowPulls: 1}]", "faults[0].slowPulls: out of bounds: 1 (more than 1)"),
    ("faults: [{at: 1d, delete: [job/ml/trane]}]", 'faults[0].delete[0]: no such object: "job/ml/trane" (did you mean job/ml/train?)'),
    ("faults: [{at: 1d, delete: [train]}]", 'faults[0].delete[0]: no such object: "train" (kind/namespace/name)'),
    ("faults: [{at: 1d, patch: [{object: nodepool/gpx, merge: {}}]}]", 'faults[0].patch[0].object: no such object: "nodepool/gpx" (did you mean nodepool/gpu?)'),
    ("faults: [{at: 1d, scale: {job/ml/train: 3}}]", 'faults[0].scale[job/ml/train]: has no replicas: "job/ml/train"'),
    ("expect: [no pod of mll waits longer than 10m]", 'expect[0]: no such workload or namespace: "mll" (did you mean ml?)'),
    ("expect: [cost of pool gpus <= 3]", 'expect[0]: no such NodePool: "gpus" (did you mean gpu?)'),
    ("expect: [p98 wait <= 3m]", 'expect[0]: not an expectation: "p98 wait" is nothing that can be measured: "p98 wait <= 3m" (did you mean p99 wait?)'),
]  # fmt: skip


@pytest.mark.parametrize(("more", "problem"), PROBLEMS, ids=[more for more, _ in PROBLEMS])
def test_one_thing_wrong_is_one_problem(more: str, problem: str) -> None:
    assert problems(more) == [problem]


BARE = "{apiVersion: v1, kind: Pod, metadata: {name: %s}, spec: {%scontainers: [{name: a, image: a}]}}"


@pytest.mark.parametrize(
    ("policy", "warned"),
    [
        ("", True),
        ("restartPolicy: Always, ", True),
        ("restartPolicy: Never, ", False),
        ("restartPolicy: OnFailure, ", False),
    ],
)
def test_a_time_of_work_for_pods_that_start_again_is_warned_of(policy: str, warned: bool) -> None:
    text = (
        f"scenario: s\ncluster: {{objects: [{BARE % ('solo', policy)}]}}\nwork: [{{for: pod/default/solo, runs: 1h}}]\n"
    )
    reading = parse(text, "s.yaml")
    told = 'work[0].runs: never ends, its pods start again: restartPolicy is Always: "pod/default/solo" (leave out runs, or set restartPolicy: Never)'
    assert [str(problem).partition(" scenario/s ")[2] for problem in reading.problems] == ([told] if warned else [])
    assert reading.errors == ()  # it may be meant: the scenario runs


def test_a_service_that_is_given_a_time_of_work_is_warned_of_too() -> None:
    assert problems("work: [{for: deployment/serving/*, runs: 1h}, {for: job/ml/train, runs: 1h}]") == [
        'work[0].runs: never ends, its pods start again: restartPolicy is Always: "deployment/serving/web" (leave out runs, or set restartPolicy: Never)'
    ]


FILES = [
    ("", "f.yaml:1: the file holds no scenario"),
    ("a: [", "f.yaml:1: not YAML: while parsing a flow node did not find expected node content"),
    ("scenario: a\n---\nscenario: b\n", "f.yaml:2: more than one document (one scenario a file)"),
    ("- 3", "f.yaml:1: not a scenario (a map with scenario, cluster, work …)"),
    ("\n\nscenario: &a [*b]", "f.yaml:3: the alias *b has no anchor before it"),
]


@pytest.mark.parametrize(("text", "problem"), FILES, ids=[text[:12] for text, _ in FILES])
def test_a_file_that_is_no_scenario(text: str, problem: str) -> None:
    assert [str(found) for found in parse(text, "f.yaml").problems] == [problem]


def test_a_missing_file_and_a_key_that_stands_twice(tmp_path: Path) -> None:
    assert str(read(tmp_path / "gone.yaml").problems[0]).endswith(
        "gone.yaml:1: cannot be read: no such file or directory"
    )
    twice = parse("scenario: a\nseed: 1\nseed: 2\ncluster: {}\n", "f.yaml").problems
    assert [str(found) for found in twice] == [
        'f.yaml:1 scenario/a: the key "seed" stands twice in one map, in lines 2 and 3'
    ]


def test_problems_carry_the_line_of_their_field_and_come_in_that_order() -> None:
    text = "scenario: a\nfaults:\n  - at: 9d\n    out:\n      types: g5\ncluster:\n  manifests:\n    - here\n    - there\nseed: x\n"
    found = parse(text, "f.yaml").problems
    assert [(problem.line, problem.path) for problem in found] == [
        (3, "faults[0].at"),
        (5, "faults[0].out.types"),
        (8, "cluster.manifests[0]"),
        (9, "cluster.manifests[1]"),
        (10, "seed"),
    ]


def test_errors_of_manifests_and_of_recordings_are_told_in_their_own_files(tmp_path: Path) -> None:
    (tmp_path / "pod.yaml").write_text("apiVersion: v1\nkind: Pod\nmetadata:\n  name: a\nspec:\n  contaners: []\n")
    (tmp_path / "trace.csv").write_text("job_type,total_steps,arrival_s,scale_factor\na,1,5,1\na,1,4,1\n")
    text = "scenario: s\ncluster: {manifests: [pod.yaml]}\nwork: [{trace: {format: philly, file: trace.csv}}]\n"
    found = [str(problem) for problem in parse(text, "s.yaml", tmp_path).problems]
    assert (
        f"{tmp_path}/trace.csv:3: out of order: 1s before the row above (sort: true puts a re-sampled recording in order)"
        in found
    )
    assert any(problem.startswith(f"{tmp_path}/pod.yaml:6 pod/a spec.contaners") for problem in found)


def test_a_recording_without_work_in_the_scenarios_time_is_a_problem(tmp_path: Path) -> None:
    (tmp_path / "trace.csv").write_text("job_type,total_steps,arrival_s,scale_factor\na,1,5,1\n")
    found = problems("work: [{trace: {format: philly, file: trace.csv, start: 1h}}]", tmp_path)
    assert found == ["work[0].trace.start: nothing of the recording comes within the scenario"]


def test_behaviors_may_be_of_what_arrives_is_replayed_or_made_by_controllers(tmp_path: Path) -> None:
    (tmp_path / "trace.csv").write_text("job_type,total_steps,arrival_s,scale_factor\na,1,5,1\n")
    reading = scenario(
        f"""
        work:
          - {{for: job/ml/tune-*}}
          - {{for: job/ml/tune-1}}
          - {{for: job/default/philly-*}}
          - {{for: replicaset/serving/web-*}}
          - {{for: "*/ml/*"}}
          - {{arrivals: {{at: [1h]}}, make: {JOB}}}
          - {{trace: {{format: philly, file: trace.csv}}}}
        expect: [every pod of default runs, no pod of job/ml/tune-* fails]
        """,
        tmp_path,
    )
    assert [str(problem) for problem in reading.problems] == []
    replays = reading.usable().work[-1]
    assert isinstance(replays, Replays)
    assert replays.trace.runs is None


def test_types_and_zones_that_the_catalog_lacks_are_told_once_it_is_known() -> None:
    reading = scenario(
        """
        cloud:
          stock: [{types: [g5.*, g9.*], zones: us-east-1a, count: 3}]
          reservations: [{id: cr-1, type: g5.xlarg, zone: us-east-1a, count: 1}]
        faults: [{at: 1h, out: {types: g5.xlarge, zones: us-east-1x}}, {at: 1h, reclaim: {types: p5.*}}]
        expect: [a node  of type p4d.* is used, a node of type g5.* is used]
        """
    )
    assert reading.errors == ()
    catalog = Catalog([InstanceType("g5.xlarge", {}, offerings=[Offering("us-east-1a", "spot", 1.0)])])
    assert [str(problem).partition(" scenario/small ")[2] for problem in reading.against(catalog)] == [
        'cloud.stock[0].types: the catalog has no such instance type: "g9.*"',
        'cloud.reservations[0].type: the catalog has no such instance type: "g5.xlarg" (did you mean g5.xlarge?)',
        'faults[0].out.zones: the catalog has no such zone: "us-east-1x" (did you mean us-east-1a?)',
        'faults[1].reclaim.types: the catalog has no such instance type: "p5.*"',
        'expect[0]: the catalog has no such instance type: "p4d.*"',
    ]


def test_a_spread_in_the_file_is_a_spread() -> None:
    made = scenario("work: [{for: job/ml/train, runs: {low: 1h, typical: 2h, high: 4h}}]").usable().work[0]
    assert isinstance(made, Behaves)
    assert made.runs == Spread(3_600_000, 7_200_000, 14_400_000)
