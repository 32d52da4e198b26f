"""Topology groups of a pass: which constraints share one, which pods count, which domains there are."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from fretsaw.api.affinity import Toleration
from fretsaw.api.node import Taint
from fretsaw.api.pod import PodSpec
from fretsaw.api.policy import Namespace
from fretsaw.engine.requirements import Requirements
from fretsaw.engine.topology import Domains, Host, Owned, Running, Topology
from fretsaw.engine.wishes import Wishes
from support import builders as b
from support.kube import HOSTNAME, ZONE

GPU = Taint("gpu", "NoSchedule")
WEB = {"app": "web"}


def domains() -> Domains:
    """z-a of a pool for all, z-g of a pool with a taint."""
    known = Domains()
    known.insert(ZONE, "z-a", ())
    known.insert(ZONE, "z-g", (GPU,))
    known.insert(ZONE, "z-a", ())
    return known


def topology(**namespaces: dict[str, str]) -> Topology:
    return Topology(
        domains(),
        [msgspec.convert({"metadata": {"name": n, "labels": labels}}, Namespace) for n, labels in namespaces.items()],
    )


def wishes(*spreads: dict[str, Any], affinity: dict[str, Any] | None = None, tolerant: bool = False) -> Wishes:
    spec: dict[str, Any] = {"containers": [], "topologySpreadConstraints": list(spreads), "affinity": affinity}
    spec["tolerations"] = [{"operator": "Exists"}] if tolerant else []
    return Wishes.of(msgspec.convert(spec, PodSpec))


def owned(known: Topology, one: Wishes, labels: dict[str, str] | None = None, namespace: str = "default") -> Owned:
    return known.own(one, namespace, WEB if labels is None else labels)


def counts(known: Topology, one: Wishes, **more: Any) -> dict[str, int]:
    """The counts of the first constraint's group."""
    return next(iter(owned(known, one, **more).by_constraint.values())).counts


def host(
    name: str, zone: str, *, taints: tuple[Taint, ...] = (), bit: int = 0, target: bool = True, **labels: str
) -> Host:
    own = {ZONE: zone, HOSTNAME: name, **labels}
    return Host(name, name, own, Requirements.of_labels(own), taints, bit, target)


def runs(
    node: str,
    labels: dict[str, str] = WEB,
    *,
    one: Wishes | None = None,
    namespace: str = "default",
    terminating: bool = False,
) -> Running:
    return Running(namespace, labels, one or wishes(), node, terminating)


def test_domains_are_those_of_pools_whose_taints_are_tolerated() -> None:
    tolerant = (Toleration(operator="Exists"),)
    assert domains().of(ZONE, None) == domains().of(ZONE, tolerant) == {"z-a", "z-g"}
    assert domains().of(ZONE, ()) == {"z-a"}
    assert domains().of("rack", None) == frozenset()


@pytest.mark.parametrize(
    ("one", "expected"),
    [
        pytest.param(wishes(b.spread(ZONE, "web")), {"z-a", "z-g"}, id="a spread sees every pool"),
        pytest.param(wishes(b.spread(ZONE, "web", nodeTaintsPolicy="Honor")), {"z-a"}, id="unless it honours taints"),
        pytest.param(
            wishes(affinity=b.pod_affinity(b.term(ZONE, app="web"))),
            {"z-a"},
            id="an affinity only pools that it tolerates",
        ),
        pytest.param(
            wishes(affinity=b.pod_affinity(b.term(ZONE, app="web")), tolerant=True),
            {"z-a", "z-g"},
            id="with a toleration all",
        ),
        pytest.param(wishes(b.spread(HOSTNAME, "web")), set(), id="hosts are met one by one"),
    ],
)
def test_a_group_starts_with_the_domains_that_pools_can_make(one: Wishes, expected: set[str]) -> None:
    assert counts(topology(), one) == dict.fromkeys(sorted(expected), 0)


def _groups(*given: tuple[Wishes, dict[str, str], str]) -> int:
    """How many groups the first constraints make together."""
    known = topology()
    return len({g for one, labels, space in given for g in owned(known, one, labels, space).by_constraint.values()})


_SPREAD = b.spread(ZONE, "web")


@pytest.mark.parametrize(
    ("a", "other", "number"),
    [
        pytest.param(wishes(_SPREAD), (wishes(dict(_SPREAD)), WEB, "default"), 1, id="equal constraints of two pods"),
        pytest.param(wishes(_SPREAD), (wishes(b.spread("failure-domain.beta.kubernetes.io/zone", "web")), WEB, "default"), 1, id="an old name of the key"),
        pytest.param(wishes(_SPREAD), (wishes(b.spread(ZONE, "web", when="ScheduleAnyway")), WEB, "default"), 1, id="a wish and a demand"),
        pytest.param(wishes(_SPREAD), (wishes(_SPREAD), WEB, "other"), 2, id="two namespaces"),
        pytest.param(wishes(_SPREAD), (wishes(b.spread(ZONE, "web", 2)), WEB, "default"), 2, id="another skew"),
        pytest.param(wishes(_SPREAD), (wishes(b.spread(ZONE, "web", minDomains=2)), WEB, "default"), 2, id="another minDomains"),
        pytest.param(wishes(_SPREAD), (wishes(b.spread(ZONE, "db")), WEB, "default"), 2, id="another selector"),
        pytest.param(wishes(_SPREAD), (wishes(_SPREAD, affinity=b.node_affinity([b.need("team", "In", "red")])), WEB, "default"), 2, id="nodes of another team"),
        pytest.param(wishes(_SPREAD), (wishes(_SPREAD, tolerant=True), WEB, "default"), 1, id="tolerations that do not matter"),
        pytest.param(wishes(b.spread(ZONE, "web", matchLabelKeys=["rev"])), (wishes(b.spread(ZONE, "web", matchLabelKeys=["rev"])), {**WEB, "rev": "2"}, "default"), 2, id="another revision"),
    ],
)  # fmt: skip
def test_which_constraints_share_a_group(a: Wishes, other: tuple[Wishes, dict[str, str], str], number: int) -> None:
    assert _groups((a, WEB, "default"), other) == number


