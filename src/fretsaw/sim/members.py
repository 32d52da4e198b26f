"""The pods that selectors match, kept as pods come and go: for autoscalers and disruption budgets."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping

from fretsaw.api.meta import LabelSelector
from fretsaw.api.pod import Pod
from fretsaw.sim.store import Store


class Members:
    """For each owner of a selector, such as a budget, the pods of its namespace that match."""

    def __init__(self, store: Store, changed: Callable[[str, Pod | None, Pod | None], None]) -> None:
        """changed: called with an owner and how one of its pods was and is; None where it is no member."""
        self._store = store
        self._changed = changed
        self._selectors: dict[str, dict[str, LabelSelector]] = defaultdict(dict)
        """By namespace and owner."""
        self._pods: dict[str, dict[str, Pod]] = {}
        self._owners: dict[str, tuple[str, ...]] = {}
        """By pod; pods that nobody selects are left out."""
        store.watch("Pod", self._pod)

    def of(self, owner: str) -> Mapping[str, Pod]:
        """The owner's pods by key."""
        return self._pods.get(owner, {})

    def owners(self, pod: Pod) -> tuple[str, ...]:
        """Whose selectors match a stored pod."""
        return self._owners.get(pod.key, ())

    def select(self, owner: str, selector: LabelSelector | None) -> None:
        """Take note of an owner's selector; None matches nothing. owner: `namespace/name`.

        Cost: a look at every pod, where the selector is another than before.
        """
        namespace = owner.partition("/")[0]
        if selector is None:
            self.drop(owner)
        elif self._selectors[namespace].get(owner) != selector:
            self.drop(owner)
            self._selectors[namespace][owner] = selector
            found = {
                key: pod
                for key, pod in self._store.all("Pod").items()
                if pod.metadata.home == namespace and selector.matches(pod.metadata.labels)
            }
            self._pods[owner] = found
            for key in found:
                self._owners[key] = (*self._owners.get(key, ()), owner)

    def drop(self, owner: str) -> None:
        """Forget an owner."""
        self._selectors[owner.partition("/")[0]].pop(owner, None)
        for key in self._pods.pop(owner, {}):
            left = tuple(other for other in self._owners[key] if other != owner)
            if left:
                self._owners[key] = left
            else:
                del self._owners[key]

    def _pod(self, old: Pod | None, new: Pod | None) -> None:
        pod = new if new is not None else old
        assert pod is not None
        key = pod.key
        before = self._owners.get(key, ())
        after = self._matching(old, new, before)
        for owner in after:
            self._pods[owner][key] = pod
            self._changed(owner, old if owner in before else None, new)
        for owner in before:
            if owner not in after:
                del self._pods[owner][key]
                self._changed(owner, old, None)
        if after:
            self._owners[key] = after
        else:
            self._owners.pop(key, None)

    def _matching(self, old: Pod | None, new: Pod | None, before: tuple[str, ...]) -> tuple[str, ...]:
        if new is None:
            return ()
        if old is not None and old.metadata.labels == new.metadata.labels:
            return before
        selectors = self._selectors.get(new.metadata.home, {})
        return tuple(owner for owner, selector in selectors.items() if selector.matches(new.metadata.labels))
