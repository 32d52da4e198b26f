"""What the run was asked to show and whether it did; broken laws, loud; what the figures rest on."""

from __future__ import annotations

from typing import Any

from fretsaw.report import facts, words
from fretsaw.report.markup import Html, el

Result = dict[str, Any]


def alarms(result: Result) -> Html | None:
    """What has to be read before any figure: broken laws of conservation, and that the run is not whole."""
    found = []
    broken = result.get("violations") or []
    if broken:
        head = el("h2", f"{words.counted(len(broken), 'violation')}: do not trust these figures")
        told = "The run broke a law that holds in every cluster: a fault of the simulator, not of the scenario."
        found.append(
            el("section", head, el("p", told), _list(broken), class_="alarm bad", role="alert", id="violations")
        )
    if partial := result.get("partial"):
        reason = f": {partial}" if isinstance(partial, str) else ""
        length = words.span(result["virtualSeconds"])
        told = f"The run was stopped before its end{reason}. The figures are those of its first {length}."
        found.append(el("section", el("p", el("b", "Not the whole run. "), told), class_="alarm warn", role="status"))
    return el("div", found, class_="alarms") if found else None


def _list(lines: list[str]) -> Html:
    return el("ul", [el("li", line) for line in lines])


def expectations(result: Result) -> Html | None:
    """Each expectation, whether it was met, and what was seen; those that were not first."""
    found = result.get("expectations") or []
    if not found:
        return None
    rows = [
        el(
            "li",
            el("span", "✓" if e["ok"] else "✗", class_="mark", aria_hidden="true"),
            el("span", el("span", "met: " if e["ok"] else "not met: ", class_="hidden"), e["text"]),
            el("span", f"seen: {e['seen']}", class_="seen"),
            class_="ok" if e["ok"] else "bad",
        )
        for e in sorted(found, key=lambda e: bool(e["ok"]))
    ]
    ok, every = facts.met(result)
    return el(
        "section",
        el("h2", "Expectations", el("small", f"{ok} of {every} met")),
        el("ul", rows, class_="card checks"),
        id="expectations",
    )


def notes(result: Result) -> Html | None:
    """What the figures rest on."""
    lines = result.get("notes") or []
    if not lines:
        return None
    return el("section", el("h2", "What this rests on"), el("div", _list(lines), class_="card notes"), id="notes")
