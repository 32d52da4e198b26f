"""A cluster as manifests: alone, with files on top, and what of it is not planned."""

from __future__ import annotations

from typing import Any

import pytest

from fretsaw import planner
from fretsaw.api.manifest import Manifests
from fretsaw.live.objects import alone, as_it_is, manifests_of, over, region_of
from fretsaw.live.reading import Reading
from support.builders import catalog, machine, named, node, pod, pool, running

SOLD = catalog(machine("m", "4", "8Gi", 1.0))


def cluster(*objects: dict[str, Any]) -> Manifests:
    """A live cluster of these objects."""
    trees: dict[str, list[dict[str, Any]]] = {}
    for obj in objects:
        trees.setdefault(obj["kind"], []).append(obj)
    return manifests_of(Reading("s", "v", 0, {kind: tuple(held) for kind, held in trees.items()}))


def files(*objects: dict[str, Any]) -> Manifests:
    """Files with these objects."""
    return planner.from_objects(objects)


def names(manifests: Manifests) -> list[str]:
    """`Kind/name` of all, sorted."""
    return sorted(document.object for document in manifests.documents)


def with_uid(obj: dict[str, Any], **more: Any) -> dict[str, Any]:
    """The object as a server has it."""
    return {**obj, "metadata": {**obj["metadata"], "uid": "u-1"}, **more}


def job(*conditions: str) -> dict[str, Any]:
    """A Job of one pod with these conditions true."""
    body = {"template": {"spec": pod("x")["spec"]}}
    status = {"conditions": [{"type": one, "status": "True"} for one in conditions]}
    return named("Job", "batch/v1", "job", body, namespace="default") | {"status": status}


def cron_job() -> dict[str, Any]:
    """A CronJob."""
    body = {"schedule": "0 * * * *", "jobTemplate": {"spec": {"template": {"spec": pod("x")["spec"]}}}}
    return named("CronJob", "batch/v1", "cron", body, namespace="default")


def deployment(replicas: int) -> dict[str, Any]:
    """A Deployment."""
    labels = {"app": "web"}
    template = {"metadata": {"labels": labels}, "spec": pod("x")["spec"]}
    body = {"replicas": replicas, "selector": {"matchLabels": labels}, "template": template}
    return named("Deployment", "apps/v1", "web", body, namespace="default")


def owned(one: dict[str, Any], kind: str, name: str) -> dict[str, Any]:
    """The pod as one of that owner's."""
    owner = {"apiVersion": "apps/v1", "kind": kind, "name": name, "uid": "u-9", "controller": True}
    return {**one, "metadata": {**one["metadata"], "ownerReferences": [owner]}}


def test_a_file_stands_for_the_object_of_its_name_and_adds_others() -> None:
    live = cluster(pool("gpu"), pool("cpu"), node("n"))
    both = over(live, files(pool("gpu", weight=7), pool("new")))
    assert names(both) == ["Node/n", "NodePool/cpu", "NodePool/gpu", "NodePool/new"]
    weights = {obj.name: obj.spec.weight for obj in both.objects("NodePool")}
    assert weights == {"gpu": 7, "cpu": None, "new": None}


def test_a_namespace_that_is_left_out_is_the_default_one() -> None:
    bare = deployment(5)
    del bare["metadata"]["namespace"]
    both = over(cluster(deployment(1)), files(bare))
    assert [obj.spec.replicas for obj in both.objects("Deployment")] == [5]


def test_a_pod_that_runs_stays_where_it_is_when_its_file_is_applied() -> None:
    both = over(cluster(running("p", "n")), files(pod("p"), pod("q")))
    assert {obj.name: obj.spec.node_name for obj in both.objects("Pod")} == {"p": "n", "q": ""}


def test_more_replicas_in_a_file_are_more_pods_beside_those_that_run() -> None:
    live = cluster(node("n", cpu="1"), pool(), deployment(1), owned(running("web-x", "n"), "Deployment", "web"))
    sold = planner.msgspec.convert(SOLD, planner.Catalog)
    assert planner.plan(live, sold).pods == 0
    answer = planner.plan(over(live, files(deployment(3))), sold)
    assert sorted(pod for launch in answer.launches for pod in launch.pods) == ["default/web-0", "default/web-1"]


def test_a_node_class_of_a_file_keeps_what_aws_has_for_it() -> None:
    def node_class(role: str) -> dict[str, Any]:
        spec = {
            "role": role,
            "amiSelectorTerms": [{"alias": "al2023@latest"}],
            "subnetSelectorTerms": [{"tags": {"a": "b"}}],
            "securityGroupSelectorTerms": [{"tags": {"a": "b"}}],
        }
        return named("EC2NodeClass", "karpenter.k8s.aws/v1", "default", spec)

    status = {"subnets": [{"id": "subnet-1", "zone": "eu-west-1b"}]}
    both = over(cluster(node_class("old") | {"status": status}), files(node_class("new")))
    (document,) = both.of("EC2NodeClass")
    assert (document.raw["spec"]["role"], document.raw["status"]) == ("new", status)


@pytest.mark.parametrize(
    ("obj", "kept"),
    [
        pytest.param(cron_job(), True, id="a CronJob of a file is one run"),
        pytest.param(with_uid(cron_job()), False, id="a cluster makes the runs of its CronJobs itself"),
        pytest.param(job("Failed"), True, id="a Job of a file is to run"),
        pytest.param(with_uid(job()), True, id="a Job that runs"),
        pytest.param(with_uid(job("Suspended")), True, id="a Job with another condition"),
        pytest.param(with_uid(job("Failed")), False, id="a Job that failed"),
        pytest.param(with_uid(job("Complete")), False, id="a Job that is done"),
        pytest.param(with_uid(deployment(1)), True, id="a Deployment"),
    ],
)
def test_what_is_over_or_not_due_is_not_planned(obj: dict[str, Any], kept: bool) -> None:
    assert bool(as_it_is(files(obj)).documents) is kept


@pytest.mark.parametrize(
    ("objects", "region"),
    [
        ([], None),
        ([node("a", zone="eu-west-1b"), node("b", zone="eu-west-1a")], "eu-west-1"),
        ([node("a", zone="z", labels={"topology.kubernetes.io/region": "us-west-2"})], "us-west-2"),
        ([node("a", zone="eu-west-1b"), node("b", zone="us-east-1a")], None),
        ([{"apiVersion": "karpenter.k8s.aws/v1", "kind": "EC2NodeClass", "metadata": {"name": "c"}, "spec": {}, "status": {"subnets": [{"id": "s", "zone": "eu-west-1b"}]}}], "eu-west-1"),
    ],
    ids=["nothing", "zones", "label", "two", "subnets"],
)  # fmt: skip
def test_the_region_is_where_the_nodes_or_the_subnets_are(objects: list[dict[str, Any]], region: str | None) -> None:
    assert region_of(files(*objects)) == region


def test_a_pod_alone_waits_without_nodes_and_others() -> None:
    live = cluster(node("n"), pool(), running("p", "n"), running("q", "n"), deployment(2))
    found = alone(live, "default/p")
    assert names(found) == ["NodePool/main", "Pod/p"]
    assert found.objects("Pod")[0].spec.node_name == ""
    assert live.objects("Pod")[0].spec.node_name == "n"
