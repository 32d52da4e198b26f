"""What AWS announces about instances: messages of the queue, and the instances' status."""

from __future__ import annotations

from fretsaw.providers.aws.interruption.listening import Counts, Interruptions, Pace

__all__ = ["Counts", "Interruptions", "Pace"]
