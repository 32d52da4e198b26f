"""Every call to AWS that Fretsaw makes, by IAM's name, and what the policy needs for it.

`ask` refuses what is not in this table, and `fretsaw aws iam-policy` is made from it: the policy and the code cannot
part. A test compares the table with the calls in the provider's source, in both directions.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from fretsaw.errors import BrokenInvariant
from fretsaw.providers.aws.calls.statements import BY_SID, STATEMENTS, Statement


class Call(msgspec.Struct, frozen=True):
    """One operation of one service. needs: (statement, action), each of which has to be allowed."""

    name: str
    """As IAM writes it: `ec2:DescribeSubnets`; where IAM has no action of that name, as AWS's model does."""
    why: str
    needs: tuple[tuple[str, str], ...]

    @property
    def service(self) -> str:
        """The service as botocore names it."""
        prefix = self.name.partition(":")[0]
        return _SERVICES.get(prefix, prefix)

    @property
    def operation(self) -> str:
        """The operation as the service's model names it."""
        return self.name.partition(":")[2]


_SERVICES = {"servicequotas": "service-quotas"}
"""Prefixes of IAM that differ from botocore's names."""


def _call(name: str, why: str, *sids: str, also: tuple[tuple[str, str], ...] = ()) -> Call:
    """A call that needs the action of its own name in these statements."""
    return Call(name, why, (*((sid, name) for sid in sids), *also))


def _reads() -> Iterator[Call]:
    reads = {
        "DescribeAvailabilityZones": "zones and their ids",
        "DescribeCapacityReservations": "what is reserved, and how much of it is left",
        "DescribeImages": "images that a node class selects",
        "DescribeInstanceStatus": "hardware and software that fails, and announced maintenance",
        "DescribeInstanceTypeOfferings": "which types each zone has",
        "DescribeInstanceTypes": "what the types are",
        "DescribeInstances": "which instances of this cluster there are",
        "DescribeLaunchTemplates": "which launch templates there are",
        "DescribePlacementGroups": "placement groups that a node class selects",
        "DescribeSecurityGroups": "security groups that a node class selects",
        "DescribeSpotPriceHistory": "spot prices",
        "DescribeSubnets": "subnets that a node class selects, and their free addresses",
    }
    for operation, why in reads.items():
        yield _call(f"ec2:{operation}", why, "ReadEC2")


_LAUNCHING = ("LaunchFromWhatIsThere", "LaunchFromOwnTemplates", "LaunchWhatIsTagged")
_AT_LAUNCH = (
    *((sid, "ec2:RunInstances") for sid in _LAUNCHING),
    ("TagAtLaunch", "ec2:CreateTags"),
    ("PassNodeRole", "iam:PassRole"),
)
"""What EC2 does in our name when it launches."""

CALLS: tuple[Call, ...] = (
    *_reads(),
    _call("ec2:CreateFleet", "launches instances", *_LAUNCHING, also=_AT_LAUNCH),
    Call("ec2:RunInstances", "only as a dry run: whether a node class could launch", _AT_LAUNCH),
    _call(
        "ec2:CreateLaunchTemplate", "what instances of a node class are made from", "LaunchWhatIsTagged",
        also=(("TagAtLaunch", "ec2:CreateTags"),),
    ),
    _call("ec2:CreateTags", "names instances after their NodeClaims and nodes", "TagOwnInstances"),
    _call("ec2:TerminateInstances", "ends instances", "EndOwn"),
    _call("ec2:DeleteLaunchTemplate", "takes launch templates away that nobody uses", "EndOwn"),
    _call(
        "iam:CreateInstanceProfile", "a profile for a node class's role", "MakeProfiles",
        also=(("MakeProfiles", "iam:TagInstanceProfile"),),
    ),
    _call("iam:AddRoleToInstanceProfile", "gives the profile its role", "ChangeOwnProfiles",
          also=(("PassNodeRole", "iam:PassRole"),)),
    _call("iam:RemoveRoleFromInstanceProfile", "before the profile gets another role, or goes", "ChangeOwnProfiles"),
    _call("iam:DeleteInstanceProfile", "takes profiles away that no node class uses", "ChangeOwnProfiles"),
    _call("iam:GetInstanceProfile", "which role a profile has", "ReadProfiles"),
    _call("iam:ListInstanceProfiles", "finds profiles that no node class uses", "ListProfiles"),
    _call("ssm:GetParameter", "which image an alias stands for", "ReadImageParameters"),
    _call("pricing:GetProducts", "on-demand prices", "ReadPrices"),
    _call("eks:DescribeCluster", "endpoint, certificate and addresses of the cluster", "ReadCluster"),
    _call("sqs:GetQueueUrl", "where the queue is", "HearInterruptions"),
    _call("sqs:ReceiveMessage", "hears what happens to instances", "HearInterruptions"),
    Call(
        "sqs:DeleteMessageBatch", "takes messages away that were heard",
        (("HearInterruptions", "sqs:DeleteMessage"),),
    ),
    Call("sts:GetCallerIdentity", "`fretsaw aws check` says who asks; everybody may", ()),
    _call("servicequotas:ListServiceQuotas", "`fretsaw aws check` looks at the quotas of GPU families", "ReadQuotas"),
)  # fmt: skip

BY_NAME = {call.name: call for call in CALLS}


def known(name: str) -> Call:
    """The call of a name. Raises BrokenInvariant for one that is not in the table: the policy would lack it."""
    if (call := BY_NAME.get(name)) is None:
        raise BrokenInvariant(f"{name} is not in the table of calls, so no policy would allow it")
    return call


def allowed(check: bool = False) -> list[tuple[Statement, tuple[str, ...]]]:
    """The statements with the actions that the calls need in each, sorted. check: those of `fretsaw aws check`, too.

    Raises BrokenInvariant where a call names a statement that there is not.
    """
    needed: dict[str, set[str]] = {}
    for call in CALLS:
        for sid, action in call.needs:
            if sid not in BY_SID:
                raise BrokenInvariant(f"{call.name} needs a statement that there is not: {sid}")
            needed.setdefault(sid, set()).add(action)
    return [
        (statement, tuple(sorted(needed[statement.sid])))
        for statement in STATEMENTS
        if statement.sid in needed and (check or statement.part != "check")
    ]
