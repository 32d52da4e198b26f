"""`fretsaw catalog`: list, show, export, rebuild and refresh the instance types and their prices."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from fretsaw.api.catalog import Catalog

_F = TypeVar("_F", bound=Callable[..., Any])

SORTS = ("price-per-gpu", "price", "price-per-gib", "price-per-tflop", "spot-saving", "name")
SHORT_LIST = 20
"""Rows of a table unless asked for more: what fits a terminal together with its footer."""

HELP = """Show, export or rebuild the instance types and their prices.

Without a subcommand it lists: the words and options of `fretsaw catalog list` work directly.

\b
Examples:
  fretsaw catalog                               accelerated types by price per GPU
  fretsaw catalog h100                          types with an H100
  fretsaw catalog --gpu l4 --gpu a10g --capacity spot
  fretsaw catalog --min-gpu-memory 80 --sort price-per-tflop
  fretsaw catalog show g5.xlarge                everything about one type
  fretsaw catalog export --out catalog.json     the catalog file, to edit and use with --catalog
  fretsaw catalog refresh --region eu-west-1    types and prices as your AWS account sees them now
"""


class ListByDefault(click.Group):
    """A group whose `list` command runs when the first word is none of its commands."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if not args or (args[0] not in self.commands and args[0] not in ctx.help_option_names):
            args = ["list", *args]
        return super().parse_args(ctx, args)


@click.group(cls=ListByDefault, help=HELP)
def catalog() -> None:
    """Only groups its commands; see HELP."""


