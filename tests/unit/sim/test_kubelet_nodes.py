"""Nodes from the instance that runs to the device that is there, and to their end."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from fretsaw.api.meta import LabelSelector, ObjectMeta
from fretsaw.api.node import Node, NodeStatus, Taint
from fretsaw.api.nodeclass import EC2NodeClass, EC2NodeClassSpec
from fretsaw.api.nodeclass_parts import AMISelectorTerm, BlockDevice, BlockDeviceMapping
from fretsaw.sim.gpu_sharing import Sharing
from fretsaw.sim.instance import Instance
from fretsaw.sim.kubelet import NodeFault
from fretsaw.sim.node_lifecycle import NodeLifecycle
from support.kubelets import GPU, Bench, fixed, job, lasting, machine

NODE = "ip-10-0-0-1.ec2.internal"
TEAM = Taint("team", "NoSchedule", "ml")
CILIUM = Taint("node.cilium.io/agent-not-ready", "NoExecute", "true")


def test_a_node_joins_tainted_not_ready_and_without_devices() -> None:
    """Source: Karpenter v1.14, karpenter.sh/unregistered in the user data; kubelet, registerWithAPIServer."""
    bench = Bench()
    instance = bench.run(taints=[TEAM], startup=[CILIUM], labels={"node-type": "gpu"})
    bench.until(1)
    node = bench.node(NODE)
    assert [str(taint) for taint in node.spec.taints] == [
        "team=ml:NoSchedule",
        "node.cilium.io/agent-not-ready=true:NoExecute",
        "karpenter.sh/unregistered:NoExecute",
        "node.kubernetes.io/not-ready:NoSchedule",
    ]
    assert node.spec.provider_id == instance.provider_id
    assert node.metadata.labels["kubernetes.io/hostname"] == NODE
    assert node.metadata.labels["node-type"] == "gpu"
    assert node.metadata.labels["karpenter.sh/nodepool"] == "gpu"
    assert node.metadata.labels["topology.kubernetes.io/zone"] == "us-east-1a"
    assert node.status.capacity == {"cpu": "48", "memory": "192Gi", "pods": "100", "ephemeral-storage": "100Gi"}
    assert node.status.allocatable["cpu"] == "47"
    assert bench.condition(NODE, "Ready") == ("False", "KubeletNotReady")


def test_a_node_is_ready_after_its_time_and_loses_the_not_ready_taint_alone() -> None:
    bench = Bench()
    bench.run(taints=[TEAM])
    bench.until(2)
    assert bench.condition(NODE, "Ready") == ("True", "KubeletReady")
    assert [taint.key for taint in bench.node(NODE).spec.taints] == ["team", "karpenter.sh/unregistered"]
    assert bench.data("node-ready") == [{"claim": "gpu-1", "after_ms": 2000}]


def test_names_are_counted_and_carry_the_region() -> None:
    bench = Bench()
    for _ in range(256):
        bench.run()
    bench.until(1)
    names = list(bench.world.store.all("Node"))
    assert (names[0], names[253], names[254]) == (NODE, "ip-10-0-0-254.ec2.internal", "ip-10-0-1-1.ec2.internal")
    assert len(set(names)) == 256
    other = Bench()
    here = machine()
    other.run(replace(here, labels={**here.labels, "topology.kubernetes.io/region": ["eu-west-1"]}))
    other.until(1)
    assert list(other.world.store.all("Node")) == ["ip-10-0-0-1.eu-west-1.compute.internal"]


def test_devices_appear_labels_and_exporter_with_them() -> None:
    """Source: gpu-operator v26.7: NFD, DaemonSets, images, toolkit, then plugin, GFD and DCGM."""
    bench = Bench(durations=fixed(gfd=2, dcgm=3))
    bench.run()
    bench.until(2)
    bench.register(NODE)
    bench.until(6.9)
    assert bench.allocatable(NODE) is None
    bench.until(7.1)
    assert (bench.allocatable(NODE), bench.node(NODE).status.capacity[GPU]) == ("4", "4")
    assert bench.condition(NODE, "AcceleratedHardwareReady") == ("True", "AcceleratedHardwareIsReady")
    assert "nvidia.com/gpu.product" not in bench.node(NODE).metadata.labels
    bench.until(60)
    assert bench.node(NODE).metadata.labels["nvidia.com/gpu.product"] == "NVIDIA-A10G"
    assert bench.when("gpu-registered") == [7.01]
    assert bench.when("gpu-labelled") == [8.01]
    assert bench.when("dcgm-exporter-up") == [9.01]
    host = bench.nodes.host(NODE)
    assert host is not None
    assert host.dcgm_up


def test_the_stack_waits_for_registration() -> None:
    """Source: kubernetes.io, DaemonSet: karpenter.sh/unregistered is not tolerated by itself."""
    bench = Bench()
    bench.run()
    bench.until(100)
    assert bench.allocatable(NODE) is None
    bench.register(NODE)
    bench.until(110)
    assert bench.allocatable(NODE) == "4"


def test_a_team_taint_keeps_the_devices_away_for_ever_unless_tolerated() -> None:
    """Source: gpu-operator chart, daemonsets.tolerations."""
    bench = Bench()
    bench.join(taints=[TEAM])
    bench.until(3600)
    assert bench.allocatable(NODE) is None
    tolerant = Bench(operand_tolerations=())
    tolerant.join(taints=[Taint("nvidia.com/gpu", "NoSchedule", "true")])
    assert tolerant.allocatable(NODE) is None
    usual = Bench()
    usual.join(taints=[Taint("nvidia.com/gpu", "NoSchedule", "true")])
    assert usual.allocatable(NODE) == "4"


def test_bottlerocket_registers_whatever_the_taints() -> None:
    """Source: Bottlerocket: the device plugin is a host service."""
    bench = Bench(image="bottlerocket")
    bench.run(taints=[TEAM])
    bench.until(3)
    assert bench.allocatable(NODE) == "4"


def test_an_efa_device_has_its_own_plugin() -> None:
    """Source: EKS user guide, EFA device plugin."""
    bench = Bench(image="bottlerocket")
    bench.run(machine("p5.48xlarge", 8, "h100", 81920, **{"vpc.amazonaws.com/efa": "32"}))
    bench.until(3)
    assert bench.allocatable(NODE, "vpc.amazonaws.com/efa") is None
    bench.register(NODE)
    bench.until(10)
    assert bench.allocatable(NODE, "vpc.amazonaws.com/efa") == "32"
    assert bench.when("device-registered") == [6.01]


def test_neuron_devices_and_cores_come_together() -> None:
    """Source: Neuron documentation: both views of the chips are advertised."""
    bench = Bench()
    inf2 = machine("inf2.24xlarge", 0, **{"aws.amazon.com/neuron": "6", "aws.amazon.com/neuroncore": "12"})
    name = bench.join(inf2, taints=[Taint("aws.amazon.com/neuron", "NoSchedule", "true")])
    assert bench.allocatable(name, "aws.amazon.com/neuron") == "6"
    assert bench.allocatable(name, "aws.amazon.com/neuroncore") == "12"


def test_one_time_in_place_of_the_steps() -> None:
    bench = Bench(registers=lasting(42))
    bench.run()
    bench.until(43.9)
    assert bench.allocatable(NODE) is None
    bench.until(44.1)
    assert bench.allocatable(NODE) == "4"


@pytest.mark.parametrize(
    ("sharing", "shown"),
    [
        (Sharing(mode="time-slicing", replicas=10), {GPU: "40"}),
        (Sharing(mode="time-slicing", replicas=10, rename=True), {"nvidia.com/gpu.shared": "40"}),
        (Sharing(mode="mig", strategy="mixed", profiles={"1g.5gb": 7}), {GPU: "4"}),
    ],
    ids=["time-slicing", "renamed", "no MIG on an A10G"],
)
def test_what_a_shared_node_shows(sharing: Sharing, shown: dict[str, str]) -> None:
    """Source: k8s-device-plugin, Shared Access to GPUs; MIG user guide: an A10G cannot be cut."""
    bench = Bench(sharing=sharing)
    name = bench.join()
    found = {k: v for k, v in bench.node(name).status.allocatable.items() if k.startswith("nvidia.com/")}
    assert found == shown


def test_sharing_goes_by_the_nodes_labels() -> None:
    slices = Sharing(mode="time-slicing", replicas=2)
    bench = Bench(shared=((LabelSelector({"node-type": "shared"}), slices),))
    assert bench.allocatable(bench.join(labels={"node-type": "shared"})) == "8"
    assert bench.allocatable(bench.join()) == "4"


# Startup taints


@pytest.mark.parametrize(
    ("settings", "gone_at"), [({}, 12), ({CILIUM.key: lasting(30)}, 32), ({CILIUM.key: None}, None)]
)
def test_an_owner_removes_its_startup_taint(settings: dict[str, Any], gone_at: float | None) -> None:
    """Source: Karpenter, startupTaints are removed by their owners; 10 s after Ready by default."""
    bench = Bench(durations=fixed(startup_taint=10), startup_taints=settings)
    bench.run(startup=[CILIUM])
    if gone_at is not None:
        bench.until(gone_at - 0.1)
        assert CILIUM in bench.node(NODE).spec.taints
        bench.until(gone_at + 0.1)
        assert CILIUM not in bench.node(NODE).spec.taints
        assert bench.when("startup-taint-removed") == [gone_at]
    else:
        bench.until(3600)
        assert CILIUM in bench.node(NODE).spec.taints


def test_a_startup_taint_that_is_put_back_goes_again() -> None:
    """Source: Karpenter registration adds startup taints that the node does not have."""
    bench = Bench()
    bench.run(startup=[CILIUM])
    bench.until(10)
    node = bench.node(NODE)
    bench.world.store.put(replace(node, spec=replace(node.spec, taints=(*node.spec.taints, CILIUM))))
    bench.until(11)
    assert CILIUM not in bench.node(NODE).spec.taints


def test_a_startup_taint_holds_the_device_stack_back() -> None:
    bench = Bench(durations=fixed(startup_taint=100))
    bench.join(startup=[CILIUM])
    assert bench.allocatable(NODE) is None
    bench.until(120)
    assert bench.allocatable(NODE) == "4"


# The node class


def _class(**spec: Any) -> EC2NodeClass:
    terms = {"subnet_selector_terms": (), "security_group_selector_terms": (), "ami_selector_terms": ()}
    return EC2NodeClass(metadata=ObjectMeta(name="default"), spec=EC2NodeClassSpec(**{**terms, **spec}))


@pytest.mark.parametrize(
    ("spec", "image", "rate"),
    [
        ({"ami_selector_terms": (AMISelectorTerm(alias="al2023@latest"),)}, "al2023-operator", 125 * 2**20),
        ({"ami_selector_terms": (AMISelectorTerm(alias="bottlerocket@v1"),)}, "bottlerocket", 125 * 2**20),
        ({"ami_family": "Bottlerocket"}, "bottlerocket", 125 * 2**20),
        ({"block_device_mappings": (BlockDeviceMapping("/dev/xvda", ebs=BlockDevice(throughput=200)),)}, "al2023-operator", 200 * 2**20),
        ({"block_device_mappings": (BlockDeviceMapping("/dev/sdz", ebs=BlockDevice(throughput=200)),)}, "al2023-operator", 125 * 2**20),
        ({"block_device_mappings": (BlockDeviceMapping("/dev/xvda", ebs=BlockDevice(throughput=1000)),)}, "al2023-operator", 236_000_000),
        ({"instance_store_policy": "RAID0"}, "al2023-operator", 236_000_000),
    ],
)  # fmt: skip
def test_image_and_disk_come_from_the_node_class(spec: dict[str, Any], image: str, rate: int) -> None:
    """Source: AWS provider v1.14 AMI families; gp3 gives 125 MiB/s where nothing is said."""
    bench = Bench(soci=True)
    bench.world.store.put(_class(**spec))
    bench.run()
    bench.until(1)
    host = bench.nodes.host(NODE)
    assert host is not None
    assert (host.image, host.images.bytes_per_s) == (image, rate)


def test_the_settings_say_the_image_before_the_class() -> None:
    bench = Bench(image="al2023-plugin", images={"other": "bottlerocket"})
    bench.world.store.put(_class(ami_family="Bottlerocket"))
    bench.run()
    bench.run(node_class="other")
    bench.until(1)
    found = [bench.nodes.host(name) for name in bench.world.store.all("Node")]
    assert [host.image for host in found if host is not None] == ["al2023-plugin", "bottlerocket"]


# The end


def test_an_instance_that_ends_takes_its_pods_and_leaves_its_node() -> None:
    """Source: kubernetes.io, Nodes: the Node object is for the controllers."""
    bench = Bench(train=job(1000))
    instance = bench.run()
    bench.until(2)
    bench.register(NODE)
    bench.until(60)
    key = bench.pod("p", NODE, does="train", gpus=2)
    bench.until(100)
    bench.end(instance)
    assert bench.data("pod-killed")[0]["why"] == "spot-reclaim"
    (ended,) = bench.data("pod-ended")
    assert (ended["result"], ended["why"], ended["gpus"]) == ("killed", "spot-reclaim", 2)
    assert bench.when("kubelet-stopped", f"Node/{NODE}") == [100]
    bench.delete(key)
    bench.until(1000)
    assert bench.phase(key) == "Running"
    assert bench.node(NODE) is not None
    assert len(bench.when("pod-ended")) == 1


def test_an_instance_that_ends_while_it_boots_never_has_a_node() -> None:
    bench = Bench()
    instance = bench.run()
    bench.until(0.5)
    bench.end(instance)
    bench.until(100)
    assert list(bench.world.store.all("Node")) == []


def test_a_node_that_ends_before_its_devices_come_gets_none() -> None:
    bench = Bench()
    instance = bench.run()
    bench.until(3)
    bench.register(NODE)
    bench.until(5)
    bench.end(instance)
    bench.until(100)
    assert bench.allocatable(NODE) is None
    assert bench.when("gpu-registered") == []


def test_a_machine_is_forgotten_with_its_node() -> None:
    bench = Bench()
    instance = bench.run()
    bench.until(10)
    bench.end(instance)
    assert bench.nodes.host(NODE) is not None
    bench.world.store.remove("Node", NODE)
    assert bench.nodes.host(NODE) is None


def test_a_node_that_was_there_before_takes_pods() -> None:
    bench = Bench(train=job(10))
    room = {"cpu": "4", "memory": "8Gi", "pods": "10", GPU: "1"}
    bench.world.store.put(Node(ObjectMeta(name="old"), status=NodeStatus(room, room)))
    first = bench.pod("a", "old", does="train", gpus=1)
    second = bench.pod("b", "old", does="train", gpus=1)
    bench.until(60)
    assert (bench.phase(first), bench.phase(second)) == ("Succeeded", "Failed UnexpectedAdmissionError")


# Faults


def _death(bench: Bench) -> list[Instance]:
    dead: list[Instance] = []
    bench.nodes.on_death(dead.append)
    return dead


def test_an_instance_dies_at_boot() -> None:
    bench = Bench(faults=(NodeFault(kind="dies-at-boot"),))
    dead = _death(bench)
    instance = bench.run()
    bench.until(100)
    assert dead == [instance]
    assert list(bench.world.store.all("Node")) == []


@pytest.mark.parametrize(
    ("fault", "nodes", "gpus"),
    [
        (NodeFault(kind="never-registers"), 0, None),
        (NodeFault(kind="gpu-never-registers"), 1, None),
        (NodeFault(kind="gpu-missing"), 1, "7"),
        (NodeFault(kind="gpu-missing", missing=3), 1, "5"),
        (NodeFault(kind="gpu-missing", missing=9), 1, "0"),
        (NodeFault(kind="gpu-missing", chance=0.0), 1, "8"),
        (NodeFault(kind="gpu-missing", selector=LabelSelector({"node-type": "other"})), 1, "8"),
        (NodeFault(kind="gpu-missing", selector=LabelSelector({"karpenter.sh/nodepool": "gpu"})), 1, "7"),
    ],
)
def test_faults_of_a_start(fault: NodeFault, nodes: int, gpus: str | None) -> None:
    """A GPU that is not shown on its node, in whole or in part."""
    bench = Bench(faults=(fault,))
    bench.run(machine("p5.48xlarge", 8, "h100", 81920))
    bench.until(3)
    if nodes:
        bench.register(NODE)
    bench.until(100)
    assert len(bench.world.store.all("Node")) == nodes
    if nodes:
        assert bench.allocatable(NODE) == gpus
        assert bench.node(NODE).status.capacity.get(GPU) == gpus


def test_a_fault_holds_from_begin_to_end() -> None:
    bench = Bench()
    fault = NodeFault(kind="gpu-never-registers")
    bench.nodes.begin(fault)
    first = bench.join()
    bench.nodes.end(fault)
    bench.nodes.end(fault)
    second = bench.join()
    assert (bench.allocatable(first), bench.allocatable(second)) == (None, "4")


def test_a_chance_hits_its_share_of_the_nodes_and_the_same_ones_each_time() -> None:
    def missing(seed: int) -> list[str]:
        bench = Bench(seed=seed, faults=(NodeFault(kind="never-registers", chance=0.3),))
        for _ in range(200):
            bench.run()
        bench.until(10)
        return [fact.data["claim"] for fact in bench.world.journal.facts if fact.what == "node-never-registers"]

    assert 40 <= len(missing(1)) <= 80
    assert missing(1) == missing(1) != missing(2)


def test_a_node_that_is_not_ready_for_a_while_reports_so() -> None:
    """Source: kubernetes.io, Node Status."""
    bench = Bench(train=job(1000))
    name = bench.join()
    key = bench.pod("p", name, does="train")
    bench.until(100)
    bench.nodes.not_ready(name, 30_000)
    assert bench.condition(name, "Ready") == ("False", "KubeletNotReady")
    bench.until(130)
    assert bench.condition(name, "Ready") == ("True", "KubeletReady")
    assert bench.when("kubelet-stopped") == []
    assert bench.phase(key) == "Running"


def test_a_silent_kubelet_tells_later_what_happened() -> None:
    """Its pods run on; what it did not hear it does once it is back."""
    bench = Bench(train=job(50), long=job(10_000))
    name = bench.join()
    short, long, doomed = (bench.pod(n, name, does=d) for n, d in (("a", "train"), ("b", "long"), ("c", "long")))
    bench.until(70)
    bench.nodes.not_ready(name, 100_000, silent=True)
    bench.until(80)
    bench.delete(doomed)
    late = bench.pod("d", name, does="train")
    bench.until(169)
    assert [bench.phase(key) for key in (short, long, doomed, late)] == ["Running", "Running", "Running", ""]
    assert bench.when("pod-ended", f"Pod/{short}") == [112.01]
    bench.until(300)
    assert [bench.phase(key) for key in (short, long, doomed, late)] == ["Succeeded", "Running", "gone", "Succeeded"]
    assert bench.when("kubelet-stopped") == [70]
    assert bench.when("kubelet-started") == [170]


def test_after_silence_the_kubelet_sets_right_what_the_node_controller_wrote() -> None:
    """Source: Kubernetes v1.36 node lifecycle: Unknown after 50 s, its pods not ready; the kubelet's status wins again."""
    bench = Bench(train=job(5000))
    NodeLifecycle(bench.world)
    name = bench.join()
    key = bench.pod("p", name, does="train")
    bench.until(100)
    bench.nodes.not_ready(name, 200_000, silent=True)
    bench.until(200)
    assert bench.condition(name, "Ready") == ("Unknown", "NodeStatusUnknown")
    assert not bench.is_ready(key)
    bench.until(310)
    assert bench.condition(name, "Ready") == ("True", "KubeletReady")
    assert bench.node(name).spec.taints == ()
    assert bench.is_ready(key)
    assert [life.key for life in bench.nodes.lives()] == [key]


def test_faults_that_overlap_last_until_the_last_is_over() -> None:
    bench = Bench()
    name = bench.join()
    bench.nodes.not_ready(name, 100_000)
    bench.nodes.not_ready(name, 10_000)
    bench.until(150)
    assert bench.condition(name, "Ready") == ("False", "KubeletNotReady")
    bench.until(161)
    assert bench.condition(name, "Ready") == ("True", "KubeletReady")


def test_matching_lists_ready_nodes() -> None:
    bench = Bench()
    first = bench.join(labels={"node-type": "a"})
    bench.join(labels={"node-type": "b"})
    bench.run(labels={"node-type": "a"})
    assert bench.nodes.matching(LabelSelector({"node-type": "a"})) == [first]
