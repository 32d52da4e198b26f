"""What every page has around its sections: the head with its style, the bar at the top, the script at the end."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from functools import cache
from importlib import resources
from typing import Any

from fretsaw.report.markup import Html, data, el


def page(
    title: str, links: Sequence[tuple[str, str]], head: Sequence[Html], sections: Sequence[Html | None], known: Any
) -> str:
    """The whole document. links: (id of a section, its name). known: what the script reads."""
    body = el(
        "body",
        el("a", "Skip to the figures", href="#main", class_="skip"),
        _bar(links),
        el("main", el("header", head, class_="lead-in"), sections, id="main", tabindex="-1"),
        el("footer", "Made by Fretsaw from the simulation's JSON; nothing on this page is not in it."),
        el("div", id="tip", role="status", aria_live="polite", hidden=True),
        data("data", known),
        Html(f"<script>{asset('page.js')}</script>"),
    )
    return "<!doctype html>\n" + el("html", _head(title), body, lang="en") + "\n"


@cache
def asset(name: str) -> str:
    """A file of this package, as it is written into the page."""
    return resources.files("fretsaw.report").joinpath("assets", name).read_text(encoding="utf-8")


def _head(title: str) -> Html:
    # Nothing may be loaded from anywhere, and no script may run but the page's own: a name that slipped through the
    # escaping would stay without effect.
    digest = base64.b64encode(hashlib.sha256(asset("page.js").encode()).digest()).decode()
    nothing = "default-src 'none'; base-uri 'none'; form-action 'none'; style-src 'unsafe-inline'"
    return el(
        "head",
        el("meta", charset="utf-8"),
        el("meta", http_equiv="Content-Security-Policy", content=f"{nothing}; script-src 'sha256-{digest}'"),
        el("meta", name="viewport", content="width=device-width, initial-scale=1"),
        el("meta", name="color-scheme", content="light dark"),
        el("meta", name="generator", content="fretsaw"),
        el("title", title),
        Html(f"<style>{asset('page.css')}</style>"),
    )


def _bar(links: Sequence[tuple[str, str]]) -> Html:
    return el(
        "nav",
        el("b", "fretsaw", class_="brand"),
        el("div", [el("a", name, href=f"#{identity}") for identity, name in links], class_="links"),
        el("button", "Theme", type="button", id="theme", title="Light, dark, or as the system"),
        aria_label="Sections",
    )
