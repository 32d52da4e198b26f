"""Whatever is done to the manifests: a plan comes out, or an error that a user can act on; never a traceback."""

import copy
import functools
import os

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fretsaw import planner
from fretsaw.errors import UserError
from property.test_manifest_fuzz import damaged, trees
from support.builders import catalog, machine, pod, pool


@functools.lru_cache(maxsize=1)
def sound():
    """A pool and pods that can be planned, so that the damage has something to spoil."""
    return (pool("sound"), *(pod(f"sound-{i}", cpu="1") for i in range(3)))


CATALOG = catalog(machine("m.small", "4", "8Gi", 0.2), machine("m.large", "16", "32Gi", 0.8))


@settings(
    max_examples=int(os.environ.get("FRETSAW_FUZZ", "150")),
    deadline=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)
@given(st.lists(damaged(), min_size=1, max_size=4), st.sampled_from(["first-fit", "cost"]), st.data())
def test_damaged_manifests_are_planned_or_refused(broken, packing, data):
    others = data.draw(st.lists(st.sampled_from(trees()), max_size=3))
    objects = [*map(copy.deepcopy, sound()), *broken, *map(copy.deepcopy, others)]
    try:
        answer = planner.plan_objects(objects, CATALOG, packing=packing)
    except UserError:
        return
    assert answer["scheduled"] <= answer["pods"]
    placed = [p for node in [*answer["nodes"], *answer["existing"]] for p in node["pods"]]
    assert len(placed) == len(set(placed)) == answer["scheduled"]
