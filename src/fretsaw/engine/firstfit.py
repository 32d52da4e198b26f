"""The first-fit pass: each pod to the first place that takes it, in the peer's order.

Existing nodes first, then the nodes opened in this pass (those with fewest pods first), then a new node of the first
pool that takes the pod; if none does, the pod gives up one wish and starts again. Pods that found no place are tried
again as long as others still find one.

What makes it quick: a place that refused a mold for good is never asked again (`_dead`), what other pods allow is a
bit mask over places, and what a place would become is remembered by requirement sets.

Source: Karpenter v1.14 scheduler.go (Solve, add), nodeclaim.go (CanAdd), existingnode.go, queue.go.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping

from fretsaw.engine.groups import NODES, OPEN
from fretsaw.engine.places import ExistingNode, Fit, OpenNode
from fretsaw.engine.prepare import Prepared
from fretsaw.engine.requests import Amounts
from fretsaw.engine.requirements import Conflict, Requirements
from fretsaw.engine.reservations import Reservations
from fretsaw.engine.shape import Kind, Mold, Shape, gpu_count
from fretsaw.engine.standing import Standing
from fretsaw.engine.template import Template, min_values_unmet, with_lowered_min_values
from fretsaw.engine.universe import Bits, bits

TRY_S = 2e-5
"""What it takes to look at one open node for one pod, roughly, in seconds."""
DEAD = "dead"
"""A place that can never take the mold."""
DEFERRED = "deferred"
"""A pod that waits for a capacity reservation instead of falling back."""


class FirstFit:
    """One pass. `run` places all pods of the queue; the state is then read by `engine.schedule`."""

    def __init__(
        self, prepared: Prepared, progress: Callable[[int, int], None] | None = None, *, thrifty: bool = False
    ) -> None:
        """thrifty: among the open nodes the one that grows least in price, and none that grows by more than a node of
        the pod's own would cost; not the peer's order, but often cheaper."""
        prepared.reset()
        self.prepared = prepared
        self.settings = prepared.settings
        self.progress = progress
        self.thrifty = thrifty
        self._alone: dict[Mold, int | None] = {}
        self._width = max(4, min(64, int(self.settings.budget_s / (TRY_S * max(len(prepared.queue), 1)))))
        """Open nodes that a thrifty pass compares for one pod: fewer where there are many pods."""
        self.nodes = list(prepared.ground.places)
        """The prepared places; one that takes a pod is copied first, so that the next pass finds it as it was."""
        self._taken: Bits = 0
        """Those of them that took pods."""
        self.tried: dict[tuple[Mold, Requirements], None] = {}
        """What the prepared places were asked for."""
        self._dead: dict[Mold, list[Bits]] = {}
        """Places (by space) that have refused a mold for good."""
        self._failed: dict[Kind, int] = {}
        """The version of the pass at which a pod of a kind last found no place at all."""
        self.open: list[OpenNode] = []
        self.levels: dict[int, Bits] = {}
        """Open nodes by the number of their pods."""
        self._stacks: dict[int, list[OpenNode]] = {}
        """The same from two pods on, in the order in which they got there; nodes that moved on may still be listed."""
        self._stamp = 0
        self.remaining: dict[str, Amounts] = {name: dict(left) for name, left in prepared.remaining.items()}
        self.reservations = Reservations(prepared.universes.values())
        self.unplaced: dict[str, Kind] = {}
        self.deferred: set[str] = set()
        self.version = 0
        self.standing = Standing(prepared.topology)
        self._all_nodes = ((1 << len(self.nodes)) - 1) & ~prepared.removed
        for node in prepared.existing() if self.standing.watches else ():
            self.standing.enter(NODES, node.bit, node.requirements)
        self._on_sale: dict[str, Bits] = {t.name: self._within_limits(t) for t in prepared.templates}
        self._refusals: dict[tuple[Template, Mold], bool] = {}
        self._hopeful: set[Mold] = set()
        """Molds that ask for a label that no pool defines, but that a node may get from another pod."""
        self._joined: dict[tuple[Requirements, Requirements], Requirements | None] = {}
        self._template_nodes: dict[Template, Bits] = {}

    @property
    def filled(self) -> list[ExistingNode]:
        """The places that took pods."""
        return [self.nodes[i] for i in bits(self._taken)]

    def run(self) -> None:
        """Place every pod that can be placed; the others are left in `unplaced`."""
        queue = deque(self.prepared.queue)
        pushed_at: dict[str, int] = {}
        done = 0
        while queue:
            kind, pod = queue[0]
            if pushed_at.get(pod) == len(queue):
                break
            queue.popleft()
            if self._attempt(kind, pod):
                self.unplaced.pop(pod, None)
                done += 1
                if self.progress is not None and done % 1024 == 0:
                    self.progress(done, len(self.prepared.queue))
            else:
                self.unplaced[pod] = kind
                queue.append((kind, pod))
                pushed_at[pod] = len(queue)

    def _attempt(self, kind: Kind, pod: str) -> bool:
        """Place one pod, giving up its wishes one by one; False when it finds no place even without them."""
        if self._failed.get(kind) == self.version:
            return False
        self.deferred.discard(pod)
        depth = 0
        while (shape := self.prepared.shape(kind, depth)) is not None:
            outcome = self._place(shape, pod, kind.closed)
            if outcome == DEFERRED:
                self.deferred.add(pod)
                return False
            if outcome:
                self.version += 1
                return True
            depth += 1
        self._failed[kind] = self.version
        return False

    def _place(self, shape: Shape, pod: str, closed: Bits) -> bool | str:
        if shape.contradiction is not None:
            return False
        found = self._first_existing(shape, closed)
        if found is not None:
            self._take_existing(found, shape, pod)
            return True
        chosen = self._first_open(shape)
        if chosen is not None:
            self._take_open(*chosen, shape, pod)
            return True
        opened = self._open_new(shape)
        if isinstance(opened, str):
            return opened
        if opened is None:
            return False
        self._take_new(*opened, shape, pod)
        return True

    # Existing nodes

    def _first_existing(self, shape: Shape, closed: Bits) -> ExistingNode | None:
        self.tried[shape.mold, shape.wanted] = None
        if not self.nodes:
            return None
        dead = self._dead_places(shape.mold)
        allowed = self.standing.allowed(shape, NODES, self._all_nodes & ~(dead[NODES] | closed))
        while allowed:
            low = allowed & -allowed
            node = self.nodes[low.bit_length() - 1]
            if node.why_not(shape.mold, shape.wanted) is not None:
                dead[NODES] |= low
                if not node.pods:
                    self.prepared.ground.refuse(shape.mold, low)
            else:
                for base in self._bases(node.requirements.merged(shape.wanted), shape.mold, frozenset()):
                    if next(self.standing.narrowings(shape, NODES, base), None) is not None:
                        return node
            allowed ^= low
        return None

    def _dead_places(self, mold: Mold) -> list[Bits]:
        dead = self._dead.get(mold)
        if dead is None:
            dead = self._dead[mold] = [self.prepared.ground.refusing.get(mold, 0), 0]
        return dead

    def _take_existing(self, node: ExistingNode, shape: Shape, pod: str) -> None:
        if not node.pods:
            node = self.nodes[node.bit.bit_length() - 1] = node.copy()
            self._taken |= node.bit
        node.take(pod, shape.mold)
        self.standing.record(shape, NODES, node.bit, node.hostname, node.taints, node.requirements)

    # Open nodes

    def _first_open(self, shape: Shape) -> tuple[OpenNode, Fit] | None:
        mold = shape.mold
        if not self.open or not mold.on_new_hosts:
            return None
        dead_places = self._dead_places(mold)
        allowed = self.standing.allowed(shape, OPEN, ((1 << len(self.open)) - 1) & ~dead_places[OPEN])
        if not allowed:
            return None
        best: tuple[int, OpenNode, Fit] | None = None
        tries = self._width
        for level in sorted(self.levels, reverse=self.thrifty):
            mask = self.levels[level] & allowed
            for node in self._in_order(level, mask) if mask else ():
                if not node.bit & allowed:
                    continue
                fit = self.fit(node, shape)
                if isinstance(fit, Fit):
                    if not self.thrifty:
                        return node, fit
                    growth = self._growth(node, fit)
                    if not growth:
                        return node, fit
                    if best is None or growth < best[0]:
                        best = growth, node, fit
                    tries -= 1
                    if not tries:
                        return self._worth(best, mold)
                if fit == DEAD:
                    refused = self._refused(node.template, mold)
                    dead = self._template_nodes[node.template] if refused else node.bit
                    dead_places[OPEN] |= dead
                    allowed &= ~dead
        return self._worth(best, mold) if best is not None else None

    def _in_order(self, level: int, mask: Bits) -> Iterator[OpenNode]:
        """The open nodes of `mask`, all with `level` pods, in the peer's order.

        Nodes with one pod go by age. Above that the node that got its pod last goes first: the peer re-sorts its list
        by the number of pods before each pod, and a node that moves up comes from in front of those that are there.
        """
        if level == 1:
            yield from (self.open[i] for i in bits(mask))
            return
        stack = self._stacks[level]
        if mask.bit_count() ** 2 <= len(stack):
            yield from sorted((self.open[i] for i in bits(mask)), key=lambda n: -n.stamp)
            return
        yield from (n for i in range(len(stack) - 1, -1, -1) if (n := stack[i]).bit & mask and len(n.pods) == level)

    def fit(self, node: OpenNode, shape: Shape, *, lower_min_values: bool = False) -> Fit | str:
        """What the node becomes with one more such pod; DEAD when it can never take the mold, else the miss of now."""
        mold = shape.mold
        if self._refused(node.template, mold):
            return DEAD
        types = node.types and node.roomy(mold)
        if not types or self._over_cap(node, mold):
            return DEAD
        universe = node.template.universe
        base_all = self._join(node.requirements, mold.requirements, universe.well_known)
        if base_all is None:
            return DEAD if mold not in self._hopeful else ""
        verdict = DEAD
        for base in self._bases(base_all, mold, universe.well_known):
            if not types & universe.eligible(base):
                continue
            verdict = ""
            for requirements in self.standing.narrowings(shape, OPEN, base, universe.well_known):
                left = types & universe.eligible(requirements)
                found = self._checked(node, left, requirements, lower_min_values) if left else ""
                if isinstance(found, Fit):
                    return found
                verdict = found or verdict
        return verdict

    def _growth(self, node: OpenNode, fit: Fit) -> int:
        """By how many nano-USD an hour the node's price would grow."""
        universe = node.template.universe
        before = universe.cheapest(node.types, universe.cells_for(node.requirements))
        after = universe.cheapest(fit.types, universe.cells_for(fit.requirements))
        return (after or 0) - (before or 0)

    def _worth(self, best: tuple[int, OpenNode, Fit], mold: Mold) -> tuple[OpenNode, Fit] | None:
        """The node that grows least, unless the pod is cheaper on a node of its own."""
        growth, node, fit = best
        alone = self._price_alone(mold)
        return None if alone is not None and growth > alone + self.settings.node_cost_nano else (node, fit)

    def _price_alone(self, mold: Mold) -> int | None:
        """The price of a new node of the first pool that takes the mold, topology aside."""
        if mold not in self._alone:
            self._alone[mold] = None
            for template in self.prepared.templates:
                node = OpenNode(template, len(self.open), self._on_sale[template.name])
                types = 0 if self._refused(template, mold) else node.roomy(mold)
                base = self._join(template.requirements, mold.requirements, template.universe.well_known)
                if types and base is not None:
                    price = template.universe.cheapest(
                        types & template.universe.eligible(base), template.universe.cells_for(base)
                    )
                    if price is not None:
                        self._alone[mold] = price
                        break
        return self._alone[mold]

    def prepared_types(self, template: Template) -> Bits:
        """The types of a pool that its limits allowed before the pass."""
        return within(template, self.prepared.remaining[template.name])

    def _checked(self, node: OpenNode, types: Bits, requirements: Requirements, lower: bool) -> Fit | str:
        """The last two hurdles: minValues, and capacity reservations."""
        lowered = False
        if requirements.has_min_values:
            unmet = min_values_unmet(node.template.universe, requirements, types)
            if unmet and not lower:
                return ""
            if unmet:
                requirements, lowered = with_lowered_min_values(requirements, unmet), True
        held: frozenset[str] = frozenset()
        if self.reservations and self.settings.reserved_capacity:
            matching, held = self.reservations.within_reach(node.template.universe, types, requirements, node.held)
            if self.settings.strict_reservations and not held and (matching or node.held):
                return DEFERRED
        return Fit(requirements, types, held, lowered)

    def _over_cap(self, node: OpenNode, mold: Mold) -> bool:
        """Whether the node would hold more pods or GPUs than the settings allow; only when packing for cost."""
        settings = self.settings
        if settings.packing != "cost":
            return False
        if settings.max_pods_per_node and len(node.pods) >= settings.max_pods_per_node:
            return True
        if not settings.max_gpus_per_node:
            return False
        asked = gpu_count(dict(mold.requests))
        return bool(asked) and bool(node.pods) and asked + gpu_count(node.used) > settings.max_gpus_per_node

    def _take_open(self, node: OpenNode, fit: Fit, shape: Shape, pod: str) -> None:
        self.standing.leave(OPEN, node.bit, node.requirements)
        self._level(node, -1)
        self.reservations.hold(node.held, fit.held)
        node.take(pod, shape, fit)
        self._level(node, +1)
        self.standing.enter(OPEN, node.bit, fit.requirements)
        self.standing.record(shape, OPEN, node.bit, node.hostname, node.template.taints, fit.requirements)

    def _level(self, node: OpenNode, change: int) -> None:
        count = len(node.pods)
        if change > 0:
            self.levels[count] = self.levels.get(count, 0) | node.bit
            self._stamp += 1
            node.stamp = self._stamp
            if count > 1:
                self._stacks.setdefault(count, []).append(node)
            return
        left = self.levels[count] & ~node.bit
        if left:
            self.levels[count] = left
        else:
            del self.levels[count]
        stack = self._stacks.get(count, [])
        if len(stack) > 32 and len(stack) > 2 * left.bit_count():
            self._stacks[count] = [n for n in stack if n.bit & left]

    # New nodes

    def _open_new(self, shape: Shape) -> tuple[OpenNode, Fit] | str | None:
        """A new node of the first pool that takes the pod; DEFERRED when it should wait for a reservation."""
        if not shape.mold.on_new_hosts or not self._new_host_allowed(shape):
            return None
        for template in self.prepared.templates:
            if self._refused(template, shape.mold):
                continue
            node = OpenNode(template, len(self.open), self._on_sale[template.name])
            fit = self.fit(node, shape, lower_min_values=self.settings.best_effort_min_values)
            if isinstance(fit, Fit):
                return node, fit
            if fit == DEFERRED:
                return DEFERRED
        return None

    def _new_host_allowed(self, shape: Shape) -> bool:
        return all(group.hosts(OPEN, 1 << len(self.open), matches=shape.matches[group]) for group in shape.host_groups)

    def _take_new(self, node: OpenNode, fit: Fit, shape: Shape, pod: str) -> None:
        self.open.append(node)
        template = node.template
        self._template_nodes[template] = self._template_nodes.get(template, 0) | node.bit
        node.min_values_lowered = fit.min_values_lowered
        self.reservations.hold(node.held, fit.held)
        node.take(pod, shape, fit)
        self._level(node, +1)
        self._charge(node)
        self.standing.enter(OPEN, node.bit, fit.requirements)
        self.standing.record(shape, OPEN, node.bit, node.hostname, template.taints, fit.requirements)

    def _charge(self, node: OpenNode) -> None:
        """Charge the pool's limits with the largest type that the new node could become."""
        left = self.remaining[node.template.name]
        changed = False
        for resource in left:
            if resource != "nodes":
                node.charged[resource] = node.template.universe.capacity_room.largest(resource, node.types)
                left[resource] -= node.charged[resource]
                changed = True
        if changed:
            self._on_sale[node.template.name] = self._within_limits(node.template)

    def _within_limits(self, template: Template) -> Bits:
        """The types of a pool that its limits still allow."""
        return within(template, self.remaining[template.name])

    # Memories

    def _refused(self, template: Template, mold: Mold) -> bool:
        known = self._refusals.get((template, mold))
        if known is None:
            why = template.refusal(mold.requirements, mold.tolerations)
            known = why is not None
            if isinstance(why, Conflict) and why.existing is None and why.key in self.prepared.negated_keys:
                # Another pod's NotIn on this label makes its node's label known, and then this pod may join it.
                self._hopeful.add(mold)
                known = False
            self._refusals[template, mold] = known
        return known

    def is_guest(self, template: Template, mold: Mold) -> bool:
        """Whether the mold asks for a label that no node of the pool has unless another pod makes it known."""
        return mold in self._hopeful and template.refusal(mold.requirements, mold.tolerations) is not None

    def _join(self, node: Requirements, pod: Requirements, may_be_absent: frozenset[str]) -> Requirements | None:
        question = (node, pod)
        if question not in self._joined:
            conflict = node.conflict(pod, may_be_absent)
            self._joined[question] = node.merged(pod) if conflict is None else None
        return self._joined[question]

    def _bases(self, base: Requirements, mold: Mold, may_be_absent: frozenset[str]) -> Iterator[Requirements]:
        """The node's requirements with each way to reach the pod's volumes."""
        for alternative in mold.alternatives:
            if base.conflict(alternative, may_be_absent) is None:
                yield base.merged(alternative)


def within(template: Template, remaining: Mapping[str, int]) -> Bits:
    """The types of a pool with no more of each limited resource than remains; none once the nodes are used up."""
    types = template.types
    for resource, left in remaining.items():
        if left < 0 or (resource == "nodes" and not left):
            return 0
        if resource != "nodes":
            types &= ~template.universe.capacity_room.holding(resource, left + 1)
    return types
