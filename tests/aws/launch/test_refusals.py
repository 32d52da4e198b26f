"""Every error code and text of the peer's tables, and what it becomes."""

from __future__ import annotations

import pytest

from fretsaw.errors import LaunchFailed, OutOfCapacity, ProviderError, Throttled
from fretsaw.providers.aws.calls import AwsError
from fretsaw.providers.aws.launch.refusals import NOT_FOUND, UNFULFILLABLE, lost, named, of_call, of_fleet, of_question

CODES = (
    "InsufficientInstanceCapacity",
    "MaxSpotInstanceCountExceeded",
    "VcpuLimitExceeded",
    "UnfulfillableCapacity",
    "Unsupported",
    "InsufficientFreeAddressesInSubnet",
    "MaxFleetCountExceeded",
    "ReservationCapacityExceeded",
)
SLR = "AuthFailure.ServiceLinkedRoleCreationNotPermitted"
TRIED = frozenset({("g5.xlarge", "us-east-1a", "spot")})
BY = "User is not authorized to perform this operation"

TABLE = [
    (f"{SLR}: x", "SpotSLRCreationFailed", "User does not have sufficient permission to create the Spot ServiceLinkedRole to launch spot instances"),
    ("UnauthorizedOperation: with an explicit deny in a permissions boundary", "Unauthorized", f"{BY} due to a permission boundary"),
    ("AccessDenied: with an explicit deny in a permissions boundary", "Unauthorized", f"{BY} due to a permission boundary"),
    ("AuthFailure: with an explicit deny in a service control policy", "Unauthorized", f"{BY} due to a service control policy"),
    ("AuthFailure: Not authorized for images: [ami-1]", "AMIAuthorizationFailure", "User is not authorized for AMI used in instance launch"),
    ("UnauthorizedOperation: You are not authorized", "Unauthorized", f"{BY} because no identity-based policy allows it"),
    ("InvalidParameter: Security group sg-1 and subnet subnet-1 belong to different networks.", "SecurityGroupSubnetVPCMismatch", "Security groups and subnets must be in the same VPC."),
    ("InvalidParameterValue: Value (x) for parameter iamInstanceProfile.name is invalid. Invalid IAM Instance Profile name", "InstanceProfileNameInvalid", "Instance profile name used from EC2NodeClass status does not exist"),
    ("InvalidLaunchTemplateId.NotFound: x", "LaunchTemplateNotFound", "Launch template used for instance launch wasn't found"),
    ("InvalidUserData.Malformed: User data is limited to 16384 bytes", "UserDataSizeLimitExceeded", "Rendered user data exceeds the EC2 user data size limit"),
    ("InvalidAMIID.Malformed: x", "InvalidAMIID", "AMI used for instance launch is invalid"),
    ("InvalidAMIID.NotFound: x", "AMINotFound", "AMI used for instance launch either does not exist or you don't have permissions to use it"),
    ("RequestLimitExceeded: x", "RequestLimitExceeded", "Request limit exceeded"),
    ("InternalError: x", "InternalError", "An internal error has occurred"),
    ("InvalidParameterCombination: The specified instance type is not eligible for Free Tier.", "FreeTierIneligible", "The specified instance type is not eligible for Free Tier"),
    ("MaxFleetCountExceeded: x", "FleetQuotaExceeded", "A fleet launch was requested but this would exceed your fleet request quota"),
    ("PendingVerification: x", "AccountPendingVerification", "An instance launch was requested but the request for launching resources in this region is still being verified"),
    ("MaxSpotInstanceCountExceeded: x", "SpotQuotaExceeded", "A spot instance launch was requested but this would exceed your spot instance quota"),
    ("VcpuLimitExceeded: x", "VCPULimitExceeded", "An instance was requested that would exceed your VCPU quota"),
    ("InsufficientFreeAddressesInSubnet: x", "InsufficientFreeAddressesInSubnet", "There are not enough free IP addresses to launch an instance in this subnet"),
    ("InsufficientInstanceCapacity: x", "LaunchFailed", "Instance launch failed"),
    ("InvalidParameterValue: x", "LaunchFailed", "Instance launch failed"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "reason", "message"), TABLE, ids=[row[0][:40] for row in TABLE])
def test_reasons_and_messages(text: str, reason: str, message: str) -> None:
    assert named(text) == (reason, message)


def test_the_sets_are_the_peers() -> None:
    assert set(CODES) == UNFULFILLABLE
    assert {
        "InvalidCapacityReservationId.NotFound",
        "InvalidInstanceID.NotFound",
        "InvalidLaunchTemplateName.NotFoundException",
        "InvalidLaunchTemplateId.NotFound",
        "QueueDoesNotExist",
        "NoSuchEntity",
        "ParameterNotFound",
    } == NOT_FOUND


@pytest.mark.parametrize("code", [*CODES, SLR])
def test_a_fleet_that_only_lacks_capacity_is_out_of_capacity(code: str) -> None:
    error = of_fleet([(code, "no"), (code, "no"), ("InsufficientInstanceCapacity", "sold out")], TRIED)
    assert isinstance(error, OutOfCapacity)
    assert error.offerings == TRIED
    assert str(error).startswith("with fleet error(s), ")
    assert str(error).count(f"{code}: no") == 1


def test_a_fleet_without_instances_and_errors_is_out_of_capacity() -> None:
    assert str(of_fleet([], TRIED)) == "with fleet error(s), too few instances returned"


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("UnauthorizedOperation", "Unauthorized"),
        ("InvalidAMIID.NotFound", "AMINotFound"),
        ("InternalError", "InternalError"),
        ("Strange", "LaunchFailed"),
    ],
)
def test_a_mixture_is_tried_again(code: str, reason: str) -> None:
    error = of_fleet([("InsufficientInstanceCapacity", "none"), (code, "no")], TRIED)
    assert isinstance(error, LaunchFailed)
    assert error.reason == reason
    assert f"{code}: no" in error.message


@pytest.mark.parametrize(
    ("code", "hint"),
    [
        ("VcpuLimitExceeded", "raise the vCPU quota"),
        ("MaxSpotInstanceCountExceeded", "raise the spot quota"),
        (SLR, "aws iam create-service-linked-role --aws-service-name spot.amazonaws.com"),
    ],
)
def test_what_does_not_heal_by_itself_says_what_to_do(code: str, hint: str) -> None:
    assert hint in str(of_fleet([(code, "no")], TRIED))


@pytest.mark.parametrize(
    ("code", "retry", "kind", "maybe_done"),
    [
        ("RequestLimitExceeded", True, Throttled, False),
        ("Throttling", True, Throttled, False),
        ("ExpiredToken", True, Throttled, False),
        ("NoCredentials", True, Throttled, False),
        ("NoAnswer", True, Throttled, True),
        ("InternalError", True, Throttled, True),
        ("503", True, Throttled, True),
        ("UnauthorizedOperation", False, LaunchFailed, False),
        ("InvalidParameterValue", False, LaunchFailed, False),
        ("MaxFleetCountExceeded", False, OutOfCapacity, False),
    ],
)
def test_calls_that_fail(code: str, retry: bool, kind: type[ProviderError], maybe_done: bool) -> None:
    error = AwsError("ec2:CreateFleet", code, "no", retry=retry)
    assert type(of_call(error)) is kind
    assert code in str(of_call(error))
    assert lost(error) == maybe_done
    assert isinstance(of_question(error), Throttled) == retry
