"""Rules of core objects that placement depends on, each case as the one problem it causes."""

import msgspec
import pytest

from fretsaw.api.manifest import parse


def found(version, kind, body):
    document = {"apiVersion": version, "kind": kind, "metadata": {"name": "x"}, **body}
    return [
        (p.path, p.message, p.seen, p.severity)
        for p in parse(msgspec.json.encode(document)).problems
        if p.by == "rule" or p.severity == "error"
    ]


def of_pod(**spec):
    return found("v1", "Pod", {"spec": {"containers": [{"name": "c"}], **spec}})


def of_resources(**resources):
    return [
        (path.removeprefix("spec.containers[0].resources."), message, seen, severity)
        for path, message, seen, severity in of_pod(containers=[{"name": "c", "resources": resources}])
    ]


GPU = "nvidia.com/gpu"


@pytest.mark.parametrize(
    ("resources", "problems"),
    [
        ({"requests": {"cpu": "1"}, "limits": {"cpu": "1000m"}}, []),
        ({"limits": {GPU: 1}}, []),
        ({"requests": {GPU: 1}, "limits": {GPU: "1"}}, []),
        ({"requests": {"cpu": "500M"}}, [("requests[cpu]", "asks for 500000000 cores", '"500M"', "warning")]),
        ({"requests": {"memory": "128m"}}, [("requests[memory]", "a fraction of a byte", '"128m"', "warning")]),
        ({"requests": {"cpu": "1.0001"}}, [("requests[cpu]", "finer than 1m", '"1.0001"', "error")]),
        ({"requests": {"memory": "1GB"}}, [("requests[memory]", "not a quantity", '"1GB"', "error")]),
        ({"limits": {"memory": "-1Gi"}}, [("limits[memory]", "must not be negative", '"-1Gi"', "error")]),
        (
            {"requests": {"cpu": 2}, "limits": {"cpu": 1}},
            [("requests[cpu]", "more than its limit", "request 2, limit 1", "error")],
        ),
        (
            {"requests": {GPU: 1}, "limits": {GPU: 2}},
            [(f"requests[{GPU}]", "must equal its limit", "request 1, limit 2", "error")],
        ),
        ({"requests": {GPU: 1}}, [(f"limits[{GPU}]", "missing: this resource needs a limit", "", "error")]),
        ({"limits": {GPU: "500m"}}, [(f"limits[{GPU}]", "must be a whole number", '"500m"', "error")]),
        ({"limits": {"gpu": 1}}, [("limits[gpu]", "not a resource that a container can ask for", '"gpu"', "error")]),
        ({"limits": {"cpus": 1}}, [("limits[cpus]", "not a resource that a container can ask for", '"cpus"', "error")]),
    ],
)
def test_resources(resources, problems):
    assert of_resources(**resources) == problems


