"""A play of a control table: objects, steps, then objects.

A table's words are short for objects (see `short.py`); the steps go through the driver port, and through what is
outside a control plane: a metrics adapter, kubelets, machines, and who asks for evictions.
"""

from __future__ import annotations

from typing import Any, Protocol

from kubernetes.driver import Driver
from kubernetes.short import written_out
from kubernetes.stage import same


class Around(Protocol):
    """What is outside of a control plane."""

    def elapsed_s(self) -> float:
        """Seconds since the case's beginning."""

    def measured(self, values: dict[str, Any]) -> None:
        """What the metrics adapter says from now on, beside what it said."""

    def kubelet(self, node: str, *, runs: bool) -> None:
        """A node's kubelet stops or starts to report."""

    def instance_ends(self, provider_id: str) -> None:
        """The cloud has no such machine any more."""

    def evict(self, pod: str, uid: str | None, grace: int | None) -> str:
        """Ask for an eviction; empty for a grant, or `status reason: message`."""


class ControlPlay:
    """One case's cluster."""

    def __init__(self, driver: Driver, around: Around) -> None:
        self.driver = driver
        self.around = around
        self.slack_s = 0

    def begin(self, case: dict[str, Any]) -> None:
        """Go through the case; fails at the first step that is not as expected."""
        self._apply(case.get("given", []))
        self.driver.advance(1)
        for step in [*case.get("steps", []), *([{"then": case["then"]}] if "then" in case else [])]:
            for word, value in step.items():
                self.step(word, value)

    def step(self, word: str, value: Any) -> None:
        """Do or expect one thing."""
        getattr(self, f"_{word}")(value)

    def _apply(self, items: list[dict[str, Any]]) -> None:
        for item in items:
            for raw in written_out(item, self.driver):
                self.driver.apply([raw])

    def _delete(self, what: str) -> None:
        kind, key = what.split(" ")
        self.driver.delete(kind, key)

    def _force(self, what: str) -> None:
        kind, key = what.split(" ")
        self.driver.delete(kind, key, force=True)

    def _wait(self, seconds: float) -> None:
        self.driver.advance(seconds)

    def _at(self, second: float) -> None:
        """Let time pass until so many seconds after the case's beginning."""
        self.driver.advance(max(second - self.around.elapsed_s(), 0))

    def _metrics(self, values: dict[str, Any]) -> None:
        self.around.measured(values)

    def _kubelet_stops(self, node: str) -> None:
        self.around.kubelet(node, runs=False)

    def _kubelet_starts(self, node: str) -> None:
        self.around.kubelet(node, runs=True)

    def _instance_ends(self, provider_id: str) -> None:
        self.around.instance_ends(provider_id)

    def _evict(self, request: dict[str, Any]) -> None:
        answer = self.around.evict(request["pod"], request.get("uid"), request.get("grace"))
        assert answer.startswith(request["answer"]) if request["answer"] else answer == "", answer

    def _then(self, expected: dict[str, Any]) -> None:
        for what, wanted in expected.items():
            kind, key = what.split(" ")
            found = self.driver.get(kind, key)
            if wanted == "gone":
                assert found is None, f"{what} is there"
            else:
                assert found is not None, f"{what} is not there"
                problem = missing(wanted, found, what, self.slack_s)
                assert problem == "", problem

    def _count(self, expected: dict[str, int]) -> None:
        assert {kind: len(self.driver.list(kind)) for kind in expected} == expected


def missing(wanted: Any, found: Any, where: str, slack_s: int = 0) -> str:
    """The first place where `found` is not as `wanted`, empty for none. Fields that are not named may be anything.

    Null means absent; times may differ by the slack. Each map of a list has to be like one that is there, and all but conditions have to be named.
    """
    if isinstance(wanted, dict):
        found = {} if found is None else found
        if not isinstance(found, dict):
            return f"{where}: {found!r}, wanted {wanted!r}"
        for name, value in wanted.items():
            if value is None and name not in found:
                continue
            if problem := missing(value, found.get(name), f"{where}.{name}", slack_s):
                return problem
        return ""
    if isinstance(wanted, list) and wanted and isinstance(wanted[0], dict):
        items = list(found or ())
        if len(items) != len(wanted) and not where.endswith(".conditions"):
            return f"{where}: {items!r}, wanted {wanted!r}"
        for item in wanted:
            if all(missing(item, other, where, slack_s) for other in items):
                return f"{where}: none of {items!r} is like {item!r}"
        return ""
    if isinstance(wanted, list):
        found = list(found or ())
    if isinstance(wanted, int) and not isinstance(wanted, bool) and found is None:
        found = 0
    return "" if same(wanted, found, slack_s) else f"{where}: {found!r}, wanted {wanted!r}"
