"""`fretsaw plan`: reads the options, lets the planner answer, prints, and picks the exit code.

Nothing heavy is imported before the command runs: `fretsaw plan --help` has to be instant too.
"""

from __future__ import annotations

import gc
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from fretsaw.cli import errors
from fretsaw.cli.live_options import access_options, refuse_without_live
from fretsaw.cli.loading import found_region, loaded
from fretsaw.cli.plan_options import setting_options, settings
from fretsaw.cli.progress import Progress

if TYPE_CHECKING:
    from fretsaw.api.catalog import Catalog
    from fretsaw.api.manifest import Manifests
    from fretsaw.cli.render import Prices
    from fretsaw.engine.plan import Plan

EPILOG = """
\b
Examples:
  fretsaw plan -f examples/gpu-platform
  fretsaw plan -f pools/ -f workloads/ --packing first-fit
  fretsaw plan -f cluster.yaml --explain ml/train-0
  fretsaw plan -f cluster.yaml -o json | jq .pricePerHour
  fretsaw plan --live                             the cluster of the kubeconfig
  fretsaw plan --live -f pools/gpu-cheaper.yaml   what if I applied this?

\b
Exit codes: 0 every pod has a place · 1 a pod cannot be placed · 2 the input is
wrong (what is right was planned all the same) · 3 the cluster does not answer
"""
FILES_HELP = "File, folder, or - for standard input; repeatable. A bare PATH means the same."


@click.command(epilog=EPILOG, short_help="Which nodes to buy for these pods, and at what price.")
@click.argument("paths", nargs=-1, metavar="[PATH]...")
@click.option("-f", "--filename", "files", multiple=True, metavar="PATH", help=FILES_HELP)
@click.option(
    "--catalog", "catalog_file", metavar="FILE", help="Instance types and prices, instead of the shipped ones."
)
@click.option("--live", is_flag=True, help="A cluster as it is, with PATHs applied to it if there are any.")
@access_options
@setting_options
@click.option(
    "--explain", "explained", metavar="NAMESPACE/POD", help="Only why this pod is where it is, or why it waits."
)
@click.option("-o", "--output", type=click.Choice(["table", "wide", "json"]), default="table", show_default=True)
def plan(
    paths: tuple[str, ...],
    files: tuple[str, ...],
    catalog_file: str | None,
    live: bool,
    kubeconfig: str | None,
    context: str | None,
    explained: str | None,
    output: str,
    **given: Any,
) -> int:
    """Plan the nodes that the pods in PATHs need, at the lowest price that can be found, and prove a lower bound.

    NodePools, EC2NodeClasses, workloads, pods, nodes and volumes, as YAML or JSON, in any mix of files and folders, or
    of a live cluster (--live), which is read and never written to.
    """
    if not (sources := [*files, *paths]) and not live:
        raise click.UsageError(
            "nothing to plan: name a file or folder (such as: fretsaw plan -f examples/gpu-platform), or say --live"
        )
    refuse_without_live(live=live, kubeconfig=kubeconfig, context=context)
    if explained and output == "json":
        raise click.UsageError(
            "--explain answers in text: leave out -o json, whose `unschedulable` has the reasons too"
        )
    with Progress() as progress, _uncollected():
        progress("starting")
        from fretsaw import planner

        catalog = planner.read_catalog(catalog_file) if catalog_file else None
        source = loaded(sources, progress, live=live, kubeconfig=kubeconfig, context=context)
        manifests = source.manifests
        region = None if catalog is not None else found_region(manifests, given["region"])
        given["region"] = region.name if region is not None else given["region"]
        usable = any(not document.has_errors for document in manifests.documents)
        answer, seconds = _answer(manifests, catalog, given, progress, explained) if usable else (None, 0.0)
    source.tell()
    if region is not None:
        region.tell()
    if answer is None:
        return errors.WRONG_INPUT
    for note in answer.notes:
        errors.say("note", note)
    if explained:
        _explain(answer, explained)
    else:
        _print(answer, seconds, output, _prices(catalog, given["region"]))
    if manifests.errors:
        return errors.WRONG_INPUT
    return errors.FOUND if answer.unplaced else errors.DONE


@contextmanager
def _uncollected() -> Iterator[None]:
    """No garbage collection meanwhile: a plan makes objects that live until it is printed, and hardly a cycle.

    Collecting walks them all again and again: a fifth of the time for thousands of pods.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def _answer(
    manifests: Manifests, catalog: Catalog | None, given: dict[str, Any], progress: Progress, explained: str | None
) -> tuple[Plan, float]:
    """(the plan, the seconds it took)."""
    from fretsaw import planner

    def placed(done: int, total: int) -> None:
        progress(f"placing pods ({done:,} of {total:,})")

    progress("planning")
    started = time.perf_counter()
    asked = explained if not explained or "/" in explained else f"default/{explained}"
    answer = planner.plan(manifests, catalog, progress=placed, explain=asked, **settings(given))
    return answer, time.perf_counter() - started


def _prices(catalog: Catalog | None, region: str) -> Prices:
    """What the table says of the prices that were used."""
    from fretsaw.cli.render import Prices

    if catalog is not None:
        return Prices(catalog.region, catalog.as_of, tuple(catalog.notes))
    from fretsaw.providers.aws import snapshot

    return Prices(region, snapshot.load_region(region).as_of)


def _explain(answer: Plan, pod: str) -> None:
    from fretsaw.cli import explained, render

    explained.explain(render.console(), answer, pod)


def _print(answer: Plan, seconds: float, output: str, prices: Prices) -> None:
    if output == "json":
        from fretsaw import planner

        click.echo(json.dumps(planner.to_json(answer, seconds), indent=2, ensure_ascii=False))
        return
    from fretsaw.cli import render

    render.draw(render.console(), answer, prices, wide=output == "wide")
