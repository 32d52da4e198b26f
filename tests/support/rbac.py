"""What a request needs of a role, as the API server's authorizer reads it."""

from __future__ import annotations

from collections.abc import Mapping

VERBS = {"POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}
Need = tuple[str, str, str]
"""(group, resource with its subresource, verb)."""


def need(method: str, path: str, query: Mapping[str, str] | None = None) -> Need | None:
    """What a role has to allow; None for a path that is no resource, such as /version.

    Source: kubernetes.io, Authorization Overview, "Determine the request verb".
    """
    root, _, rest = path.strip("/").partition("/")
    if root not in ("api", "apis"):
        return None
    group, rest = ("", rest) if root == "api" else (rest.split("/", 1)[0], rest.split("/", 1)[1])
    _version, *parts = rest.split("/")
    if parts[0] == "namespaces" and len(parts) > 2:
        parts = parts[2:]  # a namespace's own subresources are not asked for by anyone here
    resource, name, subresource = (*parts, "", "")[:3]
    verb = VERBS.get(method, "")
    if method == "GET":
        verb = "watch" if (query or {}).get("watch") else "get" if name else "list"
    return group, f"{resource}/{subresource}" if subresource else resource, verb
