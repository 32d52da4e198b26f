"""Changes in the text of a file by the positions of YAML's nodes: comments, order and quotes stay as they are.

After each change the text is read again; unless it has become the old tree with exactly that change, the change is not
made. So an anchor, a template or a text in a form that is not understood here costs a fix, and never a file.
"""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Iterable
from typing import Any

import yaml

from fretsaw.api import yamltext
from fretsaw.api.document import Document, steps
from fretsaw.api.yamltext import Chunk, Path, TextError
from fretsaw.lint.found import Append, Drop, Edit, Set, Substitute

_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_INDEX = re.compile(r"\[(\d+)\]$")


class Place:
    """A document in the text of its file."""

    def __init__(self, document: Document) -> None:
        self.start_line = document.chunk.line
        self.index, self.prefix = document.place
        self.raw = document.raw


def edited(text: str, place: Place, edits: Iterable[Edit]) -> tuple[str, int]:
    """The text of a file after all edits of one document that could be made, and how many that were."""
    made = 0
    for edit in edits:
        after = _one(text, place, edit)
        if after is not None:
            text, made = after, made + 1
    return text, made


def _one(text: str, place: Place, edit: Edit) -> str | None:
    """The text after one edit; None where it cannot be made, or would do more than it shall."""
    begin = _offset(text, place.start_line)
    chunk = next((c for c in yamltext.chunks(text) if c.line == place.start_line), None)
    if chunk is None or (_is_json(chunk.text) and not isinstance(edit, Substitute)):
        return None  # keys are not added to JSON
    body = text[begin : begin + len(chunk.text)]
    trees = _trees(chunk.text)
    wanted = None if trees is None else _unshared(trees)
    if trees is None or wanted is None or place.index >= len(trees):
        return None
    try:
        root = list(yaml.compose_all(chunk.text, Loader=_Loader))[place.index]
        target = _at(trees[place.index], place.prefix)
        _change(_at(wanted[place.index], place.prefix), edit)
        after = _text(body, _node(root, place.prefix), target, edit)
    except (yaml.YAMLError, LookupError, TypeError, ValueError, AttributeError):
        return None
    changed = chunk.text[:3] + after[3:] if body.startswith("---") else after
    return text[:begin] + after + text[begin + len(chunk.text) :] if _trees(changed) == wanted else None


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def _unshared(tree: Any) -> Any:
    """A copy in which nothing stands in two places: what an alias stands for is written out."""
    if isinstance(tree, dict):
        return {key: _unshared(value) for key, value in tree.items()}
    return [_unshared(value) for value in tree] if isinstance(tree, list) else tree


def _offset(text: str, line: int) -> int:
    """Where a line begins."""
    found = 0
    for _ in range(line - 1):
        found = text.index("\n", found) + 1
    return found


def _trees(text: str) -> list[Any] | None:
    try:
        return Chunk(text, 1).documents([])
    except TextError:
        return None


def _at(tree: Any, path: Path) -> Any:
    for step in path:
        tree = tree[step]
    return tree


def _node(node: Any, path: Path) -> Any:
    """The YAML node of a path. Raises LookupError where there is none."""
    for step in path:
        if isinstance(step, int):
            node = node.value[step]
        else:
            node = next(value for key, value in node.value if key.value == step)
    return node


def _split(path: str, tree: Any) -> tuple[Path, str]:
    """The steps that the tree has, and the one key after them, if it is missing."""
    found = steps(path, tree)
    rest = path
    for step in found:
        shown = f"[{step}]" if isinstance(step, int) else step
        rest = rest.removeprefix(".")
        rest = rest.removeprefix(shown if rest.startswith(shown) else f"[{step}]")
    return found, rest.removeprefix(".").strip("[]")


def _change(tree: Any, edit: Edit) -> None:
    """Do to a plain tree what is done to the text."""
    found, rest = _split(edit.path, tree)
    match edit:
        case Set():
            parent = _at(tree, found) if rest else _at(tree, found[:-1])
            parent[rest or found[-1]] = copy.deepcopy(edit.value)
        case Append():
            if rest:
                _at(tree, found)[rest] = [copy.deepcopy(edit.value)]
            else:
                _at(tree, found).append(copy.deepcopy(edit.value))
        case Drop():
            del _at(tree, found[:-1])[found[-1]]
        case Substitute():
            _at(tree, found[:-1])[found[-1]] = _substituted(_at(tree, found), edit)


def _substituted(text: str, edit: Substitute) -> str:
    return re.sub(rf"(?<![\w:]){re.escape(edit.old)}(?![\w:])", lambda _: edit.new, text)


