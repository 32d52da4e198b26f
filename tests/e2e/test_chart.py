"""The Helm chart: what it renders is valid for a real API server, means what the values say, and can be installed.

Helm is taken from PATH, or built once by Go. Without either these tests are skipped.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

from fretsaw.cli.run_cmd import run
from fretsaw.controllers.permissions import LEASES, READS, WRITES, Rule
from fretsaw.controllers.settings import GATES, TABLE, found
from support.controlplane import Api, ApiError, ControlPlane, until
from support.controlplane_crds import established, install
from support.helm import CHART, IMAGE, HelmError, helm, missing, rendered
from support.live import Program
from support.rbac import Need

JUDGE = "dryRun=All&fieldValidation=Strict"
CASE = "fretsaw.dev/case"
ROLE_ARN = "arn:aws:iam::111122223333:role/fretsaw"
EVERYTHING: dict[str, Any] = {
    "fullnameOverride": "saw",
    "additionalLabels": {"team": "platform"},
    "additionalAnnotations": {"note": "ours"},
    "image": {**IMAGE["image"], "tag": "1.2.3", "digest": f"sha256:{'a' * 64}", "pullPolicy": "Always"},
    "imagePullSecrets": [{"name": "registry"}],
    "provider": "fake",
    "extraArgs": ["--fake-cloud=cloud:8090", "--region=eu-central-1"],
    "settings": {
        "metricsPort": 9000,
        "healthProbePort": 9001,
        "kubeClientQps": 1000000,
        "kubeClientBurst": 2000000,
        "leaderElectionName": "another-lease",
        "leaderElectionNamespace": "default",
        "logLevel": "debug",
        "logFormat": "text",
        "batchMaxDuration": "1m30s",
        "batchIdleDuration": "500ms",
        "preferencePolicy": "Ignore",
        "minValuesPolicy": "BestEffort",
        "featureGates": {"nodeRepair": True, "nodeOverlay": False},
        "packing": "first-fit",
        "maxPodsPerNode": 0,
        "clusterName": "gpu-platform",
    },
    "extraEnv": [{"name": "AWS_REGION", "value": "eu-central-1"}],
    "serviceAccount": {"name": "autoscaler", "annotations": {"eks.amazonaws.com/role-arn": ROLE_ARN}},
    "rbac": {"ownerReferencesEnforced": True},
    "replicas": 3,
    "podDisruptionBudget": {"maxUnavailable": "50%"},
    "dnsPolicy": "Default",
    "podLabels": {"mesh": "off"},
    "podAnnotations": {"scrape": "yes"},
    "affinity": {"podAntiAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": []}},
    "topologySpreadConstraints": [
        {"topologyKey": "rack", "maxSkew": 1, "whenUnsatisfiable": "DoNotSchedule", "labelSelector": {}}
    ],
    "resources": {"requests": {"cpu": "2", "memory": "4Gi"}, "limits": {"memory": "8Gi"}},
    "extraVolumes": [{"name": "traces", "emptyDir": {}}],
    "extraVolumeMounts": [{"name": "traces", "mountPath": "/traces"}],
    "service": {"port": 9090, "annotations": {"prometheus.io/scrape": "true"}},
    "serviceMonitor": {
        "enabled": True,
        "additionalLabels": {"release": "prometheus"},
        "interval": "15s",
        "endpointConfig": {"honorLabels": True},
    },
}
pytestmark = pytest.mark.skipif(bool(missing()), reason=missing())


def one(documents: list[dict[str, Any]], kind: str, name: str = "") -> dict[str, Any]:
    """The only object of a kind, or that with the name."""
    (match,) = [d for d in documents if d["kind"] == kind and (not name or d["metadata"]["name"] == name)]
    return match


def pod_of(documents: list[dict[str, Any]]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The Deployment's pod spec, and its only container."""
    spec = one(documents, "Deployment")["spec"]["template"]["spec"]
    (container,) = spec["containers"]
    return spec, container


def environment(documents: list[dict[str, Any]]) -> dict[str, str]:
    return {variable["name"]: variable["value"] for variable in pod_of(documents)[1]["env"]}


# What Helm says


def test_lint_finds_nothing() -> None:
    told = helm("lint", "--strict", str(CHART), "--values", "-", stdin=yaml.safe_dump(IMAGE))
    assert "1 chart(s) linted, 0 chart(s) failed" in told
    assert "[WARNING]" not in told


