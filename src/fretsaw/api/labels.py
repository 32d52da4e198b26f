"""Label keys and values: which are known, which are reserved, and what a requirement may say.

Pure functions on text, used by the validators and by the engine (for pods' node selectors too). Nothing here imports
a schema or rule library.

Source: Karpenter v1.14 pkg/apis/v1 labels.go and requirements validation; kubernetes.io, Labels and Selectors.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from typing import Final

NODEPOOL: Final = "karpenter.sh/nodepool"
CAPACITY_TYPE: Final = "karpenter.sh/capacity-type"
HOSTNAME: Final = "kubernetes.io/hostname"
ZONE: Final = "topology.kubernetes.io/zone"
REGION: Final = "topology.kubernetes.io/region"
INSTANCE_TYPE: Final = "node.kubernetes.io/instance-type"
ARCH: Final = "kubernetes.io/arch"
OS: Final = "kubernetes.io/os"
WINDOWS_BUILD: Final = "node.kubernetes.io/windows-build"
ZONE_ID: Final = "topology.k8s.aws/zone-id"
AWS_DOMAIN: Final = "karpenter.k8s.aws"
INSTANCE_TENANCY: Final = "karpenter.k8s.aws/instance-tenancy"
EC2NODECLASS: Final = "karpenter.k8s.aws/ec2nodeclass"

WELL_KNOWN_CORE: Final = frozenset({NODEPOOL, ZONE, REGION, INSTANCE_TYPE, ARCH, OS, CAPACITY_TYPE, WINDOWS_BUILD})

_AWS_INSTANCE = (
    "accelerator-count accelerator-manufacturer accelerator-name capability-flex category cpu cpu-manufacturer "
    "cpu-sustained-clock-speed-mhz ebs-bandwidth encryption-in-transit-supported family generation gpu-count "
    "gpu-manufacturer gpu-memory gpu-name hypervisor local-nvme memory network-bandwidth size"
)
AWS_TYPE_LABELS: Final = frozenset(
    {*(f"{AWS_DOMAIN}/instance-{name}" for name in _AWS_INSTANCE.split()), f"{AWS_DOMAIN}/nitro-sandbox"}
)
"""What an EC2 instance type is like, whoever launches it."""

AWS_LAUNCH_LABELS: Final = frozenset(
    {
        INSTANCE_TENANCY,
        f"{AWS_DOMAIN}/capacity-reservation-id",
        f"{AWS_DOMAIN}/capacity-reservation-interruptible",
        f"{AWS_DOMAIN}/capacity-reservation-type",
        f"{AWS_DOMAIN}/placement-group-id",
        f"{AWS_DOMAIN}/placement-group-partition",
    }
)
"""How an instance is launched: labels that pools may choose by and overlays may not."""

WELL_KNOWN_AWS: Final = AWS_TYPE_LABELS | AWS_LAUNCH_LABELS | {ZONE_ID}
WELL_KNOWN: Final = WELL_KNOWN_CORE | WELL_KNOWN_AWS
"""Keys that a pod or pool may ask for without any pool defining them."""

RESTRICTED_DOMAINS: Final = ("karpenter.k8s.aws", "karpenter.sh")
RESTRICTED_KEYS: Final = frozenset({HOSTNAME})

ALIASES: Final[Mapping[str, str]] = {
    "failure-domain.beta.kubernetes.io/zone": ZONE,
    "failure-domain.beta.kubernetes.io/region": REGION,
    "beta.kubernetes.io/arch": ARCH,
    "beta.kubernetes.io/os": OS,
    "beta.kubernetes.io/instance-type": INSTANCE_TYPE,
    "topology.ebs.csi.aws.com/zone": ZONE,
}
"""Old and driver-specific keys, and the key that each one means."""

KNOWN_VALUES: Final[Mapping[str, frozenset[str]]] = {
    CAPACITY_TYPE: frozenset({"on-demand", "reserved", "spot"}),
    INSTANCE_TENANCY: frozenset({"dedicated", "default"}),
}
"""Keys whose values form a closed set."""

COMPARISONS: Final = frozenset({"Gt", "Lt", "Gte", "Lte"})
OPERATORS: Final = frozenset({"In", "NotIn", "Exists", "DoesNotExist"}) | COMPARISONS

_NAME = re.compile(r"([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]", re.ASCII)
_SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*", re.ASCII)
_DECIMAL = re.compile(r"[+-]?[0-9]+", re.ASCII)
MAX_INT64: Final = 2**63 - 1


def normalize(key: str) -> str:
    """The key that `key` means: aliases resolved, everything else unchanged."""
    return ALIASES.get(key, key)


def domain(key: str) -> str:
    """The text before the first slash, empty without a slash."""
    head, slash, _ = key.partition("/")
    return head if slash else ""


def restricted(key: str, well_known: Collection[str] = WELL_KNOWN) -> str | None:
    """Why users may not set or ask for this label, or None when they may.

    Well-known keys are always allowed; a restricted domain counts with all its subdomains.
    """
    if key in well_known:
        return None
    own = domain(key)
    for name in RESTRICTED_DOMAINS:
        if own == name or own.endswith("." + name):
            return f'label "{key}" is restricted: its domain belongs to {name}'
    if key in RESTRICTED_KEYS:
        return f'label "{key}" is restricted: every node has its own'
    return None


def is_subdomain(text: str) -> bool:
    """Whether text is a DNS subdomain of at most 253 characters, such as an object's name."""
    return len(text) <= 253 and _SUBDOMAIN.fullmatch(text) is not None


