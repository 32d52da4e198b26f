"""What a scenario says of EC2 and of nodes, in the words of the parts that play them."""

from __future__ import annotations

from pathlib import Path

from msgspec.structs import replace

from fretsaw.api.times import HOUR, Millis
from fretsaw.sim.cloud import (
    Bursts,
    CloudSettings,
    Hazard,
    PriceStep,
    Quota,
    Rebalance,
    Replay,
    ReservationTerms,
    Selector,
    SpotPath,
    StockRule,
    Throttle,
)
from fretsaw.sim.cloud.advisor import shipped_bands
from fretsaw.sim.cloud.shapes import read_shape
from fretsaw.sim.durations import Durations, Rates
from fretsaw.sim.gpu_stack import NodeImage
from fretsaw.sim.kubelet import NodeFault, NodeSettings
from fretsaw.sim.scenario import cloud as said
from fretsaw.sim.scenario.model import Scenario
from fretsaw.sim.spread import Spread

SPOT = ("spot",)
_IMAGES: dict[str, NodeImage] = {"al2023": "al2023-operator", "bottlerocket": "bottlerocket"}


def cloud_settings(scenario: Scenario, folder: Path, start: Millis) -> CloudSettings:
    """EC2 as the scenario wants it. folder: where the scenario's paths begin. Raises UserError for a bad trace."""
    cloud, spot = scenario.cloud, scenario.cloud.spot
    walks = spot.prices.path == "walk"
    return CloudSettings(
        stock=tuple(_stock(entry) for entry in cloud.stock),
        quotas=tuple(Quota(classes=q.classes, capacity_type=q.capacity_type, vcpus=q.vcpus) for q in cloud.quotas),
        hazards=_hazards(spot.reclaims),
        bands=shipped_bands(scenario.cluster.region) if spot.reclaims.by == "advisor" else {},
        bursts=tuple(
            Bursts(where=where(b, SPOT), every=b.every, share=b.share, out=b.out) for b in spot.reclaims.bursts
        ),
        replays=_replays(spot.reclaims, folder),
        out_after_reclaim=spot.reclaims.out,
        rebalance=Rebalance(chance=spot.rebalance.share, lead=spot.rebalance.before),
        spot_path=SpotPath(
            volatility=spot.prices.volatility, reversion=spot.prices.reversion, refresh=spot.prices.refresh
        )
        if walks
        else None,
        price_steps=tuple(
            PriceStep(at=start + step.at, where=where(step), times=step.times, usd_per_hour=step.price)
            for step in spot.prices.steps
        ),
        price_refresh=spot.prices.refresh,
        free_first_hour=spot.free_first_hour,
        reservations=tuple(
            ReservationTerms(
                id=r.id,
                usd_per_hour=r.price,
                count=r.count,
                start=start + r.starts if r.starts else None,
                end=None if r.ends is None else start + r.ends,
            )
            for r in cloud.reservations
        ),
        throttle=None
        if cloud.throttle is None
        else Throttle(burst=cloud.throttle.burst, per_second=cloud.throttle.rate),
        unavailable=cloud.unavailable,
        create=cloud.launching.answer,
        pending=cloud.launching.runs,
        shutting_down=cloud.launching.ends,
        interruption_queue=cloud.interruptions.queue,
        queue_lag=cloud.interruptions.lag,
    )


def where(entry: said.Where, capacity_types: tuple[str, ...] = ()) -> Selector:
    """Offerings in the cloud's words. capacity_types: where the entry gives none."""
    types = ",".join(entry.types or ()) or "*"
    zones = ",".join(entry.zones or ()) or "*"
    return Selector(types, zones, ",".join(entry.capacity_types or capacity_types) or "*")


def stock_steps(scenario: Scenario) -> list[tuple[Millis, Selector, int]]:
    """(time after the start, offerings, number) of stock that changes at given times."""
    return [(step.at, where(entry), step.count) for entry in scenario.cloud.stock for step in entry.steps]


def _stock(entry: said.Stock) -> StockRule:
    rule = StockRule(where=where(entry), count=entry.count)
    if entry.on_off is None:
        return rule
    return replace(rule, available=entry.on_off.available, out=entry.on_off.out, together=entry.on_off.together)


def _hazards(reclaims: said.Reclaims) -> tuple[Hazard, ...]:
    everywhere = () if reclaims.rate is None else (Hazard(Selector(capacity_type="spot"), reclaims.rate),)
    return (*everywhere, *(Hazard(where(entry, SPOT), entry.rate) for entry in reclaims.rates))


def _replays(reclaims: said.Reclaims, folder: Path) -> tuple[Replay, ...]:
    return (read_shape(folder / reclaims.trace, mean_gap=reclaims.mean_gap),) if reclaims.trace else ()


def node_settings(scenario: Scenario) -> NodeSettings:
    """Nodes as the scenario wants them."""
    nodes = scenario.nodes
    durations = Durations()
    for name, given in (("boot", _boot(nodes)), ("ready", nodes.ready)):
        if given is not None:
            durations = replace(durations, **{name: given})
    if nodes.boot is not None or nodes.join is not None:
        durations = replace(durations, boot_bottlerocket=durations.boot, boot_large=durations.boot)
    rate = nodes.pull.rate
    rates = Rates() if rate is None else replace(Rates(), plain=rate, soci=rate, soci_bottlerocket=rate)
    return NodeSettings(
        durations=durations,
        rates=rates,
        soci=nodes.pull.way == "soci",
        image=_IMAGES[nodes.image],
        registers=nodes.gpu,
        startup_taints={taint.key: taint.after for taint in nodes.startup_taints},
        preloaded=nodes.pull.preloaded,
        faults=tuple(_failures(nodes.fails)),
    )


def _boot(nodes: said.Nodes) -> Spread | None:
    """From running to the node object: the scenario tells both halves."""
    if nodes.boot is None and nodes.join is None:
        return None
    boot, join = nodes.boot or Spread.fixed(0), nodes.join or Spread.fixed(0)
    return Spread(boot.low + join.low, boot.typical + join.typical, boot.high + join.high)


def _failures(fails: said.NodeFailures) -> list[NodeFault]:
    found = [
        NodeFault(kind="xid", chance=bool(fails.xid), after=Spread(0, 0, 0, round(HOUR / (fails.xid or 1)))),
        NodeFault(kind="never-registers", chance=fails.never_registers),
        NodeFault(kind="gpu-never-registers", chance=fails.gpu_never_registers),
        NodeFault(kind="gpu-missing", chance=fails.gpu_missing),
    ]
    return [fault for fault in found if fault.chance]