def test_no_image_is_told() -> None:
    with pytest.raises(HelmError, match=r"image\.repository: where you pushed the image"):
        rendered({"image": {}})


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"settings": {"batchIdleDurration": "1s"}}, "batchIdleDurration"),
        ({"settings": {"batchIdleDuration": "1 second"}}, "batchIdleDuration"),
        ({"settings": {"kubeClientQps": "many"}}, "kubeClientQps"),
        ({"settings": {"logLevel": "warn"}}, "logLevel"),
        ({"settings": {"featureGates": {"nodeRepairs": True}}}, "nodeRepairs"),
        ({"provider": "gcp"}, "provider"),
        ({"replica": 2}, "replica"),
        ({"image": {**IMAGE["image"], "digest": "latest"}}, "digest"),
    ],
    ids=lambda case: case if isinstance(case, str) else "",
)
def test_mistake_in_the_values_is_told_before_anything_is_installed(values: dict[str, Any], told: str) -> None:
    with pytest.raises(HelmError, match=told):
        rendered(values)


def test_replicas_without_a_lease_are_refused() -> None:
    values: dict[str, Any] = {"settings": {"disableLeaderElection": True}}
    with pytest.raises(HelmError, match="without a lease all replicas act at once"):
        rendered(values)
    alone = rendered({**values, "replicas": 1})
    assert not [d for d in alone if d["kind"] in ("Role", "RoleBinding")]


# What the API server says


@pytest.mark.parametrize(
    "values",
    [{}, EVERYTHING, {"observeOnly": True}, {"serviceAccount": {"create": False, "name": "default"}}],
    ids=["default", "everything", "observing", "own-account"],
)
def test_every_object_is_valid(api: Api, namespace: str, values: dict[str, Any]) -> None:
    documents = [d for d in rendered(values, namespace=namespace) if d["kind"] != "ServiceMonitor"]
    assert len(documents) >= 6
    for document in documents:
        api("POST", f"{api.path(document, collection=True)}?{JUDGE}", document)


def test_every_rule_is_about_something_that_is_served(api: Api, crds: list[str]) -> None:
    for rule in (*READS, *WRITES, *LEASES):
        served = _served(api, rule.group)
        unknown = [(resource, verb) for _, resource, verb in rule.pairs if verb not in served.get(resource, ())]
        assert unknown == [], rule


def _served(api: Api, group: str) -> dict[str, list[str]]:
    """The verbs of each resource of a group, whatever its version."""
    roots = [f"/apis/{each['groupVersion']}" for each in api("GET", f"/apis/{group}")["versions"]] if group else []
    listed = [each for root in roots or ["/api/v1"] for each in api("GET", root)["resources"]]
    return {resource["name"]: resource["verbs"] for resource in listed}


# What the values mean


def test_settings_arrive_with_their_defaults() -> None:
    settings = found({}, environment(rendered()))
    assert settings.values == found({}, {}).values


def test_settings_arrive_as_they_were_given() -> None:
    settings = found({}, environment(rendered(EVERYTHING)))
    given = EVERYTHING["settings"] | {
        "featureGates": GATES | {"NodeRepair": True, "NodeOverlay": False},
        "batchMaxDuration": 90_000,
        "batchIdleDuration": 500,
    }
    flags = {setting.flag: setting.flag.replace("-", "") for setting in TABLE}
    arrived = {flags[flag]: value for flag, value in settings.values.items()}
    assert {name: arrived[name.lower()] for name in given} == given


@pytest.mark.parametrize("values", [{"provider": "fake"}, EVERYTHING, {"provider": "fake", "observeOnly": True}])
def test_arguments_are_those_of_the_command(values: dict[str, Any]) -> None:
    documents = rendered(values)
    command, *arguments = pod_of(documents)[1]["args"]
    assert command == "run"
    told = CliRunner(env=environment(documents)).invoke(run, [*arguments, "--print-settings"], standalone_mode=False)
    assert told.exception is None
    assert ("--observe-only" in arguments) == bool(values.get("observeOnly"))


def test_observer_may_not_change_anything() -> None:
    documents = rendered({"observeOnly": True, "rbac": {"aggregate": False, "ownerReferencesEnforced": True}})
    verbs = {verb for rule in one(documents, "ClusterRole")["rules"] for verb in rule["verbs"]}
    assert verbs == {"list", "watch"}
    assert not [d for d in documents if d["kind"] == "Role"]


def test_lease_s_role_follows_the_settings() -> None:
    role = one(rendered(EVERYTHING), "Role")
    assert role["metadata"]["namespace"] == "default"
    assert role["rules"][1]["resourceNames"] == ["another-lease"]


