"""Volumes: the zones in which they can be reached, the slots that they take, and what makes a claim unusable."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from fretsaw.api.pod import Pod
from fretsaw.api.storage import PersistentVolume, PersistentVolumeClaim, StorageClass
from fretsaw.engine.volumes import Storage
from support import builders as b
from support.kube import HOSTNAME, ZONE

BOUND = {"pv.kubernetes.io/bind-completed": "yes"}


def claim(
    name: str = "data", *, volume: str = "", of_class: str | None = "disk", phase: str = "", **head: Any
) -> dict[str, Any]:
    spec: dict[str, Any] = {"volumeName": volume} if volume else {}
    if of_class is not None:
        spec["storageClassName"] = of_class
    return {"metadata": {"name": name, "namespace": "default", **head}, "spec": spec, "status": {"phase": phase}}


def volume(
    *terms: list[dict[str, Any]], name: str = "pv", source: dict[str, Any] | None = None, **head: Any
) -> dict[str, Any]:
    body: dict[str, Any] = {**(source or {"csi": {"driver": "ebs.csi.aws.com"}})}
    if terms:
        body["nodeAffinity"] = {"required": {"nodeSelectorTerms": [{"matchExpressions": t} for t in terms]}}
    return {"metadata": {"name": name, **head}, "spec": body}


def storage_class(
    *zones: list[str], name: str = "disk", mode: str = "WaitForFirstConsumer", driver: str = "ebs.csi.aws.com"
) -> dict[str, Any]:
    terms = [{"matchLabelExpressions": [{"key": ZONE, "values": z}]} for z in zones]
    return {"metadata": {"name": name}, "provisioner": driver, "volumeBindingMode": mode, "allowedTopologies": terms}


def storage(claims: Any = (), volumes: Any = (), classes: Any = ()) -> Storage:
    return Storage.of(
        [msgspec.convert(c, PersistentVolumeClaim) for c in claims],
        [msgspec.convert(v, PersistentVolume) for v in volumes],
        [msgspec.convert(s, StorageClass) for s in classes],
    )


def pod(*names: str, ephemeral: bool = False) -> Pod:
    listed = [{"name": n, "persistentVolumeClaim": {"claimName": n}} for n in names]
    listed += [{"name": "scratch", "ephemeral": {}}] if ephemeral else []
    return msgspec.convert(b.pod("p", volumes=[{"name": "cfg"}, *listed]), Pod)


def ways(known: Storage, one: Pod) -> list[str]:
    return [str(a) for a in known.alternatives("p", "default", one.spec)]


A, B = [b.need(ZONE, "In", "z-a")], [b.need(ZONE, "In", "z-b")]


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        pytest.param(volume(), [""], id="a volume that can be reached from anywhere"),
        pytest.param(volume(A), [f"{ZONE} In [z-a]"], id="from one zone"),
        pytest.param(volume(A, B), [f"{ZONE} In [z-a]", f"{ZONE} In [z-b]"], id="terms are alternatives"),
        pytest.param(volume([b.need("failure-domain.beta.kubernetes.io/zone", "In", "z-a")]), [f"{ZONE} In [z-a]"], id="under an old name of the label"),
        pytest.param(volume([*A, b.need(HOSTNAME, "In", "n")], source={"local": {"path": "/d"}}), [f"{ZONE} In [z-a]"], id="a local volume's host does not count"),
        pytest.param(volume([b.need(HOSTNAME, "In", "n")], source={"hostPath": {"path": "/d"}}), [""], id="so a term about the host alone allows all"),
    ],
)  # fmt: skip
def test_a_bound_claim_goes_where_its_volume_is(spec: dict[str, Any], expected: list[str]) -> None:
    assert ways(storage([claim(volume="pv")], [spec]), pod("data")) == expected


def test_a_network_volume_may_be_tied_to_a_host() -> None:
    known = storage([claim(volume="pv")], [volume([b.need(HOSTNAME, "In", "n")])])
    (only,) = known.alternatives("p", "default", pod("data").spec)
    assert [str(r) for r in only] == [f"{HOSTNAME} In [n]"]


def test_an_unbound_claim_goes_where_its_class_can_make_a_volume() -> None:
    known = storage([claim()], classes=[storage_class(["z-a", "z-b"], ["z-c"])])
    assert ways(known, pod("data")) == [f"{ZONE} In [z-a z-b]", f"{ZONE} In [z-c]"]
    assert ways(storage([claim()], classes=[storage_class()]), pod("data")) == [""]


def test_several_volumes_have_to_be_reached_from_one_node() -> None:
    known = storage(
        [claim("one", volume="v1"), claim("two", of_class="wide")],
        [volume(A, B, name="v1")],
        [storage_class(["z-b", "z-c"], ["z-a"], name="wide")],
    )
    assert ways(known, pod("one", "two")) == [f"{ZONE} In [z-a]", f"{ZONE} In [z-b]"]


def test_volumes_without_a_common_zone_keep_their_impossible_ways() -> None:
    known = storage(
        [claim("one", volume="v1"), claim("two", volume="v2")], [volume(A, name="v1"), volume(B, name="v2")]
    )
    assert ways(known, pod("one", "two")) == [f"{ZONE} DoesNotExist"]


def test_an_ephemeral_volume_has_the_claim_named_after_pod_and_volume() -> None:
    known = storage([claim("p-scratch")], classes=[storage_class(["z-a"])])
    assert ways(known, pod(ephemeral=True)) == [f"{ZONE} In [z-a]"]
    assert known.attachments("p", "default", pod(ephemeral=True).spec) == (("ebs.csi.aws.com", "default/p-scratch"),)


@pytest.mark.parametrize(
    ("known", "driver"),
    [
        pytest.param(storage([claim(volume="pv")], [volume()]), "ebs.csi.aws.com", id="the volume's driver"),
        pytest.param(storage([claim(volume="pv")], [volume(source={"awsElasticBlockStore": {"volumeID": "v"}})]), "ebs.csi.aws.com", id="the old plugin's successor"),
        pytest.param(storage([claim()], classes=[storage_class(driver="kubernetes.io/aws-ebs")]), "ebs.csi.aws.com", id="also by the class"),
        pytest.param(storage([claim()], classes=[storage_class(driver="efs.csi.aws.com")]), "efs.csi.aws.com", id="the class's driver"),
        pytest.param(storage([claim(volume="pv")], [volume(source={"hostPath": {"path": "/d"}})]), "", id="a path takes no slot"),
        pytest.param(storage([claim(volume="pv")]), "", id="a volume that is not there"),
        pytest.param(storage([claim()]), "", id="a class that is not there"),
        pytest.param(storage(), "", id="a claim that is not there"),
    ],
)  # fmt: skip
def test_which_driver_a_claim_takes_a_slot_of(known: Storage, driver: str) -> None:
    expected = ((driver, "default/data"),) if driver else ()
    assert known.attachments("p", "default", pod("data").spec) == expected


def test_one_claim_used_twice_takes_one_slot() -> None:
    known = storage([claim()], classes=[storage_class()])
    assert len(known.attachments("p", "default", pod("data", "data").spec)) == 1


@pytest.mark.parametrize(
    ("known", "why"),
    [
        pytest.param(storage(), "does not exist", id="no claim"),
        pytest.param(storage([claim(deletionTimestamp="2026-01-01T00:00:00Z")], classes=[storage_class()]), "is being deleted", id="a claim that goes"),
        pytest.param(storage([claim(phase="Lost", volume="pv", annotations=BOUND)], [volume()]), "has lost its volume", id="a lost claim"),
        pytest.param(storage([claim(volume="pv", annotations=BOUND)]), 'bound to "pv", which does not exist', id="no volume"),
        pytest.param(storage([claim(volume="pv", annotations=BOUND)], [volume(deletionTimestamp="2026-01-01T00:00:00Z")]), "is being deleted", id="a volume that goes"),
        pytest.param(storage([claim(volume="pv")], [volume()]), "is not bound yet", id="named but not bound"),
        pytest.param(storage([claim(of_class="")]), "names no storage class", id="no class"),
        pytest.param(storage([claim()]), 'StorageClass "disk" of', id="an unknown class"),
        pytest.param(storage([claim()], classes=[storage_class(mode="Immediate")]), "binds Immediate", id="a class that does not wait"),
        pytest.param(storage([claim()], classes=[storage_class()]), None, id="an unbound claim of a class that waits"),
        pytest.param(storage([claim(volume="pv", annotations=BOUND)], [volume()]), None, id="a bound claim"),
    ],
)  # fmt: skip
def test_what_makes_a_claim_unusable(known: Storage, why: str | None) -> None:
    found = known.refusal(pod("data"))
    if why is None:
        assert found is None
    else:
        assert found is not None
        assert why in found[0]
        assert found[1] == "pod spec.volumes[1]"
