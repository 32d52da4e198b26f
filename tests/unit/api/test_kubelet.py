"""spec.kubelet of EC2NodeClass: what the controllers refuse, and where."""

from typing import Any

import pytest

from fretsaw.api import kubelet


def paths(settings: dict[str, Any], family: str = "AL2023") -> list[str]:
    """Where the problems are, below spec.kubelet."""
    return [problem.path.removeprefix("spec.kubelet.") for problem in kubelet.problems(settings, family)]


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"maxPods": 110, "cpuCFSQuota": True, "clusterDNS": ["10.0.0.10"], "podsPerCore": None},
        {"logging": {"format": "json", "options": {"json": {"infoBufferSize": "0"}}}},
        {"reservedMemory": [{"numaNode": 0, "limits": {"memory": "1Gi"}}]},
        {"evictionSoft": {"memory.available": "5%"}, "evictionSoftGracePeriod": {"memory.available": "1m30s"}},
        {"kubeReserved": {"cpu": "100m", "pid": "100"}},
        {"imageGCHighThresholdPercent": 85, "imageGCLowThresholdPercent": 80},
        {"featureGates": {"X": True}, "shutdownGracePeriod": "30s", "podPidsLimit": 2**40},
    ],
)
def test_what_is_taken(settings: dict[str, Any]) -> None:
    assert paths(settings) == []


@pytest.mark.parametrize(
    ("settings", "where"),
    [
        ({"maxPodz": 1}, ["maxPodz"]),
        ({"logging": {"formt": "json"}}, ["logging.formt"]),
        ({"maxPods": 1.5}, ["maxPods"]),
        ({"maxPods": "110"}, ["maxPods"]),
        ({"maxPods": -1}, ["maxPods"]),
        ({"maxPods": True}, ["maxPods"]),
        ({"podsPerCore": "2"}, ["podsPerCore"]),
        ({"podsPerCore": 2**31}, ["podsPerCore"]),
        ({"clusterDNS": "10.0.0.10"}, ["clusterDNS"]),
        ({"clusterDNS": [10]}, ["clusterDNS[0]"]),
        ({"shutdownGracePeriod": "30"}, ["shutdownGracePeriod"]),
        ({"registerWithTaints": []}, ["registerWithTaints"]),
        ({"evictionHard": {"memory.free": "1Gi"}}, ["evictionHard.memory.free"]),
        ({"evictionHard": {"memory.available": "101%"}}, ["evictionHard.memory.available"]),
        ({"evictionHard": {"memory.available": "-1Gi"}}, ["evictionHard.memory.available"]),
        ({"evictionMinimumReclaim": {"pid.available": "lots"}}, ["evictionMinimumReclaim.pid.available"]),
        ({"evictionHard": {"memory.available": 5}}, ["evictionHard.memory.available"]),
        ({"evictionSoft": {"pid.available": "1%"}}, ["evictionSoft.pid.available"]),
        ({"evictionSoftGracePeriod": {"pid.available": "1m"}}, ["evictionSoftGracePeriod.pid.available"]),
        ({"kubeReserved": {"pods": "1"}}, ["kubeReserved.pods"]),
        ({"systemReserved": {"cpu": "-1"}}, ["systemReserved.cpu"]),
        ({"systemReserved": {"cpu": "vcpus * 10"}}, ["systemReserved.cpu"]),
        ({"imageGCHighThresholdPercent": 101}, ["imageGCHighThresholdPercent"]),
        ({"imageGCHighThresholdPercent": 80, "imageGCLowThresholdPercent": 80}, ["imageGCHighThresholdPercent"]),
    ],
)
def test_what_is_refused_and_where(settings: dict[str, Any], where: list[str]) -> None:
    assert paths(settings) == where


@pytest.mark.parametrize(
    ("settings", "family", "where"),
    [
        ({"cpuManagerPolicy": "static"}, "AL2", ["cpuManagerPolicy"]),
        ({"cpuManagerPolicy": "static"}, "Windows2022", ["cpuManagerPolicy"]),
        ({"cpuManagerPolicy": "static"}, "Custom", []),
        ({"cpuManagerPolicy": "static"}, "AL2023", []),
        ({"podsPerCore": 2}, "Bottlerocket", ["podsPerCore"]),
        ({"podsPerCore": 2}, "AL2", []),
        ({"clusterDNS": ["10.0.0.10", "10.0.0.11"]}, "AL2", ["clusterDNS"]),
        ({"clusterDNS": ["10.0.0.10", "10.0.0.11"]}, "AL2023", []),
    ],
)
def test_each_family_renders_its_own_fields(settings: dict[str, Any], family: str, where: list[str]) -> None:
    assert paths(settings, family) == where
