"""How fast an autoscaler may follow its metrics: windows in which it waits for agreement, and rates.

Pure but for `History`, which remembers what was recommended and done; time comes in as an argument.
Source: Kubernetes v1.36 pkg/controller/podautoscaler/horizontal.go, pkg/apis/autoscaling/v2/defaults.go; kubernetes.io,
Horizontal Pod Autoscaling, "Configurable scaling behavior".
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from math import ceil
from typing import Final

import msgspec

from fretsaw.api import autoscaling as api
from fretsaw.api.resources import NANO, nanos
from fretsaw.api.times import HOUR, MINUTE, SECOND, Millis

DOWN_WINDOW: Final[Millis] = 5 * MINUTE
"""The controller's --horizontal-pod-autoscaler-downscale-stabilization."""
_LONGEST_WINDOW: Final[Millis] = HOUR
_LONGEST_PERIOD: Final[Millis] = HOUR // 2
"""What the API allows: nothing older is ever asked for."""
_FACTOR, _AT_LEAST = 2.0, 4.0
"""Without `behavior` a workload at most doubles in a sync, but may always grow to four."""


class Policy(msgspec.Struct, frozen=True):
    """A limit of the change within a period; percent of the replicas at its start, or a number of pods."""

    percent: bool
    value: int
    period: Millis


class Rules(msgspec.Struct, frozen=True):
    """One direction's rules with everything filled in."""

    window: Millis
    select: str
    policies: tuple[Policy, ...]
    tolerance: float


_UP: Final = Rules(0, "Max", (Policy(False, 4, 15 * SECOND), Policy(True, 100, 15 * SECOND)), 0.1)
_DOWN: Final = Rules(DOWN_WINDOW, "Max", (Policy(True, 100, 15 * SECOND),), 0.1)


class Ways(msgspec.Struct, frozen=True):
    """How an autoscaler behaves, and between which numbers."""

    least: int
    most: int
    up: Rules = _UP
    down: Rules = _DOWN
    plain: bool = True
    """Whether the object has no `behavior`, and the older limits hold."""


class Outcome(msgspec.Struct, frozen=True):
    """The replicas to set, and why they are not those that the metrics ask for."""

    replicas: int
    able: str
    """Reason of the condition AbleToScale."""
    limited: str
    """Reason of the condition ScalingLimited; `DesiredWithinRange` where it is False."""


def ways_of(spec: api.HorizontalPodAutoscalerSpec) -> Ways:
    """The ways that a spec asks for, defaults filled in."""
    least = 1 if spec.min_replicas is None else spec.min_replicas
    if spec.behavior is None:
        return Ways(least, spec.max_replicas)
    up, down = _filled(spec.behavior.scale_up, _UP), _filled(spec.behavior.scale_down, _DOWN)
    return Ways(least, spec.max_replicas, up, down, plain=False)


def _filled(given: api.ScalingRules | None, default: Rules) -> Rules:
    if given is None:
        return default
    window = given.stabilization_window_seconds
    return Rules(
        default.window if window is None else window * SECOND,
        given.select_policy or default.select,
        tuple(map(_policy, given.policies)) or default.policies,
        default.tolerance if given.tolerance is None else nanos(given.tolerance) / NANO,
    )


def _policy(given: api.ScalingPolicy) -> Policy:
    return Policy(given.type == "Percent", given.value, given.period_seconds * SECOND)


class History:
    """What was recommended and done of late. Recommendations that repeat are one entry with the last time."""

    def __init__(self, current: int, now: Millis) -> None:
        self._recommended: list[tuple[int, Millis]] = [(current, now)]
        """Equal ones in a row only keep their last time: a window asks whether any of them is young enough."""
        self._changes: list[tuple[Millis, int]] = []

    def recommend(self, replicas: int, now: Millis) -> None:
        """Remember what the metrics asked for, before any limit."""
        if self._recommended[-1][0] == replicas:
            self._recommended[-1] = (replicas, now)
            return
        self._recommended.append((replicas, now))
        if self._recommended[0][1] <= now - _LONGEST_WINDOW:
            self._recommended = [entry for entry in self._recommended if entry[1] > now - _LONGEST_WINDOW]

    def scaled(self, change: int, now: Millis) -> None:
        """Remember that the replicas were changed."""
        self._changes = [entry for entry in self._changes if entry[0] > now - _LONGEST_PERIOD]
        self._changes.append((now, change))

    def best(self, pick: Callable[[int, int], int], replicas: int, window: Millis, now: Millis) -> int:
        """The least (or most) of `replicas` and all that was recommended within the window."""
        for recommended, last in reversed(self._recommended):
            if last <= now - window:
                break
            replicas = pick(replicas, recommended)
        return replicas

    def at_start(self, current: int, period: Millis, now: Millis) -> int:
        """The replicas at the start of a period that ends now, as far as this autoscaler changed them."""
        for when, change in self._changes:
            if when > now - period:
                current -= change
        return current


