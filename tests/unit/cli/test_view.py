"""How a plan is arranged before it is drawn."""

from __future__ import annotations

import msgspec
import pytest

from fretsaw.cli.view import NodeGroup, all_on_demand, counted, named, natural, node_groups, pending, price_sources
from golden.plans import LIMIT, MIXED, PLATFORM, launch, unplaced


def test_equal_nodes_of_a_pool_are_one_group_and_the_dearest_stand_first() -> None:
    rows = [(g.pool, g.count, g.instance_type) for groups in node_groups(PLATFORM).values() for g in groups]
    assert rows == [
        ("gpu-training", 1, "g5.12xlarge"),
        ("gpu-tier1-g5-spot", 1, "g5.12xlarge"),
        ("gpu-tier1-g5-spot", 1, "g5.2xlarge"),
        ("gpu-inference", 5, "g4dn.2xlarge"),
        ("gpu-general", 1, "g4ad.xlarge"),
    ]


@pytest.mark.parametrize(
    "change", [{"zone": "us-east-1b"}, {"capacity": "on-demand"}, {"price": 0.5}, {"on": "g6.xlarge"}]
)
def test_nodes_that_differ_in_what_is_bought_are_apart(change: dict[str, object]) -> None:
    plan = msgspec.structs.replace(PLATFORM, launches=(launch("gpu-1", "a/p-0"), launch("gpu-2", "a/p-1", **change)))  # type: ignore[arg-type]
    assert [group.count for group in node_groups(plan)["gpu"]] == [1, 1]


def test_a_group_adds_up_gpus_money_and_fill() -> None:
    nodes = tuple(launch(f"gpu-{n}", f"a/p-{n}", gpus=4, asked=3) for n in range(2))
    group = NodeGroup("gpu", "g5.xlarge", "us-east-1a", "spot", 0.4, nodes)
    assert (group.gpus, group.usd_per_hour, group.fill("cpu"), group.fill("aws.amazon.com/neuron")) == (
        (6, 8),
        0.8,
        4000 / 7910,
        None,
    )


def test_pods_with_equal_refusals_wait_in_one_entry() -> None:
    assert [entry.pods for entry in pending(MIXED)] == [
        ("default/lost",),
        ("default/no-pool",),
        ("ml/wide-0", "ml/wide-9", "ml/wide-10"),
    ]


def test_on_demand_is_compared_only_where_it_is_known_and_something_is_spot() -> None:
    spot, unknown, dear = (
        launch("a-1", "a/p"),
        launch("a-2", "a/q", on_demand=None),
        launch("a-3", "a/r", capacity="on-demand"),
    )
    assert all_on_demand(msgspec.structs.replace(PLATFORM, launches=(spot, dear))) == 2.0
    assert all_on_demand(msgspec.structs.replace(PLATFORM, launches=(spot, unknown))) is None
    assert all_on_demand(msgspec.structs.replace(PLATFORM, launches=(dear,))) is None


def test_prices_that_are_not_published_are_told_and_named_where_they_are_a_part() -> None:
    assert price_sources(PLATFORM) == ["spot prices are modelled"]
    some = (
        launch("a-1", "a/p", on="p5.48xlarge", capacity="on-demand", source="estimated"),
        launch("a-2", "a/q", capacity="on-demand"),
    )
    assert price_sources(msgspec.structs.replace(PLATFORM, launches=some)) == [
        "on-demand price of p5.48xlarge is estimated"
    ]
    more = launch("a-3", "a/r", on="p4d.24xlarge", capacity="on-demand", source="estimated")
    assert price_sources(msgspec.structs.replace(PLATFORM, launches=(*some, more))) == [
        "on-demand prices of p4d.24xlarge, p5.48xlarge are estimated"
    ]


@pytest.mark.parametrize(
    ("pods", "words"),
    [
        (("a/web",), "a/web"),
        (("a/web-0", "a/web-1"), "a/web-0, web-1 (2 pods)"),
        (("a/web-0", "a/web-1", "a/web-2"), "a/web-0 … web-2 (3 pods)"),
        (("a/x", "b/x", "b/y", "c/z-0", "c/z-1"), "a/x, b/x, b/y and 2 more pods"),
        (("a/x", "b/x", "b/y", "c/z"), "a/x, b/x, b/y and 1 more pod"),
    ],
)
def test_names_few_words(pods: tuple[str, ...], words: str) -> None:
    assert named(pods) == words


def test_numbers_sort_as_numbers() -> None:
    assert sorted(["w-10", "w-2", "w", "2", "w-2-b"], key=natural) == ["2", "w", "w-2", "w-2-b", "w-10"]


@pytest.mark.parametrize(("number", "words"), [(0, "0 pods"), (1, "1 pod"), (1200, "1,200 pods")])
def test_counts_agree_with_their_noun(number: int, words: str) -> None:
    assert counted(number, "pod") == words


def test_refusals_that_differ_in_the_field_are_apart() -> None:
    other = (LIMIT[0], LIMIT[1], "another field")
    plan = msgspec.structs.replace(MIXED, unplaced=(unplaced("a/p", LIMIT), unplaced("a/q", other)))
    assert [entry.pods for entry in pending(plan)] == [("a/p",), ("a/q",)]
