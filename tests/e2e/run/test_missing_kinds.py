"""A kind is removed from the server while the operator runs, and put back: nothing is done that cannot be undone.

A definition that is lost, as by a restore or by somebody who forces its removal, leaves its objects in etcd: they are
there again, with their uids, once it is. Deleted in order it takes its objects along, and that is their deletion.
"""

from __future__ import annotations

import base64
import json
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from support.controlplane_crds import install
from support.live import POOLS, Live, eventually_never, free_port
from support.live_laws import ended, no_second_instance, none_ended, nothing_leaked

DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
NOBODYS_AFTER_S = 60
"""An instance that no claim names is left alone so long; see `controllers.cloud`."""


@pytest.fixture
def probes(stage: Live, pool: str) -> Iterator[int]:
    """Port of the probes of the operator that runs in `stage`, alone."""
    stage.stop_operators()
    port = free_port()
    stage.operator(f"--health-probe-port={port}")
    yield port
    stage.stop_operators()
    stage.operator()


@contextmanager
def lost(live: Live, name: str) -> Iterator[None]:
    """The server does not know the kind inside the block; its objects stay where they are."""
    key = base64.b64encode(f"/registry/apiextensions.k8s.io/customresourcedefinitions/{name}".encode()).decode()
    (kept,) = _etcd(live, "range", key=key)["kvs"]
    _etcd(live, "deleterange", key=key)
    live.until(lambda: not _there(live, name), f"{name} is gone")
    try:
        yield
    finally:
        _etcd(live, "put", key=key, value=kept["value"])
        live.until(lambda: _there(live, name), f"{name} is there again")


@contextmanager
def deleted(live: Live, name: str) -> Iterator[None]:
    """The kind is deleted with its objects, and made again without them."""
    path = f"{DEFINITIONS}/{name}"
    definition = live.api("GET", path)
    live.api("DELETE", path)
    live.until(lambda: not _there(live, name), f"{name} is gone")
    try:
        yield
    finally:
        metadata = {key: definition["metadata"].get(key, {}) for key in ("name", "annotations", "labels")}
        again = {key: definition[key] for key in ("apiVersion", "kind", "spec")} | {"metadata": metadata}
        install(live.api, [again])


def _etcd(live: Live, what: str, **body: str) -> dict[str, Any]:
    """What etcd answers to a call of its JSON gateway; keys and values are base64."""
    request = urllib.request.Request(f"{live.plane.url('etcd')}/v3/kv/{what}", json.dumps(body).encode())
    with urllib.request.urlopen(request, timeout=30) as answer:
        found: dict[str, Any] = json.loads(answer.read())
    return found


@pytest.mark.parametrize("kind", ["nodepools", "nodeclaims"])
def test_a_kind_that_is_gone_is_said_and_nothing_is_done_until_it_is_back(
    stage: Live, namespace: str, pool: str, probes: int, kind: str
) -> None:
    stage.pool(pool, types=["m5.large"], consolidate="30s")
    stage.deployment("web", replicas=2, namespace=namespace, pool=pool, cpu="1500m")
    stage.until_running(namespace, 2)
    before = len(stage.cloud.log())
    claims = {claim["metadata"]["uid"] for claim in stage.claims(pool)}
    nodes = {node["metadata"]["uid"] for node in stage.nodes(pool)}
    singular = {"nodepools": "NodePool", "nodeclaims": "NodeClaim"}[kind]
    with lost(stage, f"{kind}.karpenter.sh"):
        stage.until(lambda: f"no such kind: {singular}" in _readyz(probes), "the probe says so", 30)
        stage.until(lambda: f"no such kind: {singular}" in stage.operators[-1].log.read_text(), "the log says so")
        stage.scale("web", namespace, 3)
        eventually_never(lambda: stage.cloud.log(before), 12, "something was asked of the cloud")
        assert {node["metadata"]["uid"] for node in stage.nodes(pool)} == nodes
    stage.until(lambda: _readyz(probes).count("[+]") == 3, "it is ready again", 60)
    stage.until_running(namespace, 3, timeout_s=60)
    assert claims < {claim["metadata"]["uid"] for claim in stage.claims(pool)}
    assert not ended(stage, before)
    no_second_instance(stage, before)
    nothing_leaked(stage, [pool])


def test_instances_are_not_taken_for_nobodys_while_their_claims_cannot_be_seen(
    stage: Live, namespace: str, pool: str, probes: int
) -> None:
    stage.pool(pool, types=["m5.large"])
    stage.deployment("web", replicas=2, namespace=namespace, pool=pool, cpu="1500m")
    stage.until_running(namespace, 2)
    before = len(stage.cloud.log())
    ids = [claim["status"]["providerID"] for claim in stage.claims(pool)]
    stage.until(lambda: _youngest_s(stage) > NOBODYS_AFTER_S + 2, "they are old enough to be nobody's", 90)
    with lost(stage, "nodeclaims.karpenter.sh"):
        stage.until(lambda: "no such kind: NodeClaim" in _readyz(probes), "the probe says so", 30)
        # An announced end has all instances listed.
        stage.cloud.interrupt(ids[0], "instance_terminated", 0)
        eventually_never(lambda: ids[1] in ended(stage, before), 5, "an instance with a claim was ended")
    stage.until(lambda: _readyz(probes).count("[+]") == 3, "it is ready again", 60)
    stage.until(lambda: len(stage.running(namespace)) == 2 and len(stage.claims(pool)) == 2, "one was replaced", 150)
    none_ended(stage, ids[1:], before)
    nothing_leaked(stage, [pool])


def test_claims_outlive_the_pools_that_went_with_their_kind(
    stage: Live, namespace: str, pool: str, probes: int
) -> None:
    """Without owners the garbage collector of Kubernetes has nothing to say, and we end nothing by ourselves."""
    stage.pool(pool, types=["m5.large"], consolidate="30s")
    stage.deployment("web", replicas=2, namespace=namespace, pool=pool, cpu="1500m")
    stage.until_running(namespace, 2)
    before = len(stage.cloud.log())
    for claim in stage.claims(pool):
        path = f"/apis/karpenter.sh/v1/nodeclaims/{claim['metadata']['name']}"
        stage.api("PATCH", path, {"metadata": {"ownerReferences": []}})
    claims = {claim["metadata"]["uid"] for claim in stage.claims(pool)}
    with deleted(stage, "nodepools.karpenter.sh"):
        stage.until(lambda: "no such kind: NodePool" in _readyz(probes), "the probe says so", 30)
        eventually_never(lambda: stage.cloud.log(before), 12, "something was asked of the cloud")
    assert not stage.api.items(POOLS)
    stage.until(lambda: _readyz(probes).count("[+]") == 3, "it is ready again", 60)
    stage.pool(pool, types=["m5.large"], consolidate="30s")
    stage.scale("web", namespace, 3)
    stage.until_running(namespace, 3, timeout_s=60)
    assert claims < {claim["metadata"]["uid"] for claim in stage.claims(pool)}
    assert not ended(stage, before)
    for claim in stage.claims(pool):  # nobody else will: they have no owner
        stage.api("DELETE", f"/apis/karpenter.sh/v1/nodeclaims/{claim['metadata']['name']}")


def _youngest_s(live: Live) -> float:
    return time.time() - max(one["launched"] for one in live.cloud.instances()) / 1000


def _there(live: Live, name: str) -> bool:
    found: list[dict[str, Any]] = live.api.items(DEFINITIONS)
    return any(one["metadata"]["name"] == name for one in found)


def _readyz(port: int) -> str:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=10) as answer:
            text: str = answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            text = error.read().decode()
    except OSError:
        text = ""
    return text
