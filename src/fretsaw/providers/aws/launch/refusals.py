"""AWS's error codes, sorted by what is to be done about them.

Source: Karpenter AWS provider v1.14 pkg/errors (sets of codes; reasons and messages of a failed launch).
"""

from __future__ import annotations

from collections.abc import Collection

from fretsaw.errors import LaunchFailed, OutOfCapacity, ProviderError, Throttled
from fretsaw.providers.aws.calls.asking import AwsError
from fretsaw.providers.aws.calls.refusals import NO_ANSWER, THROTTLED

UNFULFILLABLE = frozenset(
    {
        "InsufficientInstanceCapacity",
        "MaxSpotInstanceCountExceeded",
        "VcpuLimitExceeded",
        "UnfulfillableCapacity",
        "Unsupported",
        "InsufficientFreeAddressesInSubnet",
        "MaxFleetCountExceeded",
        "ReservationCapacityExceeded",
    }
)
"""There is none of it now; another offering, or a later time, may do."""
NO_ADDRESSES = "InsufficientFreeAddressesInSubnet"
NO_SPOT_ROLE = "AuthFailure.ServiceLinkedRoleCreationNotPermitted"
SPREAD_LIMIT = "limit of instances in this spread placement group"
NO_TEMPLATE = frozenset({"InvalidLaunchTemplateName.NotFoundException", "InvalidLaunchTemplateId.NotFound"})
NOT_FOUND = NO_TEMPLATE | {
    "InvalidCapacityReservationId.NotFound",
    "InvalidInstanceID.NotFound",
    "QueueDoesNotExist",
    "NoSuchEntity",
    "ParameterNotFound",
}
_DENIED = ("UnauthorizedOperation", "AccessDenied", "AuthFailure")
_BY = "User is not authorized to perform this operation"
_REASONS: tuple[tuple[str, str, str], ...] = (
    (
        NO_SPOT_ROLE,
        "SpotSLRCreationFailed",
        "User does not have sufficient permission to create the Spot ServiceLinkedRole to launch spot instances",
    ),
    (
        "iamInstanceProfile.name is invalid",
        "InstanceProfileNameInvalid",
        "Instance profile name used from EC2NodeClass status does not exist",
    ),
    (
        "InvalidLaunchTemplateId.NotFound",
        "LaunchTemplateNotFound",
        "Launch template used for instance launch wasn't found",
    ),
    (
        "User data is limited to",
        "UserDataSizeLimitExceeded",
        "Rendered user data exceeds the EC2 user data size limit",
    ),
    ("InvalidAMIID.Malformed", "InvalidAMIID", "AMI used for instance launch is invalid"),
    (
        "InvalidAMIID.NotFound",
        "AMINotFound",
        "AMI used for instance launch either does not exist or you don't have permissions to use it",
    ),
    ("RequestLimitExceeded", "RequestLimitExceeded", "Request limit exceeded"),
    ("InternalError", "InternalError", "An internal error has occurred"),
    (
        "not eligible for Free Tier",
        "FreeTierIneligible",
        "The specified instance type is not eligible for Free Tier",
    ),
    (
        "MaxFleetCountExceeded",
        "FleetQuotaExceeded",
        "A fleet launch was requested but this would exceed your fleet request quota",
    ),
    (
        "PendingVerification",
        "AccountPendingVerification",
        "An instance launch was requested but the request for launching resources in this region is still being"
        " verified",
    ),
    (
        "MaxSpotInstanceCountExceeded",
        "SpotQuotaExceeded",
        "A spot instance launch was requested but this would exceed your spot instance quota",
    ),
    (
        "VcpuLimitExceeded",
        "VCPULimitExceeded",
        "An instance was requested that would exceed your VCPU quota",
    ),
    (
        "InsufficientFreeAddressesInSubnet",
        "InsufficientFreeAddressesInSubnet",
        "There are not enough free IP addresses to launch an instance in this subnet",
    ),
)


def named(text: str) -> tuple[str, str]:
    """(reason, message) of a launch that failed with this text, by its first rule that fits."""
    first = _REASONS[0]
    if first[0] in text:
        return first[1:]
    if any(word in text for word in _DENIED):
        return _denied(text)
    if "InvalidParameter" in text and "belong to different networks" in text:
        return "SecurityGroupSubnetVPCMismatch", "Security groups and subnets must be in the same VPC."
    found = next((rule for rule in _REASONS[1:] if rule[0] in text), None)
    return ("LaunchFailed", "Instance launch failed") if found is None else found[1:]


def _denied(text: str) -> tuple[str, str]:
    if "with an explicit deny in a permissions boundary" in text:
        return "Unauthorized", f"{_BY} due to a permission boundary"
    if "with an explicit deny in a service control policy" in text:
        return "Unauthorized", f"{_BY} due to a service control policy"
    if "Not authorized for images" in text:
        return "AMIAuthorizationFailure", "User is not authorized for AMI used in instance launch"
    return "Unauthorized", f"{_BY} because no identity-based policy allows it"


def lost(error: AwsError) -> bool:
    """Whether the call may have been carried out all the same: there was no answer, or a server's fault."""
    return error.code == NO_ANSWER or (error.retry and error.code in _BUSY) or error.code.isdigit()


_BUSY = frozenset({"InternalError", "InternalFailure", "InternalServerError", "ServiceUnavailable", "Unavailable"})


def of_call(error: AwsError) -> ProviderError:
    """What a call that failed means for whoever wanted a launch. The message keeps what AWS said."""
    if error.code in THROTTLED or error.retry:
        return Throttled(str(error))
    if error.code in UNFULFILLABLE:
        return OutOfCapacity(f"{error.code}: {error.message}")
    reason, message = named(f"{error.code}: {error.message}")
    return LaunchFailed(reason, f"{message}: {error}")


def of_question(error: AwsError) -> ProviderError:
    """What a call that failed means where nothing is launched by it."""
    return Throttled(str(error)) if error.code in THROTTLED or error.retry else ProviderError(str(error))


def of_fleet(errors: Collection[tuple[str, str]], tried: frozenset[tuple[str, str, str]]) -> ProviderError:
    """What a fleet's errors mean for a claim that got no instance of it. errors: (code, message) of each.

    A mixture of no capacity and anything else is not out of capacity: the claim is kept and tried again.
    """
    texts = sorted({f"{code}: {message}" for code, message in errors})
    if all(code in UNFULFILLABLE or code == NO_SPOT_ROLE for code, _ in errors):
        told = ", ".join(texts) or "too few instances returned"
        return OutOfCapacity(f"with fleet error(s), {told}{_hint(errors)}", tried)
    reason, message = named("; ".join(texts))
    return LaunchFailed(reason, f"{message}: {'; '.join(texts)}")


def _hint(errors: Collection[tuple[str, str]]) -> str:
    """What does not heal by itself is said in words."""
    codes = {code for code, _ in errors}
    if "VcpuLimitExceeded" in codes:
        return (
            " (a quota of the account, which waiting does not change: ask AWS to raise the vCPU quota of this"
            " instance family, such as Running On-Demand G and VT instances, or P instances)"
        )
    if "MaxSpotInstanceCountExceeded" in codes:
        return " (a quota of the account, which waiting does not change: ask AWS to raise the spot quota)"
    if NO_SPOT_ROLE in codes:
        return " (run: aws iam create-service-linked-role --aws-service-name spot.amazonaws.com)"
    return ""
