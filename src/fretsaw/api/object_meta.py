"""What an API server checks of the metadata of a custom resource.

Source: kubernetes apimachinery, ValidateObjectMeta; names of custom resources are DNS subdomains.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from typing import Any, Final

from fretsaw.api import labels
from fretsaw.api.decode import seen as shown
from fretsaw.api.problem import Problem

_STRINGS: Final = (
    "creationTimestamp",
    "deletionTimestamp",
    "generateName",
    "name",
    "namespace",
    "resourceVersion",
    "selfLink",
    "uid",
)
_NUMBERS: Final = ("deletionGracePeriodSeconds", "generation")
_LISTS: Final = ("finalizers", "managedFields", "ownerReferences")
_MAPS: Final = ("annotations", "labels")
_FIELDS: Final = (*_STRINGS, *_NUMBERS, *_LISTS, *_MAPS)
_MAX_ANNOTATIONS: Final = 256 * 1024
_NAME_FORM: Final = "lower-case letters, digits, '-' and '.', a letter or digit first and last, at most 253"
_NAMESPACE_FORM: Final = "lower-case letters, digits and '-', a letter or digit first and last, at most 63"
_KEY_FORM: Final = "letters, digits, '-', '_' or '.', at most 63, after an optional DNS prefix and a slash"
_OWNER: Final = ("apiVersion", "kind", "name", "uid")


def metadata_problems(metadata: Any, *, namespaced: bool, old: Any = None) -> list[Problem]:
    """Problems of `metadata`, whose paths begin with it. Null fields count as absent; old: as stored, on update."""
    if metadata is None:
        return [Problem("metadata.name", "missing", right="name or generateName is required")]
    if not isinstance(metadata, dict):
        return [Problem("metadata", "must be a map", seen=shown(metadata))]
    given = {key: value for key, value in metadata.items() if value is not None}
    return [
        *_unknown(metadata),
        *_types(given),
        *_names(given, namespaced=namespaced),
        *_labels(given.get("labels")),
        *_annotations(given.get("annotations")),
        *_references(given),
        *_moved(given, old),
    ]


def _unknown(metadata: dict[str, Any]) -> Iterator[Problem]:
    """Fields that no object has, also when they are null."""
    for name in metadata:
        if name not in _FIELDS:
            near = difflib.get_close_matches(str(name), _FIELDS, n=1)
            yield Problem(f"metadata.{name}", "unknown field", right=f'did you mean "{near[0]}"?' if near else "")


def _moved(given: dict[str, Any], old: Any) -> Iterator[Problem]:
    """An update that names another object than the stored one."""
    stored = old if isinstance(old, dict) else {}
    for name in ("name", "namespace"):
        value, before = given.get(name), stored.get(name)
        if value and before and value != before:
            yield Problem(f"metadata.{name}", "is immutable", seen=shown(value), right=f"stored as {before}")


def _types(given: dict[str, Any]) -> Iterator[Problem]:
    expected = {
        **dict.fromkeys(_STRINGS, (str, "a string")),
        **dict.fromkeys(_NUMBERS, (int, "a whole number")),
        **dict.fromkeys(_LISTS, (list, "a list")),
        **dict.fromkeys(_MAPS, (dict, "a map")),
    }
    for name, value in given.items():
        here = f"metadata.{name}"
        if name in expected and (not isinstance(value, expected[name][0]) or isinstance(value, bool)):
            yield Problem(here, f"must be {expected[name][1]}", seen=shown(value))


def _names(given: dict[str, Any], *, namespaced: bool) -> Iterator[Problem]:
    name, generated, namespace = given.get("name"), given.get("generateName"), given.get("namespace")
    if not name and not generated:
        yield Problem("metadata.name", "missing", right="name or generateName is required")
    if isinstance(name, str) and name and not labels.is_subdomain(name):
        yield Problem("metadata.name", "is no object name", seen=shown(name), right=_NAME_FORM)
    # What is added to a generated name ends in letters, so that a dash or point may stand before it.
    if isinstance(generated, str) and generated and not labels.is_subdomain(generated.removesuffix("-") + "a"):
        yield Problem("metadata.generateName", "is no object name", seen=shown(generated), right=_NAME_FORM)
    if isinstance(namespace, str) and namespace and namespaced and not labels.is_dns_label(namespace):
        yield Problem("metadata.namespace", "is no namespace name", seen=shown(namespace), right=_NAMESPACE_FORM)
    if isinstance(namespace, str) and namespace and not namespaced:
        yield Problem("metadata.namespace", "is ignored: this kind has no namespace", "warning", seen=shown(namespace))


def _labels(own: Any) -> Iterator[Problem]:
    if not isinstance(own, dict):
        return
    for key, value in own.items():
        here = f"metadata.labels.{key}"
        if not labels.is_qualified_name(str(key)):
            yield Problem(here, "is not a label key", seen=shown(key), right=_KEY_FORM)
        if not isinstance(value, str | None):
            yield Problem(here, "must be a string", seen=shown(value), right=f'put it in quotes: "{value}"')
        elif value and not labels.is_label_value(value):
            right = "at most 63 letters, digits, '-', '_' or '.', a letter or digit first and last"
            yield Problem(here, "is not a label value", seen=shown(value), right=right)


def _annotations(own: Any) -> Iterator[Problem]:
    if not isinstance(own, dict):
        return
    size = 0
    for key, value in own.items():
        here = f"metadata.annotations.{key}"
        if not labels.is_qualified_name(str(key).lower()):
            yield Problem(here, "is not an annotation key", seen=shown(key), right=_KEY_FORM)
        if not isinstance(value, str | None):
            yield Problem(here, "must be a string", seen=shown(value), right=f'put it in quotes: "{value}"')
        else:
            size += len(str(key).encode()) + len((value or "").encode())
    if size > _MAX_ANNOTATIONS:
        right = f"at most {_MAX_ANNOTATIONS} bytes in all"
        yield Problem("metadata.annotations", "are too long", seen=f"{size} bytes", right=right)


def _references(given: dict[str, Any]) -> Iterator[Problem]:
    owners, finalizers = given.get("ownerReferences"), given.get("finalizers")
    for index, owner in enumerate(owners if isinstance(owners, list) else []):
        here = f"metadata.ownerReferences[{index}]"
        if not isinstance(owner, dict):
            yield Problem(here, "must be a map", seen=shown(owner))
        else:
            for name in _OWNER:
                if not owner.get(name):
                    yield Problem(f"{here}.{name}", "missing", right="owners are named in full")
    for index, finalizer in enumerate(finalizers if isinstance(finalizers, list) else []):
        if not isinstance(finalizer, str) or not labels.is_qualified_name(finalizer):
            yield Problem(f"metadata.finalizers[{index}]", "is no qualified name", seen=shown(finalizer))
