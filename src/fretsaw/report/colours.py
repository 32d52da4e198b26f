"""Which colour stands for what, the same all over the page: capacity types have their own, pools and types take turns.

The colours themselves are in `assets/page.css`, once for light and once for dark.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

MOST = 8
"""Colours that are told apart with ease, also by those who see fewer; what is beyond becomes one grey `other`."""
OTHER = "var(--other)"
CAPACITY = {"spot": "var(--spot)", "on-demand": "var(--on-demand)", "reserved": "var(--reserved)"}


def turns(names: Iterable[str]) -> dict[str, str]:
    """A colour for each name; the first ones take those that differ most."""
    return {name: f"var(--c{i + 1})" if i < MOST else OTHER for i, name in enumerate(dict.fromkeys(names))}


def by_size(lines: Mapping[str, Sequence[float]]) -> list[str]:
    """Names of lines, the greatest area first."""
    return sorted(lines, key=lambda name: (-sum(lines[name]), name))


def colour_of(colours: Mapping[str, str], name: str) -> str:
    """The colour of a capacity type, else the name's own, else that of what is left."""
    return CAPACITY.get(name) or colours.get(name, OTHER)
