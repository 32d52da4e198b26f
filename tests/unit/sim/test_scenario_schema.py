"""The schema for editors and the reader say the same of a file's form."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from fretsaw.sim.scenario.decode import Decoder
from fretsaw.sim.scenario.model import Scenario
from fretsaw.sim.scenario.read import parse
from fretsaw.sim.scenario.schema import schema
from fretsaw.sim.scenario.shape import Parts, shape_of
from support.scenarios import CLUSTER, JOB

ROOT = Path(__file__).parents[3]
CHECK = jsonschema.Draft202012Validator(schema())
FULL = yaml.safe_load(
    f"""
scenario: full
why: all that can be said
start: "2026-01-05T00:00:00Z"
for: 3d
seed: 4
work:
  - for: [deployment/serving/web]
    starts: {{image: 9GB, loads: {{low: 1m, high: 2m}}}}
    serves:
      capacity: 2/s
      load: {{profile: day-night, low: 1/s, high: 5/s, peak: "14:00", weekend: 0.5, surges: [{{at: 1h, for: 1h, times: 2}}]}}
      metric: gpu_utilization
      external: requests
  - {{for: job/ml/train, runs: {{mean: 2h}}, checkpoint: 30m, restart: 2m, fails: 1%, exitCode: 3, gpuUse: 90%, stops: 1s, gpuMemory: 20Gi}}
  - {{arrivals: {{poisson: 3/h, from: 1h, until: 2d, limit: 5}}, make: {JOB}, count: 2, stays: 1h}}
  - {{arrivals: {{at: [2h, 5h]}}, like: job/ml/train}}
cloud:
  spot:
    reclaims: {{rate: 5%/h, rates: [{{types: g5.*, zones: [a], capacityTypes: [spot], rate: 1%/d}}], bursts: [{{every: 6h, share: 30%, out: 1h}}], out: 10m}}
    rebalance: {{share: 50%, before: 5m}}
    prices: {{path: walk, volatility: 0.1, steps: [{{at: 1h, times: 2}}]}}
  stock: [{{types: [p5.*], count: 2}}, {{onOff: {{available: 3h, out: 1h, together: zone}}}}, {{steps: [{{at: 0, count: 1}}]}}]
  reservations: [{{id: cr-1, type: p5.48xlarge, zone: a, count: 1, kind: capacity-block, starts: 1h, ends: 2d}}]
  quotas: [{{classes: [g, vt], capacityType: spot, vcpus: 64}}]
  throttle: {{rate: 2/s, burst: 10}}
  launching: {{answer: 2s}}
nodes:
  image: bottlerocket
  boot: 20s
  pull: {{way: soci, rate: 300MB/s, preloaded: [web]}}
  startupTaints: [{{key: cni/not-ready, after: 5s}}]
  fails: {{neverRegisters: 1%, xid: 1%/month}}
faults:
  - {{at: 1h, for: 1h, out: {{types: g5.*, zones: [us-east-1a], capacityTypes: [spot]}}}}
  - {{at: 1h, for: 1h, repeat: 6h, slowPulls: 5}}
  - {{at: 1h, for: 10m, gpuMissing: {{missing: 1, share: 50%}}}}
  - {{at: 1h, xid: {{code: 79, pools: gpu, count: 1}}}}
  - {{at: 1h, for: 1h, notReady: {{nodes: "*"}}}}
  - {{at: 1h, drift: {{nodeClass: al2023, reason: SubnetDrift}}}}
  - {{at: 1h, interrupt: scheduled_change}}
  - {{at: 1h, for: 1h, apiThrottle: 1/m}}
  - {{at: 1h, patch: [{{object: nodepool/gpu, merge: {{spec: {{weight: 3}}}}}}]}}
  - {{at: 1h, scale: {{deployment/serving/web: 3}}}}
