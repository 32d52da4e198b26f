"""Settings: defaults that the documentation promises."""

from __future__ import annotations

import msgspec
import pytest

from fretsaw.engine.settings import Settings
from fretsaw.errors import UserError
from fretsaw.planner import plan_objects
from support import builders as b

CATALOG = b.catalog(b.machine("m", "4", "8Gi", 0.1))


def test_the_defaults_are_those_of_the_peer_where_it_has_the_setting() -> None:
    known = Settings()
    assert (known.respect_preferences, known.best_effort_min_values) == (True, False)
    assert (known.reserved_capacity, known.strict_reservations, known.max_instance_types) == (True, True, 600)


def test_settings_are_values() -> None:
    assert Settings(packing="first-fit") == Settings(packing="first-fit") != Settings()
    with pytest.raises(AttributeError):
        Settings().packing = "cost"  # type: ignore[misc]
    assert msgspec.structs.replace(Settings(), budget_s=1.0).budget_s == 1.0


def test_an_unknown_setting_is_refused_with_the_known_ones() -> None:
    with pytest.raises(UserError, match=r"unknown setting.*packin.*known: packing"):
        plan_objects([], CATALOG, packin="cost")


@pytest.mark.parametrize(("policy", "zone_kept"), [("Respect", True), ("Ignore", False)])
def test_the_preference_policy_goes_by_the_peers_name(policy: str, zone_kept: bool) -> None:
    wish = {"weight": 1, "preference": {"matchExpressions": [b.need("topology.kubernetes.io/zone", "In", "z-b")]}}
    pod = b.pod("p", affinity={"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [wish]}})
    (node,) = plan_objects([b.pool(), pod], CATALOG, preference_policy=policy)["nodes"]
    assert (node["zone"] == "z-b") is zone_kept


@pytest.mark.parametrize(("cap", "most"), [(3, 3), (0, 6)])
def test_only_packing_for_cost_caps_the_pods_of_a_node(cap: int, most: int) -> None:
    objects = [b.pool(), *(b.pod(f"p{i}", "100m", "100Mi") for i in range(6))]
    for packing, expected in (("cost", most), ("first-fit", 6)):
        plan = plan_objects(objects, CATALOG, packing=packing, max_pods_per_node=cap)
        assert max(len(n["pods"]) for n in plan["nodes"]) == expected
