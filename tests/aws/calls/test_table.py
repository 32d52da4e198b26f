"""The table of calls against the code: nothing is called that no policy allows, nothing is allowed that is not called."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import botocore.session
import pytest

import fretsaw.providers.aws
from fretsaw.errors import BrokenInvariant
from fretsaw.providers.aws.account import trials
from fretsaw.providers.aws.calls import table
from fretsaw.providers.aws.calls.statements import STATEMENTS

SOURCE = Path(fretsaw.providers.aws.__file__).parent
NAME = re.compile(r"[a-z0-9-]+:[A-Z][A-Za-z]+")
OTHERS = frozenset({"sqs:SendMessage", "sts:AssumeRole"})
"""What the template lets EventBridge and EC2 do."""
DOORS = frozenset({"ask", "pages"})


def modules() -> Iterator[tuple[Path, ast.Module]]:
    """The provider's source, but for the door itself."""
    for path in sorted(SOURCE.rglob("*.py")):
        if path.parent.name != "calls":
            yield path, ast.parse(path.read_text(encoding="utf-8"))


def asked() -> Iterator[tuple[str, str]]:
    """(where, first argument as text) of every `….ask(…)` and `….pages(…)` of something called aws."""
    for path, tree in modules():
        for node in ast.walk(tree):
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
                continue
            if node.func.attr in DOORS and "aws" in ast.unparse(node.func.value):
                yield f"{path.relative_to(SOURCE)}:{node.lineno}", ast.unparse(node.args[0])


def written() -> set[str]:
    """Every text of the source that has the form of a call's name and is that of an operation."""
    return {
        node.value
        for _, tree in modules()
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and NAME.fullmatch(node.value)
    }


def test_calls_are_found_at_all() -> None:
    found = [text for _, text in asked()]
    assert len(found) > 25
    assert "'ec2:CreateFleet'" in found


def test_every_call_in_the_source_is_in_the_table() -> None:
    for where, text in asked():
        if text.startswith("'"):
            assert ast.literal_eval(text) in table.BY_NAME, where
        else:
            assert re.fullmatch(r"[\w.]+", text), f"{where}: a call's name is computed: {text}"
    for name in written():
        service = name.partition(":")[0]
        if service in {call.name.partition(":")[0] for call in table.CALLS}:
            assert name in table.BY_NAME or name in OTHERS, f"{name} is no call of the table"


def test_every_entry_of_the_table_is_asked_for_somewhere() -> None:
    """In a module that makes calls, and not only in the lists of what is tried."""
    made = set()
    for path, tree in modules():
        if path.name == "trials.py":
            continue
        made |= {
            node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)
        }
    assert {call.name for call in table.CALLS} - made == set()


def test_services_and_operations_are_those_of_awss_models() -> None:
    session = botocore.session.get_session()
    for call in table.CALLS:
        assert call.operation in session.get_service_model(call.service).operation_names, call.name


def test_each_action_stands_in_a_statement_and_each_statement_is_needed() -> None:
    needed = {sid for call in table.CALLS for sid, _ in call.needs}
    assert needed == {statement.sid for statement in STATEMENTS}
    assert len({statement.sid for statement in STATEMENTS}) == len(STATEMENTS)
    assert {statement.sid for statement, _ in table.allowed(check=True)} == needed


@pytest.mark.parametrize("name", ["ec2:TerminateInstance", "ec2:StopInstances", "s3:GetObject", "", "DescribeSubnets"])
def test_what_is_not_in_the_table_is_refused(name: str) -> None:
    with pytest.raises(BrokenInvariant):
        table.known(name)


def test_every_call_is_tried_by_the_check_or_there_is_a_reason_why_not() -> None:
    tried = set(trials.trials("c", "1.34", {}))
    names = {call.name for call in table.CALLS}
    assert tried | set(trials.NOT_TRIED) | trials.ELSEWHERE == names
    assert not tried & set(trials.NOT_TRIED)
    changing = [name for name in tried if not re.search(r":(Describe|Get|List)", name)]
    for name in changing:
        assert trials.trials("c", "1.34", {})[name]["DryRun"] is True, name