def test_pod_has_no_rights_on_its_node() -> None:
    spec, container = pod_of(rendered())
    assert spec["securityContext"] == {
        "runAsNonRoot": True,
        "runAsUser": 65532,
        "runAsGroup": 65532,
        "fsGroup": 65532,
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert spec["priorityClassName"] == "system-cluster-critical"


def test_probes_and_service_follow_the_ports() -> None:
    documents = rendered(EVERYTHING)
    container = pod_of(documents)[1]
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    assert ports == {"http-metrics": 9000, "http": 9001}
    assert {container[probe]["httpGet"]["port"] for probe in ("livenessProbe", "readinessProbe")} == {"http"}
    (port,) = one(documents, "Service")["spec"]["ports"]
    assert (port["port"], port["targetPort"]) == (9090, "http-metrics")


def test_image_is_that_of_the_digest() -> None:
    assert pod_of(rendered())[1]["image"] == f"registry.example/fretsaw:{_version()}"
    assert pod_of(rendered(EVERYTHING))[1]["image"] == f"registry.example/fretsaw:1.2.3@sha256:{'a' * 64}"


def _version() -> str:
    return str(yaml.safe_load((CHART / "Chart.yaml").read_text(encoding="utf-8"))["appVersion"])


def test_account_carries_the_iam_role() -> None:
    account = one(rendered(EVERYTHING), "ServiceAccount")
    assert account["metadata"]["name"] == "autoscaler"
    assert account["metadata"]["annotations"] == {"eks.amazonaws.com/role-arn": ROLE_ARN, "note": "ours"}


def test_service_monitor_finds_the_service() -> None:
    """Its kind is not on the server: it is judged by what it refers to."""
    assert not [d for d in rendered() if d["kind"] == "ServiceMonitor"]
    documents = rendered(EVERYTHING)
    monitor, service = one(documents, "ServiceMonitor"), one(documents, "Service")
    assert monitor["apiVersion"] == "monitoring.coreos.com/v1"
    assert monitor["metadata"]["labels"]["release"] == "prometheus"
    assert monitor["spec"]["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
    assert monitor["spec"]["namespaceSelector"] == {"matchNames": [service["metadata"]["namespace"]]}
    (endpoint,) = monitor["spec"]["endpoints"]
    assert endpoint == {"port": "http-metrics", "path": "/metrics", "interval": "15s", "honorLabels": True}
    assert endpoint["port"] in {port["name"] for port in service["spec"]["ports"]}


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({}, "holds the lease kube-system/karpenter-leader-election"),
        ({"observeOnly": True}, "acts on nothing"),
        ({"provider": "fake"}, "WARNING: what is ordered of the fake cloud exists nowhere"),
        ({"replicas": 1, "settings": {"disableLeaderElection": True}}, "WARNING: leader election is off"),
    ],
    ids=["leading", "observing", "fake", "without-a-lease"],
)
def test_notes_say_what_has_been_installed(control_plane: ControlPlane, values: dict[str, Any], told: str) -> None:
    text = yaml.safe_dump({**IMAGE, **values})
    where = ["--namespace", "kube-system", "--dry-run=server", "--values", "-"]
    printed = helm("install", "fretsaw", str(CHART), *where, kubeconfig=control_plane.kubeconfig(), stdin=text)
    assert told in printed.partition("NOTES:")[2]


# Installed


class Release:
    """The chart, installed in a namespace."""

    def __init__(self, plane: ControlPlane, namespace: str) -> None:
        self.kubeconfig, self.namespace = plane.kubeconfig(), namespace
        self.name = f"fretsaw-{namespace}"

    def to(self, verb: str, values: dict[str, Any] | None = None) -> None:
        """Install or upgrade."""
        text = yaml.safe_dump({**IMAGE, "rbac": {"aggregate": False}, **(values or {})})
        where = ["--namespace", self.namespace, "--values", "-"]
        helm(verb, self.name, str(CHART), *where, kubeconfig=self.kubeconfig, stdin=text)

    def uninstall(self) -> None:
        helm("uninstall", self.name, "--namespace", self.namespace, "--ignore-not-found", kubeconfig=self.kubeconfig)


@pytest.fixture
def release(control_plane: ControlPlane, crds: list[str], namespace: str) -> Iterator[Release]:
    made = Release(control_plane, namespace)
    yield made
    made.uninstall()


