"""What the custom resources' definitions are written with: rules, quantities, and fragments of CRD schema.

The structs of NodePool, NodeClaim, NodeOverlay, CapacityBuffer and EC2NodeClass carry their admission rules in their
fields' annotations; `api.crd` turns them into CRDs. Keys that begin with `x-fretsaw-` are ours and do not reach the
CRD: `…schema` replaces the generated schema of a field, `…default` its default, `…right` is advice that accompanies a
rule, `…aws` marks the rules that only the AWS provider's CRDs have.
"""

from __future__ import annotations

from typing import Annotated, Any, Final

from msgspec import Meta

from fretsaw.api.resources import Quantity

Schema = dict[str, Any]

REPLACE: Final = "x-fretsaw-schema"
RIGHT: Final = "x-fretsaw-right"
DEFAULT: Final = "x-fretsaw-default"
AWS_ONLY: Final = "x-fretsaw-aws"
RULES: Final = "x-kubernetes-validations"
PRESERVE: Final = "x-kubernetes-preserve-unknown-fields"
INT_OR_STRING: Final = "x-kubernetes-int-or-string"
LIST_TYPE: Final = "x-kubernetes-list-type"
MAP_TYPE: Final = "x-kubernetes-map-type"
ATOMIC_LIST: Final[Schema] = {LIST_TYPE: "atomic"}
SET_LIST: Final[Schema] = {LIST_TYPE: "set"}

QUALIFIED_NAME: Final = (
    r"^([a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*(\/))?"
    r"([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]$"
)
LABEL_VALUE: Final = r"^(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?$"
QUANTITY: Final = (
    r"^(\+|-)?(([0-9]+(\.[0-9]*)?)|(\.[0-9]+))"
    r"(([KMGTPE]i)|[numkMGTPE]|([eE](\+|-)?(([0-9]+(\.[0-9]*)?)|(\.[0-9]+))))?$"
)
DURATION: Final = r"^([0-9]+(s|m|h))+$"
DURATION_OR_NEVER: Final = r"^(([0-9]+(s|m|h))+|Never)$"


def rule(expression: str, message: str, right: str = "") -> Schema:
    """A CEL rule: what must hold of `self`, the API server's message, and our advice on what would be right."""
    return {"rule": expression, "message": message, **({RIGHT: right} if right else {})}


def doc(text: str, *own_rules: Schema, **schema: Any) -> Meta:
    """Annotation with the field's description, CEL rules and further CRD keywords."""
    extra = {**({RULES: list(own_rules)} if own_rules else {}), **schema}
    if "default" in extra:
        extra[DEFAULT] = extra.pop("default")
    return Meta(description=text, extra_json_schema=extra or None)


def replaced(schema: Schema) -> Meta:
    """Annotation that replaces the schema made from the type."""
    return Meta(extra_json_schema={REPLACE: schema})


CRDQuantity = Annotated[
    Quantity,
    replaced({"anyOf": [{"type": "integer"}, {"type": "string"}], "pattern": QUANTITY, INT_OR_STRING: True}),
]
CRDQuantities = dict[str, CRDQuantity]
"""Amounts by resource name: quantity texts or whole numbers."""

TAINT: Final[Schema] = {
    "type": "object",
    "description": "The node this taint is attached to keeps away pods that do not tolerate it.",
    "required": ["effect", "key"],
    "properties": {
        "effect": {
            "type": "string",
            "description": "What happens to pods that do not tolerate the taint.",
            "enum": ["NoSchedule", "PreferNoSchedule", "NoExecute"],
        },
        "key": {
            "type": "string",
            "description": "The taint's key, a qualified name.",
            "minLength": 1,
            "pattern": QUALIFIED_NAME,
        },
        "timeAdded": {"type": "string", "format": "date-time", "description": "When the taint was added."},
        "value": {
            "type": "string",
            "description": "The taint's value; left out, not empty, when there is none.",
            "pattern": QUALIFIED_NAME,
        },
    },
}


def taints(text: str) -> Schema:
    """Schema of a list of taints with this description."""
    return {"type": "array", "description": text, "items": TAINT, **ATOMIC_LIST}


def conditions(*, strict: bool = True) -> Schema:
    """Schema of `status.conditions`; not strict: reason and message may be absent (NodeClaim)."""
    reason: Schema = {"type": "string", "maxLength": 1024, "description": "One word for the last transition."}
    pattern = r"^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$"
    reason |= {"minLength": 1, "pattern": pattern} if strict else {"pattern": f"^({pattern[1:-1]}|)$"}
    item: Schema = {
        "type": "object",
        "description": "One aspect of the object's state.",
        "required": ["lastTransitionTime", *(["message", "reason"] if strict else []), "status", "type"],
        "properties": {
            "lastTransitionTime": {
                "type": "string",
                "format": "date-time",
                "description": "When the status last changed.",
            },
            "message": {"type": "string", "maxLength": 32768, "description": "Details for people."},
            "observedGeneration": {
                "type": "integer",
                "format": "int64",
                "minimum": 0,
                "description": "The metadata.generation that the condition was set for.",
            },
            "reason": reason,
            "status": {
                "type": "string",
                "enum": ["True", "False", "Unknown"],
                "description": "Whether the condition holds.",
            },
            "type": {
                "type": "string",
                "maxLength": 316,
                "pattern": QUALIFIED_NAME,
                "description": "The condition's name.",
            },
        },
    }
    return {
        "type": "array",
        "description": "Signals about the health of the object.",
        "items": item,
        LIST_TYPE: "map",
        "x-kubernetes-list-map-keys": ["type"],
    }
