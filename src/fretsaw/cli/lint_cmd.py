"""`fretsaw lint`: what in manifests will cost money or sleep, each with its line, a proof and what to write instead.

Heavy imports wait until the command runs.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

import click

from fretsaw.cli import errors
from fretsaw.cli.live_options import access_options, read_cluster, refuse_without_live, tell_left_out
from fretsaw.cli.progress import Progress

if TYPE_CHECKING:
    from fretsaw.api.manifest import Located, Manifests
    from fretsaw.lint.rule import Rule
    from fretsaw.lint.run import Report

EPILOG = """
\b
Examples:
  fretsaw lint manifests/
  fretsaw lint --live                          the cluster of your kubeconfig
  fretsaw lint manifests/ --fix                mend what can be mended; --diff only shows it
  fretsaw lint manifests/ --select SPOT,DRAIN --ignore DRAIN105
  fretsaw lint manifests/ -o sarif > lint.sarif
  fretsaw lint --explain GPU101                the page of a rule

\b
In a manifest: # fretsaw: allow GPU101 because REASON
above the object, above a line, or at its end.

\b
Exit codes: 0 nothing as grave as --fail-on was found · 1 something was · 2 a file or a flag is wrong ·
3 the cluster does not answer
"""


def _codes(_context: click.Context, _parameter: click.Parameter, values: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(part.strip() for value in values for part in value.split(",") if part.strip())


@click.command(epilog=EPILOG, short_help="Find in manifests what will cost money or sleep, with proof.")
@click.argument("paths", nargs=-1, metavar="[PATH]...")
@click.option(
    "-f",
    "--filename",
    "files",
    multiple=True,
    metavar="PATH",
    help="File, folder or - for standard input; repeatable. A bare PATH means the same.",
)
@click.option(
    "-o",
    "--output",
    type=click.Choice(["text", "json", "sarif", "github"]),
    default="text",
    show_default=True,
    help="github: annotations of a workflow.",
)
@click.option("--select", multiple=True, callback=_codes, metavar="CODE", help="Only these rules; GPU means all GPU…")
@click.option("--ignore", multiple=True, callback=_codes, metavar="CODE", help="Not these rules.")
@click.option("--fix", is_flag=True, help="Mend in the files what can be mended safely.")
@click.option("--diff", is_flag=True, help="Show what --fix would change, and change nothing.")
@click.option(
    "--fail-on",
    type=click.Choice(["error", "warning", "info", "never"]),
    default="error",
    show_default=True,
    help="Exit code 1 from this severity on.",
)
@click.option("--region", default="us-east-1", show_default=True, help="Prices and types of pools that name no zone.")
@click.option("--live", is_flag=True, help="Look at a cluster, with the files applied to it if there are any.")
@access_options
@click.option("--explain", metavar="CODE", help="Print the page of a rule.")
@click.option("--list", "list_rules", is_flag=True, help="Print all rules.")
def lint(
    paths: tuple[str, ...],
    files: tuple[str, ...],
    select: tuple[str, ...],
    ignore: tuple[str, ...],
    **given: Any,
) -> int:
    """Judge NodePools, EC2NodeClasses, workloads, budgets, alerts and the GPU Operator's values in PATHs together.

    What an API server refuses is not said here: that is `fretsaw validate`.
    """
    sources = [*files, *paths]
    if given["explain"] or given["list_rules"]:
        from fretsaw.cli import lint_view

        return lint_view.explain(_known(given["explain"])) if given["explain"] else lint_view.list_rules()
    _check_options(sources, given)
    rules = _rules(select, ignore)
    _check_region(given["region"])
    if given["fix"] or given["diff"]:
        return _fix(sources, rules, given)
    manifests = _read(sources, given)
    from fretsaw.lint.run import lint as judged

    report = judged(manifests, rules, region=given["region"])
    _show(manifests, report, rules, given["output"])
    return _exit_code(manifests, report, given["fail_on"])


def _check_options(sources: Sequence[str], given: dict[str, Any]) -> None:
    refuse_without_live(live=given["live"], kubeconfig=given["kubeconfig"], context=given["context"])
    if not sources and not given["live"]:
        raise click.UsageError("nothing to lint: name a file or folder, or --live (such as: fretsaw lint manifests/)")
    if given["live"] and (given["fix"] or given["diff"]):
        raise click.UsageError("--fix and --diff change files: leave out --live")
    if "-" in sources and (given["fix"] or given["diff"]):
        raise click.UsageError("--fix and --diff change files: standard input is none")


def _check_region(region: str) -> None:
    from fretsaw.providers.aws import snapshot

    if region not in snapshot.regions():
        near = get_close_matches(region, snapshot.regions(), n=1)
        hint = f" (did you mean {near[0]}?)" if near else ""
        raise click.BadParameter(f"no prices of {region!r}{hint}", param_hint="--region")


def _rules(select: tuple[str, ...], ignore: tuple[str, ...]) -> tuple[Rule, ...] | None:
    """The chosen rules; None for all."""
    from fretsaw.lint.rule import chosen

    if not select and not ignore:
        return None
    for name in (*select, *ignore):
        _known(name)
    return chosen(select, ignore)


def _known(name: str) -> str:
    from fretsaw.lint.rule import all_rules, unknown

    if unknown([name]):
        words = [word for one in all_rules() for word in (one.code, one.name)]
        near = get_close_matches(name, words, n=1)
        raise click.UsageError(f"no such rule: {name} ({f'did you mean {near[0]}?' if near else 'see --list'})")
    return name


def _read(sources: Sequence[str], given: dict[str, Any]) -> Manifests:
    from fretsaw.api import manifest

    if not given["live"]:
        return manifest.load(sources)
    from fretsaw.live import objects

    with Progress() as progress:
        reading = read_cluster(given["kubeconfig"], given["context"], progress)
        progress("looking at the objects")
        found = objects.over(objects.manifests_of(reading), manifest.load(sources))
    tell_left_out(reading)
    errors.say("note", "a live reading holds no ServiceMonitors and PrometheusRules: give their files")
    return found


def _show(manifests: Manifests, report: Report, rules: Iterable[Rule] | None, output: str) -> None:
    from fretsaw.lint import formats
    from fretsaw.lint.rule import all_rules

    if output == "text":
        from fretsaw.cli import lint_view

        lint_view.show(manifests, report)
    elif output == "json":
        click.echo(json.dumps(formats.as_json(report), indent=2, ensure_ascii=False))
    elif output == "sarif":
        used = all_rules() if rules is None else tuple(rules)
        click.echo(json.dumps(formats.as_sarif(report, used), indent=2, ensure_ascii=False))
    else:
        for line in formats.as_github(report):
            click.echo(line)
    _tell(manifests, report)


_TEMPLATE = "not YAML before its template"
_NOT_OURS = (_TEMPLATE, "not a Kubernetes object", "the file is larger than", "a binary file")
"""What a file may be without being anybody's mistake: a chart's template, values, data."""


def _broken(manifests: Manifests) -> list[Located]:
    """What is wrong with files as files."""
    found = [one for d in manifests.documents if not d.kind for one in d.located() if one.by == "file"]
    return [one for one in found if one.severity == "error"]


def _tell(manifests: Manifests, report: Report) -> None:
    """What could not be looked at, and comments that allow nothing, on standard error."""
    from fretsaw.lint.given import is_sound

    templates = []
    for located in _broken(manifests):
        if located.message.startswith(_TEMPLATE):
            templates.append(located)
        elif not located.message.startswith("not a Kubernetes object"):
            errors.say("warning" if located.message.startswith(_NOT_OURS) else "error", str(located))
    if len(templates) == 1:
        errors.say("warning", str(templates[0]))
    elif templates:
        first = f"{templates[0].file}:{templates[0].line}: {templates[0].seen}"
        errors.say("warning", f"{len(templates)} texts are templates to be filled in, such as {first}: not judged")
    files = {id(document) for document in manifests.documents if any(one.by == "file" for one in document.problems)}
    invalid = sum(1 for d in manifests.documents if not is_sound(d) and (d.kind or id(d) not in files))
    if invalid:
        what = "1 object is" if invalid == 1 else f"{invalid} objects are"
        errors.say("warning", f"{what} not valid, and only judged by version: `fretsaw validate` says why")
    for note in report.notes:
        errors.say("warning", note)


def _exit_code(manifests: Manifests, report: Report, fail_on: str) -> int:
    if any(not one.message.startswith(_NOT_OURS) for one in _broken(manifests)):
        return errors.WRONG_INPUT
    return errors.FOUND if fail_on != "never" and report.at_least(fail_on) else errors.DONE


def _fix(sources: Sequence[str], rules: tuple[Rule, ...] | None, given: dict[str, Any]) -> int:
    from fretsaw.cli import lint_view
    from fretsaw.lint.fixing import fix, reader

    read = reader(sources)
    fixed = fix(read, rules, region=given["region"], write=not given["diff"])
    if given["diff"]:
        lint_view.show_diff(fixed)
    manifests = read(fixed.after)
    if not given["diff"] or given["output"] != "text":
        _show(manifests, fixed.report, rules, given["output"])
    lint_view.tell_fixed(fixed, written=not given["diff"])
    return _exit_code(manifests, fixed.report, given["fail_on"])
