"""A pod's wishes: what it asks for at first, and the order in which it gives up."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from fretsaw.api.pod import PodSpec
from fretsaw.engine.taints import TOLERATE_PREFERENCES
from fretsaw.engine.wishes import Wishes
from support import builders as b
from support.kube import HOSTNAME, ZONE

_REQUIRED, _PREFERRED = (
    "requiredDuringSchedulingIgnoredDuringExecution",
    "preferredDuringSchedulingIgnoredDuringExecution",
)


def _pods(*wished: tuple[int, str], required: tuple[str, ...] = ()) -> dict[str, Any]:
    terms = [{"weight": w, "podAffinityTerm": b.term(ZONE, app=app)} for w, app in wished]
    return {_REQUIRED: [b.term(ZONE, app=app) for app in required], _PREFERRED: terms}


def _nodes(required: tuple[str, ...] = (), wished: tuple[tuple[int, str], ...] = ()) -> dict[str, Any]:
    found: dict[str, Any] = {
        _PREFERRED: [{"weight": w, "preference": {"matchExpressions": [b.need("team", "In", v)]}} for w, v in wished]
    }
    if required:
        found[_REQUIRED] = {"nodeSelectorTerms": [{"matchExpressions": [b.need("team", "In", v)]} for v in required]}
    return found


def wishes(*, respect: bool = True, **spec: Any) -> Wishes:
    return Wishes.of(msgspec.convert({"containers": [], **spec}, PodSpec), respect_preferences=respect)


EVERYTHING: dict[str, Any] = {
    "nodeSelector": {"disk": "fast"},
    "affinity": {
        "nodeAffinity": _nodes(("red", "blue"), ((1, "light"), (9, "heavy"))),
        "podAffinity": _pods((1, "near-light"), (9, "near-heavy"), required=("near",)),
        "podAntiAffinity": _pods((5, "far-light"), (6, "far-heavy"), required=("far",)),
    },
    "topologySpreadConstraints": [
        b.spread(ZONE, "hard"),
        b.spread(ZONE, "soft-1", when="ScheduleAnyway"),
        b.spread(HOSTNAME, "soft-2", when="ScheduleAnyway"),
        b.spread(HOSTNAME, "hard-2"),
    ],
}


def _left(known: Wishes) -> tuple[Any, ...]:
    """What is left of the wishes, by the apps and teams that they name."""

    def apps(terms: Any) -> list[str]:
        return [t.label_selector.match_labels["app"] for t in terms]

    def teams(terms: Any) -> list[str]:
        return [t.match_expressions[0].values[0] for t in terms]

    return (
        teams(known.required_terms),
        apps(known.preferred_affinity),
        apps(known.preferred_anti_affinity),
        teams(known.preferred_nodes),
        apps(known.spreads),
        known.tolerations == (TOLERATE_PREFERENCES,),
    )


def test_wishes_are_given_up_in_the_documented_order() -> None:
    steps = []
    known: Wishes | None = wishes(**EVERYTHING)
    while known is not None:
        steps.append(_left(known))
        assert len(known.affinity) == len(known.anti_affinity) == 1, "what is required of other pods stays"
        known = known.relaxed(tolerate_preferences=True)
    near, far, nodes = ["near-heavy", "near-light"], ["far-heavy", "far-light"], ["heavy", "light"]
    spreads = ["hard", "soft-1", "soft-2", "hard-2"]
    assert steps == [
        (["red", "blue"], near, far, nodes, spreads, False),
        (["blue"], near, far, nodes, spreads, False),
        (["blue"], near[1:], far, nodes, spreads, False),
        (["blue"], [], far, nodes, spreads, False),
        (["blue"], [], far[1:], nodes, spreads, False),
        (["blue"], [], [], nodes, spreads, False),
        (["blue"], [], [], nodes[1:], spreads, False),
        (["blue"], [], [], [], spreads, False),
        (["blue"], [], [], [], ["hard", "hard-2", "soft-2"], False),
        (["blue"], [], [], [], ["hard", "hard-2"], False),
        (["blue"], [], [], [], ["hard", "hard-2"], True),
    ]


def test_preferences_about_taints_stay_while_no_pool_has_any() -> None:
    assert wishes().relaxed(tolerate_preferences=False) is None


def test_a_pod_that_tolerates_preferences_already_has_nothing_to_give_up() -> None:
    tolerant = wishes(tolerations=[{"operator": "Exists", "effect": "PreferNoSchedule"}])
    assert tolerant.relaxed(tolerate_preferences=True) is None
    other = wishes(tolerations=[{"key": "a", "operator": "Exists", "effect": "PreferNoSchedule"}])
    assert other.relaxed(tolerate_preferences=True) is not None


def test_the_last_required_term_is_never_given_up() -> None:
    only = wishes(affinity={"nodeAffinity": _nodes(("red",))})
    assert only.relaxed(tolerate_preferences=False) is None
    assert not only.any_preference


def test_without_respect_for_preferences_there_are_none() -> None:
    known = wishes(respect=False, **EVERYTHING)
    assert _left(known) == (["red", "blue"], [], [], [], ["hard", "hard-2"], False)


def test_of_equal_weight_the_first_written_comes_first() -> None:
    known = wishes(affinity={"nodeAffinity": _nodes(wished=((3, "a"), (5, "b"), (5, "c")))})
    assert _left(known)[3] == ["b", "c", "a"]


def test_the_first_required_term_and_the_heaviest_wish_count() -> None:
    known = wishes(**EVERYTHING)
    assert str(known.strict()) == "disk In [fast], team In [red]"
    assert str(known.requirements()) == "disk In [fast], team DoesNotExist"
    assert [str(a) for a in known.alternatives()] == ["disk In [fast], team In [red]", "disk In [fast], team In [blue]"]


def test_a_pod_without_terms_has_its_selector_as_the_only_alternative() -> None:
    known = wishes(nodeSelector={"beta.kubernetes.io/arch": "arm64"})
    assert [str(a) for a in known.alternatives()] == ["kubernetes.io/arch In [arm64]"]
    assert known.strict() == known.requirements()


@pytest.mark.parametrize(
    ("needs", "label"),
    [
        pytest.param([b.need("team", "In", "a"), b.need("team", "In", "b")], "team", id="two values at once"),
        pytest.param([b.need("team", "In", "a"), b.need("team", "DoesNotExist")], "team", id="there and not there"),
        pytest.param([b.need("team", "Exists"), b.need("team", "DoesNotExist")], "team", id="any value and none"),
        pytest.param([b.need("n", "Gt", "5"), b.need("n", "Lt", "3")], "n", id="more than five, less than three"),
        pytest.param([b.need("team", "NotIn", "a"), b.need("team", "DoesNotExist")], None, id="both hold without it"),
        pytest.param([b.need("team", "In", "a", "b"), b.need("team", "NotIn", "b")], None, id="one value is left"),
        pytest.param([b.need("team", "DoesNotExist")], None, id="asking for absence alone"),
    ],
)
def test_demands_that_contradict_each_other(needs: list[dict[str, Any]], label: str | None) -> None:
    assert wishes(affinity=b.node_affinity(needs)).contradiction() == label


@pytest.mark.parametrize(
    ("spec", "answer"),
    [
        ({}, False),
        ({"topologySpreadConstraints": [b.spread(ZONE, "a")]}, False),
        ({"topologySpreadConstraints": [b.spread(ZONE, "a", when="ScheduleAnyway")]}, True),
        ({"affinity": {"podAffinity": _pods((1, "a"))}}, True),
        ({"affinity": {"podAntiAffinity": _pods((1, "a"))}}, True),
        ({"affinity": {"podAntiAffinity": _pods(required=("a",))}}, False),
        ({"affinity": {"nodeAffinity": _nodes(wished=((1, "a"),))}}, True),
        ({"affinity": {"nodeAffinity": _nodes(("a", "b"))}}, True),
    ],
)
def test_whether_something_could_be_given_up(spec: dict[str, Any], answer: bool) -> None:
    assert wishes(**spec).any_preference is answer
