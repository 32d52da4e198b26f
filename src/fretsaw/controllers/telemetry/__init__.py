"""What `fretsaw run` tells of itself: metrics, logs, and Kubernetes Events.

Three listeners hear every event that is applied and every turn that is taken; none of them decides anything. The
manager calls `heard` after it has applied an event, and for a turn before it applies its notes and performs its
actions, so that all three see the state on which the turn was decided.
"""

from __future__ import annotations

from fretsaw.controllers.telemetry.events import Recorder, event_of
from fretsaw.controllers.telemetry.log import Log
from fretsaw.controllers.telemetry.metrics import Telemetry

__all__ = ["Log", "Recorder", "Telemetry", "event_of"]
