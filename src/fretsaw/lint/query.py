"""PromQL expressions wherever they stand: alert and recording rules, dashboards, the metrics adapter, KEDA.

The grammar is Prometheus' own (promql-parser); dashboards' variables are given values first, and what holds a template
of a chart is not judged.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import cached_property
from typing import Any, Literal

import msgspec
import promql_parser as promql

from fretsaw.api.document import Document
from fretsaw.lint.tree import a_map, a_text, at, maps, texts
from fretsaw.lint.views import View

Sort = Literal["alert", "record", "panel", "adapter", "scaler"]
_DURATION = re.compile(r"(?<=\[)\$\{?[A-Za-z_]\w*(:\w+)?\}?|(?<=:)\$\{?[A-Za-z_]\w*(:\w+)?\}?(?=\])")
_VARIABLE = re.compile(r"\$\{?[A-Za-z_]\w*(:\w+)?\}?|\[\[\w+\]\]")
_NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
_DEEPEST = 8


class Selector(msgspec.Struct, frozen=True):
    """A metric with its matchers, and the function directly around it."""

    name: str
    matchers: tuple[tuple[str, str, str], ...]
    """(label, `=`, `!=`, `=~` or `!~`, value)."""
    function: str = ""

    @property
    def labels(self) -> frozenset[str]:
        """The labels that it asks for; a matcher that an absent label satisfies does not ask."""
        return frozenset(label for label, op, value in self.matchers if (op, value) != ("=", "") and op in ("=", "=~"))


class Query(View):
    """One expression."""

    def __init__(self, document: Document, path: str, text: str, sort: Sort, called: str) -> None:
        super().__init__(document)
        self.path = path
        self.text = text
        self.sort = sort
        self.called = called
        """The alert's, the record's or the panel's name."""

    @property
    def heading(self) -> str:
        """`alert NAME`, or what there is of it."""
        return f"{self.sort} {self.called}".strip()

    @property
    def is_template(self) -> bool:
        """Whether something else fills it in before Prometheus reads it."""
        return "{{" in self.text or "<<" in self.text

    @cached_property
    def _parsed(self) -> tuple[Any, str]:
        if self.is_template or not self.text.strip():
            return None, ""
        try:
            return promql.parse(_VARIABLE.sub("1", _DURATION.sub("5m", self.text))), ""
        except ValueError as error:
            return None, str(error).strip()

    @property
    def tree(self) -> Any:
        """The expression as a tree; None where it does not parse or was not judged."""
        return self._parsed[0]

    @property
    def error(self) -> str:
        """Why Prometheus would refuse it."""
        return self._parsed[1]

    @cached_property
    def selectors(self) -> tuple[Selector, ...]:
        """The metrics that it reads."""
        return tuple(_selectors(self.tree, "")) if self.tree is not None else ()

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The names of metrics in it; of an expression that does not parse, all words."""
        if self.tree is not None:
            return tuple(dict.fromkeys(one.name for one in self.selectors if one.name))
        return tuple(dict.fromkeys(_NAME.findall(self.text)))


def _selectors(node: Any, function: str) -> Iterator[Selector]:
    if isinstance(node, promql.MatrixSelector):
        node = node.vector_selector
    if isinstance(node, promql.VectorSelector):
        yield _selector(node, function)
        return
    inner = node.func.name if isinstance(node, promql.Call) else function if isinstance(node, promql.ParenExpr) else ""
    for child in children(node):
        yield from _selectors(child, inner)


def _selector(node: promql.VectorSelector, function: str) -> Selector:
    signs = {"MatchOp.Equal": "=", "MatchOp.NotEqual": "!=", "MatchOp.Re": "=~", "MatchOp.NotRe": "!~"}
    matchers = [(m.name, signs.get(str(m.op), "=~"), m.value) for m in node.matchers.matchers]
    name = node.name or next((value for label, op, value in matchers if label == "__name__" and op == "="), "")
    return Selector(name, tuple(m for m in matchers if m[0] != "__name__"), function)


def children(node: Any) -> list[Any]:
    """The expressions directly inside one."""
    if isinstance(node, promql.BinaryExpr):
        return [node.lhs, node.rhs]
    if isinstance(node, promql.Call):
        return list(node.args)
    if isinstance(node, promql.AggregateExpr):
        return [node.expr, *([node.param] if isinstance(node.param, promql.Expr) else [])]
    inner = getattr(node, "expr", None)
    return [inner] if isinstance(inner, promql.Expr) else []


def walked(node: Any) -> Iterator[Any]:
    """An expression and all inside it."""
    yield node
    for child in children(node):
        yield from walked(child)


def queries_of(document: Document) -> Iterator[Query]:
    """All expressions of a document."""
    raw = a_map(document.raw)
    if document.kind == "PrometheusRule":
        yield from _rules(document, at(raw, "spec", "groups"), "spec.groups")
    elif not document.kind and "groups" in raw:
        yield from _rules(document, raw["groups"], "groups")
    elif document.kind == "ConfigMap":
        yield from _config_map(document)
    elif document.kind == "ScaledObject":
        for number, trigger in maps(at(raw, "spec", "triggers")):
            if trigger.get("type") == "prometheus":
                path = f"spec.triggers[{number}].metadata.query"
                yield Query(document, path, a_text(at(trigger, "metadata", "query")), "scaler", document.name)
    elif not document.kind:
        yield from _panels(document, raw, "", 0)


def _rules(document: Document, groups: Any, path: str) -> Iterator[Query]:
    for g, group in maps(groups):
        for r, rule in maps(group.get("rules")):
            alert, record = a_text(rule.get("alert")), a_text(rule.get("record"))
            text = rule.get("expr")
            text = str(text) if isinstance(text, int | float) else a_text(text)
            yield Query(document, f"{path}[{g}].rules[{r}].expr", text, "alert" if alert else "record", alert or record)


def _config_map(document: Document) -> Iterator[Query]:
    """Dashboards that Grafana's sidecar reads, and rules of the metrics adapter."""
    for key, value in texts(at(document.raw, "data")).items():
        if key.endswith(".json") and '"panels"' in value:
            try:
                tree = json.loads(value)
            except (ValueError, RecursionError):
                continue
            for one in _panels(document, a_map(tree), "", 0):
                one.path = f"data.{key}"
                yield one


def _panels(document: Document, tree: dict[str, Any], path: str, depth: int) -> Iterator[Query]:
    if depth > _DEEPEST:
        return
    for number, panel in maps(tree.get("panels")):
        where = f"{path}panels[{number}]"
        for t, target in maps(panel.get("targets")):
            if isinstance(target.get("expr"), str):
                title = a_text(panel.get("title"))
                yield Query(document, f"{where}.targets[{t}].expr", target["expr"], "panel", title)
        yield from _panels(document, panel, f"{where}.", depth + 1)