SPREAD = {"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "DoNotSchedule"}
REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution"


@pytest.mark.parametrize(
    ("spec", "path", "message"),
    [
        ({"containers": []}, "containers", "missing"),
        ({"containers": [{"name": "a"}, {"name": "a"}]}, "containers[1].name", "two containers of this name"),
        (
            {"containers": [{"name": "a", "ports": [{"containerPort": 70000}]}]},
            "containers[0].ports[0].containerPort",
            "must be between 1 and 65535",
        ),
        (
            {"tolerations": [{"operator": "Exists", "key": "a", "value": "b"}]},
            "tolerations[0].value",
            "must be left out with operator Exists",
        ),
        (
            {"tolerations": [{"value": "b"}]},
            "tolerations[0].operator",
            "a toleration without a key needs operator Exists",
        ),
        ({"tolerations": [{"key": "a", "operator": "Exist"}]}, "tolerations[0].operator", "not a known value"),
        ({"tolerations": [{"key": "a", "effect": "NoSchedul"}]}, "tolerations[0].effect", "not a known value"),
        (
            {"tolerations": [{"key": "a", "effect": "NoSchedule", "tolerationSeconds": 5}]},
            "tolerations[0].effect",
            "must be NoExecute where tolerationSeconds is set",
        ),
        (
            {"topologySpreadConstraints": [{**SPREAD, "maxSkew": 0}]},
            "topologySpreadConstraints[0].maxSkew",
            "must be at least 1",
        ),
        (
            {"topologySpreadConstraints": [SPREAD, SPREAD]},
            "topologySpreadConstraints[1]",
            "two constraints with this topologyKey and whenUnsatisfiable",
        ),
        (
            {"topologySpreadConstraints": [{**SPREAD, "whenUnsatisfiable": "Never"}]},
            "topologySpreadConstraints[0].whenUnsatisfiable",
            "not a known value",
        ),
        (
            {"topologySpreadConstraints": [{**SPREAD, "whenUnsatisfiable": "ScheduleAnyway", "minDomains": 2}]},
            "topologySpreadConstraints[0].minDomains",
            "works only with whenUnsatisfiable DoNotSchedule",
        ),
        (
            {"topologySpreadConstraints": [{**SPREAD, "nodeTaintsPolicy": "honor"}]},
            "topologySpreadConstraints[0].nodeTaintsPolicy",
            "not a known value",
        ),
        ({"nodeSelector": {"a/b/c": "x"}}, "nodeSelector[a/b/c]", "not a valid label key"),
        ({"nodeSelector": {"a": "x y"}}, "nodeSelector[a]", "not a valid label value"),
        (
            {"affinity": {"nodeAffinity": {REQUIRED: {}}}},
            f"affinity.nodeAffinity.{REQUIRED}.nodeSelectorTerms",
            "missing",
        ),
        (
            {
                "affinity": {
                    "nodeAffinity": {
                        REQUIRED: {"nodeSelectorTerms": [{"matchExpressions": [{"key": "a", "operator": "In"}]}]}
                    }
                }
            },
            f"affinity.nodeAffinity.{REQUIRED}.nodeSelectorTerms[0].matchExpressions[0].values",
            "missing: In needs at least one value",
        ),
        (
            {
                "affinity": {
                    "nodeAffinity": {
                        PREFERRED: [
                            {
                                "weight": 1,
                                "preference": {"matchExpressions": [{"key": "a", "operator": "Gt", "values": ["x"]}]},
                            }
                        ]
                    }
                }
            },
            f"affinity.nodeAffinity.{PREFERRED}[0].preference.matchExpressions[0].values",
            "Gt takes exactly one integer",
        ),
        (
            {"affinity": {"podAffinity": {PREFERRED: [{"weight": 101, "podAffinityTerm": {"topologyKey": "z"}}]}}},
            f"affinity.podAffinity.{PREFERRED}[0].weight",
            "must be between 1 and 100",
        ),
        (
            {"affinity": {"podAntiAffinity": {REQUIRED: [{"labelSelector": {}}]}}},
            f"affinity.podAntiAffinity.{REQUIRED}[0].topologyKey",
            "missing",
        ),
        (
            {"volumes": [{"name": "v", "persistentVolumeClaim": {}}]},
            "volumes[0].persistentVolumeClaim.claimName",
            "missing",
        ),
        ({"volumes": [{"name": "v"}, {"name": "v"}]}, "volumes[1].name", "two volumes of this name"),
        ({"restartPolicy": "always"}, "restartPolicy", "not a known value"),
        (
            {"nodeName": "n", "schedulingGates": [{"name": "g"}]},
            "nodeName",
            "cannot be set while the pod has scheduling gates",
        ),
        ({"overhead": {"cpu": "x"}}, "overhead[cpu]", "not a quantity"),
    ],
)
def test_pod_specs(spec, path, message):
    assert [(p, m) for p, m, _, _ in of_pod(**spec)] == [(f"spec.{path}", message)]


TEMPLATE = {"metadata": {"labels": {"app": "a"}}, "spec": {"containers": [{"name": "c"}]}}
MATCHING = {"matchLabels": {"app": "a"}}


def job(**spec):
    return {"spec": {"template": {"spec": {"containers": [{"name": "c"}], "restartPolicy": "Never"}}, **spec}}


@pytest.mark.parametrize(
    ("version", "kind", "body", "path", "message"),
    [
        (
            "apps/v1",
            "Deployment",
            {"spec": {"template": TEMPLATE, "selector": MATCHING, "replicas": -1}},
            "spec.replicas",
            "must be between 0 and 2147483647",
        ),
        ("apps/v1", "Deployment", {"spec": {"template": TEMPLATE}}, "spec.selector", "missing or empty"),
        (
            "apps/v1",
            "ReplicaSet",
            {"spec": {"template": TEMPLATE, "selector": {"matchLabels": {"app": "b"}}}},
            "spec.selector",
            "does not match the template's labels",
        ),
        (
            "apps/v1",
            "DaemonSet",
            {"spec": {"template": {**TEMPLATE, "spec": {}}, "selector": MATCHING}},
            "spec.template.spec.containers",
            "missing",
        ),
        (
            "apps/v1",
            "StatefulSet",
            {
                "spec": {
                    "template": TEMPLATE,
                    "selector": MATCHING,
                    "volumeClaimTemplates": [
                        {"spec": {"accessModes": ["x"], "resources": {"requests": {"storage": "1Gi"}}}}
                    ],
                }
            },
            "spec.volumeClaimTemplates[0].metadata.name",
            "missing",
        ),
        ("batch/v1", "Job", {"spec": {"template": TEMPLATE}}, "spec.template.spec.restartPolicy", "not a known value"),
        ("batch/v1", "Job", job(completionMode="Indexed"), "spec.completions", "missing"),
        ("batch/v1", "CronJob", {"spec": {"jobTemplate": job()}}, "spec.schedule", "missing"),
        (
            "v1",
            "Node",
            {"spec": {"taints": [{"key": "a", "effect": "NoSchedules"}]}},
            "spec.taints[0].effect",
            "not a known value",
        ),
        ("v1", "Node", {"spec": {"taints": [{"key": "a"}]}}, "spec.taints[0].effect", "missing"),
        ("v1", "Node", {"status": {"capacity": {"cpu": "four"}}}, "status.capacity[cpu]", "not a quantity"),
        (
            "v1",
            "Node",
            {"status": {"allocatable": {"memory": "-1"}}},
            "status.allocatable[memory]",
            "must not be negative",
        ),
        (
            "policy/v1",
            "PodDisruptionBudget",
            {"spec": {"minAvailable": "two"}},
            "spec.minAvailable",
            "must be a number or a percentage",
        ),
        (
            "policy/v1",
            "PodDisruptionBudget",
            {"spec": {"minAvailable": 1, "maxUnavailable": 1}},
            "spec.maxUnavailable",
            "cannot be set together with minAvailable",
        ),
        (
            "scheduling.k8s.io/v1",
            "PriorityClass",
            {"value": 2_000_000_000},
            "value",
            "user classes go from -1000000000 to 1000000000",
        ),
        (
            "storage.k8s.io/v1",
            "StorageClass",
            {"provisioner": "p", "volumeBindingMode": "immediate"},
            "volumeBindingMode",
            "not a known value",
        ),
    ],
)
def test_other_kinds(version, kind, body, path, message):
    assert [(p, m) for p, m, _, _ in found(version, kind, body)] == [(path, message)]


@pytest.mark.parametrize(
    ("metadata", "problem"),
    [
        ({}, ("metadata.name", "missing")),
        ({"name": "Upper"}, ("metadata.name", "not a valid name")),
        ({"name": "a", "namespace": "a.b"}, ("metadata.namespace", "not a valid namespace")),
        ({"name": "a", "labels": {"k": "-"}}, ("metadata.labels[k]", "not a valid label value")),
        ({"generateName": "a-"}, None),
    ],
)
def test_metadata(metadata, problem):
    raw = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": {"containers": [{"name": "c"}]}}
    problems = parse(msgspec.json.encode(raw)).problems
    assert [(p.path, p.message) for p in problems] == ([problem] if problem else [])