def test_running_pods_count_where_they_are() -> None:
    known, one = topology(), wishes(_SPREAD)
    owned(known, one)
    pods = [
        runs("n1"),
        runs("n1", {"app": "db"}),
        runs("n1", namespace="other"),
        runs("n1", terminating=True),
        runs("n2"),
        runs("gone"),
        runs("leaving"),
    ]
    known.count_running(
        pods, [host("n1", "z-a"), host("n2", "z-b"), host("leaving", "z-c", target=False), host("n3", "z-d")]
    )
    assert counts(known, one) == {"z-a": 1, "z-b": 1, "z-c": 1, "z-d": 0, "z-g": 0}


def test_a_node_that_leaves_offers_no_domain() -> None:
    known, one = topology(), wishes(_SPREAD)
    owned(known, one)
    known.count_running([], [host("leaving", "z-c", target=False)])
    assert counts(known, one) == {"z-a": 0, "z-g": 0}


def test_a_spread_counts_nodes_that_the_pod_could_use() -> None:
    known = topology()
    red = wishes(_SPREAD, affinity=b.node_affinity([b.need("team", "In", "red")], [b.need("team", "In", "pink")]))
    any_team = wishes(
        {**_SPREAD, "nodeAffinityPolicy": "Ignore"}, affinity=b.node_affinity([b.need("team", "In", "red")])
    )
    no_taint = wishes({**_SPREAD, "nodeTaintsPolicy": "Honor"})
    for one in (red, any_team, no_taint):
        owned(known, one)
    hosts = [
        host("n1", "z-1", team="red"),
        host("n2", "z-2", team="pink"),
        host("n3", "z-3"),
        host("n4", "z-4", taints=(GPU,)),
    ]
    known.count_running([runs(h.name) for h in hosts], hosts)
    assert {z for z, n in counts(known, red).items() if n} == {"z-1", "z-2"}
    assert {z for z, n in counts(known, any_team).items() if n} == {"z-1", "z-2", "z-3", "z-4"}
    assert {z for z, n in counts(known, no_taint).items() if n} == {"z-1", "z-2", "z-3"}


def test_pods_that_shun_others_count_by_their_own_terms_even_while_they_terminate() -> None:
    known = topology()
    far = wishes(affinity=b.pod_affinity(b.term(ZONE, app="web"), anti=True))
    known.count_running([runs("n1", {"app": "shy"}, one=far, terminating=True)], [host("n1", "z-a")])
    (inverse,) = known.shunning("default", WEB)
    assert inverse.counts["z-a"] == 1
    assert known.shunning("default", {"app": "db"}) == known.shunning("other", WEB) == ()


def test_preferred_anti_affinity_shuns_nobody() -> None:
    known = topology()
    term = {"weight": 1, "podAffinityTerm": b.term(ZONE, app="web")}
    one = wishes(affinity={"podAntiAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [term]}})
    assert owned(known, one).inverse == ()
    assert known.shunning("default", WEB) == ()


@pytest.mark.parametrize(
    ("more", "counted"),
    [
        pytest.param({}, {"default"}, id="its own namespace"),
        pytest.param({"namespaces": ["a", "b"]}, {"a", "b"}, id="those that are listed"),
        pytest.param({"namespaceSelector": {"matchLabels": {"env": "prod"}}}, {"b"}, id="those that are selected"),
        pytest.param(
            {"namespaceSelector": {"matchLabels": {"env": "prod"}}, "namespaces": ["a"]}, {"a", "b"}, id="both"
        ),
        pytest.param({"namespaceSelector": {}}, {"a", "b", "default"}, id="all"),
    ],
)
def test_the_namespaces_that_a_term_looks_at(more: dict[str, Any], counted: set[str]) -> None:
    known = topology(default={}, a={}, b={"env": "prod"})
    owned(known, wishes(affinity=b.pod_affinity({**b.term(ZONE, app="web"), **more})))
    assert {space for space in ("default", "a", "b") if known.selecting(space, WEB)} == counted


def test_without_a_selector_running_pods_of_the_namespace_count_and_new_ones_do_not() -> None:
    known = topology()
    nil = wishes(affinity=b.pod_affinity({"topologyKey": ZONE}, anti=True))
    owned(known, nil)
    known.count_running([runs("n1", {"app": "any"})], [host("n1", "z-a")])
    assert counts(known, nil) == {"z-a": 1}
    assert known.selecting("default", WEB) == ()


def test_a_relaxed_pod_keeps_the_groups_of_what_is_left() -> None:
    known = topology()
    full = wishes(b.spread(ZONE, "web", when="ScheduleAnyway"), b.spread(HOSTNAME, "web"))
    mine = owned(known, full)
    less = full.relaxed(tolerate_preferences=False)
    assert less is not None
    assert [g.key for g in mine.still(full)] == [ZONE, HOSTNAME]
    assert [g.key for g in mine.still(less)] == [HOSTNAME]


def test_a_reset_forgets_the_pass_and_keeps_what_ran_before() -> None:
    known, one = topology(), wishes(_SPREAD)
    owned(known, one)
    known.count_running([runs("n1")], [host("n1", "z-a")])
    (group,) = known.selecting("default", WEB)
    group.record("z-g")
    known.reset()
    assert counts(known, one) == {"z-a": 1, "z-g": 0}
    assert known.keys() == (ZONE,)
