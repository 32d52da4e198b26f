"""Help, exit codes, messages and start-up of the command, whatever the subcommand."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable

import click
import pytest

from fretsaw import __version__
from fretsaw.cli import errors, main
from fretsaw.errors import BrokenInvariant, ProviderError, UserError

HEAVY = {"cel_expr_python", "highspy", "jsonschema", "msgspec", "numpy", "rich", "yaml"}


@pytest.fixture
def raising(monkeypatch: pytest.MonkeyPatch) -> Callable[[BaseException], None]:
    """Makes `fretsaw plan` raise the exception."""

    def install(error: BaseException) -> None:
        @click.command()
        def broken() -> None:
            raise error

        monkeypatch.setattr(main.LazyGroup, "get_command", lambda *_: broken)

    return install


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (
            UserError("a.yaml:3 pod/x", "unknown field", "spec.foo"),
            2,
            "error: a.yaml:3 pod/x: unknown field: spec.foo\n",
        ),
        (ProviderError("the API server does not answer"), 3, "error: the API server does not answer\n"),
        (
            BrokenInvariant("a bin holds more than it can"),
            70,
            "error: this is a bug in fretsaw, not in your files, and we are sorry: a bin holds more than it can\nRun it again with `fretsaw --debug …` for the traceback, and please report both.\n",
        ),
        (
            ZeroDivisionError("division\nby zero"),
            70,
            "error: this is a bug in fretsaw, not in your files, and we are sorry: ZeroDivisionError: division by zero\nRun it again with `fretsaw --debug …` for the traceback, and please report both.\n",
        ),
        (KeyboardInterrupt(), 130, ""),
        (
            click.UsageError("no such thing"),
            2,
            "Usage: fretsaw plan [OPTIONS]\nTry 'fretsaw plan --help' for help.\n\nError: no such thing\n",
        ),
    ],
    ids=["user", "world", "invariant", "bug", "interrupt", "usage"],
)
def test_each_exception_has_its_message_and_exit_code(
    error: BaseException,
    code: int,
    message: str,
    raising: Callable[[BaseException], None],
    capsys: pytest.CaptureFixture[str],
) -> None:
    raising(error)
    assert main.run(["plan"]) == code
    assert capsys.readouterr() == ("", message)


@pytest.mark.parametrize("way", ["option", "environment"])
def test_debug_shows_the_traceback(
    way: str,
    raising: Callable[[BaseException], None],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    raising(ZeroDivisionError("oops"))
    if way == "environment":
        monkeypatch.setenv("FRETSAW_DEBUG", "1")
    assert main.run(["--debug", "plan"] if way == "option" else ["plan"]) == 70
    err = capsys.readouterr().err
    assert "Traceback (most recent call last)" in err
    assert "Run it again" not in err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["plna"], "no such command: plna (did you mean plan?)"),
        (["zzz"], f"no such command: zzz (known: {', '.join(main.COMMANDS)})"),
        (["--nope"], "--nope"),
        (["completion", "tcsh"], "'tcsh' is not one of 'bash', 'zsh', 'fish'"),
    ],
)
def test_wrong_usage_is_wrong_input(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run(arguments) == errors.WRONG_INPUT
    assert message in capsys.readouterr().err


def test_help_names_every_command_shows_examples_and_explains_exit_codes(capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run(["--help"]) == 0
    out = capsys.readouterr().out
    assert "fretsaw plan -f examples/gpu-platform" in out
    assert "Exit codes: 0 done" in out
    for name, (_, line) in main.COMMANDS.items():
        assert f"  {name}" in out
        assert line in out


@pytest.mark.parametrize("name", main.COMMANDS)
def test_every_command_has_examples_in_its_help(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run([name, "--help"]) == 0
    out = capsys.readouterr().out
    assert "Examples:" in out
    assert f"fretsaw {name}" in out.partition("Examples:")[2]


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run(["--version"]) == 0
    assert capsys.readouterr().out == f"fretsaw {__version__}\n"


@pytest.mark.parametrize(
    ("shell", "line"),
    [
        ("bash", "complete -o nosort -F _fretsaw_completion fretsaw"),
        ("zsh", "#compdef fretsaw"),
        ("fish", "complete --no-files --command fretsaw"),
    ],
)
def test_completion_scripts(shell: str, line: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run(["completion", shell]) == 0
    assert line in capsys.readouterr().out


def fretsaw(*arguments: str, python: tuple[str, ...] = (), **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, *python, "-m", "fretsaw", *arguments]
    return subprocess.run(command, capture_output=True, text=True, env={**os.environ, **environment}, check=False)


def test_tab_offers_the_commands() -> None:
    done = fretsaw(_FRETSAW_COMPLETE="bash_complete", COMP_WORDS="fretsaw c", COMP_CWORD="1")
    assert done.stdout.split() == ["plain,compare", "plain,catalog", "plain,crds", "plain,completion"]


@pytest.mark.parametrize(
    "statement", ["import fretsaw", "import fretsaw.cli.main", "from fretsaw.cli.main import run; run(['--help'])"]
)
def test_start_up_imports_nothing_heavy(statement: str) -> None:
    script = f"import sys; {statement}; print('|', *sorted({HEAVY!r} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.rpartition("|")[2].split() == []


def test_a_closed_pipe_is_silent() -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "fretsaw", "--help"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        process.stdout.close()
        assert process.stderr is not None
        assert process.stderr.read() == b""
    assert process.returncode == errors.PIPE_CLOSED
