"""Cases of the lifecycle: given objects and events at a time, a look, then exactly these actions.

Keys of a file: `topic`, `why` (the source, of all cases that name none), `cases`. Of a case: `name`, `given` (`at`, `claims`, `nodes`, `pods`,
`pools`, `objects`, `events`; see `support.lives`), `options`, `drift`, `hooks`, one of `look` (a machine), `pool`
(its status), `scale` (a static pool) and `strays`; and `then`: `actions` (all of them, in order), `conditions` (some,
`Status Reason`, or `absent`), `claim`, `node` and `pool` (parts of the written object), `notes`, `says` (part of
an event's text), `wake` (once all is written), and after letting time go by for `after`: `gone`, `left` and `did`.
After each case the world carries the actions out and has to come to rest.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml

from fretsaw.api.times import span
from fretsaw.engine import actions as a
from fretsaw.engine import events as e
from fretsaw.engine.claims import look, strays
from fretsaw.engine.orders import static_claim
from fretsaw.engine.pool_status import look_at_pool
from fretsaw.engine.sight import Look
from fretsaw.engine.static_pools import scale
from support.lives import condition_texts, dated, moment, texts, world_of
from support.performer import Performer

Obj = dict[str, Any]
_FILES = sorted(Path(__file__).parent.glob("*.yaml"))


def _cases() -> list[Any]:
    found = []
    for path in _FILES:
        content = yaml.load(path.read_text(encoding="utf-8"), yaml.CSafeLoader)
        for case in content["cases"]:
            case.setdefault("why", content.get("why"))
            found.append(pytest.param(case, id=f"{path.stem}: {case['name']}"))
    return found


CASES = _cases()


def _looked(world: Performer, case: Obj) -> Look:
    if "look" in case:
        drifted, hooks = case.get("drift", ""), tuple(case.get("hooks", ()))
        machine = world.state.machines[case["look"]]
        return look(world.state, machine, world.options, world.now, drift=lambda _: drifted, hooks=lambda _: hooks)
    if "pool" in case:
        pool = world.state.pools[case["pool"]]
        return look_at_pool(world.state, pool, world.now, lambda pool: f"hash of {pool.name}")
    if "scale" in case:
        return scale(world.state, world.state.pools[case["scale"]], world.options, world.now, static_claim)
    return strays(world.state, world.now)


@pytest.mark.parametrize("case", CASES)
def test_case(case: Obj) -> None:
    world = world_of(case["given"], case.get("options", {}))
    found, then = _looked(world, case), case["then"]
    assert found == _looked(world, case), "the same state gives the same answer"
    assert texts(found.actions) == then["actions"]
    assert _conditions(world, case, found, then.get("conditions", {})) == then.get("conditions", {})
    for kind in ("claim", "node", "pool"):
        if kind in then:
            assert _part(_written(found, kind), dated(then[kind])) == dated(then[kind])
    if "notes" in then:
        assert [_note(note) for note in found.notes if not isinstance(note, e.Checked)] == then["notes"]
    if "says" in then:
        told = [action.message for action in found.actions if isinstance(action, a.Tell)]
        assert any(then["says"] in text for text in told), told
    _carry_out(world, found)
    if "wake" in then:
        assert _at_rest(world, case).wake == (moment(then["wake"]) if then["wake"] else None)
    if "look" in case and "hooks" not in case and "drift" not in case:
        world.settle()
        _later(world, then)


def _at_rest(world: Performer, case: Obj) -> Look:
    """The look that finds nothing left to write."""
    for _ in range(9):
        found = _looked(world, case)
        if not found.actions:
            return found
        _carry_out(world, found)
    raise AssertionError(f"no rest: {texts(found.actions)}")


def _carry_out(world: Performer, found: Look) -> None:
    for note in found.notes:
        world.state.apply(note)
    for action in found.actions:
        world.perform(action)


def _later(world: Performer, then: Obj) -> None:
    length = span(then.get("after", "0s"))
    assert length is not None
    world.run(length)
    for about in then.get("gone", []):
        assert world.get(*about.split("/", 1)) is None, about
    for about in then.get("left", []):
        assert world.get(*about.split("/", 1)) is not None, about
    done = texts(tuple(world.done))
    for text in then.get("did", []):
        assert text in done, done
    for text in then.get("never", []):
        assert text not in done, done


def _written(found: Look, kind: str) -> Any:
    types = {"claim": a.UpdateClaim, "node": a.UpdateNode, "pool": a.UpdatePool}
    written = [action for action in found.actions if isinstance(action, types[kind])]
    assert len(written) == 1, written
    return msgspec.json.decode(msgspec.json.encode(getattr(written[0], kind)))


def _part(tree: Any, wanted: Any) -> Any:
    """Of a tree what the expectation speaks of; `absent` stands for what is not there."""
    if isinstance(wanted, dict):
        here = tree if isinstance(tree, dict) else {}
        return {key: _part(here.get(key, "absent"), value) for key, value in wanted.items()}
    return tree


def _conditions(world: Performer, case: Obj, found: Look, wanted: Obj) -> Obj:
    objects: list[Any] = [
        getattr(action, "claim", None) or getattr(action, "pool", None)
        for action in found.actions
        if isinstance(action, a.UpdateClaim | a.UpdatePool)
    ]
    if not objects:
        objects = [world.state.claims.get(case.get("look", "")) or world.state.pools.get(case.get("pool", ""))]
    seen = condition_texts(objects[-1].status.conditions) if objects[-1] is not None else {}
    return {type_: seen.get(type_, "absent") for type_ in wanted}


def _note(note: e.Event) -> str:
    return " ".join((type(note).__name__, *(str(value) for value in msgspec.structs.astuple(note))))


def test_there_are_enough_cases_and_each_names_its_source() -> None:
    assert len(CASES) >= 100
    names = [case.id for case in CASES]
    assert len(names) == len(set(names))
    for case in CASES:
        assert "Karpenter v1.14 pkg/" in case.values[0]["why"] or "AWS provider v1.14 pkg/" in case.values[0]["why"]
