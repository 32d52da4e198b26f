"""`fretsaw plan` as a user runs it: input, exit codes, what goes to which stream, and the JSON shape."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from fretsaw.cli import main
from fretsaw.cli.params import duration

ROOT = Path(__file__).parents[3]

CATALOG: dict[str, Any] = {
    "region": "us-east-1",
    "asOf": "2026-08-01",
    "notes": ["prices are made up"],
    "instanceTypes": [
        {
            "name": "g5.xlarge",
            "capacity": {"cpu": "4", "memory": "16Gi", "pods": "58", "nvidia.com/gpu": "1"},
            "labels": {"kubernetes.io/arch": ["amd64"], "kubernetes.io/os": ["linux"]},
            "offerings": [
                {"zone": "us-east-1a", "capacityType": "spot", "price": 0.4},
                {"zone": "us-east-1a", "capacityType": "on-demand", "price": 1.0},
            ],
        }
    ],
}
POOL = """
apiVersion: karpenter.sh/v1
kind: NodePool
metadata: {name: gpu}
spec:
  template:
    spec:
      nodeClassRef: {group: karpenter.k8s.aws, kind: EC2NodeClass, name: default}
      requirements:
        - {key: karpenter.sh/capacity-type, operator: In, values: [spot, on-demand]}
"""
POD = """
apiVersion: v1
kind: Pod
metadata: {name: %s}
spec:
  containers:
    - name: main
      image: example
      resources: {limits: {nvidia.com/gpu: %d}}
"""


class Fretsaw:
    """Runs the command in a folder that has a catalog, and keeps what it printed."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder = folder
        self.capsys = capsys
        self.write("catalog.json", json.dumps(CATALOG))

    def write(self, name: str, *texts: str) -> str:
        path = self.folder / name
        path.write_text("\n---\n".join(texts), encoding="utf-8")
        return str(path)

    def plan(self, *arguments: str) -> tuple[int, str, str]:
        code = main.run(["plan", "--catalog", str(self.folder / "catalog.json"), *arguments])
        return code, *self.capsys.readouterr()


@pytest.fixture
def fretsaw(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Fretsaw:
    return Fretsaw(tmp_path, capsys)


def test_a_plan_with_a_place_for_every_pod_is_done(fretsaw: Fretsaw) -> None:
    code, out, err = fretsaw.plan("-f", fretsaw.write("all.yaml", POOL, POD % ("train", 1)))
    assert (code, err) == (0, "")
    assert out.startswith("1 pod placed on 1 new node: $0.400/h, $292/month\n")
    assert out.endswith("Prices: us-east-1 catalog of 2026-08-01; prices are made up.\n")


def test_a_pod_without_a_place_is_found(fretsaw: Fretsaw) -> None:
    code, out, err = fretsaw.plan(fretsaw.write("all.yaml", POOL, POD % ("train", 1), POD % ("wide", 8)))
    assert (code, err) == (1, "")
    assert "1 of 2 pods placed on 1 new node" in out
    assert "Pending: 1 pod\n  default/wide" in out


def test_files_folders_and_bare_paths_add_up(fretsaw: Fretsaw, tmp_path: Path) -> None:
    (tmp_path / "pods").mkdir()
    fretsaw.write("pods/a.yaml", POD % ("a", 1))
    pool, b = (
        fretsaw.write("pool.yaml", POOL),
        fretsaw.write("b.json", json.dumps({"apiVersion": "v1", "kind": "List", "items": []})),
    )
    code, out, _ = fretsaw.plan("-f", pool, "-f", b, str(tmp_path / "pods"))
    assert code == 0
    assert out.startswith("1 pod placed")


def test_standard_input(fretsaw: Fretsaw, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(f"{POOL}\n---\n{POD % ('a', 1)}".encode())))
    assert fretsaw.plan("-f", "-")[0] == 0


def test_wrong_objects_are_told_with_their_line_and_the_rest_is_planned(fretsaw: Fretsaw) -> None:
    wrong = POOL.replace("name: gpu", "name: wrong").replace("operator: In", "operator: Among")
    path = fretsaw.write("all.yaml", POOL, wrong, POD % ("train", 1))
    code, out, err = fretsaw.plan(path)
    assert code == 2
    assert f"error: {path}:" in err
    assert "nodepool/wrong spec.template.spec.requirements[0].operator" in err
    assert out.startswith("1 pod placed")


@pytest.mark.parametrize("name", ["absent.yaml", "broken.yaml"])
def test_nothing_usable_prints_no_plan(name: str, fretsaw: Fretsaw, tmp_path: Path) -> None:
    fretsaw.write("broken.yaml", "a: [")
    code, out, err = fretsaw.plan("-f", str(tmp_path / name))
    assert (code, out) == (2, "")
    assert err.startswith(f"error: {tmp_path / name}:")


