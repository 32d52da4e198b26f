"""Random scenarios: small clusters with a bit of everything, each the tree of a scenario file.

`numbered` draws one, `simulation` makes a run of it, `shrunk` takes away what a failure does not need. The catalog is fixed:
eight types in two zones. A scenario lasts one to six hours of virtual time and has a few dozen pods, so that a run takes a fraction of a
second. A scenario is known by its number, which all chance in it comes from.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from random import Random
from typing import Any

from msgspec.structs import replace

from fretsaw.api.catalog import Catalog, InstanceType, Offering
from fretsaw.planner import cluster_of
from fretsaw.sim.scenario.read import Reading, parse
from fretsaw.sim.simulation import Simulation

Tree = dict[str, Any]
Drawn = Callable[[Random], Any]
"""Something that can be drawn."""
ZONES = ("us-east-1a", "us-east-1b")
ZONE, HOSTNAME = "topology.kubernetes.io/zone", "kubernetes.io/hostname"
CAPACITY, TYPE = "karpenter.sh/capacity-type", "node.kubernetes.io/instance-type"
GPU = "nvidia.com/gpu"
APPS = ("red", "blue")

# The catalog


def _type(name: str, cpu: int, memory: int, price: float, gpus: int = 0, gpu: str = "") -> InstanceType:
    capacity = {"cpu": str(cpu), "memory": f"{memory}Gi", "ephemeral-storage": "100Gi", "pods": "29"}
    labels = {
        TYPE: [name],
        "kubernetes.io/arch": ["amd64"],
        "kubernetes.io/os": ["linux"],
        "karpenter.k8s.aws/instance-family": [name.partition(".")[0]],
        "karpenter.k8s.aws/instance-category": [name[0]],
        "karpenter.k8s.aws/instance-cpu": [str(cpu)],
    }
    if gpus:
        capacity[GPU] = str(gpus)
        labels["karpenter.k8s.aws/instance-gpu-name"] = [gpu]
        labels["karpenter.k8s.aws/instance-gpu-count"] = [str(gpus)]
    offerings = [
        Offering(zone, way, round(price * share, 5))
        for spot, zone in zip((0.4, 0.412), ZONES, strict=True)
        for way, share in (("on-demand", 1.0), ("spot", spot))
    ]
    return InstanceType(name, capacity, {"cpu": "100m", "memory": "500Mi"}, labels, offerings)


CATALOG = Catalog(
    [
        _type("c5.large", 2, 4, 0.085),
        _type("m5.large", 2, 8, 0.096),
        _type("m5.xlarge", 4, 16, 0.192),
        _type("m5.2xlarge", 8, 32, 0.384),
        _type("g4dn.xlarge", 4, 16, 0.526, 1, "t4"),
        _type("g5.xlarge", 4, 16, 1.006, 1, "a10g"),
        _type("g5.12xlarge", 48, 192, 5.672, 4, "a10g"),
        _type("p4d.24xlarge", 96, 1152, 32.77, 8, "a100"),
    ]
)


# Helpers


def some(*values: Any) -> Drawn:
    """One of the values."""
    return lambda random: random.choice(values)


def either(*drawn: Drawn) -> Drawn:
    """What one of them draws."""
    return lambda random: random.choice(drawn)(random)


def maybe(drawn: Drawn, often: int = 1) -> Drawn:
    """None, or now and then a value: `often` of `often + 1` times none."""
    return lambda random: drawn(random) if random.randrange(often + 1) == often else None


def several(drawn: Drawn, least: int, most: int) -> Drawn:
    """A list of values."""
    return lambda random: [drawn(random) for _ in range(random.randint(least, most))]


class Draw:
    """`draw(x)` draws an x; what that is, only `x` knows."""

    def __init__(self, random: Random) -> None:
        self.random = random

    def __call__(self, drawn: Drawn) -> Any:
        return drawn(self.random)

    def number(self, low: int, high: int) -> int:
        """A whole number, both ends included."""
        return self.random.randint(low, high)

    def coin(self) -> bool:
        """True or false."""
        return self.random.random() < 0.5


def composite(function: Callable[..., Any]) -> Callable[..., Drawn]:
    """Makes of `f(draw, …)` an `f(…)` that can be drawn."""

    def made(*args: Any) -> Drawn:
        return lambda random: function(Draw(random), *args)

    return made


def sparse(**fields: Any) -> Tree:
    """The fields that are not None."""
    return {key: value for key, value in fields.items() if value is not None}


# Pools


@composite
def _budget(draw: Draw) -> Tree:
    reasons = draw(maybe(some(["Empty"], ["Drifted"], ["Underutilized", "Empty"]), 2))
    window = draw(maybe(some(("0 * * * *", "30m"), ("*/20 * * * *", "10m"), ("30 1 * * *", "2h")), 2))
    schedule, duration = window or (None, None)
    nodes = draw(some("100%", "1", "0", "2", "34%", "10%"))
    return sparse(nodes=nodes, reasons=reasons, schedule=schedule, duration=duration)


@composite
def _pool(draw: Draw, name: str, gpus: bool, reserved: bool) -> Tree:
    ways = draw(some(["on-demand"], ["spot"], ["spot", "on-demand"]))
    if reserved and draw.coin():
        ways = [*ways, "reserved"]
    requirements = [{"key": CAPACITY, "operator": "In", "values": ways}]
    family = draw(maybe(some("g5", "g4dn") if gpus else some("m5", "c5"), 2))
    if family is not None:
        requirements.append({"key": "karpenter.k8s.aws/instance-family", "operator": "In", "values": [family]})
    if (zone := draw(maybe(some(*ZONES), 4))) is not None:
        requirements.append({"key": ZONE, "operator": "In", "values": [zone]})
    if draw(maybe(some(True), 6)):
        requirements.append({"key": TYPE, "operator": "Exists", "minValues": 2})
    if draw(maybe(some(True), 6)):
        requirements.append({"key": "karpenter.k8s.aws/instance-cpu", "operator": "Gt", "values": ["2"]})
    taints = [{"key": GPU, "value": "true", "effect": "NoSchedule"}] if gpus and draw.coin() else None
    startup = [{"key": "boot", "effect": "NoExecute"}] if draw(maybe(some(1), 4)) else None
    replicas = draw(maybe(some(0, 1, 2), 11))
    disruption = sparse(
        consolidationPolicy=draw(some("WhenEmptyOrUnderutilized", "WhenEmpty", "Balanced")),
        consolidateAfter=draw(some("0s", "30s", "5m", "Never")),
        budgets=draw(maybe(several(_budget(), 0, 3))),
    )
    limits = draw(maybe(some({"cpu": "16"}, {"nodes": "2"}, {GPU: "4"}, {"memory": "64Gi"}), 3))
    if replicas is not None:
        disruption = sparse(consolidateAfter="0s", budgets=disruption.get("budgets"))
        limits = draw(maybe(some({"nodes": "2"}, {"nodes": "3"}), 2))
    return {
        "apiVersion": "karpenter.sh/v1",
        "kind": "NodePool",
        "metadata": {"name": name},
        "spec": sparse(
            weight=draw(maybe(some(1, 50, 100), 3)) if replicas is None else None,
            replicas=replicas,
            limits=limits,
            disruption=disruption,
            template={
                "metadata": {"labels": {"tier": name}},
                "spec": sparse(
                    nodeClassRef={"group": "karpenter.k8s.aws", "kind": "EC2NodeClass", "name": "default"},
                    requirements=requirements,
                    taints=taints,
                    startupTaints=startup,
                    expireAfter=draw(some("Never", "1h", "45m")),
                    terminationGracePeriod=draw(maybe(some("10m", "1m", "0s"), 2)),
                ),
            },
        ),
    }


NODE_CLASS = {
    "apiVersion": "karpenter.k8s.aws/v1",
    "kind": "EC2NodeClass",
    "metadata": {"name": "default"},
    "spec": {
        "amiSelectorTerms": [{"alias": "al2023@latest"}],
        "role": "node",
        "subnetSelectorTerms": [{"tags": {"d": "c"}}],
        "securityGroupSelectorTerms": [{"tags": {"d": "c"}}],
    },
}


# Pods


@composite
def _pod_spec(draw: Draw, app: str, restart: str, gpus: bool) -> Tree:
    requests = {"cpu": draw(some("500m", "100m", "1", "3", "7")), "memory": draw(some("512Mi", "2Gi", "6Gi"))}
    resources: Tree = {"requests": requests}
    tolerations: list[Tree] = []
    if gpus and draw.coin():
        requests[GPU] = draw(some("1", "2", "4"))
        resources["limits"] = {GPU: requests[GPU]}
        tolerations.append({"key": GPU, "operator": "Exists"})
    if draw(maybe(some(1), 6)):
        tolerations.append({"operator": "Exists"})
    selector = {"matchLabels": {"app": app}}
    spread = draw(maybe(some((ZONE, "DoNotSchedule"), (HOSTNAME, "DoNotSchedule"), (ZONE, "ScheduleAnyway")), 3))
    affinity = draw(maybe(some("own-host", "other-host", "own-zone", "preferred", "with-other"), 4))
    probe = draw(maybe(some({"readinessProbe": {"httpGet": {"path": "/", "port": 80}, "periodSeconds": 10}}), 4))
    started = draw(maybe(some({"startupProbe": {"httpGet": {"path": "/", "port": 80}, "failureThreshold": 12}}), 7))
    port = draw(maybe(some({"ports": [{"containerPort": 80, "hostPort": 8080}]}), 8))
    return sparse(
        restartPolicy=restart,
        initContainers=draw(maybe(_init(), 5)),
        containers=[
            {"name": "main", "image": f"{app}:1", "resources": resources}
            | (probe or {})
            | (started or {})
            | (port or {})
        ],
        tolerations=tolerations or None,
        priorityClassName=draw(maybe(some("high", "low", "polite"), 3)),
        nodeSelector=draw(maybe(some({CAPACITY: "on-demand"}, {ZONE: ZONES[0]}, {TYPE: "m5.xlarge"}), 5)),
        terminationGracePeriodSeconds=draw(maybe(some(0, 5, 120), 2)),
        topologySpreadConstraints=[
            {"maxSkew": 1, "topologyKey": spread[0], "whenUnsatisfiable": spread[1], "labelSelector": selector}
        ]
        if spread
        else None,
        affinity=_affinity(affinity, app) if affinity else None,
    )


@composite
def _init(draw: Draw) -> list[Tree]:
    """A step before the pod's work, or a sidecar."""
    asks = {"requests": {"cpu": draw(some("1", "100m")), "memory": "256Mi"}}
    return [sparse(name="init", image="init:1", resources=asks, restartPolicy=draw(maybe(some("Always"))))]