@pytest.fixture
def nodes(api: Api, namespace: str) -> Iterator[list[str]]:
    """Three ready nodes: two of a node group, and one that a NodePool made."""
    names = [f"{namespace}-{name}" for name in ("a", "b", "pooled")]
    made = [_node(name, namespace, pooled=name.endswith("pooled")) for name in names]
    for node in made:
        api.create(node)
        api("PATCH", f"/api/v1/nodes/{node['metadata']['name']}/status", {"status": node["status"]})
        api("PATCH", f"/api/v1/nodes/{node['metadata']['name']}", {"spec": {"taints": None}})
    yield names
    for node in made:
        api.delete(node)


def _node(name: str, case: str, *, pooled: bool) -> dict[str, Any]:
    labels = {CASE: case, "kubernetes.io/hostname": name, "kubernetes.io/os": "linux"}
    room = {"cpu": "8", "memory": "32Gi", "pods": "20"}
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "labels": labels | ({"karpenter.sh/nodepool": "gpu"} if pooled else {})},
        "status": {"capacity": room, "allocatable": room, "conditions": [{"type": "Ready", "status": "True"}]},
    }


def test_replicas_run_on_nodes_of_their_own_that_no_pool_made(
    api: Api, workloads: None, release: Release, nodes: list[str]
) -> None:
    release.to("install", {"nodeSelector": {CASE: release.namespace}})
    pods = f"/api/v1/namespaces/{release.namespace}/pods"

    def bound() -> list[str]:
        return sorted(pod["spec"]["nodeName"] for pod in api.items(pods) if pod["spec"].get("nodeName"))

    assert until(lambda: len(bound()) == 2 and bound(), "both replicas are bound") == nodes[:2]
    release.to("upgrade", {"nodeSelector": {CASE: release.namespace}, "replicas": 3})
    third = until(lambda: [pod for pod in api.items(pods) if _unschedulable(pod)], "the third finds no place")
    assert "node(s) didn't match pod anti-affinity rules" in _unschedulable(third[0])


def _unschedulable(pod: dict[str, Any]) -> str:
    conditions = pod.get("status", {}).get("conditions", [])
    return next((c["message"] for c in conditions if c.get("reason") == "Unschedulable"), "")


def test_account_may_do_what_the_code_asks_and_nothing_else(api: Api, release: Release) -> None:
    release.to("install")
    user = f"system:serviceaccount:{release.namespace}:{release.name}"

    def may(pair: Need, namespace: str = "", name: str = "") -> bool:
        group, resource, verb = pair
        plain, _, part = resource.partition("/")
        asked = {"group": group, "resource": plain, "subresource": part, "verb": verb}
        spec = {"user": user, "resourceAttributes": {**asked, "namespace": namespace, "name": name}}
        review = {"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview", "spec": spec}
        return bool(api("POST", "/apis/authorization.k8s.io/v1/subjectaccessreviews", review)["status"]["allowed"])

    assert [pair for pair in _pairs(READS, WRITES) if not may(pair)] == []
    lease = "karpenter-leader-election"
    assert [pair for pair in _pairs(LEASES) if not may(pair, release.namespace, lease)] == []
    assert [pair for pair in _pairs(LEASES) if may(pair, "default", lease)] == []
    assert not may(("coordination.k8s.io", "leases", "update"), release.namespace, "another")
    beyond = [
        ("", "secrets", "get"),
        ("", "secrets", "list"),
        ("", "configmaps", "get"),
        ("", "pods", "create"),
        ("", "pods", "patch"),
        ("", "pods/exec", "create"),
        ("", "nodes", "create"),
        ("", "nodes/proxy", "get"),
        ("", "serviceaccounts/token", "create"),
        ("karpenter.sh", "nodepools", "delete"),
        ("karpenter.k8s.aws", "ec2nodeclasses", "delete"),
        ("rbac.authorization.k8s.io", "clusterroles", "patch"),
    ]
    assert [pair for pair in beyond if may(pair)] == []


def _pairs(*tables: tuple[Rule, ...]) -> list[Need]:
    return sorted(pair for table in tables for rule in table for pair in rule.pairs)


def test_uninstalling_leaves_the_kinds_and_their_objects(api: Api, crds: list[str], release: Release) -> None:
    release.to("install")
    release.uninstall()
    definitions = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
    assert set(crds) <= {each["metadata"]["name"] for each in api.items(definitions)}
    with pytest.raises(ApiError) as gone:
        api("GET", f"/apis/rbac.authorization.k8s.io/v1/clusterroles/{release.name}")
    assert gone.value.status == 404


# A server of its own


