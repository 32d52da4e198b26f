"""HTML from Python values: whatever is not markup already is escaped, so that no name can become a tag.

The one way in which the page is put together. Attributes are written in the order in which they are given.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from html import escape
from typing import Any

VOID = frozenset({"br", "meta", "input", "col", "hr"})


class Html(str):
    """Text that is markup and is not escaped again."""

    __slots__ = ()


def markup(child: Any) -> Html:
    """A child as markup: None is nothing, other text is escaped, of anything else the parts are joined."""
    if child is None:
        return Html()
    if isinstance(child, Html):
        return child
    if isinstance(child, str):
        return Html(escape(child))
    if isinstance(child, Iterable):
        return Html("".join(map(markup, child)))
    return Html(escape(str(child)))


def el(name: str, /, *children: Any, **attributes: Any) -> Html:
    """An element. In names of attributes `_` becomes `-` and one at the end goes: `class_`, `data_v`.

    Attributes that are None or False are left out, those that are True have no value.
    """
    parts = [f"<{name}"]
    for key, value in attributes.items():
        if value is None or value is False:
            continue
        attribute = key.rstrip("_").replace("_", "-")
        parts.append(f" {attribute}" if value is True else f' {attribute}="{escape(str(value))}"')
    parts.append(">")
    if name not in VOID:
        parts.extend(map(markup, children))
        parts.append(f"</{name}>")
    return Html("".join(parts))


def data(identity: str, value: Any) -> Html:
    """JSON for the page's script. `<` is written as an escape, so that no name can end the element."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    for sign, written in (("<", "\\u003c"), (">", "\\u003e"), ("&", "\\u0026")):
        text = text.replace(sign, written)
    return Html(f'<script type="application/json" id="{escape(identity)}">{text}</script>')
