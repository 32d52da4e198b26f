"""Recorded requests as a curve: how many came in each minute, or how many tokens they had.

Sources: Azure LLM inference trace (Patel et al., ISCA 2024); Mooncake (Qin et al., FAST 2025); Helios' GPU demand.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec

from fretsaw.api.times import MINUTE, SECOND, Millis
from fretsaw.sim.scenario.model import LoadTrace
from fretsaw.sim.work.traces import helios
from fretsaw.sim.work.traces.table import BadTrace, in_order, moment, rows, whole

LONGEST_GAP: Final[Millis] = 10 * MINUTE
"""A service without a request for so long was not recorded, rather than idle."""
SHORTEST: Final[Millis] = 10 * SECOND
"""A last piece of a minute that is shorter than this says nothing of the rate."""


class Curve(msgspec.Struct, frozen=True):
    """A rate for each minute, of which the last may be shorter."""

    rates: tuple[float, ...]
    length: Millis

    def at(self, when: Millis, *, repeat: bool) -> float:
        """The rate at a time after the start; beyond the end from the beginning on, or 0."""
        if when >= self.length and not repeat:
            return 0.0
        return self.rates[when % self.length // MINUTE]


def curve(trace: LoadTrace, file: Path) -> Curve:
    """The curve of a recording. Raises BadTrace, also for a gap of over ten minutes."""
    spans = list(_spans(trace, file))
    if not spans:
        raise BadTrace(file, 1, "the recording is empty")
    length = max(1, round(max(begin + span for begin, span, _ in spans) / trace.speed))
    if length > MINUTE and length % MINUTE < SHORTEST:
        length -= length % MINUTE
    amounts = [0.0] * -(-length // MINUTE)
    for begin, span, amount in spans:
        _spread(amounts, begin / trace.speed, span / trace.speed, amount / trace.speed if span else amount)
    ends = [min(length, (index + 1) * MINUTE) for index in range(len(amounts))]
    return Curve(
        tuple(
            trace.times * amount * SECOND / (end - index * MINUTE)
            for index, (amount, end) in enumerate(zip(amounts, ends, strict=True))
        ),
        length,
    )


def _spread(amounts: list[float], begin: float, span: float, amount: float) -> None:
    """Adds what came at a time, or evenly over a span, to its minutes."""
    if not span:
        index = int(begin // MINUTE)
        if index < len(amounts):
            amounts[index] += amount
        return
    index = int(begin // MINUTE)
    while index * MINUTE < begin + span and index < len(amounts):
        inside = min(begin + span, (index + 1) * MINUTE) - max(begin, index * MINUTE)
        amounts[index] += amount * inside / span
        index += 1


def _spans(trace: LoadTrace, file: Path) -> Iterator[tuple[Millis, Millis, float]]:
    """(begin, span, amount); requests have no span."""
    if trace.format == "helios":
        for now, gpus in helios.demand(file):
            yield now, MINUTE, gpus * 60.0
        return
    first: Millis | None = None
    before: Millis | None = None
    for line, now, prompt, answer in _requests(trace, file):
        in_order(file, line, before, now)
        if before is not None and now - before > LONGEST_GAP:
            raise BadTrace(file, line, "a gap in the recording", f"{(now - before) / 1000:g}s", "at most 10m")
        before = now
        first = now if first is None else first
        yield now - first, 0, _counted(trace, prompt, answer)


def _counted(trace: LoadTrace, prompt: int, answer: int) -> float:
    return {"requests": 1, "input-tokens": prompt, "output-tokens": answer, "tokens": prompt + answer}[trace.counts]


def _requests(trace: LoadTrace, file: Path) -> Iterator[tuple[int, Millis, int, int]]:
    """(line, time, tokens of the prompt, tokens of the answer)."""
    if trace.format == "azure-llm":
        names = ("TIMESTAMP", "ContextTokens", "GeneratedTokens")
    else:
        names = ("timestamp_ms", "input_length", "output_length")
    for line, (time, prompt, answer) in rows(file, names):
        when = moment(file, line, names[0], time) if trace.format == "azure-llm" else whole(file, line, names[0], time)
        yield line, when, whole(file, line, names[1], prompt), whole(file, line, names[2], answer)