def test_kinds_that_are_not_read_are_counted_on_one_line(fretsaw: Fretsaw) -> None:
    other = "apiVersion: monitoring.coreos.com/v1\nkind: ServiceMonitor\nmetadata: {name: %s}\nspec: {}\n"
    code, _, err = fretsaw.plan(fretsaw.write("all.yaml", POOL, other % "a", other % "b"))
    assert code == 0
    assert err == "warning: ignored: 2 ServiceMonitor\n"


def test_json_is_the_only_thing_on_standard_output(fretsaw: Fretsaw) -> None:
    code, out, _ = fretsaw.plan("-o", "json", fretsaw.write("all.yaml", POOL, POD % ("train", 1), POD % ("wide", 8)))
    document = json.loads(out)
    assert code == 1
    assert (document["pricePerHour"], document["pods"], document["scheduled"]) == (0.4, 2, 1)
    assert document["nodes"][0]["pods"] == ["default/train"]
    assert document["unschedulable"][0]["pod"] == "default/wide"


def test_explain_prints_one_pod_only(fretsaw: Fretsaw) -> None:
    path = fretsaw.write("all.yaml", POOL, POD % ("train", 1), POD % ("wide", 8))
    code, out, _ = fretsaw.plan(path, "--explain", "wide")
    assert code == 1
    assert out.startswith("default/wide waits: 1 NodePool refused it, the nearest miss first.\n  nodepool/gpu: ")
    assert fretsaw.plan(path, "--explain", "default/train")[1].startswith("default/train goes to gpu-")
    assert fretsaw.plan(path, "--explain", "tarin")[0] == 2


def test_options_reach_the_planner(fretsaw: Fretsaw, monkeypatch: pytest.MonkeyPatch) -> None:
    from fretsaw import planner

    seen: dict[str, Any] = {}
    plan = planner.plan
    monkeypatch.setattr(planner, "plan", lambda *args, **settings: (seen.update(settings), plan(*args, **settings))[1])
    code, *_ = fretsaw.plan(
        *("--packing", "first-fit", "--budget", "500ms", "--max-pods-per-node", "9", "--max-gpus-per-node", "8"),
        *("--node-cost", "0.25", "--preference-policy", "Ignore", "--min-values-policy", "BestEffort"),
        *("--vm-memory-overhead-percent", "0.1", "--region", "us-west-2", fretsaw.write("all.yaml", POOL)),
    )
    del seen["progress"], seen["explain"]
    assert code == 0
    assert seen == {
        "region": "us-west-2",
        "packing": "first-fit",
        "budget_s": 0.5,
        "max_pods_per_node": 9,
        "max_gpus_per_node": 8,
        "node_cost_nano": 250_000_000,
        "respect_preferences": False,
        "best_effort_min_values": True,
        "vm_memory_overhead_percent": 0.1,
    }


def test_defaults_are_those_of_the_engine(fretsaw: Fretsaw, monkeypatch: pytest.MonkeyPatch) -> None:
    from fretsaw import planner
    from fretsaw.engine.settings import Settings

    seen: dict[str, Any] = {}
    plan = planner.plan
    monkeypatch.setattr(planner, "plan", lambda *args, **settings: (seen.update(settings), plan(*args, **settings))[1])
    fretsaw.plan(fretsaw.write("all.yaml", POOL))
    assert {key: value for key, value in seen.items() if key in Settings.__struct_fields__}.items() <= {
        field: getattr(Settings(), field) for field in Settings.__struct_fields__
    }.items()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "nothing to plan: name a file or folder"),
        (["x.yaml", "--budget", "soon"], "not a duration: 'soon' (such as 2s, 500ms or 1m)"),
        (["x.yaml", "--node-cost", "-1"], "not an amount in USD: '-1' (such as 0.001)"),
        (["x.yaml", "--max-pods-per-node", "-1"], "-1 is not in the range x>=0"),
        (["x.yaml", "--explain", "a/p", "-o", "json"], "--explain answers in text"),
        (["x.yaml", "--packing", "best"], "'best' is not one of 'cost', 'first-fit'"),
    ],
)
def test_wrong_options_are_wrong_input(arguments: list[str], message: str, fretsaw: Fretsaw) -> None:
    code, out, err = fretsaw.plan(*arguments)
    assert (code, out) == (2, "")
    assert message in err


@pytest.mark.parametrize("arguments", [["--catalog", "no-such-catalog.json"], ["--region", "mars-north-1"]])
def test_a_catalog_that_is_not_there_is_wrong_input(
    arguments: list[str], fretsaw: Fretsaw, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main.run(["plan", *arguments, fretsaw.write("all.yaml", POOL)]) == 2
    err = capsys.readouterr().err
    assert arguments[1] in err
    assert "bug" not in err


@pytest.mark.parametrize(("text", "seconds"), [("2s", 2.0), ("500ms", 0.5), ("1.5m", 90.0), ("3", 3.0)])
def test_durations(text: str, seconds: float) -> None:
    assert duration(None, None, text) == pytest.approx(seconds)


def test_the_example_is_planned_without_a_pending_pod(capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run(["plan", "-f", str(ROOT / "examples/gpu-platform"), "-o", "json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["pods"], document["scheduled"], document["unschedulable"]) == (12, 12, [])
