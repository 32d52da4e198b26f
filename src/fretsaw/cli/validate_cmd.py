"""`fretsaw validate`: every problem of every object, as the API server and the controllers would find it.

Heavy imports wait until the command runs.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import TYPE_CHECKING, Any

import click

from fretsaw.cli import errors

if TYPE_CHECKING:
    from rich.console import Console

    from fretsaw.api.manifest import Document, Located

EPILOG = """
\b
Examples:
  fretsaw validate pools/
  fretsaw validate nodepool.yaml nodeclass.yaml -o json
  kubectl get nodepools,ec2nodeclasses -o yaml | fretsaw validate -

\b
Exit codes: 0 no object has an error (warnings do not count) · 2 an object has an error
"""


@click.command(epilog=EPILOG, short_help="Check manifests as the API server and the controllers would.")
@click.argument("paths", nargs=-1, metavar="[PATH]...")
@click.option(
    "-f",
    "--filename",
    "files",
    multiple=True,
    metavar="PATH",
    help="File, folder or - for standard input; repeatable. A bare PATH means the same.",
)
@click.option("-o", "--output", type=click.Choice(["text", "json"]), default="text", show_default=True)
def validate(paths: tuple[str, ...], files: tuple[str, ...], output: str) -> int:
    """Report all problems of the objects in PATHs at once, each with its line, what was seen and what would be right.

    NodePools, NodeClaims, NodeOverlays, CapacityBuffers and EC2NodeClasses are checked against their schemas, the CEL
    rules of their CRDs and what the controllers refuse later; pods and other Kubernetes objects by their own rules.
    """
    if not (sources := [*files, *paths]):
        raise click.UsageError("nothing to validate: name a file or folder (such as: fretsaw validate pools/)")
    from fretsaw.api.manifest import load

    documents = load(sources).documents
    found = [(document, [*_own(document), *_unmet(document, documents)]) for document in documents]
    if output == "json":
        click.echo(json.dumps({"objects": [_as_json(*item) for item in found]}, indent=2, ensure_ascii=False))
    else:
        _print(found)
    return errors.WRONG_INPUT if any(_errors(problems) for _, problems in found) else errors.DONE


def _own(document: Document) -> Iterator[Located]:
    """Its problems. That another file has the object too is only a warning: an API server would take both in turn."""
    from msgspec.structs import replace

    for problem in document.located():
        repeated = problem.path == "metadata.name" and problem.message.startswith("the same object ")
        yield replace(problem, severity="warning") if repeated else problem


def _unmet(document: Document, documents: Iterable[Document]) -> list[Located]:
    """A warning when the node class that a pool or claim names is not among the documents."""
    from fretsaw.api.manifest import Located

    path = {"NodePool": "spec.template.spec.nodeClassRef", "NodeClaim": "spec.nodeClassRef"}.get(document.kind)
    reference: Any = document.raw
    for part in path.split(".") if path else ():
        reference = reference.get(part) if isinstance(reference, dict) else None
    if path is None or not isinstance(reference, dict):
        return []
    group, kind, name = (reference.get(key) for key in ("group", "kind", "name"))
    if not (group and kind and name) or any(_is(other, group, kind, name) for other in documents):
        return []
    line = document.line_of(f"{path}.name")
    message = "names a node class that is not in the input"
    where = (document.file, line, document.object, f"{path}.name")
    return [Located(*where, message, "warning", "runtime", f"{kind}/{name}", "give its file too, if it exists")]


def _is(document: Document, group: object, kind: object, name: object) -> bool:
    return (document.api_version.partition("/")[0], document.kind, document.name) == (group, kind, name)


def _errors(problems: Iterable[Located]) -> int:
    return sum(problem.severity == "error" for problem in problems)


def _as_json(document: Document, problems: list[Located]) -> dict[str, Any]:
    return {
        "file": document.file,
        "line": document.line,
        "object": document.object,
        "valid": not _errors(problems),
        "problems": [
            {
                "path": problem.path,
                "message": _sentence(problem),
                "severity": problem.severity,
                # A file that does not parse has no schema either; the format knows no fourth word.
                "by": "schema" if problem.by == "file" else problem.by,
            }
            for problem in problems
        ],
    }


def _sentence(problem: Located) -> str:
    """What is wrong, what was seen, what would be right."""
    text = f"{problem.message}: {problem.seen}" if problem.seen else problem.message
    return f"{text} ({problem.right})" if problem.right else text


def _print(found: list[tuple[Document, list[Located]]]) -> None:
    from fretsaw.cli.render import console

    out = console()
    for file, items in groupby(found, key=lambda item: item[0].file):
        problems = sorted(
            (problem for _, listed in items for problem in listed), key=lambda p: (p.line, p.object, p.path, p.message)
        )
        if problems:
            _print_file(out, file, problems)
    _print_summary(out, found)


def _print_file(out: Console, file: str, problems: list[Located]) -> None:
    from rich.padding import Padding
    from rich.text import Text

    out.print(Text(file, "bold"), soft_wrap=True)
    for problem in problems:
        colour = "red" if problem.severity == "error" else "yellow"
        where = " ".join(part for part in (problem.object, problem.path) if part)
        line = Text.assemble((f"  line {problem.line}: ", "dim"), (problem.severity, colour), ": ", (where, "cyan"))
        out.print(line, soft_wrap=True)
        # On a terminal long advice wraps under itself; in a file a line stays a line.
        text = Text(_sentence(problem))
        out.print(
            Padding(text, (0, 0, 0, 6)) if out.is_terminal else Text("      ") + text, soft_wrap=not out.is_terminal
        )
    out.print()


def _print_summary(out: Console, found: list[tuple[Document, list[Located]]]) -> None:
    from rich.text import Text

    wrong = sum(bool(_errors(problems)) for _, problems in found)
    bad = sum(_errors(problems) for _, problems in found)
    warned = sum(len(problems) for _, problems in found) - bad
    parts = [f"{_counted(len(found), 'object')} checked: {len(found) - wrong} valid, {wrong} not"]
    parts += [_counted(number, word) for number, word in ((bad, "error"), (warned, "warning")) if number]
    out.print(Text("; ".join(parts), "red" if wrong else "green"), soft_wrap=True)


def _counted(number: int, word: str) -> str:
    return f"{number} {word}" if number == 1 else f"{number} {word}s"
