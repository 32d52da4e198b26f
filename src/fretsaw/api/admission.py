"""What is wrong with a document: its kind, its field types, its field names and the rules of its kind."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Any, Final

import msgspec

from fretsaw.api import known_fields, legacy, rules
from fretsaw.api.decode import seen, strip_nulls, to_struct
from fretsaw.api.document import Document, value_at
from fretsaw.api.kinds import find, split
from fretsaw.api.meta import Object
from fretsaw.api.problem import Problem
from fretsaw.api.yamltext import placeholder

_TEMPLATE_KEYS: Final = ("containers", "initContainers")


def examine(document: Document) -> None:
    """Gives a document its object and its problems."""
    if isinstance(document.raw, dict) and (old := legacy.check(document.raw)) is not None:
        document.problems = tuple(old)
    elif problems := list(_problems(document)):
        document.problems = tuple(_explain_placeholder(problem, document.raw) for problem in problems)


def _problems(document: Document) -> Iterable[Problem]:
    raw = document.raw
    if not isinstance(raw, dict):
        return (
            Problem("", "not a Kubernetes object", by="file", seen=seen(raw), right="a map with apiVersion and kind"),
        )
    if not (document.kind and document.api_version):
        return _no_kind(raw)
    document.known = known = find(document.api_version, document.kind)
    if known is None:
        return ()
    group, version = split(document.api_version)
    if group != known.group or version not in known.versions:
        return (Problem("apiVersion", "not read", seen=document.api_version, right=f"write {known.api_version}"),)
    if known.is_custom:
        return _custom(document, known.load_struct())
    document.obj, wrong = to_struct(raw, known.load_struct())
    found = list(wrong)
    if document.obj is not None:
        found += rules.check(document.obj)
    found += known_fields.unknown(raw, document.kind)
    return found


def _no_kind(raw: dict[str, Any]) -> tuple[Problem, ...]:
    """A map without both is some other file, such as a chart's values; without one it is a mistake."""
    missing = [key for key in ("apiVersion", "kind") if not raw.get(key)]
    wrong = [key for key in ("apiVersion", "kind") if raw.get(key) and not isinstance(raw[key], str)]
    if wrong:
        return tuple(Problem(key, "must be text", seen=seen(raw[key])) for key in wrong)
    if len(missing) == 2:
        keys = ", ".join(list(raw)[:4])
        return (Problem("", "not a Kubernetes object: no apiVersion and no kind", "warning", "file", seen=keys),)
    return (Problem(missing[0], "missing", right=_right_kind(missing[0], raw)),)


def _right_kind(missing: str, raw: dict[str, Any]) -> str:
    known = find("", raw.get("kind", "")) if missing == "apiVersion" else None
    return f"write {known.api_version}" if known else f"every object needs {missing}"


def _custom(document: Document, struct: type[Object]) -> list[Problem]:
    """The kinds that CRDs define have their own validator; only types that it let pass are asked here."""
    from fretsaw.api.validate import validate

    found = validate(document.raw)
    stripped = strip_nulls(document.raw)
    document.obj, wrong = to_struct(stripped, struct)
    if document.obj is None and not any(problem.severity == "error" for problem in found):
        found = [*found, *wrong]
    return found


def _explain_placeholder(problem: Problem, raw: Any) -> Problem:
    """Says so where a field is only wrong because its template has not been filled in."""
    value = value_at(problem.path, raw) if problem.path else None
    text = value if isinstance(value, str) else f"{problem.seen} {problem.message}"
    found = placeholder(text)
    if not found or problem.severity != "error":
        return problem
    tool = "helm template" if found.startswith("{{") else "envsubst or sed"
    return msgspec.structs.replace(problem, right=f"{found} has not been filled in: render the file first, with {tool}")


def across(documents: list[Document]) -> None:
    """Problems between documents: the same object twice, and kinds that are not read (one warning a kind)."""
    _repeated(documents)
    unread: dict[tuple[str, str], list[Document]] = defaultdict(list)
    for document in documents:
        if document.kind and document.api_version and document.known is None and not document.has_errors:
            unread[document.api_version, document.kind].append(document)
    for (api_version, kind), group in unread.items():
        first = group[0]
        first.problems = (*first.problems, _not_read(api_version, kind, group))


def _not_read(api_version: str, kind: str, group: list[Document]) -> Problem:
    count = "1 object" if len(group) == 1 else f"{len(group)} objects"
    message = f"the kind {kind} is not read"
    if (api_version.partition("/")[0], kind) == ("eks.amazonaws.com", "NodeClass"):
        message = "a NodeClass of EKS Auto Mode is not planned with"
        return Problem("", message, "warning", "file", count, "for self-managed nodes write an EC2NodeClass")
    if any(_has_pods(document.raw) for document in group):
        message += ", its pods are not planned"
        return Problem("", message, "warning", "file", f"{count} of {api_version}", "give its pods as Pods or a Job")
    return Problem("", message, "warning", "file", f"{count} of {api_version}")


def _has_pods(tree: Any, depth: int = 12) -> bool:
    """Whether a custom resource holds a pod template somewhere."""
    if depth == 0:
        return False
    if isinstance(tree, dict):
        return any(isinstance(tree.get(key), list) for key in _TEMPLATE_KEYS) or any(
            _has_pods(value, depth - 1) for value in tree.values()
        )
    return isinstance(tree, list) and any(_has_pods(item, depth - 1) for item in tree)


def _repeated(documents: list[Document]) -> None:
    """Marks every object that was given before."""
    first: dict[tuple[str, str, str, str], Document] = {}
    for document in documents:
        metadata = document.raw.get("metadata") if isinstance(document.raw, dict) else None
        if not (document.kind and isinstance(metadata, dict) and isinstance(metadata.get("name"), str)):
            continue
        namespaced = document.known is None or document.known.namespaced
        namespace = (document.namespace or "default") if namespaced else ""
        key = (split(document.api_version)[0], document.kind, namespace, document.name)
        before = first.setdefault(key, document)
        if before is not document:
            where = f"{before.file}:{before.line}"
            document.problems = (
                *document.problems,
                Problem("metadata.name", f"the same object stands in {where}", by="rule", seen=document.name),
            )
