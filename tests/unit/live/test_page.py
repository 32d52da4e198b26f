"""The page about live clusters names what there is: the rights cover every kind that is read."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

from fretsaw.api.kinds import KINDS
from fretsaw.kube.client import plural
from fretsaw.live.watching import KINDS as WATCHED

PAGE = (Path(__file__).parents[3] / "docs" / "live.md").read_text(encoding="utf-8")


def test_the_rights_of_the_page_cover_every_kind_that_is_read() -> None:
    (text,) = re.findall(r"^```yaml\n(.*?)^```", PAGE, re.M | re.S)
    allowed = {
        (group, resource): set(rule["verbs"])
        for rule in yaml.safe_load(text)["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
    }
    needed = {(group, plural(name)) for group, name in KINDS} | {("", "events")}
    assert allowed.keys() == needed
    watched = {key for key in needed if key[1] in {*map(plural, WATCHED), "events"}}
    assert {key for key in watched if "watch" not in allowed[key]} == set()
