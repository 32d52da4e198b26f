"""The pages of `docs/rules`, made from the rules' own docstrings."""

from __future__ import annotations

from itertools import groupby
from pathlib import Path

from fretsaw.lint.rule import FAMILIES, Rule, all_rules

_NOTE = "<!-- made from {source}: `python -m fretsaw.lint docs/rules` -->"
_HEAD = """\
# Rules of `fretsaw lint`

{count} rules in {families} families. Each has a page: what it finds, why that costs money or sleep, an example in which
it finds something, what to do, and where that is known from. [`fretsaw lint`](../lint.md) says how to use them.

"""


def pages() -> dict[str, str]:
    """File name → content, of all pages and the index."""
    found = {f"{rule.code}.md": page(rule) for rule in all_rules()}
    return {"index.md": index(), **found}


def page(rule: Rule) -> str:
    """The page of one rule."""
    told = rule.page
    source = rule.module.rpartition(".")[2]
    mends = " · mended by `--fix`" if rule.fixes else ""
    example = told.example.replace("```", "'''")
    return "\n".join(
        (
            _NOTE.format(source=f"src/fretsaw/lint/rules/{source}.py"),
            "",
            f"# {rule.code}: {told.title}",
            "",
            f"`{rule.name}` · {rule.severity}{mends} · [all rules](index.md)",
            "",
            told.what,
            "",
            "## Why it matters",
            "",
            told.why,
            "",
            "## Example",
            "",
            "```yaml",
            example,
            "```",
            "",
            "## What to do",
            "",
            told.fix,
            "",
            "To keep it as it is, say why: "
            f"`# fretsaw: allow {rule.code} because …` above the object, above the line, or at its end.",
            "",
            "## Source",
            "",
            told.source,
            "",
        )
    )


def index() -> str:
    """The table of all rules, by family."""
    rules = all_rules()
    parts = [_NOTE.format(source="the rules") + "\n\n", _HEAD.format(count=len(rules), families=len(FAMILIES))]
    for family, members in groupby(rules, key=lambda one: one.family):
        parts.append(f"## {family}: {FAMILIES[family]}\n\n| rule | finds | severity | `--fix` |\n|---|---|---|---|\n")
        parts += [
            f"| [`{one.code}`]({one.code}.md) `{one.name}` | {one.page.title} | {one.severity} | "
            f"{'yes' if one.fixes else ''} |\n"
            for one in members
        ]
        parts.append("\n")
    return "".join(parts).rstrip("\n") + "\n"


def write(folder: Path) -> int:
    """Write all pages, and take away those of rules that are gone; how many there are."""
    made = pages()
    folder.mkdir(parents=True, exist_ok=True)
    for file in folder.glob("*.md"):
        if file.name not in made:
            file.unlink()
    for name, text in made.items():
        (folder / name).write_text(text)
    return len(made)
