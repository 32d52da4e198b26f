"""Node classes and clusters for user data, in a line."""

from __future__ import annotations

from typing import Any

from fretsaw.api.meta import ObjectMeta
from fretsaw.api.node import Taint
from fretsaw.api.nodeclass import (
    AMISelectorTerm,
    EC2NodeClass,
    EC2NodeClassSpec,
    SecurityGroupSelectorTerm,
    SubnetSelectorTerm,
)
from fretsaw.api.nodeclass_status import EC2NodeClassStatus, ResolvedAMI, ResolvedSecurityGroup
from fretsaw.providers.aws.boot.template import Claimed, Kind
from fretsaw.providers.aws.boot.values import Cluster

CLUSTER = Cluster(
    "dev", "https://ABC.gr7.eu-west-1.eks.amazonaws.com", "Y2VydGlmaWNhdGU=", "10.100.0.0/16", "10.100.0.10"
)
V6 = Cluster("dev", "https://ABC.gr7.eu-west-1.eks.amazonaws.com", "Y2VydGlmaWNhdGU=", "fd30::/108", "fd30::a")
KIND = Kind("ami-1", 58, "on-demand")
CLAIMED = Claimed(
    {
        "karpenter.sh/nodepool": "gpu",
        "team": "research",
        "topology.kubernetes.io/zone": "eu-west-1a",
        "node-restriction.kubernetes.io/a": "b",
    },
    (Taint("nvidia.com/gpu", "NoSchedule", "true"),),
    (Taint("driver.example/not-ready", "NoExecute"),),
)
KUBELET: dict[str, Any] = {
    "maxPods": 40,
    "podsPerCore": 4,
    "systemReserved": {"memory": "200Mi", "cpu": "100m"},
    "kubeReserved": {"cpu": "90m"},
    "evictionHard": {"nodefs.available": "5%", "memory.available": "300Mi"},
    "evictionSoft": {"memory.available": "500Mi"},
    "evictionSoftGracePeriod": {"memory.available": "1m30s"},
    "evictionMaxPodGracePeriod": 60,
    "imageGCHighThresholdPercent": 85,
    "imageGCLowThresholdPercent": 80,
    "cpuCFSQuota": False,
}
TAGS = {"eks:eks-cluster-name": "dev", "karpenter.sh/nodepool": "gpu"}


def node_class(family: str = "AL2023", amis: tuple[ResolvedAMI, ...] = (), **spec: Any) -> EC2NodeClass:
    """A class of a family, by id unless `ami_selector_terms` says otherwise."""
    terms = {"ami_selector_terms": (AMISelectorTerm(id="ami-1"),), "ami_family": family, **spec}
    return EC2NodeClass(
        metadata=ObjectMeta(name="default"),
        spec=EC2NodeClassSpec(
            subnet_selector_terms=(SubnetSelectorTerm(id="subnet-1"),),
            security_group_selector_terms=(SecurityGroupSelectorTerm(id="sg-1"),),
            role="nodes",
            **terms,
        ),
        status=EC2NodeClassStatus(
            security_groups=(ResolvedSecurityGroup("sg-1", "nodes"), ResolvedSecurityGroup("sg-2", "cluster")),
            instance_profile="dev_profile",
            amis=amis,
        ),
    )
