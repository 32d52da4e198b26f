"""Tokens are kept as long as they are good, renewed when refused, and never half a header."""

from __future__ import annotations

import asyncio
import base64
import json
import os
from pathlib import Path

import pytest

from fretsaw.errors import UserError
from fretsaw.kube import credentials as module
from fretsaw.kube.credentials import Anonymous, ExecToken, Fixed, TokenFile, of_user, plain
from fretsaw.kube.kubeconfig import Exec, User, Variable


class Times:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now = 1_000_000.0

    def time(self) -> float:
        return self.now

    monotonic = time


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Times:
    times = Times()
    monkeypatch.setattr(module, "time", times)
    return times


# Files


def test_rotated_token_is_read_again_after_a_minute_or_when_refused(tmp_path: Path, clock: Times) -> None:
    async def main() -> None:
        path = tmp_path / "token"
        path.write_text("one\n")
        token = TokenFile(path)
        assert await token.header() == "Bearer one"
        path.write_text("two")
        assert await token.header() == "Bearer one"
        clock.now += 61
        assert await token.header() == "Bearer two"
        path.write_text("three")
        assert await token.header(refused="Bearer one") == "Bearer two", "somebody else had the old one"
        assert await token.header(refused="Bearer two") == "Bearer three"

    asyncio.run(main())


def test_token_stays_while_its_file_cannot_be_read(tmp_path: Path, clock: Times) -> None:
    async def main() -> None:
        path = tmp_path / "token"
        path.write_text("one")
        token = TokenFile(path)
        await token.header()
        for ruin in (path.unlink, lambda: path.write_text(""), lambda: path.write_bytes(b"\xff")):
            ruin()
            clock.now += 61
            assert await token.header() == "Bearer one"

    asyncio.run(main())


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "the token cannot be read: No such file or directory"),
        (b"", "not a token: empty"),
        (b"\xff", "not a token: not text"),
        (b"a\nInjected: x", "not a token (one word of printable ASCII)"),
    ],
)
def test_first_token_must_be_one(tmp_path: Path, content: bytes | None, said: str) -> None:
    path = tmp_path / "token"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UserError) as told:
        asyncio.run(TokenFile(path).header())
    assert str(told.value).startswith(f"{path}: {said}")


# Programs


def _program(folder: Path, text: str) -> str:
    path = folder / "plugin"
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return "./plugin"


def _counting(folder: Path, expires: str = "") -> ExecToken:
    """A plugin that gives t1, t2, …"""
    more = f', "expirationTimestamp": "{expires}"' if expires else ""
    command = _program(
        folder,
        f'cd {folder}; echo x >> runs; n=$(wc -l < runs | tr -d " ")\n'
        f'printf \'{{"status": {{"token": "t%s"{more}}}}}\' $n',
    )
    return ExecToken(Exec(command), folder / "config")


def test_program_is_run_once_for_all_who_wait(tmp_path: Path) -> None:
    async def main() -> None:
        token = _counting(tmp_path)
        assert set(await asyncio.gather(*(token.header() for _ in range(20)))) == {"Bearer t1"}
        refused = await asyncio.gather(*(token.header(refused="Bearer t1") for _ in range(20)))
        assert set(refused) == {"Bearer t2"}
        assert await token.header() == "Bearer t2"

    asyncio.run(main())


def test_token_is_renewed_before_it_runs_out(tmp_path: Path, clock: Times) -> None:
    async def main() -> None:
        token = _counting(tmp_path, "1970-01-12T13:56:40Z")  # 1,000,600
        assert await token.header() == "Bearer t1"
        clock.now += 569
        assert await token.header() == "Bearer t1"
        clock.now += 2
        assert await token.header() == "Bearer t2"

    asyncio.run(main())


