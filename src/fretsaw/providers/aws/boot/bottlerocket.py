"""Bottlerocket: settings as TOML, ours laid over the user's.

Source: Karpenter AWS provider v1.14 pkg/providers/amifamily/bootstrap (bottlerocket.go, bottlerocketsettings.go).
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from typing import Any

from fretsaw.providers.aws.boot import toml
from fretsaw.providers.aws.boot.values import Boot

_DIRS = ("/var/lib/containerd", "/var/lib/kubelet", "/var/log/pods")
_KNOWN = frozenset(
    {
        "api-server",
        "cluster-certificate",
        "cluster-dns-ip",
        "cluster-name",
        "max-pods",
        "node-labels",
        "node-taints",
        "system-reserved",
        "kube-reserved",
        "eviction-hard",
        "eviction-soft",
        "eviction-soft-grace-period",
        "eviction-max-pod-grace-period",
        "image-gc-high-threshold-percent",
        "image-gc-low-threshold-percent",
        "cpu-cfs-quota-enforced",
        "cloud-provider",
        "credential-providers",
        "static-pods",
        "allowed-unsafe-sysctls",
        "server-tls-bootstrap",
        "registry-qps",
        "registry-burst",
        "event-qps",
        "event-burst",
        "kube-api-qps",
        "kube-api-burst",
        "container-log-max-size",
        "container-log-max-files",
        "container-log-max-workers",
        "container-log-monitor-interval",
        "cpu-manager-policy",
        "cpu-manager-policy-options",
        "cpu-manager-reconcile-period",
        "memory-manager-policy",
        "memory-manager-reserved-memory",
        "topology-manager-scope",
        "topology-manager-policy",
        "topology-manager-policy-options",
        "ids-per-pod",
        "shutdown-grace-period",
        "shutdown-grace-period-for-critical-pods",
        "cluster-domain",
        "seccomp-default",
        "pod-pids-limit",
        "device-ownership-from-security-context",
        "single-process-oom-kill",
        "hostname-override-source",
        "log-level",
    }
)
"""Settings of kubernetes that survive; others are dropped, since the image would refuse to start with them."""
_MAPS = {
    "systemReserved": "system-reserved",
    "kubeReserved": "kube-reserved",
    "evictionHard": "eviction-hard",
    "evictionSoft": "eviction-soft",
    "evictionSoftGracePeriod": "eviction-soft-grace-period",
}
_TEXTS = {
    "imageGCHighThresholdPercent": "image-gc-high-threshold-percent",
    "imageGCLowThresholdPercent": "image-gc-low-threshold-percent",
}


def user_data(boot: Boot) -> str:
    """Raises tomllib.TOMLDecodeError for custom data that is no TOML."""
    found: dict[str, Any] = tomllib.loads(boot.custom)
    settings = dict(_mapping(found.get("settings")))
    kubernetes = {key: value for key, value in _mapping(settings.get("kubernetes")).items() if key in _KNOWN}
    settings["kubernetes"] = {**kubernetes, **_ours(boot, kubernetes)}
    if boot.raid0:
        commands = dict(_mapping(settings.get("bootstrap-commands")))
        settings["bootstrap-commands"] = {**commands, "000-mount-instance-storage": _mount(boot.image_version)}
    return toml.dumps({**found, "settings": settings})


def _ours(boot: Boot, theirs: Mapping[str, Any]) -> dict[str, Any]:
    kubelet, cluster = boot.kubelet, boot.cluster
    found: dict[str, Any] = {
        "cluster-name": cluster.name,
        "api-server": cluster.endpoint,
        "node-labels": {**_mapping(theirs.get("node-labels")), **boot.labels},
        "node-taints": _taints(boot),
    }
    if cluster.ca:
        found["cluster-certificate"] = cluster.ca
    if "maxPods" in kubelet:
        found["max-pods"] = kubelet["maxPods"]
    if dns := next(iter(kubelet.get("clusterDNS") or ()), ""):
        found["cluster-dns-ip"] = dns
    found.update({_MAPS[field]: _strings(kubelet[field]) for field in _MAPS if kubelet.get(field)})
    found.update({_TEXTS[field]: str(kubelet[field]) for field in _TEXTS if kubelet.get(field) is not None})
    if kubelet.get("evictionMaxPodGracePeriod") is not None:
        found["eviction-max-pod-grace-period"] = kubelet["evictionMaxPodGracePeriod"]
    if kubelet.get("cpuCFSQuota") is not None:
        found["cpu-cfs-quota-enforced"] = kubelet["cpuCFSQuota"]
    return found


def _taints(boot: Boot) -> dict[str, list[str]]:
    """Key → `value:Effect` of each; the user's are lost."""
    found: dict[str, list[str]] = {}
    for taint in boot.taints:
        found.setdefault(taint.key, []).append(f"{taint.value}:{taint.effect}")
    return found


def _mount(version: str) -> dict[str, Any]:
    bind = ["apiclient", "ephemeral-storage", "bind"]
    if not _knows_dirs(version):
        bind += ["--dirs", *_DIRS]
    return {"commands": [["apiclient", "ephemeral-storage", "init"], bind], "mode": "always", "essential": True}


def _knows_dirs(version: str) -> bool:
    """Whether the image binds the right directories by itself: from 1.46.0 on."""
    if version == "latest":
        return True
    numbers = version.removeprefix("v").split("-")[0].split(".")
    return len(numbers) >= 2 and all(map(str.isdigit, numbers[:2])) and (int(numbers[0]), int(numbers[1])) >= (1, 46)


def _strings(values: Mapping[str, Any]) -> dict[str, str]:
    return {key: str(value) for key, value in values.items()}


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
