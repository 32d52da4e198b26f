"""User data of every family, byte for byte: `goldens` holds one file a case, reviewed line by line.

UPDATE_GOLDENS=1 writes them anew.
"""

from __future__ import annotations

import os
import tomllib
from email import message_from_string
from pathlib import Path
from typing import Any

import pytest
import yaml

from aws.boot.worlds import CLAIMED, CLUSTER, KIND, KUBELET, V6, node_class
from fretsaw.api.nodeclass import AMISelectorTerm
from fretsaw.api.nodeclass_status import ResolvedAMI
from fretsaw.errors import LaunchFailed, NotReady
from fretsaw.providers.aws.boot.template import Claimed, boot_of
from fretsaw.providers.aws.boot.user_data import MOST_BYTES, user_data
from fretsaw.providers.aws.boot.values import Boot, Cluster

GOLDENS = Path(__file__).parent / "goldens"
SHELL = "#!/bin/bash\necho mine\n"
MIME = """MIME-Version: 1.0
Content-Type: multipart/mixed; boundary="BOUND"

--BOUND
Content-Type: text/x-shellscript; charset="us-ascii"
Content-Transfer-Encoding: 7bit

#!/bin/bash
echo first

--BOUND
Content-Type: text/cloud-config

packages: [htop]

--BOUND--
"""
CONFIG = "apiVersion: node.eks.aws/v1alpha1\nkind: NodeConfig\nspec:\n  kubelet:\n    config:\n      logLevel: 4\n"
TOML = """[settings.kubernetes]
cluster-name = "theirs"
log-level = 4
unheard-of = true

[settings.kubernetes.node-labels]
team = "theirs"
own = "kept"

[settings.kubernetes.node-taints]
lost = ["a:NoSchedule"]

[settings.host-containers.admin]
enabled = true

[settings.bootstrap-commands.mine]
commands = [["apiclient", "get"]]
mode = "once"
essential = false
"""
_CLASSES: dict[str, dict[str, Any]] = {
    "al2": {"family": "AL2"},
    "al2-all": {"family": "AL2", "user_data": SHELL, "kubelet": KUBELET, "instance_store_policy": "RAID0"},
    "al2-mime": {"family": "AL2", "user_data": MIME.replace("\n", "\r\n")},
    "al2023": {"family": "AL2023"},
    "al2023-all": {
        "family": "AL2023",
        "user_data": SHELL,
        "kubelet": {**KUBELET, "topologyManagerPolicy": "single-numa-node"},
        "instance_store_policy": "RAID0",
    },
    "al2023-mime": {"family": "AL2023", "user_data": MIME},
    "al2023-config": {"family": "AL2023", "user_data": CONFIG},
    "bottlerocket": {"family": "Bottlerocket"},
    "bottlerocket-all": {
        "family": "Bottlerocket",
        "user_data": TOML,
        "kubelet": KUBELET,
        "instance_store_policy": "RAID0",
    },
    "windows": {"family": "Windows2022"},
    "windows-all": {"family": "Windows2025", "user_data": "Write-Host mine", "kubelet": KUBELET},
    "custom": {"family": "Custom", "user_data": SHELL},
}


def boot(case: str, cluster: Cluster = CLUSTER, claimed: Claimed = CLAIMED) -> Boot:
    return boot_of(node_class(**_CLASSES[case]), cluster, KIND, claimed)


@pytest.mark.parametrize("case", [*_CLASSES, "al2-v6", "al2023-v6"])
def test_user_data_is_what_the_golden_says(case: str) -> None:
    name = case.removesuffix("-v6")
    text = user_data(boot(name, V6 if case.endswith("-v6") else CLUSTER))
    path = GOLDENS / f"{case}.txt"
    if os.environ.get("UPDATE_GOLDENS"):
        path.write_text(text)
    assert text == path.read_text()


def parts(text: str) -> list[tuple[str, str]]:
    """(type, body) of each part, as a library reads them."""
    message = message_from_string(text)
    return [(one.get_content_type(), str(one.get_payload())) for one in message.get_payload()]  # type: ignore[union-attr]


@pytest.mark.parametrize("case", ["al2-all", "al2-mime", "al2023-all", "al2023-mime", "al2023-config"])
def test_the_nodes_own_part_comes_last(case: str) -> None:
    found = parts(user_data(boot(case)))
    assert len(found) == (3 if case.endswith("mime") else 2)
    last = found[-1]
    if case.startswith("al2023"):
        assert last[0] == "application/node.eks.aws"
        config = yaml.safe_load(last[1])
        assert config["spec"]["cluster"] == {
            "name": "dev",
            "apiServerEndpoint": CLUSTER.endpoint,
            "certificateAuthority": CLUSTER.ca,
            "cidr": CLUSTER.cidr,
        }
    else:
        assert "/etc/eks/bootstrap.sh 'dev'" in last[1]


