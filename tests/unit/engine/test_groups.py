"""Topology groups: the domains that are left for the next pod, as tables of counts."""

from __future__ import annotations

from typing import Any

import pytest

from fretsaw.api.affinity import Toleration
from fretsaw.api.labels import HOSTNAME
from fretsaw.api.meta import LabelSelector
from fretsaw.api.node import Taint
from fretsaw.engine.groups import AFFINITY, ANTI_AFFINITY, NODES, OPEN, SPREAD, Group, GroupKey, NodeFilter
from fretsaw.engine.requirement import Requirement
from fretsaw.engine.requirements import Requirements
from support.kube import ZONE


def group(
    kind: str, counts: dict[str, int] | None = None, *, key: str = ZONE, skew: int = 1, least: int | None = None
) -> Group:
    spec = GroupKey(
        kind=kind,
        key=key,
        namespaces=frozenset(("default",)),
        labels=(("app", "web"),),
        expressions=(),
        selects_nothing=False,
        max_skew=skew,
        min_domains=least,
        node_filter=NodeFilter(),
        domains=frozenset(counts or ()),
    )
    made = Group(spec, LabelSelector({"app": "web"}))
    for domain, count in (counts or {}).items():
        for _ in range(count):
            made.record(domain)
    return made


def zones(operator: str = "Exists", *values: str) -> Requirement:
    return Requirement.of(ZONE, operator, values)


def options(
    made: Group, *, matches: bool = True, pod: Requirement | None = None, node: Requirement | None = None
) -> list[str]:
    """Each choice as its domains, joined by `+`."""
    found = made.options(matches=matches, pod=pod, node=node or zones())
    return ["+".join(sorted(choice.values)) for choice in found]


@pytest.mark.parametrize(
    ("counts", "given", "expected"),
    [
        pytest.param({"a": 0, "b": 0}, {}, ["a", "b"], id="ties by name"),
        pytest.param({"a": 1, "b": 0}, {}, ["b"], id="the emptiest"),
        pytest.param({"a": 1, "b": 0}, {"node": zones("In", "a")}, [], id="the node is in a zone that is too full"),
        pytest.param(
            {"a": 1, "b": 0},
            {"node": zones("In", "a"), "matches": False},
            ["a"],
            id="a pod that does not count may go there",
        ),
        pytest.param(
            {"a": 2, "b": 0}, {"node": zones("In", "a"), "matches": False}, [], id="unless it is over already"
        ),
        pytest.param({"a": 1, "b": 0}, {"node": zones("In", "a"), "skew": 2}, ["a"], id="a larger skew"),
        pytest.param(
            {"a": 1, "b": 1, "c": 0},
            {"pod": zones("NotIn", "c"), "node": zones("NotIn", "c")},
            ["a", "b"],
            id="zones that the pod rules out do not set the minimum",
        ),
        pytest.param(
            {"a": 1, "b": 1, "c": 0}, {"node": zones("NotIn", "c")}, [], id="zones that only the node rules out do"
        ),
        pytest.param({"a": 2, "b": 2}, {"least": 3}, [], id="too few zones: the minimum is nothing"),
        pytest.param({"a": 0, "b": 2}, {"least": 3}, ["a"], id="and the first pod of a zone is always welcome"),
        pytest.param({"a": 2, "b": 2}, {"least": 2}, ["a", "b"], id="enough zones: the minimum is the emptiest"),
        pytest.param(
            {"a": 1, "b": 1, "c": 1},
            {"least": 3, "pod": zones("In", "a", "b")},
            [],
            id="only zones that the pod can use are enough",
        ),
        pytest.param({}, {}, [], id="no zone at all"),
    ],
)
def test_spread(counts: dict[str, int], given: dict[str, Any], expected: list[str]) -> None:
    made = group(SPREAD, counts, skew=given.pop("skew", 1), least=given.pop("least", None))
    assert options(made, **given) == expected


@pytest.mark.parametrize(
    ("counts", "given", "expected"),
    [
        pytest.param({"a": 1, "b": 2, "c": 0}, {}, ["a+b"], id="every zone with such pods"),
        pytest.param({"a": 1, "b": 2}, {"pod": zones("In", "b")}, ["b"], id="that the pod allows"),
        pytest.param({"a": 1, "b": 2}, {"node": zones("In", "b")}, ["b"], id="and the node"),
        pytest.param({"a": 1, "b": 0}, {"node": zones("In", "b")}, [], id="a node in another zone will not do"),
        pytest.param({"a": 0, "b": 0}, {"matches": False}, [], id="nobody is there to join"),
        pytest.param({"a": 0, "b": 0}, {}, ["a", "b"], id="the first of its kind starts anywhere"),
        pytest.param({"a": 0, "b": 0}, {"node": zones("In", "b")}, ["b"], id="where the node is"),
        pytest.param(
            {"a": 1, "b": 0}, {"pod": zones("In", "b")}, ["b"], id="others out of its reach do not hold it back"
        ),
        pytest.param(
            {"a": 1, "b": 0, "c": 1},
            {"pod": zones("In", "b", "c"), "node": zones("In", "b")},
            [],
            id="others within its reach do",
        ),
    ],
)
def test_affinity(counts: dict[str, int], given: dict[str, Any], expected: list[str]) -> None:
    assert options(group(AFFINITY, counts), **given) == expected


