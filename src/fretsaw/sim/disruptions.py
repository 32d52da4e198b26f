"""Which disruptions began in a run, and how each ended."""

from __future__ import annotations

from typing import Any

from fretsaw.api.times import SECOND, Millis
from fretsaw.engine import events as e
from fretsaw.engine.turn import Turn


class Disruptions:
    """A listener of the autoscaler's turns."""

    def __init__(self, start: Millis) -> None:
        self._start = start
        self.rows: list[dict[str, Any]] = []
        """The documented `disruptionList`, in the order of their beginning."""
        self._open: dict[str, dict[str, Any]] = {}

    def __call__(self, at: Millis, what: e.Event | Turn) -> None:
        """Take note of commands that start or end."""
        if not isinstance(what, Turn):
            return
        for note in what.notes:
            match note:
                case e.CommandStarted(command):
                    self._begin(at, command)
                case e.CommandEnded(command, why):
                    self._end(at, command, why)

    def _begin(self, at: Millis, command: e.Command) -> None:
        row = {
            "at": (at - self._start) / SECOND,
            "reason": command.reason,
            "method": command.method,
            "decision": command.decision,
            "nodes": list(command.candidates),
            "replacements": list(command.replacements),
            "savingsPerHour": round(command.savings_usd_per_hour, 6),
            "outcome": "running",
        }
        self.rows.append(row)
        self._open[command.id] = row

    def _end(self, at: Millis, command: str, why: str) -> None:
        row = self._open.pop(command, None)
        if row is not None:
            row["outcome"] = f"failed: {why}" if why else "done"
            row["tookSeconds"] = (at - self._start) / SECOND - row["at"]

    def nodes_by_reason(self) -> dict[str, int]:
        """How many nodes were taken away for each reason by disruptions that did not fail."""
        found = dict.fromkeys(("Empty", "Underutilized", "Drifted"), 0)
        for row in self.rows:
            if not row["outcome"].startswith("failed"):
                found[row["reason"]] += len(row["nodes"])
        return found
