"""A fake machine: what its Node is like, when what is reported, and what faults make of it."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from fretsaw.api.node import Node, Taint
from fretsaw.errors import UserError
from fretsaw.kubelet import KubeletSettings
from fretsaw.kubelet.machine import Machine
from fretsaw.kubelet.settings import fixed
from fretsaw.providers.fake.faults import NodeFault, node_faults
from support.virtual_ec2 import catalog, instance_type, offering
from unit.providers.fake.worlds import Time, cloud, order

START = Time().now
TIMES = KubeletSettings(boot=fixed(10), ready=fixed(5), gpu=fixed(20), startup_taints=fixed(3))
FOUR = catalog(instance_type("g5.12xlarge", offering("z-a", "on-demand", 5.7), gpus=4))
NAME = "ip-10-0-0-1.ec2.internal"


def machine(*faults: NodeFault, settings: KubeletSettings = TIMES) -> Machine:
    """One with four GPUs, which runs since START."""
    found = cloud()
    found.launch(order(sold=FOUR))
    return Machine(found.everything()[0], faults, settings, START)


def at(seconds: float) -> int:
    """A time after START."""
    return START + round(seconds * 1000)


def joined(*faults: NodeFault, settings: KubeletSettings = TIMES) -> Machine:
    """One that has joined after 10 s."""
    return join(machine(*faults, settings=settings))


def join(found: Machine) -> Machine:
    """The machine once it has joined after 10 s."""
    found.draft(NAME, at(10))
    found.join(found.node, at(10))
    return found


def reported(found: Machine, seconds: float) -> tuple[str, Any]:
    """(Ready, GPUs in allocatable) once it has reported at that time."""
    found.report(at(seconds))
    condition = found.node.condition("Ready")
    assert condition is not None
    return condition.status, found.node.status.allocatable.get("nvidia.com/gpu")


def test_a_node_as_it_joins() -> None:
    found = machine()
    assert found.joins == at(10) == found.next(at(0))
    tree = found.draft(NAME, at(10))
    found.join(found.node, at(10))
    assert tree["metadata"]["labels"]["kubernetes.io/hostname"] == NAME
    assert tree["spec"]["providerID"] == found.instance.provider_id
    assert [taint["key"] for taint in tree["spec"]["taints"]] == [
        "karpenter.sh/unregistered",
        "node.kubernetes.io/not-ready",
    ]
    assert tree["status"]["capacity"] == {"cpu": "4", "memory": "16Gi", "pods": "58"}
    assert tree["status"]["addresses"][0] == {"type": "InternalIP", "address": "10.0.0.1"}
    assert found.next(at(10)) == at(15)


def test_ready_comes_before_the_gpus() -> None:
    found = joined()
    assert [reported(found, seconds) for seconds in (14, 15, 34, 35)] == [
        ("False", None),
        ("True", None),
        ("True", None),
        ("True", "4"),
    ]
    assert found.report(at(36)) is None
    assert found.next(at(36)) is None


def test_what_is_reported_is_said_in_full() -> None:
    status = joined().report(at(15))
    assert status is not None
    ready = next(one for one in status["conditions"] if one["type"] == "Ready")
    assert ready == {
        "type": "Ready",
        "status": "True",
        "reason": "KubeletReady",
        "message": "",
        "lastTransitionTime": "2026-01-01T00:00:15Z",
        "lastHeartbeatTime": "2026-01-01T00:00:15Z",
    }


def test_labels_of_the_gpus_come_with_them_once() -> None:
    found = joined()
    labels = {**found.node.metadata.labels, "karpenter.k8s.aws/instance-gpu-name": "a10g"}
    found.node = replace(found.node, metadata=replace(found.node.metadata, labels=labels))
    assert found.found_labels(at(34)) == {}
    assert found.found_labels(at(35))["nvidia.com/gpu.product"] == "NVIDIA-A10G"
    assert found.found_labels(at(35))["nvidia.com/gpu.count"] == "4"
    found.labelled = True
    assert found.found_labels(at(35)) == {}


def test_startup_taints_go_when_their_owners_are_done() -> None:
    found = machine()
    claim = found.instance.claim
    starting, own = Taint("example.com/starting", "NoExecute"), Taint("team", "NoSchedule")
    found.instance.claim = replace(claim, spec=replace(claim.spec, taints=(own,), startup_taints=(starting,)))
    found.virtual.claim = found.instance.claim
    node: Node = join(found).node
    assert not found.startup_taints(node, at(17))
    assert found.startup_taints(node, at(18))
    left = found.without_startup_taints(node)
    assert starting not in left.spec.taints
    assert own in left.spec.taints
    assert not found.startup_taints(left, at(18))


def test_startup_taints_that_others_remove_stay() -> None:
    found = joined(settings=replace(TIMES, startup_taints=None))
    assert not found.startup_taints(found.node, at(10**6))


def fault(text: str) -> NodeFault:
    """The one fault that an annotation names."""
    (found,) = node_faults(text)
    return found


def test_faults_of_the_start() -> None:
    assert machine(fault("never-joins")).next(at(0)) is None
    assert machine(fault("joins-late=60s")).joins == at(70)
    assert reported(joined(fault("never-ready")), 3600) == ("False", "4")
    assert reported(joined(fault("gpu-never-registers")), 3600) == ("True", None)
    assert reported(joined(fault("gpu-missing=3")), 3600) == ("True", "1")
    assert reported(joined(fault("gpu-missing=9")), 3600) == ("True", "0")
    assert not joined(fault("kubelet-dies")).alive


def test_a_node_that_is_not_ready_for_a_while_comes_back() -> None:
    found = joined()
    assert reported(found, 40) == ("True", "4")
    found.suffer(fault("not-ready=60s"), at(50))
    assert reported(found, 50) == ("False", "4")
    assert found.next(at(50)) == at(110)
    assert reported(found, 110) == ("True", "4")


def test_a_node_that_is_taken_over_has_all_at_once() -> None:
    before = joined()
    reported(before, 40)
    found = machine()
    found.adopt(before.node, at(100))
    assert found.ready(at(100))
    assert reported(found, 100) == ("True", "4")
    assert found.devices.free("nvidia.com/gpu") == 4


def test_spread_times_are_drawn_once_for_an_instance() -> None:
    realistic = KubeletSettings.realistic()
    assert machine(settings=realistic).joins == machine(settings=realistic).joins
    assert machine(settings=realistic).joins != machine(settings=replace(realistic, seed=1)).joins


@pytest.mark.parametrize(
    "text", ["nonsense", "never-joins=2s", "not-ready=soon", "gpu-missing=x", "gpu-missing=1,what"]
)
def test_faults_that_are_none_are_named(text: str) -> None:
    with pytest.raises(UserError, match=r"fretsaw\.dev/faults"):
        node_faults(text)


def test_an_annotation_names_several_faults() -> None:
    assert node_faults("joins-late=1m, gpu-missing=2") == (
        NodeFault(node_fault="joins-late", seconds=60),
        NodeFault(node_fault="gpu-missing", missing=2),
    )
