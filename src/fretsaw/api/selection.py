"""What NodePools, NodeClaims and NodeOverlays choose instance types by, and the admission rules of it.

Source: Karpenter v1.14 CRDs as the API server enforces them; the AWS label domain as its provider ships them.
"""

from __future__ import annotations

from typing import Final

from fretsaw.api import labels
from fretsaw.api.meta import Value
from fretsaw.api.schema import AWS_ONLY, LIST_TYPE, QUALIFIED_NAME, RULES, Schema, rule

_ASKS_AMONG = "Gt, Lt, Gte and Lte compare with one whole number of at least zero"


class NodeSelectorRequirement(Value, frozen=True):
    """A condition on one label: `key` `operator` `values`, with at least `min_values` different values to choose from.

    Operators: In, NotIn, Exists, DoesNotExist, Gt, Lt, Gte, Lte.
    """

    key: str
    operator: str
    values: tuple[str, ...] = ()
    min_values: int | None = None


class NodeClassRef(Value, frozen=True):
    """The cloud's part of the configuration: an object by group, kind and name."""

    group: str
    kind: str
    name: str

    @property
    def label(self) -> str:
        """The label with which nodes name their class, such as `karpenter.k8s.aws/ec2nodeclass`."""
        return f"{self.group}/{self.kind.lower()}"


def _in(keys: frozenset[str]) -> str:
    return "[" + ", ".join(f"'{key}'" for key in sorted(keys)) + "]"


def _outside_domain(subject: str, allowed: frozenset[str], suffix: str) -> str:
    return f"{subject} in {_in(allowed)} || !{subject}.find('^[^/]*').endsWith('{suffix}')"


_CORE_ALLOWED: Final = frozenset({labels.CAPACITY_TYPE, labels.NODEPOOL})
_AWS_ALLOWED: Final = frozenset({key for key in labels.WELL_KNOWN_AWS if key.startswith(labels.AWS_DOMAIN)})
POOL_AWS_KEYS: Final = _AWS_ALLOWED | {labels.EC2NODECLASS}
OVERLAY_AWS_KEYS: Final = POOL_AWS_KEYS - labels.AWS_LAUNCH_LABELS


def _key_rules(subject: str, aws_keys: frozenset[str], *, pool: bool, each: bool) -> list[Schema]:
    def made(condition: str, message: str, right: str) -> Schema:
        return rule(f"self.all({subject}, {condition})" if each else condition, message, right)

    made_aws = made(
        _outside_domain(subject, aws_keys, labels.AWS_DOMAIN),
        f'label domain "{labels.AWS_DOMAIN}" is restricted',
        "use one of the provider's well-known labels, or a domain of your own",
    )
    own = made(f"{subject} != '{labels.NODEPOOL}'", f'label "{labels.NODEPOOL}" is restricted', "it is set for you")
    return [
        made(
            _outside_domain(subject, _CORE_ALLOWED, "karpenter.sh"),
            'label domain "karpenter.sh" is restricted',
            "use a domain of your own; no key may end in karpenter.sh before its slash",
        ),
        *([own] if pool else []),
        made(f"{subject} != '{labels.HOSTNAME}'", f'label "{labels.HOSTNAME}" is restricted', "every node has its own"),
        made_aws | {AWS_ONLY: True},
    ]


LABEL_RULES: Final = _key_rules("key", POOL_AWS_KEYS, pool=True, each=True)
"""Rules of a pool's template labels."""

_IN_RULE = rule(
    "self.all(r, r.operator != 'In' || (has(r.values) && r.values.size() > 0))",
    "requirements with operator 'In' must have a value defined",
    "add values, or use Exists",
)
_COMPARISON_RULE = rule(
    "self.all(r, !(r.operator in ['Gt', 'Lt', 'Gte', 'Lte']) || "
    "(has(r.values) && r.values.size() == 1 && int(r.values[0]) >= 0))",
    "requirements operator 'Gt', 'Lt', 'Gte', or 'Lte' must have a single positive integer value",
    _ASKS_AMONG,
)
_MIN_VALUES_RULE = rule(
    "self.all(r, r.operator != 'In' || !has(r.minValues) || (has(r.values) && r.values.size() >= r.minValues))",
    "requirements with 'minValues' must have at least that many values specified in the 'values' field",
    "add values, or lower minValues",
)
_OVERLAY_IN_RULE = rule(
    "self.all(r, !(r.operator in ['In', 'NotIn']) || (has(r.values) && r.values.size() > 0))",
    "requirements with operator 'In' or 'NotIn' must have a value defined",
    "add values, or use Exists or DoesNotExist",
)


def requirements(kind: str) -> Schema:
    """Schema of the list of requirements of a NodePool, NodeClaim or NodeOverlay."""
    overlay = kind == "NodeOverlay"
    aws_keys = OVERLAY_AWS_KEYS if overlay else POOL_AWS_KEYS
    properties: Schema = {
        "key": {
            "type": "string",
            "description": "The label that the condition is about.",
            "maxLength": 316,
            "pattern": QUALIFIED_NAME,
            RULES: _key_rules("self", aws_keys, pool=kind == "NodePool", each=False),
        },
        "operator": {
            "type": "string",
            "description": "How the label relates to the values.",
            "enum": ["Gte", "Lte", "In", "NotIn", "Exists", "DoesNotExist", "Gt", "Lt"],
        },
        "values": {
            "type": "array",
            "description": "Label values; one whole number for the comparing operators.",
            "items": {"type": "string"},
            LIST_TYPE: "atomic",
        },
    }
    if not overlay:
        properties["minValues"] = {
            "type": "integer",
            "description": "How many different values the chosen instance types have to offer at least.",
            "minimum": 1,
            "maximum": 50,
        }
    return {
        "type": "array",
        "description": "Conditions on labels that instance types and offerings have to meet.",
        "maxItems": 100,
        "items": {
            "type": "object",
            "description": "A condition on one label.",
            "required": ["key", "operator"],
            "properties": properties,
        },
        LIST_TYPE: "atomic",
        RULES: [_OVERLAY_IN_RULE, _COMPARISON_RULE] if overlay else [_IN_RULE, _COMPARISON_RULE, _MIN_VALUES_RULE],
    }


def node_class_ref(*, immutable: bool) -> Schema:
    """Schema of `nodeClassRef`; immutable: group and kind may not change on update (the name may)."""

    def member(name: str, text: str, **schema: str) -> Schema:
        own = [rule("self != ''", f"{name} may not be empty", f"give the {name} of the node class")]
        if immutable and name != "name":
            own.append(rule("self == oldSelf", f"nodeClassRef.{name} is immutable", "make a new NodePool"))
        return {"type": "string", "description": text, **schema, RULES: own}

    return {
        "type": "object",
        "description": "The object with the cloud's part of the configuration.",
        "required": ["group", "kind", "name"],
        "properties": {
            "group": member("group", "API group, such as karpenter.k8s.aws.", pattern="^[^/]*$"),
            "kind": member("kind", "Kind, such as EC2NodeClass."),
            "name": member("name", "The object's name."),
        },
    }
