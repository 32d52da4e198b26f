"""What random scenarios have found, each in its smallest form."""

from __future__ import annotations

import json
from itertools import pairwise

import pytest

from fretsaw import planner
from fretsaw.api.meta import ObjectMeta
from fretsaw.api.nodeclaim import NodeClaim, NodeClaimSpec, NodeClassRef
from fretsaw.api.times import MINUTE, SECOND
from fretsaw.engine import events as e
from fretsaw.engine.options import Options
from fretsaw.engine.turn import Turn
from fretsaw.errors import BrokenInvariant
from fretsaw.sim.autoscaler import Autoscaler
from fretsaw.sim.cloud import Cloud
from fretsaw.sim.cloud.bill import Bill, Line
from fretsaw.sim.cloud.spot_price import Constant
from fretsaw.sim.eviction import Evictions
from fretsaw.sim.instance import Instance
from fretsaw.sim.ledger import Ledger
from fretsaw.sim.scenario.read import parse
from fretsaw.sim.world import World
from support.kubelets import Bench, job, machine
from support.random_scenarios import numbered, simulation


def test_a_pod_that_ends_unheard_and_is_deleted_then_goes_when_its_kubelet_is_back() -> None:
    """The kubelet was cut off when the pod succeeded; meanwhile its owner deleted it."""
    bench = Bench(short=job(10))
    bench.run()
    bench.until(5)
    (name,) = bench.world.store.all("Node")
    bench.register(name)
    bench.until(60)
    key = bench.pod("one", name, does="short")
    bench.until(65)
    bench.nodes.not_ready(name, 100_000, silent=True)
    bench.until(100)
    bench.delete(key)
    bench.until(150)
    assert bench.get(key) is not None
    bench.until(200)
    assert bench.get(key) is None


def test_an_instance_whose_claim_went_before_it_said_so_is_known_to_the_ledger() -> None:
    """Else its cost would be on the bill and in no pool's, no workload's and no node's share."""
    world = World()
    ledger = Ledger(world)
    world.store.put(NodeClaim(metadata=ObjectMeta(name="a"), spec=NodeClaimSpec(NodeClassRef("g", "k", "n"), ())))
    world.store.remove("NodeClaim", "a")
    facts = {"claim": "a", "type": "m", "zone": "z", "capacity_type": "spot", "price": 1.0}
    world.journal.note("instance-running", "Instance/i-1", **facts)
    assert ledger.nodes["a"].provider_id == "i-1"


def test_the_last_step_of_the_series_has_what_is_charged_beyond_it() -> None:
    """An instance that has just begun is charged a whole minute: the steps' costs are the bill all the same."""
    claim = NodeClaim(metadata=ObjectMeta(name="a"), spec=NodeClaimSpec(NodeClassRef("g", "k", "n"), ()))
    instance = Instance("i-1", claim, machine(), "z-a", "spot", 3600 / 1e9, 0, {})
    rate, bill = Constant(3600), Bill()
    bill.lines["i-1"] = Line(instance, 15_000, rate, None)
    costs = [step.total for step in bill.series(0, 10_000, 3, 20_000)]
    assert costs == [0, 5, 55]
    assert sum(costs) == bill.total(20_000).total
    assert [step.total for step in bill.series(0, 10_000, 2, 60_000)] == [0, 5]


def test_an_engine_that_does_not_come_to_rest_is_told_and_does_not_hang() -> None:
    world = World()
    autoscaler = Autoscaler(world, Options(), Cloud(world, {}), Evictions(world))
    autoscaler._engine.turn = lambda state, now: Turn(wake=now if now > 5 * SECOND else now + SECOND)  # type: ignore[method-assign]
    world.store.put(NodeClaim(metadata=ObjectMeta(name="a"), spec=NodeClaimSpec(NodeClassRef("g", "k", "n"), ())))
    world.loop.run(5 * SECOND)
    with pytest.raises(BrokenInvariant, match=r"one turn after the other at 5\.05 s"):
        world.loop.run(10 * SECOND)


def test_a_result_stays_as_it_was_when_the_run_goes_on() -> None:
    """It is a picture of a moment: a disruption that ends later does not end in it."""
    run = simulation(numbered(0))
    run.advance(run.start + MINUTE)
    command = e.Command("c", "emptiness", "Empty", ("a",))
    run.disruptions(run.world.loop.now, Turn(notes=(e.CommandStarted(command, run.world.loop.now),)))
    before = run.result()
    told = json.dumps(before)
    run.disruptions(run.world.loop.now, Turn(notes=(e.CommandEnded("c"),)))
    assert before["disruptionList"][-1]["outcome"] == "running"
    assert json.dumps(before) == told != json.dumps(run.result())


DRY = """
scenario: dry
for: 10m
cluster:
  objects:
    - apiVersion: karpenter.sh/v1
      kind: NodePool
      metadata: {name: static}
      spec:
        replicas: 2
        template:
          spec:
            nodeClassRef: {group: karpenter.k8s.aws, kind: EC2NodeClass, name: al2023}
            requirements: [{key: karpenter.sh/capacity-type, operator: In, values: [on-demand]}]
    - apiVersion: karpenter.k8s.aws/v1
      kind: EC2NodeClass
      metadata: {name: al2023}
      spec:
        amiSelectorTerms: [{alias: al2023@latest}]
        role: node
        subnetSelectorTerms: [{tags: {a: b}}]
        securityGroupSelectorTerms: [{tags: {a: b}}]
cloud: {stock: [{count: 0}]}
"""


def test_a_static_pool_that_gets_nothing_asks_again_after_half_a_minute_not_at_once() -> None:
    reading = parse(DRY, "dry.yaml", ".")
    assert not reading.problems
    run = planner.simulation(reading)
    run.run(lambda *_: None)
    ordered = sorted({fact.at for fact in run.world.journal.facts if fact.what == "claim-created"})
    assert len(ordered) == 19
    assert min(after - before for before, after in pairwise(ordered)) >= 30 * SECOND