def is_dns_label(text: str) -> bool:
    """Whether text is a DNS label of at most 63 characters, such as a namespace's name."""
    return len(text) <= 63 and "." not in text and _SUBDOMAIN.fullmatch(text) is not None


def is_qualified_name(text: str) -> bool:
    """Whether text may be a label key: `name` or `prefix/name`, name at most 63 characters, prefix a DNS subdomain."""
    prefix, slash, name = text.rpartition("/")
    if slash and not is_subdomain(prefix):
        return False
    return len(name) <= 63 and _NAME.fullmatch(name) is not None


def is_label_value(text: str) -> bool:
    """Whether text may be a label value: empty, or at most 63 letters, digits, `-`, `_`, `.` that start and end
    with a letter or digit."""
    return text == "" or (len(text) <= 63 and _NAME.fullmatch(text) is not None)


def as_int64(text: str) -> int | None:
    """The decimal integer that text spells with an optional sign, or None when it is none or over 64 bits.

    Source: Go strconv.ParseInt(text, 10, 64): no spaces, underscores, points or other bases.
    """
    if _DECIMAL.fullmatch(text) is None:
        return None
    number = int(text)
    return number if -MAX_INT64 - 1 <= number <= MAX_INT64 else None


def requirement_problem(
    key: str,
    operator: str,
    values: Sequence[str],
    min_values: int | None = None,
    well_known: Collection[str] = WELL_KNOWN,
) -> str | None:
    """Why controllers refuse this requirement, all reasons joined with `; `, or None when they take it.

    Also for pods' node selectors and required node affinity. Aliases of keys are resolved first.
    """
    name = normalize(key)
    reasons = [*_key_reasons(name, operator, well_known), *_value_reasons(name, operator, values, min_values)]
    return "; ".join(reasons) or None


def _key_reasons(key: str, operator: str, well_known: Collection[str]) -> list[str]:
    reasons = []
    if operator not in OPERATORS:
        reasons.append(f'key "{key}" has an unknown operator "{operator}" (known: {", ".join(sorted(OPERATORS))})')
    if (why := restricted(key, well_known)) is not None:
        reasons.append(why)
    if not is_qualified_name(key):
        reasons.append(
            f'key "{key}" is not a label key (an optional DNS prefix and a slash, then at most 63 letters, digits, '
            "'-', '_' or '.')"
        )
    return reasons


def _value_reasons(key: str, operator: str, values: Sequence[str], min_values: int | None) -> list[str]:
    reasons = [
        f"value \"{value}\" of key \"{key}\" is not a label value (at most 63 letters, digits, '-', '_' or '.', "
        "a letter or digit first and last)"
        for value in values
        if not is_label_value(value)
    ]
    if operator == "In":
        reasons += _in_reasons(key, values, min_values)
    elif operator in COMPARISONS and not _is_bound(values):
        shown = ", ".join(f'"{value}"' for value in values) or "none"
        reasons.append(
            f'key "{key}" with operator {operator} needs a single integer of at least zero: {shown} was seen'
        )
    return reasons


def _in_reasons(key: str, values: Sequence[str], min_values: int | None) -> list[str]:
    known = KNOWN_VALUES.get(key)
    if not values:
        return [f'key "{key}" with operator In must have a value']
    reasons = []
    if min_values is not None and len(values) < min_values:
        reasons.append(f'key "{key}" has {len(values)} values and minValues {min_values}')
    if known is not None:
        usable = sum(value in known for value in values)
        allowed = ", ".join(sorted(known))
        if not usable:
            reasons.append(f'key "{key}" has no known value among {", ".join(values)} (known: {allowed})')
        elif min_values is not None and usable < min_values:
            reasons.append(f'key "{key}" has {usable} known values and minValues {min_values} (known: {allowed})')
    return reasons


def _is_bound(values: Sequence[str]) -> bool:
    number = as_int64(values[0]) if len(values) == 1 else None
    return number is not None and number >= 0
