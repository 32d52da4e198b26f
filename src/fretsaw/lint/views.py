"""What rules look at: documents of known and unknown kinds. `pool`, `work` and `query` have the other views."""

from __future__ import annotations

from functools import cached_property
from typing import Any

from fretsaw.api.document import Document
from fretsaw.api.nodepool import Disruption
from fretsaw.lint.tree import a_list, a_map, a_text, at, maps, texts


class View:
    """A document, or a part of one. Paths that a rule answers begin at the document's top."""

    def __init__(self, document: Document) -> None:
        self.document = document
        self.raw: dict[str, Any] = a_map(document.raw)

    @property
    def kind(self) -> str:
        """The object's kind; empty where it is no Kubernetes object."""
        return self.document.kind

    @property
    def name(self) -> str:
        """The object's name."""
        return self.document.name

    @property
    def namespace(self) -> str:
        """The object's namespace; `default` where it names none."""
        return self.document.namespace or "default"

    @property
    def title(self) -> str:
        """`Kind/name`."""
        return self.document.object

    @cached_property
    def labels(self) -> dict[str, str]:
        """The object's own labels."""
        return texts(at(self.raw, "metadata", "labels"))

    @cached_property
    def annotations(self) -> dict[str, str]:
        """The object's own annotations."""
        return texts(at(self.raw, "metadata", "annotations"))

    def at(self, *steps: str | int) -> Any:
        """A field of the plain tree; None where there is none."""
        return at(self.raw, *steps)


class Thing(View):
    """Any object as a plain tree; a rule names the kinds that it looks at."""


class Values(View):
    """A values file of the GPU Operator's chart, or the spec of its ClusterPolicy."""

    def __init__(self, document: Document) -> None:
        super().__init__(document)
        self.prefix = "spec." if document.kind == "ClusterPolicy" else ""
        self.values = a_map(self.raw.get("spec")) if self.prefix else self.raw

    def enabled(self, part: str) -> bool | None:
        """Whether a part is switched on; None where it does not say."""
        value = at(self.values, part, "enabled")
        return value if isinstance(value, bool) else None


class NodeClass(View):
    """An EC2NodeClass."""

    @cached_property
    def spec(self) -> dict[str, Any]:
        """`spec` as a plain tree."""
        return a_map(self.raw.get("spec"))

    @property
    def alias(self) -> str:
        """The AMI alias, such as `al2023@latest`; empty where it selects images in another way."""
        return next(
            (a_text(term.get("alias")) for _, term in maps(self.spec.get("amiSelectorTerms")) if term.get("alias")), ""
        )

    @property
    def family(self) -> str:
        """The image family in the alias' words: al2023, bottlerocket, custom …; empty where it does not say."""
        return (a_text(self.spec.get("amiFamily")) or self.alias.partition("@")[0]).lower()

    @property
    def brings_driver(self) -> bool:
        """Whether GPU types get an image with NVIDIA's driver."""
        return self.alias.partition("@")[0] in ("al2023", "bottlerocket", "al2")

    @property
    def root_device(self) -> str:
        """The device that holds images and pods' files; empty where the family does not say."""
        return {"al2023": "/dev/xvda", "al2": "/dev/xvda", "bottlerocket": "/dev/xvdb"}.get(self.family, "")

    @property
    def mappings(self) -> list[tuple[int, dict[str, Any]]]:
        """`blockDeviceMappings` with their numbers."""
        return maps(self.spec.get("blockDeviceMappings"))

    @property
    def user_data(self) -> str:
        """The boot script."""
        return a_text(self.spec.get("userData"))


class Disrupting(View):
    """When nodes of a pool may be taken away; also a fragment of a file that holds nothing else."""

    def __init__(self, document: Document, disruption: Disruption, prefix: str) -> None:
        super().__init__(document)
        self.disruption = disruption
        self.prefix = prefix

    @property
    def is_given(self) -> bool:
        """Whether there is a `disruption` in the text; else the defaults hold."""
        return isinstance(self.at(*self.prefix.split(".")), dict)

    @property
    def has_budgets(self) -> bool:
        """Whether budgets are written down."""
        return bool(a_list(at(self.at(*self.prefix.split(".")), "budgets")))
