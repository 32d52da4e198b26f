"""Workloads to pods, with the API's defaults."""

import json

import pytest

from fretsaw.api.expand import INDEX, expand
from fretsaw.api.manifest import parse


def kind(name, version, metadata, spec, **more):
    return {"apiVersion": version, "kind": name, "metadata": metadata, "spec": spec, **more}


def template(restart="Always", **spec):
    return {
        "metadata": {"labels": {"app": "a"}},
        "spec": {"containers": [{"name": "c"}], "restartPolicy": restart, **spec},
    }


def workload(name, kind_name="Deployment", metadata=None, **spec):
    selector = {"matchLabels": {"app": "a"}}
    spec = {"template": template(), "selector": selector, **spec}
    return kind(kind_name, "apps/v1", {"name": name, **(metadata or {})}, spec)


def job(name, metadata=None, status=None, **spec):
    body = {"template": template("Never"), **spec}
    return kind("Job", "batch/v1", {"name": name, **(metadata or {})}, body, **({"status": status} if status else {}))


def pod(name, metadata=None, phase=None, **spec):
    body = kind("Pod", "v1", {"name": name, **(metadata or {})}, {"containers": [{"name": "c"}], **spec})
    return {**body, "status": {"phase": phase}} if phase else body


def owned(kind_name, name, uid=""):
    return {"ownerReferences": [{"kind": kind_name, "name": name, "uid": uid, "controller": True}]}


def run(*objects):
    manifests = parse("\n".join(json.dumps(obj) for obj in objects))
    assert manifests.errors == ()
    return expand(manifests)


def names(*objects):
    return [pod.key for pod in run(*objects).pods]


@pytest.mark.parametrize(
    ("objects", "expected"),
    [
        ([workload("web", replicas=2)], ["default/web-0", "default/web-1"]),
        ([workload("web")], ["default/web-0"]),
        ([workload("web", replicas=0)], []),
        ([workload("web", metadata={"namespace": "ml"})], ["ml/web-0"]),
        ([workload("rs", "ReplicaSet", replicas=2)], ["default/rs-0", "default/rs-1"]),
        ([workload("db", "StatefulSet", replicas=2, ordinals={"start": 5})], ["default/db-5", "default/db-6"]),
        ([job("j")], ["default/j-0"]),
        ([job("j", parallelism=3, completions=2)], ["default/j-0", "default/j-1"]),
        ([job("j", parallelism=2, completions=9)], ["default/j-0", "default/j-1"]),
        ([job("j", parallelism=3)], ["default/j-0", "default/j-1", "default/j-2"]),
        ([job("j", completions=3)], ["default/j-0"]),
        ([job("j", parallelism=0)], []),
        ([job("j", suspend=True)], []),
        ([job("j", parallelism=4, completions=4, status={"succeeded": 3})], ["default/j-0"]),
        ([job("j", status={"completionTime": "2026-01-01T00:00:00Z"})], []),
        (
            [
                kind(
                    "CronJob",
                    "batch/v1",
                    {"name": "c"},
                    {"schedule": "@daily", "jobTemplate": {"spec": job("x", parallelism=2)["spec"]}},
                )
            ],
            ["default/c-0", "default/c-1"],
        ),
        (
            [kind("ReplicationController", "v1", {"name": "rc"}, {"replicas": 1, "template": template()})],
            ["default/rc-0"],
        ),
        ([pod("p"), pod("q", {"namespace": "ml"})], ["default/p", "ml/q"]),
        (
            [pod("done", phase="Succeeded"), pod("broken", phase="Failed"), pod("runs", phase="Running")],
            ["default/runs"],
        ),
    ],
)
def test_pods_of_a_workload(objects, expected):
    assert names(*objects) == expected


def test_a_live_snapshot_is_not_counted_twice():
    objects = [
        workload("web", metadata={"uid": "u1"}, replicas=3),
        workload("web-abc", "ReplicaSet", metadata={"uid": "u2", **owned("Deployment", "web", "u1")}, replicas=3),
        workload("web-old", "ReplicaSet", metadata=owned("Deployment", "web", "u1"), replicas=0),
        pod("web-abc-1", owned("ReplicaSet", "web-abc", "u2"), "Running", nodeName="n"),
        pod("web-abc-2", owned("ReplicaSet", "gone", "u2"), "Running", nodeName="n"),
        pod("web-abc-3", owned("ReplicaSet", "web-abc", "u2"), "Failed"),
    ]
    assert names(*objects) == ["default/web-0", "default/web-abc-1", "default/web-abc-2"]


def test_terminating_pods_are_replaced():
    leaving = {"deletionTimestamp": "2026-01-01T00:00:00Z", **owned("ReplicaSet", "web")}
    assert names(workload("web", "ReplicaSet"), pod("web-x", leaving)) == ["default/web-0", "default/web-x"]


def test_pods_of_other_namespaces_and_owners_do_not_count():
    stranger = pod("x", {"namespace": "other", **owned("Deployment", "web")})
    assert names(workload("web", replicas=1), stranger) == ["default/web-0", "other/x"]


def test_names_stay_unique():
    assert names(pod("web-0"), workload("web", replicas=2), job("web")) == [
        "default/web-0",
        "default/web-1",
        "default/web-2",
        "default/web-3",
    ]
    assert names(workload("db", replicas=1), workload("db", "StatefulSet", replicas=2)) == [
        "default/db-2",
        "default/db-0",
        "default/db-1",
    ]


def test_owners_in_a_circle_end():
    first = workload("a", metadata=owned("ReplicaSet", "b"))
    second = workload("b", "ReplicaSet", metadata=owned("Deployment", "a"))
    assert names(first, second, pod("p", owned("ReplicaSet", "b"))) == ["default/p"]


