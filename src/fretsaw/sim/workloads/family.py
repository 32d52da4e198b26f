"""Whose pod is it: hands the changes of pods to the controllers of their owners, and keeps each owner's pods at hand.

No controller has to look at pods that are not its own; what it needs to know on a change is counted already.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable

from fretsaw.api.meta import Object, OwnerReference
from fretsaw.api.pod import Pod
from fretsaw.sim.conditions import is_ready
from fretsaw.sim.store import Store
from fretsaw.sim.workloads.pods import is_active, is_leaving

Listener = Callable[[OwnerReference, Pod | None, Pod | None], None]
"""Called with (the owner, the pod before, the pod now)."""


class Children:
    """One owner's pods as they are now, by key and in the order of their making."""

    __slots__ = ("active", "ended", "leaving", "ready")

    def __init__(self) -> None:
        self.active: dict[str, Pod] = {}
        """Have not ended and are not being deleted."""
        self.ready: dict[str, Pod] = {}
        """Those of `active` that are ready."""
        self.leaving: dict[str, Pod] = {}
        """Are being deleted and have not ended."""
        self.ended: dict[str, Pod] = {}

    def __bool__(self) -> bool:
        return bool(self.active or self.leaving or self.ended)

    def see(self, key: str, pod: Pod | None) -> None:
        """Take note of how a pod is; None when it is gone."""
        _keep(self.active, key, pod, pod is not None and is_active(pod))
        _keep(self.ready, key, pod, key in self.active and pod is not None and is_ready(pod))
        _keep(self.leaving, key, pod, pod is not None and is_leaving(pod))
        _keep(self.ended, key, pod, pod is not None and pod.is_terminal)


def _keep(part: dict[str, Pod], key: str, pod: Pod | None, here: bool) -> None:
    if here and pod is not None:
        part[key] = pod
    else:
        part.pop(key, None)


class Family:
    """The pods of the cluster by their owners."""

    def __init__(self, store: Store) -> None:
        self._listeners: dict[str, list[Listener]] = defaultdict(list)
        self._children: dict[str, Children] = {}
        for key, pod in store.all("Pod").items():
            self._note(key, pod.metadata.controller, pod)
        store.watch("Pod", self._pod)

    def listen(self, kind: str, listener: Listener) -> None:
        """Call `listener` for every change of a pod that an object of this kind controls."""
        self._listeners[kind].append(listener)

    def of(self, owner: Object) -> Children:
        """The pods that `owner` controls; read only."""
        return self._children.get(owner.metadata.uid) or Children()

    def _pod(self, old: Pod | None, new: Pod | None) -> None:
        pod = new if new is not None else old
        assert pod is not None
        owner = pod.metadata.controller
        if owner is None:
            return
        self._note(pod.key, owner, new)
        for listener in self._listeners.get(owner.kind, ()):
            listener(owner, old, new)

    def _note(self, key: str, owner: OwnerReference | None, pod: Pod | None) -> None:
        if owner is None:
            return
        children = self._children.get(owner.uid)
        if children is None:
            children = self._children[owner.uid] = Children()
        children.see(key, pod)
        if not children:
            del self._children[owner.uid]
