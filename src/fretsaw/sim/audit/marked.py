"""Which claims running disruptions will take away, by the autoscaler's notes."""

from __future__ import annotations

from fretsaw.engine import events as e


class Marked:
    """The candidates of running commands. One that ends in a turn still counts while that turn is performed."""

    def __init__(self) -> None:
        self._running: dict[str, tuple[str, ...]] = {}
        self._ending: list[str] = []

    def __contains__(self, claim: str) -> bool:
        return any(claim in candidates for candidates in self._running.values())

    def begin(self) -> None:
        """Another turn begins: what ended in the last one is over."""
        for command in self._ending:
            self._running.pop(command, None)
        self._ending.clear()

    def start(self, command: e.Command) -> None:
        """A command runs from now on."""
        self._running[command.id] = command.candidates

    def end(self, command: str) -> None:
        """A command ends with this turn."""
        self._ending.append(command)