def _affinity(kind: str, app: str) -> Tree:
    other = APPS[(APPS.index(app) + 1) % len(APPS)] if app in APPS else APPS[0]
    key = ZONE if kind == "own-zone" else HOSTNAME
    who = app if kind.startswith("own") or kind == "preferred" else other
    term = {"topologyKey": key, "labelSelector": {"matchLabels": {"app": who}}}
    if kind == "with-other":
        return {"podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term | {"topologyKey": ZONE}]}}
    if kind == "preferred":
        return {
            "podAntiAffinity": {
                "preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 10, "podAffinityTerm": term}]
            }
        }
    return {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}


@composite
def _template(draw: Draw, app: str, restart: str, gpus: bool) -> Tree:
    protect = draw(maybe(some("true", "20m"), 6))
    cost = draw(maybe(some("-100", "50"), 6))
    annotations = sparse(**{"karpenter.sh/do-not-disrupt": protect, "controller.kubernetes.io/pod-deletion-cost": cost})
    spec = draw(_pod_spec(app, restart, gpus))
    return {"metadata": sparse(labels={"app": app}, annotations=annotations or None), "spec": spec}


# Workloads


def _made(kind: str, name: str, spec: Tree, group: str = "apps/v1") -> Tree:
    return {"apiVersion": group, "kind": kind, "metadata": {"name": name, "namespace": "default"}, "spec": spec}


_BOUND = some(1, 0, 2, "25%", "50%", "100%")


@composite
def _deployment(draw: Draw, name: str, app: str, gpus: bool) -> Tree:
    rolling = draw(maybe(lambda random: (some(1, 2, "50%")(random), _BOUND(random))))
    strategy: Tree | None = None
    if rolling is not None:
        strategy = {
            "type": "RollingUpdate",
            "rollingUpdate": {"maxSurge": rolling[0], "maxUnavailable": rolling[1]},
        }
    elif draw(maybe(some(1), 4)):
        strategy = {"type": "Recreate"}
    return _made(
        "Deployment",
        name,
        sparse(
            replicas=draw.number(0, 4),
            selector={"matchLabels": {"app": app}},
            strategy=strategy,
            minReadySeconds=draw(maybe(some(20), 4)),
            template=draw(_template(app, "Always", gpus)),
        ),
    )


@composite
def _statefulset(draw: Draw, name: str, app: str, gpus: bool) -> Tree:
    template = draw(_template(app, "Always", gpus))
    claims = None
    if draw.coin():
        template["spec"]["containers"][0]["volumeMounts"] = [{"name": "data", "mountPath": "/data"}]
        claims = [
            {
                "metadata": {"name": "data"},
                "spec": {
                    "accessModes": ["ReadWriteOnce"],
                    "storageClassName": draw(some("late", "early")),
                    "resources": {"requests": {"storage": "1Gi"}},
                },
            }
        ]
    return _made(
        "StatefulSet",
        name,
        sparse(
            replicas=draw.number(0, 3),
            serviceName=name,
            podManagementPolicy=draw(some("OrderedReady", "Parallel")),
            selector={"matchLabels": {"app": app}},
            template=template,
            volumeClaimTemplates=claims,
        ),
    )


@composite
def _daemonset(draw: Draw, name: str) -> Tree:
    template = draw(_template(name, "Always", False))
    template["spec"] = {
        "containers": [
            {"name": "main", "image": "agent:1", "resources": {"requests": {"cpu": "50m", "memory": "64Mi"}}}
        ],
        "tolerations": draw(some([{"operator": "Exists"}], [])),
    }
    template["metadata"] = {"labels": {"app": name}}
    return _made("DaemonSet", name, {"selector": {"matchLabels": {"app": name}}, "template": template})


@composite
def _job_spec(draw: Draw, app: str, gpus: bool) -> Tree:
    completions = draw.number(1, 4)
    indexed = draw.coin()
    return sparse(
        parallelism=draw.number(1, 3),
        completions=completions,
        completionMode="Indexed" if indexed else None,
        backoffLimit=draw(some(6, 0, 2)),
        backoffLimitPerIndex=draw(maybe(some(1), 3)) if indexed else None,
        activeDeadlineSeconds=draw(maybe(some(1200, 3000), 5)),
        ttlSecondsAfterFinished=draw(maybe(some(0, 600), 3)),
        podReplacementPolicy=draw(maybe(some("Failed"), 3)),
        suspend=draw(maybe(some(True), 12)),
        template=draw(_template(app, draw(some("Never", "OnFailure")), gpus)),
    )


@composite
def _job(draw: Draw, name: str, app: str, gpus: bool) -> Tree:
    return _made("Job", name, draw(_job_spec(app, gpus)), "batch/v1")


@composite
def _cronjob(draw: Draw, name: str, app: str, gpus: bool) -> Tree:
    spec = draw(_job_spec(app, gpus))
    return _made(
        "CronJob",
        name,
        {
            "schedule": draw(some("*/30 * * * *", "5 * * * *", "*/7 * * * *")),
            "concurrencyPolicy": draw(some("Allow", "Forbid", "Replace")),
            "jobTemplate": {"spec": spec},
        },
        "batch/v1",
    )


@composite
def _pod(draw: Draw, name: str, app: str, gpus: bool) -> Tree:
    template = draw(_template(app, draw(some("Never", "Always", "OnFailure")), gpus))
    metadata = {"name": name, "namespace": "default", **template["metadata"]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template["spec"]}


@composite
def _workload(draw: Draw, number: int, gpus: bool) -> Tree:
    """A workload of any kind. Some share their labels, so that budgets and constraints are about several."""
    app, name = draw(some(*APPS, f"app{number}")), f"w{number}"
    kinds = (_deployment, _deployment, _job, _pod, _statefulset, _cronjob)
    workload: Tree = draw(either(_daemonset(name), *(kind(name, app, gpus) for kind in kinds)))
    return workload


@composite
def _hpa(draw: Draw, target: str) -> Tree:
    return _made(
        "HorizontalPodAutoscaler",
        f"hpa-{target}",
        {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": target},
            "minReplicas": draw(some(1, 2)),
            "maxReplicas": draw(some(4, 6)),
            "metrics": [
                {
                    "type": "Pods",
                    "pods": {
                        "metric": {"name": "gpu_utilization"},
                        "target": {"type": "AverageValue", "averageValue": "70"},
                    },
                }
            ],
        },
        "autoscaling/v2",
    )


@composite
def _pdb(draw: Draw, name: str, app: str) -> Tree:
    form = draw(some("maxUnavailable", "minAvailable"))
    return _made(
        "PodDisruptionBudget",
        name,
        sparse(
            **{form: draw(some(1, 0, 2, "50%", "0%", "100%"))},
            selector={"matchLabels": {"app": app}},
            unhealthyPodEvictionPolicy=draw(maybe(some("AlwaysAllow"), 2)),
        ),
        "policy/v1",
    )


@composite
def _buffer(draw: Draw, target: str) -> Tree:
    size = draw(some({"replicas": 1}, {"replicas": 2}, {"percentage": 50}))
    spec = {"scalableRef": {"apiGroup": "apps", "kind": "Deployment", "name": target}} | size
    return _made("CapacityBuffer", f"buffer-{target}", spec, "autoscaling.x-k8s.io/v1beta1")


def _classes() -> list[Tree]:
    priorities = [("high", 1000, None), ("low", -10, None), ("polite", 500, "Never")]
    found = [
        sparse(
            apiVersion="scheduling.k8s.io/v1", kind="PriorityClass", metadata={"name": name}, value=value,
            preemptionPolicy=policy,
        )
        for name, value, policy in priorities
    ]  # fmt: skip
    for name, mode in (("late", "WaitForFirstConsumer"), ("early", "Immediate")):
        found.append(
            {
                "apiVersion": "storage.k8s.io/v1",
                "kind": "StorageClass",
                "metadata": {"name": name},
                "provisioner": "ebs.csi.aws.com",
                "volumeBindingMode": mode,
            }
        )
    return found


# What pods do


def _line(kind: str, name: str) -> str:
    return f"{kind.lower()}/default/{name}{'-*' if kind == 'CronJob' else ''}"


@composite
def _ways(draw: Draw, workload: Tree, scaled: bool) -> Tree | None:
    kind, name = workload["kind"], workload["metadata"]["name"]
    if kind == "DaemonSet":
        return None
    pattern = _line("Job" if kind == "CronJob" else kind, name + ("-*" if kind == "CronJob" else ""))
    starts = draw(
        maybe(some({"image": "200MB", "loads": "5s"}, {"image": "8GB", "loads": {"low": "10s", "high": "2m"}}))
    )
    entry: Tree = sparse(**{"for": pattern}, starts=starts, stops=draw(maybe(some("0s", "40s", "3m"), 2)))
    batch = kind in ("Job", "CronJob") or (kind == "Pod" and workload["spec"]["restartPolicy"] == "Never")
    if batch:
        entry |= sparse(
            runs=draw(some("5m", "20m", {"low": "1m", "high": "40m"}, {"mean": "15m"})),
            checkpoint=draw(maybe(some("3m", "10m"), 1)),
            restart=draw(maybe(some("30s"), 2)),
            fails=draw(maybe(some(0.1, 0.5), 3)),
            gpuUse=draw(maybe(some(0.5, 0.9), 1)),
            gpuMemory=draw(maybe(some("20GiB"), 9)),
        )
    elif scaled:
        load = draw(
            some(
                {"rate": "3/s"},
                {"steps": [{"at": "0s", "rate": "1/s"}, {"at": "40m", "rate": "9/s"}, {"at": "50m", "rate": "0/s"}]},
                {"low": "1/s", "high": "12/s", "peak": "01:00", "surges": [{"at": "30m", "for": "10m", "times": 4}]},
            )
        )
        entry["serves"] = {"capacity": "3/s", "load": load}
    return entry


@composite
def _arrivals(draw: Draw, number: int, gpus: bool) -> Tree:
    when = draw(some({"every": "*/15 * * * *"}, {"poisson": "6/h"}, {"at": ["1m", "30m", "31m"]}))
    make = draw(either(_job(f"come{number}", f"come{number}", gpus), _pod(f"come{number}", f"come{number}", gpus)))
    return sparse(
        arrivals=when | {"limit": 3},
        make=make,
        count=draw(some(1, 2)),
        stays=draw(maybe(some("10m", "35m"), 2)),
    )


# The cloud


@composite
def _where(draw: Draw) -> Tree:
    return sparse(
        types=draw(maybe(some("m5.*", "g5.*", "m5.large"))),
        zones=draw(maybe(some(*ZONES), 2)),
        capacityTypes=draw(maybe(some(["spot"], ["on-demand"]), 1)),
    )


@composite
def _stock(draw: Draw) -> Tree:
    how: Tree = draw(
        some(
            {"count": 1}, {"count": 0}, {"count": 3}, {"onOff": {"available": "20m", "out": "10m"}},
            {"onOff": {"available": "10m", "out": "20m", "together": "zone"}},
            {"steps": [{"at": "5m", "count": 0}, {"at": "30m", "count": 2}]},
        )
    )  # fmt: skip
    # Where there is nothing at all, nothing happens.
    where: Tree = draw(_where()) or {"zones": ZONES[0]}
    return where | how


@composite
def _reservation(draw: Draw, hours: int) -> Tree:
    return sparse(
        id="cr-1",
        type=draw(some("g5.xlarge", "m5.xlarge")),
        zone=draw(some(*ZONES)),
        count=draw(some(1, 2)),
        starts=draw(maybe(some("10m"), 2)),
        ends=draw(maybe(some("50m", f"{60 * hours - 5}m"))),
        price=draw(maybe(some(0.5), 2)),
    )


@composite
def _cloud(draw: Draw, reservations: list[Tree]) -> Tree:
    reclaims: Tree | str = draw(some("off", {"rate": "30%/h"}, {"rate": "100%/h"}))
    if isinstance(reclaims, dict) and draw.coin():
        reclaims = reclaims | {"out": "10m", "bursts": [{"every": "1h", "share": "50%", "out": "5m"}]}
    prices = draw(
        maybe(
            some(
                {"path": "walk", "volatility": 0.2, "refresh": "30m"},
                {"steps": [{"at": "30m", "capacityTypes": ["spot"], "times": 1.8}], "refresh": "20m"},
            )
        )
    )
    return sparse(
        reservations=reservations or None,
        spot=sparse(
            reclaims=reclaims,
            prices=prices,
            rebalance=draw(maybe(some("0%", "100%"), 2)),
            freeFirstHour=draw(maybe(some(True), 3)),
        ),
        stock=draw(maybe(several(_stock(), 1, 2))),
        quotas=draw(maybe(some([{"classes": "G and VT", "vcpus": 8}], [{"classes": "Standard", "vcpus": 16}]), 4)),
        throttle=draw(maybe(some({"rate": "0.1/s", "burst": 1}, {"rate": "1/s", "burst": 2}), 3)),
        interruptions=draw(maybe(some({"queue": False}, {"lag": "30s"}), 4)),
    )


@composite
def _nodes(draw: Draw, startup: bool) -> Tree:
    fails = draw(
        maybe(
            some({"neverRegisters": 0.2}, {"gpuNeverRegisters": 0.3}, {"gpuMissing": 0.3}, {"xid": "50%/h"}),
            2,
        )
    )
    taints = [sparse(key="boot", after=draw(maybe(some("20s", "3m"), 1)))] if startup else None
    return sparse(
        image=draw(maybe(some("bottlerocket"), 3)),
        pull=draw(maybe(some("soci", {"rate": "20MB/s"}), 3)),
        boot=draw(maybe(some("30s", {"low": "20s", "high": "3m"}))),
        gpu=draw(maybe(some("20s", "2m"))),
        startupTaints=taints,
        fails=fails,
    )


# Faults


@composite
def _fault(draw: Draw, hours: int, workloads: list[Tree], pools: list[str]) -> Tree:
    minute = draw.number(1, 60 * hours - 1)
    names = [(w["kind"], w["metadata"]["name"]) for w in workloads]
    scaled = [_line(kind, name) for kind, name in names if kind in ("Deployment", "StatefulSet")]
    rolled = [_line(kind, name) for kind, name in names if kind in ("Deployment", "StatefulSet", "DaemonSet")]
    image = {"spec": {"template": {"spec": {"containers": [{"name": "main", "image": f"new:{minute}"}]}}}}
    kinds: list[Drawn] = [
        _patched_pool(pools),
        some({"drift": "default"}),
        some({"xid": 79}, {"xid": {"code": 79, "share": 0.5}}, {"xid": 13}, {"xid": {"code": 94, "count": 1}}),
        some(
            {"notReady": {"count": 1}, "for": "2m"},
            {"notReady": {"share": 0.5}, "for": "20m"},
            {"notReady": {"share": 1}},
        ),
        some({"reclaim": {"share": 0.5}}, {"reclaim": {"count": 1}}),
        some({"interrupt": "scheduled_change"}, {"interrupt": {"kind": "rebalance_recommendation", "count": 1}}),
        some(
            {"apiThrottle": "0.05/s", "for": "15m"},
            {"slowPulls": 8, "for": "20m"},
            {"neverRegisters": {"share": 1}, "for": "10m"},
        ),
        some({"delete": [f"nodepool/{pools[0]}"]}),
    ]
    if names:
        kinds.append(some(*({"delete": [_line(kind, name).removesuffix("-*")]} for kind, name in names)))
    if scaled:
        kinds.append(some(*({"scale": {name: number}} for name in scaled for number in range(7))))
    if rolled:
        kinds.append(
            some(*({"patch": [{"object": name, "merge": _rollout(workloads, name, image)}]} for name in rolled))
        )
    kinds.append(some({"out": draw(_where()) or {"types": "*"}, "for": "25m"}))
    happens: Tree = draw(either(*kinds))
    return {"at": f"{minute}m"} | happens


def _rollout(workloads: list[Tree], name: str, image: Tree) -> Tree:
    """A merge that changes only the image: lists are replaced whole, so the container comes along."""
    found = next(w for w in workloads if _line(w["kind"], w["metadata"]["name"]) == name)
    container = dict(found["spec"]["template"]["spec"]["containers"][0])
    container["image"] = image["spec"]["template"]["spec"]["containers"][0]["image"]
    return {"spec": {"template": {"spec": {"containers": [container]}}}}


@composite
def _patched_pool(draw: Draw, pools: list[str]) -> Tree:
    merge = draw(
        some(
            {"spec": {"template": {"metadata": {"labels": {"wave": "2"}}}}},
            {"spec": {"disruption": {"budgets": [{"nodes": "1"}]}}},
            {"spec": {"disruption": {"consolidateAfter": "0s"}}},
            {"spec": {"limits": {"cpu": "8"}}},
            {"spec": {"template": {"spec": {"expireAfter": "50m"}}}},
            {"spec": {"weight": 90}},
            {"spec": {"disruption": {"consolidationPolicy": "WhenEmpty"}}},
        )
    )
    return {"patch": [{"object": f"nodepool/{draw(some(*pools))}", "merge": merge}]}


# All of it


def scenario(random: Random) -> Tree:
    """The tree of a scenario."""
    draw = Draw(random)
    gpus = [draw.coin() for _ in range(draw.number(1, 4))]
    reserved = draw(maybe(some(True), 5)) is not None
    pools = [draw(_pool(f"pool{number}", gpu, reserved)) for number, gpu in enumerate(gpus)]
    static = any("replicas" in pool["spec"] for pool in pools)
    # A static pool that gets no instance orders one claim after the other.
    hours = 1 if static else draw(some(*[1] * 16, 2, 2, 3, 6))
    workloads = [draw(_workload(number, any(gpus))) for number in range(draw.number(1, 4))]
    hpas, ways = [], []
    buffers = [
        draw(_buffer(w["metadata"]["name"])) for w in workloads if w["kind"] == "Deployment" and draw.number(0, 9) == 0
    ]
    for workload in workloads:
        name = workload["metadata"]["name"]
        scaled = workload["kind"] == "Deployment" and draw(maybe(some(True), 2)) is not None
        if scaled:
            hpas.append(draw(_hpa(name)))
        entry = draw(_ways(workload, scaled))
        if entry is not None and len(entry) > 1:
            ways.append(entry)
    come = [draw(_arrivals(number, any(gpus))) for number in range(draw.number(0, 2))]
    for number in range(len(come)):
        pattern = f"{come[number]['make']['kind'].lower()}/default/come{number}-*"
        if come[number]["make"]["kind"] == "Job" or come[number]["make"]["spec"]["restartPolicy"] == "Never":
            ways.append({"for": pattern, "runs": draw(some("8m", {"low": "1m", "high": "20m"}))})
    apps = sorted({_app(workload) for workload in workloads})
    pdbs = [draw(_pdb(f"pdb{n}", draw(some(*apps)))) for n in range(draw.number(0, 2))] if apps else []
    names = [pool["metadata"]["name"] for pool in pools]
    startup = any("startupTaints" in pool["spec"]["template"]["spec"] for pool in pools)
    packing = draw(some("cost", "first-fit"))
    settings = sparse(
        packing=packing,
        handOver=draw(maybe(some(False), 1)),
        spotToSpot=draw(maybe(some(True), 2)),
        nodeRepair=draw(maybe(some(True), 2)),
    )
    return {
        "scenario": "random",
        "for": f"{hours}h",
        "seed": draw.number(0, 1000),
        "cluster": {
            "objects": [NODE_CLASS, *_classes(), *pools, *workloads, *hpas, *pdbs, *buffers],
            "settings": settings,
        },
        "work": [*ways, *come],
        "cloud": draw(_cloud([draw(_reservation(hours))] if reserved else [])),
        "nodes": draw(_nodes(startup)),
        "faults": [draw(_fault(hours, workloads, names)) for _ in range(draw.number(0, 4))],
    }


def _app(workload: Tree) -> str:
    holder = workload["spec"].get("jobTemplate", workload)
    template = workload if workload["kind"] == "Pod" else holder["spec"]["template"]
    return str(template["metadata"]["labels"]["app"])


def numbered(number: int) -> Tree:
    """The scenario of a number."""
    return scenario(Random(number))


def catalog_of(tree: Tree) -> Catalog:
    """The catalog, with what the scenario has reserved."""
    found = {one.name: one for one in CATALOG.instance_types}
    for entry in tree["cloud"].get("reservations", ()):
        labels = {"karpenter.k8s.aws/capacity-reservation-id": entry["id"]}
        labels["karpenter.k8s.aws/capacity-reservation-type"] = entry.get("kind", "default")
        more = Offering(entry["zone"], "reserved", 1e-7, labels=labels, reservation_capacity=entry["count"])
        one = found[entry["type"]]
        found[entry["type"]] = replace(one, offerings=[*one.offerings, more])
    return Catalog(list(found.values()))


def read(tree: Tree) -> Reading:
    """The scenario as it is read from its file. Fails for one that has errors: nothing drawn may have any."""
    found = parse(json.dumps(tree), "random.yaml")
    assert not found.errors, "\n".join(map(str, found.errors))
    return found


def simulation(tree: Tree, **changes: Any) -> Simulation:
    """A run of the scenario, not begun yet."""
    reading = read(tree)
    cluster = cluster_of(reading.manifests, catalog_of(tree))
    return Simulation(reading, cluster.catalogs, cluster.unready, **changes)


# Shrinking


def smaller(tree: Tree) -> Iterator[Tree]:
    """Scenarios with one part less, the biggest parts first."""
    for field in ("cloud", "nodes", "faults", "work"):
        if tree.get(field):
            yield {**tree, field: type(tree[field])()}
    for field in ("faults", "work"):
        for index in range(len(tree[field])):
            yield {**tree, field: [*tree[field][:index], *tree[field][index + 1 :]]}
    cluster = tree["cluster"]
    for index in range(len(cluster["objects"])):
        objects = [*cluster["objects"][:index], *cluster["objects"][index + 1 :]]
        yield {**tree, "cluster": {**cluster, "objects": objects}}
    yield from _without_fields(tree)


def _without_fields(tree: Any) -> Iterator[Any]:
    """Copies of a tree without one of its fields, at any depth."""
    if isinstance(tree, dict):
        for key in tree:
            yield {k: v for k, v in tree.items() if k != key}
        for key, value in tree.items():
            yield from ({**tree, key: less} for less in _without_fields(value))
    elif isinstance(tree, list):
        for index, value in enumerate(tree):
            yield from ([*tree[:index], less, *tree[index + 1 :]] for less in _without_fields(value))


def shrunk(tree: Tree, fails: Callable[[Tree], bool], most: int = 60) -> Tree:
    """A small scenario that fails still. most: scenarios that are tried; those that cannot be read are not counted."""
    tried = 0
    again = True
    while again and tried < most:
        again = False
        for less in smaller(tree):
            if tried >= most:
                break
            try:
                if parse(json.dumps(less), "random.yaml").errors:
                    continue
            except TypeError:
                continue
            tried += 1
            if fails(less):
                tree, again = less, True
                break
    return tree
