"""`fretsaw explain`: what it says of pods, nodes, claims and pools, and of those that there are not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from fretsaw.cli import main
from support.builders import catalog, claim, machine, named, node, pod, pool, running
from support.listing_server import ListingServer

SOLD = catalog(machine("small", "2", "4Gi", 0.5), machine("large", "8", "16Gi", 2.0, nvidia_com__gpu="1"))


def stands(name: str) -> list[dict[str, Any]]:
    """A claim and its node, which wait to be consolidated."""
    own = claim(f"c-{name}", "main", "large", "8", "16Gi")
    own["status"]["conditions"] = [
        {"type": one, "status": "True", "reason": one, "message": "", "lastTransitionTime": "2026-06-03T11:00:00Z"}
        for one in ("Launched", "Registered", "Initialized", "Consolidatable")
    ]
    labels = {**own["metadata"]["labels"], "karpenter.sh/registered": "true", "karpenter.sh/initialized": "true"}
    return [own, node(name, "8", "16Gi", labels=labels, providerID=own["status"]["providerID"])]


def held(name: str) -> dict[str, Any]:
    """A pod on the node that may not be disturbed."""
    one = running(name, "n", "4")
    one["metadata"]["annotations"] = {"karpenter.sh/do-not-disrupt": "true"}
    return one


DAEMON = running("ds-x", "n") | {}
DAEMON["metadata"]["ownerReferences"] = [{"kind": "DaemonSet", "name": "ds", "uid": "u", "controller": True}]
WAITS = pod("waits", "64") | {
    "status": {
        "phase": "Pending",
        "conditions": [{"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/1 nodes"}],
    }
}
OBJECTS = [
    pool(disruption={"consolidateAfter": "0s", "budgets": [{"nodes": "1"}]}, limits={"cpu": "16"}, weight=3),
    pool("other"),
    *stands("n"),
    held("stays"),
    running("plain", "n", "1", namespace="ml"),
    DAEMON,
    WAITS,
    pod("fits", "1"),
    {**pod("done"), "status": {"phase": "Succeeded"}},
    claim("late", "main", "small"),
]


class Explain:
    """Runs the command on a file, and keeps what it printed."""

    def __init__(self, folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
        self.folder, self._capfd = folder, capfd
        self._catalog, self._file = folder / "catalog.json", folder / "cluster.json"
        self._catalog.write_text(json.dumps(SOLD), encoding="utf-8")
        self.holds(OBJECTS)

    def holds(self, objects: list[dict[str, Any]]) -> None:
        """What the file holds from now on."""
        whole = {"apiVersion": "v1", "kind": "List", "items": objects}
        self._file.write_text(json.dumps(whole), encoding="utf-8")

    def __call__(self, *arguments: str, files: bool = True) -> tuple[int, str, str]:
        """(exit code, standard output, standard error)."""
        source = ["-f", str(self._file)] if files else []
        code = main.run(["explain", *arguments, *source, "--catalog", str(self._catalog)])
        printed = self._capfd.readouterr()
        return code, printed.out, printed.err


@pytest.fixture
def explain(tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Explain:
    """The command, 100 cells wide."""
    monkeypatch.setenv("COLUMNS", "100")
    return Explain(tmp_path, capfd)


def test_a_waiting_pod_has_the_schedulers_word_and_each_pools_refusal(explain: Explain) -> None:
    code, out, err = explain("pod/waits")
    assert (code, err) == (1, "")
    assert out.startswith(
        "pod/default/waits waits for a node.\n"
        "  scheduler    0/1 nodes\n"
        "default/waits waits: 2 NodePools refused it, the nearest miss first.\n"
    )


def test_a_pod_that_fits_has_the_node_that_it_goes_to(explain: Explain) -> None:
    code, out, _ = explain("pod/fits")
    assert (code, out) == (0, "default/fits goes to n, a node that exists already and has room.\n")


def test_a_pod_that_runs_has_its_node_what_holds_it_and_what_a_new_one_would_be(explain: Explain) -> None:
    code, out, _ = explain("pod/stays")
    assert code == 0
    assert out.startswith(
        "pod/default/stays runs on node/n.\n"
        "  node         a large of nodepool/main: on-demand, z-a, $2.000/h\n"
        "  held by      its annotation karpenter.sh/do-not-disrupt\n"
        "Were it to come now, with no node there:\n"
        "default/stays goes to main-1, a new node of nodepool/main.\n"
    )
    assert "nodepool/other (weight 0)" in out


@pytest.mark.parametrize("arguments", [["pod/ml/plain"], ["pod/plain", "-n", "ml"], ["po/plain", "--namespace", "ml"]])
def test_a_pod_is_named_with_its_namespace_in_either_way(explain: Explain, arguments: list[str]) -> None:
    code, out, _ = explain(*arguments)
    assert (code, out.partition("\n")[0]) == (0, "pod/ml/plain runs on node/n.")
    assert "held by      nothing" in out


def test_a_daemons_pod_is_not_asked_where_else_it_would_be(explain: Explain) -> None:
    code, out, _ = explain("pod/ds-x")
    assert code == 0
    assert "Were it to come" not in out


def test_a_pod_that_has_ended_waits_for_nothing(explain: Explain) -> None:
    assert explain("pod/done") == (0, "pod/default/done has ended: Succeeded.\n", "")


def test_a_budget_holds_a_pod_too(explain: Explain) -> None:
    labels = {"app": "web"}
    budget = named("PodDisruptionBudget", "policy/v1", "web", {"maxUnavailable": 0, "selector": {"matchLabels": labels}}, namespace="default")  # fmt: skip
    explain.holds([pool(), *stands("n"), running("p", "n", labels=labels), budget])
    assert "  held by      poddisruptionbudget/default/web\n" in explain("pod/p")[1]


def test_a_pod_that_only_a_workload_would_make_is_said_to_be_none_yet(explain: Explain) -> None:
    template = {"metadata": {"labels": {"a": "b"}}, "spec": pod("x")["spec"]}
    spec = {"replicas": 1, "selector": {"matchLabels": {"a": "b"}}, "template": template}
    explain.holds([pool(), named("Deployment", "apps/v1", "web", spec, namespace="default")])
    code, out, _ = explain("pod/web-0")
    assert code == 0
    assert out.startswith(
        "pod/default/web-0 is not there yet; a workload of the files makes it.\n"
        "default/web-0 goes to main-1, a new node of nodepool/main.\n"
    )


def test_a_node_has_its_price_its_pods_and_what_keeps_it(explain: Explain) -> None:
    expected = (
        "node/n (nodeclaim/c-n) is a large of nodepool/main: on-demand, z-a, $2.000/h.\n"
        "  pods         default/ds-x, default/stays, ml/plain\n"
        "  requested    CPU 75%, memory 19%, pods 15%\n"
        '  cannot be taken away: pod has "karpenter.sh/do-not-disrupt" annotation (Pod=default/stays)\n'
    )
    assert explain("node/n") == explain("nodeclaim/c-n") == (0, expected, "")


def test_a_node_that_could_go_says_for_which_reason(explain: Explain) -> None:
    explain.holds([pool(disruption={"consolidateAfter": "0s"}), *stands("n")])
    _, out, _ = explain("node/n")
    assert out.partition("could it be taken away now?\n")[2] == (
        "    emptiness     yes: no pod on it needs another place\n"
        "    drift         no: its claim is not marked as drifted\n"
        "    consolidation no: it is empty\n"
    )


def test_a_claim_without_a_node_says_what_it_waits_for(explain: Explain) -> None:
    code, out, _ = explain("nodeclaim/late")
    assert code == 0
    assert out == (
        "nodeclaim/late is a small of nodepool/main: on-demand, z-a, $0.500/h.\n"
        "  pods         none\n"
        "  waits        Launched is not true yet\n"
        "  cannot be taken away: nodeclaim does not have an associated node\n"
    )


def test_a_pool_has_its_nodes_its_limits_and_what_its_budgets_leave(explain: Explain) -> None:
    code, out, _ = explain("nodepool/main")
    assert code == 0
    assert out == (
        "nodepool/main is ready for pods.\n"
        "  nodes        2 nodes, $2.500/h\n"
        "  weight       3: the 1st of 2 NodePools to be tried\n"
        "  limits       cpu 12 of 16\n"
        "  how many of its nodes may be taken away now?\n"
        "    emptiness     1 of 1\n"
        "    drift         1 of 1\n"
        "    consolidation 1 of 1\n"
    )


def test_a_pool_that_cannot_be_used_says_why(explain: Explain) -> None:
    condition = {"type": "Ready", "status": "False", "reason": "NodeClassNotFound", "message": "no such class", "lastTransitionTime": "2026-06-03T11:00:00Z"}  # fmt: skip
    explain.holds([pool() | {"status": {"conditions": [condition]}}])
    assert explain("nodepool/main")[1].startswith("nodepool/main cannot be used: it is not ready: no such class.\n")


@pytest.mark.parametrize(
    ("what", "says"),
    [
        ("pod/plain", "there is no such Pod: default/plain (did you mean ml/plain?)"),
        ("pod/stay", "there is no such Pod: default/stay (did you mean default/stays?)"),
        ("nodeclaim/c-m", "there is no such NodeClaim: c-m (did you mean c-n?)"),
        ("node/zzz", "there is no such Node: zzz (there are 1)"),
    ],
)
def test_what_is_not_there_is_wrong_input_with_a_hint(explain: Explain, what: str, says: str) -> None:
    assert explain(what) == (2, "", f"error: {says}\n")


@pytest.mark.parametrize(
    ("what", "says"),
    [
        ("stays", "what is to be explained: 'stays' (such as pod/train-0 or node/NAME)"),
        ("pod/", "what is to be explained: 'pod/' (such as pod/train-0 or node/NAME)"),
        ("job/x", "no such kind: job (known: pod, node, nodeclaim, nodepool)"),
    ],
)
def test_what_cannot_be_explained_is_a_usage_error(explain: Explain, what: str, says: str) -> None:
    code, out, err = explain(what)
    assert (code, out, err.splitlines()[-1]) == (2, "", f"Error: {says}")


def test_a_cluster_is_read_where_no_file_is_named(explain: Explain, tmp_path: Path) -> None:
    with ListingServer(tmp_path, OBJECTS, namespace="ml") as server:
        code, out, err = explain("pod/plain", "--kubeconfig", server.kubeconfig, files=False)
    assert (code, err) == (0, "")
    assert out.startswith("pod/ml/plain runs on node/n.\n")
