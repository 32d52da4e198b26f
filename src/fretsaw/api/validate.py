"""All that is wrong with a custom resource at once: schema, the API server's rules, and what the controllers refuse.

Source: kubernetes apiextensions-apiserver (order of defaulting, schema, list types, CEL); Karpenter and AWS provider
v1.14 (runtime validation).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final

from fretsaw.api import cel, runtime, runtime_aws
from fretsaw.api.crd import BY_KIND, Resource, schema
from fretsaw.api.object_meta import metadata_problems
from fretsaw.api.problem import Problem
from fretsaw.api.schema import Schema
from fretsaw.api.schema_check import check
from fretsaw.api.structural import prepared, unknown_fields

_RUNTIME: Final[dict[str, Callable[[dict[str, Any]], Iterator[Problem]]]] = {
    "NodePool": runtime.node_pool,
    "NodeClaim": runtime.node_claim,
    "NodeOverlay": runtime.node_overlay,
    "CapacityBuffer": runtime.capacity_buffer,
    "EC2NodeClass": runtime_aws.node_class,
}
_MAX_REPLICAS: Final = 2**31 - 1


def validate(
    raw: dict[str, Any], *, old: dict[str, Any] | None = None, runtime: bool = True, aws: bool = True
) -> list[Problem]:
    """Every problem of a NodePool, NodeClaim, NodeOverlay, CapacityBuffer or EC2NodeClass; other kinds have none.

    raw: the object as written, unchanged here. old: the stored object, for an update. runtime: also what only the
    controllers refuse. aws: with the rule on the AWS label domain, as the AWS provider's CRDs have it.
    Problems are sorted by path and unique; each has `by` schema, rule or runtime.
    """
    resource = BY_KIND.get(str(raw.get("kind")))
    if resource is None:
        return []
    whole = schema(resource.kind, aws=aws)
    found = [*_identity(raw, resource), *unknown_fields(_without_metadata(raw), whole, resource.kind)]
    found += metadata_problems(
        raw.get("metadata"), namespaced=resource.namespaced, old=None if old is None else old.get("metadata")
    )
    value = prepared(_without_metadata(raw), whole)
    before = None if old is None else prepared(_without_metadata(old), whole)
    found += _status(value, whole)
    # A status in a manifest is dropped on create and kept as stored on update: nothing else looks at it.
    value.pop("status", None)
    errors, blocking = check(value, _without_status(whole))
    found += errors
    found += cel.broken_rules(value, _without_status(whole), blocking, before)
    found += _scale(value, resource)
    if runtime and not blocking:
        found += _not_yet_said(_RUNTIME[resource.kind](value), found)
    return sorted(set(found))


def _not_yet_said(problems: Iterator[Problem], found: list[Problem]) -> list[Problem]:
    """The runtime problems of fields in which the API server has found no error already."""
    wrong = [problem.path for problem in found if problem.severity == "error"]
    return [problem for problem in problems if not any(_within(path, problem.path) for path in wrong)]


def _within(path: str, outer: str) -> bool:
    return path.startswith(outer) and path[len(outer) : len(outer) + 1] in ("", ".", "[")


def _without_metadata(raw: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in raw.items() if key != "metadata"}


def _without_status(whole: Schema) -> Schema:
    properties = {name: child for name, child in whole["properties"].items() if name not in ("status", "metadata")}
    return {**whole, "properties": properties}


def _identity(raw: dict[str, Any], resource: Resource) -> Iterator[Problem]:
    version = raw.get("apiVersion")
    if version != resource.api_version:
        yield Problem("apiVersion", "unsupported version", seen=str(version), right=resource.api_version)


def _status(value: dict[str, Any], whole: Schema) -> list[Problem]:
    """Warnings: an API server does not read the status of a manifest."""
    if "status" not in value:
        return []
    errors, _ = check({"status": value["status"]}, {"properties": {"status": whole["properties"]["status"]}})
    return [Problem(p.path, p.message, "warning", p.by, p.seen, p.right) for p in errors]


def _scale(value: dict[str, Any], resource: Resource) -> Iterator[Problem]:
    """The scale subresource reads replicas as 32 bits, whatever the schema says."""
    spec = value.get("spec")
    replicas = spec.get("replicas") if resource.scale and isinstance(spec, dict) else None
    if isinstance(replicas, int) and replicas > _MAX_REPLICAS:
        yield Problem("spec.replicas", "is too large", seen=str(replicas), right=f"at most {_MAX_REPLICAS}")
