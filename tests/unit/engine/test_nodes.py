"""Nodes and claims as one view."""

from __future__ import annotations

from typing import Any

import msgspec

from fretsaw.api.node import CSINode, Node, Taint
from fretsaw.api.nodeclaim import NodeClaim
from fretsaw.engine.nodes import StateNode, state_nodes
from support import builders as b
from support.kube import HOSTNAME, ZONE

ID, POOL, TYPE = "aws:///z-a/i-c", "karpenter.sh/nodepool", "node.kubernetes.io/instance-type"
REGISTERED, INITIALIZED = {"karpenter.sh/registered": "true"}, {"karpenter.sh/initialized": "true"}
GPU = "nvidia.com/gpu"


def node(labels: dict[str, str] | None = None, *, room: dict[str, str] | None = None, **spec: Any) -> dict[str, Any]:
    own = {POOL: "main", TYPE: "m", **(labels or {})}
    return b.node("n", labels=own, providerID=ID, room=room or {}, **spec)


def claim(*, taints: Any = (), startup: Any = (), **room: str) -> dict[str, Any]:
    one = b.claim("c", "main", "m", zone="z-a")
    one["spec"] |= {"taints": list(taints), "startupTaints": list(startup)}
    one["status"] = {"providerID": ID, "capacity": {"cpu": "4", "memory": "8Gi", GPU: "1", **room}}
    one["status"]["allocatable"] = dict(one["status"]["capacity"])
    return one


def view(nodes: Any = (), claims: Any = (), csi: Any = ()) -> list[StateNode]:
    return list(
        state_nodes(
            [msgspec.convert(n, Node) for n in nodes],
            [msgspec.convert(c, NodeClaim) for c in claims],
            [msgspec.convert(c, CSINode) for c in csi],
        )
    )


def test_a_node_and_its_claim_are_one_machine() -> None:
    (one,) = view([node(REGISTERED | INITIALIZED)], [claim()])
    assert (one.name, one.node_name, one.pool, one.initialized) == ("n", "n", "main", True)


def test_a_launched_claim_without_a_node_counts_and_one_that_has_not_launched_does_not() -> None:
    waiting = claim()
    waiting["metadata"]["name"], waiting["status"] = "waiting", {}
    (one,) = view([], [claim(), waiting])
    assert (one.name, one.node_name, one.initialized, one.hostname) == ("c", "", False, "c")
    assert one.labels[ZONE] == "z-a"


def test_a_node_without_a_claim_counts_as_ready() -> None:
    (one,) = view([b.node("plain", labels={"beta.kubernetes.io/arch": "arm64"})])
    assert (one.pool, one.initialized, one.deleting) == ("", True, False)
    assert one.labels["kubernetes.io/arch"] == "arm64"


def test_a_pools_node_that_is_still_being_set_up_is_ignored() -> None:
    no_id, no_type = node(), node({TYPE: ""})
    del no_id["spec"]["providerID"]
    assert view([no_id]) == view([no_type]) == []
    assert len(view([node({TYPE: ""} | INITIALIZED)])) == 1, "unless it says that it is initialised"


def test_until_it_has_registered_the_claim_says_what_a_node_is() -> None:
    red = claim(taints=[b.taint("team", "red")])
    red["metadata"]["labels"]["team"] = "red"
    (early,) = view([node()], [red])
    (late,) = view([node(REGISTERED)], [red])
    assert (early.name, early.labels.get("team"), early.taints) == ("c", "red", (Taint("team", "NoSchedule", "red"),))
    assert (late.name, late.labels.get("team"), late.taints) == ("n", None, ())


def test_until_it_is_initialised_taints_of_the_start_do_not_count() -> None:
    starting = [b.taint("node.kubernetes.io/not-ready", ""), b.taint("driver", "no"), b.taint("team", "red")]
    with_claim = claim(startup=[b.taint("driver", "other value")])
    (early,) = view([node(REGISTERED, taints=starting)], [with_claim])
    (late,) = view([node(REGISTERED | INITIALIZED, taints=starting)], [with_claim])
    assert [t.key for t in early.taints] == ["team"]
    assert [t.key for t in late.taints] == ["node.kubernetes.io/not-ready", "driver", "team"]


def test_until_it_is_initialised_the_claim_fills_in_what_the_node_does_not_report() -> None:
    bare = node(REGISTERED, room={"cpu": "3", GPU: "0"})
    (early,) = view([bare], [claim()])
    assert (early.allocatable["cpu"], early.allocatable[GPU], early.capacity[GPU]) == (3000, 1, 1)
    bare["metadata"]["labels"] |= INITIALIZED
    (late,) = view([bare], [claim()])
    assert (late.allocatable["cpu"], late.allocatable[GPU]) == (3000, 0)


def test_what_is_on_its_way_out() -> None:
    going, terminating = claim(), claim()
    going["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    terminating["status"]["conditions"] = [{"type": "InstanceTerminating", "status": "True"}]
    plain = b.node("plain")
    plain["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    managed = node(REGISTERED)
    managed["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    states = [view([node()], [going]), view([], [terminating]), view([plain]), view([managed], [claim()])]
    assert [s.deleting for (s,) in states] == [True, True, True, False]


def test_the_host_name_is_the_label_or_else_the_name() -> None:
    assert view([b.node("n", labels={HOSTNAME: "h"})])[0].hostname == "h"
    bare = b.node("n")
    del bare["metadata"]["labels"][HOSTNAME]
    assert view([bare])[0].hostname == "n"


def test_volume_limits_come_from_the_csi_node() -> None:
    drivers = [{"name": "ebs", "nodeID": "i", "allocatable": {"count": 25}}, {"name": "efs", "nodeID": "i"}]
    (one,) = view([b.node("n")], csi=[{"metadata": {"name": "n"}, "spec": {"drivers": drivers}}])
    assert one.volume_limits == {"ebs": 25}


def test_machines_are_ordered_by_name() -> None:
    assert [s.name for s in view([b.node("z"), b.node("a")], [claim()])] == ["a", "c", "z"]