def test_program_is_told_what_it_needs(tmp_path: Path) -> None:
    out = tmp_path / "out"
    command = _program(
        tmp_path,
        f'echo "$1|$WHO|$KUBERNETES_EXEC_INFO" > {out}; cat > {out}.in\n' """echo '{"status": {"token": "t"}}'""",
    )
    plugin = Exec(command, "v1", ("an argument",), (Variable("WHO", "me"),), provide_cluster_info=True)
    asyncio.run(ExecToken(plugin, tmp_path / "config", {"server": "https://one"}).header())
    argument, who, info = out.read_text().strip().split("|")
    assert (argument, who) == ("an argument", "me")
    assert json.loads(info) == {
        "apiVersion": "v1",
        "kind": "ExecCredential",
        "spec": {"interactive": False, "cluster": {"server": "https://one"}},
    }
    assert (tmp_path / "out.in").read_text() == "", "nobody is there to answer questions"


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("echo no such profile >&2; exit 3", "exec plugin ./plugin failed with 3: no such profile"),
        ("echo hello", "exec plugin ./plugin gave no token (an ExecCredential"),
        ("echo '[]'", "exec plugin ./plugin gave no token"),
        ("echo '{\"status\": null}'", "exec plugin ./plugin gave no token"),
        ('echo \'{"status": {"clientCertificateData": "x"}}\'', "exec plugin ./plugin gave no token"),
        ('echo \'{"status": {"token": "t", "expirationTimestamp": "soon"}}\'', "exec plugin ./plugin gave no token"),
        ('echo \'{"status": {"token": 5}}\'', "exec plugin ./plugin: not a token"),
        ("printf '\\377'", "exec plugin ./plugin gave no token"),
    ],
)
def test_program_that_gives_no_token(tmp_path: Path, script: str, said: str) -> None:
    token = ExecToken(Exec(_program(tmp_path, script)), tmp_path / "config")
    with pytest.raises(UserError) as told:
        asyncio.run(token.header())
    assert str(told.value).startswith(f"{tmp_path / 'config'}: {said}")


@pytest.mark.parametrize("program", ["./not-there", "no-such-program-anywhere", "a\0b"])
def test_program_that_is_not_there(tmp_path: Path, program: str) -> None:
    token = ExecToken(Exec(program, install_hint="get it\n  somewhere"), tmp_path / "config")
    with pytest.raises(UserError, match=r"cannot be run: .*\(get it somewhere\)"):
        asyncio.run(token.header())


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_program_that_hangs_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "EXEC_TIMEOUT_S", 0.5)
    token = ExecToken(Exec(_program(tmp_path, f"echo $$ > {tmp_path}/pid; exec sleep 600")), tmp_path / "config")
    with pytest.raises(UserError, match=r"gave no token in 0\.5 s"):
        asyncio.run(token.header())
    assert not _alive(int((tmp_path / "pid").read_text()))


def test_program_is_ended_with_whoever_waits_for_it(tmp_path: Path) -> None:
    async def main() -> None:
        token = ExecToken(Exec(_program(tmp_path, f"echo $$ > {tmp_path}/pid; exec sleep 600")), tmp_path / "config")
        waiting = asyncio.ensure_future(token.header())
        while not (tmp_path / "pid").exists() or not (tmp_path / "pid").read_text():
            await asyncio.sleep(0.01)
        waiting.cancel()
        await asyncio.wait([waiting])
        assert waiting.cancelled()

    asyncio.run(main())
    assert not _alive(int((tmp_path / "pid").read_text()))


# Users


def test_what_a_user_says(tmp_path: Path) -> None:
    config = tmp_path / "config"
    basic = base64.b64encode("me:pä".encode()).decode()

    async def header(user: User) -> str | None:
        return await of_user(user, config, {}).header()

    assert asyncio.run(header(User())) is None
    assert asyncio.run(header(User(token="t"))) == "Bearer t"
    assert asyncio.run(header(User(username="me", password="pä"))) == f"Basic {basic}"
    (tmp_path / "file").write_text("of-file")
    assert asyncio.run(header(User(token="t", token_file="file"))) == "Bearer of-file", "beside the kubeconfig"


@pytest.mark.parametrize(
    ("user", "said"),
    [
        (User(auth_provider={"name": "gcp"}), "auth-provider is no longer a part of Kubernetes"),
        (User(token="t", impersonate="root"), "impersonation is not supported: as: root"),
        (User(token="two words"), "not a token"),
    ],
)
def test_user_that_cannot_be(tmp_path: Path, user: User, said: str) -> None:
    with pytest.raises(UserError, match=f"^{tmp_path}/config: {said}"):
        of_user(user, tmp_path / "config", {})


def test_token_is_not_told_by_its_error() -> None:
    with pytest.raises(UserError) as told:
        plain("s3cret\n", "config")
    assert "s3cret" not in str(told.value)


def test_the_simple_ones_have_nothing_else_to_say() -> None:
    assert asyncio.run(Fixed("Bearer t").header(refused="Bearer t")) == "Bearer t"
    assert asyncio.run(Anonymous().header(refused=None)) is None
