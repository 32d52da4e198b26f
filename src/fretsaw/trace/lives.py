"""The lives of a trace by name, and who was meant by a name that is unknown."""

from __future__ import annotations

from collections.abc import Iterator
from difflib import get_close_matches

from fretsaw.errors import UserError
from fretsaw.trace.claim_life import ClaimLife
from fretsaw.trace.life import Life, Words, listed
from fretsaw.trace.machine_life import MachineLife, NodeLife
from fretsaw.trace.pod_life import PodLife
from fretsaw.trace.pool_life import PoolLife

KINDS = ("nodepool", "nodeclaim", "node", "pod")
"""What has a story, in the order in which lists show it."""


SHORT = {"nodepools": "nodepool", "nodeclaims": "nodeclaim", "nodes": "node", "no": "node", "pods": "pod", "po": "pod"}
"""Other ways in which kubectl's users call the kinds."""


class Lives:
    """The lives of all objects of a trace."""

    def __init__(self, words: Words) -> None:
        self.words = words
        self.pools: dict[str, PoolLife] = {}
        self.claims: dict[str, ClaimLife] = {}
        self.nodes: dict[str, NodeLife] = {}
        """Those that belong to no claim."""
        self.pods: dict[str, PodLife] = {}
        self.by_node: dict[str, ClaimLife] = {}
        """Those of the claims, by the name of their node."""

    def __iter__(self) -> Iterator[Life]:
        """All of them, by kind, each kind in the order of its first mention."""
        for kind in (self.pools, self.claims, self.nodes, self.pods):
            yield from kind.values()

    def life(self, name: str) -> Life:
        """The life of `nodeclaim/NAME`, `node/NAME`, `pod/NAMESPACE/NAME` or `nodepool/NAME`.

        A node's is that of its claim. Raises UserError with what was meant for one that the trace does not know.
        """
        kind, _, rest = name.partition("/")
        kind = SHORT.get(kind.lower(), kind.lower())
        if kind not in KINDS or not rest:
            kinds = "nodeclaim/NAME, node/NAME, pod/NAMESPACE/NAME or nodepool/NAME"
            raise UserError("", "no kind that has a story", name, self._near(name) or f"ask for {kinds}")
        if kind == "pod" and "/" not in rest:
            rest = f"default/{rest}"
        found = self.find(kind, rest)
        if found is None:
            raise UserError(
                "", f"the trace knows no such {kind}", name, self._near(f"{kind}/{rest}") or self._some(kind)
            )
        return found

    def find(self, kind: str, name: str) -> Life | None:
        """The life of an object, None for one that is not known."""
        match kind:
            case "nodepool":
                return self.pools.get(name)
            case "nodeclaim":
                return self.claims.get(name)
            case "node":
                return self.by_node.get(name) or self.nodes.get(name)
            case "pod":
                return self.pods.get(name)
        return None

    def claim(self, name: str) -> ClaimLife:
        """A claim's life, begun where it is new."""
        if name not in self.claims:
            self.claims[name] = ClaimLife(name, self.words)
        return self.claims[name]

    def pool(self, name: str) -> PoolLife:
        """A pool's, likewise."""
        if name not in self.pools:
            self.pools[name] = PoolLife(name, self.words)
        return self.pools[name]

    def machine(self, node: str) -> MachineLife | None:
        """That of the claim of a node, or of the node itself."""
        return self.by_node.get(node) or self.nodes.get(node)

    def _near(self, name: str) -> str:
        known = [life.object for life in self] + [f"node/{node}" for node in self.by_node]
        near = get_close_matches(name, known, n=1, cutoff=0.6) or [k for k in known if k.endswith(f"/{name}")][:1]
        return f"did you mean {near[0]}?" if near else ""

    def _some(self, kind: str) -> str:
        names = [life.object for life in self if kind == life.KIND]
        return f"it knows {listed(names)}" if names else f"it knows no {kind} at all"
