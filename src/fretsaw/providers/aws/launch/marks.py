"""The tags by which an instance belongs to a NodeClaim.

An instance launched for one claim alone has the claim's name and uid from the start. The instances of a batch are
tagged alike: `fretsaw.dev/batch-…` name all claims of the batch, by eight characters each, and `karpenter.sh/nodeclaim`
is `@open` until it is overwritten with the name of the claim that gets the instance. So whoever comes after a crash can
tell for which claims an instance may be taken, and for which it has been; and no tag is changed later that a policy
written for Karpenter does not let us change.

Source: EC2 User Guide, tag restrictions: 50 tags for each resource, 256 characters a value, letters, digits and
`+ - = . _ : / @`.
"""

from __future__ import annotations

import hashlib
from base64 import urlsafe_b64encode
from collections.abc import Collection, Mapping, Sequence

from fretsaw.api.labels import EC2NODECLASS, NODEPOOL

CLAIM = "karpenter.sh/nodeclaim"
OPEN = "@open"
"""No NodeClaim can have this name."""
UID = "fretsaw.dev/claim-uid"
BATCH = "fretsaw.dev/batch"
"""With a number after it: the claims of a batch."""
CLUSTER = "eks:eks-cluster-name"
NAME = "Name"
MOST_TAGS = 50
_VALUE = 256
_SHORT = 8
_A_TAG = _VALUE // _SHORT


def launch_tags(given: Mapping[str, str], cluster: str, pool: str, node_class: str) -> dict[str, str]:
    """The tags of everything that is launched. Source: Karpenter AWS provider v1.14 pkg/utils (GetTags)."""
    return {
        **given,
        f"kubernetes.io/cluster/{cluster}": "owned",
        NODEPOOL: pool,
        CLUSTER: cluster,
        EC2NODECLASS: node_class,
    }


def short(uid: str) -> str:
    """Eight characters for a uid. 48 bits: two of the claims that live at once do not meet."""
    return urlsafe_b64encode(hashlib.sha256(uid.encode()).digest()[:6]).decode()


def room(tags: Collection[str]) -> int:
    """How many claims one batch can name beside these tags, the claim's and the node's name; 1 if none: alone, a claim
    needs no batch."""
    return max(1, (MOST_TAGS - len({*tags, CLAIM, NAME})) * _A_TAG)


def of_one(uid: str, claim: str) -> dict[str, str]:
    """The tags of a claim's own instance."""
    return {UID: uid, CLAIM: claim}


def of_batch(uids: Sequence[str]) -> dict[str, str]:
    """The tags of a batch's instances. uids: at most `room` many."""
    shorts = sorted(map(short, uids))
    parts = ["".join(shorts[at : at + _A_TAG]) for at in range(0, len(shorts), _A_TAG)]
    return {CLAIM: OPEN, **{f"{BATCH}-{n}": part for n, part in enumerate(parts)}}


def is_of(tags: Mapping[str, str], uid: str, claim: str) -> bool:
    """Whether an instance with these tags is the claim's, and not that of another claim of the same name."""
    return tags.get(CLAIM) == claim and (tags.get(UID) == uid or _names(tags, uid))


def may_take(tags: Mapping[str, str], uid: str) -> bool:
    """Whether an instance with these tags is of a batch that names the claim, and nobody's yet."""
    return tags.get(CLAIM) == OPEN and _names(tags, uid)


def claim_of(tags: Mapping[str, str]) -> str:
    """The name of the claim that an instance is for; empty if it is nobody's yet."""
    name = tags.get(CLAIM, "")
    return "" if name == OPEN else name


def _names(tags: Mapping[str, str], uid: str) -> bool:
    """Whether the batch is one of this claim, among others."""
    mine = short(uid)
    parts = [value for key, value in tags.items() if key.startswith(f"{BATCH}-")]
    return any(mine == part[at : at + _SHORT] for part in parts for at in range(0, len(part), _SHORT))


def as_list(tags: Mapping[str, str]) -> list[dict[str, str]]:
    """As AWS wants them."""
    return [{"Key": key, "Value": value} for key, value in sorted(tags.items())]
