"""The virtual kube-controller-manager's workload controllers: what makes pods out of workloads, as time goes on."""

from __future__ import annotations

from fretsaw.sim.workloads.controllers import start
from fretsaw.sim.workloads.making import Workshop

__all__ = ["Workshop", "start"]
