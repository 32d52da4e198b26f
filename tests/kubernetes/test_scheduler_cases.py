"""The scheduler's tables: objects, steps, and where the pods are then.

A file is `{topic, cases: [{name, source, settings?, given, steps?, then?}]}`. Steps: `apply` (objects), `delete`
(Kind/key, at once), `stop` (Kind/key, with its grace), each followed by 2 s; `advance` (seconds); `then` (what to
expect in between).
Expectations: `bound` {pod: node, or a list of nodes}, `waits` {pod: text in its PodScheduled message, null for any},
`says` {pod: the whole message}, `reason` {pod: reason of PodScheduled}, `nominated` {pod: node}, `leaving` (pods that
are being deleted), `gone` (pods), `counts` {label of the node: sorted numbers of pods}, `volumes` {claim: zone}.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import yaml

from fretsaw.sim.scheduler import Scheduler
from fretsaw.sim.world import World
from kubernetes.driver import Driver, VirtualDriver
from kubernetes.scheduler_objects import spelled_out

_HERE = Path(__file__).parent
_CASES = [
    pytest.param(case, id=f"{path.stem}::{case['name']}")
    for path in sorted(_HERE.glob("scheduler*.yaml"))
    for case in yaml.safe_load(path.read_text(encoding="utf-8"))["cases"]
]
Obj = dict[str, Any]


class Reaper:
    """A kubelet that only stops pods, when their grace is over."""

    def __init__(self, world: World) -> None:
        self._world = world
        world.store.watch("Pod", self._pod)

    def _pod(self, old: Any, new: Any) -> None:
        if new is not None and new.metadata.deletion_timestamp and not old.metadata.deletion_timestamp:
            grace = (new.metadata.deletion_grace_period_seconds or 0) * 1000
            self._world.loop.after(grace, self._world.store.remove, "Pod", new.key)


class Seen:
    """What a driver shows of pods."""

    def __init__(self, driver: Driver) -> None:
        self._driver = driver

    def pod(self, name: str) -> Obj:
        found = self._driver.get("Pod", name if "/" in name else f"default/{name}")
        assert found is not None, f"no pod {name}"
        return found

    def node(self, name: str) -> str:
        return self.pod(name).get("spec", {}).get("nodeName", "")

    def condition(self, name: str) -> Obj:
        conditions = self.pod(name).get("status", {}).get("conditions", [])
        return next((c for c in conditions if c["type"] == "PodScheduled"), {})

    def failures(self, then: Obj) -> list[str]:
        return [text for what, wanted in then.items() for text in getattr(self, f"_{what}")(wanted)]

    def _bound(self, wanted: Obj) -> list[str]:
        return [
            f"{name} is on {self.node(name) or 'no node'}, not {nodes}: {self.condition(name).get('message', '')}"
            for name, nodes in wanted.items()
            if self.node(name) not in (nodes if isinstance(nodes, list) else [nodes])
        ]

    def _waits(self, wanted: Obj) -> list[str]:
        return [
            f"{name} on {self.node(name)!r} says {said!r}, not {text!r}"
            for name, text in wanted.items()
            if self.node(name) or (text or "") not in (said := self.condition(name).get("message", ""))
        ]

    def _says(self, wanted: Obj) -> list[str]:
        said = {name: self.condition(name).get("message", "") for name in wanted}
        return [] if said == wanted else [f"{said}"]

    def _reason(self, wanted: Obj) -> list[str]:
        said = {name: self.condition(name).get("reason", "") for name in wanted}
        return [] if said == wanted else [f"{said}"]

    def _nominated(self, wanted: Obj) -> list[str]:
        said = {name: self.pod(name).get("status", {}).get("nominatedNodeName", "") for name in wanted}
        return [] if said == wanted else [f"{said}"]

    def _leaving(self, wanted: list[str]) -> list[str]:
        leaving = [p["metadata"]["name"] for p in self._driver.list("Pod") if "deletionTimestamp" in p["metadata"]]
        return [] if leaving == sorted(wanted) else [f"leaving: {leaving}"]

    def _gone(self, wanted: list[str]) -> list[str]:
        return [name for name in wanted if self._driver.get("Pod", f"default/{name}") is not None]

    def _counts(self, wanted: dict[str, list[int]]) -> list[str]:
        out = []
        for label, numbers in wanted.items():
            by_node = {n["metadata"]["name"]: n["metadata"]["labels"].get(label) for n in self._driver.list("Node")}
            found = Counter(dict.fromkeys(by_node.values(), 0))
            found.update(by_node[p["spec"]["nodeName"]] for p in self._driver.list("Pod") if p["spec"].get("nodeName"))
            if sorted(found.values()) != numbers:
                out.append(f"by {label}: {dict(found)}")
        return out

    def _volumes(self, wanted: Obj) -> list[str]:
        out = []
        for name, zone in wanted.items():
            claim = self._driver.get("PersistentVolumeClaim", f"default/{name}")
            assert claim is not None
            volume = self._driver.get("PersistentVolume", claim["spec"].get("volumeName", ""))
            if (volume is None) != (zone is None) or (zone is not None and zone not in str(volume)):
                out.append(f"{name}: {claim} {volume}")
            if zone is not None and claim.get("status", {}).get("phase") != "Bound":
                out.append(f"{name} is not bound")
        return out


@pytest.mark.parametrize("case", _CASES)
def test_scheduler(case: Obj) -> None:
    driver = VirtualDriver([Reaper, lambda world: Scheduler(world, **case.get("settings", {}))])
    for step in [{"apply": case["given"]}, *case.get("steps", [])]:
        ((what, value),) = step.items()
        if what == "apply":
            driver.apply(spelled_out(value))
        elif what in ("delete", "stop"):
            kind, _, key = value.partition("/")
            driver.delete(kind, key, force=what == "delete")
        elif what == "advance":
            driver.advance(value)
            continue
        elif what == "then":
            assert Seen(driver).failures(value) == []
            continue
        driver.advance(2)
    assert Seen(driver).failures(case.get("then", {})) == []


def test_every_case_has_a_source_and_an_expectation() -> None:
    cases = [param.values[0] for param in _CASES]
    assert [c["name"] for c in cases if not c.get("source")] == []
    assert [c["name"] for c in cases if not c.get("then") and not any("then" in s for s in c["steps"])] == []
    assert len({c["name"] for c in cases}) == len(cases) >= 60
