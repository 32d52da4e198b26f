"""Volumes: attached to one node at a time, mounted before the containers start, freed when their pod ends."""

from __future__ import annotations

import pytest

from fretsaw.api.labels import ZONE
from fretsaw.api.meta import ObjectMeta
from fretsaw.api.node import VolumeAttachment
from fretsaw.api.pod import ClaimVolume, Volume, VolumeClaimSpec
from fretsaw.api.storage import (
    CSIVolumeSource,
    PersistentVolume,
    PersistentVolumeClaim,
    PersistentVolumeSpec,
    StorageClass,
)
from fretsaw.sim.behavior import Behavior
from support.kubelets import Bench, fixed

EBS, EFS = "ebs.csi.aws.com", "efs.csi.aws.com"


def _bench() -> Bench:
    times = fixed(attach=10, detach=5, mount=2, forced_detach=360, container_start=0, pull_start=0)
    return Bench(durations=times, serve=Behavior(image_bytes=0))


def _volume(bench: Bench, name: str, driver: str = EBS) -> tuple[Volume, ...]:
    """A bound claim of that name; the volume of a pod."""
    store = bench.world.store
    source = CSIVolumeSource(driver, f"vol-{name}")
    store.put(PersistentVolume(ObjectMeta(name=f"pv-{name}"), spec=PersistentVolumeSpec(csi=source)))
    store.put(
        PersistentVolumeClaim(ObjectMeta(name=name, namespace="default"), VolumeClaimSpec(volume_name=f"pv-{name}"))
    )
    return (Volume(name, ClaimVolume(name)),)


def _attached(bench: Bench) -> list[tuple[str | None, str, bool]]:
    found: list[VolumeAttachment] = list(bench.world.store.all("VolumeAttachment").values())
    return [(one.spec.source.persistent_volume_name, one.spec.node_name, one.status.attached) for one in found]


@pytest.mark.parametrize(("driver", "runs"), [(EBS, 70.01), (EFS, 62.01)])
def test_containers_wait_for_the_volume(driver: str, runs: float) -> None:
    """Source: EBS CSI driver, attach and mount 5 to 30 s; a file system is only mounted."""
    bench = _bench()
    key = bench.pod("p", bench.join(), does="serve", volumes=_volume(bench, "data", driver))
    bench.until(200)
    assert bench.when("pod-running") == [runs]
    assert bench.phase(key) == "Running"


def test_the_attachment_is_an_object_that_goes_with_the_pod() -> None:
    """Source: Karpenter v1.14, node termination waits for VolumeAttachments."""
    bench = _bench()
    name = bench.join()
    key = bench.pod("p", name, does="serve", volumes=_volume(bench, "data"))
    bench.until(65)
    assert _attached(bench) == [("pv-data", name, False)]
    bench.until(100)
    assert _attached(bench) == [("pv-data", name, True)]
    bench.delete(key)
    bench.until(106)
    assert _attached(bench) == [("pv-data", name, True)]
    bench.until(107)
    assert _attached(bench) == []


def test_a_second_node_waits_for_the_first() -> None:
    """Source: kubernetes.io, Persistent Volumes: ReadWriteOnce; the Multi-Attach error."""
    bench = _bench()
    one, two = bench.join(), bench.join()
    first = bench.pod("a", one, does="serve", volumes=_volume(bench, "data"))
    bench.until(150)
    second = bench.pod("b", two, does="serve", volumes=(Volume("v", ClaimVolume("data")),))
    bench.until(200)
    pod = bench.get(second)
    assert pod is not None
    assert pod.status.phase == "Pending"
    assert [(d["has"], d["wants"]) for d in bench.data("multi-attach", second)] == [(one, two)]
    bench.delete(first)
    bench.until(300)
    stopped = 201.01
    assert bench.when("pod-running", f"Pod/{second}") == [pytest.approx(stopped + 5 + 10)]
    assert _attached(bench) == [("pv-data", two, True)]


