"""`fretsaw completion`: the shell completion script that click makes for this program."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class


@click.command(
    short_help="Print the completion script for bash, zsh or fish.",
    epilog="""
\b
Examples:
  source <(fretsaw completion bash)                                    # this shell only
  fretsaw completion zsh > "${fpath[1]}/_fretsaw"
  fretsaw completion fish > ~/.config/fish/completions/fretsaw.fish
""",
)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> int:
    """Print the completion script of SHELL to standard output."""
    script = get_completion_class(shell)
    if script is None:  # pragma: no cover: click ships all three
        raise click.UsageError(f"click knows no completion for {shell}")
    click.echo(script(ctx.find_root().command, {}, "fretsaw", "_FRETSAW_COMPLETE").source())
    return 0
