"""The laws of every run, over random scenarios: see `support.random_scenarios`, which a failure names by its number.

FRETSAW_SCENARIOS=N in the environment runs so many of them instead of 300.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from fretsaw.api.nodeclaim import NodeClaim
from fretsaw.api.nodepool import Budget
from fretsaw.api.pod import Pod
from fretsaw.api.times import HOUR, MINUTE, SECOND, Millis
from fretsaw.engine import events as e
from fretsaw.engine.state import ClusterState
from fretsaw.engine.turn import Engine, Turn
from support.random_scenarios import CATALOG, Tree, numbered, shrunk, simulation

NUMBER = int(os.environ.get("FRETSAW_SCENARIOS", "300"))
LOT = 50
"""Scenarios of one test."""
STEP: Millis = 7 * MINUTE
"""How often a run is looked at from the outside."""
NANO = 1_000_000_000


class Run:
    """A run with everything that was told on the way, looked at while it goes on."""

    def __init__(self, tree: Tree) -> None:
        self.tree = tree
        self.wrong: list[str] = []
        self.told: list[tuple[Millis, e.Event | Turn]] = []
        self.gone: list[Pod] = []
        """The last of every pod that is no more."""
        self.made: set[str] = set()
        self.sim = simulation(tree)
        self.sim.autoscaler.listen(lambda at, what: self.told.append((at, what)))
        self.sim.world.store.watch("Pod", self._pod)
        for pod in self.sim.world.store.all("Pod").values():
            self._pod(None, pod)

    def _pod(self, old: Pod | None, new: Pod | None) -> None:
        if new is not None:
            self.made.add(new.metadata.uid)
        elif old is not None:
            self.gone.append(old)

    def go(self) -> dict[str, Any]:
        """Run to the end; the result."""
        sim = self.sim
        while sim.world.loop.now < sim.end:
            sim.advance(sim.world.loop.now + STEP)
            self._look()
        result = sim.result()
        self.wrong += result["violations"]
        return result

    def _say(self, text: str) -> None:
        self.wrong.append(f"after {(self.sim.world.loop.now - self.sim.start) / SECOND:.0f}s: {text}")

    # While it goes on

    def _look(self) -> None:
        """Pods are pending, running or done, and none gets lost; nothing is below zero."""
        store, ledger = self.sim.world.store, self.sim.ledger
        pods = list(store.all("Pod").values())
        for pod in pods:
            if pod.status.phase not in ("", "Pending", "Running", "Succeeded", "Failed"):
                self._say(f"pod {pod.key} is {pod.status.phase}")
            if pod.status.phase == "Running" and not pod.spec.node_name:
                self._say(f"pod {pod.key} runs nowhere")
        if len(self.made) != len(pods) + len(self.gone):
            self._say(f"{len(self.made)} pods were made, {len(pods)} are there, {len(self.gone)} are gone")
        results = Counter(life.result for life in ledger.pods.values())
        there = {pod.metadata.uid for pod in pods}
        open_lives = {uid for uid, life in ledger.pods.items() if life.ended is None}
        if sum(results.values()) != len(self.made) or not open_lives <= there:
            self._say(f"lives of pods do not add up: {dict(results)} of {len(self.made)}")
        for node in store.all("Node").values():
            for resource, amount in (*node.status.capacity.items(), *node.status.allocatable.items()):
                if str(amount).startswith("-"):
                    self._say(f"node {node.metadata.name} has {amount} {resource}")


# Laws of the result


def money(run: Run, result: dict[str, Any]) -> Iterator[str]:
    """The bill again, from the journal alone; and its parts add up to it."""
    prices = run.tree["cloud"].get("spot", {}).get("prices", {})
    if prices.get("path") != "walk":
        spent = sum(_charges(run, prices.get("steps", []))) + sum(_reserved(run))
        if spent != round(result["cost"]["total"] * NANO):
            yield f"the journal's bill is {spent / NANO} USD, the result's {result['cost']['total']}"
    cost = result["cost"]
    used = round(cost["total"] * NANO) - sum(_reserved(run))
    for name, whole, parts in (
        ("ways of buying", round(cost["total"] * NANO), [cost[way] for way in ("spot", "onDemand", "reserved")]),
        ("pools", used, [pool["total"] for pool in cost["byPool"].values()]),
        ("workloads and idle", used, [*(row["total"] for row in cost["byWorkload"]), cost["idle"]]),
        ("nodes", used, [node["cost"] for node in result["nodes"]["list"]]),
    ):
        if sum(round(part * NANO) for part in parts) != whole:
            yield f"the {name} cost {sum(parts)} of {whole / NANO}"


def course(run: Run, result: dict[str, Any]) -> Iterator[str]:
    """The series: at its steps what the lives say, over time what the bill says."""
    series, ledger = result["series"], run.sim.ledger
    if abs(sum(series["costPerHour"]) * series["step"] / 3600 - result["cost"]["total"]) > 0.001:
        yield f"the costs of all steps are not {result['cost']['total']}"
    pods = [life for life in ledger.pods.values() if not life.daemon]
    for i in (0, len(series["t"]) // 3, len(series["t"]) // 2, len(series["t"]) - 1):
        at = run.sim.start + series["t"][i] * SECOND
        there = [
            n for n in ledger.nodes.values() if n.running is not None and n.running <= at and (n.ended or at + 1) > at
        ]
        held = [p for p in ledger.pods.values() if p.bound is not None and p.bound <= at and (p.ended or at + 1) > at]
        seen = {
            "byPool": sum(line[i] for line in series["nodes"]["byPool"].values()),
            "byType": sum(line[i] for line in series["nodes"]["byType"].values()),
            "byCapacityType": sum(line[i] for line in series["nodes"]["byCapacityType"].values()),
            "bought": series["gpus"]["bought"][i],
            "requested": series["gpus"]["requested"][i],
            "pending": series["pendingPods"][i],
        }
        right = dict.fromkeys(("byPool", "byType", "byCapacityType"), len(there)) | {
            "bought": sum(n.gpus for n in there),
            "requested": sum(p.gpus for p in held),
            "pending": sum(p.created <= at and (p.running or p.ended or at + 1) > at for p in pods),
        }
        if seen != right:
            yield f"after {series['t'][i]}s the series is {seen}, the lives say {right}"
        if series["gpus"]["used"][i] > series["gpus"]["requested"][i] + 0.001:
            yield f"after {series['t'][i]}s {series['gpus']['used'][i]} GPUs are used of {series['gpus']['requested'][i]}"


PRICES = {
    (one.name, offering.zone, offering.capacity_type): round(offering.price * NANO)
    for one in CATALOG.instance_types
    for offering in one.offerings
}


def _charges(run: Run, steps: list[Tree]) -> Iterator[int]:
    """What each instance of the journal costs, in nano-USD: its seconds at the catalog's price, and from a step on at the step's."""
    facts, end = run.sim.world.journal.facts, run.sim.end
    began = {f.about: f for f in facts if f.what == "instance-running"}
    ended = {f.about: f for f in facts if f.what == "instance-ended"}
    rebought = {f.about: f for f in facts if f.what == "instance-rebought"}
    waived = run.tree["cloud"].get("spot", {}).get("freeFirstHour", False)
    for about, fact in began.items():
        last, changed = ended.get(about), rebought.get(about)
        until = end if last is None else last.at
        if waived and last is not None and last.data["why"] == "spot-reclaim" and until - fact.at < HOUR:
            continue
        until = fact.at + max(-(-(until - fact.at) // SECOND), 60) * SECOND
        parts = [(fact.at, until, fact.data["capacity_type"])]
        if changed is not None:
            parts = [(fact.at, changed.at, "reserved"), (max(changed.at, fact.at), until, "on-demand")]
        cost = 0
        for since, to, way in parts:
            base = PRICES.get((fact.data["type"], fact.data["zone"], way), 0)
            cost += base * max(to - since, 0)
            for step in steps if way == "spot" else ():
                cost += max(to - max(since, run.sim.start + 30 * MINUTE), 0) * (round(base * step["times"]) - base)
        yield cost // HOUR


def _reserved(run: Run) -> Iterator[int]:
    """What each reservation costs, used or not."""
    for entry in run.tree["cloud"].get("reservations", ()):
        price = PRICES[entry["type"], entry["zone"], "on-demand"]
        if "price" in entry:
            price = round(entry["price"] * NANO)
        begin, end = (
            int(str(entry.get(key, least)).removesuffix("m")) * MINUTE for key, least in (("starts", 0), ("ends", 600))
        )
        yield price * entry["count"] * max(min(end, run.sim.end - run.sim.start) - begin, 0) // HOUR


def counts(run: Run, result: dict[str, Any]) -> Iterator[str]:
    """Pods that were made are pending, running, done or taken away; the workloads' figures are the whole's."""
    pods = result["pods"]
    for name in ("created", "succeeded", "failed", "pendingAtEnd"):
        if sum(row[name] for row in pods["byWorkload"]) != pods[name]:
            yield f"{name} of all workloads is not {pods[name]}"
    lives = [life for life in run.sim.ledger.pods.values() if not life.daemon]
    deleted = sum(life.result in ("Deleted", "Killed") for life in lives)
    running = sum(life.ended is None and life.running is not None for life in lives)
    failed = sum(life.result == "Failed" for life in lives)
    if pods["created"] != pods["succeeded"] + failed + deleted + running + pods["pendingAtEnd"]:
        yield f"{pods} with {deleted} deleted and {running} running do not add up"
    hours = result["gpuHours"]
    if not hours["used"] <= hours["requested"] + 0.01 or not hours["requested"] <= hours["bought"] + 0.01:
        yield f"GPU hours are {hours}"
    alive = sum(node["running"] is not None and node["ended"] is None for node in result["nodes"]["list"])
    if alive != result["nodes"]["launched"] - result["nodes"]["terminated"]:
        yield f"{alive} nodes run of {result['nodes']['launched']} less {result['nodes']['terminated']}"


LAWS = (money, course, counts)


# The end of all work


def wound_down(run: Run) -> Iterator[str]:
    """When all work is taken away and every pool may be consolidated, nothing is left: no pod, no node, no instance.

    Machines that never became ready stay, since nothing takes those away, or have just been taken back.
    """
    world = run.sim.world
    for kind in (
        "CapacityBuffer",
        "HorizontalPodAutoscaler",
        "CronJob",
        "Deployment",
        "StatefulSet",
        "Job",
        "PodDisruptionBudget",
    ):
        for key in list(world.store.all(kind)):
            world.store.delete(kind, key)
    for key, pod in list(world.store.all("Pod").items()):
        if pod.metadata.controller is None:
            world.store.delete("Pod", key)
    for pool in list(world.store.all("NodePool").values()):
        free = replace(pool.spec.disruption, consolidate_after="0s", budgets=(Budget("100%"),))
        spec = replace(pool.spec, disruption=free, replicas=None if pool.spec.replicas is None else 0)
        world.store.put(replace(pool, spec=spec))
    world.loop.run(world.loop.now + 90 * MINUTE)
    deleted = {life.claim: life.deleted for life in run.sim.ledger.nodes.values()}
    young = {
        name
        for name, claim in world.store.all("NodeClaim").items()
        if (not _is_ready(claim) if deleted[name] is None else world.loop.now - deleted[name] < 10 * MINUTE)
    }
    for claim in world.store.all("NodeClaim").values():
        if claim.metadata.name not in young:
            yield f"claim {claim.metadata.name} is left, {[(c.type, c.status) for c in claim.status.conditions]}"
    for instance in run.sim.cloud.machines.alive():
        if instance.claim.metadata.name not in young:
            yield f"instance {instance.provider_id} is left"
    for node in world.store.all("Node").values():
        if not any(owner.name in young for owner in node.metadata.owner_references):
            yield f"node {node.metadata.name} is left"
    for pod in world.store.all("Pod").values():
        if not any(owner.kind == "DaemonSet" for owner in pod.metadata.owner_references):
            yield f"pod {pod.key} is left"
    yield from run.sim.audit.told()


def _is_ready(claim: NodeClaim) -> bool:
    found = claim.condition("Initialized")
    return found is not None and found.status == "True"


# Replay


def replayed(run: Run) -> Iterator[str]:
    """A fresh engine that is told the same takes the same turns."""
    engine, state = Engine(run.sim.options), ClusterState()
    for at, what in run.told:
        if not isinstance(what, Turn):
            state.apply(what)
            continue
        found = engine.turn(state, at)
        if found != what:
            yield f"at {(at - run.sim.start) / SECOND}s the turn is {_short(found)}, it was {_short(what)}"
            return
        state.settle()
        for note in what.notes:
            state.apply(note)


def _short(turn: Turn) -> str:
    parts = [str(part)[:300] for part in (*turn.actions, *turn.notes)]
    return f"{parts} until {turn.wake}"


# The tests


def digest(result: dict[str, Any]) -> str:
    """The result's bytes, told shortly."""
    return hashlib.sha256(json.dumps(result).encode()).hexdigest()


