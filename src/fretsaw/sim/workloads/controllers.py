"""The workload controllers of a virtual cluster, all of them."""

from __future__ import annotations

from fretsaw.sim.workloads.cronjob import CronJobs
from fretsaw.sim.workloads.daemonset import DaemonSets
from fretsaw.sim.workloads.deployment import Deployments
from fretsaw.sim.workloads.job import Jobs
from fretsaw.sim.workloads.making import Workshop
from fretsaw.sim.workloads.replicaset import ReplicaSets
from fretsaw.sim.workloads.statefulset import StatefulSets
from fretsaw.sim.world import World


def start(world: World) -> Workshop:
    """Start all workload controllers: they watch the store from now on, and look at what is there already."""
    workshop = Workshop(world)
    for controller in (ReplicaSets, Deployments, StatefulSets, Jobs, CronJobs, DaemonSets):
        controller(workshop)
    return workshop
