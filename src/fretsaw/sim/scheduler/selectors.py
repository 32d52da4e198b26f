"""Which pods a spread constraint or an affinity term speaks of: namespaces and labels as one question with a key."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import msgspec

from fretsaw.api.meta import LabelSelector
from fretsaw.api.pod import Pod

Namespaces = Mapping[str, Mapping[str, str]]
"""Labels of the namespaces that exist."""


class Selector(msgspec.Struct, frozen=True):
    """Pods of some namespaces with some labels. `selector` None selects nothing."""

    namespaces: tuple[str, ...]
    namespace_selector: LabelSelector | None
    selector: LabelSelector | None

    def key(self) -> bytes:
        """Equal for selectors that are written alike."""
        return msgspec.msgpack.encode(self)

    def selects(self, labels: Mapping[str, str]) -> bool:
        """Whether the labels match, whatever the namespace."""
        return self.selector is not None and self.selector.matches(labels)

    def reaches(self, namespace: str, known: Namespaces) -> bool:
        """Whether it looks into a namespace. An empty namespace selector looks into all of them."""
        if namespace in self.namespaces:
            return True
        return self.namespace_selector is not None and self.namespace_selector.matches(known.get(namespace, {}))

    def matches(self, pod: Pod, known: Namespaces) -> bool:
        """Whether it selects this pod."""
        return self.selects(pod.metadata.labels) and self.reaches(pod.metadata.home, known)

    def pair(self) -> tuple[str, str] | None:
        """A label and value that every selected pod has; None where there is no such label."""
        if self.selector is None:
            return None
        for key, value in self.selector.match_labels.items():
            return key, value
        for expression in self.selector.match_expressions:
            if expression.operator == "In" and len(expression.values) == 1:
                return expression.key, expression.values[0]
        return None

    def labels(self) -> Iterator[str]:
        """Every label that it asks about."""
        if self.selector is not None:
            yield from self.selector.match_labels
            yield from (expression.key for expression in self.selector.match_expressions)
