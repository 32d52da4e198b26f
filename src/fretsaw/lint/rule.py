"""A rule: its code, how grave it is, what it looks at, and the page that its module's docstring is.

A docstring has a title in its first line, a paragraph that says what is found, and then the sections `Why`, `Example`
(YAML in which the rule finds something), `Fix` and `Source`, each beginning a line with its name and a colon.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable
from functools import cache
from importlib import import_module
from pkgutil import iter_modules
from textwrap import dedent
from typing import Any

import msgspec

from fretsaw.lint.found import Found, Severity

FAMILIES = {
    "GPU": "GPUs and what runs on them",
    "SPOT": "Spot capacity",
    "DRAIN": "disruption and draining",
    "COST": "money",
    "AWS": "EC2NodeClasses",
    "POOL": "NodePools",
    "WORK": "workloads",
    "OBS": "metrics, alerts and autoscaling by metrics",
}
SECTIONS = ("Why", "Example", "Fix", "Source")
_SECTION = re.compile(rf"^({'|'.join(SECTIONS)}):[ \n]", re.MULTILINE)

Check = Callable[[Any, Any], Iterable[Found]]


class Page(msgspec.Struct, frozen=True):
    """What is told of a rule."""

    title: str
    what: str
    why: str
    example: str
    fix: str
    source: str


class Rule(msgspec.Struct, frozen=True):
    """One rule."""

    code: str
    """Family and number, such as `GPU101`."""
    name: str
    """The pattern that is flagged, such as `gpu-pool-untainted`."""
    severity: Severity
    on: tuple[type | str, ...]
    """The views that it looks at; a text is the kind of a Thing."""
    check: Check
    module: str
    even_invalid: bool = False
    """Whether it looks at objects that have errors, too."""
    fixes: bool = False
    """Whether `--fix` can mend what it finds."""

    @property
    def family(self) -> str:
        """The letters of the code."""
        return self.code.rstrip("0123456789")

    @property
    def page(self) -> Page:
        """Its page. Raises ValueError where a section is missing."""
        return page_of(sys.modules[self.module].__doc__ or "")


def rule(
    code: str,
    severity: Severity,
    *,
    on: type | str | tuple[type | str, ...],
    even_invalid: bool = False,
    fixes: bool = False,
) -> Callable[[Check], Rule]:
    """Decorator that makes a rule of a function `(view, given) -> iterable of Found`, named as what it flags."""

    def made(check: Check) -> Rule:
        name = getattr(check, "__name__", "").replace("_", "-")
        seen = on if isinstance(on, tuple) else (on,)
        return Rule(code, name, severity, seen, check, check.__module__, even_invalid, fixes)

    return made


def page_of(docstring: str) -> Page:
    """The page that a docstring is. Raises ValueError where a section is missing or stands in the wrong place."""
    title, _, rest = docstring.strip().partition("\n")
    parts = _SECTION.split(rest)
    names = parts[1::2]
    if tuple(names) != SECTIONS:
        raise ValueError(f"a rule's page has the sections {', '.join(SECTIONS)} in this order: {', '.join(names)}")
    why, example, fix, source = parts[2::2]
    return Page(title.strip(), parts[0].strip(), why.strip(), dedent(example.strip("\n")), fix.strip(), source.strip())


@cache
def all_rules() -> tuple[Rule, ...]:
    """Every rule of `lint/rules`, by code."""
    package = import_module("fretsaw.lint.rules")
    found = []
    for module in iter_modules(package.__path__):
        loaded = import_module(f"fretsaw.lint.rules.{module.name}")
        found += [value for value in vars(loaded).values() if isinstance(value, Rule)]
    return tuple(sorted(found, key=lambda one: (list(FAMILIES).index(one.family), one.code)))


def chosen(select: Iterable[str], ignore: Iterable[str]) -> tuple[Rule, ...]:
    """The rules whose code or name is selected (all where nothing is), without the ignored ones. Prefixes count."""
    wanted, unwanted = tuple(select), tuple(ignore)
    return tuple(one for one in all_rules() if (not wanted or _named(one, wanted)) and not _named(one, unwanted))


def unknown(names: Iterable[str]) -> list[str]:
    """Those that no rule's code begins with and that are no rule's name."""
    return [name for name in names if not any(_named(one, (name,)) for one in all_rules())]


def _named(one: Rule, names: tuple[str, ...]) -> bool:
    return any(name == "ALL" or one.name == name or (name and one.code.startswith(name)) for name in names)
