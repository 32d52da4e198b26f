"""`fretsaw explain KIND/NAME`: why a pod waits or is where it is; why a node, claim or pool stays as it is."""

from __future__ import annotations

import time
from collections.abc import Callable
from difflib import get_close_matches
from typing import TYPE_CHECKING, NamedTuple

import click

from fretsaw.cli import errors
from fretsaw.cli.live_options import access_options, refuse_without_live
from fretsaw.cli.loading import Loaded, found_region, loaded
from fretsaw.cli.progress import Progress

if TYPE_CHECKING:
    from collections.abc import Iterable

    from fretsaw.api.catalog import Catalog
    from fretsaw.api.manifest import Manifests
    from fretsaw.api.pod import Pod
    from fretsaw.live.judgement import Judge

Answer = Callable[[], int]
"""Prints, and gives the exit code."""
EPILOG = """
\b
Examples:
  fretsaw explain pod/train-0 -n ml-training     why it waits, or why it is there
  fretsaw explain node/ip-10-0-0-7.ec2.internal  what is on it; could it go, and why not
  fretsaw explain nodeclaim/gpu-spot-7f3k2       also one that has no node yet
  fretsaw explain nodepool/gpu-spot --context prod
  fretsaw explain pod/ml-training/train-0 -f cluster.yaml

\b
Exit codes: 0 explained · 1 a pod that has no place to go to · 2 there is no such
object, or the input is wrong · 3 the cluster does not answer
"""
KINDS = {
    **dict.fromkeys(("pod", "pods", "po"), "Pod"),
    **dict.fromkeys(("node", "nodes", "no"), "Node"),
    **dict.fromkeys(("nodeclaim", "nodeclaims"), "NodeClaim"),
    **dict.fromkeys(("nodepool", "nodepools"), "NodePool"),
}


class Asked(NamedTuple):
    """What is to be explained."""

    kind: str
    name: str
    """`namespace/name` of a pod."""

    def __str__(self) -> str:
        return f"{self.kind.lower()}/{self.name}"


@click.command(epilog=EPILOG, short_help="Why a pod waits or is there, and whether a node could go.")
@click.argument("what", metavar="KIND/NAME")
@click.option("-n", "--namespace", metavar="NAMESPACE", help="Of the pod; that of the context, or default.")
@click.option("-f", "--filename", "files", multiple=True, metavar="PATH", help="Files in place of a cluster.")
@click.option("--live", is_flag=True, help="With -f: the cluster with these files applied to it.")
@access_options
@click.option("--region", default="us-east-1", help="Of the prices; by default where the nodes are.")
@click.option("--catalog", "catalog_file", metavar="FILE", help="Instance types and prices, in place of the shipped.")
def explain(
    what: str,
    namespace: str | None,
    files: tuple[str, ...],
    live: bool,
    kubeconfig: str | None,
    context: str | None,
    region: str,
    catalog_file: str | None,
) -> int:
    """Explain one object of a cluster, or of files: pod/NAME, node/NAME, nodeclaim/NAME or nodepool/NAME.

    Of a pod that waits: why each NodePool refused it, or what would be bought for it. Of a node: its price, what is on
    it, and for each kind of disruption whether it could be taken away now, or what keeps it.
    """
    live = live or not files
    refuse_without_live(live=live, kubeconfig=kubeconfig, context=context)
    kind, name = _parsed(what)
    with Progress() as progress:
        from fretsaw import planner

        catalog = planner.read_catalog(catalog_file) if catalog_file else None
        source = loaded(files, progress, live=live, kubeconfig=kubeconfig, context=context)
        prices = found_region(source.manifests, region)
        asked = _found(source, kind, name, namespace)
        progress(f"explaining {asked}")
        if asked.kind == "Pod":
            answer = _pod(source, asked.name, catalog, prices.name)
        else:
            answer = _machine_or_pool(source, asked, catalog, prices.name)
    source.tell()
    if catalog is None:
        prices.tell()
    return answer()


