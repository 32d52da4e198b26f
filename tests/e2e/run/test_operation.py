"""The process itself: probes, metrics, leading, ending, watching only, recording."""

from __future__ import annotations

import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

from support.live import Live, eventually_never, free_port

LEASE = "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/karpenter-leader-election"


def page(port: int, path: str) -> tuple[int, str]:
    """(status, text); status 0 where nobody listens yet."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()
    except OSError:
        return 0, ""


def stop_all(stage: Live) -> None:
    """No operator runs."""
    for program in stage.operators:
        if program.running:
            program.stop()
    stage.operators.clear()


def test_probes_say_that_it_is_well_and_metrics_what_it_does(stage: Live, namespace: str, pool: str) -> None:
    stop_all(stage)
    probes, metrics = free_port(), free_port()
    stage.operator(f"--health-probe-port={probes}", f"--metrics-port={metrics}")
    stage.until(lambda: page(probes, "/readyz")[0] == 200, "it is ready")
    assert page(probes, "/healthz") == (200, "[+]healthz ok\n")
    assert page(probes, "/readyz")[1].splitlines() == ["[+]manager ok", "[+]crd ok", "[+]readyz ok"]
    stage.pool(pool, types=["m5.large"])
    stage.pod("one", namespace=namespace, pool=pool)
    stage.until_running(namespace, 1)
    text = page(metrics, "/metrics")[1]
    created = (
        f'karpenter_nodeclaims_created_total{{reason="provisioned",nodepool="{pool}",min_values_relaxed="false"}} 1'
    )
    assert any(line.startswith(created) for line in text.splitlines()), [
        line for line in text.splitlines() if "created_total" in line
    ]
    assert "karpenter_cluster_state_synced 1" in text
    assert 'karpenter_cloudprovider_duration_seconds_count{controller="nodeclaim.lifecycle",method="Create"' in text
    assert "client_go_request_total{" in text


def test_another_replica_takes_over_when_the_leader_is_killed(stage: Live, namespace: str, pool: str) -> None:
    stop_all(stage)
    first = stage.operator()
    stage.until(lambda: _holder(stage), "somebody leads")
    led = _holder(stage)
    stage.operator()
    stage.pool(pool, types=["m5.large"])
    first.kill()
    stage.operators.remove(first)
    stage.pod("one", namespace=namespace, pool=pool)
    stage.until_running(namespace, 1, timeout_s=60)
    assert _holder(stage) not in ("", led)


def test_a_leader_that_ends_hands_over_at_once(stage: Live, namespace: str, pool: str) -> None:
    stop_all(stage)
    first = stage.operator()
    stage.until(lambda: _holder(stage), "somebody leads")
    led = _holder(stage)
    stage.operator()
    stage.pool(pool, types=["m5.large"])
    stage.operators.remove(first)
    assert first.stop() == 0
    stage.until(lambda: _holder(stage) not in ("", led), "the other leads", 8)


def test_watching_only_decides_and_acts_on_nothing(stage: Live, namespace: str, pool: str, tmp_path: Path) -> None:
    stop_all(stage)
    record = tmp_path / "shadow.jsonl"
    shadow = stage.operator("--observe-only", f"--record={record}")
    stage.pool(pool, types=["m5.large"])
    stage.pod("one", namespace=namespace, pool=pool)
    stage.until(lambda: "computed new nodeclaim(s)" in shadow.log.read_text(), "it says what it would do")
    eventually_never(lambda: stage.claims(pool) or stage.condition(_pool(stage, pool), "Ready"), 3, "it has acted")
    stop_all(stage)
    assert '"CreateClaim"' in record.read_text()
    stage.operator()
    stage.until_running(namespace, 1)


def test_a_recorded_run_decides_the_same_when_it_is_replayed(
    stage: Live, namespace: str, pool: str, tmp_path: Path
) -> None:
    stop_all(stage)
    record = tmp_path / "run.jsonl.gz"
    stage.operator(f"--record={record}")
    stage.pool(pool, types=["m5.large", "m5.xlarge"], consolidate="1s")
    stage.deployment("web", replicas=4, namespace=namespace, pool=pool)
    stage.until_running(namespace, 4)
    stage.scale("web", namespace, 1)
    stage.until(lambda: stage.events("DisruptionTerminating"), "a node is taken away", 90)
    stage.scale("web", namespace, 0)
    stage.until_no_claims(pool)
    stop_all(stage)
    done = subprocess.run(
        [sys.executable, "-m", "fretsaw", "replay", str(record)], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Decided as recorded" in done.stdout


def test_settings_are_printed_with_their_origin() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "fretsaw", "run", "--print-settings", "--batch-idle-duration=2s"],
        capture_output=True,
        text=True,
        env={"PATH": "/usr/bin", "BATCH_MAX_DURATION": "20s"},
        timeout=60,
    )
    lines = [line.split() for line in done.stdout.splitlines()]
    assert ["--batch-idle-duration", "2s", "flag"] in lines
    assert ["--batch-max-duration", "20s", "environment"] in lines
    assert ["--log-level", "info", "default"] in lines


def test_a_wrong_setting_is_named_with_what_would_be_right() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "fretsaw", "run", "--print-settings"],
        capture_output=True,
        text=True,
        env={"PATH": "/usr/bin", "BATCH_IDLE_DURATION": "soon"},
        timeout=60,
    )
    assert done.returncode == 2
    assert "BATCH_IDLE_DURATION: cannot be read: 'soon' (a duration, such as 10s, 500ms or 1m30s)" in done.stderr


def _holder(stage: Live) -> str:
    try:
        lease = stage.api("GET", LEASE)
    except Exception:
        return ""
    found: str = lease["spec"].get("holderIdentity") or ""
    return found


def _pool(stage: Live, name: str) -> dict[str, object]:
    found: dict[str, object] = stage.api("GET", f"/apis/karpenter.sh/v1/nodepools/{name}")
    return found