def _regions(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    from click.shell_completion import CompletionItem

    from fretsaw.providers.aws.snapshot import regions

    return [CompletionItem(name) for name in regions() if name.startswith(incomplete)]


def _types(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    from click.shell_completion import CompletionItem

    from fretsaw.providers.aws.snapshot import load_types

    return [CompletionItem(name) for name in sorted(load_types()) if name.startswith(incomplete)]


def _which_catalog(command: _F) -> _F:
    """The options that choose a catalog."""
    region = click.option(
        "--region",
        default="us-east-1",
        show_default=True,
        metavar="REGION",
        shell_complete=_regions,
        help="AWS region.",
    )
    file = click.option(
        "--catalog",
        "file",
        type=click.Path(path_type=Path),
        metavar="FILE",
        help="A catalog file instead of the shipped data.",
    )
    return region(file(command))


def _load(region: str, file: Path | None) -> Catalog:
    if file is not None:
        from fretsaw.providers.aws.snapshot import read_catalog_file

        return read_catalog_file(file)
    from fretsaw.providers.aws.instance_types import catalog as shipped

    return shipped(region)


@catalog.command("list")
@click.argument("words", nargs=-1)
@_which_catalog
@click.option("--gpu", "gpus", multiple=True, metavar="NAME", help="GPU or accelerator, such as a10g; repeatable.")
@click.option("--family", "families", multiple=True, metavar="NAME", help="Family, such as g5; repeatable.")
@click.option("--arch", type=click.Choice(["amd64", "arm64"]), help="CPU architecture.")
@click.option("--min-gpus", type=click.FloatRange(min=0), default=0, metavar="N", help="At least N GPUs.")
@click.option(
    "--min-gpu-memory", type=click.FloatRange(min=0), default=0, metavar="GIB", help="At least GIB of memory a GPU."
)
@click.option("--capacity", type=click.Choice(["spot", "on-demand"]), help="Only types sold so; sort by that price.")
@click.option("--sort", type=click.Choice(SORTS), default="price-per-gpu", show_default=True, help="Order.")
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help=f"Rows shown (tables: {SHORT_LIST}).")
@click.option("--all", "everything", is_flag=True, help="Every type, also without GPUs, and every row.")
@click.option("-o", "--output", type=click.Choice(["table", "wide", "json", "csv"]), default="table", show_default=True)
def list_types(
    words: tuple[str, ...],
    region: str,
    file: Path | None,
    gpus: tuple[str, ...],
    families: tuple[str, ...],
    arch: str | None,
    min_gpus: float,
    min_gpu_memory: float,
    capacity: Any,
    sort: Any,
    limit: int | None,
    everything: bool,
    output: str,
) -> None:
    """Instance types that match all WORDS and options, by price per GPU.

    A word is part of the name of a type, GPU or product: `h100`, `g6e`, `trainium`. Without words and --family only
    types with GPUs or accelerators are listed. A GPU's memory is its nominal one: an A10G counts as 24.
    """
    from fretsaw.cli import catalog_view
    from fretsaw.providers.aws import listing

    found = _load(region, file)
    wanted = listing.Wanted(
        words=words,
        gpus=gpus,
        families=families,
        arch=arch or "",
        min_devices=min_gpus,
        min_device_gib=min_gpu_memory,
        capacity=capacity,
        every_type=everything,
    )
    priced: listing.CapacityType = capacity or "on-demand"
    matching = listing.arrange(listing.select(listing.rows(found), wanted), sort, priced)
    shown = matching[: _limit(limit, everything=everything, output=output)]
    if output == "json":
        click.echo(catalog_view.as_json(found, shown, priced))
    elif output == "csv":
        click.echo(catalog_view.as_csv(shown, priced), nl=False)
    else:
        catalog_view.draw(found, shown, len(matching), priced, sort, wide=output == "wide")


def _limit(limit: int | None, *, everything: bool, output: str) -> int | None:
    if limit is None and not everything and output in ("table", "wide"):
        return SHORT_LIST
    return limit


@catalog.command()
@click.argument("name", metavar="TYPE", shell_complete=_types)
@_which_catalog
@click.option("-o", "--output", type=click.Choice(["table", "json"]), default="table", show_default=True)
def show(name: str, region: str, file: Path | None, output: str) -> None:
    """Everything about one instance TYPE: devices, prices by zone, allocatable, labels, sources of the figures."""
    from fretsaw.cli import catalog_page
    from fretsaw.providers.aws import listing

    found = _load(region, file)
    item = listing.find(found, name)
    if output == "json":
        click.echo(catalog_page.as_json(found, item, shipped=file is None))
    else:
        catalog_page.draw(found, item, shipped=file is None)


@catalog.command()
@_which_catalog
@click.option(
    "--out", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE", help="Instead of standard output."
)
def export(region: str, file: Path | None, out: Path | None) -> None:
    """Write the catalog file of a region: JSON with capacity, overhead, labels and offerings of every type."""
    from fretsaw.cli.errors import say
    from fretsaw.providers.aws.catalog_file import write_catalog

    found = _load(region, file)
    text = write_catalog(found)
    if out is None:
        sys.stdout.write(text)
        return
    _write(out, text)
    say("note", f"wrote {len(found.instance_types)} instance types of {found.region} to {out}")


def _write(out: Path, text: str) -> None:
    from fretsaw.errors import UserError

    try:
        out.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UserError(str(out), "cannot write the catalog file", error.strerror or str(error)) from error


@catalog.command()
@click.option(
    "--out", type=click.Path(path_type=Path, file_okay=False), metavar="DIR", help="Instead of the package's own data."
)
def build(out: Path | None) -> None:
    """Rebuild the shipped data from the bundled sources and the reviewed inputs (needs `fretsaw[catalog]`)."""
    from fretsaw.providers.aws.build import build as write_snapshot
    from fretsaw.providers.aws.snapshot import DATA

    sizes = write_snapshot(out or DATA)
    width = max(map(len, sizes))
    for name, size in sorted(sizes.items()):
        click.echo(f"{name:<{width}}  {size:>9,} bytes")
    click.echo(f"{'total':<{width}}  {sum(sizes.values()):>9,} bytes")


REFRESH_EPILOG = """
\b
Examples:
  fretsaw catalog refresh --region eu-west-1
  fretsaw catalog refresh --region eu-south-2 --out ~/catalog
  FRETSAW_CATALOG_DIR=~/catalog fretsaw plan --region eu-south-2 -f pools/

\b
It needs ec2:Describe* and pricing:GetProducts (`fretsaw aws iam-policy` has them).
Exit codes: 0 written · 2 a flag is wrong, or the folder cannot be written ·
3 AWS does not answer or refuses; nothing is written then
"""


@catalog.command(epilog=REFRESH_EPILOG)
@click.option("--region", default="", metavar="REGION", help="By default AWS_REGION, or that of the profile.")
@click.option("--profile", default="", metavar="NAME", help="Of ~/.aws/config.")
@click.option(
    "--out", type=click.Path(path_type=Path, file_okay=False), metavar="DIR", help="Instead of the data that is read."
)
def refresh(region: str, profile: str, out: Path | None) -> None:
    """Read types, zones, on-demand and spot prices of a region from an AWS account, in the place of the shipped ones.

    Also for regions that are not shipped. What an account does not tell (speeds of devices, how often spot instances
    are taken back) stays as shipped.
    """
    import asyncio
    from datetime import UTC, datetime

    from fretsaw.cli.errors import say
    from fretsaw.errors import ProviderError
    from fretsaw.providers.aws.calls import Aws, AwsError
    from fretsaw.providers.aws.live import writing
    from fretsaw.providers.aws.snapshot import DATA

    now = datetime.now(UTC)

    async def act() -> writing.Market:
        async with await Aws.connect(region, profile=profile) as aws:
            return await writing.read(aws, now)

    try:
        market = asyncio.run(act())
    except (AwsError, TimeoutError) as error:
        raise ProviderError(f"the account cannot be read, and nothing was written: {error}") from error
    files = writing.render(market, now.date())
    writing.write(files, out or DATA)
    spot = sum(map(len, market.spot.values()))
    say(
        "note",
        f"{market.region}: {len(market.types):,} types in {len(market.zones)} zones, {len(market.on_demand):,} "
        f"on-demand and {spot:,} spot prices, in {out or DATA}",
    )