@pytest.mark.parametrize(
    ("counts", "given", "expected"),
    [
        pytest.param({"a": 1, "b": 0, "c": 0}, {}, ["b+c"], id="every empty zone"),
        pytest.param({"a": 1, "b": 0, "c": 0}, {"pod": zones("NotIn", "b")}, ["c"], id="that the pod allows"),
        pytest.param({"a": 1, "b": 0, "c": 0}, {"node": zones("In", "a", "b")}, ["b"], id="and the node"),
        pytest.param({"a": 1, "b": 0}, {"node": zones("In", "a")}, [], id="none"),
        pytest.param({"a": 1, "b": 0}, {"matches": False}, ["b"], id="whether or not the pod counts itself"),
    ],
)
def test_anti_affinity(counts: dict[str, int], given: dict[str, Any], expected: list[str]) -> None:
    assert options(group(ANTI_AFFINITY, counts), **given) == expected


def test_every_count_changes_the_next_answer() -> None:
    made = group(SPREAD, {"a": 0, "b": 0})
    seen = []
    for _ in range(4):
        seen.append(options(made)[0])
        made.record(seen[-1])
    assert seen == ["a", "b", "a", "b"]
    made.register("c")
    assert options(made) == ["c"], "a zone that turns up later is the emptiest"
    made.register("a")
    assert made.counts == {"a": 2, "b": 2, "c": 0}, "a known zone keeps its count"


PLACES = 0b111


@pytest.mark.parametrize(
    ("kind", "skew", "pods", "matching", "others"),
    [
        pytest.param(SPREAD, 1, {}, 0b111, 0b111, id="spread, all empty"),
        pytest.param(SPREAD, 1, {0: 1}, 0b110, 0b111, id="spread, one full"),
        pytest.param(SPREAD, 2, {0: 1, 1: 2, 2: 3}, 0b001, 0b011, id="spread, three heights"),
        pytest.param(AFFINITY, 1, {}, 0b111, 0b000, id="affinity, the first of its kind"),
        pytest.param(AFFINITY, 1, {1: 1}, 0b010, 0b010, id="affinity, where they are"),
        pytest.param(ANTI_AFFINITY, 1, {1: 1}, 0b101, 0b101, id="anti-affinity, where none is"),
    ],
)
def test_every_node_is_a_domain_of_the_host_name(
    kind: str, skew: int, pods: dict[int, int], matching: int, others: int
) -> None:
    made = group(kind, key=HOSTNAME, skew=skew)
    for place, count in pods.items():
        for _ in range(count):
            made.record_host(f"host-{place}", OPEN, 1 << place)
    assert made.hosts(OPEN, PLACES, matches=True) == matching
    assert made.hosts(OPEN, PLACES, matches=False) == others
    if kind != AFFINITY:
        assert made.hosts(NODES, PLACES, matches=True) == PLACES, "nodes that exist are counted apart"


def test_pods_on_a_node_that_takes_none_of_this_plan_are_company_all_the_same() -> None:
    made = group(AFFINITY, key=HOSTNAME)
    made.record_host("leaving", NODES, 0)
    assert made.hosts(NODES, PLACES, matches=True) == 0


def test_counts_can_be_put_back() -> None:
    made = group(SPREAD, {"a": 1, "b": 0})
    host = group(SPREAD, key=HOSTNAME)
    saved, saved_host = made.saved(), host.saved()
    made.record("b"), made.record("c"), host.record_host("h", OPEN, 1)
    assert options(made) == ["a", "b", "c"]
    made.restore(saved), host.restore(saved_host)
    assert made.counts == {"a": 1, "b": 0}
    assert options(made) == ["b"]
    assert host.hosts(OPEN, 1, matches=True) == 1


def test_a_group_counts_pods_of_its_namespaces_with_its_labels() -> None:
    made = group(SPREAD)
    assert made.selects("default", {"app": "web", "x": "y"})
    assert not made.selects("other", {"app": "web"})
    assert not made.selects("default", {"app": "db"})
    assert not Group(made.spec, None).selects("default", {"app": "web"}), "no selector selects nothing"


def test_a_node_counts_for_a_spread_if_the_pod_could_use_it() -> None:
    red, blue = (Requirements.of_labels({"team": team}) for team in ("red", "blue"))
    taint = Taint("gpu", "NoSchedule")
    by_label = NodeFilter((red,))
    assert by_label.matches((taint,), red)
    assert not by_label.matches((), blue)
    assert not by_label.matches((), Requirements())
    assert NodeFilter((red, blue)).matches((), blue), "any term will do"
    by_taint = NodeFilter(tolerations=())
    assert by_taint.matches((), red)
    assert not by_taint.matches((taint,), red)
    assert NodeFilter(tolerations=(Toleration("gpu", "Exists"),)).matches((taint,), red)
    assert NodeFilter().trivial
    assert not by_label.trivial
    assert not by_taint.trivial
    assert NodeFilter((red, Requirements())).trivial


def test_the_reason_names_the_counts() -> None:
    made = group(SPREAD, {"a": 2, "b": 0})
    text = made.explain(zones("In", "a"), zones("In", "a"))
    assert text == (
        f"topology spread over {ZONE} leaves no domain (pods per domain a: 2, b: 0, "
        f"the pod allows {ZONE} In [a], the node allows {ZONE} In [a])"
    )
