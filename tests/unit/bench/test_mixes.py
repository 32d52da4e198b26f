"""The generators give the inputs that the benchmark page says they give."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest
from bench import diverse, gpu
from bench.mixes import MissingDataError, all_mixes, real_catalog
from bench.objects import GPU_NAME, HOSTNAME, NVIDIA_GPU, ZONE, Json

EMPTY: Json = {"region": "test", "instanceTypes": []}
GPU_MIXES = (gpu.shapes, gpu.cpu_heavy, gpu.memory_heavy, gpu.inference, gpu.models)


def pods(document: Json) -> list[Json]:
    return [each for each in document["objects"] if each["kind"] == "Pod"]


def requests(pod: Json) -> dict[str, str]:
    return pod["spec"]["containers"][0]["resources"]["requests"]


def kind(pod: Json) -> str:
    spec = pod["spec"]
    if "topologySpreadConstraints" in spec:
        return spec["topologySpreadConstraints"][0]["topologyKey"]
    return next(iter(spec.get("affinity", {"plain": None})))


def test_type_number_i_has_i_plus_one_vcpus_and_costs_in_proportion() -> None:
    types = diverse.catalog()["instanceTypes"]
    assert len(types) == 400
    assert types[6]["capacity"] == {"cpu": "7", "memory": "14Gi", "pods": "70"}
    unit = types[0]["offerings"][0]["price"]
    assert [each["price"] for each in types[6]["offerings"]] == pytest.approx([7 * unit] * 5)
    assert ("test-zone-3", "spot") not in [(each["zone"], each["capacityType"]) for each in types[6]["offerings"]]


def test_diverse_pods_are_a_fifth_of_each_kind_and_plain_ones_fill_up() -> None:
    counts = Counter(kind(pod) for pod in pods(diverse.diverse(503)))
    assert counts == {"plain": 103, ZONE: 100, HOSTNAME: 100, "podAffinity": 100, "podAntiAffinity": 100}


def test_diverse_pods_draw_every_size_and_label() -> None:
    made = pods(diverse.diverse(2000))
    assert {requests(pod)["cpu"] for pod in made} == {f"{cpu}m" for cpu in diverse.CPU}
    assert {requests(pod)["memory"] for pod in made} == {f"{memory}Mi" for memory in diverse.MEMORY}
    assert {pod["metadata"]["labels"].get("my-label") for pod in made} - {None} == set(diverse.LETTERS)


def test_preference_pods_are_equal_but_for_their_names() -> None:
    made = pods(diverse.preferences(40))
    assert len({json.dumps(pod["spec"], sort_keys=True) for pod in made}) == 1
    assert len({pod["metadata"]["name"] for pod in made}) == 40


@pytest.mark.parametrize("make", GPU_MIXES, ids=lambda make: make.__name__)
def test_gpu_mix_has_the_pods_asked_for_and_each_tolerates_the_pools_taint(make) -> None:
    made = pods(make(EMPTY, 30))
    assert len(made) == 30
    assert all(int(requests(pod)[NVIDIA_GPU]) in (1, 2, 4, 8) for pod in made)
    assert all(pod["spec"]["tolerations"][0]["key"] == NVIDIA_GPU for pod in made)


def test_eight_shapes_all_occur_in_a_mix_of_two_hundred() -> None:
    drawn = {tuple(requests(pod).values()) for pod in pods(gpu.shapes(EMPTY, 200))}
    assert drawn == {(str(cpu), f"{gib}Gi", str(gpus)) for gpus, cpu, gib in gpu.EIGHT_SHAPES}


def test_model_mix_asks_for_gpu_models() -> None:
    text = json.dumps(pods(gpu.models(EMPTY, 50)))
    assert GPU_NAME in text
    assert '"l40s"' in text


def test_part_of_a_gpu_is_rounded_up_to_a_whole_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trace = tmp_path / "data/openb-gpu-2023/openb_pod_list_default.csv"
    trace.parent.mkdir(parents=True)
    trace.write_text("name,cpu_milli,memory_mib,num_gpu,gpu_milli\na,6000,12288,1,460\nb,500,1024,0,0\n")
    monkeypatch.setenv("FRETSAW_SHARED", str(tmp_path))
    part, none = pods(gpu.openb(EMPTY))
    assert requests(part) == {"cpu": "6000m", "memory": "12288Mi", NVIDIA_GPU: "1"}
    assert NVIDIA_GPU not in requests(none)
    assert "tolerations" not in none["spec"]


def test_absent_trace_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    catalog = tmp_path / "catalog.json"
    catalog.write_text(json.dumps(EMPTY))
    monkeypatch.setenv("FRETSAW_SHARED", str(tmp_path / "nowhere"))
    openb = next(mix for mix in all_mixes(catalog) if mix.name == "openb")
    with pytest.raises(MissingDataError, match=r"nowhere.*openb_pod_list_default\.csv"):
        openb.make()


def test_same_mix_gives_the_same_bytes(tmp_path: Path) -> None:
    path = tmp_path / "catalog.json"
    path.write_text(json.dumps(EMPTY))
    small = [mix for mix in all_mixes(path) if mix.pods <= 200]
    again = [mix for mix in all_mixes(path) if mix.pods <= 200]
    assert [json.dumps(mix.make()) for mix in small] == [json.dumps(mix.make()) for mix in again]
    assert all(len(pods(mix.make())) == mix.pods for mix in small)


def test_names_of_mixes_are_unique() -> None:
    names = [mix.name for mix in all_mixes()]
    assert len(names) == len(set(names))


def test_catalog_file_is_read_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "catalog.json"
    path.write_text(json.dumps(EMPTY))
    assert real_catalog(path) == EMPTY
