"""The part of a node class whose change makes its nodes drift, as a number.

Differs: the peer hashes with a Go library that nobody else can follow cheaply; ours is another number under another
version, so that claims of the peer's are stamped anew and not all taken for drifted.
Source: AWS provider v1.14 pkg/apis/v1 (EC2NodeClass.Hash): which fields count, lists as sets, zero values left out.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

import msgspec

from fretsaw.api.nodeclass import EC2NodeClass
from fretsaw.providers.aws.nodeclass_view import NodeClassView

VERSION = "fretsaw-v1"
HASH = "karpenter.k8s.aws/ec2nodeclass-hash"
HASH_VERSION = "karpenter.k8s.aws/ec2nodeclass-hash-version"
_NOT_COUNTED = frozenset(
    {
        "subnetSelectorTerms",
        "securityGroupSelectorTerms",
        "capacityReservationSelectorTerms",
        "amiSelectorTerms",
        "amiFamily",  # counts as the family that it comes to
        "ipPrefixCount",
        "kubelet",  # counts as it is written, zero values and the order of lists included
    }
)


def class_hash(node_class: EC2NodeClass) -> str:
    """A decimal number that is another one whenever the nodes ought to be replaced."""
    spec: dict[str, Any] = {} if node_class.spec is None else msgspec.to_builtins(node_class.spec)
    counted = {key: value for key, value in spec.items() if key not in _NOT_COUNTED}
    parts = [_canonical(counted), NodeClassView(spec).family, spec.get("kubelet") or None]
    digest = hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).digest()
    return str(int.from_bytes(digest[:8], "big"))


def _canonical(value: Any) -> Any:
    """The value without zero values; lists as sets."""
    if isinstance(value, dict):
        found = {key: _canonical(one) for key, one in value.items()}
        return {key: one for key, one in found.items() if one not in (None, "", 0, False, [], {})}
    if isinstance(value, list | tuple):
        return sorted((_canonical(one) for one in value), key=lambda one: json.dumps(one, sort_keys=True))
    return value
