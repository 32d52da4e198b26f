"""What an account with an EKS cluster has: network, groups, node role, cluster, queue, images."""

from __future__ import annotations

from typing import Any

import msgspec

from support.aws.images import VERSION, Image, add_image, published, set_parameter
from support.aws.world import ACCOUNT, REGION

CLUSTER = "test"
NODE_ROLE = "FretsawNodeRole-test"
DISCOVERY = {"karpenter.sh/discovery": CLUSTER}
"""The tag by which users let their subnets and groups be found."""
ZONES = ("us-east-1a", "us-east-1b", "us-east-1c")


class Seeded(msgspec.Struct, frozen=True):
    """Ids of what was made."""

    cluster: str
    vpc: str
    subnets: dict[str, str]
    """Zone → private subnet with the discovery tag."""
    public_subnets: dict[str, str]
    """Zone → a subnet without that tag."""
    security_groups: tuple[str, ...]
    """Those with the discovery tag: the cluster's, and the nodes'."""
    other_group: str
    node_role: str
    queue_url: str
    images: dict[str, Image]
    """By name."""


def seed() -> Seeded:
    """Make it all, in the backends themselves: over HTTP it would take seconds."""
    from moto.ec2.models import ec2_backends

    ec2: Any = ec2_backends[ACCOUNT][REGION]
    vpc = ec2.create_vpc("10.0.0.0/16")
    subnets = {zone: _subnet(ec2, vpc.id, f"10.0.{16 * n}.0/20", zone, DISCOVERY) for n, zone in enumerate(ZONES)}
    public = {zone: _subnet(ec2, vpc.id, f"10.0.{200 + n}.0/24", zone, {}) for n, zone in enumerate(ZONES)}
    groups = tuple(
        ec2.create_security_group(name, name, vpc_id=vpc.id, tags=DISCOVERY).id
        for name in (f"eks-cluster-sg-{CLUSTER}", f"{CLUSTER}-node")
    )
    other = ec2.create_security_group("other", "other", vpc_id=vpc.id).id
    images = {image.name: image for image in published()}
    for image in images.values():
        add_image(image)
        for name in image.parameters:
            set_parameter(name, image.id)
    _role()
    _cluster(list(subnets.values()), list(groups))
    return Seeded(CLUSTER, vpc.id, subnets, public, groups, other, NODE_ROLE, _queue(), images)


def _subnet(ec2: Any, vpc: str, cidr: str, zone: str, tags: dict[str, str]) -> str:
    subnet = ec2.create_subnet(vpc, cidr, availability_zone=zone)
    subnet.add_tags({"Name": f"{CLUSTER}-{zone}", **tags})
    return str(subnet.id)


def _role() -> None:
    from moto.iam.models import iam_backends

    iam: Any = iam_backends[ACCOUNT]["aws"]
    iam.create_role(
        role_name=NODE_ROLE,
        assume_role_policy_document='{"Version":"2012-10-17","Statement":[]}',
        path="/",
        permissions_boundary=None,
        description="",
        tags=[],
        max_session_duration="3600",
    )


def _cluster(subnets: list[str], groups: list[str]) -> None:
    from moto.eks.models import eks_backends

    eks: Any = eks_backends[ACCOUNT][REGION]
    cluster = eks.create_cluster(
        name=CLUSTER,
        role_arn=f"arn:aws:iam::{ACCOUNT}:role/ClusterRole",
        resources_vpc_config={"subnetIds": subnets, "securityGroupIds": groups},
        version=VERSION,
        kubernetes_network_config={"serviceIpv4Cidr": "172.20.0.0/16", "ipFamily": "ipv4"},
    )
    cluster.endpoint = "https://0123456789ABCDEF.gr7.us-east-1.eks.amazonaws.com"
    cluster.certificate_authority = {"data": "Y2VydGlmaWNhdGU="}


def _queue() -> str:
    from moto.sqs.models import sqs_backends

    sqs: Any = sqs_backends[ACCOUNT][REGION]
    queue = sqs.create_queue(CLUSTER, {})
    return f"https://sqs.{REGION}.amazonaws.com/{ACCOUNT}/{queue.name}"