expect: [cost <= 5/h]
{CLUSTER}"""
)


def _decoded(raw: Any) -> Decoder:
    decoder = Decoder()
    decoder.read(raw, shape_of(Scenario))
    return decoder


def test_the_schema_is_one() -> None:
    jsonschema.Draft202012Validator.check_schema(schema())


def test_every_field_has_a_description() -> None:
    for name, definition in schema()["$defs"].items():
        part = definition.get("anyOf", [definition])[0]
        for field, told in part.get("properties", {}).items():
            assert told["description"], (name, field)


def test_the_shipped_scenarios_and_the_full_one_fit_the_schema() -> None:
    raws = [yaml.safe_load(file.read_text()) for file in sorted((ROOT / "scenarios").glob("*.yaml"))]
    for raw in [*raws, FULL]:
        # PyYAML makes a date of it, which JSON does not know.
        text_only = {**raw, "start": "2026-01-05T00:00:00Z"}
        assert [error.message for error in CHECK.iter_errors(text_only)] == []


def test_the_full_scenario_says_nothing_wrong() -> None:
    assert [str(problem) for problem in parse(yaml.safe_dump(FULL)).problems] == []


def test_every_part_of_the_model_is_in_the_schema() -> None:
    names = set(schema()["$defs"])
    for part in _all_parts(shape_of(Scenario), {}):
        assert part == "Scenario" or part in names


def _all_parts(shape: Any, known: dict[str, Parts]) -> list[str]:
    if isinstance(shape, Parts) and shape.name not in known:
        known[shape.name] = shape
        for field in shape.fields:
            _all_parts(field.shape, known)
    for name in ("item", "value"):
        if hasattr(shape, name) and not isinstance(shape, Parts):
            _all_parts(getattr(shape, name), known)
    for part in getattr(shape, "parts", ()):
        _all_parts(part, known)
    return list(known)


STRUCTURAL = [
    (("sede",), 3), (("seed",), -1), (("seed",), "1"), (("why",), 3), (("for",), 5), (("work",), {}), (("work", 0, "for"), []),
    (("work", 0, "serves", "capacity"), "2"), (("work", 0, "serves", "load", "profile"), "day"),
    (("work", 0, "serves", "load", "peak"), "25:00"), (("work", 0, "starts", "image"), "9 GB"),
    (("work", 1, "fails"), "101%"), (("work", 1, "runs"), {"mean": "2h", "low": "1h"}), (("work", 1, "serves"), {}),
    (("work", 2, "arrivals", "at"), ["1h"]), (("work", 2, "like"), "job/ml/train"), (("work", 2, "count"), 0),
    (("work", 3, "for"), "job/ml/train"), (("cloud", "spot", "reclaims", "by"), "advisor"),
    (("cloud", "spot", "prices"), "flatt"), (("cloud", "stock", 0, "capacityTypes"), ["spott"]),
    (("cloud", "stock", 0, "onOff"), {"available": "1h", "out": "1h"}), (("cloud", "throttle", "rate"), "2"),
    (("nodes", "image"), "al2"), (("nodes", "pull"), 3), (("nodes", "boot"), {"low": "1s"}),
    (("faults", 0, "xid"), 79), (("faults", 0, "out", "type"), "g5"), (("faults", 3, "xid", "code"), 1000),
    (("faults", 9, "scale"), {"deployment/serving/web": "3"}), (("expect",), [3]), (("cluster",), None),
    (("cluster", "settings"), {"packing": "best"}), (("cluster", "settings"), {"batchIdle": 3}), (("cluster", "objects"), [3]),
]  # fmt: skip


@pytest.mark.parametrize(("path", "value"), STRUCTURAL, ids=[".".join(map(str, path)) for path, _ in STRUCTURAL])
def test_what_the_reader_refuses_for_its_form_the_schema_refuses(path: tuple[Any, ...], value: Any) -> None:
    raw = _set(FULL, path, value)
    assert _decoded(raw).problems
    assert not CHECK.is_valid(raw)


def _set(raw: Any, path: tuple[Any, ...], value: Any) -> Any:
    raw = copy.deepcopy(raw)
    inner = raw
    for step in path[:-1]:
        inner = inner[step]
    inner[path[-1]] = value
    return raw


def _places(raw: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every place of the tree but for the inside of Kubernetes objects."""
    found = [path] if path else []
    if path[-1:] == ("make",) or path[:2] == ("cluster", "objects"):
        return found
    items = raw.items() if isinstance(raw, dict) else enumerate(raw) if isinstance(raw, list) else ()
    for key, value in items:
        found += _places(value, (*path, key))
    return found


VALUES = st.one_of(
    st.none(), st.booleans(), st.integers(-5, 200), st.floats(0, 2, allow_nan=False), st.text(max_size=6),
    st.sampled_from(["1h", "5/s", "5%", "5%/h", "off", "spot", "soci", "walk", "advisor", "9d", "14:00", "al2023", "0s",
                     "job/ml/train", "nodepool/gpu", "9GB", "0 0 * * *", "cost <= 5", "*"]),
    st.just([]), st.just({}), st.just(["1h"]), st.just({"mean": "1h"}), st.just({"low": "2h", "high": "1h"}), st.just([{}]),
)  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_a_changed_scenario_has_problems_or_loads_and_fits_the_schema_when_the_reader_takes_its_form(
    data: st.DataObject,
) -> None:
    raw: Any = FULL
    for _ in range(data.draw(st.integers(1, 3))):
        path = data.draw(st.sampled_from(_places(raw)))
        if data.draw(st.booleans()) or isinstance(path[-1], int):
            raw = _set(raw, path, data.draw(VALUES))
        else:
            raw = _set(
                raw,
                (*path[:-1], data.draw(st.sampled_from(["for", "xid", "rate", "type", "x.y", "at"]))),
                data.draw(VALUES),
            )
    decoder = _decoded(raw)
    if not decoder.problems:
        assert [error.message for error in CHECK.iter_errors(raw)] == []
    reading = parse(yaml.safe_dump(raw, allow_unicode=True))
    assert reading.errors or reading.usable().scenario


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_a_text_with_lines_cut_or_moved_has_problems_or_loads(data: st.DataObject) -> None:
    lines = (
        (ROOT / "scenarios" / "gpu-platform-week.yaml").read_text().replace("../examples/gpu-platform", ".").split("\n")
    )
    lines = [line for line in lines if "manifests" not in line]
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(lines) - 1))
        what = data.draw(st.sampled_from(["cut", "double", "indent", "garble"]))
        if what == "cut":
            del lines[at]
        elif what == "double":
            lines.insert(at, lines[at])
        elif what == "indent":
            lines[at] = "  " + lines[at]
        else:
            lines[at] = lines[at][: data.draw(st.integers(0, 20))] + data.draw(st.text(max_size=4))
        lines = lines or [""]
    reading = parse("\n".join(lines).encode("utf-8", "surrogatepass"))
    assert reading.errors or reading.usable().cluster is not None