@pytest.fixture(scope="module")
def strict(control_plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """An API server without our kinds that enforces who may block an owner's deletion."""
    folder: Path = tmp_path_factory.mktemp("strict")
    flags = {"kube-apiserver": ["--enable-admission-plugins=OwnerReferencesPermissionEnforcement"]}
    with ControlPlane(folder, flags=flags, components=("etcd", "kube-apiserver")) as plane:
        yield plane


def test_installing_brings_the_kinds(strict: ControlPlane) -> None:
    Release(strict, "kube-public").to("install")
    definitions = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
    files = [yaml.safe_load(path.read_text(encoding="utf-8")) for path in (CHART / "crds").iterdir()]
    wanted = {each["metadata"]["name"] for each in files}
    until(
        lambda: {each["metadata"]["name"] for each in strict.api.items(definitions) if established(each)} == wanted,
        "all kinds are established",
    )


@pytest.mark.parametrize("enforced", [False, True])
def test_enforced_owner_references_need_their_rule(strict: ControlPlane, enforced: bool) -> None:
    """Such a server lets nobody make a NodeClaim that its pool's deletion waits for, unless a rule says so."""
    account = f"enforced-{enforced}".lower()
    install(strict.api, [yaml.safe_load(path.read_text(encoding="utf-8")) for path in (CHART / "crds").iterdir()])
    release = Release(strict, "default")
    release.name = account
    release.to("install", {"fullnameOverride": account, "rbac": {"ownerReferencesEnforced": enforced}})
    fretsaw = strict.api_with(strict.service_account_token("default", account))
    pool = strict.api.create(_pool(account))
    claim = _claim(pool)
    told = until(lambda: _answer(fretsaw, claim), "the rights have arrived")
    release.uninstall()
    for made in (claim, pool):
        strict.api.delete(made)
    if enforced:
        assert told == "created"
    else:
        assert "cannot set blockOwnerDeletion" in told


# Run as the chart says


@pytest.fixture
def waiting(strict: ControlPlane, request: pytest.FixtureRequest) -> Iterator[str]:
    """A pool and a pod that waits for a node of it, on the server of its own; their name."""
    name = re.sub(r"[^a-z]+", "-", request.node.name)[:40].strip("-")
    install(strict.api, [yaml.safe_load(path.read_text(encoding="utf-8")) for path in (CHART / "crds").iterdir()])
    container = {"name": "main", "image": "registry.example/none", "resources": {"requests": {"cpu": "1"}}}
    spec = {"containers": [container], "nodeSelector": {"karpenter.sh/nodepool": name}}
    unschedulable = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable"}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": "default"}, "spec": spec}
    made = [_node_class(), _pool(name), pod]
    for manifest in made:
        strict.api.apply(manifest)
    path = f"/api/v1/namespaces/default/pods/{name}/status"
    strict.api("PATCH", path, {"status": {"conditions": [unschedulable]}})
    yield name
    for manifest in reversed(made[1:]):
        strict.api.delete(manifest)


@contextmanager
def container(plane: ControlPlane, release: Release, log: Path) -> Iterator[Program]:
    """The Deployment's container as a process: its arguments, its environment, the rights of its account."""
    deployment = plane.api("GET", f"/apis/apps/v1/namespaces/{release.namespace}/deployments/{release.name}")
    (found,) = deployment["spec"]["template"]["spec"]["containers"]
    kubeconfig = plane.service_account_kubeconfig(release.namespace, release.name)
    here = [f"--kubeconfig={kubeconfig}", "--metrics-port=0", "--health-probe-port=0"]
    program = Program(log, *found["args"], *here, env={each["name"]: each["value"] for each in found["env"]})
    try:
        yield program
        assert "orbidden" not in log.read_text(encoding="utf-8")
    finally:
        assert program.stop() == 0, program.last_words()


LEASE = "/apis/coordination.k8s.io/v1/namespaces/default/leases/karpenter-leader-election"