def _text(text: str, root: Any, tree: Any, edit: Edit) -> str:
    found, rest = _split(edit.path, tree)
    match edit:
        case Set() if rest:
            return _added(text, _node(root, found), rest, edit.value)
        case Set():
            return _replaced(text, _node(root, found), edit.value)
        case Append() if rest:
            return _added(text, _node(root, found), rest, [edit.value])
        case Append():
            return _appended(text, _node(root, found), edit.value)
        case Drop():
            return _dropped(text, _node(root, found[:-1]), found[-1])
        case Substitute():
            node = _node(root, found)
            begin, end = node.start_mark.index, node.end_mark.index
            return text[:begin] + _substituted(text[begin:end], edit) + text[end:]
    raise TypeError(edit)


def _replaced(text: str, node: Any, value: Any) -> str:
    if not isinstance(node, yaml.ScalarNode) or node.style in ("|", ">"):
        raise TypeError("not a scalar of one line")
    return text[: node.start_mark.index] + _scalar(value, node.style) + text[node.end_mark.index :]


def _scalar(value: Any, style: str | None = None) -> str:
    """A value in one line; texts in the quotes that stood there."""
    if isinstance(value, str) and style in ("'", '"'):
        return style + value.replace("'", "''") + style if style == "'" else f'"{value}"'
    return yaml.safe_dump(value, default_flow_style=True, width=10_000).removesuffix("\n").removesuffix("\n...")


def _added(text: str, node: Any, key: str, value: Any) -> str:
    """A map with one key more, after its last."""
    if not isinstance(node, yaml.MappingNode) or not node.value:
        raise TypeError("not a map with keys")
    if node.flow_style:
        at = node.end_mark.index - 1
        return f"{text[:at].rstrip()}, {_scalar(key)}: {_scalar(value)}{text[at:]}"
    indent = node.start_mark.column
    return _inserted(text, node, _block({key: value}, indent))


def _appended(text: str, node: Any, value: Any) -> str:
    if not isinstance(node, yaml.SequenceNode) or not node.value:
        raise TypeError("not a list with items")
    if node.flow_style:
        at = node.end_mark.index - 1
        return f"{text[:at].rstrip()}, {_scalar(value)}{text[at:]}"
    indent = node.start_mark.column
    lines = _block(value, indent + 2)
    return _inserted(text, node, " " * indent + "- " + lines.lstrip())


class _Dumper(yaml.SafeDumper):
    """Lists stand indented under their key; those of single values, in one line."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        super().increase_indent(flow, False)

    def one_line(self, data: list[Any]) -> Any:
        """A list as the class says."""
        plain = not any(isinstance(item, dict | list) for item in data)
        return self.represent_sequence("tag:yaml.org,2002:seq", data, flow_style=plain)


_Dumper.add_representer(list, _Dumper.one_line)


def _block(value: Any, indent: int) -> str:
    """A value as lines."""
    dumped = yaml.dump(value, Dumper=_Dumper, sort_keys=False, default_flow_style=False, width=10_000)
    return "\n".join(" " * indent + line for line in dumped.splitlines())


def _inserted(text: str, node: Any, block: str) -> str:
    """The block in lines of its own after the last line of a node; a comment at its end stays there."""
    end = _end(text, node)
    stop = text.find("\n", end)
    stop = len(text) if stop < 0 else stop
    return f"{text[:stop]}\n{block}{text[stop:]}"


def _end(text: str, node: Any) -> int:
    """Where the last character of a node stands: block nodes' own marks are beyond comments that follow."""
    while isinstance(node, yaml.CollectionNode) and not node.flow_style and node.value:
        node = node.value[-1][1] if isinstance(node, yaml.MappingNode) else node.value[-1]
    end: int = node.end_mark.index
    if isinstance(node, yaml.ScalarNode) and node.style in ("|", ">"):
        end = len(text[:end].rstrip())
    return end


def _dropped(text: str, parent: Any, step: str | int) -> str:
    """Without the lines of a key or of an item."""
    if parent.flow_style:
        raise TypeError("in a line with others")
    if isinstance(step, int):
        node = parent.value[step]
        begin = text.rindex("\n", 0, node.start_mark.index) + 1
    else:
        key, node = next(pair for pair in parent.value if pair[0].value == step)
        begin = text.rindex("\n", 0, key.start_mark.index) + 1
    stop = text.find("\n", _end(text, node))
    return text[:begin] + (text[stop + 1 :] if stop >= 0 else "")