def _parsed(what: str) -> tuple[str, str]:
    kind, slash, name = what.partition("/")
    found = KINDS.get(kind.lower())
    if not slash or not name:
        raise click.UsageError(f"what is to be explained: {what!r} (such as pod/train-0 or node/NAME)")
    if found is None:
        raise click.UsageError(f"no such kind: {kind} (known: pod, node, nodeclaim, nodepool)")
    return found, name


def _found(source: Loaded, kind: str, name: str, namespace: str | None) -> Asked:
    """What is asked for, if it is there. Raises UserError with what was perhaps meant."""
    from fretsaw.errors import UserError

    home = namespace or (source.reading.namespace if source.reading is not None else "default")
    wanted = name if kind != "Pod" or "/" in name else f"{home}/{name}"
    known = sorted(_names(source.manifests, kind))
    if wanted in known:
        return Asked(kind, wanted)
    near = get_close_matches(wanted, known, n=1, cutoff=0.5)
    same = [one for one in known if kind == "Pod" and one.rpartition("/")[2] == name]
    meant = same or near
    right = f"did you mean {meant[0]}?" if meant else "there is none" if not known else f"there are {len(known):,}"
    raise UserError("", f"there is no such {kind}", wanted, right)


def _names(manifests: Manifests, kind: str) -> Iterable[str]:
    if kind != "Pod":
        return (document.name for document in manifests.of(kind))
    from fretsaw.api.expand import expand

    given = {pod.metadata.key for pod in manifests.objects("Pod")}
    return given | {pod.metadata.key for pod in expand(manifests).pods}


def _pod(source: Loaded, key: str, catalog: Catalog | None, region: str) -> Answer:
    """What to print of a pod, as a function that does it and gives the exit code."""
    from fretsaw import planner
    from fretsaw.cli import explain_view, render
    from fretsaw.engine.pdbs import owned_by
    from fretsaw.engine.pending import is_pending
    from fretsaw.live.objects import alone

    manifests = source.manifests
    pod = _pod_of(manifests, key)
    out = render.console()
    if pod is not None and not is_pending(pod):
        anew = None
        if pod.spec.node_name and not pod.is_terminal and not (owned_by(pod, "DaemonSet") or owned_by(pod, "Node")):
            anew = planner.plan(alone(manifests, key), catalog, region=region, explain=key)
        judge = _judge(source, catalog, region)
        return lambda: explain_view.standing_pod(out, judge, pod, anew)
    answer = planner.plan(manifests, catalog, region=region, explain=key)
    return lambda: explain_view.waiting_pod(out, key, pod, answer)


def _pod_of(manifests: Manifests, key: str) -> Pod | None:
    """The pod as it is; None for one that a workload would make."""
    pods: Iterable[Pod] = manifests.objects("Pod")
    return next((pod for pod in pods if pod.metadata.key == key), None)


def _judge(source: Loaded, catalog: Catalog | None, region: str) -> Judge:
    from fretsaw import planner
    from fretsaw.live.judgement import Judge, state_of

    cluster = planner.cluster_of(source.manifests, catalog, region=region)
    now = source.reading.taken if source.reading is not None else round(time.time() * 1000)
    return Judge(state_of(cluster), now)


def _machine_or_pool(source: Loaded, asked: Asked, catalog: Catalog | None, region: str) -> Answer:
    """What to print of a node, a claim or a pool, as above."""
    from fretsaw.cli import explain_view, render

    judge = _judge(source, catalog, region)
    out = render.console()
    if asked.kind == "NodePool" and asked.name in judge.state.pools:
        return lambda: explain_view.pool(out, judge, asked.name)
    for machine in judge.state.machines.values():
        if asked.name == (machine.node_name if asked.kind == "Node" else machine.name):
            return lambda: explain_view.machine(out, judge, machine)
    return lambda: errors.WRONG_INPUT  # its problems are told
