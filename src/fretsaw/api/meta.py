"""What all Kubernetes objects share: metadata, owners and label selectors.

Every struct of `api` is frozen, has the snake_case names of the Kubernetes fields, tuples for lists, `{}` for absent
maps and None for other absent fields. Fields that no decision reads are left out; a document's raw tree has them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import msgspec


class Value(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True, gc=False):
    """Base of every struct: frozen and without cycles, so that the collector need not look at it."""


class OwnerReference(Value, frozen=True):
    """The object that this one belongs to."""

    kind: str = ""
    name: str = ""
    uid: str = ""
    api_version: str = ""
    controller: bool = False
    block_owner_deletion: bool = False


class ObjectMeta(Value, frozen=True):
    """Name, labels and the rest of `metadata`; times are RFC 3339 texts."""

    name: str = ""
    namespace: str = ""
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}
    generate_name: str = ""
    uid: str = ""
    creation_timestamp: str | None = None
    deletion_timestamp: str | None = None
    deletion_grace_period_seconds: int | None = None
    owner_references: tuple[OwnerReference, ...] = ()
    finalizers: tuple[str, ...] = ()
    generation: int | None = None
    resource_version: str = ""

    @property
    def controller(self) -> OwnerReference | None:
        """The owner that manages this object, if any."""
        return next((owner for owner in self.owner_references if owner.controller), None)

    @property
    def home(self) -> str:
        """The namespace that an object of a kind with namespaces is in: `default` where it names none."""
        return self.namespace or "default"

    @property
    def key(self) -> str:
        """`namespace/name` of an object of a kind with namespaces."""
        return f"{self.namespace or 'default'}/{self.name}"


class Object(Value, frozen=True):
    """Base of every kind: it has metadata."""

    metadata: ObjectMeta = ObjectMeta()

    @property
    def name(self) -> str:
        """`metadata.name`."""
        return self.metadata.name

    @property
    def namespace(self) -> str:
        """`metadata.namespace`, empty for kinds without one and before defaulting."""
        return self.metadata.namespace


class Condition(Value, frozen=True):
    """One entry of `status.conditions`."""

    type: str = ""
    status: str = ""
    reason: str = ""
    message: str = ""
    last_transition_time: str | None = None
    observed_generation: int | None = None


SelectorOperator = Literal["In", "NotIn", "Exists", "DoesNotExist"]


class SelectorExpression(Value, frozen=True):
    """One entry of `matchExpressions` of a label selector."""

    key: str
    operator: str
    values: tuple[str, ...] = ()

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Whether labels satisfy it; NotIn also holds where the key is absent.

        Source: kubernetes.io, Labels and Selectors, set-based requirement.
        """
        present = self.key in labels
        if self.operator == "In":
            return present and labels[self.key] in self.values
        if self.operator == "NotIn":
            return not present or labels[self.key] not in self.values
        return present if self.operator == "Exists" else not present


class LabelSelector(Value, frozen=True):
    """Which labels match. Empty matches everything; an absent selector (None in its place) matches nothing."""

    match_labels: dict[str, str] = {}
    match_expressions: tuple[SelectorExpression, ...] = ()

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Whether all its parts hold for these labels."""
        return all(labels.get(key) == value for key, value in self.match_labels.items()) and all(
            expression.matches(labels) for expression in self.match_expressions
        )


class TypedReference(Value, frozen=True):
    """A reference to another object by kind and name."""

    name: str = ""
    kind: str = ""
    api_group: str = ""
    api_version: str = ""
    namespace: str = ""


IntOrText = int | str
"""Kubernetes' IntOrString, such as a budget of `1` or `10%`."""


def scaled(value: IntOrText, whole: int, *, up: bool) -> int:
    """What a number or a percentage of `whole` comes to. up: a part of one counts as one, else as none."""
    if isinstance(value, int):
        return value
    if not value.endswith("%"):
        return int(value)
    hundredths = int(value.removesuffix("%")) * whole
    return -(-hundredths // 100) if up else hundredths // 100
