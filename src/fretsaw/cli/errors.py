"""Exceptions become one message on standard error and an exit code, in one place for every command."""

from __future__ import annotations

import os
import sys
import traceback

import click

from fretsaw.errors import FretsawError, ProviderError, UserError

DONE = 0
FOUND = 1
"""Done, and something was found: a pod that cannot be placed, an invalid object."""
WRONG_INPUT = 2
WORLD_FAILED = 3
BUG = 70
"""A defect of Fretsaw itself (EX_SOFTWARE of sysexits.h), kept apart from the codes above."""
INTERRUPTED = 130
PIPE_CLOSED = 141
"""128 + SIGPIPE, as any other program in a pipe answers."""


def exit_code(error: BaseException) -> int:
    """The exit code that tells whose turn it is to act."""
    if isinstance(error, UserError):
        return WRONG_INPUT
    if isinstance(error, ProviderError):
        return WORLD_FAILED
    if isinstance(error, click.ClickException):
        return error.exit_code
    if isinstance(error, KeyboardInterrupt | click.Abort):
        return INTERRUPTED
    if isinstance(error, BrokenPipeError):
        return PIPE_CLOSED
    return BUG


def report(error: BaseException, *, debug: bool) -> int:
    """Say on standard error what went wrong, and return the exit code.

    debug: the traceback is printed too. Interrupts and closed pipes are silent: the user knows.
    """
    code = exit_code(error)
    if code == PIPE_CLOSED:
        _abandon_stdout()
        return code
    if debug:
        traceback.print_exception(error)
    if isinstance(error, click.ClickException):
        error.show()
    elif code == BUG:
        say("error", _apology(error, debug=debug))
    elif code != INTERRUPTED:
        say("error", str(error))
    return code


def say(kind: str, message: str) -> None:
    """Write `kind: message` to standard error, with `kind` in colour on a terminal."""
    colours = {"error": "red", "warning": "yellow", "note": "cyan"}
    label = click.style(f"{kind}:", fg=colours[kind], bold=kind == "error") if _in_colour() else f"{kind}:"
    click.echo(f"{label} {message}", err=True, color=_in_colour())


def _apology(error: BaseException, *, debug: bool) -> str:
    cause = " ".join(str(error).split()) or "no message"
    kind = "" if isinstance(error, FretsawError) else f"{type(error).__name__}: "
    hint = "" if debug else "\nRun it again with `fretsaw --debug …` for the traceback, and please report both."
    return f"this is a bug in fretsaw, not in your files, and we are sorry: {kind}{cause}{hint}"


def _in_colour() -> bool:
    return sys.stderr.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def _abandon_stdout() -> None:
    """Point standard output at nothing, so that the interpreter's last flush does not complain about the pipe."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
