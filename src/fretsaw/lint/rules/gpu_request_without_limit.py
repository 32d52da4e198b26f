"""A GPU is asked for without a limit

Devices have to be limited: the request alone is refused, and a request without a limit cannot be defaulted.

Why: The API server refuses the pod. For a Deployment or Job that shows only in its events: the rollout hangs.

Example:
    apiVersion: v1
    kind: Pod
    metadata: {name: train}
    spec:
      containers:
        - {name: train, image: 'train:v1', resources: {requests: {nvidia.com/gpu: '1'}}}

Fix: Write the device under `limits`; the request follows by itself.

Source: kubernetes.io, Schedule GPUs ("limits" section) and Device Plugins.
"""

from __future__ import annotations

from collections.abc import Iterator

from fretsaw.lint.found import Found, Set
from fretsaw.lint.given import Input
from fretsaw.lint.market import DEVICES
from fretsaw.lint.rule import rule
from fretsaw.lint.tree import a_map, at, maps
from fretsaw.lint.views import Thing

_DEEPEST = 14


@rule("GPU103", "error", on="*", even_invalid=True, fixes=True)
def gpu_request_without_limit(thing: Thing, given: Input) -> Iterator[Found]:
    """Devices under requests only."""
    for path, container in _containers(thing.raw, "", 0):
        requests, limits = a_map(at(container, "resources", "requests")), a_map(at(container, "resources", "limits"))
        for resource in DEVICES:
            if resource in requests and resource not in limits:
                where = f"{path}.resources.limits"
                amount = str(requests[resource])
                edit = Set(f"{where}.{resource}", amount) if limits else Set(where, {resource: amount})
                yield Found(
                    f"{path}.resources.requests.{resource}",
                    f"asks for {resource} without a limit: the API server refuses such a pod",
                    fix=f"write limits: {{{resource}: '{amount}'}}",
                    edits=(edit,),
                )


def _containers(tree: object, path: str, depth: int) -> Iterator[tuple[str, dict[str, object]]]:
    if depth > _DEEPEST:
        return
    if isinstance(tree, list):
        for number, item in enumerate(tree):
            yield from _containers(item, f"{path}[{number}]", depth + 1)
    elif isinstance(tree, dict):
        for key, value in tree.items():
            here = f"{path}.{key}" if path else str(key)
            if key in ("containers", "initContainers"):
                yield from ((f"{here}[{number}]", item) for number, item in maps(value))
            elif key not in ("metadata", "status", "data") and "." not in str(key):
                yield from _containers(value, here, depth + 1)
