"""`--explain`: one pod, in a few lines."""

from __future__ import annotations

import io

import msgspec
import pytest

from fretsaw.cli.explained import explain
from fretsaw.cli.render import console
from fretsaw.engine.plan import Plan
from fretsaw.errors import UserError
from golden.plans import EMPTY, LIMIT, MIXED, PLATFORM, TAINT, launch, unplaced


def explained(plan: Plan, pod: str, width: int = 80) -> str:
    file = io.StringIO()
    explain(console(file, width), plan, pod)
    return file.getvalue()


def test_a_placed_pod_has_its_node_price_choices_and_neighbours() -> None:
    node = msgspec.structs.replace(
        launch("gpu-1", "ml/a-0", "ml/a-1", "ml/a-2", others=("g6.xlarge",)),
        requirements=("karpenter.sh/capacity-type In [spot]", "karpenter.sh/nodepool In [gpu]"),
    )
    assert explained(msgspec.structs.replace(PLATFORM, launches=(node,)), "ml/a-1") == (
        "ml/a-1 goes to gpu-1, a new node of nodepool/gpu.\n"
        "  priced as    g5.xlarge, spot, us-east-1a, $0.400/h\n"
        "  can be       g5.xlarge, g6.xlarge\n"
        "  requires     karpenter.sh/capacity-type In [spot]; karpenter.sh/nodepool In\n"
        "               [gpu]\n"
        "  shared with  ml/a-0, a-2 (2 pods)\n"
    )


def test_many_types_are_cut_short() -> None:
    node = launch("gpu-1", "ml/a", others=tuple(f"g{n}.xlarge" for n in range(20)))
    assert "g11.xlarge and 8 more\n" in explained(msgspec.structs.replace(PLATFORM, launches=(node,)), "ml/a", 200)


def test_a_pod_on_a_node_that_exists() -> None:
    assert explained(MIXED, "ml/infer-2") == "ml/infer-2 goes to node-b, a node that exists already and has room.\n"


def test_a_waiting_pod_has_every_refusal_and_what_to_change() -> None:
    assert explained(MIXED, "ml/wide-9", 120) == (
        "ml/wide-9 waits: 3 NodePools refused it, the nearest miss first.\n"
        f"  nodepool/gpu-od: {LIMIT[1]}\n"
        f"    to change: {LIMIT[2]}\n"
        f"  nodepool/general: {TAINT}\n"
        f"  nodepool/spot: {TAINT}\n"
    )


def test_a_reason_that_lies_in_the_pod_names_no_pool() -> None:
    plan = msgspec.structs.replace(EMPTY, unplaced=(unplaced("a/p", ("", "its claim is missing", "")), unplaced("a/q")))
    assert explained(plan, "a/p") == "a/p waits:\n  its claim is missing\n"
    assert explained(plan, "a/q") == "a/q waits: no NodePool is there to take it.\n"


def test_the_default_namespace_may_be_left_out() -> None:
    assert explained(PLATFORM, "training-job").startswith("default/training-job goes to gpu-tier1-g5-spot-2")


@pytest.mark.parametrize(
    ("plan", "pod", "hint"),
    [
        (PLATFORM, "ml-serving/infre-3", "did you mean ml-serving/infer-3?"),
        (
            msgspec.structs.replace(PLATFORM, launches=PLATFORM.launches[:2]),
            "x",
            "2 pods waited: ml-serving/infer-0, infer-1 (2 pods)",
        ),
        (EMPTY, "x", "no pod waits"),
    ],
)
def test_an_unknown_pod_is_wrong_input_with_a_hint(plan: Plan, pod: str, hint: str) -> None:
    with pytest.raises(UserError) as error:
        explained(plan, pod)
    assert error.value.right == hint
