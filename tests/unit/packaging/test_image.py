"""The image: pinned and hashed wheels, no root, and nothing copied that is not there."""

from __future__ import annotations

import re
import shlex
import tomllib
from fnmatch import fnmatch
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[3]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
IGNORED = [line for line in (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines() if line[:1] != "#"]
PIN = re.compile(r"^([a-z][\w.-]*)==(\S+)", re.M)


def instructions() -> list[tuple[str, str]]:
    """(instruction, its arguments) of the Dockerfile, continued lines joined."""
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    lines = re.sub(r"^#.*\n", "", text, flags=re.M).replace("\\\n", " ").splitlines()
    return [(word, rest.strip()) for word, _, rest in (line.partition(" ") for line in lines if line.strip())]


def all_of(instruction: str) -> list[str]:
    return [arguments for word, arguments in instructions() if word == instruction]


def pins(name: str) -> dict[str, set[str]]:
    """The versions of each package in a lock file; there may be one for each version of Python."""
    found: dict[str, set[str]] = {}
    for package, version in PIN.findall((ROOT / name).read_text(encoding="utf-8")):
        found.setdefault(package, set()).add(version)
    return found


def test_base_is_one_image_with_a_tag() -> None:
    (base,) = all_of("ARG")
    assert re.fullmatch(r"PYTHON=python:3\.\d+-slim-[a-z]+(@sha256:[0-9a-f]{64})?", base)
    assert all_of("FROM") == ["${PYTHON} AS build", "${PYTHON}"]


def test_base_has_a_python_that_the_package_takes() -> None:
    (base,) = all_of("ARG")
    minor = int(base.partition("3.")[2].partition("-")[0])
    assert minor >= int(PROJECT["requires-python"].removeprefix(">=3."))


def test_every_install_from_a_registry_is_hashed_and_of_wheels() -> None:
    commands = [command.split() for run in all_of("RUN") for command in run.split("&&")]
    installs = [words for words in commands if "install" in words]
    assert len(installs) == 3
    for words in installs:
        assert {"--require-hashes", "--only-binary=:all:"} <= set(words) or {"--no-deps", "--no-index"} <= set(words)


def test_image_is_nobody_and_runs_the_command() -> None:
    words = instructions()
    last = words[max(number for number, (word, _) in enumerate(words) if word == "FROM") :]
    assert ("USER", "65532:65532") in last
    assert [rest for word, rest in last if word in ("RUN", "ADD")] == []
    assert ("ENTRYPOINT", '["fretsaw"]') in last
    assert "fretsaw" in PROJECT["scripts"]


def test_user_is_the_chart_s() -> None:
    values = yaml.safe_load((ROOT / "charts" / "fretsaw" / "values.yaml").read_text(encoding="utf-8"))
    context = values["podSecurityContext"]
    assert all_of("USER") == [f"{context['runAsUser']}:{context['runAsGroup']}"]


@pytest.mark.parametrize(
    "source",
    sorted({name for copy in all_of("COPY") if "--from" not in copy for name in shlex.split(copy)[:-1]}),
)
def test_what_is_copied_is_there_and_not_ignored(source: str) -> None:
    assert (ROOT / source).exists()
    assert f"!{source}" in IGNORED


def test_everything_else_stays_outside() -> None:
    assert IGNORED[0] == "*"
    left = [line for line in IGNORED if line.startswith("!")]
    assert not any(fnmatch(name, line[1:]) for line in left for name in (".git", ".venv", "tests", "dev.kubeconfig"))


def test_lock_file_has_what_run_needs_and_no_more() -> None:
    """`make lock` renews it."""
    text = (ROOT / "requirements-run.lock").read_text(encoding="utf-8")
    wanted = {_name(each) for each in [*PROJECT["dependencies"], *PROJECT["optional-dependencies"]["run"]]}
    assert wanted <= pins("requirements-run.lock").keys()
    assert not {"hatchling", "pytest", "boto3", "pyarrow"} & pins("requirements-run.lock").keys()
    entries = re.split(r"^(?=[a-z])", text, flags=re.M)[1:]
    assert [entry.split()[0] for entry in entries if "--hash=sha256:" not in entry] == []
    assert not re.search(r"https?:|--index|--find-links|--extra-index", text)


def test_what_runs_is_what_is_tested() -> None:
    tested = pins("requirements-dev.lock")
    assert {
        name: versions for name, versions in pins("requirements-run.lock").items() if tested[name] != versions
    } == {}


def _name(requirement: str) -> str:
    return re.split(r"[^\w.-]", requirement, maxsplit=1)[0].lower().replace("_", "-")
