"""`fretsaw fake-kubelet` on the command line."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, get_args

import pytest
from click.testing import CliRunner

from fretsaw.cli import errors, fake_kubelet_cmd
from fretsaw.cli.fake_kubelet_cmd import Complaints, fake_kubelet
from fretsaw.cli.main import run
from fretsaw.engine.events import InterruptionKind
from fretsaw.kubelet import KubeletSettings
from fretsaw.kubelet.settings import EXIT_CODE, RUNS_FOR, STOPS_IN, fixed
from fretsaw.providers.fake import server
from fretsaw.providers.fake.faults import FAULTS, CallFaultKind, NodeFaultKind
from fretsaw.providers.fake.node_class import DRIFT, NOT_READY

AWAY = """
apiVersion: v1
kind: Config
current-context: a
clusters: [{name: a, cluster: {server: 'http://127.0.0.1:9'}}]
users: [{name: a, user: {}}]
contexts: [{name: a, context: {cluster: a, user: a}}]
"""
NONE = dict.fromkeys(("boot", "ready", "gpu", "startup_taints", "pod_start", "pod_stop"))


def test_help_has_examples_and_exit_codes() -> None:
    text = CliRunner().invoke(fake_kubelet, ["--help"]).output
    assert "fretsaw fake-kubelet --boot 20s --gpu 40s" in text
    assert "Exit codes:" in text


@pytest.mark.parametrize(
    ("arguments", "wrong"),
    [
        (["--boot", "soon"], "not a duration: 'soon'"),
        (["--boot", "Never"], "not a duration: 'Never'"),
        (["--gpu", "-2s"], "not a duration: '-2s'"),
        (["--cloud", "localhost"], "--cloud: is no address: localhost"),
        (["--cloud", "localhost:99999"], "--cloud: is no address"),
        (["--kubeconfig", "/nowhere"], "/nowhere: no such kubeconfig"),
    ],
)
def test_wrong_input_is_exit_code_2(arguments: list[str], wrong: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["fake-kubelet", *arguments]) == errors.WRONG_INPUT
    assert wrong in capsys.readouterr().err


def test_a_cluster_that_is_away_is_exit_code_3(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fake_kubelet_cmd, "PATIENCE_S", 0.1)
    config = tmp_path / "kubeconfig"
    config.write_text(AWAY)
    assert run(["fake-kubelet", "--kubeconfig", str(config), "--cloud", "127.0.0.1:0"]) == errors.WORLD_FAILED
    assert "the Kubernetes API does not answer" in capsys.readouterr().err


def settings(*, realistic: bool = False, keep: bool = False, **given: Any) -> KubeletSettings:
    """What the options come to."""
    return fake_kubelet_cmd._kubelet_settings({**NONE, "keep_startup_taints": keep, **given}, realistic=realistic)


def test_options_replace_the_defaults_also_the_realistic_ones() -> None:
    assert settings() == KubeletSettings()
    assert settings(boot=3000).boot == fixed(3)
    realistic = settings(realistic=True, gpu=0, keep=True)
    assert realistic.boot == KubeletSettings.realistic().boot != KubeletSettings().boot
    assert (realistic.gpu, realistic.startup_taints) == (fixed(0), None)


def test_failures_are_told_once_a_second(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr(fake_kubelet_cmd.time, "monotonic", lambda: now)
    told = Complaints()
    for number in range(3):
        told.about(f"pod/{number}", ValueError("no"))
    now += 1
    told.about("node/a", ValueError("no"))
    assert capsys.readouterr().err == "warning: pod/0: no\nwarning: node/a: no (and 2 more)\n"


def test_the_page_has_every_option_and_annotation_and_no_other() -> None:
    page = (Path(__file__).parents[3] / "docs" / "fake-kubelet.md").read_text(encoding="utf-8")
    options = {name for param in fake_kubelet.params for name in param.opts if name.startswith("--")} - {"--help"}
    table = page.partition("## All options")[2]
    assert set(re.findall(r"^\| `(--[\w-]+)", table, re.M)) == options
    annotations = {FAULTS, NOT_READY, DRIFT, RUNS_FOR, EXIT_CODE, STOPS_IN}
    assert set(re.findall(r"fretsaw\.dev/[\w-]+", page)) == annotations
    faults = page.partition("| fault |")[2].partition("By annotation of an EC2NodeClass")[0]
    assert re.findall(r"^\| `([\w-]+)", faults, re.M) == list(get_args(NodeFaultKind))
    assert all(f"`{kind}`" in page for kind in (*get_args(CallFaultKind), *get_args(InterruptionKind)))
    assert all(name in page for name in re.findall(r"web\.\w+\(\"(/[a-z]+)", Path(server.__file__).read_text()))