def test_container_acts_with_the_rights_of_the_chart(strict: ControlPlane, waiting: str, tmp_path: Path) -> None:
    """It takes the lease, makes a NodeClaim, tells so, and writes the status of pool, class and claim."""
    api, release = strict.api, Release(strict, "default")
    release.name = "acting"
    release.to("install", {**ALONE, "fullnameOverride": "acting"})
    with container(strict, release, tmp_path / "log") as program:
        until(lambda: _claims(api, waiting), f"a claim is made, see {program.log}", timeout_s=90)
        until(lambda: _ready(api, f"/apis/karpenter.sh/v1/nodepools/{waiting}"), "the pool is ready")
        until(lambda: _ready(api, "/apis/karpenter.k8s.aws/v1/ec2nodeclasses/default"), "the class is ready")
        until(lambda: _nominated(api, waiting), "the pod is told")
        assert api("GET", LEASE)["spec"]["holderIdentity"]
    assert not api("GET", LEASE)["spec"].get("holderIdentity")
    release.uninstall()
    for claim in _claims(api, waiting):
        path = f"/apis/karpenter.sh/v1/nodeclaims/{claim['metadata']['name']}"
        api("PATCH", path, {"metadata": {"finalizers": []}})
        api.delete(claim)


def test_container_that_observes_sees_all_and_leaves_no_trace(
    strict: ControlPlane, waiting: str, tmp_path: Path
) -> None:
    api, release = strict.api, Release(strict, "default")
    release.name = "observing"
    release.to("install", {**ALONE, "fullnameOverride": "observing", "observeOnly": True})
    before = _state(api, waiting)
    with container(strict, release, tmp_path / "log") as program:
        until(lambda: "computed new nodeclaim" in program.log.read_text(encoding="utf-8"), "it has decided", 90)
    release.uninstall()
    assert _claims(api, waiting) == []
    assert _state(api, waiting) == before


ALONE: dict[str, Any] = {
    "provider": "fake",
    "replicas": 1,
    "extraArgs": ["--fake-cloud=127.0.0.1:9"],
    "rbac": {"aggregate": False, "ownerReferencesEnforced": True},
    "settings": {"batchIdleDuration": "300ms", "logFormat": "text"},
}
"""Nobody answers at the cloud's address: a claim is made, and stays without an instance."""


def _claims(api: Api, pool: str) -> list[dict[str, Any]]:
    return [
        {"apiVersion": "karpenter.sh/v1", "kind": "NodeClaim", **claim}
        for claim in api.items("/apis/karpenter.sh/v1/nodeclaims")
        if claim["metadata"].get("labels", {}).get("karpenter.sh/nodepool") == pool
    ]


def _ready(api: Api, path: str) -> bool:
    conditions = api("GET", path).get("status", {}).get("conditions", [])
    return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)


def _nominated(api: Api, pod: str) -> bool:
    events = api.items("/api/v1/namespaces/default/events")
    return any(each["reason"] == "Nominated" and each["involvedObject"]["name"] == pod for each in events)


def _state(api: Api, name: str) -> list[Any]:
    """What somebody who acts would have changed."""
    paths = (f"/apis/karpenter.sh/v1/nodepools/{name}", f"/api/v1/namespaces/default/pods/{name}")
    leases = [each["metadata"]["resourceVersion"] for each in api.items(LEASE.rpartition("/")[0])]
    return [api("GET", path)["metadata"]["resourceVersion"] for path in paths] + leases


def _answer(api: Api, claim: dict[str, Any]) -> str:
    """What is said to its creation; empty while the role is not known yet."""
    try:
        api.create(claim)
    except ApiError as error:
        return "" if "cannot create resource" in str(error) else str(error)
    return "created"


def _pool(name: str) -> dict[str, Any]:
    reference = {"group": "karpenter.k8s.aws", "kind": "EC2NodeClass", "name": "default"}
    template = {"spec": {"requirements": [], "nodeClassRef": reference}}
    return {
        "apiVersion": "karpenter.sh/v1",
        "kind": "NodePool",
        "metadata": {"name": name},
        "spec": {"template": template},
    }


def _node_class() -> dict[str, Any]:
    terms = {"subnetSelectorTerms": [{"id": "subnet-1"}], "securityGroupSelectorTerms": [{"id": "sg-1"}]}
    return {
        "apiVersion": "karpenter.k8s.aws/v1",
        "kind": "EC2NodeClass",
        "metadata": {"name": "default"},
        "spec": {"role": "node", "amiSelectorTerms": [{"alias": "al2023@latest"}], **terms},
    }


def _claim(pool: dict[str, Any]) -> dict[str, Any]:
    name = pool["metadata"]["name"]
    owner = {"apiVersion": "karpenter.sh/v1", "kind": "NodePool", "name": name, "uid": pool["metadata"]["uid"]}
    return {
        "apiVersion": "karpenter.sh/v1",
        "kind": "NodeClaim",
        "metadata": {"name": name, "ownerReferences": [{**owner, "blockOwnerDeletion": True}]},
        "spec": pool["spec"]["template"]["spec"],
    }
