"""`fretsaw snapshot`: what is in a cluster as one file, to plan and to simulate with where the cluster is not."""

from __future__ import annotations

import click

from fretsaw.cli import errors
from fretsaw.cli.live_options import access_options, read_cluster, tell_left_out
from fretsaw.cli.progress import Progress

EPILOG = """
\b
Examples:
  fretsaw snapshot -o cluster.yaml && fretsaw plan -f cluster.yaml
  fretsaw snapshot --context prod -o prod.json.gz
  fretsaw snapshot -n ml-training -n ml-serving | fretsaw plan -f -
  fretsaw snapshot -o today.yaml && fretsaw simulate -f today.yaml --for 2d

\b
Exit codes: 0 saved (what could not be read is named) · 2 the kubeconfig or a flag
is wrong · 3 the cluster does not answer, or lets nothing be read
"""


@click.command(epilog=EPILOG, short_help="Save what plan and simulate read of a cluster as one file.")
@click.option(
    "-o",
    "--output",
    metavar="FILE",
    default="-",
    help="Where to, - for standard output (default); YAML, or a List as JSON for .json; .gz is packed.",
)
@click.option("-n", "--namespace", "namespaces", multiple=True, metavar="NAMESPACE", help="Only these; repeatable.")
@click.option("--with-env", is_flag=True, help="Keep the values of containers' env and of node classes' userData.")
@access_options
def snapshot(
    output: str, namespaces: tuple[str, ...], with_env: bool, kubeconfig: str | None, context: str | None
) -> int:
    """Save the pods, workloads, nodes, volumes, budgets and pools of a cluster, for `plan -f` and `simulate -f`.

    Secrets and ConfigMaps are never read. Values of environment variables and boot scripts (userData), where passwords
    may stand, are replaced.
    """
    with Progress() as progress:
        reading = read_cluster(kubeconfig, context, progress, namespaces=namespaces)
        progress("writing the snapshot")
        from fretsaw.live.snapshot import render, write

        data = render(reading, "" if output == "-" else output, with_env=with_env)
        if output != "-":
            write(output, data)
    if output == "-":
        click.echo(data, nl=False)
    tell_left_out(reading)
    if namespaces and reading.trees.get("Node"):
        errors.say("note", "pods of other namespaces are not in it: its nodes look emptier than they are")
    if output != "-":
        errors.say("note", f"{output}: {sum(map(len, reading.trees.values())):,} objects of {reading.server}")
    return errors.DONE
