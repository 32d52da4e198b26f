"""Images: which is taken of those that EC2 describes, and which an instance type gets."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aws.classes.accounts import image
from aws.classes.worlds import NOW, of_region
from fretsaw.api.nodeclass_status import ResolvedAMI
from fretsaw.providers.aws import instance_types
from fretsaw.providers.aws.classes import aliases
from fretsaw.providers.aws.classes.images import amis, image_for, of_labels, of_type, read

PLAIN = ((),)
VARIANTS = {
    "ami-standard": (aliases.STANDARD,),
    "ami-nvidia": (aliases.NVIDIA,),
    "ami-neuron": (aliases.NEURON,),
    "ami-arm": (aliases.STANDARD,),
    "ami-armnvidia": (aliases.NVIDIA,),
}


def resolved(*items: dict[str, Any], variants: Any = PLAIN) -> tuple[ResolvedAMI, ...]:
    return amis(found for item in items for found in read(item, variants, NOW))


def of_alias() -> tuple[ResolvedAMI, ...]:
    """The images of al2023, as `status.amis` has them."""
    items = [image(name, "arm64" if "arm" in name else "x86_64") for name in VARIANTS]
    return amis(found for item in items for found in read(item, VARIANTS[item["ImageId"]], NOW))


PAST, FUTURE = "2026-11-24T12:00:00.000Z", "2026-11-24T12:00:01.000Z"


@pytest.mark.parametrize(
    ("items", "taken"),
    [
        ([image("ami-1", created="2026-01-01"), image("ami-2", created="2026-01-02")], ["ami-2"]),
        ([image("ami-1", created="2026-01-01"), image("ami-2", created="2026-01-02", DeprecationTime=PAST)], ["ami-1"]),
        (
            [image("ami-1", created="2026-01-01"), image("ami-2", created="2026-01-02", DeprecationTime=FUTURE)],
            ["ami-2"],
        ),
        ([image("ami-1", Name="b"), image("ami-2", Name="a")], ["ami-1"]),
        ([image("ami-1"), image("ami-2", "arm64", created="2026-12-01")], ["ami-2", "ami-1"]),
        ([image("ami-1", "i386"), image("ami-2", "x86_64_mac")], []),
        ([image("ami-1", CreationDate="soon"), image("ami-2")], ["ami-2"]),
        ([image("ami-1", DeprecationTime=PAST)], ["ami-1"]),
    ],
)
def test_the_newest_image_of_each_architecture_is_taken(items: list[dict[str, Any]], taken: list[str]) -> None:
    assert [one.id for one in resolved(*items)] == taken


def test_an_image_says_what_it_is_for_and_whether_it_is_deprecated() -> None:
    (old,) = resolved(image("ami-1", "arm64", Name="n", DeprecationTime=PAST), variants=(aliases.STANDARD,))
    assert (old.id, old.name, old.deprecated) == ("ami-1", "n", True)
    assert [(one.key, one.operator, one.values) for one in old.requirements] == [
        ("kubernetes.io/arch", "In", ("arm64",)),
        ("karpenter.k8s.aws/instance-gpu-count", "DoesNotExist", ()),
        ("karpenter.k8s.aws/instance-accelerator-count", "DoesNotExist", ()),
    ]
    (new,) = resolved(image("ami-1"))
    assert new.deprecated is None


def test_one_image_may_be_for_two_kinds_of_of_region() -> None:
    found = resolved(image("ami-gpu"), variants=(aliases.NEURON, aliases.NVIDIA))
    assert [(one.id, one.requirements[1].key) for one in found] == [
        ("ami-gpu", aliases.ACCELERATORS),
        ("ami-gpu", aliases.GPUS),
    ]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("m5.large", "ami-standard"),
        ("m6g.large", "ami-arm"),
        ("g5.xlarge", "ami-nvidia"),
        ("p5.48xlarge", "ami-nvidia"),
        ("g5g.xlarge", "ami-armnvidia"),
        ("g4ad.xlarge", "ami-nvidia"),  # AMD, but it has GPUs
        ("trn1.32xlarge", "ami-neuron"),
        ("inf2.xlarge", "ami-neuron"),
    ],
)
def test_a_type_gets_the_image_of_its_architecture_and_devices(name: str, expected: str) -> None:
    found = image_for(of_alias(), of_type(of_region()[name]))
    assert found is not None
    assert found.id == expected
    labels = {key: values[0] for key, values in of_region()[name].labels.items() if len(values) == 1}
    machine = of_labels(labels)
    assert machine is not None
    assert image_for(of_alias(), machine) == found


def test_every_type_of_the_snapshot_gets_an_image_of_its_architecture() -> None:
    without = []
    for type_ in of_region().values():
        found = image_for(of_alias(), of_type(type_))
        if found is None:
            without.append(type_.name)
            continue
        (arch,) = type_.labels["kubernetes.io/arch"]
        assert ("arm" in found.id) == (arch == "arm64"), type_.name
    assert without == []


def test_an_image_by_id_is_for_every_type_of_its_architecture() -> None:
    found = resolved(image("ami-mine"))
    assert image_for(found, of_type(of_region()["p5.48xlarge"])) == found[0]
    assert image_for(found, of_type(of_region()["m6g.large"])) is None
    assert image_for((), of_type(of_region()["m5.large"])) is None


def test_windows_images_are_for_windows_types_alone() -> None:
    (parameter,) = aliases.parameters(aliases.alias("windows2022@latest"), "1.34")
    found = resolved(image("ami-windows"), variants=parameter.variants)
    windows = instance_types.catalog("us-east-1", {"amiSelectorTerms": [{"alias": "windows2022@latest"}]})
    machines = {one.name: of_type(one) for one in windows.instance_types}
    assert image_for(found, machines["m5.large"]) == found[0]
    assert image_for(found, machines["m6g.large"]) is None
    assert image_for(found, of_type(of_region()["m5.large"])) is None


IMAGES = st.lists(
    st.builds(
        lambda n, arch, day, old: image(
            f"ami-{n}", arch, f"2026-01-0{day}", **({"DeprecationTime": PAST} if old else {})
        ),
        st.integers(0, 9),
        st.sampled_from(["x86_64", "arm64", "i386"]),
        st.integers(1, 3),
        st.booleans(),
    ),
    max_size=8,
    unique_by=lambda item: item["ImageId"],
)


@given(IMAGES, st.randoms(use_true_random=False))
def test_the_order_of_answers_does_not_matter(items: list[dict[str, Any]], random: Any) -> None:
    mixed = list(items)
    random.shuffle(mixed)
    assert resolved(*mixed) == resolved(*items)
    # Nor does an image that is told twice.
    assert resolved(*mixed, *items) == resolved(*items)