def test_pods_of_one_node_share_it() -> None:
    bench = _bench()
    name = bench.join()
    volumes = _volume(bench, "data")
    first, second = (bench.pod(n, name, does="serve", volumes=volumes) for n in "ab")
    bench.until(100)
    assert bench.when("pod-running") == [70.01, 70.01]
    bench.delete(first)
    bench.until(200)
    assert _attached(bench) == [("pv-data", name, True)]
    assert bench.phase(second) == "Running"
    third = bench.pod("c", name, does="serve", volumes=volumes)
    bench.until(203)
    assert bench.when("pod-running", f"Pod/{third}") == [202.01]


def test_a_volume_of_a_vanished_node_is_freed_by_force() -> None:
    """Source: kube-controller-manager, maxWaitForUnmountDuration: six minutes."""
    bench = _bench()
    instance = bench.run()
    one = "ip-10-0-0-1.ec2.internal"
    bench.until(2)
    bench.register(one)
    two = bench.join()
    bench.pod("a", one, does="serve", volumes=_volume(bench, "data"))
    bench.until(150)
    bench.end(instance)
    second = bench.pod("b", two, does="serve", volumes=(Volume("v", ClaimVolume("data")),))
    bench.until(509)
    assert bench.when("pod-running", f"Pod/{second}") == []
    bench.until(600)
    assert bench.when("pod-running", f"Pod/{second}") == [520]


def test_a_pod_that_goes_while_it_waits_leaves_the_queue() -> None:
    bench = _bench()
    one, two = bench.join(), bench.join()
    first = bench.pod("a", one, does="serve", volumes=_volume(bench, "data"))
    bench.until(150)
    waiting = bench.pod("b", two, does="serve", volumes=(Volume("v", ClaimVolume("data")),))
    bench.until(160)
    bench.delete(waiting)
    bench.delete(first)
    bench.until(300)
    assert _attached(bench) == []
    assert [bench.phase(key) for key in (first, waiting)] == ["gone", "gone"]


def test_a_pod_that_goes_while_its_volume_attaches_frees_it() -> None:
    bench = _bench()
    name = bench.join()
    key = bench.pod("a", name, does="serve", volumes=_volume(bench, "data"))
    bench.until(62)
    bench.delete(key)
    bench.until(100)
    assert _attached(bench) == []
    again = bench.pod("b", name, does="serve", volumes=(Volume("v", ClaimVolume("data")),))
    bench.until(200)
    assert bench.when("pod-running", f"Pod/{again}") == [110.01]


def test_several_volumes_come_side_by_side_and_a_missing_claim_is_left_out() -> None:
    bench = _bench()
    volumes = (*_volume(bench, "data"), *_volume(bench, "models", EFS), Volume("x", ClaimVolume("nowhere")))
    bench.pod("a", bench.join(), does="serve", volumes=volumes)
    bench.until(200)
    assert bench.when("pod-running") == [70.01]


def test_an_unbound_claim_goes_by_its_class() -> None:
    bench = _bench()
    bench.world.store.put(StorageClass(ObjectMeta(name="gp3"), EBS, "WaitForFirstConsumer"))
    bench.world.store.put(
        PersistentVolumeClaim(ObjectMeta(name="data", namespace="default"), VolumeClaimSpec(storage_class_name="gp3"))
    )
    bench.pod("a", bench.join(), does="serve", volumes=(Volume("v", ClaimVolume("data")),))
    bench.until(200)
    assert bench.when("pod-running") == [70.01]
    assert _attached(bench) == []
    assert ZONE in bench.node("ip-10-0-0-1.ec2.internal").metadata.labels


def test_a_volume_that_is_wanted_back_while_it_is_being_detached_stays() -> None:
    bench = _bench()
    name = bench.join()
    first = bench.pod("a", name, does="serve", volumes=_volume(bench, "data"))
    bench.until(100)
    bench.delete(first)
    bench.until(103)
    second = bench.pod("b", name, does="serve", volumes=(Volume("v", ClaimVolume("data")),))
    bench.until(200)
    assert bench.when("pod-running", f"Pod/{second}") == [105.01]
    assert _attached(bench) == [("pv-data", name, True)]