def test_a_pod_with_only_a_generate_name_gets_a_name():
    unnamed = kind("Pod", "v1", {"generateName": "run-"}, {"containers": [{"name": "c"}]})
    assert names(unnamed, unnamed) == ["default/run-0", "default/run-1"]


def test_replicas_share_spec_and_labels():
    pods = run(workload("web", replicas=3)).pods
    assert len({id(pod.spec) for pod in pods}) == 1
    assert len({id(pod.metadata.labels) for pod in pods}) == 1
    assert pods[0].metadata.controller.name == "web"


def test_stateful_sets_bring_their_claims():
    claim = {
        "metadata": {"name": "data"},
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "storageClassName": "gp3",
            "resources": {"requests": {"storage": "1Gi"}},
        },
    }
    given = kind("PersistentVolumeClaim", "v1", {"name": "data-db-0"}, {**claim["spec"], "volumeName": "pv-7"})
    got = run(workload("db", "StatefulSet", replicas=2, volumeClaimTemplates=[claim]), given)
    assert [(c.metadata.namespace, c.name, c.spec.volume_name, c.status.phase) for c in got.claims] == [
        ("default", "data-db-0", "pv-7", ""),
        ("default", "data-db-1", "", "Pending"),
    ]
    assert [pod.spec.volumes[0].persistent_volume_claim.claim_name for pod in got.pods] == ["data-db-0", "data-db-1"]


def test_indexed_jobs_number_their_pods():
    pods = run(job("j", parallelism=2, completions=2, completionMode="Indexed")).pods
    assert [pod.metadata.annotations for pod in pods] == [{INDEX: "0"}, {INDEX: "1"}]
    assert pods[0].metadata.labels == {"app": "a", "batch.kubernetes.io/job-name": "j", "job-name": "j"}


def test_daemon_sets_stay_whole():
    daemon = workload(
        "agent", "DaemonSet", template=template(containers=[{"name": "c", "resources": {"limits": {"cpu": "1"}}}])
    )
    got = run(daemon)
    assert got.pods == ()
    assert got.daemon_sets[0].spec.template.spec.containers[0].resources.requests == {"cpu": "1"}
    assert got.daemon_sets[0].metadata.namespace == "default"


def test_limits_stand_in_for_requests():
    resources = {"requests": {"cpu": "1"}, "limits": {"cpu": "2", "nvidia.com/gpu": 1}}
    spec = {
        "containers": [{"name": "c", "resources": resources}, {"name": "d"}],
        "initContainers": [{"name": "i", "resources": {"limits": {"memory": "1Gi"}}}],
    }
    (pod_,) = run(pod("p", **spec)).pods
    assert pod_.spec.containers[0].resources.requests == {"cpu": "1", "nvidia.com/gpu": 1}
    assert pod_.spec.containers[1].resources.requests == {}
    assert pod_.spec.init_containers[0].resources.requests == {"memory": "1Gi"}


@pytest.mark.parametrize(
    ("resources", "containers", "init", "requests"),
    [
        ({"limits": {"cpu": "4"}}, [{}, {}], [], {"cpu": "4"}),
        ({"limits": {"cpu": "4"}}, [{"cpu": "1"}, {"cpu": "500m"}], [], {"cpu": "1500m"}),
        ({"limits": {"cpu": "4"}}, [{"cpu": "1"}], [{"cpu": "3"}], {"cpu": "3"}),
        ({"limits": {"cpu": "4"}, "requests": {"cpu": "2"}}, [{"cpu": "1"}], [], {"cpu": "2"}),
        ({"requests": {"cpu": "2"}}, [{"memory": "1Gi"}], [], {"cpu": "2"}),
    ],
)
def test_pod_level_limits(resources, containers, init, requests):
    def made(prefix, amounts):
        return [{"name": f"{prefix}{n}", "resources": {"requests": amount}} for n, amount in enumerate(amounts)]

    (got,) = run(pod("p", resources=resources, containers=made("c", containers), initContainers=made("i", init))).pods
    assert got.spec.resources.requests == requests


def test_priority_and_runtime_classes_are_applied():
    high = {"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass", "metadata": {"name": "high"}, "value": 9}
    usual = {**high, "metadata": {"name": "usual"}, "value": 3, "globalDefault": True}
    runtime = {
        "apiVersion": "node.k8s.io/v1",
        "kind": "RuntimeClass",
        "metadata": {"name": "kata"},
        "handler": "kata",
        "overhead": {"podFixed": {"memory": "120Mi"}},
        "scheduling": {"nodeSelector": {"kata": "true"}, "tolerations": [{"key": "kata", "operator": "Exists"}]},
    }
    pods = run(
        high,
        usual,
        runtime,
        pod("a", priorityClassName="high", runtimeClassName="kata"),
        pod("b"),
        pod("c", priority=1),
        pod("d", priorityClassName="system-node-critical"),
    ).pods
    assert [p.spec.priority for p in pods] == [9, 3, 1, 2_000_001_000]
    assert pods[0].spec.overhead == {"memory": "120Mi"}
    assert pods[0].spec.node_selector == {"kata": "true"}
    assert [t.key for t in pods[0].spec.tolerations] == ["kata"]


def test_objects_with_errors_are_left_out():
    bad = pod("bad", tolerations=[{"operator": "Exist"}])
    manifests = parse(json.dumps(bad) + json.dumps(pod("good")))
    assert [p.key for p in expand(manifests).pods] == ["default/good"]