def wrongs(tree: Tree) -> tuple[list[str], str]:
    """(everything that is wrong with a scenario's run, the result's digest)."""
    run = Run(tree)
    result = run.go()
    found = [*run.wrong, *(text for law in LAWS for text in law(run, result)), *replayed(run)]
    return found or [f"at the end: {text}" for text in wound_down(run)], digest(result)


@contextmanager
def elsewhere(first: int, last: int) -> Iterator[subprocess.Popen[str]]:
    """Another process that runs the same scenarios, with another order of sets; it prints their digests."""
    code = "from property.test_random_scenarios import Run, digest, numbered\n"
    code += f"for number in range({first}, {last}): print(number, digest(Run(numbered(number)).go()), flush=True)"
    paths = (str(Path(__file__).parents[1]), *sys.path)
    environment = {**os.environ, "PYTHONHASHSEED": "5", "PYTHONPATH": os.pathsep.join(filter(None, paths))}
    with subprocess.Popen([sys.executable, "-c", code], env=environment, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


@pytest.mark.parametrize("first", range(0, NUMBER, LOT))
def test_random_scenarios_keep_all_laws_and_give_the_same_bytes_in_another_process(first: int) -> None:
    last, digests = min(first + LOT, NUMBER), {}
    with elsewhere(first, last) as process:
        for number in range(first, last):
            tree = numbered(number)
            found, digests[str(number)] = wrongs(tree)
            if found:
                small = shrunk(tree, lambda less: bool(wrongs(less)[0]))
                pytest.fail(f"scenario {number}: {found[:5]}\nsmall: {json.dumps(small)}\n{wrongs(small)[0][:5]}")
        assert process.stdout is not None
        assert dict(line.split() for line in process.stdout) == digests
