"""`fretsaw crds`: the CustomResourceDefinitions that a cluster needs."""

from __future__ import annotations

import json

import click

EPILOG = """
\b
Examples:
  fretsaw crds | kubectl apply --server-side -f -
  fretsaw crds --kind NodePool
  fretsaw crds -o json | jq '.items[].metadata.name'
"""
KINDS = ("NodePool", "NodeClaim", "NodeOverlay", "CapacityBuffer", "EC2NodeClass")
"""Written out, so that help does not import the structs."""


@click.command(epilog=EPILOG, short_help="Print the CustomResourceDefinitions to install.")
@click.option(
    "--kind", "kinds", multiple=True, type=click.Choice(KINDS, case_sensitive=False), help="Only this kind; repeatable."
)
@click.option(
    "--any-label",
    is_flag=True,
    help="Without the AWS provider's rule that only its known labels of karpenter.k8s.aws may be used.",
)
@click.option("-o", "--output", type=click.Choice(["yaml", "json"]), default="yaml", show_default=True)
def crds(kinds: tuple[str, ...], any_label: bool, output: str) -> int:
    """Print the CustomResourceDefinitions of all five kinds, or of those chosen, always in the same order."""
    from fretsaw.api.crd import crd

    made = [crd(kind, aws=not any_label) for kind in KINDS if not kinds or kind in kinds]
    if output == "json":
        click.echo(json.dumps({"apiVersion": "v1", "kind": "List", "items": made}, indent=2, ensure_ascii=False))
    else:
        from fretsaw.api.manifest import dump

        click.echo(dump(made), nl=False)
    return 0
