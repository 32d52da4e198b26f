"""Lives: who is asked for, and the sentences that the golden stories do not have."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from fretsaw.api.meta import Condition, ObjectMeta
from fretsaw.api.node import Node, NodeSpec
from fretsaw.engine import actions as a
from fretsaw.engine import events as e
from fretsaw.errors import UserError
from fretsaw.report import words
from fretsaw.trace.codec import Reader, TraceError
from fretsaw.trace.life import listed, lower
from fretsaw.trace.story import Chronicle
from golden import lives
from support.traces import Script


def chronicle(script: Script) -> Chronicle:
    found = Chronicle(words, "t.jsonl")
    for line in Reader(script.lines()):
        found.read(line)
    return found


def told(script: Script, name: str) -> list[str]:
    return [one.text for one in chronicle(script).lives.life(name).sentences]


def launched(name: str = "gpu-a1") -> Script:
    """A claim with an instance."""
    order = a.CreateClaim(lives.claim(name), "provisioned", ("ml/web-0",))
    script = Script().decided(order).told(e.Changed(lives.claim(name)))
    return script.at(2).told(lives.created(name, 0.4, "g5.xlarge"), e.Changed(lives.claim(name, "Launched")))


# Who is meant


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("nodeclaim/gpu-a1", "nodeclaim/gpu-a1"),
        ("NodeClaim/gpu-a1", "nodeclaim/gpu-a1"),
        ("nodeclaims/gpu-a1", "nodeclaim/gpu-a1"),
        ("node/ip-10-0-0-1", "nodeclaim/gpu-a1"),
        ("no/system-1", "node/system-1"),
        ("po/ml/web-0", "pod/ml/web-0"),
        ("nodepool/gpu", "nodepool/gpu"),
    ],
)
def test_an_object_is_found_by_its_name(name: str, found: str) -> None:
    assert chronicle(lives.script()).lives.life(name).object == found


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nodeclaim/gpu-a11", "the trace knows no such nodeclaim: nodeclaim/gpu-a11 (did you mean nodeclaim/gpu-a1?)"),
        ("pod/web-0", "the trace knows no such pod: pod/web-0 (did you mean pod/ml/web-0?)"),
        ("node/ip-10-0-0-3", "the trace knows no such node: node/ip-10-0-0-3 (did you mean node/ip-10-0-0-2?)"),
        ("gpu-a1", "no kind that has a story: gpu-a1 (did you mean nodeclaim/gpu-a1?)"),
        ("job/ml/tune", "no kind that has a story: job/ml/tune (did you mean pod/ml/tune-0?)"),
        ("service/x", "no kind that has a story: service/x (ask for nodeclaim/NAME, node/NAME, pod/NAMESPACE/NAME or nodepool/NAME)"),
        ("nodeclaim/zzzzzzzz", "the trace knows no such nodeclaim: nodeclaim/zzzzzzzz (it knows nodeclaim/gpu-a1 and nodeclaim/gpu-b2)"),
    ],
)  # fmt: skip
def test_an_unknown_name_is_answered_with_what_was_meant(name: str, message: str) -> None:
    with pytest.raises(UserError) as error:
        chronicle(lives.script()).lives.life(name)
    assert str(error.value) == message


def test_a_trace_without_such_objects_says_so() -> None:
    with pytest.raises(UserError, match="it knows no pod at all"):
        chronicle(Script()).lives.life("pod/ml/x")


# Claims


def test_a_refused_launch_is_why_a_claim_goes() -> None:
    order = a.CreateClaim(lives.claim("gpu-a1"), "provisioned", ("ml/web-0",))
    script = Script().decided(order, a.LaunchInstance(lives.claim("gpu-a1"))).told(e.Changed(lives.claim("gpu-a1")))
    script.at(3).told(
        e.LaunchRefused("gpu-a1", "InsufficientCapacity", "with fleet error(s), InsufficientInstanceCapacity")
    )
    script.at(4).decided(a.DeleteClaim("gpu-a1", "insufficient_capacity")).told(e.Gone("NodeClaim", "gpu-a1"))
    life = chronicle(script).lives.life("nodeclaim/gpu-a1")
    assert [one.text for one in life.sentences][-3:] == [
        "EC2 refused: with fleet error(s), InsufficientInstanceCapacity",
        "its deletion was asked for: never launched: insufficient capacity",
        "nothing is left of it",
    ]
    assert (
        life.summary(script.now) == "never launched, there for 4s, 0 pods, $0.00, never launched: insufficient capacity"
    )


def test_several_orders_of_a_pass_are_told_of_each_other() -> None:
    orders = [a.CreateClaim(lives.claim(name), "provisioned", (f"ml/{name}",)) for name in ("gpu-a1", "gpu-b2")]
    planned = e.Planned((("ml/gpu-a1", "gpu-a1"), ("ml/gpu-b2", "gpu-b2"), ("ml/x", "old-1")), 1)
    script = Script().decided(*orders, notes=(planned, e.BatchDone(1, frozenset())))
    assert told(script, "nodeclaim/gpu-b2")[-1] == (
        "the same pass also ordered nodeclaim/gpu-a1 and found room on other machines for 1 pod"
    )


def test_a_static_pool_orders_for_no_pod() -> None:
    script = Script().decided(a.CreateClaim(lives.claim("gpu-a1")))
    assert told(script, "nodeclaim/gpu-a1")[0] == "nodepool/gpu ordered it to have as many nodes as its spec asks for"


def test_a_claim_that_was_there_before_the_trace_has_a_story_too() -> None:
    script = Script().told(e.Changed(lives.claim("gpu-a1", "Launched", "Registered")))
    assert told(script, "nodeclaim/gpu-a1")[0] == "it is there; nodepool/gpu had ordered it before"


def test_somebody_else_may_delete_a_claim() -> None:
    script = launched().told(e.Changed(lives.claim("gpu-a1", "Launched", gone="2026-01-05T00:10:00Z")))
    script.told(e.Gone("NodeClaim", "gpu-a1"))
    assert "somebody asked for its deletion" in told(script, "nodeclaim/gpu-a1")
    assert chronicle(script).lives.life("nodeclaim/gpu-a1").summary(script.now).endswith("deleted by hand")


def test_drift_comes_and_goes() -> None:
    drifted = lives.claim("gpu-a1", "Launched", "Drifted")
    script = launched().told(e.Changed(drifted), e.Changed(lives.claim("gpu-a1", "Launched")), e.Changed(drifted))
    assert told(script, "nodeclaim/gpu-a1")[-3:] == [
        "it has drifted: drifted",
        "it has not drifted after all",
        "it has drifted: drifted",
    ]


@pytest.mark.parametrize("why", ["budget", "scheduling", "churn", "unknown"])
def test_a_disruption_may_be_given_up(why: str) -> None:
    command = e.Command("multi/1/gpu-a1", "multi", "Underutilized", ("gpu-a1", "gpu-b2"), savings_usd_per_hour=0.5)
    script = launched().decided(notes=(e.CommandProposed(command, 9), e.CommandDropped(command, why)))
    proposed, dropped = told(script, "nodeclaim/gpu-a1")[-2:]
    assert proposed == "found underutilized: it could be deleted together with nodeclaim/gpu-b2, saving $0.500/h"
    assert dropped.startswith("that was given up: ")
    assert why not in dropped.replace("budgets", "")


def test_a_disruption_may_fail() -> None:
    command = e.Command("drift/1/gpu-a1", "drift", "Drifted", ("gpu-a1",), ("gpu-b2",), (("g5.xlarge",),))
    script = launched().decided(
        notes=(e.CommandStarted(command, 9), e.CommandEnded("drift/1/gpu-a1", "command reached timeout"))
    )
    assert told(script, "nodeclaim/gpu-a1")[-2:] == [
        "it is to go as drifted, once nodeclaim/gpu-b2 is ready",
        "the disruption failed: command reached timeout",
    ]


def test_an_instance_that_is_taken_back_is_why() -> None:
    script = launched()
    lives.instance(script.at(10), "instance-running", "gpu-a1")
    lives.instance(script.at(3610), "instance-ended", "gpu-a1", why="spot-reclaim")
    script.told(e.Gone("NodeClaim", "gpu-a1"))
    summary = chronicle(script).lives.life("nodeclaim/gpu-a1").summary(script.now)
    assert summary == "g5.xlarge, spot, us-east-1a, ran 1h, 0 pods, $0.40, spot instance taken back"


def test_without_a_bill_the_launchs_price_counts_for_a_minute_at_least() -> None:
    script = launched()
    lives.instance(script.at(10), "instance-running", "gpu-a1")
    lives.instance(script.at(12.4), "instance-ended", "gpu-a1", why="terminated")
    assert chronicle(script).lives.claims["gpu-a1"].cost(script.now) == pytest.approx(0.4 / 60)


def test_what_is_repeated_is_told_once() -> None:
    tell = a.Tell("NodeClaim/gpu-a1", "Unconsolidatable", "Can't replace with a cheaper node")
    other = a.Tell("NodeClaim/gpu-a1", "Unconsolidatable", "Pods would find no place")
    script = launched().decided(tell).decided(other).decided(tell)
    assert told(script, "nodeclaim/gpu-a1")[-2:] == [
        "consolidation leaves it alone: can't replace with a cheaper node",
        "consolidation leaves it alone: pods would find no place",
    ]


@pytest.mark.parametrize(
    ("what", "data", "sentence"),
    [
        ("xid", {"code": 79, "gpu": 0, "fatal": True}, "GPU 0 reported a fatal error, XID 79"),
        ("gpu-unhealthy", {"gpu": 1}, "GPU 1 was taken out of service"),
        ("kubelet-stopped", {"why": "silent"}, "its kubelet fell silent"),
        ("kubelet-started", {}, "its kubelet came back"),
        ("node-unreachable", {}, "its node was found unreachable"),
        ("startup-taint-removed", {"taint": "cni:NoSchedule"}, "the startup taint cni:NoSchedule was removed"),
        ("instance-died-at-boot", {}, "its instance died at boot"),
        ("node-never-registers", {}, "its instance will never join"),
    ],
)
def test_what_happens_on_the_node_is_told(what: str, data: dict[str, Any], sentence: str) -> None:
    script = launched().told(e.Changed(lives.node("gpu-a1"))).fact(what, "Node/ip-10-0-0-1", claim="gpu-a1", **data)
    assert told(script, "nodeclaim/gpu-a1")[-1] == sentence


def test_that_a_node_without_an_instance_is_silent_is_no_news() -> None:
    script = launched().told(e.Changed(lives.node("gpu-a1")))
    lives.instance(script.at(10), "instance-ended", "gpu-a1", why="terminated")
    script.fact("node-unreachable", "Node/ip-10-0-0-1", claim="gpu-a1")
    assert "its node was found unreachable" not in told(script, "nodeclaim/gpu-a1")


def test_a_fact_that_lacks_what_it_promises_is_named_by_its_line() -> None:
    script = launched().fact("instance-ended", "Instance/x", claim="gpu-a1")
    with pytest.raises(TraceError, match=r"t.jsonl:\d+: a fact that cannot be understood: KeyError\('why'\)"):
        chronicle(script)


# Pods


@pytest.mark.parametrize(
    ("what", "data", "sentence"),
    [
        ("pod-preempted", {"by": "ml/big", "node": "n"}, "kube-scheduler preempted it for pod/ml/big"),
        ("taint-eviction", {"node": "n"}, "a taint of node/n drove it away"),
        ("pod-killed", {"why": "spot-reclaim"}, "it was killed (spot reclaim)"),
        ("container-ended", {"exit_code": 1, "why": "gpu-out-of-memory"}, "a container ended with exit code 1 (gpu out of memory)"),
        ("container-restarted", {"restarts": 2}, "its containers run again, restart 2"),
        ("gpu-out-of-memory", {"needs": 2, "has": 1}, "its GPU has not the memory that it needs"),
        ("pod-collected", {"node": "n"}, "it was cleaned up, as its node is gone"),
        ("pod-deleted", {"reason": "expired"}, "the autoscaler deleted it: expired: older than its NodePool allows"),
    ],
)  # fmt: skip
def test_what_happens_to_a_pod_is_told(what: str, data: dict[str, Any], sentence: str) -> None:
    script = Script().told(e.Changed(lives.pod("web-0"))).fact(what, "Pod/ml/web-0", **data)
    assert told(script, "pod/ml/web-0")[-1] == sentence


def test_a_pod_that_lands_elsewhere_than_planned() -> None:
    script = launched().told(e.Changed(lives.pod("web-0")))
    script.decided(notes=(e.Planned((("ml/web-0", "gpu-a1"),), 1),))
    script.told(e.Changed(Node(metadata=ObjectMeta(name="other"))), e.Changed(lives.pod("web-0", "other")))
    assert told(script, "pod/ml/web-0")[-2:] == [
        "its place will be on nodeclaim/gpu-a1, which has room",
        "it landed on node/other, though nodeclaim/gpu-a1 was planned",
    ]


def test_a_pod_planned_for_a_node_of_nobodys_lands_as_planned() -> None:
    script = Script().told(e.Changed(Node(metadata=ObjectMeta(name="other"))), e.Changed(lives.pod("web-0")))
    script.decided(notes=(e.Planned((("ml/web-0", "other"),), 1),)).told(e.Changed(lives.pod("web-0", "other")))
    assert told(script, "pod/ml/web-0")[-1] == "it landed on node/other, as planned"


def test_a_pod_that_is_made_anew_goes_on_under_its_name() -> None:
    again = lives.pod("web-0")
    again = replace(again, metadata=replace(again.metadata, uid="other"))
    script = Script().told(e.Changed(lives.pod("web-0", "n1"))).at(60).told(e.Gone("Pod", "ml/web-0"), e.Changed(again))
    assert told(script, "pod/ml/web-0")[-2:] == ["it is gone", "it was created again by replicaset/web"]
    assert chronicle(script).lives.life("pod/ml/web-0").summary(script.now) == "waits for a node, 0s now"


def test_pods_of_daemon_sets_are_not_told_of_their_nodes() -> None:
    script = launched().told(
        e.Changed(lives.node("gpu-a1")), e.Changed(lives.pod("ds-0", "ip-10-0-0-1", owner="DaemonSet"))
    )
    assert not any("landed" in text for text in told(script, "nodeclaim/gpu-a1"))
    assert "landed" in told(script, "pod/ml/ds-0")[-1]


# Pools, words


def test_a_pool_that_can_launch_nothing_says_why() -> None:
    script = Script().told(e.CatalogRead(("gpu",), None, "Its EC2NodeClass is missing"))
    assert told(script, "nodepool/gpu") == ["it can launch nothing: its EC2NodeClass is missing"]
    assert chronicle(script).lives.life("nodepool/gpu").summary(script.now) == "no node"


def test_a_node_becomes_its_claims_as_soon_as_that_is_known() -> None:
    node = Node(metadata=ObjectMeta(name="ip-10-0-0-1"))
    script = launched().told(e.Changed(node), e.Changed(replace(node, spec=NodeSpec(provider_id=lives.IDS["gpu-a1"]))))
    assert chronicle(script).lives.life("node/ip-10-0-0-1").object == "nodeclaim/gpu-a1"


def test_an_unready_pool_tells_once() -> None:
    pools = [e.Changed(lives.gpu_pool(Condition(type="Ready", status="False", message="No node class")))] * 2
    assert told(Script().told(*pools), "nodepool/gpu")[1:] == ["it cannot be used: no node class"]


@pytest.mark.parametrize(
    ("names", "text"),
    [
        ([], "none"),
        (["a"], "a"),
        (["a", "b"], "a and b"),
        (["a", "b", "c", "d"], "a, b, c and d"),
        (list("abcde"), "a, b, c and 2 more"),
    ],
)
def test_names_are_listed_or_counted(names: list[str], text: str) -> None:
    assert listed(names) == text


@pytest.mark.parametrize(
    ("message", "part"),
    [("No room.", "no room"), ("NodeClass not found", "NodeClass not found"), ("EC2 says", "EC2 says"), ("", "")],
)
def test_messages_become_parts_of_sentences(message: str, part: str) -> None:
    assert lower(message) == part
