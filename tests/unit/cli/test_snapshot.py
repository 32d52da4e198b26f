"""`fretsaw snapshot` and `plan --live` as a user runs them: streams, exit codes, and that both plan the same."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click
import pytest

from fretsaw.cli import main
from fretsaw.cli.live_options import contexts
from fretsaw.live import connection
from fretsaw.live.reading import ALL
from support.builders import catalog, machine, named, node, pod, pool, running
from support.listing_server import ListingServer

NAMESPACES = [{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}} for name in ("default", "ml")]
CRON = named(
    "CronJob",
    "batch/v1",
    "nightly",
    {"schedule": "0 3 * * *", "jobTemplate": {"spec": {"template": {"spec": pod("x")["spec"]}}}},
    namespace="default",
    uid="u-1",
)
OBJECTS: list[dict[str, Any]] = [
    *NAMESPACES,
    pool(),
    node("n", cpu="2"),
    running("r", "n", "1500m"),
    pod("p", "3"),
    pod("q", "1", namespace="ml", container={"env": [{"name": "KEY", "value": "hunter2"}]}),
    CRON,
]


class Fretsaw:
    """Runs the command and keeps what it printed."""

    def __init__(self, folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
        self.folder, self._capfd = folder, capfd
        self.catalog = folder / "catalog.json"
        self.catalog.write_text(json.dumps(catalog(machine("m", "4", "8Gi", 1.0))), encoding="utf-8")

    def __call__(self, *arguments: str) -> tuple[int, str, str]:
        """(exit code, standard output, standard error)."""
        code = main.run(list(arguments))
        printed = self._capfd.readouterr()
        return code, printed.out, printed.err

    def plan(self, *arguments: str) -> dict[str, Any]:
        """What `plan -o json` answers, but for the time it took."""
        _, out, _ = self("plan", "--catalog", str(self.catalog), "-o", "json", *arguments)
        answer: dict[str, Any] = json.loads(out)
        del answer["seconds"]
        return answer


@pytest.fixture
def fretsaw(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> Fretsaw:
    """The command."""
    return Fretsaw(tmp_path, capfd)


# snapshot


def test_a_snapshot_goes_to_standard_output_and_nothing_else_does(fretsaw: Fretsaw, tmp_path: Path) -> None:
    with ListingServer(tmp_path, OBJECTS) as server:
        code, out, err = fretsaw("snapshot", "--kubeconfig", server.kubeconfig)
    assert (code, err) == (0, "")
    assert out.startswith(f"# Cluster: {server.url}\n# Kubernetes: v1.34.1\n")
    assert out.count("\n---\n") == len(OBJECTS)
    assert "hunter2" not in out


def test_a_file_is_written_and_what_it_lacks_is_told(fretsaw: Fretsaw, tmp_path: Path) -> None:
    file = tmp_path / "c.yaml"
    with ListingServer(tmp_path, OBJECTS, missing=["NodeOverlay"], forbidden=["Job", "Service"]) as server:
        code, out, err = fretsaw("snapshot", "--kubeconfig", server.kubeconfig, "-o", str(file), "--with-env")
    assert (code, out) == (0, "")
    assert err == (
        "warning: not allowed to list Service, Job: left out\n"
        "note: not in this cluster: NodeOverlay\n"
        f"note: {file}: 8 objects of {server.url}\n"
    )
    assert "hunter2" in file.read_text(encoding="utf-8")


def test_a_namespace_makes_nodes_look_emptier_and_that_is_said(fretsaw: Fretsaw, tmp_path: Path) -> None:
    with ListingServer(tmp_path, OBJECTS) as server:
        code, out, err = fretsaw("snapshot", "--kubeconfig", server.kubeconfig, "-n", "ml")
        assert (code, err) == (
            0,
            "note: pods of other namespaces are not in it: its nodes look emptier than they are\n",
        )
        assert "name: q\n" in out
        assert "name: r\n" not in out
        code, out, err = fretsaw("snapshot", "--kubeconfig", server.kubeconfig, "-n", "lm")
    assert (code, out, err) == (2, "", "error: --namespace: no such namespace: lm (known: default, ml)\n")


# The way to the cluster


@pytest.mark.parametrize("command", ["snapshot", "plan --live", "explain pod/x", "top --once"])
def test_no_kubeconfig_is_wrong_input_with_what_to_do(
    fretsaw: Fretsaw, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    monkeypatch.delenv("KUBECONFIG", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "nobody"))
    code, out, err = fretsaw(*command.split())
    expected = (
        f"error: {tmp_path}/nobody/.kube/config: no such kubeconfig (name one with --kubeconfig or $KUBECONFIG)\n"
    )
    assert (code, out, err) == (2, "", expected)


@pytest.mark.parametrize("command", ["snapshot", "plan --live", "explain pod/x", "top --once"])
def test_a_server_that_does_not_answer_is_the_outside_world(
    fretsaw: Fretsaw, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    monkeypatch.setattr(connection, "PATIENCE_S", 0.0)
    with ListingServer(tmp_path) as server:
        pass
    code, out, err = fretsaw(*command.split(), "--kubeconfig", server.kubeconfig)
    assert (code, out) == (3, "")
    assert err.startswith(f"error: {server.url}: the Kubernetes API does not answer: ")


@pytest.mark.parametrize("command", ["snapshot", "plan --live", "explain pod/x", "top --once"])
def test_a_user_without_rights_is_told_so(fretsaw: Fretsaw, tmp_path: Path, command: str) -> None:
    with ListingServer(tmp_path, forbidden=ALL) as server:
        code, out, err = fretsaw(*command.split(), "--kubeconfig", server.kubeconfig)
    assert (code, out) == (3, "")
    assert "403 Forbidden" in err


def test_an_unknown_context_is_wrong_input(fretsaw: Fretsaw, tmp_path: Path) -> None:
    with ListingServer(tmp_path) as server:
        code, _, err = fretsaw("snapshot", "--kubeconfig", server.kubeconfig, "--context", "prod")
    assert (code, err) == (2, f"error: {server.kubeconfig}: no such context: prod (known: test)\n")


def test_the_shell_completes_contexts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    server = ListingServer(tmp_path)
    with server:
        command = click.Command("x")
        context = click.Context(command)
        context.params = {"kubeconfig": server.kubeconfig}
        assert [item.value for item in contexts(context, click.Option(["--context"]), "te")] == ["test"]
        assert contexts(context, click.Option(["--context"]), "x") == []
        context.params = {}
        monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
        assert contexts(context, click.Option(["--context"]), "") == []


# plan --live


def test_a_live_plan_is_that_of_a_snapshot_and_plans_what_waits(fretsaw: Fretsaw, tmp_path: Path) -> None:
    file = tmp_path / "c.json.gz"
    with ListingServer(tmp_path, OBJECTS) as server:
        live = fretsaw.plan("--live", "--kubeconfig", server.kubeconfig)
        fretsaw("snapshot", "--kubeconfig", server.kubeconfig, "-o", str(file))
    assert live == fretsaw.plan("-f", str(file))
    assert live["pods"] == 2  # not the one that runs, nor the CronJob's next one
    assert live["scheduled"] == 2


def test_files_beside_a_cluster_are_applied_to_it(fretsaw: Fretsaw, tmp_path: Path) -> None:
    requirement = {"key": "kubernetes.io/arch", "operator": "In", "values": ["arm64"]}
    file = tmp_path / "pool.json"
    file.write_text(json.dumps(pool("main", requirement)), encoding="utf-8")
    with ListingServer(tmp_path, OBJECTS) as server:
        assert fretsaw.plan("--live", "--kubeconfig", server.kubeconfig)["scheduled"] == 2
        answer = fretsaw.plan("--live", "--kubeconfig", server.kubeconfig, "-f", str(file))
    assert answer["scheduled"] == 0


def test_problems_of_live_objects_name_the_object_and_no_line(fretsaw: Fretsaw, tmp_path: Path) -> None:
    odd = pod("odd") | {"spec": {**pod("odd")["spec"], "nodeSelektor": {"a": "b"}}}
    with ListingServer(tmp_path, [*OBJECTS, odd]) as server:
        code, _, err = fretsaw(
            "plan", "--live", "--kubeconfig", server.kubeconfig, "--catalog", str(fretsaw.catalog), "-o", "json"
        )
    assert code == 0
    assert err == "warning: pod/odd spec.nodeSelektor: no such field, it has no effect (did you mean nodeSelector?)\n"


def test_how_to_reach_a_cluster_goes_with_live(fretsaw: Fretsaw) -> None:
    code, _, err = fretsaw("plan", "-f", "x.yaml", "--context", "prod")
    assert code == 2
    assert "--kubeconfig and --context say how to reach a cluster: add --live" in err


@pytest.mark.parametrize(
    ("zone", "arguments", "says"),
    [
        ("eu-west-1a", [], "note: with the prices of eu-west-1, where the nodes are\n"),
        ("us-east-1a", [], ""),
        ("eu-west-1a", ["--region", "us-east-1"], ""),
        ("mars-1a", [], "warning: no prices of mars-1, where the nodes are: those of us-east-1 are used\n"),
    ],
)
def test_prices_are_of_the_region_where_the_nodes_are(
    fretsaw: Fretsaw, tmp_path: Path, zone: str, arguments: list[str], says: str
) -> None:
    with ListingServer(tmp_path, [*NAMESPACES, pool(), node("n", zone=zone)]) as server:
        code, out, err = fretsaw("plan", "--live", "--kubeconfig", server.kubeconfig, *arguments)
    assert (code, out, err) == (0, "No pod is waiting for a place.\n", says)