def test_settings_of_the_kubelet_stay_as_the_user_wrote_them_on_al2023() -> None:
    config = yaml.safe_load(parts(user_data(boot("al2023-all")))[-1][1])["spec"]["kubelet"]["config"]
    kept = {key: value for key, value in config.items() if key not in ("registerWithTaints", "clusterDNS")}
    assert kept == {**KUBELET, "topologyManagerPolicy": "single-numa-node"}
    assert config["registerWithTaints"] == [
        {"key": "nvidia.com/gpu", "value": "true", "effect": "NoSchedule"},
        {"key": "driver.example/not-ready", "effect": "NoExecute"},
        {"key": "karpenter.sh/unregistered", "effect": "NoExecute"},
    ]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, 58),
        ({"maxPods": 40}, 40),
        ({"maxPods": "vcpus * 4"}, 58),
        ({"maxPods": 40, "podsPerCore": 2}, 40),
    ],
)
def test_max_pods_is_the_types_unless_the_user_gives_a_number(given: dict[str, Any], expected: int) -> None:
    made = boot_of(node_class(kubelet=given), CLUSTER, KIND, CLAIMED)
    assert made.kubelet["maxPods"] == expected


def test_expressions_of_reserved_amounts_are_left_out() -> None:
    given = {"kubeReserved": {"cpu": "100m", "memory": "max_pods * 11"}}
    assert boot_of(node_class(kubelet=given), CLUSTER, KIND, CLAIMED).kubelet["kubeReserved"] == {"cpu": "100m"}


def test_bottlerocket_keeps_what_is_the_users_and_overrides_what_is_ours() -> None:
    settings = tomllib.loads(user_data(boot("bottlerocket-all")))["settings"]
    kubernetes = settings["kubernetes"]
    assert settings["host-containers"] == {"admin": {"enabled": True}}
    assert kubernetes["cluster-name"] == "dev"
    assert kubernetes["log-level"] == 4
    assert "unheard-of" not in kubernetes
    assert kubernetes["node-labels"]["own"] == "kept"
    assert kubernetes["node-labels"]["team"] == "research"
    assert set(kubernetes["node-taints"]) == {"nvidia.com/gpu", "driver.example/not-ready", "karpenter.sh/unregistered"}
    assert kubernetes["node-taints"]["karpenter.sh/unregistered"] == [":NoExecute"]
    assert set(settings["bootstrap-commands"]) == {"mine", "000-mount-instance-storage"}


@pytest.mark.parametrize(
    ("terms", "amis", "dirs"),
    [
        ((AMISelectorTerm(alias="bottlerocket@latest"),), (), False),
        ((AMISelectorTerm(alias="bottlerocket@v1.46.0"),), (), False),
        ((AMISelectorTerm(alias="bottlerocket@1.45.9"),), (), True),
        ((AMISelectorTerm(name="bottlerocket-aws-k8s-1.34-x86_64-v1.50.0-12ab"),), (), False),
        (
            (AMISelectorTerm(id="ami-1"),),
            (ResolvedAMI("ami-1", (), "bottlerocket-aws-k8s-1.34-x86_64-v1.40.0-1"),),
            True,
        ),
        ((AMISelectorTerm(tags={"a": "b"}),), (ResolvedAMI("ami-9", (), "my-bottlerocket-v2.0.0-x"),), False),
        ((AMISelectorTerm(id="ami-1"),), (), True),
    ],
)
def test_older_bottlerocket_is_told_which_directories_to_bind(terms: Any, amis: Any, dirs: bool) -> None:
    the_class = node_class("Bottlerocket", amis, ami_selector_terms=terms, instance_store_policy="RAID0")
    found = tomllib.loads(user_data(boot_of(the_class, CLUSTER, KIND, CLAIMED)))
    commands = found["settings"]["bootstrap-commands"]["000-mount-instance-storage"]["commands"]
    assert ("--dirs" in commands[1]) == dirs


@pytest.mark.parametrize(
    ("family", "text", "told"),
    [
        ("Bottlerocket", "[settings", "spec.userData: not TOML"),
        ("AL2", "MIME-Version: 1.0\nContent-Type: text/plain\n\nhello", "says that it is MIME"),
        ("AL2023", "Content-Type: text/plain\n\nhello", "says that it is MIME"),
    ],
)
def test_custom_data_that_cannot_be_read_is_refused_with_its_field(family: str, text: str, told: str) -> None:
    with pytest.raises(LaunchFailed, match=told) as raised:
        user_data(boot_of(node_class(family, user_data=text), CLUSTER, KIND, CLAIMED))
    assert raised.value.reason == "UserDataInvalid"


def test_user_data_that_ec2_would_refuse_is_refused_before() -> None:
    just = boot_of(node_class("Custom", user_data="x" * MOST_BYTES), CLUSTER, KIND, CLAIMED)
    assert len(user_data(just)) == MOST_BYTES
    with pytest.raises(LaunchFailed, match=r"16385 bytes, 16385 of them spec\.userData"):
        user_data(boot_of(node_class("Custom", user_data="x" * (MOST_BYTES + 1)), CLUSTER, KIND, CLAIMED))


def test_al2023_without_the_clusters_range_is_not_ready() -> None:
    with pytest.raises(NotReady, match="range of service addresses"):
        boot_of(node_class(), Cluster("dev", "https://x"), KIND, CLAIMED)


def test_a_claim_that_has_the_taint_of_unregistered_nodes_does_not_get_it_twice() -> None:
    once = boot("al2")
    again = boot_of(node_class(), CLUSTER, KIND, Claimed({}, once.taints))
    assert again.taints == once.taints
