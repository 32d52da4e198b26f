"""A play of a scheduler's table: objects, steps, and where the pods are then.

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

import yaml

from kubernetes.driver import Driver
from kubernetes.scheduler_objects import spelled_out

Obj = dict[str, Any]


def tables() -> dict[str, list[Obj]]:
    """The cases by table."""
    return {
        path.stem: yaml.safe_load(path.read_text(encoding="utf-8"))["cases"]
        for path in sorted(Path(__file__).parent.glob("scheduler*.yaml"))
    }


class SchedulerPlay:
    """One case's cluster."""

    def __init__(self, driver: Driver) -> None:
        self.driver = driver

    def play(self, case: Obj) -> None:
        """Go through the case; fails at the first step that is not seen as expected."""
        for step in [{"apply": case["given"]}, *case.get("steps", []), {"then": case.get("then", {})}]:
            ((what, value),) = step.items()
            getattr(self, f"_{what}")(value)

    def expect(self, then: Obj) -> None:
        """Fails where the cluster is not so."""
        assert Seen(self.driver).failures(then) == []

    def _apply(self, objects: list[Obj]) -> None:
        self.driver.apply(spelled_out(objects))
        self.driver.advance(2)

    def _delete(self, what: str) -> None:
        kind, _, key = what.partition("/")
        self.driver.delete(kind, key, force=True)
        self.driver.advance(2)

    def _stop(self, what: str) -> None:
        kind, _, key = what.partition("/")
        self.driver.delete(kind, key)
        self.driver.advance(2)

    def _advance(self, seconds: float) -> None:
        self.driver.advance(seconds)

    def _then(self, then: Obj) -> None:
        self.expect(then)


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
        out = []
        for name, text in wanted.items():
            said = self.condition(name).get("message", "")
            if self.node(name) or (text or "") not in said:
                out.append(f"{name} on {self.node(name)!r} says {said!r}, not {text!r}")
        return out

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