def settle(ways: Ways, history: History, current: int, proposed: int, now: Millis) -> Outcome:
    """What becomes of the metrics' proposal. It is remembered for later windows."""
    stable = _stable_plain(history, proposed, now) if ways.plain else _stable(ways, history, current, proposed, now)
    history.recommend(proposed, now)
    able = "ReadyForNewScale"
    if stable != proposed:
        able = "ScaleUpStabilized" if proposed >= current and not ways.plain else "ScaleDownStabilized"
    replicas, limited = (
        _plain_limit(ways, current, stable) if ways.plain else _limit(ways, history, current, stable, now)
    )
    return Outcome(replicas, able, limited)


def _stable_plain(history: History, proposed: int, now: Millis) -> int:
    return history.best(max, proposed, DOWN_WINDOW, now)


def _stable(ways: Ways, history: History, current: int, proposed: int, now: Millis) -> int:
    """The current number, moved as little as all recommendations of the windows ask for."""
    floor = history.best(min, proposed, ways.up.window, now)
    ceiling = history.best(max, proposed, ways.down.window, now)
    return min(max(current, floor), ceiling)


def _plain_limit(ways: Ways, current: int, stable: int) -> tuple[int, str]:
    fastest = int(max(_FACTOR * current, _AT_LEAST))
    if stable < ways.least:
        return ways.least, "TooFewReplicas"
    if stable > min(ways.most, fastest):
        return (fastest, "ScaleUpLimit") if ways.most > fastest else (ways.most, "TooManyReplicas")
    return stable, "DesiredWithinRange"


def _limit(ways: Ways, history: History, current: int, stable: int, now: Millis) -> tuple[int, str]:
    """The rates' limits first, then those of the object."""
    if stable > current:
        fastest = max(current, fastest_up(ways.up, history, current, now))
        if stable > min(ways.most, fastest):
            return (fastest, "ScaleUpLimit") if ways.most > fastest else (ways.most, "TooManyReplicas")
    elif stable < current:
        fastest = min(current, fastest_down(ways.down, history, current, now))
        if stable < max(ways.least, fastest):
            return (fastest, "ScaleDownLimit") if ways.least < fastest else (ways.least, "TooFewReplicas")
    return stable, "DesiredWithinRange"


def fastest_up(rules: Rules, history: History, current: int, now: Millis) -> int:
    """The most replicas that the policies allow now; less than `current` after a fast rise."""
    if rules.select == "Disabled":
        return current
    found = (_raised(policy, history.at_start(current, policy.period, now)) for policy in rules.policies)
    return _selected(rules, found, biggest=max, smallest=min)


def fastest_down(rules: Rules, history: History, current: int, now: Millis) -> int:
    """The fewest replicas that the policies allow now; more than `current` after a fast fall."""
    if rules.select == "Disabled":
        return current
    found = (_lowered(policy, history.at_start(current, policy.period, now)) for policy in rules.policies)
    return _selected(rules, found, biggest=min, smallest=max)


def _raised(policy: Policy, start: int) -> int:
    # Rounded up: a small percentage of a small number would otherwise never let it grow.
    return ceil(start * (1 + policy.value / 100)) if policy.percent else start + policy.value


def _lowered(policy: Policy, start: int) -> int:
    return int(start * (1 - policy.value / 100)) if policy.percent else start - policy.value


def _selected(
    rules: Rules,
    limits: Iterable[int],
    biggest: Callable[[Iterable[int]], int],
    smallest: Callable[[Iterable[int]], int],
) -> int:
    return smallest(limits) if rules.select == "Min" else biggest(limits)
